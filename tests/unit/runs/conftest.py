"""Runs small enough to do many of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.runs.control import Progress, RunOutcome, StopReason
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.workload import RunRequest, Surroundings

SMALL: dict[str, Any] = {
    "mode": "offline",
    "workers": 1,
    "market": {"timeframe_s": 3600, "seed": 4, "bars": 600},
    "window": {"name": "S", "start": 20, "len": 500},
    "experiments": {"count": 3, "seed": 11},
    "world": {"founders": 10, "review_ticks": 100, "death_roi": -0.05, "breed_roi": 0.01},
    "evidence": {"order_sample_one_in": 20, "compress": False},
}


class Watcher:
    """A `RunControl` that remembers, and stops the run once so many agent-ticks are done."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after, self.seen = stop_after, 0
        self.opened: list[Path] = []
        self.sealings = 0

    def preparing(self, what: str) -> None:
        assert what

    def able(self) -> None:
        """Nothing to say."""

    def checked(self, nbytes: int) -> None:
        assert nbytes > 0

    def run_opened(self, run_id: str, path: Path) -> None:
        assert path.name == run_id
        self.opened.append(path)

    def progress(self, progress: Progress) -> None:
        assert progress.agent_ticks >= self.seen
        self.seen = progress.agent_ticks

    def sealing(self) -> None:
        self.sealings += 1

    def stop_requested(self) -> StopReason | None:
        return StopReason.SIGTERM if self.stop_after is not None and self.seen >= self.stop_after else None


def profile(**changes: Any) -> Profile:
    """The small profile with top-level keys or tables changed."""
    merged = {k: {**v, **changes.pop(k, {})} if isinstance(v, dict) else v for k, v in SMALL.items()}
    return structure_config({**merged, **changes}, Profile, source="small")


def do_run(layout: Layout, chosen: Profile, control: Watcher | None = None) -> RunOutcome:
    """One run of stage 1."""
    layout.prepare()
    journal = Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    around = Surroundings(layout=layout, clock=SystemClock(), control=control or Watcher(), journal=journal)
    return run_stage1(RunRequest(profile=chosen, mode=Mode.OFFLINE, instance="T"), around)
