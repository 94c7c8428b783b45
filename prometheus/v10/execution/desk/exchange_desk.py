"""The desk of a netted population: its one order a round goes through the chain, and comes back as proved fills.

`session.netted_fills` asks it as a `VenueDesk`; `trading.bar_driver` does the rest: durable before it is sent, sent
once, asked for until it is proved, reconciled. Nothing here guesses: a round whose order is not proved is not shared
out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from attrs import define, field

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.execution.netting.net_round import RoundPlan
from prometheus.v10.execution.netting.netting_invariants import VenueTruth
from prometheus.v10.execution.netting.netting_terms import Contract, Force, Touch, VenueTrade
from prometheus.v10.execution.orders.order_states import Ending, OrderLife
from prometheus.v10.execution.ports.account_facts import FeeRate, Position
from prometheus.v10.execution.ports.contract_units import Instrument
from prometheus.v10.execution.session.netted_fills import FundingBill
from prometheus.v10.execution.trading.bar_driver import BarDriver
from prometheus.v10.execution.truth.asking_again import patiently
from prometheus.v10.execution.truth.reconciliation import Look

RATE_DIGITS: Final = 12
"""Digits of a funding rate that is derived from its bill; what they leave over is the house's."""


def contract_of(instrument: Instrument, fee: FeeRate) -> Contract:
    """The whole numbers of netting, as the exchange gave them; a fee is a charge there and a rate here."""
    return Contract(
        lot_btc=instrument.base_per_lot, tick=instrument.tick, min_lots=instrument.min_lots, taker_rate=-fee.taker
    )


@define
class ExchangeDesk:
    """A `VenueDesk` on an opened account.

    Attributes:
        equity_tolerance: USDT that books and exchange may differ by, stated in advance.
        last_call: number of the call that was made last.
        seen: the position as it was read last, and ``seen_in`` which call.
    """

    driver: BarDriver
    equity_tolerance: Decimal
    last_call: Callable[[], int] = field(default=lambda: 0)
    seen: Position | None = field(default=None, init=False)
    seen_in: int = field(default=0, init=False)
    _rounds: Counter[int] = field(factory=Counter, init=False)
    _order: OrderLife | None = field(default=None, init=False)
    _look: Look | None = field(default=None, init=False)
    _funded: Decimal = field(default=Decimal(0), init=False)

    def touch(self, tick: int) -> Touch:  # noqa: ARG002 - the port's
        """The best prices now, and the hash of what the exchange said of them."""
        driver = self.driver
        book = patiently(lambda: driver.port.top_of_book(driver.plan.inst_id), driver.pause)
        said = {"inst_id": book.inst_id, "ts_ms": book.ts_ms, "bid": [book.bid_ticks, book.bid_lots],
                "ask": [book.ask_ticks, book.ask_lots]}  # fmt: skip
        return Touch(
            bid=book.bid_ticks, ask=book.ask_ticks, book_sha256=hashlib.sha256(canonical_bytes(said)).hexdigest()
        )

    def take(self, plan: RoundPlan) -> tuple[str, Sequence[VenueTrade] | None]:
        """Send the round's order once; its fills, or None while they are not proved.

        A forced close that is proved to have done nothing (funding is being settled, a limit of the exchange, no
        connection) is asked for again, as a new order.

        Raises:
            ExchangeError: when trading is halted, so that nothing was sent.
            HostError: when the disk refuses.
        """
        attempt, self._rounds[plan.tick] = self._rounds[plan.tick], self._rounds[plan.tick] + 1
        parts = [(f"a{delta.agent}", delta.lots) for delta in plan.deltas]
        driver = self.driver
        whole = any(delta.force != Force.NONE for delta in plan.deltas)  # a forced close is
        bar = driver.trade(plan.tick, driver.position_lots + plan.order_lots, parts, attempt=attempt, insist=whole)
        self._order, self._look = bar.order, bar.look
        if bar.order is None:
            raise ExchangeError(
                f"the order of tick {plan.tick} was not sent: trading is {driver.gate.state.value}",
                hint="the order chain says why",
            )
        return bar.order.client_id, self._proved(bar.order)

    def prove(self, plan: RoundPlan) -> Sequence[VenueTrade]:
        """Ask on until it is proved what became of the round's order.

        Raises:
            ExchangeError: when it cannot be proved.
        """
        assert self._order is not None  # noqa: S101 - `take` was called
        life = self._order = self.driver.truth.settle(self._order.client_id)
        trades = self._proved(life)
        if trades is None:
            raise ExchangeError(
                f"the order of tick {plan.tick}, {life.client_id}, is not proved: {life.state.value}",
                hint="nothing is shared out and nothing is sent; ask the exchange for it by hand",
            )
        return trades

    def funding(self, tick: int) -> FundingBill | None:  # noqa: ARG002 - the port's
        """Funding that was billed since it was asked for last, as price, rate and change of the balance."""
        look = self.driver.look()
        if look is None or look.funding is None or look.funding == self._funded:
            return None
        change, self._funded = look.funding - self._funded, look.funding
        position = self._position()
        lots, mark = (0, None) if position is None else (position.lots, position.mark_price)
        if not lots or mark is None:  # closed since: nobody's share can be told, and the house bears it
            return FundingBill(Decimal(1), Decimal(0), change)
        with_rounding = Context(prec=RATE_DIGITS, rounding=ROUND_HALF_EVEN)
        worth = lots * self.driver.instrument.base_per_lot * mark
        return FundingBill(mark, with_rounding.divide(-change, worth), change)

    def truth(self) -> VenueTruth:
        """Position and equity as the exchange says them now.

        Raises:
            ExchangeError: when it does not answer.
        """
        driver = self.driver
        position = self._position()
        balance = patiently(lambda: driver.port.balance(driver.plan.currency), driver.pause)
        if position is None or position.lots == 0:
            return VenueTruth(lots=0, equity=balance.equity, mark=Decimal(1), equity_tolerance=self.equity_tolerance)
        return VenueTruth(
            lots=position.lots, equity=balance.equity, mark=position.mark_price, equity_tolerance=self.equity_tolerance
        )

    def _position(self) -> Position | None:
        driver = self.driver
        there = patiently(driver.port.positions, driver.pause)
        self.seen = next((one for one in there if one.inst_id == driver.plan.inst_id), None)
        self.seen_in = self.last_call()
        return self.seen

    def _proved(self, life: OrderLife) -> Sequence[VenueTrade] | None:
        """The fills of an order that ended; None while its end is not proved, or nothing proves that it did nothing."""
        if life.state.is_open or life.ending is Ending.NO_POSITION_EFFECT:
            return None
        return [
            VenueTrade(trade_id, one["lots"], one["price_ticks"], Decimal(one["fee"]))
            for trade_id, one in life.fills.items()
        ]
