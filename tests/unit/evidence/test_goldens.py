"""One golden file for each artifact: a change of any record is a visible change of its whole text.

To write them anew after a meant change (with its version bump), run this file with PQ_WRITE_GOLDENS=1.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.evidence.records.codec import from_json_bytes, to_json_bytes, to_line
from prometheus.v10.evidence.records.event_lines import (
    BirthColumns,
    DeathColumns,
    EventContext,
    FenceBlocks,
    encode_births,
    encode_deaths,
)
from prometheus.v10.evidence.records.events import (
    BirthEvent,
    CapitalTriplet,
    CollapseEvent,
    DeathEvent,
    EvidenceRef,
    FenceShare,
    InterestingDeath,
)
from prometheus.v10.evidence.records.fingerprint import ExecutionFingerprint, offline_fingerprint
from prometheus.v10.evidence.records.manifest_parts import (
    Ablation,
    Counts,
    EvidenceSize,
    ExperimentTiming,
    InternalCollapse,
    MarketSource,
    PoolAppends,
    PoolHead,
    Window,
)
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.records.summary import (
    AuditDeclaration,
    Costs,
    ExperimentStats,
    Invariant,
    MultipleExperimentsSummary,
    collapse_outcome,
    deaths_by_reason,
    quantiles,
    summarise,
)
from prometheus.v10.evidence.records.telemetry import Count, GatingTelemetry, gating_telemetry
from prometheus.v10.evidence.writing.environment import Environment, Host
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.manifest import RunFigures, RunManifest, RunPlan, Status, finish, start_manifest
from prometheus.v10.runs.offline import SIMULATED

GOLDENS = Path(__file__).parent / "goldens"
RUN_ID = "HF_20260102T030405Z_0123456_0000"
TRIPLET = CapitalTriplet(allocated_capital=7600.5, system_reserve=2100.25, current_total=9700.75)
CONFIG = {"instance": "HF", "experiment": {"founders": 2, "leverage": 3.0}}
MARKET_TIME = 1_735_786_800


def environment() -> Environment:
    return Environment(
        git_commit="0123456789abcdef0123456789abcdef01234567",
        git_dirty=False,
        docker_image=None,
        image_digest=None,
        python_version="3.12.1",
        versions={"numpy": "2.4.6", "numba": None},
        host=Host(
            kernel="6.1.0",
            machine="x86_64",
            cpu="A Processor",
            cpu_flags=["avx", "avx2"],
            cpus=2,
            memory_bytes=8_000_000_000,
            libc="glibc 2.36",
            systemd="systemd 252",
            podman=None,
        ),
        null_reasons={
            "docker_image": "not a built image",
            "image_digest": "not a built image",
            "versions.numba": "not installed",
            "host.podman": "no podman command here",
        },
    )


def journal() -> Journal:
    return Journal(
        instance="HF",
        mode=Mode.OFFLINE,
        stage=Stage.STAGE1,
        run_id=RUN_ID,
        sender=None,
        absent_reason="/run/systemd/journal/socket is not there: no journald in this place",
    )


def started(clock: Any) -> RunManifest:
    plan = RunPlan(
        run_id=RUN_ID,
        instance="HF",
        stage="stage1",
        tier="tier1_hf",
        mode="offline",
        arm="A_real",
        window=Window(name="all", start=0, len=8760),
        ablation=Ablation(name="none", detail="all 33 channels are live"),
        config=CONFIG,
        seeds=[11, 12],
        world={"taker_fee": 0.0005, "leverage_cap": 3.0},
        market=MarketSource(
            source="synthetic",
            sha256="a" * 64,
            symbol="BTC-USDT-SWAP",
            timeframe="1h",
            rows=8760,
            first_time="2024-01-01T00:00:00.000000Z",
            last_time="2024-12-30T23:00:00.000000Z",
        ),
        core_hash="b" * 64,
        fence_inventory_hash="c" * 64,
        exchange=SIMULATED,
        retention={"raw_days": 14},
        results_dir=f"/var/lib/prometheus-quant/runs_hf/{RUN_ID}",
    )
    nulls = Nulls()
    return start_manifest(plan, environment(), journal().state(nulls, None), nulls, clock)


def manifest_running(clock: Any) -> RunManifest:
    return started(clock)


def manifest_completed(clock: Any) -> RunManifest:
    manifest = started(clock)
    clock.advance(12.5)
    collapse = InternalCollapse(
        experiment=1,
        reason="extinction",
        tick=2189,
        ticks_to_collapse=2190,
        market_time="2024-04-01T06:00:00.000000Z",
        detected_at="2026-01-02T03:04:09.000000Z",
        seconds=4.0,
    )
    figures = RunFigures(
        timing=[
            ExperimentTiming(experiment=0, wall_seconds=6.0, started_seconds=1.0, ended_seconds=7.0),
            ExperimentTiming(experiment=1, wall_seconds=4.0, started_seconds=7.0, ended_seconds=11.0),
        ],
        agent_ticks=1_250_000,
        elapsed=12.5,
        collapses=[collapse],
        counts=Counts(experiments=2, deaths=150, births=40, collapses=1, pool_records=30),
        evidence=EvidenceSize(files=8, bytes=123_456),
        pool_appends=PoolAppends(
            pool="stage1/pool.jsonl",
            first_n=10,
            last_n=39,
            before=PoolHead(records=10, head="b" * 64),
            after=PoolHead(records=40, head="a" * 64),
            appended=30,
            records_sha256="d" * 64,
        ),
    )
    nulls = Nulls(manifest.null_reasons)
    return finish(manifest, Status.COMPLETED, figures, journal().state(nulls, None), nulls, clock)


def summary(clock: Any) -> MultipleExperimentsSummary:
    nulls = Nulls()
    row = ExperimentStats(
        experiment=0,
        seed=11,
        arm="A_real",
        completed=True,
        ticks=8760,
        reviews=4,
        system_roi=-0.03,
        max_drawdown=0.08,
        founders=2,
        alive_agents=1,
        total_agents_ever=3,
        births=1,
        deaths=2,
        deaths_by_reason=deaths_by_reason([1, 0, 1, 0]),
        trades=9,
        trades_median=3.0,
        zero_trade_share=0.0,
        liquidated_share=1 / 3,
        profitable_agents_all=1,
        profitable_agents_alive=1,
        costs=Costs(fees=12.5, slippage=3.25, funding=-0.5),
        capital_triplet=TRIPLET,
        collapse=collapse_outcome(None, None, None, nulls),
        roi_quantiles=quantiles([-0.5, 0.1, 0.25]),
        founder_out_in_correlation=0.0125,
        gene_diversity=nulls.known("gene_diversity", 0.2, "nobody lives"),
        lineages_alive=1,
        lineage_diversity=1.0,
        has_nan=False,
        has_inf=False,
        null_reasons=nulls.reasons,
    )
    declaration = AuditDeclaration(
        mode="offline",
        capital_semantics="current_total = allocated_capital + system_reserve",
        group_id="A_real",
        ablation="none",
        ablation_detail="all 33 channels are live",
        null_hypothesis="the order of returns does not matter",
        window={"name": "all", "start": 0, "len": 8760},
    )
    invariant = Invariant(name="capital_conservation", passed=True, residual=1e-15, limit=1e-9, detail="largest gap")
    return summarise(RUN_ID, CONFIG, declaration, [row], [invariant])


def fingerprint(clock: Any) -> ExecutionFingerprint:
    return offline_fingerprint(RUN_ID)


def telemetry(clock: Any) -> GatingTelemetry:
    counts = {
        "FENCE_CORE_MIN_ORDER": Count(1000, 10, 1, 1),
        "FENCE_CORE_REVIEW_DEATH": Count(1000, 10, 5, 5),
    }
    return gating_telemetry(RUN_ID, Mode.OFFLINE, "c" * 64, counts)


def collapse(clock: Any) -> CollapseEvent:
    return CollapseEvent(
        run_id=RUN_ID,
        experiment=1,
        seed=12,
        arm="A_real",
        ts_utc="2024-04-01T06:00:00.000000Z",
        tick=2189,
        ticks_to_collapse=2190,
        ticks_planned=8760,
        reason="extinction",
        alive_agents=0,
        total_agents_ever=2,
        births=0,
        deaths=2,
        deaths_by_reason=deaths_by_reason([2, 0, 0, 0]),
        reviews=1,
        capital_triplet=TRIPLET,
        fence_block_rate_summary=[
            FenceShare(fence_id="FENCE_CORE_REVIEW_DEATH", attempts=2, block_count=2, block_rate=1.0)
        ],
    )


def interesting_death(clock: Any) -> InterestingDeath:
    return InterestingDeath(
        run_id=RUN_ID,
        experiment=1,
        seed=12,
        arm="A_real",
        ts_utc="2024-04-01T06:00:00.000000Z",
        pattern="no_trades_but_died",
        tick_first=2189,
        tick_last=2189,
        deaths=2,
        agent_ids=["e0001a000000", "e0001a000001"],
        observed=1.0,
        threshold=0.5,
        detail="2 of 2 agents that died had not closed a trade",
        evidence_refs=[EvidenceRef(file="death_events.jsonl", line_start=1, line_end=2)],
    )


def deaths() -> bytes:
    context = EventContext(run_id=RUN_ID, experiment=1, seed=12, arm="A_real", genome_offset=2)
    fences = FenceBlocks(
        names=["FENCE_A", "FENCE_B"],
        fence=np.array([[1, -1], [-1, -1]]),
        blocks=np.array([[3, 0], [0, 0]]),
        attempts=np.array([[4, 0], [0, 0]]),
    )
    columns = DeathColumns(
        tick=np.array([17, 2189]),
        market_time=np.array([MARKET_TIME, MARKET_TIME + 3600]),
        agent=np.array([0, 2]),
        parent=np.array([-1, 0]),
        genome_sha256=["d" * 64, "e" * 64],
        birth_tick=np.array([-1, 0]),
        age_ticks=np.array([18, 2190]),
        reason=np.array([2, 0]),
        initial_capital=np.array([80.0, 40.0]),
        final_capital=np.array([-1.25, 40.5]),
        roi_lifetime=np.array([-1.015625, 0.0125]),
        roi_period=np.array([-1.015625, 0.0125]),
        trades=np.array([1, 7]),
        wins=np.array([0, 4]),
        costs=np.array([[0.5, -0.25, 0.125], [1e-7, 0.0, 2.0]]),
        side=np.array([-1, 0]),
        last_signal=np.array([-0.75, 0.1], dtype=np.float32),
        triplet=np.array([[7600.5, 2100.25, 9700.75], [7500.0, 2200.0, 9700.0]]),
        fences=fences,
    )
    return encode_deaths(context, columns)


def births() -> bytes:
    context = EventContext(run_id=RUN_ID, experiment=1, seed=12, arm="A_real", genome_offset=2)
    columns = BirthColumns(
        tick=np.array([2189]),
        market_time=np.array([MARKET_TIME]),
        agent=np.array([2]),
        parent=np.array([1]),
        founder=np.array([1]),
        genome_sha256=["d" * 64],
        parent_genome_sha256=["e" * 64],
        mutated_loci=np.array([34]),
        initial_capital=np.array([43.5]),
        parent_roi_period=np.array([0.0875]),
    )
    return encode_births(context, columns)


ARTIFACTS: list[tuple[str, Callable[[Any], attrs.AttrsInstance]]] = [
    ("run_manifest.running.json", manifest_running),
    ("run_manifest.completed.json", manifest_completed),
    ("multiple_experiments_summary.json", summary),
    ("execution_fingerprint.json", fingerprint),
    ("gating_telemetry.json", telemetry),
]
LINES: list[tuple[str, Callable[[Any], attrs.AttrsInstance]]] = [
    ("collapse_events.jsonl", collapse),
    ("interesting_deaths.jsonl", interesting_death),
]
ENCODED: list[tuple[str, Callable[[], bytes], type[attrs.AttrsInstance]]] = [
    ("death_events.jsonl", deaths, DeathEvent),
    ("birth_events.jsonl", births, BirthEvent),
]


def held(name: str, data: bytes) -> None:
    """Compare with the golden file, or write it when asked to."""
    path = GOLDENS / name
    if os.environ.get("PQ_WRITE_GOLDENS"):
        path.write_bytes(data)
    assert data.decode() == path.read_text(encoding="ascii")


@pytest.mark.parametrize(("name", "make"), ARTIFACTS)
def test_artifact(name: str, make: Callable[[Any], attrs.AttrsInstance], fake_clock: Any) -> None:
    record = make(fake_clock)
    data = to_json_bytes(record)
    held(name, data)
    again = from_json_bytes(data, type(record), where=name)
    assert again == record
    assert to_json_bytes(again) == data


@pytest.mark.parametrize(("name", "make"), LINES)
def test_line(name: str, make: Callable[[Any], attrs.AttrsInstance], fake_clock: Any) -> None:
    record = make(fake_clock)
    line = to_line(record)
    held(name, line)
    assert from_json_bytes(line, type(record), where=name) == record


@pytest.mark.parametrize(("name", "make", "cls"), ENCODED)
def test_encoded(name: str, make: Callable[[], bytes], cls: type[attrs.AttrsInstance]) -> None:
    data = make()
    held(name, data)
    for line in data.splitlines(keepends=True):
        assert to_line(from_json_bytes(line, cls, where=name)) == line


def test_no_golden_is_left_over() -> None:
    assert {path.name for path in GOLDENS.iterdir()} == {name for name, *_ in [*ARTIFACTS, *LINES, *ENCODED]}
