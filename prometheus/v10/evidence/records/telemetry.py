"""How often each fence was met, triggered and blocked (contracts, section 4).

The denominators are counted too: ``steps`` are agent-ticks (for the shell's fences: runs or experiments), ``attempts``
the times something came before the fence. ``trigger_rate`` is triggers per step, ``block_rate`` blocks per attempt.
Agent-ticks are many, so triggers are also held against attempts. A rate above 0.2 needs an explanation: the run's own,
or the registry's standing one. Telemetry without it is refused.
Every fence of the registry is named, whether it counted anything or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records.fence_registry import RATE_LIMIT, REGISTRY, Fence, core_counters, inventory_of
from prometheus.v10.evidence.records.nulls import Nulls

WITHIN = "not needed: at most 0.2 of steps and of attempts"
OFF = "off in this run"
ENDS = frozenset({"FENCE_CORE_EXTINCTION", "FENCE_CORE_RESERVE_COLLAPSE"})
"""What ends an experiment: a review of the first tick removes a population before anybody lived a tick."""
ONE_EXPERIMENT = "one experiment of a run, promoted: the limit is for all experiments of that run together"
NOTHING = "none was counted at this fence"


@frozen
class Count:
    """What was counted at one fence in one run.

    Attributes:
        steps: agent-ticks (runs, experiments) that could have met it.
        attempts: times something came before it.
        trigger_count: times its condition held; 0 for a fence that is off.
        block_count: times it prevented something; at most ``trigger_count``.
    """

    steps: int = 0
    attempts: int = 0
    trigger_count: int = 0
    block_count: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.steps + other.steps,
            self.attempts + other.attempts,
            self.trigger_count + other.trigger_count,
            self.block_count + other.block_count,
        )


@frozen(kw_only=True)
class FenceCounter:
    """One fence in ``gating_telemetry.json``; rates are null where there was no attempt."""

    category: str
    enabled: bool
    steps: int
    attempts: int
    trigger_count: int
    block_count: int
    trigger_rate: float | None
    block_rate: float | None
    explanation: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class GatingTelemetry:
    """``gating_telemetry.json``."""

    schema: str = Schema.TELEMETRY.value
    run_id: str
    mode: str
    fence_inventory_hash: str
    counters: dict[str, FenceCounter]
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


def core_counts(rows: Sequence[Sequence[int]]) -> dict[str, Count]:
    """The world's counters by fence id.

    Args:
        rows: shape (fences, 4): steps, attempts, triggers, blocks, in the order of `fences.core_counters`.

    Raises:
        ValueError: when the number of rows is not the registry's.
    """
    return {name: Count(*map(int, row)) for name, row in zip(core_counters(), rows, strict=True)}


def gating_telemetry(
    run_id: str,
    mode: Mode,
    inventory_hash: str,
    counts: Mapping[str, Count],
    *,
    enabled: Mapping[str, bool] | None = None,
    explanations: Mapping[str, str] | None = None,
    otherwise: str | None = None,
) -> GatingTelemetry:
    """Telemetry of one run over every fence of its inventory.

    Args:
        run_id: the run.
        mode: its mode.
        inventory_hash: hash of the registry that was in force (`fences.inventory_hash`).
        counts: what was counted, by fence id; a fence that is not named counts nothing.
        enabled: fences whose state differs from the registry's default, by id.
        explanations: the run's own reasons for rates above 0.2, by id; they go before the registry's standing ones.
        otherwise: the run's reason for a rate above 0.2 that neither explains.

    Raises:
        EvidenceError: for an unknown id, counts that cannot be true, a fence that is off and yet counted, or a rate
            above 0.2 without an explanation.
    """
    enabled, explanations = enabled or {}, explanations or {}
    if unknown := sorted({*counts, *enabled, *explanations} - REGISTRY.keys()):
        raise EvidenceError(f"gating telemetry of {run_id}: unknown fence {unknown[0]}", hint="add it to fences.toml")
    nulls = Nulls()
    counters = {
        fence.id: _counter(
            fence,
            counts.get(fence.id, Count()),
            enabled.get(fence.id, fence.on_by_default),
            explanations.get(fence.id) or fence.explanation or otherwise,
            nulls,
        )
        for fence in inventory_of(inventory_hash).values()
    }
    return GatingTelemetry(
        run_id=run_id,
        mode=mode.value,
        fence_inventory_hash=inventory_hash,
        counters=counters,
        null_reasons=nulls.reasons,
    )


def _counter(fence: Fence, count: Count, enabled: bool, explanation: str | None, nulls: Nulls) -> FenceCounter:  # noqa: FBT001
    """One fence's counter, its rates and its explanation."""
    _refuse_impossible(fence, count, enabled=enabled)
    rates = {
        "trigger_rate": count.trigger_count / count.steps if count.steps else None,
        "block_rate": count.block_count / count.attempts if count.attempts else None,
    }
    for name, rate in rates.items():
        nulls.known(f"counters.{fence.id}.{name}", rate, NOTHING)
    per_attempt = count.trigger_count / count.attempts if count.attempts else 0.0
    if max(per_attempt, *((rate or 0.0) for rate in rates.values())) <= RATE_LIMIT:
        said = WITHIN if enabled else OFF
    elif explanation is not None:
        said = explanation
    else:
        raise EvidenceError(
            f"{fence.id}: {count.trigger_count} triggers in {count.steps} steps, {count.block_count} blocks in "
            f"{count.attempts} attempts: a rate above {RATE_LIMIT}, and nothing explains it",
            hint="find out why, and give the explanation with the run or in fences.toml",
        )
    return FenceCounter(
        category=fence.category.value,
        enabled=enabled,
        steps=count.steps,
        attempts=count.attempts,
        trigger_count=count.trigger_count,
        block_count=count.block_count,
        trigger_rate=rates["trigger_rate"],
        block_rate=rates["block_rate"],
        explanation=said,
    )


def _refuse_impossible(fence: Fence, count: Count, *, enabled: bool) -> None:
    """Refuse counts that cannot be true together."""
    shown = f"{fence.id}: {count.attempts} attempts, {count.trigger_count} triggers, {count.block_count} blocks"
    if min(count.steps, count.attempts, count.trigger_count, count.block_count) < 0:
        raise EvidenceError(f"{shown}: a count is negative")
    if count.block_count > min(count.trigger_count, count.attempts):
        raise EvidenceError(f"{shown}: more was blocked than came before it")
    if count.attempts and count.trigger_count > count.attempts:  # without attempts a step may trigger more than once
        raise EvidenceError(f"{shown}: it triggered more often than anything came before it")
    if count.trigger_count and not max(count.steps, count.attempts) and fence.id not in ENDS:
        raise EvidenceError(f"{shown}: it triggered though nothing could have met it")
    if not enabled and count.trigger_count:
        raise EvidenceError(f"{shown}, though it is off in this run")
