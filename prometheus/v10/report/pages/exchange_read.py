"""What a run at an exchange left: its orders, its rounds, the states it traded in, and every call that went wrong.

As with the rest of a page nothing is verified here, and what is not what it should be is left out and counted. Standard
library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from attrs import define, field, frozen

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.catalog import artifact_of
from prometheus.v10.evidence.derive.netted.rederived_round import order_ids, unclosed
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.report.run_events import event_lines

Plain = dict[str, Any]


@define
class Order:
    """What became of one order: from its intent to its end.

    Attributes:
        answer: what came back at first: ACK, REFUSED with its code, UNKNOWN with its code; empty before it was sent.
        looks: how often the exchange was asked for it.
        filled: lots, of so many ``fills``.
        ended: the state in which it ended; empty while that is not proved.
        fees: USDT, negative is a charge.
    """

    client_id: str
    tick: int
    purpose: str
    side: str
    kind: str
    lots: int
    answer: str = ""
    looks: int = 0
    filled: int = 0
    fills: int = 0
    fees: float = 0.0
    ended: str = ""


class Round(NamedTuple):
    """One netting round, in lots; ``broken`` are the names of residuals beyond their tolerance.

    Attributes:
        orders: how many were sent; several only of a close that must be whole.
        unclosed: lots that forced closes did not get.
    """

    tick: int
    status: str
    bought: int
    sold: int
    crossed: int
    net: int
    filled: int
    fees: float | None
    surplus: float | None
    broken: tuple[str, ...]
    orders: int
    unclosed: int


class State(NamedTuple):
    """A trading state, from a moment on, with its reasons and who set it."""

    when: str
    state: str
    reasons: tuple[str, ...]
    by: str
    detail: str


class Trouble(NamedTuple):
    """An incident of the chain, or a call that went wrong: when, what it is, where, and what was said."""

    when: str
    what: str
    where: str
    said: str


class Look(NamedTuple):
    """A reconciliation that found nothing wrong."""

    when: str
    position: int
    equity: float | None


@frozen(kw_only=True)
class ExchangeRead:
    """A run at an exchange.

    Attributes:
        table: the manifest's ``exchange``.
        endpoints: the fingerprint's ``by_endpoint``; ``faults`` are its calls that went wrong.
    """

    table: Plain
    orders: list[Order] = field(factory=list)
    rounds: list[Round] = field(factory=list)
    states: list[State] = field(factory=list)
    incidents: list[Trouble] = field(factory=list)
    looks: list[Look] = field(factory=list)
    endpoints: Plain = field(factory=dict)
    faults: list[Trouble] = field(factory=list)

    def said(self, part: str, name: str) -> Any:
        """A value of one part of the manifest's table, such as ``ended``; None where it is not there."""
        found = self.table.get(part)
        return found.get(name) if isinstance(found, dict) else None


def is_at_an_exchange(manifest: Plain) -> bool:
    """Whether a run traded at an exchange, by its manifest."""
    return manifest.get("mode") not in {None, Mode.OFFLINE.value} or isinstance(manifest.get("exchange"), dict)


def read_exchange(run: Path, manifest: Plain, odd: list[str]) -> ExchangeRead | None:
    """What a run left of its trading; None for one that was at no exchange.

    Args:
        run: its directory.
        manifest: its manifest.
        odd: takes a sentence for each file that is not what it should be.
    """
    if not is_at_an_exchange(manifest):
        return None
    table = manifest.get("exchange")
    found = ExchangeRead(table=table if isinstance(table, dict) else {})
    chain = _Chain(found)
    _each(run, Artifact.ORDER_CHAIN, chain.take, odd)
    found.orders.extend(chain.orders.values())
    _each(run, Artifact.NETTING_ROUNDS, lambda line: found.rounds.append(_round(line)), odd)
    try:
        fingerprint = artifact_of(run, Artifact.FINGERPRINT) or {}
    except PrometheusError as error:
        odd.append(str(error))
        fingerprint = {}
    endpoints, events = fingerprint.get("by_endpoint"), fingerprint.get("error_events")
    found.endpoints.update(endpoints if isinstance(endpoints, dict) else {})
    found.faults.extend(_faults(events if isinstance(events, list) else []))
    return found


def _each(run: Path, artifact: Artifact, take: Any, odd: list[str]) -> None:
    """Hand on each line of an event file; lines that are not what they should be are counted."""
    wrong = 0
    try:
        for line in event_lines(run, artifact):
            try:
                take(strict_loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                wrong += 1
    except PrometheusError as error:
        odd.append(str(error))
    if wrong:
        odd.append(f"{artifact}: {wrong} lines are not what they should be")


class _Chain:
    """The lines of an order chain, one after the other."""

    def __init__(self, found: ExchangeRead) -> None:
        self.found, self.orders = found, dict[str, Order]()

    def take(self, line: Plain) -> None:
        """Take in one line."""
        kind, said, when = line["kind"], line["payload"], str(line["ts_utc"])
        if kind == "INTENT":
            name = str(line["client_id"])
            self.orders[name] = Order(
                name, int(said["tick"]), str(said["purpose"]), str(said["side"]), str(said["order_type"]),
                int(said["lots"]),
            )  # fmt: skip
        elif kind == "TRADING":
            reasons = tuple(map(str, said["reasons"]))
            self.found.states.append(State(when, str(said["state"]), reasons, str(said["by"]), str(said["detail"])))
        elif kind == "INCIDENT":
            self.found.incidents.append(
                Trouble(when, str(said["reason"]), str(said.get("order_id") or ""), str(said["detail"]))
            )
        elif kind == "RECONCILED":
            self.found.looks.append(Look(when, int(said["position_lots"]), _money(said["equity"])))
        elif (order := self.orders.get(str(line["client_id"]))) is not None:
            _follow(order, str(kind), said)


def _follow(order: Order, kind: str, said: Plain) -> None:
    """What one more line says of an order."""
    if kind in {"ACK", "REFUSED", "UNKNOWN"}:
        order.answer = order.answer or f"{kind} {said.get('code', '')}".strip()
    elif kind == "QUERY":
        order.looks += 1
    elif kind == "FILL":
        order.filled += int(said["lots"])
        order.fills += 1
        order.fees += _money(said["fee"]) or 0.0
    elif kind == "TERMINAL":
        order.ended = str(said["state"])


def _round(line: Plain) -> Round:
    residuals = line["residuals"] or []
    broken = tuple(str(one["name"]) for one in residuals if one["holds"] is not True)
    return Round(
        int(line["tick"]), str(line["status"]), int(line["buy_lots"]), int(line["sell_lots"]),
        int(line["crossed_lots"]), int(line["net_lots"]), int(line["filled_lots"] or 0), _money(line.get("fees")),
        _money(line.get("surplus")), broken, len(order_ids(line)),
        unclosed(line) if line["status"] != "unproved" else 0,
    )  # fmt: skip


def _faults(events: list[Any]) -> Iterator[Trouble]:
    for one in events:
        if isinstance(one, dict):
            code = one.get("exception_type")
            what = " ".join(str(part) for part in (one.get("type"), code) if part)
            yield Trouble(
                str(one.get("ts_utc", "–")), what or "–", str(one.get("where") or one.get("url") or "–"),
                str(one.get("message") or "–"),
            )  # fmt: skip


def _money(value: object) -> float | None:
    try:
        return float(Decimal(str(value)))
    except (InvalidOperation, OverflowError):
        return None
