"""What an experiment's events make of its population at each moment. Standard library only."""

from __future__ import annotations

from bisect import bisect_left
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
    reserve, left = setting.reserve, []
    ends = [ALIVE] * len(book.parent)
    for tick, agent, judged, _ in book.deaths:
        reserve += book.final[agent]  # one by one, in the order in which the core buries: the same bits
        left.append((tick, reserve))
        ends[agent] = REVIEW if judged else LIQUIDATION if agent in book.liquidated else DEPLETED
        fallen[ends[agent]].append(tick)
    deaths = {reason: [bisect_left(fell, moment) for moment in moments] for reason, fell in fallen.items()}
    births = [bisect_left(book.birth_ticks, moment) for moment in moments]
    lost = [sum(counts) for counts in zip(*deaths.values(), strict=True)]
    alive = [setting.founders + born - dead for born, dead in zip(births, lost, strict=True)]
    died = [tick for tick, _ in left]
    before = [setting.reserve, *(after for _, after in left)]
    held = [round(before[bisect_left(died, moment)], 2) + 0.0 for moment in moments]
    parents = set(book.parent)
    lives = (
        Lived(born, died, end, trades, agent in parents, initial, final, costs)
        for agent, (born, died, end, trades, initial, final, costs) in enumerate(
            zip(book.born, book.death_tick, ends, book.trades, book.initial, book.final, book.costs, strict=True)
        )
    )
    table = life_table(lives, ticks=ticks, review=setting.review_ticks, death_roi=setting.death_roi)
    return {"ticks": moments, "alive": alive, "births": births, "deaths": deaths, "reserve": held, "lives": table}
