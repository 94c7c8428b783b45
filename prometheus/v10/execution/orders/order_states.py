"""The life of an order on our side, as lines of the chain make it; a line that may not follow is refused.

====================  ================================================================  ==============================
state                 means                                                             may follow
====================  ================================================================  ==============================
INTENT_DURABLE        meant and durable; perhaps on its way                             SENT, UNKNOWN, QUERY, FILL,
                                                                                        TERMINAL not_sent
SENT                  the request left this process, or its sending failed midway       ACK, REFUSED, UNKNOWN
UNKNOWN               nothing is proved                                                 QUERY, FILL, TERMINAL
ACKED                 the exchange has it: an answer, a record or a fill says so        QUERY, FILL, TERMINAL
REJECTED              refused, and the refusal is the proof                             nothing
TERMINAL              ended, with every fill booked; or proved absent                   ALLOC, once
====================  ================================================================  ==============================

Sums and proofs are checked here as well: fills never exceed the order, a trade is booked once, an order ends with
exactly the fills that the exchange counts, and ``not_placed`` needs the polls of `absent_since`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from attrs import define, field

from prometheus.v10.evidence.chains.exchanged.order_line import Kind

POLLS_APART_MS: Final = 5_000
RETENTION_MS: Final = 7_200_000
"""Cancelled orders without a fill are kept so long; after it the exchange's silence proves no refusal."""
FLATTEN_BEFORE: Final = "flatten_before_opening"
"""Purpose of orders that close what the account held before the opening; they belong to no position of ours."""
EVERY_SOURCE: Final = frozenset({"order", "pending", "history", "fills"})


class OrderState(StrEnum):
    """See the module."""

    INTENT_DURABLE = "INTENT_DURABLE"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    ACKED = "ACKED"
    REJECTED = "REJECTED"
    TERMINAL = "TERMINAL"

    @property
    def is_open(self) -> bool:
        """Whether the truth about the order is still to be found."""
        return self not in {OrderState.REJECTED, OrderState.TERMINAL}


class Ending(StrEnum):
    """How an order ended: the exchange's own terminal states, and ours for orders that never stood there."""

    FILLED = "filled"
    CANCELED = "canceled"
    MMP_CANCELED = "mmp_canceled"
    NOT_SENT = "not_sent"
    NOT_PLACED = "not_placed"
    NO_POSITION_EFFECT = "no_position_effect"


_AT_EXCHANGE: Final = frozenset({Ending.FILLED, Ending.CANCELED, Ending.MMP_CANCELED})


class IllegalMoveError(Exception):
    """A line that may not follow what the chain holds; the message says why."""


@define(kw_only=True)
class OrderLife:
    """One order as the chain tells it.

    Attributes:
        intent: the payload of its INTENT.
        fills: payloads of its FILL lines by trade id.
        absences: ``asked_ms`` of complete queries that found nothing, since the last trace of it.
    """

    client_id: str
    intent: dict[str, Any]
    state: OrderState = OrderState.INTENT_DURABLE
    order_id: str = ""
    fills: dict[str, dict[str, Any]] = field(factory=dict)
    absences: list[int] = field(factory=list)
    reported_lots: int = 0
    ending: Ending | None = None
    refusal: str = ""
    allocated: bool = False

    @property
    def filled_lots(self) -> int:
        """Lots of the fills that are booked."""
        return sum(one["lots"] for one in self.fills.values())

    @property
    def fees(self) -> Decimal:
        """Fees of the fills that are booked; negative is a charge."""
        return sum((Decimal(one["fee"]) for one in self.fills.values()), Decimal(0))


def absent_since(life: OrderLife) -> Ending | None:
    """What the complete queries of an order that nobody knows prove; None while they do not suffice.

    Two, at least five seconds apart, both after the request expired. Within two hours of the intent the exchange would
    still show a cancelled order, so silence proves ``not_placed``; later, only that no position came of it.
    """
    if life.order_id or life.fills:
        return None
    late = [asked for asked in life.absences if asked > life.intent["expire_ms"]]
    if not late or late[-1] - late[0] < POLLS_APART_MS:
        return None
    within = [asked for asked in late if asked - life.intent["planned_ms"] <= RETENTION_MS]
    if within and within[-1] - within[0] >= POLLS_APART_MS:
        return Ending.NOT_PLACED
    return Ending.NO_POSITION_EFFECT


