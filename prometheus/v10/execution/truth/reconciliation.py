"""Reconciles the chain with the exchange: positions, orders, fills by trade id, bills and equity, to the last lot.

What the chain holds must be what the exchange has, both ways. A difference is looked at again before it counts, since
balances and positions may lag a fill; one that stays is a finding with a reason code. Nothing is ever made to fit.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from attrs import define, field, frozen

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.execution.orders.client_ids import is_ours, run_mark
from prometheus.v10.execution.orders.order_chain import OrderChain
from prometheus.v10.execution.ports.account_facts import Balance, Bill, Position
from prometheus.v10.execution.ports.exchange_errors import ForeignActivityError
from prometheus.v10.execution.ports.exchange_port import ExchangePort
from prometheus.v10.execution.ports.order_terms import Fill, OrderReport
from prometheus.v10.execution.truth.asking_again import Pause, patiently
from prometheus.v10.execution.truth.stop_reasons import Reason

LOOKS: Final = 3
"""A difference counts when it stands in so many looks, `BETWEEN_S` apart."""
BETWEEN_S: Final = 2.0
EQUITY_TOLERANCE: Final = Decimal("0.01")
"""Settlement currency: equity and cash + unrealised are rounded apart by the exchange."""
TRADE, LIQUIDATION, FUNDING, ADL = "2", "5", "8", "9"
FORCED: Final = {
    "full_liquidation": Reason.LIQUIDATION, "partial_liquidation": Reason.LIQUIDATION, "adl": Reason.AUTO_DELEVERAGING,
}  # fmt: skip
OWN_CANCELS: Final = frozenset({"1", "13", "14", "31", "32"})
"""Sources of a cancellation that an order of ours may have; any other is an incident."""


@frozen
class Finding:
    """A difference: its reason, and where it was seen."""

    reason: Reason
    detail: str


@frozen(kw_only=True)
class Look:
    """What the exchange said in one look, and what of it differs.

    None: not read, because what was seen first ended the look.

    Attributes:
        position_lots: the net position of the instrument that is traded.
        cash: after the last bill.
        funding: sum of funding bills since the opening; negative was paid.
    """

    findings: tuple[Finding, ...]
    position_lots: int | None
    cash: Decimal | None
    equity: Decimal | None
    fees: Decimal | None
    funding: Decimal | None
    last_bill: str | None


@frozen(kw_only=True)
class Said:
    """The answers of one look."""

    positions: tuple[Position, ...]
    pending: tuple[OrderReport, ...]
    history: tuple[OrderReport, ...]
    fills: tuple[Fill, ...]
    bills: tuple[Bill, ...]
    balance: Balance


@define
class Reconciler:
    """Looks at one account on behalf of one chain, which must be opened.

    Attributes:
        currency: of the account's money.
    """

    port: ExchangePort
    chain: OrderChain
    pause: Pause
    currency: str
    looks: int = field(default=LOOKS)

    def reconcile(self) -> Look:
        """The last look; its findings are those that stood in every one.

        Raises:
            ExchangeError: when an answer is missing: then nothing is known, and nothing is flat.
        """
        look = self._look()
        for _ in range(self.looks - 1):
            if not look.findings:
                return look
            self.pause(BETWEEN_S)
            before = {one.reason for one in look.findings}
            look = self._look()
            stays = tuple(one for one in look.findings if one.reason in before)
            if not stays:
                return Look(**{**_fields(look), "findings": ()})
        return look

    def _look(self) -> Look:
        opening = self.chain.states.opening
        if opening is None:
            raise ExchangeError("the chain is not opened: there is nothing to reconcile with")
        try:
            said = self._ask(opening)
        except ForeignActivityError as error:
            return _nothing_but(Finding(Reason.FOREIGN_ACTIVITY, error.message))
        found = [*self._positions(said, opening), *self._orders(said, opening), *self._fills(said, opening),
                 *self._money(said, opening)]  # fmt: skip
        inst_id = opening["inst_id"]
        return Look(
            findings=tuple(found), position_lots=sum(one.lots for one in said.positions if one.inst_id == inst_id),
            cash=said.balance.cash, equity=said.balance.equity, fees=sum((one.fee for one in said.fills), Decimal(0)),
            funding=sum((one.balance_change for one in said.bills if one.kind == FUNDING), Decimal(0)),
            last_bill=said.bills[-1].bill_id if said.bills else opening.get("last_bill"),
        )  # fmt: skip

    def _ask(self, opening: dict[str, Any]) -> Said:
        def again(read: Callable[[], Any]) -> Any:
            return patiently(read, self.pause)

        since, last = opening["opened_ms"], opening.get("last_bill")
        return Said(
            positions=again(self.port.positions), pending=again(self.port.pending),
            history=again(lambda: self.port.history(since_ms=since)),
            fills=again(lambda: self.port.fills(after_bill=None, since_ms=since)),
            bills=again(lambda: self.port.bills(after_bill=last, since_ms=since)),
            balance=again(lambda: self.port.balance(self.currency)),
        )  # fmt: skip

    def _positions(self, said: Said, opening: dict[str, Any]) -> list[Finding]:
        inst_id, found = opening["inst_id"], []
        for one in said.positions:
            if one.inst_id != inst_id or one.position_side != "net" or one.margin_mode.value != opening["margin_mode"]:
                what = f"{one.lots} lots {one.inst_id} {one.position_side} {one.margin_mode.value}"
                found.append(Finding(Reason.FOREIGN_ACTIVITY, f"a position that is not ours: {what}"))
            elif one.leverage is not None and one.leverage != Decimal(opening["leverage"]):
                found.append(Finding(Reason.SETTINGS_CHANGED, f"leverage {one.leverage}, set {opening['leverage']}"))
        have = sum(one.lots for one in said.positions if one.inst_id == inst_id)
        wanted = self.chain.states.position(inst_id)
        if have != wanted:
            detail = f"{inst_id}: {have} lots at the exchange, {wanted} by our fills"
            found.append(Finding(Reason.UNEXPLAINED_POSITION, detail))
        return found

    def _orders(self, said: Said, opening: dict[str, Any]) -> list[Finding]:
        found = []
        mark = run_mark(opening["run_id"])
        for one in (*said.pending, *said.history):
            life = self.chain.states.orders.get(one.client_id)
            if one.category in FORCED:
                found.append(Finding(FORCED[one.category], f"order {one.order_id}: {one.category}"))
            elif life is None and is_ours(one.client_id) and one.client_id.startswith(mark):
                found.append(Finding(Reason.ORDER_WITHOUT_INTENT, f"order {one.order_id} is {one.client_id}"))
            elif life is None:
                name = one.client_id or "without a client id"
                found.append(Finding(Reason.FOREIGN_ACTIVITY, f"order {one.order_id} ({name}) is not ours"))
            elif one.cancel_source is not None and one.cancel_source not in OWN_CANCELS:
                detail = f"order {one.order_id}: cancelled, source {one.cancel_source}"
                found.append(Finding(Reason.FORCED_CANCEL, detail))
        return found

    def _fills(self, said: Said, opening: dict[str, Any]) -> list[Finding]:
        found, states = [], self.chain.states
        told = {one.key: one for one in said.fills}
        forced = {one.order_id for one in said.history if one.category in FORCED}
        for key, one in told.items():
            if key not in states.trades:
                what = f"trade {one.trade_id} of order {one.order_id}, {one.side.value} {one.lots} lots"
                if one.client_id in states.orders:
                    found.append(Finding(Reason.UNEXPLAINED_FILL, f"{what}: ours, and not booked"))
                elif one.order_id not in forced:
                    found.append(Finding(Reason.FOREIGN_ACTIVITY, f"{what}: not ours"))
                continue
            booked = states.orders[states.trades[key]].fills[one.trade_id]
            said_now = (one.lots, one.price_ticks, one.side.value)
            if (booked["lots"], booked["price_ticks"], booked["side"]) != said_now:
                found.append(Finding(Reason.TRUTH_CONTRADICTS, f"trade {one.trade_id} is not as it was booked"))
            if Decimal(booked["fee"]) != one.fee:
                detail = f"trade {one.trade_id}: fee {one.fee}, booked {booked['fee']}"
                found.append(Finding(Reason.TRUTH_CONTRADICTS, detail))
        found += [
            Finding(Reason.TRUTH_CONTRADICTS, f"trade {key[1]} is booked, and not told any more")
            for key in states.trades.keys() - told.keys()
            if states.orders[states.trades[key]].fills[key[1]]["ts_ms"] >= opening["opened_ms"]
        ]
        return found

    def _money(self, said: Said, opening: dict[str, Any]) -> list[Finding]:
        found = []
        moved = sum((one.balance_change for one in said.bills if one.currency == self.currency), Decimal(0))
        if Decimal(opening["cash"]) + moved != said.balance.cash:
            detail = f"cash {said.balance.cash}, by the bills {Decimal(opening['cash']) + moved}"
            found.append(Finding(Reason.UNEXPLAINED_MONEY, detail))
        charged = sum((one.fee or Decimal(0) for one in said.bills if one.kind == TRADE), Decimal(0))
        fees = sum((one.fee for one in said.fills), Decimal(0))
        if charged != fees:
            found.append(Finding(Reason.UNEXPLAINED_MONEY, f"fees {fees} by the fills, {charged} by the bills"))
        reasons = {LIQUIDATION: Reason.LIQUIDATION, ADL: Reason.AUTO_DELEVERAGING}
        for one in said.bills:
            if one.kind not in {TRADE, FUNDING}:
                reason = reasons.get(one.kind, Reason.FOREIGN_ACTIVITY if one.kind == "1" else Reason.UNEXPLAINED_MONEY)
                found.append(Finding(reason, f"bill {one.bill_id} of type {one.kind}: {one.balance_change}"))
        unrealised = said.balance.unrealised
        if unrealised is not None and abs(said.balance.cash + unrealised - said.balance.equity) > EQUITY_TOLERANCE:
            detail = f"equity {said.balance.equity}, cash and result {said.balance.cash + unrealised}"
            found.append(Finding(Reason.UNEXPLAINED_MONEY, detail))
        return found + _fees_of(said.fills, opening)


def _fees_of(fills: tuple[Fill, ...], opening: dict[str, Any]) -> list[Finding]:
    """Each fill's fee is its rate times its notional, within a quantum of rounding; by what the opening read."""
    quantum = Decimal(opening["quantum"])
    found = []
    for one in fills:
        if one.price_ticks is None:
            continue  # forced by the exchange, at its own price and charge: the bills name it
        rate = Decimal(opening["taker" if one.exec_type == "T" else "maker"])
        wanted = rate * one.lots * one.price_ticks * quantum
        if abs(one.fee - wanted) > FEE_ROUNDING:
            found.append(Finding(Reason.FEE_DIFFERS, f"trade {one.trade_id}: fee {one.fee}, by its rate {wanted}"))
    return found


FEE_ROUNDING: Final = Decimal("1e-6")


def _fields(look: Look) -> dict[str, Any]:
    return {name: getattr(look, name) for name in
            ("position_lots", "cash", "equity", "fees", "funding", "last_bill")}  # fmt: skip


def _nothing_but(finding: Finding) -> Look:
    return Look(findings=(finding,), position_lots=None, cash=None, equity=None, fees=None, funding=None,
                last_bill=None)  # fmt: skip
