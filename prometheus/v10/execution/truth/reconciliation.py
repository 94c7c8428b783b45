"""Reconciles the chain with the exchange: positions, orders, fills by trade id, bills and equity, to the last lot.

What the chain holds must be what the exchange has, both ways. A difference is looked at again before it counts, since
balances and positions may lag a fill; one that stays is a finding with a reason code. Nothing is ever made to fit.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from attrs import define, evolve, field, frozen

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.evidence.chains.exchanged.order_line import Kind
from prometheus.v10.execution.orders.client_ids import is_ours, run_mark
from prometheus.v10.execution.orders.order_chain import OrderChain
from prometheus.v10.execution.orders.order_states import OrderStates
from prometheus.v10.execution.ports.account_facts import Balance, Bill, Position
from prometheus.v10.execution.ports.exchange_errors import ForeignActivityError
from prometheus.v10.execution.ports.exchange_port import ExchangePort
from prometheus.v10.execution.ports.order_terms import Fill, OrderReport
from prometheus.v10.execution.truth.asking_again import Pause, patiently
from prometheus.v10.execution.truth.stop_reasons import Reason

LOOKS: Final = 3
"""A difference counts when it stands in so many looks, `BETWEEN_S` apart."""
BETWEEN_S: Final = 2.0
FILLS_KEPT_MS: Final = 60 * 3_600_000
"""`trade/fills` keeps three days; a mark older than this is not asked for."""
BILLS_KEPT_MS: Final = 6 * 86_400_000
"""`account/bills` keeps seven days."""
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
class Base:
    """Up to where everything is explained: the opening, or the last look without a finding, as the chain has it."""

    looked_ms: int
    cash: Decimal
    fees: Decimal
    funding: Decimal
    last_fill: tuple[str, int] | None
    last_bill: tuple[str, int] | None

    @classmethod
    def of(cls, states: OrderStates) -> Base:
        """What the chain says.

        Raises:
            ExchangeError: when the chain is not opened.
        """
        opening, last = states.opening, states.reconciled
        if opening is None:
            raise ExchangeError("the chain is not opened: there is nothing to reconcile with")
        if last is None:
            bill = (opening["last_bill"], opening["opened_ms"]) if "last_bill" in opening else None
            zero = Decimal(0)
            return cls(looked_ms=opening["opened_ms"], cash=Decimal(opening["cash"]), fees=zero, funding=zero,
                       last_fill=None, last_bill=bill)  # fmt: skip
        return cls(
            looked_ms=last["looked_ms"], cash=Decimal(last["cash"]), fees=Decimal(last["fees"]),
            funding=Decimal(last["funding"]), last_fill=_mark(last, "last_fill"), last_bill=_mark(last, "last_bill"),
        )  # fmt: skip


def _mark(last: dict[str, Any], name: str) -> tuple[str, int] | None:
    return (last[name], last[f"{name}_ms"]) if name in last else None


@frozen(kw_only=True)
class Look:
    """What the exchange said in one look, and what of it differs.

    None: not read, because what was seen first ended the look.

    Attributes:
        position_lots: the net position of the instrument that is traded.
        cash: after the last bill.
        fees: of all fills since the opening.
        funding: sum of funding bills since the opening; negative was paid.
        base: from where on the look looked.
        last_fill: bill and time of the last fill.
        last_bill: id and time of the last bill.
    """

    findings: tuple[Finding, ...]
    looked_ms: int
    position_lots: int | None
    cash: Decimal | None
    equity: Decimal | None
    fees: Decimal | None
    funding: Decimal | None
    base: Base
    last_fill: tuple[str, int] | None
    last_bill: tuple[str, int] | None


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
        seen: list[set[Reason]] = []
        for _ in range(2 * self.looks):
            look = self._look()
            if not look.findings:
                if self._moved(look) and not self.chain.states.open_orders():
                    self._write(look)
                return look
            seen.append({one.reason for one in look.findings})
            stay = set.intersection(*seen[-self.looks :])
            if len(seen) >= self.looks and stay:
                return evolve(look, findings=tuple(one for one in look.findings if one.reason in stay))
            self.pause(BETWEEN_S)
        changing = Finding(Reason.TRUTH_INCOMPLETE, f"what the exchange says changes from look to look: {seen[-1]}")
        return evolve(look, findings=(changing,))

    def _moved(self, look: Look) -> bool:
        """Whether anything happened since the base: a look that finds nothing new writes nothing."""
        base = look.base
        return (look.last_fill, look.last_bill, look.cash) != (base.last_fill, base.last_bill, base.cash)

    def _write(self, look: Look) -> None:
        """A look without a finding is on the chain: the next one begins there, in this process or a later one."""
        marks: dict[str, Any] = {}
        for name, mark in (("last_fill", look.last_fill), ("last_bill", look.last_bill)):
            if mark is not None:
                marks |= {name: mark[0], f"{name}_ms": mark[1]}
        opening = self.chain.states.opening or {}
        self.chain.append((Kind.RECONCILED, "", {
            "inst_id": opening["inst_id"], "looked_ms": look.looked_ms, "position_lots": look.position_lots,
            "cash": _plain(look.cash), "equity": _plain(look.equity), "fees": _plain(look.fees),
            "funding": _plain(look.funding), **marks,
        }))  # fmt: skip

    def _look(self) -> Look:
        base, opening = Base.of(self.chain.states), self.chain.states.opening or {}
        try:
            looked = patiently(self.port.server_time, self.pause)
            said = self._ask(base, looked)
        except ForeignActivityError as error:
            return _nothing_but(Finding(Reason.FOREIGN_ACTIVITY, error.message), base)
        found = [*self._positions(said, opening), *self._orders(said, opening), *self._fills(said, base),
                 *self._money(said, opening, base)]  # fmt: skip
        inst_id = opening["inst_id"]
        return Look(
            findings=tuple(found), position_lots=sum(one.lots for one in said.positions if one.inst_id == inst_id),
            cash=said.balance.cash, equity=said.balance.equity, looked_ms=looked, base=base,
            fees=base.fees + sum((one.fee for one in said.fills), Decimal(0)),
            funding=base.funding + sum((one.balance_change for one in said.bills if one.kind == FUNDING), Decimal(0)),
            last_fill=(said.fills[-1].bill_id, said.fills[-1].ts_ms) if said.fills else base.last_fill,
            last_bill=(said.bills[-1].bill_id, said.bills[-1].ts_ms) if said.bills else base.last_bill,
        )  # fmt: skip

    def _ask(self, base: Base, now: int) -> Said:
        def again(read: Callable[[], Any]) -> Any:
            return patiently(read, self.pause)

        def cursor(mark: tuple[str, int] | None, kept_ms: int) -> str | None:
            """A mark that the exchange still keeps; an older one is left to the time."""
            return mark[0] if mark is not None and now - mark[1] < kept_ms else None

        since = base.looked_ms
        return Said(
            positions=again(self.port.positions), pending=again(self.port.pending),
            history=again(lambda: self.port.history(since_ms=since)),
            fills=again(lambda: self.port.fills(after_bill=cursor(base.last_fill, FILLS_KEPT_MS), since_ms=since)),
            bills=again(lambda: self.port.bills(after_bill=cursor(base.last_bill, BILLS_KEPT_MS), since_ms=since)),
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

    def _fills(self, said: Said, base: Base) -> list[Finding]:
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
        begin = int(base.last_fill[0]) if base.last_fill is not None else -1
        for key in states.trades.keys() - told.keys():
            one_fill = states.orders[states.trades[key]].fills[key[1]]
            if int(one_fill["bill_id"]) > begin and one_fill["ts_ms"] >= base.looked_ms:
                found.append(Finding(Reason.TRUTH_CONTRADICTS, f"trade {key[1]} is booked, and not told any more"))
        return found

    def _money(self, said: Said, opening: dict[str, Any], base: Base) -> list[Finding]:
        found = []
        moved = sum((one.balance_change for one in said.bills if one.currency == self.currency), Decimal(0))
        if base.cash + moved != said.balance.cash:
            detail = f"cash {said.balance.cash}, by the bills {base.cash + moved}"
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


def _plain(value: Decimal | None) -> str:
    if value is None:
        raise ExchangeError("a look that was not made whole cannot be written down")
    return format(value, "f")


def _nothing_but(finding: Finding, base: Base) -> Look:
    return Look(findings=(finding,), looked_ms=base.looked_ms, position_lots=None, cash=None, equity=None, fees=None,
                funding=None, base=base, last_fill=None, last_bill=None)  # fmt: skip
