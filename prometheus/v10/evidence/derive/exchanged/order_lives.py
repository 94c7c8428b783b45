"""The order chain read again: each line's form and link, and the life of each order by rules of its own code.

A line that may not follow is a finding; what is derived from the lines before it goes on. Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.chains.exchanged.order_line import ORDER_LINE, Kind
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.derive.typed import shown
from prometheus.v10.evidence.records.canonical import object_of_line

SEARCHED = {"order", "pending", "history", "fills"}
POLLS_APART_MS = 5_000
KEPT_MS = 7_200_000
BEFORE_OPENING = "flatten_before_opening"
RANKS = ("ACTIVE", "REDUCING", "HALTED")
PROGRAM = "program"
AT_EXCHANGE = ("filled", "canceled", "mmp_canceled")
PREFIX, BASE36 = "pq", "0123456789abcdefghijklmnopqrstuvwxyz"

Say = Callable[[str, str], None]
Payload = Mapping[str, Any]


@dataclass
class Life:
    """One order: payloads of its lines, by kind, and where it stands; ``before`` is the position when it was meant."""

    client_id: str
    intent: Payload
    before: int = 0
    state: str = "INTENT"
    sent: Payload | None = None
    answer: tuple[str, Payload] | None = None
    queries: list[Payload] = field(default_factory=list)
    fills: dict[str, Payload] = field(default_factory=dict)
    ended: Payload | None = None
    order_id: str = ""
    silent: list[int] = field(default_factory=list)

    @property
    def lots(self) -> int:
        """Lots of its fills."""
        return sum(one["lots"] for one in self.fills.values())

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self.intent["side"] == "buy" else -1

    @property
    def is_open(self) -> bool:
        """Whether its truth was not found."""
        return self.state not in {"REFUSED", "TERMINAL"}


@dataclass
class Chain:
    """What the lines of a chain come to.

    Attributes:
        looks: payloads of RECONCILED lines, each with position and fees by the fills before it.
        head: sha256 of the last line.
    """

    lives: dict[str, Life] = field(default_factory=dict)
    opening: Payload | None = None
    looks: list[tuple[Payload, int, list[str]]] = field(default_factory=list)
    trading: Payload | None = None
    trades: dict[str, str] = field(default_factory=dict)
    position: int = 0
    lines: int = 0
    head: str = "0" * 64

    def since_opening(self) -> list[Life]:
        """Orders that are the session's own."""
        return [one for one in self.lives.values() if one.intent["purpose"] != BEFORE_OPENING]


def chain_of(path: Path, run_id: str, say: Say) -> Chain:
    """What a chain says; what is wrong with its lines is told by line.

    Raises:
        OSError: when it cannot be read.
        PrometheusError: when it is no regular file.
    """
    made, name = _Reading(run_id, say), str(Artifact.ORDER_CHAIN)
    found = scan(path, ORDER_LINE, close=True, each=made.take)
    for one in found.damages:
        say(name, f"line {one.line + 1}: {one.what}")
    if found.tail is not None:
        say(name, f"{found.tail.length} bytes behind its last whole line")
    made.chain.lines, made.chain.head = found.link.n, found.link.prev
    return made.chain


def expected_id(run_id: str, tick: int, inst_id: str, attempt: int) -> str:
    """The client id of an order: run, tick, attempt, and a check over all."""
    whole = hashlib.sha256(f"{run_id}|{tick}|{inst_id}|{attempt}".encode()).hexdigest()
    mark = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    return f"{PREFIX}{mark}{_base36(tick, 7)}{_base36(attempt, 2)}{whole[:13]}"


def _base36(value: int, width: int) -> str:
    text = ""
    for _ in range(width):
        value, last = divmod(value, 36)
        text = BASE36[last] + text
    return text


