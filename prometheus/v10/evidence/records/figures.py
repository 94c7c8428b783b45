"""Quantiles with written-out arithmetic, the same for the writer of a summary and for its verifier.

Sums run in the order of the values, quantiles are read from the sorted values: no library version changes a bit.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

QUANTILES = (("q05", 0.05), ("q25", 0.25), ("median", 0.5), ("q75", 0.75), ("q95", 0.95))
NAMES_NOT_FIGURES = frozenset(["experiment", "seed", "null_reasons"])


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Count, mean, extremes and quantiles of at least one number.

    A quantile q of n sorted values is read at position q * (n - 1), linearly between neighbours. Sums run in the order
    of the values given.

    Raises:
        ValueError: for no values.
    """
    if not values:
        raise ValueError("quantiles of nothing")
    numbers = [*map(float, values)]
    ordered = sorted(numbers)
    *_, total = accumulate(numbers, initial=0.0)  # not sum(), which makes up for what rounding loses
    found = {"mean": total / len(ordered), "min": ordered[0], "max": ordered[-1]}
    for name, q in QUANTILES:
        place = q * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        found[name] = ordered[low] + (ordered[high] - ordered[low]) * (place - low)
    return found


def figures_of(row: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Every figure in a plain row, with its dotted name; the experiment's index and seed are names, not figures."""
    return _numbers({name: value for name, value in row.items() if name not in NAMES_NOT_FIGURES}, "")


def _numbers(tree: Mapping[str, Any], path: str) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in tree.items():
        dotted = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            found += _numbers(value, dotted)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append((dotted, float(value)))
    return found