@define
class OrderStates:
    """Every order of a chain, and the account-wide lines beside them.

    Attributes:
        orders: by client id, in the order of their intents.
        trades: instrument and trade id of every booked fill, to the client id that has it.
        crosses: tick and instrument of every internal cross.
        incidents: payloads of INCIDENT lines.
        trading: payload of the last TRADING line.
        opening: payload of the OPENING line: what the account held when this chain's trading began.
        reconciled: payload of the last RECONCILED line: up to where everything is explained.
    """

    orders: dict[str, OrderLife] = field(factory=dict)
    trades: dict[tuple[str, str], str] = field(factory=dict)
    crosses: set[tuple[int, str]] = field(factory=set)
    incidents: list[dict[str, Any]] = field(factory=list)
    trading: dict[str, Any] | None = None
    opening: dict[str, Any] | None = None
    reconciled: dict[str, Any] | None = None

    def open_orders(self) -> list[OrderLife]:
        """Orders whose truth is still to be found, oldest first."""
        return [one for one in self.orders.values() if one.state.is_open]

    def position(self, inst_id: str) -> int:
        """Signed lots that the booked fills of an instrument make since the opening."""
        of = [one for one in self.orders.values() if one.intent["inst_id"] == inst_id]
        since = [one for one in of if one.intent["purpose"] != FLATTEN_BEFORE]
        return sum(one.filled_lots * (1 if one.intent["side"] == "buy" else -1) for one in since)

    def check(self, kind: Kind, client_id: str, payload: Mapping[str, Any]) -> None:
        """Refuse a line that may not follow; changes nothing.

        Raises:
            IllegalMoveError: saying why.
        """
        if kind in {Kind.INCIDENT, Kind.TRADING}:
            return
        if kind is Kind.OPENING:
            _require(self.opening is None, "the chain is opened already")
            return
        if kind is Kind.RECONCILED:
            have = self.position(payload["inst_id"])
            _require(self.opening is not None, "nothing is opened that could be reconciled")
            _require(payload["position_lots"] == have, f"reconciled with {payload['position_lots']} lots of {have}")
            return
        if kind is Kind.CROSS:
            _require((payload["tick"], payload["inst_id"]) not in self.crosses, "that tick's cross is on the chain")
            return
        if kind is Kind.INTENT:
            _require(client_id not in self.orders, f"client id {client_id} was used before")
            return
        life = self.orders.get(client_id)
        if life is None:
            raise IllegalMoveError(f"{kind.value} of {client_id}, which has no INTENT")
        if life.state not in _FROM[kind]:
            raise IllegalMoveError(f"{kind.value} of {client_id}, which is {life.state.value}")
        rule = _RULES.get(kind)
        if rule is not None:
            rule(self, life, payload)

    def apply(self, kind: Kind, client_id: str, payload: Mapping[str, Any]) -> None:
        """Take a line that `check` let pass."""
        if kind is Kind.INTENT:
            self.orders[client_id] = OrderLife(client_id=client_id, intent=dict(payload))
        elif kind is Kind.CROSS:
            self.crosses.add((payload["tick"], payload["inst_id"]))
        elif kind is Kind.INCIDENT:
            self.incidents.append(dict(payload))
        elif kind is Kind.TRADING:
            self.trading = dict(payload)
        elif kind is Kind.OPENING:
            self.opening = dict(payload)
        elif kind is Kind.RECONCILED:
            self.reconciled = dict(payload)
        else:
            self._follow(kind, self.orders[client_id], payload)

    def _follow(self, kind: Kind, life: OrderLife, payload: Mapping[str, Any]) -> None:
        if kind is Kind.ALLOC:
            life.allocated = True
        elif kind is Kind.TERMINAL:
            life.state, life.ending = OrderState.TERMINAL, Ending(payload["state"])
        elif kind is Kind.REFUSED:
            life.state, life.refusal = OrderState.REJECTED, payload["code"]
        elif kind in {Kind.SENT, Kind.UNKNOWN}:
            life.state = OrderState(kind.value)
        else:
            self._seen(kind, life, payload)
        life.order_id = life.order_id or payload.get("order_id", "")

    def _seen(self, kind: Kind, life: OrderLife, payload: Mapping[str, Any]) -> None:
        """An answer, a record or a fill: each but an absent query proves that the exchange has the order."""
        if kind is Kind.QUERY and not payload["found"]:
            if frozenset(payload["sources"]) >= EVERY_SOURCE:
                life.absences.append(payload["asked_ms"])
            return
        life.state = OrderState.ACKED
        life.absences.clear()
        if kind is Kind.QUERY:
            life.reported_lots = max(life.reported_lots, payload.get("filled_lots", 0))
        elif kind is Kind.FILL:
            life.fills[payload["trade_id"]] = dict(payload)
            self.trades[payload["inst_id"], payload["trade_id"]] = life.client_id


