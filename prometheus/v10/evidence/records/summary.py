"""What a run's experiments came to (contracts, section 4): a row each, quantiles over the rows, invariants by name.

The summary is a function of commit, config, seed and bars: it carries no wall-clock time (the manifest does). Quantiles
are taken on sorted rows with written-out arithmetic, so that no library version can change a bit of them. A null in a
row answers for itself within that row (``null_reasons`` of the row).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records import figures
from prometheus.v10.evidence.records.codec import to_plain
from prometheus.v10.evidence.records.events import CapitalTriplet, DeathReason
from prometheus.v10.evidence.records.nulls import Nulls

NO_COLLAPSE = "no internal collapse in this experiment"
quantiles = figures.quantiles  # one implementation for writer and verifier


@frozen(kw_only=True)
class Costs:
    """What trading cost the population, USDT; funding is negative when it was received."""

    fees: float
    slippage: float
    funding: float
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class CollapseOutcome:
    """Whether, when and why an experiment collapsed; ``market_time`` is the close of the bar ``tick``."""

    detected: bool
    reason: str | None
    tick: int | None
    market_time: str | None
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class ExperimentStats:
    """One row of ``all_stats``. Ratios are fractions of the agents that they name, money is USDT.

    Attributes:
        completed: whether it ran to the end of its window or to its collapse (False: it was stopped).
        system_roi: current total / initial total - 1; ``max_drawdown`` is of the current total, a fraction.
        total_agents_ever: founders and births.
        trades: closed round trips of everyone; ``trades_median``, ``zero_trade_share`` and ``roi_quantiles`` are over
            everyone who lived at least a tick: a child of the last tick says nothing yet.
        liquidated_share: liquidations / agents ever.
        profitable_agents_all: agents, dead or alive, that ended with more than they were given.
        roi_quantiles: of the lifetime ROI of everyone who lived (`quantiles`).
        founder_out_in_correlation: Pearson's, of the founders' OUT and IN weights: near 0 if drawn independently.
        gene_diversity: mean over loci of the standard deviation among the living; null when nobody lives.
        lineages_alive: founders that still have a living descendant; ``lineage_diversity`` is their effective number,
            1 / sum of squared shares; null when nobody lives.
    """

    experiment: int
    seed: int
    arm: str
    completed: bool
    ticks: int
    reviews: int
    system_roi: float
    max_drawdown: float
    founders: int
    alive_agents: int
    total_agents_ever: int
    births: int
    deaths: int
    deaths_by_reason: dict[str, int]
    trades: int
    trades_median: float
    zero_trade_share: float
    liquidated_share: float
    profitable_agents_all: int
    profitable_agents_alive: int
    costs: Costs
    capital_triplet: CapitalTriplet
    collapse: CollapseOutcome
    roi_quantiles: dict[str, float]
    founder_out_in_correlation: float | None
    gene_diversity: float | None
    lineages_alive: int
    lineage_diversity: float | None
    has_nan: bool
    has_inf: bool
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Invariant:
    """A named promise with its measured residual; ``limit`` is the largest residual that passes."""

    name: str
    passed: bool
    residual: float
    limit: float
    detail: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class AuditDeclaration:
    """What a reader must know before comparing runs.

    Attributes:
        capital_semantics: how the triplet is defined and who pays debts.
        group_id: the arm.
        null_hypothesis: what B2 stands for.
        window: name, start and length, as in the manifest.
    """

    mode: str
    capital_semantics: str
    group_id: str
    ablation: str
    ablation_detail: str
    null_hypothesis: str
    window: dict[str, Any]
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class MultipleExperimentsSummary:
    """``multiple_experiments_summary.json``."""

    schema: str = Schema.SUMMARY.value
    run_id: str
    config: dict[str, Any]
    audit_declaration: AuditDeclaration
    all_stats: list[ExperimentStats]
    summary_stats: dict[str, dict[str, float]]
    invariants: list[Invariant]
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


def collapse_outcome(reason: str | None, tick: int | None, market_time: str | None, nulls: Nulls) -> CollapseOutcome:
    """A row's collapse, with the reasons for its nulls put into the row's ``nulls``."""
    return CollapseOutcome(
        detected=reason is not None,
        reason=nulls.known("collapse.reason", reason, NO_COLLAPSE),
        tick=nulls.known("collapse.tick", tick, NO_COLLAPSE),
        market_time=nulls.known("collapse.market_time", market_time, NO_COLLAPSE),
    )


def deaths_by_reason(counts: Sequence[int]) -> dict[str, int]:
    """Death counts under their names, zeros included; ``counts`` follows the order of `DeathReason`.

    Raises:
        ValueError: when there is not one count for each reason.
    """
    return {reason.value: int(count) for reason, count in zip(DeathReason, counts, strict=True)}


def summary_stats(rows: Sequence[ExperimentStats]) -> dict[str, dict[str, float]]:
    """`quantiles` over experiments of every number of a row, by dotted name; ``n`` counts the rows that know it.

    An experiment that a stop cut is no result: its row is left out here (`summarise`).

    The experiment's index and seed are names, not figures, and are left out.
    """
    found: dict[str, array[float]] = {}
    for row in rows:
        for name, value in figures.figures_of(to_plain(row)):
            found.setdefault(name, array("d")).append(value)
    return {name: {"n": float(len(values)), **quantiles(values)} for name, values in sorted(found.items())}


def summarise(
    run_id: str,
    config: dict[str, Any],
    declaration: AuditDeclaration,
    rows: Sequence[ExperimentStats],
    invariants: Sequence[Invariant],
    *,
    cut_count: bool = False,
) -> MultipleExperimentsSummary:
    """The summary of a run; ``rows`` in the order of their experiments.

    ``cut_count`` (a replay of a run of manifest version 1) takes experiments that a stop cut into ``summary_stats``.

    Raises:
        EvidenceError: for a row that carries NaN, or a null without a reason.
    """
    return MultipleExperimentsSummary(
        run_id=run_id,
        config=config,
        audit_declaration=declaration,
        all_stats=list(rows),
        summary_stats=summary_stats([row for row in rows if row.completed or cut_count]),
        invariants=list(invariants),
    )