class _Reading:
    """One pass over the lines."""

    def __init__(self, run_id: str, say: Say) -> None:
        self.chain, self.run_id, self._say, self._number = Chain(), run_id, say, 0
        self._waiting: list[str] = []

    def take(self, line: bytes) -> None:
        """One line that has its form and its link."""
        self._number += 1
        entry = object_of_line(line)
        for what in self._follow(Kind(entry["kind"]), entry["client_id"], entry["payload"]):
            self._say(str(Artifact.ORDER_CHAIN), f"line {self._number}: {what}")

    def _follow(self, kind: Kind, name: str, said: Payload) -> list[str]:
        chain = self.chain
        if kind is Kind.OPENING:
            wrong = [] if chain.opening is None else ["the chain was opened before"]
            chain.opening = said
            return wrong + self._own(said)
        if kind is Kind.TRADING:
            return self._trading(said)
        if kind is Kind.RECONCILED:
            chain.looks.append((said, chain.position, list(chain.trades)))
            return [] if chain.opening is not None else ["nothing was opened that could be reconciled"]
        if kind in {Kind.INCIDENT, Kind.CROSS}:
            return []
        if kind is Kind.INTENT:
            return self._intent(name, said)
        life = chain.lives.get(name)
        return [f"{kind.value} of {name}, which was never meant"] if life is None else self._of_order(kind, life, said)

    def _own(self, said: Payload) -> list[str]:
        return [] if said["run_id"] == self.run_id else [f"it belongs to {shown(said['run_id'])}"]

    def _intent(self, name: str, said: Payload) -> list[str]:
        chain, wrong = self.chain, self._own(said)
        if name in chain.lives:
            wrong.append(f"client id {name} was used before")
        if name != expected_id(self.run_id, said["tick"], said["inst_id"], said["attempt"]):
            wrong.append(f"client id {name} is not that of its run, tick, instrument and attempt")
        if (said["purpose"] == BEFORE_OPENING) != (chain.opening is None):
            wrong.append(f"an order of purpose {said['purpose']} on the wrong side of the opening")
        if said["planned_ms"] > said["expire_ms"]:
            wrong.append("it expired before it was meant")
        if waiting := [one for one in self._waiting if chain.lives[one].is_open]:
            wrong.append(f"an order was meant while {waiting[0]} was open")
        self._waiting = [*waiting, name]
        if self.chain.trading is not None and self._forbidden(said):
            wrong.append(f"an order while trading was {self.chain.trading['state']}")
        chain.lives[name] = Life(name, said, chain.position)
        return wrong

    def _forbidden(self, said: Payload) -> bool:
        state = (self.chain.trading or {})["state"]
        return bool(state == "HALTED" or (state == "REDUCING" and not said["reduce_only"]))

    def _trading(self, said: Payload) -> list[str]:
        """A reason latches, and the program says it: no line takes it back, for a release is the ledger's."""
        before = self.chain.trading or {"state": "ACTIVE", "reasons": []}
        self.chain.trading = said
        milder = RANKS.index(said["state"]) < RANKS.index(before["state"])
        lost = said["reasons"][: len(before["reasons"])] != before["reasons"] or not said["reasons"]
        wrong = ["trading became milder, or a reason was dropped"] if milder or lost else []
        return wrong if said["by"] == PROGRAM else [*wrong, f"trading changed by the word of {shown(said['by'])}"]

    def _of_order(self, kind: Kind, life: Life, said: Payload) -> list[str]:
        where, wrong = f"{kind.value} of {life.client_id}", []
        before, wanted = life.state, BEFORE[kind]
        if life.state not in wanted:
            wrong.append(f"{where}, which stands at {life.state}")
        if kind is Kind.SENT:
            life.state, life.sent = "SENT", said
            if said["body_sha256"] != life.intent["body_sha256"] or said["started_ms"] < life.intent["planned_ms"]:
                wrong.append(f"{where}: another body, or sent before it was meant")
        elif kind in {Kind.ACK, Kind.REFUSED, Kind.UNKNOWN}:
            life.state, life.answer = kind.value, (kind.value, said)
        elif kind is Kind.QUERY:
            wrong += self._query(life, said, where)
        elif kind is Kind.FILL:
            wrong += self._fill(life, said, where)
        elif kind is Kind.TERMINAL:
            life.state, life.ended = "TERMINAL", said
            wrong += _ending(life, said, where, before)
        found = said.get("order_id", life.order_id)
        if life.order_id and found != life.order_id:
            wrong.append(f"{where}: the order is {found}, before it was {life.order_id}")
        life.order_id = life.order_id or found
        return wrong

    @staticmethod
    def _query(life: Life, said: Payload, where: str) -> list[str]:
        life.queries.append(said)
        if not said["found"]:
            if set(said["sources"]) >= SEARCHED:
                life.silent.append(said["asked_ms"])
            return []
        life.state, life.silent = "ACK", []
        if "order_id" not in said or "filled_lots" not in said:
            return [f"{where}: found, without its id or its filled lots"]
        return [] if said["filled_lots"] <= life.intent["lots"] else [f"{where}: more lots than were meant"]

    def _fill(self, life: Life, said: Payload, where: str) -> list[str]:
        wrong, trade = [], said["trade_id"]
        if trade in self.chain.trades:
            wrong.append(f"{where}: trade {trade} is booked twice")
        if said["inst_id"] != life.intent["inst_id"] or said["side"] != life.intent["side"]:
            wrong.append(f"{where}: trade {trade} is of another instrument or side")
        life.state, life.silent = "ACK", []
        life.fills[trade] = said
        if life.lots > life.intent["lots"]:
            wrong.append(f"{where}: more lots than were meant")
        if life.intent["purpose"] != BEFORE_OPENING:
            self.chain.trades[trade] = life.client_id
            self.chain.position += life.sign * said["lots"]
        return wrong


