"""A line of ``order_chain.jsonl``: the same hash chain as the pool's and the ledger's, around what became of an order.

Fields: ``client_id, id, kind, n, payload, prev, schema, ts_utc``. A payload has the fields of its kind and no others;
what is not known is left out, and nothing is null. Money is text, sizes are lots, prices are ticks. Standard library
only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from prometheus.v10.evidence.chains.chain import Link, content_id
from prometheus.v10.evidence.chains.pool_line import claimed_link
from prometheus.v10.evidence.records.canonical import canonical_bytes, canonical_line, is_canonical, strict_loads

SCHEMA: Final = "order_chain/1"
FILE_NAME: Final = "order_chain.jsonl"


class Kind(StrEnum):
    """What a line records."""

    INTENT = "INTENT"
    SENT = "SENT"
    ACK = "ACK"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"
    QUERY = "QUERY"
    FILL = "FILL"
    TERMINAL = "TERMINAL"
    ALLOC = "ALLOC"
    CROSS = "CROSS"
    INCIDENT = "INCIDENT"
    TRADING = "TRADING"
    OPENING = "OPENING"
    RECONCILED = "RECONCILED"


OF_NO_ORDER: Final = frozenset({Kind.CROSS, Kind.INCIDENT, Kind.TRADING, Kind.OPENING, Kind.RECONCILED})
"""Kinds that need no client id."""

_SHA = re.compile(r"[0-9a-f]{64}")
_MONEY = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DIGITS = re.compile(r"[0-9]+")
_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def _text(value: Any) -> bool:
    return type(value) is str


def _name(value: Any) -> bool:
    return type(value) is str and value != ""


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _positive(value: Any) -> bool:
    return type(value) is int and value > 0


def _whole(value: Any) -> bool:
    return type(value) is int


def _flag(value: Any) -> bool:
    return type(value) is bool


def _sha(value: Any) -> bool:
    return type(value) is str and _SHA.fullmatch(value) is not None


def _money(value: Any) -> bool:
    return type(value) is str and _MONEY.fullmatch(value) is not None


def _digits(value: Any) -> bool:
    return type(value) is str and _DIGITS.fullmatch(value) is not None


def _names(value: Any) -> bool:
    return type(value) is list and all(map(_name, value))


def _parts(value: Any) -> bool:
    """Pairs of an agent's name and signed lots, one pair an agent."""
    pairs = type(value) is list and all(
        type(one) is list and len(one) == 2 and _name(one[0]) and type(one[1]) is int for one in value
    )
    return pairs and len({one[0] for one in value}) == len(value)


def _allocations(value: Any) -> bool:
    """Triples of a trade id, an agent's name and positive lots; one triple for a trade and an agent."""
    triples = type(value) is list and all(
        type(one) is list and len(one) == 3 and _digits(one[0]) and _name(one[1]) and _positive(one[2]) for one in value
    )
    return triples and len({(one[0], one[1]) for one in value}) == len(value)


Check = Callable[[Any], bool]

FIELDS: Final[dict[Kind, dict[str, Check]]] = {
    Kind.INTENT: {
        "run_id": _name, "tick": _count, "attempt": _count, "purpose": _name, "inst_id": _name, "side": _name,
        "order_type": _name, "lots": _positive, "price_ticks?": _positive, "reduce_only": _flag, "margin_mode": _name,
        "stp_mode": _name, "tag": _text, "path": _name, "body": _name, "body_sha256": _sha, "parts": _parts,
        "planned_ms": _positive, "expire_ms": _positive,
    },
    Kind.SENT: {"body_sha256": _sha, "started_ms": _positive},
    Kind.ACK: {"order_id": _digits, "ts_ms?": _positive},
    Kind.REFUSED: {"code": _name, "detail": _text},
    Kind.UNKNOWN: {"code": _text, "detail": _text},
    Kind.QUERY: {
        "asked_ms": _positive, "sources": _names, "found": _flag, "order_id?": _digits, "state?": _name,
        "filled_lots?": _count, "cancel_source?": _text, "average_price?": _money,
    },
    Kind.FILL: {
        "inst_id": _name, "trade_id": _digits, "order_id": _digits, "bill_id": _digits, "side": _name,
        "lots": _positive, "price_ticks": _positive, "fee": _money, "fee_currency": _name, "exec_type": _name,
        "ts_ms": _positive,
    },
    Kind.TERMINAL: {"state": _name, "filled_lots": _count, "order_id?": _digits, "cancel_source?": _text},
    Kind.ALLOC: {"allocations": _allocations, "round_sha256?": _sha},
    Kind.CROSS: {
        "tick": _count, "inst_id": _name, "lots": _positive, "parts": _parts, "buy_price": _money,
        "sell_price": _money, "round_sha256?": _sha,
    },
    Kind.INCIDENT: {"reason": _name, "detail": _text, "order_id?": _digits},
    Kind.TRADING: {"state": _name, "reasons": _names, "by": _name, "detail": _text},
    Kind.RECONCILED: {
        "inst_id": _name, "looked_ms": _positive, "position_lots": _whole, "cash": _money, "equity": _money,
        "fees": _money, "funding": _money, "last_bill?": _digits, "last_bill_ms?": _positive, "last_fill?": _digits,
        "last_fill_ms?": _positive,
    },
    Kind.OPENING: {
        "run_id": _name, "inst_id": _name, "uid": _name, "opened_ms": _positive, "cash": _money, "equity": _money,
        "last_bill?": _digits, "taker": _money, "maker": _money, "leverage": _money, "margin_mode": _name,
        "quantum": _money,
    },
}  # fmt: skip
"""Fields of each kind's payload; one that ends in ``?`` may be left out."""

