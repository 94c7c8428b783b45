"""How many agents an account's equity founds, and with how much.

Rule and example are those of the recorded demo start of stage C3.1: a share of the equity, 80 %, is meant for agents,
at 1 000 USDT each; what does not make a whole agent stays in the reserve. There 115 411.43 USDT gave 92 agents with
92 000 USDT and a reserve of 23 411.43. Least and most agents bound the count, and the record says when they did.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from attrs import frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.execution.netting.netting_terms import exactly

RATIO = Decimal("0.8")
STAKE = Decimal(1000)


@frozen(kw_only=True)
class Bootstrap:
    """The allotment of an account's equity; money is USDT. ``rule`` says whether a bound set the count."""

    equity: Decimal
    target: Decimal
    stake: Decimal
    agents: int
    rule: str
    allocated: Decimal
    reserve: Decimal


def bootstrap_of(
    equity: Decimal, *, ratio: Decimal = RATIO, stake: Decimal = STAKE, least: int = 1, most: int = 10_000
) -> Bootstrap:
    """Allot an equity.

    Args:
        equity: USDT, read after the account was flattened.
        ratio: share of it that is meant for agents, above 0 and at most 1.
        stake: USDT of one agent.
        least: fewest agents.
        most: largest number of agents.

    Raises:
        ConfigError: when the equity does not pay for the fewest agents, or a number makes no sense.
    """
    if not (0 < ratio <= 1 and stake > 0 and 1 <= least <= most):
        raise ConfigError(
            f"no bootstrap with ratio {ratio}, stake {stake}, agents {least} to {most}",
            hint="the ratio is above 0 and at most 1, the stake positive, and the fewest agents not above the most",
        )
    with exactly():
        target = equity * ratio
        wanted = int((target // stake).to_integral_value(rounding=ROUND_FLOOR)) if target > 0 else 0
        agents = min(max(wanted, least), most)
        rule = "equity" if agents == wanted else "least" if agents == least and wanted < least else "most"
        allocated = agents * stake
        if allocated >= equity:
            raise ConfigError(
                f"{equity} USDT do not found {agents} agents of {stake} USDT and leave a reserve",
                hint="fund the account, or lower the stake or the fewest agents",
            )
        return Bootstrap(
            equity=equity, target=target, stake=stake, agents=agents, rule=rule, allocated=allocated,
            reserve=equity - allocated,
        )  # fmt: skip
