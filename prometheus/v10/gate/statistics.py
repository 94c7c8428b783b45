"""The gate's statistics: pure functions of numbers, by the methods that the record's own figures were made with.

* **Mann-Whitney U**, two-sided: the normal approximation with the correction for continuity and for ties. This method
  gives every p-value of the record back from its U (contracts, section 14; a test does so).
* **Cliff's delta**: how much more often a value of the first sample lies above one of the second than below, over all
  pairs. Its interval is Cliff's own, which bends with delta and stays within [-1, 1].
* **Fisher's exact test**, two-sided, on a two by two table of counts.
* **Holm's correction** of a family of p-values: the k-th smallest of m is multiplied by m - k + 1, and none falls below
  one before it.
* **The rank of one among its placebos**: exact for any statistic when all are equally likely to be the largest.

scipy is the extra ``analysis``; it is asked for when a figure is needed, so that the command line starts without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from prometheus.v10.base.extras import analysis_module
from prometheus.v10.market.philox import uniforms, words

Floats = npt.NDArray[np.float64]

BOOTSTRAP_DRAWS = 2000
BOOTSTRAP_STREAM = 41  # second word of the Philox key of resampling


def extra(module: str) -> Any:
    """A module of the extra ``analysis``.

    Raises:
        ConfigError: when it is not installed.
    """
    return analysis_module(module, "the gate")


@frozen
class RankTest:
    """A statistic and its two-sided p-value."""

    statistic: float
    p: float


@frozen
class Interval:
    """An estimate and the ends of its interval."""

    value: float
    low: float
    high: float


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> RankTest:
    """U of the first sample (pairs in which it is above; ties count half), and the two-sided p.

    Raises:
        ValueError: for an empty sample.
    """
    if not first or not second:
        raise ValueError("Mann-Whitney U of an empty sample")
    ranks = extra("scipy.stats").rankdata([*first, *second])
    n, m = len(first), len(second)
    u = float(np.sum(ranks[:n])) - n * (n + 1) / 2.0
    counts = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    return RankTest(u, p_of_u(u, n, m, ties=float(np.sum(counts**3 - counts))))


def p_of_u(u: float, n: int, m: int, *, ties: float = 0.0) -> float:
    """Two-sided p of Mann-Whitney's U by the normal approximation with a correction for continuity.

    Args:
        u: of either sample.
        n: size of the one sample, at least 1.
        m: size of the other, at least 1.
        ties: sum of t^3 - t over groups of t equal values.
    """
    total = n + m
    variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)))
    if variance <= 0.0:
        return 1.0  # everything is tied: nothing can be told apart
    z = (abs(u - n * m / 2.0) - 0.5) / math.sqrt(variance)
    return float(min(1.0, 2.0 * extra("scipy.stats").norm.sf(max(z, 0.0))))


def cliffs_delta(first: Sequence[float], second: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Cliff's delta of the first sample over the second, with Cliff's (1996) asymmetric interval.

    Its variance comes from how the rows and columns of the table of pairs differ among themselves. Where the samples
    do not overlap at all that is 0, and the interval is that of a proportion of which no failure was seen.

    Raises:
        ValueError: for a sample of fewer than two values.
    """
    n, m = len(first), len(second)
    if n < 2 or m < 2:
        raise ValueError("Cliff's delta needs two values in each sample")
    pairs = np.sign(np.asarray(first, dtype=np.float64)[:, None] - np.asarray(second, dtype=np.float64)[None, :])
    delta = float(pairs.sum() / (n * m))
    z = float(extra("scipy.stats").norm.ppf(0.5 + confidence / 2.0))
    if abs(delta) == 1.0:
        least = min(n, m)
        edge = (least - z * z) / (least + z * z)
        return Interval(delta, edge, 1.0) if delta > 0.0 else Interval(delta, -1.0, -edge)
    rows = float(((pairs.mean(axis=1) - delta) ** 2).sum())
    columns = float(((pairs.mean(axis=0) - delta) ** 2).sum())
    spread = float(((pairs - delta) ** 2).sum())
    variance = (m * m * rows + n * n * columns - spread) / (n * m * (n - 1) * (m - 1))
    variance = max(variance, (1.0 - delta * delta) / (n * m - 1.0))
    reach = z * math.sqrt(variance) * math.sqrt((1.0 - delta * delta) ** 2 + z * z * variance)
    middle, scale = delta - delta**3, 1.0 - delta * delta + z * z * variance
    return Interval(delta, max(-1.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale))


def fisher_exact(first: int, of_first: int, second: int, of_second: int) -> float:
    """Two-sided p of Fisher's exact test: ``first`` of ``of_first`` against ``second`` of ``of_second``.

    Raises:
        ValueError: for counts that cannot be.
    """
    if not (0 <= first <= of_first and 0 <= second <= of_second):
        raise ValueError(f"{first} of {of_first} against {second} of {of_second}")
    table = [[first, of_first - first], [second, of_second - second]]
    return float(min(1.0, extra("scipy.stats").fisher_exact(table, alternative="two-sided").pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: reject where the adjusted one is below the level."""
    count = len(p_values)
    adjusted = [0.0] * count
    floor = 0.0
    for rank, at in enumerate(sorted(range(count), key=lambda k: p_values[k])):
        floor = max(floor, min(1.0, (count - rank) * p_values[at]))
        adjusted[at] = floor
    return adjusted


def rank_p(value: float, placebos: Sequence[float]) -> float:
    """One-sided p of ``value`` being the largest by chance: (1 + placebos at least as large) / (placebos + 1)."""
    return (1 + sum(one >= value for one in placebos)) / (len(placebos) + 1)


def median(values: Sequence[float]) -> float:
    """The median; the mean of the middle two of an even number."""
    return float(np.median(np.asarray(values, dtype=np.float64)))


def median_difference(
    first: Sequence[float], second: Sequence[float], *, seed: int, confidence: float = 0.95
) -> Interval:
    """Median of the first sample less that of the second, with a bootstrap percentile interval.

    The draws are Philox words keyed by ``seed``: the same samples and seed give the same interval.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (first, second))
    draw = uniforms(words(seed, BOOTSTRAP_STREAM, BOOTSTRAP_DRAWS * (len(a) + len(b)))).reshape(BOOTSTRAP_DRAWS, -1)
    drawn_a = a[(draw[:, : len(a)] * len(a)).astype(np.int64)]
    drawn_b = b[(draw[:, len(a) :] * len(b)).astype(np.int64)]
    differences = np.median(drawn_a, axis=1) - np.median(drawn_b, axis=1)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(differences, (tail, 1.0 - tail))
    return Interval(median(first) - median(second), float(low), float(high))
