"""Finds out what became of an order, by asking: its record, pending orders, history, fills; it never sends.

A found order is booked from its fills alone, and ends when the exchange says that it ended and every lot that it
counts is booked. An order that nobody knows is absent only by the proof of `order_states.absent_since`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import define

from prometheus.v10.base.errors import EvidenceError, ExchangeError
from prometheus.v10.evidence.chains.exchanged.order_line import Kind
from prometheus.v10.execution.orders.order_chain import OrderChain, fill_of
from prometheus.v10.execution.orders.order_states import EVERY_SOURCE, OrderLife, OrderState, absent_since
from prometheus.v10.execution.ports.exchange_port import ExchangePort
from prometheus.v10.execution.ports.order_terms import Fill, OrderReport, VenueState
from prometheus.v10.execution.truth.asking_again import Pause, patiently

POLLS_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses before the first polls; the last is repeated: absence needs polls that are five seconds apart."""
MOST_POLLS: Final = 20
MARGIN_MS: Final = 60_000
"""How far before the intent records are searched: clocks differ."""


@define
class OrderTruth:
    """Asks for orders of one chain."""

    port: ExchangePort
    chain: OrderChain
    now_ms: Callable[[], int]
    pause: Pause

    def settle(self, client_id: str, *, most_polls: int = MOST_POLLS) -> OrderLife:
        """Ask until the order's end is proved, or ``most_polls`` times; the life says which (`state.is_open`).

        Raises:
            EvidenceError: when an answer contradicts the chain.
            HostError: when the disk refuses.
        """
        life = self.chain.states.orders[client_id]
        for number in range(most_polls):
            if not life.state.is_open:
                break
            self.pause(POLLS_S[min(number, len(POLLS_S) - 1)])
            try:
                self.ask(client_id)
            except ExchangeError:
                continue  # nothing was learnt; the next poll asks again
            life = self.chain.states.orders[client_id]
        return self.chain.states.orders[client_id]

    def recover(self) -> list[OrderLife]:
        """At a start, before anything else: ask for every open order of the chain; gives those that are still open."""
        for life in self.chain.states.open_orders():
            if life.state in {OrderState.INTENT_DURABLE, OrderState.SENT}:
                said = {"code": "", "detail": "found open at the start"}
                self.chain.append((Kind.UNKNOWN, life.client_id, said))
            self.settle(life.client_id)
        return self.chain.states.open_orders()

    def ask(self, client_id: str) -> None:
        """One round of questions about an order, and everything that its answers prove, in the chain.

        Raises:
            ExchangeError: when an answer is missing or cannot be read; the chain then holds what came before it.
            EvidenceError: when an answer contradicts the chain.
        """
        life = self.chain.states.orders[client_id]
        inst_id = life.intent["inst_id"]
        report = patiently(lambda: self.port.order(inst_id, client_id), self.pause)
        sources, fills = ["order"], None
        if report is None:
            report, fills = self._search(life)
            sources = sorted(EVERY_SOURCE)
        asked = self.now_ms()
        if report is None and not fills:
            self._absent(life, {"asked_ms": asked, "sources": sources, "found": False})
            return
        if report is not None:
            _refuse_another(report, life)
            self.chain.append((Kind.QUERY, client_id, _found(report, asked, sources)))
        if fills is None:
            fills = self._fills(life) if report is not None and report.filled_lots > life.filled_lots else []
        booked = set(life.fills)
        new = [one for one in fills if one.trade_id not in booked]
        if new:
            self.chain.append(*((Kind.FILL, client_id, fill_of(one)) for one in new))
        if report is not None and report.state.is_terminal and report.filled_lots == life.filled_lots:
            self.chain.append((Kind.TERMINAL, client_id, _ended(report)))

    def _absent(self, life: OrderLife, query: dict[str, Any]) -> None:
        self.chain.append((Kind.QUERY, life.client_id, query))
        if (proved := absent_since(life)) is not None:
            self.chain.append((Kind.TERMINAL, life.client_id, {"state": proved.value, "filled_lots": 0}))

    def _search(self, life: OrderLife) -> tuple[OrderReport | None, list[Fill]]:
        """The other three places where an order that `trade/order` does not know would leave a trace."""
        pending = patiently(self.port.pending, self.pause)
        history = patiently(lambda: self.port.history(since_ms=self._since(life)), self.pause)
        fills = self._fills(life)
        named = [one for one in (*pending, *history) if one.client_id == life.client_id]
        return (named[-1] if named else None), fills

    def _fills(self, life: OrderLife) -> list[Fill]:
        found = patiently(lambda: self.port.fills(after_bill=None, since_ms=self._since(life)), self.pause)
        return [one for one in found if one.client_id == life.client_id]

    @staticmethod
    def _since(life: OrderLife) -> int:
        return max(1, int(life.intent["planned_ms"]) - MARGIN_MS)


def _refuse_another(report: OrderReport, life: OrderLife) -> None:
    """An order with our client id that is not the order we meant; reduce-only ones may be cut by the exchange."""
    meant = life.intent
    cut = meant["reduce_only"] and report.lots < meant["lots"]
    if report.side.value != meant["side"] or (report.lots != meant["lots"] and not cut):
        raise EvidenceError(
            f"order {life.client_id} is {report.side.value} {report.lots} lots at the exchange, "
            f"and {meant['side']} {meant['lots']} on the chain",
            hint="somebody else uses this key with our client ids: revoke it",
        )


def _found(report: OrderReport, asked: int, sources: list[str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "asked_ms": asked, "sources": sources, "found": True, "order_id": report.order_id,
        "state": report.state.value, "filled_lots": report.filled_lots,
    }  # fmt: skip
    if report.cancel_source is not None:
        said["cancel_source"] = report.cancel_source
    if report.average_price is not None:
        said["average_price"] = format(report.average_price, "f")
    return said


def _ended(report: OrderReport) -> dict[str, Any]:
    said: dict[str, Any] = {"state": VenueState(report.state).value, "filled_lots": report.filled_lots,
                            "order_id": report.order_id}  # fmt: skip
    if report.cancel_source is not None:
        said["cancel_source"] = report.cancel_source
    return said