_LIVE = {"INTENT", "UNKNOWN", "ACK"}
BEFORE: dict[Kind, set[str]] = {
    Kind.SENT: {"INTENT"}, Kind.ACK: {"SENT"}, Kind.REFUSED: {"SENT"}, Kind.UNKNOWN: {"INTENT", "SENT"},
    Kind.QUERY: _LIVE, Kind.FILL: _LIVE, Kind.TERMINAL: _LIVE, Kind.ALLOC: {"TERMINAL"},
}  # fmt: skip
"""Where an order must stand before a line of each kind."""


def _ending(life: Life, said: Payload, where: str, before: str) -> list[str]:
    state, wrong = said["state"], []
    if said["filled_lots"] != life.lots:
        wrong.append(f"{where}: it ends with {said['filled_lots']} lots, {life.lots} are booked")
    reported = max((one["filled_lots"] for one in life.queries if one["found"]), default=0)
    if state in AT_EXCHANGE:
        if life.lots != reported or before != "ACK":
            wrong.append(f"{where}: the exchange counted {reported} lots, {life.lots} are booked")
        whole = life.lots == life.intent["lots"] or (life.intent["reduce_only"] and life.lots > 0)
        if state == "filled" and not whole:
            wrong.append(f"{where}: filled, with {life.lots} lots of {life.intent['lots']}")
    elif state == "not_sent":
        if before != "INTENT" or life.sent is not None:
            wrong.append(f"{where}: not_sent, and it was")
    elif state != _silence(life):
        wrong.append(f"{where}: {shown(state)} is not what its queries prove")
    return wrong


def _silence(life: Life) -> str | None:
    """What the complete queries of an order that nobody knows prove."""
    late = [asked for asked in life.silent if asked > life.intent["expire_ms"]]
    if life.order_id or life.fills or not late or late[-1] - late[0] < POLLS_APART_MS:
        return None
    within = [asked for asked in late if asked - life.intent["planned_ms"] <= KEPT_MS]
    kept = bool(within) and within[-1] - within[0] >= POLLS_APART_MS
    return "not_placed" if kept else "no_position_effect"
