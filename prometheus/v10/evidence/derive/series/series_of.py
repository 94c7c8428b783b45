"""What an experiment's events make of its population at each moment. Standard library only."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from prometheus.v10.evidence.derive.book import Book
from prometheus.v10.evidence.derive.lines import REASONS
from prometheus.v10.evidence.records.series.moments import moments_of

REVIEW, LIQUIDATION, DEPLETED = "quarterly_review", "liquidation", "capital_depleted"


def series_of(book: Book, ticks: int) -> dict[str, Any]:
    """Moments, living, births, deaths by reason and the reserve; empty where the run keeps no series.

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
    for tick, agent, judged, _ in book.deaths:
        reserve += book.final[agent]  # one by one, in the order in which the core buries: the same bits
        left.append((tick, reserve))
        fallen[REVIEW if judged else LIQUIDATION if agent in book.liquidated else DEPLETED].append(tick)
    deaths = {reason: [bisect_left(fell, moment) for moment in moments] for reason, fell in fallen.items()}
    births = [bisect_left(book.birth_ticks, moment) for moment in moments]
    lost = [sum(counts) for counts in zip(*deaths.values(), strict=True)]
    alive = [setting.founders + born - dead for born, dead in zip(births, lost, strict=True)]
    died = [tick for tick, _ in left]
    before = [setting.reserve, *(after for _, after in left)]
    held = [round(before[bisect_left(died, moment)], 2) + 0.0 for moment in moments]
    return {"ticks": moments, "alive": alive, "births": births, "deaths": deaths, "reserve": held}
