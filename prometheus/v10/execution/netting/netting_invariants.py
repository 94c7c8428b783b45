"""Seven invariants of netting, checked after every round. Each is a residual beside its tolerance.

| name | residual | tolerance |
|---|---|---|
| ``position`` | lots: the agents' and the house's, less the exchange's | 0, or 1 while a fill is unconfirmed |
| ``trades`` | lots: allocated less filled, and trades that came twice | 0 |
| ``money`` | USDT: what agents and house moved, less what the exchange did | 1e-8 |
| ``price`` | agents that traded better than the exchange, and 1 where a surplus is negative | 0 |
| ``equity`` | USDT: agents' equity and reserve, less the exchange's | stated by the caller |
| ``order`` | 1 where the agents in reverse order would have got another allocation | 0 |
| ``limits`` | agents beyond a limit, and lots of sum |delta| - (2 X + |N|) | 0 |
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from attrs import frozen

from prometheus.v10.execution.netting.agent_accounts import ZERO
from prometheus.v10.execution.netting.allocation import allocate
from prometheus.v10.execution.netting.net_round import RoundResult
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_terms import CENT_FRACTION, exactly

NAMES = ("position", "trades", "money", "price", "equity", "order", "limits")
NOT_ASKED = "the exchange was not asked at this round"


@frozen(kw_only=True)
class VenueTruth:
    """What the exchange itself says after a round; None where it was not asked.

    Attributes:
        lots: signed position.
        equity: USDT equity of the account; ``mark`` is the price, in USDT, that it was valued at.
        equity_tolerance: USDT, stated in advance.
        unconfirmed: a fill is known that the position may not show yet.
    """

    lots: int | None = None
    equity: Decimal | None = None
    mark: Decimal | None = None
    equity_tolerance: Decimal = CENT_FRACTION
    unconfirmed: bool = False


@frozen(kw_only=True)
class AgentLimits:
    """Limits of the world on one agent; None: the world has none."""

    most_lots: int | None = None
    leverage: Decimal | None = None


class Invariant(NamedTuple):
    """One invariant: its residual is None where it could not be asked."""

    name: str
    residual: Decimal | None
    tolerance: Decimal

    @property
    def holds(self) -> bool:
        """Whether the residual is known and within its tolerance; what was not asked does not fail."""
        return self.residual is None or abs(self.residual) <= self.tolerance


def invariants_of(
    account: NettedAccount, result: RoundResult, truth: VenueTruth, limits: AgentLimits
) -> tuple[Invariant, ...]:
    """The seven, in the order of `NAMES`, after ``result`` was booked in ``account``."""
    with exactly():
        equity, tolerance = _equity(account, truth), truth.equity_tolerance
        return (
            Invariant("position", _position(account, truth), Decimal(1 if truth.unconfirmed else 0)),
            Invariant("trades", _trades(result), ZERO),
            Invariant("money", _money(account), CENT_FRACTION),
            Invariant("price", _price(result), ZERO),
            Invariant("equity", equity, tolerance),
            Invariant("order", _order(result), ZERO),
            Invariant("limits", _limits(account, result, limits), ZERO),
        )


def _position(account: NettedAccount, truth: VenueTruth) -> Decimal:
    """Without the exchange's word, its own trades stand for its position."""
    lots = sum(one.lots for one in account.accounts.values())
    return Decimal(lots - (account.venue_lots if truth.lots is None else truth.lots))


def _trades(result: RoundResult) -> Decimal:
    got = sum(share.lots for share in result.shares)
    filled = sum(trade.lots for trade in result.trades)
    twice = len(result.trades) - len({trade.trade_id for trade in result.trades})
    return Decimal(abs(got - (filled if result.plan.order_lots > 0 else -filled)) + twice)


def _money(account: NettedAccount) -> Decimal:
    """Flows of trading in quanta, and charges in USDT: everybody's together are the exchange's."""
    contract, house, agents = account.contract, account.house, account.accounts.values()
    flow = sum(one.flow for one in agents) * contract.quantum
    charges = sum((one.fees + one.funding + one.penalty for one in agents), ZERO)
    kept = house.surplus + house.rounding * contract.quantum
    kept += house.fee_difference + house.funding_rounding + house.penalty_rounding
    moved = flow - charges + kept
    apart = sum(not one.agrees for one in agents)
    return moved - (account.venue_flow * contract.quantum - account.venue_charges) + apart


def _price(result: RoundResult) -> Decimal:
    """How many bought below both the order's mean and the ask, or sold above both its mean and the bid."""
    prices, touch = result.prices, result.plan.touch
    least, most = min(prices.mean, Fraction(touch.ask)), max(prices.mean, Fraction(touch.bid))
    better = sum(
        share.notional < share.lots * least if share.lots > 0 else share.notional > -share.lots * most
        for share in result.shares
    )
    return Decimal(better + (result.surplus < 0) + (result.rounding < 0))


def _equity(account: NettedAccount, truth: VenueTruth) -> Decimal | None:
    if truth.equity is None or truth.mark is None:
        return None
    agents = sum((one.equity(account.contract, truth.mark) for one in account.accounts.values()), ZERO)
    return agents + account.house.reserve(account.contract, with_surplus=True) - truth.equity


def _order(result: RoundResult) -> Decimal:
    plan = result.plan
    if plan.deferred:
        return Decimal(any(share.lots for share in result.shares))
    again = allocate(plan.run_id, plan.tick, reversed(plan.deltas), plan.sides, result.filled)
    return Decimal(again != {share.agent: share.lots for share in result.shares})


def _limits(account: NettedAccount, result: RoundResult, limits: AgentLimits) -> Decimal:
    sides, contract = result.plan.sides, account.contract
    wanted = sum(abs(delta.lots) for delta in result.plan.deltas)
    beyond = abs(wanted - (2 * sides.crossed + abs(sides.net)))
    price = Decimal(result.plan.touch.ask) * contract.tick * contract.lot_btc
    for share in result.shares:
        one = account.accounts[share.agent]
        if limits.most_lots is not None and abs(one.lots) > limits.most_lots:
            beyond += 1
        elif limits.leverage is not None and one.lots * share.lots > 0:
            beyond += abs(one.lots) * price > limits.leverage * one.equity(contract, price / contract.lot_btc)
    return Decimal(beyond)
