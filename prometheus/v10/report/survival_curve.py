"""The product-limit curve of Kaplan and Meier with ties as they are, and its band. Standard library only.

Who is censored at a time was still at risk there. The band is the pointwise 95 % interval on the log-log scale, with
Greenwood's variance: J. D. Kalbfleisch and R. L. Prentice, The statistical analysis of failure time data, 1980.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from attrs import frozen

MOST_STEPS = 96
Z_95 = 1.959963984540054

Step = tuple[int, float, float, float]
"""A time, the share that lives on after it, and the bounds of that share."""


@frozen
class Curve:
    """The share that lives on after each time (ages or ticks), with its 95 % band; ``count`` lives were looked at."""

    count: int
    times: tuple[int, ...]
    share: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def steps(self) -> list[Step]:
        """Its steps one by one."""
        return list(zip(self.times, self.share, self.lower, self.upper, strict=True))


def kaplan_meier(ended: Sequence[int], censored: Sequence[int]) -> Curve:
    """The curve, thinned to about `MOST_STEPS` steps.

    Args:
        ended: when each life ended whose end was seen.
        censored: how long each of the others was watched; there is at least one life.
    """
    steps: list[Step] = [(0, 1.0, 1.0, 1.0), *product_limit(ended, censored)]
    last = max([*ended, *censored])
    if steps[-1][0] < last:
        steps.append((last, *steps[-1][1:]))
    columns = tuple(zip(*_thinned(steps), strict=True))
    return Curve(len(ended) + len(censored), *columns)


def product_limit(ended: Sequence[int], censored: Sequence[int]) -> list[Step]:
    """Each time at which a life ended, and the share that lives on after it; arguments as `kaplan_meier`."""
    events, gone = Counter(ended), Counter(ended) + Counter(censored)
    at_risk, share, spread = len(ended) + len(censored), 1.0, 0.0
    steps: list[Step] = []
    for time in sorted(gone):
        if deaths := events[time]:
            share *= (at_risk - deaths) / at_risk
            spread += deaths / (at_risk * (at_risk - deaths)) if at_risk > deaths else 0.0
            steps.append((time, share, *_band(share, spread)))
        at_risk -= gone[time]
    return steps


def _band(share: float, spread: float) -> tuple[float, float]:
    if not 0.0 < share < 1.0:
        return share, share
    log = math.log(share)
    turn = math.exp(Z_95 * math.sqrt(spread) / abs(log)) if spread / log**2 < 1e4 else math.inf
    return share**turn, share ** (1.0 / turn)


def _thinned(steps: Sequence[Step]) -> list[Step]:
    """At most about `MOST_STEPS` steps: those at which the curve has fallen far enough to be seen, and the ends."""
    if len(steps) <= MOST_STEPS:
        return list(steps)
    found, floor = [steps[0]], steps[-1][1]
    least = (1.0 - floor) / MOST_STEPS
    for before, step in pairwise(steps):
        if found[-1][1] - step[1] >= least:
            if before[0] > found[-1][0]:
                found.append(before)
            found.append(step)
    if found[-1][0] < steps[-1][0]:
        found.append(steps[-1])
    return found
