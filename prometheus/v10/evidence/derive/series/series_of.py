"""What an experiment's events make of its population at each moment. Standard library only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from typing import Any

from prometheus.v10.evidence.derive.book import Book
from prometheus.v10.evidence.derive.lines import REASONS
from prometheus.v10.evidence.records.series.life_table import ALIVE, Lived, life_table
from prometheus.v10.evidence.records.series.moments import moments_of

REVIEW, LIQUIDATION, DEPLETED = "quarterly_review", "liquidation", "capital_depleted"


def series_of(book: Book, ticks: int) -> dict[str, Any]:
    """Moments, living, births, deaths by reason, the reserve and the lives; empty where the run keeps no series.

    Args:
        book: of the experiment, closed.
        ticks: that it lived.
    """
    setting = book.setting
    if not setting.moments or not book.totals.whole:
        return {}
    moments = moments_of(setting.ticks, setting.review_ticks, setting.moments, max(ticks, 1))
    fallen: dict[str, list[int]] = {reason: [] for reason in REASONS}
    ends = [ALIVE] * len(book.parent)
    for tick, agent, judged, _ in book.deaths:
        end = ends[agent] = REVIEW if judged else LIQUIDATION if agent in book.liquidated else DEPLETED
        fallen[end].append(tick)
    # One by one, in the order in which the core buries: the same bits.
    reserves = [*accumulate([book.final[death[1]] for death in book.deaths], initial=setting.reserve)]
    deaths = {reason: _counted(fell, moments) for reason, fell in fallen.items()}
    births = _counted(book.birth_ticks, moments)
    lost = [sum(counts) for counts in zip(*deaths.values(), strict=True)]
    alive = [setting.founders + born - dead for born, dead in zip(births, lost, strict=True)]
    held = [round(reserves[dead], 2) + 0.0 for dead in lost]
    parents = set(book.parent)
    bred = [agent in parents for agent in range(len(ends))]
    columns = book.born, book.death_tick, ends, book.trades, bred, book.initial, book.final, book.costs
    lives: Iterator[Lived] = map(partial(tuple.__new__, Lived), zip(*columns, strict=True))
    table = life_table(lives, ticks=ticks, review=setting.review_ticks, death_roi=setting.death_roi)
    return {"ticks": moments, "alive": alive, "births": births, "deaths": deaths, "reserve": held, "lives": table}


def _counted(ticks: list[int], moments: list[int]) -> list[int]:
    """How many of the ticks, which rise, lie before each moment."""
    return [bisect_left(ticks, moment) for moment in moments] if ticks else [0] * len(moments)
