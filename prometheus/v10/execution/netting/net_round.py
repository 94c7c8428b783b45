"""One round: the wishes of a bar become one net order, and what came of it becomes shares.

`plan_round` says what to send. A close that must be whole may take several orders, one after the other: their fills
together are the net order's. `settle_round` takes the fills, which the exchange's own record has proved, and says
what every agent traded, paid and was charged, and what the house keeps. Both are functions: the same input in any order
gives the same bytes.

Money is rounded against the agent: what it pays up, what it gets down, to a whole quantum. The difference is the
house's ``rounding``, less than one quantum an agent (and one for the spread).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from attrs import frozen

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.execution.netting.allocation import allocate
from prometheus.v10.execution.netting.crossing import Prices, Sides, prices_of, sides_of
from prometheus.v10.execution.netting.netting_terms import Contract, Delta, Force, Touch, VenueTrade, exactly


@frozen(kw_only=True)
class RoundPlan:
    """What a bar's wishes come to.

    Attributes:
        deltas: in ascending order of agents.
        order_lots: signed lots of the net order to send; 0 when none is.
        deferred: the net order would be below the smallest: nothing is sent, nothing is crossed, all wishes are left.
    """

    run_id: str
    tick: int
    contract: Contract
    touch: Touch
    deltas: tuple[Delta, ...]
    sides: Sides
    order_lots: int
    deferred: bool


class AgentShare(NamedTuple):
    """What one agent got of a round: signed lots, notional in quanta (paid or received), and the fee in USDT."""

    agent: int
    lots: int
    notional: int
    fee: Decimal


@frozen(kw_only=True)
class RoundResult:
    """A settled round. ``spread`` and ``rounding`` are quanta, the rest of the money is USDT.

    Attributes:
        filled: lots of the order that were filled, unsigned.
        shares: one an agent that wanted something, in ascending order of agents.
        spread: whole quanta between what crossed buyers paid and crossed sellers got.
        rounding: quanta that the house keeps because shares are whole.
        fees: what the agents were charged.
        fee_due: what the exchange's fills cost at the contract's rate.
        fee_paid: what the exchange charged.
        surplus: the spread, and the fees that crossing saved.
    """

    plan: RoundPlan
    trades: tuple[VenueTrade, ...]
    filled: int
    prices: Prices
    shares: tuple[AgentShare, ...]
    spread: int
    rounding: int
    fees: Decimal
    fee_due: Decimal
    fee_paid: Decimal
    surplus: Decimal

    @property
    def left(self) -> int:
        """Signed lots of the net order that were not filled."""
        lots = self.plan.order_lots
        return lots - self.filled if lots > 0 else lots + self.filled

    @property
    def unclosed(self) -> int:
        """Lots, unsigned, that forced closes wanted and did not get: 0 when each is whole."""
        got = {share.agent: share.lots for share in self.shares}
        return sum(abs(one.lots - got[one.agent]) for one in self.plan.deltas if one.force != Force.NONE)

    @property
    def fee_difference(self) -> Decimal:
        """USDT by which the exchange charged less than its rate says; not 0 where it rounds, or has another rate."""
        with exactly():
            return self.fee_due - self.fee_paid

    @property
    def allocation_sha256(self) -> str:
        """Hash of who got what: one line an agent, its lots and its notional."""
        return hashed(f"{share.agent} {share.lots} {share.notional}" for share in self.shares)


def hashed(lines: Iterable[str]) -> str:
    """sha256, in hexadecimal, of lines, each ended by a newline."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("ascii")).hexdigest()


def deltas_sha256(deltas: Iterable[Delta]) -> str:
    """Hash of the wishes: one line an agent in ascending order: agent, held, lots, force."""
    return hashed(f"{one.agent} {one.held} {one.lots} {int(one.force)}" for one in deltas)


