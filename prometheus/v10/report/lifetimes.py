"""How long populations live: the rate of collapse, the median life, and whether the intervals lengthen.

An observation is an experiment: it collapsed at a tick, or it was censored there (its window ended, or a stop cut it).
The clock is ticks lived. Nothing here knows a wall clock.

1. **Rate.** n collapses in T ticks lived. The interval is Garwood's, from n as a Poisson count:
   chi2(2.5 %, 2 n) / (2 T) to chi2(97.5 %, 2 n + 2) / (2 T). Its inverse is the interval of the mean ticks to a
   collapse. F. Garwood, Fiducial limits for the Poisson distribution, Biometrika 28 (1936) 437-442.
2. **Median.** The product-limit curve; it needs no constant rate. An experiment that is censored at a tick was still at
   risk there. E. L. Kaplan and P. Meier, Nonparametric estimation from incomplete observations, Journal of the
   American Statistical Association 53 (1958) 457-481.
3. **Trend.** The lives are laid end to end, in the order of runs and experiments. On this clock the expected number of
   collapses by t is lambda t^beta (Crow-AMSAA). beta = n / sum of ln(T / t_i). Where watching ended without a
   collapse, 2 n beta_true / beta is chi-square of 2 n degrees of freedom; where the last tick is a collapse, of
   2 (n - 1). Below 1 intervals lengthen. L. H. Crow, Reliability analysis for complex, repairable systems, in
   Reliability and Biometry, 1974, 379-410; MIL-HDBK-189, Reliability growth management, 1981, appendix C.
4. **Clusters.** Experiments of one run share their bars. The residual of an experiment is its collapses (0 or 1) less
   those that the curve of 3 expects while it lived (below five collapses: the rate). The dispersion is the sum over
   runs of (sum of residuals)^2 / experiments, over the variance of all residuals and the runs less one. Where lives
   are more even than a constant rate makes them, the variance is that of a constant rate, collapses / experiments.
   Were experiments dealt to runs by chance, the dispersion would be about 1: it is the between-groups part of a one-way
   analysis of variance. Where it is beyond the 99 % quantile of chi-square / degrees, the intervals above would be too
   narrow. They are made from the collapses and ticks divided by the dispersion then, an approximation
   (quasi-likelihood: P. McCullagh and J. A. Nelder, Generalized linear models, 1989, section 6.2.3).

Standard library only; pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate, pairwise

from attrs import frozen

from prometheus.v10.base.names import commit_of
from prometheus.v10.report.gamma_quantile import chi_square_quantile
from prometheus.v10.report.survival_curve import product_limit

CONFIDENCE = 0.95
TAIL = (1.0 - CONFIDENCE) / 2.0
FEWEST = 5
"""Collapses below which nothing is said of a trend."""
CLUSTER_SHARE = 0.99


@frozen
class Life:
    """One experiment.

    Attributes:
        run: its run, by id.
        experiment: its number in the run.
        ticks: that it lived.
        collapsed: whether it ended there; else it was censored.
        cut: whether a stop censored it, before the end of its window.
    """

    run: str
    experiment: int
    ticks: int
    collapsed: bool
    cut: bool = False


@frozen
class Interval:
    """Bounds at a confidence of 95 %; ``upper`` is None where nothing bounds it."""

    lower: float
    upper: float | None


class Word(StrEnum):
    """What a stratum shows of its intervals."""

    LENGTHENING = "lengthening"
    NO_TREND = "no trend shown"
    SHORTENING = "shortening"
    TOO_FEW = "too few to say"


@frozen
class Trend:
    """The power law of a stratum.

    Attributes:
        beta: its shape, with its bounds; below 1 intervals lengthen.
        scale: lambda; collapses expected by tick t are ``scale * t ** beta``.
        now: ticks between two collapses at the end of the clock, as the fitted curve has it.
    """

    beta: float
    bounds: Interval
    scale: float
    now: float


@frozen
class Figures:
    """What is said of a stratum. Times are ticks lived, rates are per tick; None is unknown.

    Attributes:
        cut: experiments that a stop cut.
        times: of the collapses, on the clock of all lives laid end to end.
        median: ticks by which half have collapsed; None where fewer do.
        longest: ticks of the longest life.
        alive_at_longest: share that lives through it, by the product-limit curve.
        trend: None below `FEWEST` collapses.
        dispersion: about 1 without clusters; None where it cannot be computed.
        clustered: whether runs differ more than by chance; the intervals are wider by the dispersion then.
    """

    experiments: int
    runs: int
    cut: int
    collapses: int
    ticks: int
    rate: float | None
    rate_bounds: Interval | None
    mean: float | None
    mean_bounds: Interval | None
    median: int | None
    longest: int
    alive_at_longest: float
    times: tuple[int, ...]
    trend: Trend | None
    word: Word
    dispersion: float | None
    clustered: bool


def figures_of(lives: Sequence[Life]) -> Figures:
    """The figures of the lives of one stratum, in the order of runs and experiments."""
    ticks = sum(life.ticks for life in lives)
    times = collapse_times(lives)
    count = len(times)
    curve = product_limit(*watched(lives))
    trend = power_law(times, ticks) if count >= FEWEST else None
    spread, clustered = dispersion(lives, trend)
    weight = spread if clustered and spread is not None else 1.0
    bounds = rate_bounds(count / weight, ticks / weight) if ticks else None
    trend = trend if trend is None else power_law(times, ticks, weight)
    return Figures(
        experiments=len(lives),
        runs=len({life.run for life in lives}),
        cut=sum(life.cut for life in lives),
        collapses=count,
        ticks=ticks,
        rate=count / ticks if ticks else None,
        rate_bounds=bounds,
        mean=ticks / count if count else None,
        mean_bounds=None if bounds is None else inverse(bounds),
        median=next((at for at, share, *_ in curve if share <= 0.5), None),
        longest=max((life.ticks for life in lives), default=0),
        alive_at_longest=curve[-1][1] if curve else 1.0,
        times=times,
        trend=trend,
        word=word_of(trend),
        dispersion=spread,
        clustered=clustered,
    )


def watched(lives: Sequence[Life]) -> tuple[list[int], list[int]]:
    """Ticks of the lives that collapsed, and of those that were censored."""
    return [life.ticks for life in lives if life.collapsed], [life.ticks for life in lives if not life.collapsed]


def releases(lives: Sequence[Life]) -> list[tuple[int, str]]:
    """Where on the clock of all lives laid end to end the code changed, and to which commit, as run ids name it."""
    found: list[tuple[int, str]] = []
    for at, life in zip(accumulate((life.ticks for life in lives), initial=0), lives, strict=False):
        commit = commit_of(life.run)
        if not found or found[-1][1] != commit:
            found.append((at, commit))
    return found


def collapse_times(lives: Sequence[Life]) -> tuple[int, ...]:
    """When the collapses were, on the clock of all lives laid end to end, in their order."""
    ends = accumulate(life.ticks for life in lives)
    return tuple(end for end, life in zip(ends, lives, strict=True) if life.collapsed)


def rate_bounds(count: float, exposure: float) -> Interval:
    """Garwood's interval of the rate of ``count`` events in an exposure above 0; a count may have been weighed down.

    Raises:
        ValueError: for a count below 0, or no exposure.
    """
    if count < 0 or not exposure > 0:
        raise ValueError(f"expected events and an exposure, not {count} in {exposure}")
    lower = chi_square_quantile(TAIL, 2.0 * count) / (2.0 * exposure) if count else 0.0
    return Interval(lower, chi_square_quantile(1.0 - TAIL, 2.0 * count + 2.0) / (2.0 * exposure))


def inverse(rate: Interval) -> Interval:
    """The interval of 1 / rate."""
    return Interval(1.0 / rate.upper if rate.upper else 0.0, 1.0 / rate.lower if rate.lower else None)


def power_law(times: Sequence[float], end: float, weight: float = 1.0) -> Trend:
    """The Crow-AMSAA fit of at least two collapses, in their order, watched until ``end``.

    ``weight`` is how many collapses count as one in the interval.

    Raises:
        ValueError: when there are fewer, or a time is not above 0 and at most ``end``.
    """
    count = len(times)
    if count < 2 or not all(0.0 < time <= end for time in times):
        raise ValueError(f"expected two times or more between 0 and {end}")
    total = math.fsum(math.log(end / time) for time in times)
    if not total > 0.0:
        raise ValueError("expected times that differ")
    beta = count / total
    degrees = 2 * (count - 1 if times[-1] == end else count)
    low, high = (chi_square_quantile(share, degrees / weight) * weight / (2.0 * total) for share in (TAIL, 1.0 - TAIL))
    return Trend(beta, Interval(low, high), count * math.exp(-beta * math.log(end)), end / (count * beta))


def word_of(trend: Trend | None) -> Word:
    """By the interval of beta: below 1, above it, or around it."""
    if trend is None:
        return Word.TOO_FEW
    if trend.bounds.upper is not None and trend.bounds.upper < 1.0:
        return Word.LENGTHENING
    return Word.SHORTENING if trend.bounds.lower > 1.0 else Word.NO_TREND


def dispersion(lives: Sequence[Life], trend: Trend | None) -> tuple[float | None, bool]:
    """How unevenly runs collapse, and whether that is more than chance makes of independent experiments."""
    ends = [0, *accumulate(life.ticks for life in lives)]
    count = sum(life.collapsed for life in lives)
    if not count:
        return None, False
    beta, scale = (1.0, count / ends[-1]) if trend is None else (trend.beta, trend.scale)
    expected = [scale * end**beta for end in ends]
    runs: dict[str, list[float]] = {}
    for life, (before, after) in zip(lives, pairwise(expected), strict=True):
        runs.setdefault(life.run, []).append(life.collapsed - (after - before))
    degrees = len(runs) - 1
    squares = math.fsum(residual**2 for residuals in runs.values() for residual in residuals)
    if not degrees:
        return None, False
    variance = max(squares / (len(lives) - 1), count / len(lives))
    gone = math.fsum(math.fsum(residuals) ** 2 / len(residuals) for residuals in runs.values()) / variance
    return gone / degrees, count >= FEWEST and gone > chi_square_quantile(CLUSTER_SHARE, degrees)
