"""The desk of a netted population: a round's net order goes through the chain, and comes back as proved fills.

`session.netted_fills` asks it as a `VenueDesk`; `trading.bar_driver` does the rest: durable before it is sent, sent
once, asked for until it is proved, reconciled. Nothing here guesses: a round whose order is not proved is not shared
out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from attrs import define, field

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.execution.netting.net_round import RoundPlan
from prometheus.v10.execution.netting.netting_invariants import VenueTruth
from prometheus.v10.execution.netting.netting_terms import Contract, Force, SentOrder, Touch, VenueTrade
from prometheus.v10.execution.orders.order_states import Ending, OrderLife
from prometheus.v10.execution.ports.account_facts import FeeRate, Position
from prometheus.v10.execution.ports.contract_units import Instrument, TopOfBook
from prometheus.v10.execution.ports.exchange_errors import EmptyBookError
from prometheus.v10.execution.session.netted_fills import FundingBill
from prometheus.v10.execution.trading.bar_driver import AGAIN_S, BarDriver
from prometheus.v10.execution.truth.asking_again import patiently
from prometheus.v10.execution.truth.reconciliation import Look
from prometheus.v10.execution.truth.stop_reasons import Reason

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
    _sent: int = field(default=0, init=False)  # orders of the chain before the round's
    _ended: ExchangeError | None = field(default=None, init=False)  # what cut a round short: nothing is asked after it
    _look: Look | None = field(default=None, init=False)
    _funded: Decimal = field(default=Decimal(0), init=False)

    def touch(self, tick: int) -> Touch:  # noqa: ARG002 - the port's
        """The best prices now, and the hash of what the exchange said of them. A book that is empty is waited for.

        Raises:
            EmptyBookError: when it stays empty for as long as a close is asked for.
            ExchangeError: when there is no answer.
        """
        book = self._book()
        said = {"inst_id": book.inst_id, "ts_ms": book.ts_ms, "bid": [book.bid_ticks, book.bid_lots],
                "ask": [book.ask_ticks, book.ask_lots]}  # fmt: skip
        return Touch(
            bid=book.bid_ticks, ask=book.ask_ticks, book_sha256=hashlib.sha256(canonical_bytes(said)).hexdigest()
        )

    def _book(self) -> TopOfBook:
        driver = self.driver
        for pause in AGAIN_S:
            try:
                return patiently(lambda: driver.port.top_of_book(driver.plan.inst_id), driver.pause)
            except EmptyBookError:
                driver.pause(pause)
        return patiently(lambda: driver.port.top_of_book(driver.plan.inst_id), driver.pause)

    def take(self, plan: RoundPlan) -> list[SentOrder]:
        """Send the round's order once, and say what came of it; the last one's fills are None while not proved.

        A forced close goes on with a new order for what is left (`BarDriver.trade`): what was filled in part, and what
        is proved to have done nothing (funding is being settled, a limit of the exchange, no connection).

        Raises:
            ExchangeError: when nothing was sent, because trading is halted or the instrument is not live.
            HostError: when the disk refuses.
        """
        attempt, self._rounds[plan.tick] = self._rounds[plan.tick], self._rounds[plan.tick] + 1
        parts = [(f"a{delta.agent}", delta.lots) for delta in plan.deltas]
        driver = self.driver
        whole = any(delta.force != Force.NONE for delta in plan.deltas)  # a forced close is
        self._sent = len(driver.chain.states.orders)
        try:
            bar = driver.trade(plan.tick, driver.position_lots + plan.order_lots, parts, attempt=attempt, insist=whole)
            self._look = bar.look
        except ExchangeError as error:  # between two orders or questions: what the chain proves is shared out
            self._ended = error
        sent = self._of_the_round()
        if not sent:
            if whole:
                self.left_open(plan.tick, abs(plan.order_lots), 0)
            raise self._ended or ExchangeError(
                f"the order of tick {plan.tick} was not sent: trading is {driver.gate.state.value}",
                hint="the order chain says why",
            )
        return [_told(life) for life in sent]

    def prove(self, plan: RoundPlan) -> list[SentOrder]:
        """Ask on until it is proved what became of the round's last order; all orders of the round.

        Raises:
            ExchangeError: when it cannot be proved.
        """
        if self._ended is not None:
            raise self._ended
        life = self.driver.truth.settle(self._of_the_round()[-1].client_id)
        if _proved(life) is None:
            raise ExchangeError(
                f"the order of tick {plan.tick}, {life.client_id}, is not proved: {life.state.value}",
                hint="nothing is shared out and nothing is sent; ask the exchange for it by hand",
            )
        return [_told(one) for one in self._of_the_round()]

    def left_open(self, tick: int, lots: int, orders: int) -> None:
        """Latch that a close that must be whole is not: only what reduces the position may follow.

        Args:
            tick: of the close.
            lots: unsigned, that it left open.
            orders: how many it took.
        """
        what = f"the close of tick {tick} must be whole, and leaves {lots} lots open after {orders} orders"
        self.driver.gate.stop(Reason.CLOSE_INCOMPLETE, what)

    def billed_within(self) -> FundingBill | None:
        """Funding that was billed while the round's orders were sent.

        The agents' shares of the position are not known before the round is settled: the house bears it.
        """
        change = self._billed(self._look)
        return None if change is None else FundingBill(Decimal(1), Decimal(0), change)

    def _billed(self, look: Look | None) -> Decimal | None:
        """What funding moved the account by since it was asked for last; None when it did not."""
        if look is None or look.funding is None or look.funding == self._funded:
            return None
        change, self._funded = look.funding - self._funded, look.funding
        return change

    def _of_the_round(self) -> list[OrderLife]:
        return list(self.driver.chain.states.orders.values())[self._sent :]

    def funding(self, tick: int) -> FundingBill | None:  # noqa: ARG002 - the port's
        """Funding that was billed since it was asked for last, as price, rate and change of the balance."""
        change = self._billed(self.driver.look())
        if change is None:
            return None
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
        if self._ended is not None:
            raise self._ended
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


def _told(life: OrderLife) -> SentOrder:
    lots = life.intent["lots"] * (1 if life.intent["side"] == "buy" else -1)
    return SentOrder(life.client_id, lots, _proved(life))


def _proved(life: OrderLife) -> tuple[VenueTrade, ...] | None:
    """The fills of an order that ended; None while its end is not proved, or nothing proves that it did nothing."""
    if life.state.is_open or life.ending is Ending.NO_POSITION_EFFECT:
        return None
    return tuple(
        VenueTrade(trade_id, one["lots"], one["price_ticks"], Decimal(one["fee"]))
        for trade_id, one in life.fills.items()
    )
