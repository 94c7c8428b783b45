"""``run_manifest.json``: what ran, on which code, where, and how it ended (contracts, sections 4 and 11).

1. It is written at the start (status ``running``) and rewritten, atomically, at the end: `start_manifest`, `finish`.
2. It is the one artifact that carries wall-clock time; events and summary carry market time.
3. Every key is always there. What is not known, or not yet, is null with its reason.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import host_error
from prometheus.v10.base.modes import Arm, Mode
from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.catalog import manifest_of
from prometheus.v10.evidence.records.codec import config_hash, from_plain
from prometheus.v10.evidence.records.manifest_parts import (
    Ablation,
    Counts,
    EvidenceSize,
    ExchangeFacts,
    ExperimentTiming,
    Failure,
    InternalCollapse,
    MarketSource,
    Meta,
    PoolAppends,
    SelfTradePrevention,
    Timing,
    Window,
)
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.schemas.shapes import words
from prometheus.v10.evidence.writing.environment import Environment, Host
from prometheus.v10.evidence.writing.journal import JournalState

RUNNING = "the run has not ended yet"
NOT_STOPPED = "the run was not stopped"
NOT_FAILED = "the run did not fail"
NO_COLLAPSE = "no internal collapse in this run"
ABORTED = "aborted"
"""A status that no version wrote; `verify` reads it as it always did."""
COLLAPSES = ("extinction", "financial", "both")


class Status(StrEnum):
    """How far a run came (contracts, section 4)."""

    RUNNING = "running"
    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@frozen(kw_only=True)
class RunManifest:
    """``run_manifest.json``. What it must say: contracts, sections 4 and 11."""

    schema: str = field(default=Schema.MANIFEST.value, metadata=words(Schema.MANIFEST, Schema.MANIFEST_1))
    run_id: str
    instance: str
    stage: str
    meta: Meta
    status: str = field(metadata=words(*Status, ABORTED))
    git_commit: str | None
    git_dirty: bool | None
    docker_image: str | None
    image_digest: str | None
    python_version: str
    versions: dict[str, str | None]
    host: Host
    mode: str = field(metadata=words(*Mode))
    arm: str = field(metadata=words(*Arm))
    window: Window
    ablation: Ablation
    config: dict[str, Any]
    config_hash: str
    seeds: list[int]
    run_counter: int | None = None
    world: dict[str, Any]
    market: MarketSource
    core_hash: str
    genome_schema: str = Schema.GENOME.value
    feature_contract: str = Schema.FEATURES.value
    fence_inventory_hash: str
    exchange_lib: str | None
    env: str | None
    symbol_in_use: str
    positions_quality: str | None = field(
        metadata=words("exchange_reported", "reconstructed_from_fills", "unreliable", "unknown")
    )
    impedance_fidelity: str = field(metadata=words("simulated", "demo_proxy", "live_calibrated", "unknown"))
    self_trade_prevention: SelfTradePrevention
    retention: dict[str, Any]
    results_dir: str
    start_time: str
    end_time: str | None
    duration_seconds: float | None
    timing: Timing | None
    stop_detected: bool
    stop_time: str | None
    stop_reason: str | None
    internal_collapse_detected: bool
    internal_collapse_reason: str | None = field(metadata=words(*COLLAPSES))
    internal_collapse_time: str | None
    time_to_first_internal_collapse_seconds: float | None
    time_to_first_internal_collapse_ticks: int | None
    internal_collapses: list[InternalCollapse]
    restart_time_seconds: float | None
    previous_run_id: str | None
    journal: JournalState
    counts: Counts
    pool_appends: PoolAppends | None
    evidence: EvidenceSize | None
    failure: Failure | None = None
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class RunPlan:
    """What is decided about a run before it starts.

    Attributes:
        config: the whole dumped profile (`codec.dump_config`); `start_manifest` takes its hash.
        world: every physics number, by name.
        run_counter: how many runs of this instance went before: its seeds go on where theirs ended.
        restart_seconds: from the detection of the collapse that ended ``previous_run_id`` to this run's first valid
            artifact; None where this run does not follow a collapse.
    """

    run_id: str
    instance: str
    stage: str
    tier: str
    mode: str
    arm: str
    window: Window
    ablation: Ablation
    config: dict[str, Any]
    seeds: Sequence[int]
    world: dict[str, Any]
    market: MarketSource
    core_hash: str
    fence_inventory_hash: str
    exchange: ExchangeFacts
    retention: dict[str, Any]
    results_dir: str
    previous_run_id: str | None = None
    restart_seconds: float | None = None
    run_counter: int = 0


@frozen(kw_only=True)
class RunFigures:
    """What a run came to.

    Attributes:
        collapses: in the order of their experiments.
        agent_ticks: evolved in all experiments.
        elapsed: seconds of the monotonic clock since `start_manifest`.
        stop_time: wall-clock, with ``stop_reason``, when the run was asked to stop; ``stop_seconds`` since its start.
    """

    timing: Sequence[ExperimentTiming]
    agent_ticks: int
    elapsed: float
    collapses: Sequence[InternalCollapse]
    counts: Counts
    evidence: EvidenceSize
    pool_appends: PoolAppends | None = None
    stop_reason: str | None = None
    stop_time: str | None = None
    stop_seconds: float | None = None
    failure: Failure | None = None


def read_manifest(run_dir: Path) -> RunManifest:
    """The manifest of a run, as its record.

    Raises:
        EvidenceError: when it is no manifest (see `prometheus.v10.evidence.catalog`).
        HostError: when it is not there, or cannot be read.
    """
    found, place = manifest_of(run_dir), run_dir / Artifact.MANIFEST.value
    if found is None:
        raise host_error(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)), f"cannot read {place}")
    return from_plain(found, RunManifest, where=str(place))


def start_manifest(
    plan: RunPlan, environment: Environment, journal: JournalState, nulls: Nulls, clock: Clock
) -> RunManifest:
    """The manifest of a run that begins now.

    Args:
        plan: what was decided.
        environment: what `environment.probe` found.
        journal: what `Journal.state` said, with its reasons in ``nulls``.
        nulls: the manifest's reasons, as far as they are collected.
        clock: gives the start time.
    """
    exchange = plan.exchange
    nulls = Nulls({**nulls.reasons, **environment.null_reasons, **exchange.null_reasons})
    following = "this run does not follow a collapse"
    return RunManifest(
        run_id=plan.run_id,
        instance=plan.instance,
        stage=plan.stage,
        meta=Meta(tier=plan.tier),
        status=Status.RUNNING.value,
        git_commit=environment.git_commit,
        git_dirty=environment.git_dirty,
        docker_image=environment.docker_image,
        image_digest=environment.image_digest,
        python_version=environment.python_version,
        versions=environment.versions,
        host=environment.host,
        mode=plan.mode,
        arm=plan.arm,
        window=plan.window,
        ablation=plan.ablation,
        config=plan.config,
        config_hash=config_hash(plan.config),
        seeds=list(plan.seeds),
        run_counter=plan.run_counter,
        world=plan.world,
        market=plan.market,
        core_hash=plan.core_hash,
        fence_inventory_hash=plan.fence_inventory_hash,
        exchange_lib=exchange.exchange_lib,
        env=exchange.env,
        symbol_in_use=plan.market.symbol,
        positions_quality=exchange.positions_quality,
        impedance_fidelity=exchange.impedance_fidelity,
        self_trade_prevention=exchange.self_trade_prevention,
        retention=plan.retention,
        results_dir=plan.results_dir,
        start_time=utc_text(clock.now()),
        end_time=nulls.unknown("end_time", RUNNING),
        duration_seconds=nulls.unknown("duration_seconds", RUNNING),
        timing=nulls.unknown("timing", RUNNING),
        stop_detected=False,
        stop_time=nulls.unknown("stop_time", NOT_STOPPED),
        stop_reason=nulls.unknown("stop_reason", NOT_STOPPED),
        internal_collapse_detected=False,
        internal_collapse_reason=nulls.unknown("internal_collapse_reason", NO_COLLAPSE),
        internal_collapse_time=nulls.unknown("internal_collapse_time", NO_COLLAPSE),
        time_to_first_internal_collapse_seconds=nulls.unknown("time_to_first_internal_collapse_seconds", NO_COLLAPSE),
        time_to_first_internal_collapse_ticks=nulls.unknown("time_to_first_internal_collapse_ticks", NO_COLLAPSE),
        internal_collapses=[],
        restart_time_seconds=nulls.known("restart_time_seconds", plan.restart_seconds, following),
        previous_run_id=nulls.known("previous_run_id", plan.previous_run_id, "the first run of this instance's state"),
        journal=journal,
        counts=Counts(),
        pool_appends=nulls.unknown("pool_appends", RUNNING),
        evidence=nulls.unknown("evidence", RUNNING),
        failure=nulls.unknown("failure", NOT_FAILED),
        null_reasons=nulls.reasons,
    )


def finish(
    manifest: RunManifest, status: Status, figures: RunFigures, journal: JournalState, nulls: Nulls, clock: Clock
) -> RunManifest:
    """The same manifest at the run's end.

    Args:
        manifest: as started.
        status: how the run ended; never ``running``.
        figures: what it came to.
        journal: what `Journal.state` says now, with its reasons in ``nulls``.
        nulls: ``Nulls(manifest.null_reasons)``, to which `Journal.state` has added.
        clock: gives the end time.

    Raises:
        ValueError: for status ``running``, for no time at all, or for a stop time without a stop reason.
    """
    if status is Status.RUNNING:
        raise ValueError("a run that has ended is not running")
    if figures.elapsed <= 0:
        raise ValueError("a run takes time")
    if (figures.stop_reason is None) != (figures.stop_time is None):
        raise ValueError("a stop has a reason and a time")
    nulls = Nulls(nulls.reasons)
    nulls.forget("end_time", "duration_seconds", "timing", "pool_appends", "evidence")
    nulls.forget("failure")
    nulls.known("failure", figures.failure, NOT_FAILED)
    stopped = figures.stop_reason is not None
    if stopped:
        nulls.forget("stop_time", "stop_reason")
    appends = figures.pool_appends
    if appends is None:
        nulls.unknown("pool_appends", "this run appended nothing to a pool")
    else:
        nulls.known("pool_appends.first_n", appends.first_n, "no record was appended")
        nulls.known("pool_appends.last_n", appends.last_n, "no record was appended")
    nulls.known("timing.stop_seconds", figures.stop_seconds, NOT_STOPPED)
    manifest = _with_collapses(manifest, figures.collapses, nulls)
    return evolve(
        manifest,
        status=status.value,
        end_time=utc_text(clock.now()),
        duration_seconds=figures.elapsed,
        timing=Timing(
            experiments=list(figures.timing),
            agent_ticks=figures.agent_ticks,
            agent_ticks_per_second=figures.agent_ticks / figures.elapsed,
            stop_seconds=figures.stop_seconds,
        ),
        stop_detected=stopped,
        stop_time=figures.stop_time,
        stop_reason=figures.stop_reason,
        journal=journal,
        counts=figures.counts,
        pool_appends=appends,
        evidence=figures.evidence,
        failure=figures.failure,
        null_reasons=nulls.reasons,
    )


def _with_collapses(manifest: RunManifest, collapses: Sequence[InternalCollapse], nulls: Nulls) -> RunManifest:
    """The survival figures (contracts, section 11): of the collapse that was detected first, and the list of all."""
    if not collapses:
        return manifest
    first = min(collapses, key=lambda one: (one.seconds, one.experiment))
    nulls.forget(
        "internal_collapse_reason",
        "internal_collapse_time",
        "time_to_first_internal_collapse_seconds",
        "time_to_first_internal_collapse_ticks",
    )
    return evolve(
        manifest,
        internal_collapse_detected=True,
        internal_collapse_reason=first.reason,
        internal_collapse_time=first.detected_at,
        time_to_first_internal_collapse_seconds=first.seconds,
        time_to_first_internal_collapse_ticks=first.ticks_to_collapse,
        internal_collapses=list(collapses),
    )
