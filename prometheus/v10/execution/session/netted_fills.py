"""Fills from one account at an exchange: every moment's wishes become one net order, and its fills are shared out.

This joins the session to netting. Who talks to the exchange is a `VenueDesk`. Each moment at which agents trade (an
open, forced closes, a review) is a round, is checked against the seven invariants and recorded; a bar without wishes
has its round too. A round that breaks an invariant is recorded, and then nothing goes on; so is one that leaves open a
close that must be whole, and one after which the exchange does not say what it holds.

The core keeps its accounts in floating point; the exact ones are in the `NettedAccount`. `mirror_gap` says how far the
two are apart. The core's reserve, by which it collapses, holds nothing of what netting saves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple, Protocol

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.core import exchange
from prometheus.v10.core.state import by_slot
from prometheus.v10.core.world import Experiment
from prometheus.v10.execution.netting.net_round import RoundPlan, RoundResult
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_invariants import AgentLimits, VenueTruth, invariants_of
from prometheus.v10.execution.netting.netting_record import NettingRound, settled_record, unproved_record
from prometheus.v10.execution.netting.netting_terms import CENT_FRACTION, Force, SentOrder, Touch
from prometheus.v10.execution.ports.exchange_errors import EmptyBookError
from prometheus.v10.execution.session.fills_port import AgentFill, AgentOrder, FundingRate, Opening, Succession

FORCE = {
    exchange.LIQUIDATION: Force.LIQUIDATION,
    exchange.REVIEW_FLATTEN: Force.REVIEW,
    exchange.SETTLEMENT: Force.STOP,
}


class FundingBill(NamedTuple):
    """A funding bill: USDT mark price, rate, and USDT by which it moved the account."""

    price: Decimal
    rate: Decimal
    balance_change: Decimal


class VenueDesk(Protocol):
    """Who talks to the exchange for one account and instrument."""

    def touch(self, tick: int) -> Touch:
        """The book now, recorded before anything is sent."""
        ...

    def take(self, plan: RoundPlan) -> Sequence[SentOrder]:
        """Send the plan's order, and further ones for what a forced close still lacks; at least one.

        Only the last may not be proved.
        """
        ...

    def prove(self, plan: RoundPlan) -> Sequence[SentOrder]:
        """Ask until it is proved what became of the last order that was sent; raises when it cannot be."""
        ...

    def left_open(self, tick: int, lots: int, orders: int) -> None:
        """Latch that a close that must be whole leaves so many lots open, after so many orders."""
        ...

    def billed_within(self) -> FundingBill | None:
        """Funding that was billed while the last round's orders were sent; None when there was none."""
        ...

    def funding(self, tick: int) -> FundingBill | None:
        """The bill that fell due within the bar; None when there was none."""
        ...

    def truth(self) -> VenueTruth:
        """What the exchange says of position and equity now."""
        ...


