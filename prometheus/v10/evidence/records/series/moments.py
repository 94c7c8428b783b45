"""At which moments a population is sampled (``population_series.jsonl``). Standard library only.

A moment is a number of ticks that are done. Moments are even parts of the time between two reviews, so that each review
is one of them; where there are more reviews than moments, every so many reviews one is taken. The end of the
experiment is the last moment, whenever it comes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

SERIES = "population_series"
"""Key of a manifest: ``{"moments": n}``. A run without it keeps no series: one of an earlier version, or of stage 2."""
TIER_1, TIER_2 = 64, 256
"""Moments of an experiment, about."""
MOST = 1 << 12
"""More moments than that are asked for by no version."""


def moments_in(manifest: Mapping[str, Any]) -> int:
    """How many moments a manifest asks for; 0 where it asks for none, or wrongly."""
    found = manifest.get(SERIES)
    count = found.get("moments") if isinstance(found, dict) and set(found) == {"moments"} else None
    return count if type(count) is int and 0 < count <= MOST else 0


def moments_of(window: int, review: int, moments: int, lived: int) -> list[int]:
    """The moments of an experiment, rising, the last of them its end.

    Args:
        window: ticks of the window.
        review: ticks between two reviews.
        moments: how many there shall be in a whole window, about; at least 1.
        lived: ticks that the experiment lived, at least 1.
    """
    review = min(review, window)
    reviews = window // review
    if reviews > moments:
        each = review * -(-reviews // moments)
        planned = list(range(each, window, each))
    else:
        parts = max(1, moments * review // window)
        planned = sorted({at + review * part // parts for at in range(0, window, review) for part in range(parts)})
    return [moment for moment in planned[: bisect_left(planned, lived)] if moment > 0] + [lived]
