"""A small installation with a pool, a snapshot of it, and a profile that judges it in a second."""

from __future__ import annotations

from typing import Any

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.evidence.pools.pool_record import PoolRecord
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.service.snapshotting import take_snapshot
from prometheus.v10.runs.control import RunControl, RunOutcome
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.stage2.stage2_run import run_stage2
from prometheus.v10.runs.workload import RunRequest, Surroundings

from .conftest import Watcher, do_run, profile

JUDGE = {
    "mode": "offline",
    "stage": "stage2",
    "workers": 1,
    "market": {"timeframe_s": 3600, "seed": 9, "bars": 1200},
    "evidence": {"order_sample_one_in": 500},
    "stage2": {
        "windows": [{"name": "V1", "start": 0, "len": 500}, {"name": "V2", "start": 600, "len": 500}],
        "timeframes_s": [3600, 14400],
        "seeds": [1, 2],
        "crowd": 8,
        "batch": 16,
    },
}
CELLS = 2 * 2 * 2 * 2  # windows x timeframes x seeds x companies


def judge(**changes: Any) -> Profile:
    """The judging profile with tables changed."""
    merged = {k: {**v, **changes.pop(k, {})} if isinstance(v, dict) else v for k, v in JUDGE.items()}
    return structure_config({**merged, **changes}, Profile, source="judge")


def journal() -> Journal:
    return Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE2, run_id=None)


def with_snapshot(layout: Layout, experiments: int = 3) -> tuple[RunOutcome, SnapshotInfo]:
    """A run of stage 1, and a snapshot of its pool."""
    outcome = do_run(layout, profile(experiments={"count": experiments}))
    return outcome, snapshot(layout)


def snapshot(layout: Layout) -> SnapshotInfo:
    return take_snapshot(layout, Stage.STAGE1, instance="T", clock=SystemClock(), journal=journal())


def do_judge(layout: Layout, chosen: Profile, control: RunControl | None = None, **more: Any) -> RunOutcome:
    """One run of stage 2."""
    layout.prepare()
    around = Surroundings(
        layout=layout, clock=SystemClock(), control=control or Watcher(), journal=journal(), **more
    )  # fmt: skip
    return run_stage2(RunRequest(profile=chosen, mode=Mode.OFFLINE, instance="STAGE2"), around)


def verdicts_in(layout: Layout) -> list[PoolRecord]:
    pool = layout.pool(Stage.STAGE2)
    return list(iter_records(pool)) if pool.exists() else []


def content(record: PoolRecord) -> dict[str, Any]:
    """What a verdict says: without its place in the chain, and without the name and time of the run that said it."""
    return {
        "genome": record.genome_sha256,
        "metrics": record.metrics_summary,
        "row": record.source["genome_index"],
        "window": record.source["window"],
    }