def plan_round(run_id: str, tick: int, contract: Contract, touch: Touch, deltas: Iterable[Delta]) -> RoundPlan:
    """The order that a bar's wishes come to. Wishes for nothing are left out.

    Raises:
        ValueError: for an agent with two wishes, or a forced one that does not close what it holds.
    """
    wishes = tuple(sorted(delta for delta in deltas if delta.lots))
    for before, after in pairwise(wishes):
        if before.agent == after.agent:
            raise ValueError(f"agent {after.agent} has two wishes in one round")
    for delta in wishes:
        if delta.force != Force.NONE and not (delta.lots * delta.held < 0 and abs(delta.lots) <= abs(delta.held)):
            raise ValueError(f"agent {delta.agent} is forced to trade {delta.lots} of the {delta.held} lots it holds")
    sides = sides_of(wishes)
    deferred = 0 < abs(sides.net) < contract.min_lots
    return RoundPlan(
        run_id=run_id, tick=tick, contract=contract, touch=touch, deltas=wishes, sides=sides,
        order_lots=0 if deferred else sides.net, deferred=deferred,
    )  # fmt: skip


def settle_round(plan: RoundPlan, trades: Sequence[VenueTrade]) -> RoundResult:
    """What came of a round whose orders are known to have been filled by ``trades``, and by no others.

    Raises:
        ExchangeError: when the trades cannot be this order's: more lots than it had, an id twice, a price of nothing.
    """
    trades = tuple(sorted(trades))
    filled = _look_at(plan, trades)
    prices = prices_of(plan.order_lots, plan.touch, trades)
    if plan.deferred:
        lots = {delta.agent: 0 for delta in plan.deltas}
    else:
        lots = allocate(plan.run_id, plan.tick, plan.deltas, plan.sides, filled)
    crossed = 0 if plan.deferred else plan.sides.crossed
    with exactly():
        shares = tuple(_share(agent, got, prices, plan.contract) for agent, got in lots.items())
        paid = sum(share.notional for share in shares if share.lots > 0)
        received = sum(share.notional for share in shares if share.lots < 0)
        outside = sum(trade.lots * trade.price for trade in trades)
        gain = paid - received - (outside if plan.order_lots > 0 else -outside)
        spread = _floor(crossed * (prices.buy - prices.sell))
        fees = sum((share.fee for share in shares), Decimal(0))
        fee_due = plan.contract.taker_rate * outside * plan.contract.quantum
        return RoundResult(
            plan=plan, trades=trades, filled=filled, prices=prices, shares=shares, spread=spread,
            rounding=gain - spread, fees=fees, fee_due=fee_due,
            fee_paid=-sum((trade.fee for trade in trades), Decimal(0)),
            surplus=spread * plan.contract.quantum + fees - fee_due,
        )  # fmt: skip


def _look_at(plan: RoundPlan, trades: Sequence[VenueTrade]) -> int:
    filled = sum(trade.lots for trade in trades)
    where = f"the order of tick {plan.tick} for {plan.order_lots} lots"
    if filled > abs(plan.order_lots):
        raise ExchangeError(f"{where} was filled with {filled}", hint="stop trading and reconcile the account")
    if len({trade.trade_id for trade in trades}) != len(trades):
        raise ExchangeError(f"{where} has a trade twice", hint="give each trade once, by its id")
    if any(trade.lots < 1 or trade.price < 1 for trade in trades):
        raise ExchangeError(f"{where} has a trade without lots or price", hint="read the fills again")
    return filled


def _share(agent: int, lots: int, prices: Prices, contract: Contract) -> AgentShare:
    """An agent pays a started quantum and gets no started one; its fee is on the started one, whichever its side."""
    price = prices.buy if lots > 0 else prices.sell
    whole, rest = divmod(abs(lots) * price.numerator, price.denominator)
    above = whole + (rest > 0)
    fee = contract.taker_rate * above * contract.quantum
    return AgentShare(agent, lots, above if lots > 0 else whole, fee)


def _floor(value: Fraction) -> int:
    return value.numerator // value.denominator
