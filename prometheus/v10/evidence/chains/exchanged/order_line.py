"""A line of ``order_chain.jsonl``: the same hash chain as the pool's and the ledger's, around what became of an order.

The fields of a line, and of each kind's payload, stand in `prometheus.v10.evidence.records.exchanged.order_payloads`;
here their schemas are read. Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.chains.chain import Link, content_id, wrong_link
from prometheus.v10.evidence.chains.pool_line import claimed_link
from prometheus.v10.evidence.records.canonical import canonical_bytes, canonical_line, object_of_line
from prometheus.v10.evidence.schemas.schema_file import RecordSchema, schema_of

SCHEMA: Final = Schema.ORDER_CHAIN.value


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
"""Kinds about no order: their client id is ''."""


def payload_schema(kind: Kind) -> RecordSchema:
    """The schema of a kind's payload."""
    return schema_of(f"order_chain.{kind.value.lower()}")


def _pairs(value: list[Any]) -> bool:
    """Pairs of an agent's name and signed lots, one pair an agent."""
    pairs = all(len(one) == 2 and _name(one[0]) and type(one[1]) is int for one in value)
    return pairs and len({one[0] for one in value}) == len(value)


def _triples(value: list[Any]) -> bool:
    """Triples of a trade id, an agent's name and positive lots; one triple for a trade and an agent."""
    triples = all(
        len(one) == 3 and _name(one[0]) and _name(one[1]) and type(one[2]) is int and one[2] > 0 for one in value
    )
    return triples and len({(one[0], one[1]) for one in value}) == len(value)


def _name(value: Any) -> bool:
    return type(value) is str and value != ""


_ROWS: Final = {"parts": _pairs, "allocations": _triples}
"""Fields whose rows have members of two types, which no schema of ours tells apart."""


class OrderLine:
    """`LineFormat` of the order chain."""

    name = "order chain entry"

    def links(self, line: bytes, link: Link) -> bool:
        """See `LineFormat`."""
        return b',"n":%d,"payload":{' % link.n in line and b'},"prev":"%b","schema":"' % link.prev.encode() in line

    def problem(self, line: bytes, link: Link | None) -> str | None:
        """See `LineFormat`."""
        try:
            entry = object_of_line(line)
        except ValueError as error:
            return str(error)
        return _wrong_line(entry) or payload_problem(Kind(entry["kind"]), entry["payload"]) or wrong_link(entry, link)

    def link_of(self, line: bytes) -> Link | None:
        """See `LineFormat`."""
        try:
            return claimed_link(object_of_line(line))
        except ValueError:
            return None


ORDER_LINE = OrderLine()


def order_line(kind: Kind, client_id: str, payload: Mapping[str, Any], *, link: Link, ts_utc: str) -> bytes:
    """The bytes of a line, newline included, at the place ``link``."""
    said = {"client_id": client_id, "kind": kind.value, "payload": dict(payload), "schema": SCHEMA, "ts_utc": ts_utc}
    return canonical_line({**said, "id": content_id(canonical_bytes(said)), "n": link.n, "prev": link.prev})


def payload_problem(kind: Kind, payload: Mapping[str, Any]) -> str | None:
    """What is wrong with a payload of ``kind``; None when its fields and their forms are right."""
    if (wrong := payload_schema(kind).first(payload)) is not None:
        return f"{kind.value}: {wrong}"
    for name, right in _ROWS.items():
        if name in payload and not right(payload[name]):
            return f"{kind.value}: {name} has a row that is none, or an agent twice"
    if kind is Kind.INTENT and hashlib.sha256(payload["body"].encode()).hexdigest() != payload["body_sha256"]:
        return "INTENT: body_sha256 is not that of body"
    return None


def _wrong_line(entry: dict[str, Any]) -> str | None:
    if (wrong := schema_of(SCHEMA).first(entry)) is not None:
        return wrong
    if (entry["client_id"] == "") != (Kind(entry["kind"]) in OF_NO_ORDER):
        return f"client_id is {entry['client_id']!r} in a line of kind {entry['kind']}"
    said = {name: entry[name] for name in ("client_id", "kind", "payload", "schema", "ts_utc")}
    if content_id(canonical_bytes(said)) != entry["id"]:
        return "its id is not that of its content: the line was changed"
    return None