def _require(holds: bool, what: str) -> None:  # noqa: FBT001
    if not holds:
        raise IllegalMoveError(what)


def _sent(_: OrderStates, life: OrderLife, payload: Mapping[str, Any]) -> None:
    _require(payload["body_sha256"] == life.intent["body_sha256"], f"{life.client_id}: SENT names another body")


def _acked(_: OrderStates, life: OrderLife, payload: Mapping[str, Any]) -> None:
    said = payload.get("order_id", life.order_id)
    _require(not life.order_id or said == life.order_id, f"{life.client_id}: order id {said}, before {life.order_id}")


def _queried(states: OrderStates, life: OrderLife, payload: Mapping[str, Any]) -> None:
    _acked(states, life, payload)
    if not payload["found"]:
        return
    _require("order_id" in payload and "filled_lots" in payload, f"{life.client_id}: found, without id or filled lots")
    filled = payload["filled_lots"]
    _require(filled <= life.intent["lots"], f"{life.client_id}: {filled} lots filled of {life.intent['lots']}")
    _require(filled >= life.reported_lots, f"{life.client_id}: filled lots fell from {life.reported_lots} to {filled}")


def _filled(states: OrderStates, life: OrderLife, payload: Mapping[str, Any]) -> None:
    _acked(states, life, payload)
    what = f"{life.client_id}: trade {payload['trade_id']}"
    _require((payload["inst_id"], payload["trade_id"]) not in states.trades, f"{what} is booked already")
    _require(payload["inst_id"] == life.intent["inst_id"], f"{what} is of {payload['inst_id']}")
    _require(payload["side"] == life.intent["side"], f"{what} goes the other way")
    total = life.filled_lots + payload["lots"]
    _require(total <= life.intent["lots"], f"{what} would fill {total} lots of {life.intent['lots']}")


def _ended(_: OrderStates, life: OrderLife, payload: Mapping[str, Any]) -> None:
    what, said, filled = life.client_id, payload["state"], payload["filled_lots"]
    _require(said in {one.value for one in Ending}, f"{what}: no such ending: {said}")
    ending = Ending(said)
    _require(filled == life.filled_lots, f"{what}: ends with {filled} lots, and {life.filled_lots} are booked")
    _require(filled >= life.reported_lots, f"{what}: the exchange reported {life.reported_lots} lots")
    if ending in _AT_EXCHANGE:
        _require(life.state is OrderState.ACKED, f"{what}: {said}, and nothing proves that it stood there")
        whole = filled == life.intent["lots"] or (life.intent["reduce_only"] and filled > 0)  # the exchange may cut it
        _require(ending is not Ending.FILLED or whole, f"{what}: filled, with {filled} lots")
    elif ending is Ending.NOT_SENT:
        _require(life.state is OrderState.INTENT_DURABLE, f"{what}: not_sent, and it is {life.state.value}")
    else:
        _require(absent_since(life) is ending, f"{what}: {said} is not proved by its queries")


def _allocated(_: OrderStates, life: OrderLife, payload: Mapping[str, Any]) -> None:
    _require(not life.allocated, f"{life.client_id}: allocated already")
    _require(life.ending in _AT_EXCHANGE, f"{life.client_id}: nothing to allocate")
    given: dict[str, int] = {}
    for trade, _agent, lots in payload["allocations"]:
        given[trade] = given.get(trade, 0) + lots
    wanted = {trade: one["lots"] for trade, one in life.fills.items()}
    _require(given == wanted, f"{life.client_id}: allocations do not add up to its fills")


_WAITING: Final = frozenset({OrderState.INTENT_DURABLE, OrderState.UNKNOWN, OrderState.ACKED})
_FROM: Final[dict[Kind, frozenset[OrderState]]] = {
    Kind.SENT: frozenset({OrderState.INTENT_DURABLE}),
    Kind.ACK: frozenset({OrderState.SENT}),
    Kind.REFUSED: frozenset({OrderState.SENT}),
    Kind.UNKNOWN: frozenset({OrderState.INTENT_DURABLE, OrderState.SENT}),
    Kind.QUERY: _WAITING,
    Kind.FILL: _WAITING,
    Kind.TERMINAL: _WAITING,
    Kind.ALLOC: frozenset({OrderState.TERMINAL}),
}
_Rule = Callable[[OrderStates, OrderLife, Mapping[str, Any]], None]
_RULES: Final[dict[Kind, _Rule]] = {
    Kind.SENT: _sent, Kind.ACK: _acked, Kind.QUERY: _queried, Kind.FILL: _filled, Kind.TERMINAL: _ended,
    Kind.ALLOC: _allocated,
}  # fmt: skip