_LINE: Final = frozenset({"client_id", "id", "kind", "n", "payload", "prev", "schema", "ts_utc"})


class OrderLine:
    """`LineFormat` of the order chain."""

    name = "order chain entry"

    def links(self, line: bytes, link: Link) -> bool:
        """See `LineFormat`."""
        return b',"n":%d,"payload":{' % link.n in line and b'},"prev":"%b","schema":"' % link.prev.encode() in line

    def problem(self, line: bytes, link: Link | None) -> str | None:
        """See `LineFormat`."""
        try:
            entry = parsed(line)
        except ValueError as error:
            return str(error)
        return _wrong_line(entry) or payload_problem(Kind(entry["kind"]), entry["payload"]) or _wrong_link(entry, link)

    def link_of(self, line: bytes) -> Link | None:
        """See `LineFormat`."""
        try:
            return claimed_link(parsed(line))
        except ValueError:
            return None


ORDER_LINE = OrderLine()


def parsed(line: bytes) -> dict[str, Any]:
    """One line as its entry.

    Raises:
        ValueError: when it is not one canonical JSON object and a newline.
    """
    if line[-1:] != b"\n":
        raise ValueError("no newline at the end")
    entry = strict_loads(line[:-1])
    if not isinstance(entry, dict) or not is_canonical(line[:-1], entry):
        raise ValueError("not in canonical form (sorted keys, no spaces, one spelling of each number)")
    return entry


def order_line(kind: Kind, client_id: str, payload: Mapping[str, Any], *, link: Link, ts_utc: str) -> bytes:
    """The bytes of a line, newline included, at the place ``link``."""
    said = {"client_id": client_id, "kind": kind.value, "payload": dict(payload), "schema": SCHEMA, "ts_utc": ts_utc}
    return canonical_line({**said, "id": content_id(canonical_bytes(said)), "n": link.n, "prev": link.prev})


def payload_problem(kind: Kind, payload: Mapping[str, Any]) -> str | None:
    """What is wrong with a payload of ``kind``; None when its fields and their forms are right."""
    if unknown := payload.keys() - {name.rstrip("?") for name in FIELDS[kind]}:
        return f"{kind.value}: unknown field {min(unknown)}"
    for name, check in FIELDS[kind].items():
        bare = name.rstrip("?")
        if bare in payload:
            if not check(payload[bare]):
                return f"{kind.value}: {bare} is {payload[bare]!r}"[:200]
        elif name == bare:
            return f"{kind.value}: {bare} is missing"
    if kind is Kind.INTENT and hashlib.sha256(payload["body"].encode()).hexdigest() != payload["body_sha256"]:
        return "INTENT: body_sha256 is not that of body"
    return None


def _wrong_line(entry: dict[str, Any]) -> str | None:
    if entry.keys() != _LINE:
        return f"its fields are not those of an {OrderLine.name}"
    for name, right, wanted in (
        ("schema", entry["schema"] == SCHEMA, SCHEMA),
        ("kind", entry["kind"] in list(Kind), "one of " + ", ".join(Kind)),
        ("payload", isinstance(entry["payload"], dict), "an object"),
        ("client_id", isinstance(entry["client_id"], str), "text"),
        ("ts_utc", isinstance(entry["ts_utc"], str) and _UTC.fullmatch(entry["ts_utc"]) is not None, "a UTC time"),
    ):
        if not right:
            return f"{name} is not {wanted}"
    if entry["client_id"] == "" and Kind(entry["kind"]) not in OF_NO_ORDER:
        return "client_id is empty"
    said = {name: entry[name] for name in ("client_id", "kind", "payload", "schema", "ts_utc")}
    if content_id(canonical_bytes(said)) != entry["id"]:
        return "its id is not that of its content: the line was changed"
    return None


def _wrong_link(entry: dict[str, Any], link: Link | None) -> str | None:
    if link is None:
        return None
    if entry["n"] != link.n:
        return f"n is {entry['n']}, expected {link.n}"
    if entry["prev"] != link.prev:
        return "prev is not the hash of the line before"
    return None
