"""What an instance wants of its account; every field is given by the profile, none has a default."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from attrs import frozen

from prometheus.v10.base.modes import Mode
from prometheus.v10.execution.ports.order_terms import MarginMode, StpMode

AGENT_MONEY: Final = Decimal(1000)
"""Settlement currency that each agent begins with."""
ALLOTTED_SHARE: Final = Decimal("0.8")
"""Of the equity that is allotted to agents; the rest is the reserve."""


@frozen(kw_only=True)
class AccountPlan:
    """See the module.

    Attributes:
        leverage: of the instrument; set and read back.
        clock_tolerance_ms: largest distance of this machine's clock from the exchange's.
        flatten_at_start: close positions that the account holds at the start; otherwise they refuse it.
        expire_after_ms: how long after its intent the exchange may still take an order.
        least_agents: fewer refuse the start.
        most_agents: more are not founded.
    """

    mode: Mode
    inst_id: str
    currency: str
    margin_mode: MarginMode
    leverage: Decimal
    stp_mode: StpMode
    tag: str
    clock_tolerance_ms: int
    flatten_at_start: bool
    expire_after_ms: int
    least_agents: int
    most_agents: int


@frozen(kw_only=True)
class Allotment:
    """How equity is divided at the start."""

    agents: int
    allotted: Decimal
    reserve: Decimal


def allotment(equity: Decimal, plan: AccountPlan) -> Allotment:
    """Agents of a thousand each from four fifths of the equity; the rest, remainder included, is the reserve.

    115 411.43 gives 92 agents, 92 000 allotted and 23 411.43 in reserve.
    """
    agents = min(int(equity * ALLOTTED_SHARE // AGENT_MONEY), plan.most_agents)
    allotted = AGENT_MONEY * agents
    return Allotment(agents=agents, allotted=allotted, reserve=equity - allotted)
