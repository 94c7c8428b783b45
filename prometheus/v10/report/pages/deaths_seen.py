"""Deaths of a run: when and of what, and how long agents live. Standard library only.

* Deaths of a period are those between two reviews and at the review that ends it.
* Of the buried that had never bred, each belongs to one class: it never traded; it would have passed the review without
  costs; it lost before costs. Only of them is the last period the whole life, so that costs and returns are of it.
* Survival by age (`prometheus.v10.report.survival_curve`) is shown of founders and of the born apart; who lives at the
  end is censored at its age.
"""

from __future__ import annotations

from collections import Counter

from attrs import frozen

from prometheus.v10.report.pages.run_read import Death, RunRead
from prometheus.v10.report.survival_curve import Curve, kaplan_meier

REVIEW, DEPLETED, LIQUIDATION = "quarterly_review", "capital_depleted", "liquidation"
REASONS = (REVIEW, LIQUIDATION, DEPLETED)
MOST_PERIODS = 32


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
    return kaplan_meier(died, living)
