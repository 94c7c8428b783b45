"""Cliff's delta: how much more often a value of one sample lies above one of another than below, over all pairs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence


def cliffs_delta(first: Sequence[float], second: Sequence[float]) -> float:
    """(pairs with first > second) - (pairs with first < second), over all pairs; in [-1, 1].

    Raises:
        ValueError: when one of them is empty.
    """
    if not first or not second:
        raise ValueError("Cliff's delta of nothing")
    ordered = sorted(second)
    below = sum(bisect_left(ordered, value) for value in first)
    above = sum(len(ordered) - bisect_right(ordered, value) for value in first)
    return (below - above) / (len(first) * len(ordered))
