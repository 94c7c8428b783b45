"""What a run's summary and telemetry say of it as a whole: declaration, invariants, and the fences' counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prometheus.v10.base.modes import Mode, Tier
from prometheus.v10.evidence.records.summary import AuditDeclaration, ExperimentStats, Invariant
from prometheus.v10.evidence.records.telemetry import ONE_EXPERIMENT, Count, core_counts, gating_telemetry
from prometheus.v10.evidence.writing.manifest import RunManifest
from prometheus.v10.runs.founding.descents import inherits
from prometheus.v10.runs.request import setup

CONSERVATION_LIMIT = 1e-9  # of the total (contracts, section 3)
CAPITAL_SEMANTICS = (
    "current_total = allocated_capital (equity of the living) + system_reserve; what the dead leave and what they owe "
    "go to the reserve; capital is never injected; at the end every position is settled at the last close"
)
NULL_HYPOTHESIS = "B2_shuffle_returns: log-returns shuffled, price rebuilt"


def declaration(run: RunManifest) -> AuditDeclaration:
    """What a reader must know before comparing this run with another."""
    return AuditDeclaration(
        mode=run.mode,
        capital_semantics=CAPITAL_SEMANTICS,
        group_id=run.arm,
        ablation=run.ablation.name,
        ablation_detail=run.ablation.detail,
        null_hypothesis=NULL_HYPOTHESIS,
        window={"name": run.window.name, "start": run.window.start, "len": run.window.len},
    )


def invariants(rows: Sequence[ExperimentStats], residual: float) -> list[Invariant]:
    """What must hold of every experiment, with the largest residual measured."""

    def counted(name: str, gaps: list[int], detail: str) -> Invariant:
        worst = float(max((abs(gap) for gap in gaps), default=0))
        return Invariant(name=name, passed=worst == 0.0, residual=worst, limit=0.0, detail=detail)

    return [
        Invariant(
            name="capital_conservation",
            passed=residual <= CONSERVATION_LIMIT,
            residual=residual,
            limit=CONSERVATION_LIMIT,
            detail="largest |reserve + equity - (initial + profit - fees - funding)| / total over all ticks",
        ),
        counted(
            "population_conservation",
            [row.founders + row.births - row.deaths - row.alive_agents for row in rows],
            "founders + births - deaths - alive",
        ),
        counted(
            "deaths_by_reason",
            [sum(row.deaths_by_reason.values()) - row.deaths for row in rows],
            "deaths by reason - deaths",
        ),
        counted("finite", [int(row.has_nan) + int(row.has_inf) for row in rows], "experiments with NaN or infinity"),
        counted("no_unknown_death", [row.deaths_by_reason["unknown"] for row in rows], "deaths without a reason"),
    ]


def telemetry(
    run: RunManifest, world: setup.World, fence: np.ndarray[Any, Any], experiments: int, bars: tuple[int, int]
) -> Any:
    """Gating telemetry of the run: the core's counters, and the runner's own fences.

    Args:
        run: its manifest.
        world: whose numbers it has.
        fence: what the core counted, over all experiments.
        experiments: how many were filed.
        bars: how many there were, and how many took the default funding rate.
    """
    config, promoted = world.config, run.meta.tier == Tier.TIER2_FULL.value and run.mode == Mode.OFFLINE.value
    ablated = run.ablation.name != "none"
    counts = core_counts(fence.tolist())
    counts["FENCE_RUNNER_ABLATION_MASK"] = Count(experiments, experiments, experiments * ablated, experiments * ablated)
    counts["FENCE_RUNNER_FUNDING_DEFAULT"] = Count(bars[0], bars[0], bars[1], 0)
    return gating_telemetry(
        run.run_id,
        Mode(run.mode),
        run.fence_inventory_hash,
        counts,
        enabled={
            "FENCE_CORE_ENTRY_M7": config.entry_m7_below != np.inf,
            "FENCE_CORE_EXIT_M9": config.exit_m9_above != np.inf,
            "FENCE_CORE_EXIT_C4": config.exit_c4_above != np.inf,
            "FENCE_CORE_LONG_ONLY": config.long_only != 0,
            "FENCE_RUNNER_ABLATION_MASK": ablated,
            **({"FENCE_RUNNER_FOUNDING": True} if inherits(run) else {}),
        },
        otherwise=ONE_EXPERIMENT if promoted else None,
    )
