"""From experiments to figures: A against B2 in each pair of cells, the path control, and who won.

The primary family is the system ROI (Mann-Whitney U, Cliff's delta, difference of medians) and the extinctions
(Fisher's exact test, difference of shares) of every window, corrected together by Holm. Ablations and fences are
explored: they have a family of their own and no say in the verdict.

**The path control.** The experiments of A share one path, the real one; each of B2's has a path of its own. So many
seeds make the founders' luck small and leave the path's luck as it is: on returns without any order one path is kinder
to traders than another, and Mann-Whitney's p, which takes experiments for independent, finds that "difference" again
and again. Therefore shuffled paths take the real one's place, with the same seeds; under the null the real path is one
of them, and the rank of its median ROI (of its share of extinctions), averaged over windows, is an exact test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from prometheus.v10.base.modes import Arm
from prometheus.v10.gate import statistics
from prometheus.v10.gate.cells import NO_ABLATION, NO_FENCE, cell_name, path_cell, variants
from prometheus.v10.gate.design import ENDPOINTS, GateDesign
from prometheus.v10.gate.outcome import GateExperiment

ByCell = Mapping[str, Sequence[GateExperiment]]
SYSTEM_ROI, EXTINCTION = ENDPOINTS


@frozen(kw_only=True)
class Spread:
    """Where the system ROI of an arm lies (fractions), and how many of its experiments went extinct."""

    n: int
    extinct: int
    mean: float
    q05: float
    q25: float
    median: float
    q75: float
    q95: float
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Comparison:
    """A against B2 in one window, under one ablation or fence.

    Attributes:
        u: pairs in which A's ROI is the higher one; ``p`` two-sided, ``p_holm`` corrected in its family.
        delta: Cliff's, with its interval.
        difference_pp: median ROI of A less that of B2, percentage points, with a bootstrap interval.
        extinction_pp: share of extinct experiments in B2 less that in A: above 0 speaks for A, as everywhere.
        ahead: share of seeds whose experiment in A has the higher ROI (same founders, other path).
        fence_rate: blocks or forced exits of the switched fence in A, over attempts; 0 where none is switched.
    """

    window: str
    ablation: str
    fence: str
    a: Spread
    b: Spread
    u: float
    p: float
    p_holm: float
    delta: float
    delta_low: float
    delta_high: float
    difference_pp: float
    difference_low_pp: float
    difference_high_pp: float
    extinction_pp: float
    fisher_p: float
    fisher_p_holm: float
    ahead: float
    fence_rate: float
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class PathControl:
    """The real path among shuffled ones, for one endpoint.

    Attributes:
        real: mean over windows of the real path's figure, percentage points (median ROI; less the extinct share).
        placebos: the same of every shuffled path, in order.
        p: one-sided: (1 + placebos at least as good) / (placebos + 1); ``p_holm`` over the endpoints.
        spread_pp: standard deviation of the placebos: what a path alone can do.
    """

    endpoint: str
    paths: int
    seeds: int
    real: float
    placebos: list[float]
    p: float
    p_holm: float
    spread_pp: float
    extra: dict[str, Any] = field(factory=dict)


def spread(found: Sequence[GateExperiment]) -> Spread:
    """Quantiles of an arm's system ROI."""
    roi = np.array([one.system_roi for one in found])
    q = [float(value) for value in np.quantile(roi, (0.05, 0.25, 0.5, 0.75, 0.95))]
    return Spread(
        n=len(found),
        extinct=sum(one.extinct for one in found),
        mean=float(roi.mean()),
        q05=q[0], q25=q[1], median=q[2], q75=q[3], q95=q[4],
    )  # fmt: skip


def compare(
    design: GateDesign, by_cell: ByCell, window: str, ablation: str = NO_ABLATION, fence: str = NO_FENCE
) -> Comparison:
    """One pair of cells; p-values not yet corrected."""
    first, second = (by_cell[cell_name(window, arm, ablation, fence)] for arm in Arm)
    a, b = spread(first), spread(second)
    roi_a, roi_b = ([one.system_roi for one in arm] for arm in (first, second))
    test = statistics.mann_whitney(roi_a, roi_b)
    confidence = design.rule.confidence
    delta = statistics.cliffs_delta(roi_a, roi_b, confidence=confidence)
    difference = statistics.median_difference(roi_a, roi_b, seed=design.seeds.first, confidence=confidence)
    fisher_p = statistics.fisher_exact(a.extinct, a.n, b.extinct, b.n)
    attempts = sum(one.fence_attempts for one in first)
    return Comparison(
        window=window,
        ablation=ablation,
        fence=fence,
        a=a,
        b=b,
        u=test.statistic,
        p=test.p,
        p_holm=test.p,
        delta=delta.value,
        delta_low=delta.low,
        delta_high=delta.high,
        difference_pp=100.0 * difference.value,
        difference_low_pp=100.0 * difference.low,
        difference_high_pp=100.0 * difference.high,
        extinction_pp=100.0 * (b.extinct / b.n - a.extinct / a.n),
        fisher_p=fisher_p,
        fisher_p_holm=fisher_p,
        ahead=sum(x > y for x, y in zip(roi_a, roi_b, strict=True)) / len(roi_a),
        fence_rate=sum(one.fence_blocks for one in first) / attempts if attempts else 0.0,
    )


def corrected(family: Sequence[Comparison]) -> list[Comparison]:
    """Holm over both tests of every comparison of a family."""
    adjusted = statistics.holm([p for one in family for p in (one.p, one.fisher_p)])
    return [evolve(one, p_holm=adjusted[2 * k], fisher_p_holm=adjusted[2 * k + 1]) for k, one in enumerate(family)]


def primary(design: GateDesign, by_cell: ByCell) -> list[Comparison]:
    """A against B2 in every window."""
    return corrected([compare(design, by_cell, window.name) for window in design.windows])


def explored(design: GateDesign, by_cell: ByCell) -> list[Comparison]:
    """A against B2 under every ablation and fence, window by window."""
    more = [variant for variant in variants(design) if variant != (NO_ABLATION, NO_FENCE)]
    return corrected([compare(design, by_cell, w.name, *variant) for w in design.windows for variant in more])


def path_controls(design: GateDesign, by_cell: ByCell) -> list[PathControl]:
    """The rank of the real path among the shuffled ones, for every endpoint."""
    first = design.paths.seeds

    def figure(endpoint: str, cells: Sequence[str]) -> float:
        return 100.0 * sum(path_figure(endpoint, by_cell[cell][:first]) for cell in cells) / len(cells)

    names = [window.name for window in design.windows]
    found = []
    for endpoint in ENDPOINTS:
        real = figure(endpoint, [cell_name(window, Arm.A_REAL) for window in names])
        placebos = [
            figure(endpoint, [path_cell(window, path) for window in names]) for path in range(design.paths.count)
        ]
        found.append((endpoint, real, placebos, statistics.rank_p(real, placebos)))
    adjusted = statistics.holm([p for *_, p in found])
    return [
        PathControl(
            endpoint=endpoint, paths=design.paths.count, seeds=first, real=real, placebos=placebos, p=p,
            p_holm=p_holm, spread_pp=float(np.std(placebos)),
        )
        for (endpoint, real, placebos, p), p_holm in zip(found, adjusted, strict=True)
    ]  # fmt: skip


def path_figure(endpoint: str, found: Sequence[GateExperiment]) -> float:
    """How well the experiments on one path did: the higher, the more it speaks for the path's order."""
    if endpoint == SYSTEM_ROI:
        return statistics.median([one.system_roi for one in found])
    return -sum(one.extinct for one in found) / len(found)
