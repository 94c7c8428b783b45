"""Deaths of a run: when and of what, and how long agents live. Standard library only.

* Deaths of a period are those between two reviews and at the review that ends it.
* Of the buried that had never bred, each belongs to one class: it never traded; it would have passed the review without
  costs; it lost before costs. Only of them is the last period the whole life, so that costs and returns are of it.
* Survival by age is the product-limit curve of Kaplan and Meier with ties as they are, founders and born apart; who
  lives at the end is censored at its age. The band is the 95 % interval on the log-log scale (Greenwood's variance).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from attrs import frozen

from prometheus.v10.report.pages.run_read import Death, RunRead

REVIEW, DEPLETED, LIQUIDATION = "quarterly_review", "capital_depleted", "liquidation"
REASONS = (REVIEW, LIQUIDATION, DEPLETED)
MOST_PERIODS = 32
MOST_AGES = 96
Z_95 = 1.959963984540054


@frozen
class Period:
    """Some reviews: the number of the first and of the last, who was alive before them, and deaths by reason."""

    first: int
    last: int
    alive: int
    deaths: dict[str, int]


@frozen
class Buried:
    """Those whom a review removed and who had never bred, by class."""

    count: int
    never_traded: int
    by_costs: int
    before_costs: int


@frozen
class Curve:
    """Survival by age: at each age in ticks the share that lives on, with its 95 % band."""

    count: int
    ages: tuple[int, ...]
    share: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


def periods(run: RunRead) -> list[Period]:
    """Deaths review by review, over all experiments; where there are many reviews, some are taken together."""
    every = run.world("review_ticks")
    if type(every) is not int or every < 1 or not run.rows:
        return []
    count = max((int(row["ticks"]) + every - 1) // every for row in run.rows)
    together = -(-count // MOST_PERIODS)
    of_period: dict[int, Counter[str]] = {}
    for one in run.deaths:
        of_period.setdefault(one.tick // (every * together), Counter())[one.reason] += 1
    born = Counter(one.tick // (every * together) for one in run.births)
    alive = sum(int(row["founders"]) for row in run.rows)
    found = []
    for place in range(-(-count // together)):
        deaths = of_period.get(place, Counter())
        first, last = place * together + 1, min(count, (place + 1) * together)
        found.append(Period(first, last, alive, {reason: deaths[reason] for reason in REASONS}))
        alive += born[place] - sum(deaths.values())
    return found


def buried(run: RunRead) -> Buried | None:
    """Why reviews removed those who had never bred; None where they removed none of them."""
    least = run.world("death_roi")
    whole = [one for one in run.deaths if one.reason == REVIEW and one.roi == one.roi_period and one.initial > 0]
    if not whole or not isinstance(least, int | float):
        return None
    classes = Counter(_class(one, float(least)) for one in whole)
    return Buried(len(whole), classes["never"], classes["costs"], classes["before"])


def _class(one: Death, least: float) -> str:
    if one.trades == 0:
        return "never"
    return "costs" if one.roi + one.costs / one.initial >= least else "before"


def sides(run: RunRead) -> Counter[str]:
    """Liquidations by the side of the position."""
    return Counter(str(one.side) for one in run.deaths if one.reason == LIQUIDATION)


def survival(run: RunRead, *, founders: bool) -> Curve | None:
    """Survival by age of founders, or of those who were born; None where there are none."""
    died = [one.age for one in run.deaths if (one.born < 0) == founders]
    living = [one.age for one in run.survivors if (one.born < 0) == founders]
    if not died and not living:
        return None
    events, gone = Counter(died), Counter(died) + Counter(living)
    at_risk, share, spread = len(died) + len(living), 1.0, 0.0
    steps: list[tuple[int, float, float, float]] = [(0, 1.0, 1.0, 1.0)]
    for age in sorted(gone):
        deaths = events[age]
        if deaths:
            share *= 1.0 - deaths / at_risk
            spread += deaths / (at_risk * (at_risk - deaths)) if at_risk > deaths else 0.0
            steps.append((age, share, *_band(share, spread)))
        at_risk -= gone[age]
    last = max(gone)
    if steps[-1][0] < last:
        steps.append((last, *steps[-1][1:]))
    columns = tuple(zip(*_thinned(steps), strict=True))
    return Curve(len(died) + len(living), *columns)


def _band(share: float, spread: float) -> tuple[float, float]:
    if not 0.0 < share < 1.0:
        return share, share
    log = math.log(share)
    turn = math.exp(Z_95 * math.sqrt(spread) / abs(log)) if spread / log**2 < 1e4 else math.inf
    return share**turn, share ** (1.0 / turn)


def _thinned(steps: Sequence[tuple[int, float, float, float]]) -> list[tuple[int, float, float, float]]:
    """At most about `MOST_AGES` steps: those at which the curve has fallen far enough to be seen, and the ends."""
    if len(steps) <= MOST_AGES:
        return list(steps)
    found, floor = [steps[0]], steps[-1][1]
    least = (1.0 - floor) / MOST_AGES
    for before, step in pairwise(steps):
        if found[-1][1] - step[1] >= least:
            if before[0] > found[-1][0]:
                found.append(before)
            found.append(step)
    if found[-1][0] < steps[-1][0]:
        found.append(steps[-1])
    return found
