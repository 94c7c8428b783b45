"""What a session asks of whoever fills its orders, and what it is told: plain numbers, one row an agent.

A session decides as the simulated world does. Where that world fills orders by its own rules, a session asks a `Fills`.
Sizes are whole lots, signed by side: + buys, - sells. Money is USDT. Agents are named by their genome index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class AgentOrder(NamedTuple):
    """One agent's wish, and what its account holds when it is made.

    Attributes:
        agent: genome index.
        kind: of the core's log: ``exchange.ENTRY``, ``EXIT``, ``REVIEW_FLATTEN``, ``LIQUIDATION``, ``SETTLEMENT``.
        lots: signed, not 0.
        position: signed lots held.
        cash: USDT without unrealised profit.
        entry_price: USDT; without meaning when the position is 0.
    """

    agent: int
    kind: int
    lots: int
    position: int
    cash: float
    entry_price: float


class AgentFill(NamedTuple):
    """What became of one order.

    Attributes:
        agent: genome index, as in the order.
        allowed: lots of the order that margin allowed, unsigned; the order's own size where no margin rule cut it.
        filled: lots, unsigned, at most ``allowed``; 0 when nothing was filled.
        price: USDT of what was filled; 0 when nothing was.
        expected: USDT, what was known when the order was decided; the liquidation price for a forced close.
        fee: USDT charged.
        fee_rate: share of notional, by which a round trip's entry fee is judged when it is closed.
        impact: fraction by which the order moved the price against itself.
        slippage: USDT paid against the reference price.
    """

    agent: int
    allowed: int
    filled: int
    price: float
    expected: float
    fee: float
    fee_rate: float
    impact: float
    slippage: float


class Opening(NamedTuple):
    """The fills of one bar's orders, in the order in which they were asked for.

    Attributes:
        reference: USDT, the price at which a flat agent must be able to margin one lot, or it is depleted.
    """

    reference: float
    fills: Sequence[AgentFill]


class FundingRate(NamedTuple):
    """Funding that fell due within a bar: a position pays lots x lot x ``price`` x ``rate``."""

    price: float
    rate: float


class Succession(NamedTuple):
    """Who left and who came within a tick; the dead are flat, and what they leave or owe is the reserve's.

    Attributes:
        dead: genome indices.
        born: parent, child and the child's half of the parent's cash, USDT.
    """

    dead: Sequence[int]
    born: Sequence[tuple[int, int, float]]


class Fills(Protocol):
    """Whoever fills. An order whose outcome is unknown has none: the method raises until the outcome is proved."""

    def at_open(self, tick: int, orders: Sequence[AgentOrder]) -> Opening:
        """Fill what was decided at the close of ``tick`` - 1, all or part. Asked at every tick but the first."""
        ...

    def funding(self, tick: int) -> FundingRate | None:
        """What positions pay within the bar of ``tick``; None when no boundary lies in it."""
        ...

    def forced(self, tick: int, orders: Sequence[AgentOrder]) -> Sequence[AgentFill]:
        """Close, whole, the positions whose margin gave out within the bar of ``tick``."""
        ...

    def flat(self, tick: int, orders: Sequence[AgentOrder]) -> Sequence[AgentFill]:
        """Close, whole, every position at the close of ``tick``: for a review or at the end."""
        ...

    def succession(self, tick: int, change: Succession) -> None:
        """Hear of deaths and births, so that accounts kept elsewhere can follow."""
        ...