class NettedFills:
    """A `Fills` on one account. ``record`` is given each round's line, before anything else happens."""

    def __init__(
        self, instrument: str, account: NettedAccount, desk: VenueDesk, record: Callable[[NettingRound], None],
        limits: AgentLimits,
    ) -> None:  # fmt: skip
        self.instrument, self.account, self.desk, self.record, self.limits = instrument, account, desk, record, limits

    def at_open(self, tick: int, orders: Sequence[AgentOrder]) -> Opening:
        """One round of what was decided at the last close."""
        touch = self.desk.touch(tick)
        return Opening(_middle(self.account, touch), self._round(tick, touch, orders))

    def funding(self, tick: int) -> FundingRate | None:
        """Share the exchange's bill; the core books the same shares by the same price and rate."""
        bill = self.desk.funding(tick)
        if bill is None:
            return None
        self.account.fund(*bill)
        return FundingRate(float(bill.price), float(bill.rate))

    def forced(self, tick: int, orders: Sequence[AgentOrder]) -> list[AgentFill]:
        """One round of the positions whose margin gave out."""
        return self._closing(tick, orders)

    def flat(self, tick: int, orders: Sequence[AgentOrder]) -> list[AgentFill]:
        """One round that closes everything."""
        return self._closing(tick, orders)

    def succession(self, tick: int, change: Succession) -> None:  # noqa: ARG002 - the port's
        """Follow deaths and births: what the dead leave goes to the reserve, a child gets its half."""
        for agent in change.dead:
            self.account.bury(agent)
        for parent, child, stake in change.born:
            self.account.move(parent, child, Decimal(stake).quantize(CENT_FRACTION, rounding=ROUND_FLOOR))

    def _closing(self, tick: int, orders: Sequence[AgentOrder]) -> list[AgentFill]:
        try:
            touch = self.desk.touch(tick)
        except EmptyBookError:
            self.desk.left_open(tick, sum(abs(order.lots) for order in orders), 0)
            raise
        return self._round(tick, touch, orders)

    def _round(self, tick: int, touch: Touch, orders: Sequence[AgentOrder]) -> list[AgentFill]:
        account = self.account
        wishes = {order.agent: (order.lots, int(FORCE.get(order.kind, Force.NONE))) for order in orders}
        plan = account.open_round(tick, touch, wishes)
        sent = self._sent(plan) if plan.order_lots else ()
        result = account.settle([trade for one in sent for trade in one.trades or ()])
        if len(sent) > 1 and (bill := self.desk.billed_within()) is not None:
            account.fund(*bill)
        truth, silent = self._truth()
        found = invariants_of(account, result, truth, self.limits)
        self.record(settled_record(self.instrument, sent, account, result, found))
        if result.unclosed:
            self.desk.left_open(tick, result.unclosed, len(sent))
        if silent is not None:
            raise silent
        if broken := [f"{one.name} by {one.residual}" for one in found if not one.holds]:
            raise ExchangeError(
                f"the round of tick {tick} breaks {', '.join(broken)}",
                hint="stop trading, and reconcile the account with the exchange's own record",
            )
        if result.unclosed:
            raise ExchangeError(
                f"the close of tick {tick} must be whole, and leaves {result.unclosed} lots open",
                hint="the next start closes what is left; look at the book of the instrument before it",
            )
        return self._fills(result, touch, orders)

    def _sent(self, plan: RoundPlan) -> Sequence[SentOrder]:
        sent = self.desk.take(plan)
        if sent[-1].trades is None:
            self.record(unproved_record(self.instrument, sent, self.account, plan))
            sent = self.desk.prove(plan)
        return sent

    def _truth(self) -> tuple[VenueTruth, ExchangeError | None]:
        """What the exchange says after a round; nothing, and why, where it does not say it."""
        try:
            return self.desk.truth(), None
        except ExchangeError as error:
            return VenueTruth(), error

    def _fills(self, result: RoundResult, touch: Touch, orders: Sequence[AgentOrder]) -> list[AgentFill]:
        """Shares as the core books them: floating point, from exact money."""
        contract = self.account.contract
        middle, rate = _middle(self.account, touch), float(contract.taker_rate)
        reference = touch.ask if result.plan.order_lots > 0 else touch.bid
        impact = abs(float(result.prices.mean / reference) - 1.0) if result.filled else 0.0
        shares = {share.agent: share for share in result.shares}
        fills = []
        for order in orders:
            share, wanted = shares[order.agent], abs(order.lots)
            if not share.lots:
                fills.append(AgentFill(order.agent, wanted, 0, 0.0, middle, 0.0, rate, 0.0, 0.0))
                continue
            lots = abs(share.lots)
            price = float(contract.tick) * share.notional / lots
            slippage = abs(price - middle) * lots * float(contract.lot_btc)
            fee = float(share.fee)
            fills.append(AgentFill(order.agent, wanted, lots, price, middle, fee, rate, impact, slippage))
        return fills


def mirror_gap(experiment: Experiment, account: NettedAccount) -> float:
    """The largest difference, in USDT, between what the core says an agent's cash is and what it is exactly."""
    agents = experiment.agents
    alive, cash = by_slot(agents.nets["alive"]), by_slot(agents.accounts["cash"])
    return max(
        (
            abs(float(account.accounts[int(agents.genome_index[slot])].cash(account.contract)) - float(cash[slot]))
            for slot in alive.nonzero()[0]
        ),
        default=0.0,
    )


def _middle(account: NettedAccount, touch: Touch) -> float:
    return float(account.contract.tick) * (touch.bid + touch.ask) / 2
