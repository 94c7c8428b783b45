"""Promotion of an experiment whose population died out: its last tick ends before anybody decides in it."""

from __future__ import annotations

import json
from pathlib import Path

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.runs.replay import replay

from .conftest import Watcher, do_run, profile
from .test_promote import drain, put, request

EXTINCT = {"review_ticks": 100, "death_roi": 1e5, "breed_roi": 1e6}


def test_an_experiment_that_collapsed_is_promoted_and_verifies(layout: Layout, tmp_path: Path) -> None:
    do_run(layout, profile(world=EXTINCT, pool={"best_of_the_dead": 1}))
    put(layout, request(layout))
    run = drain(layout)
    (event,) = [json.loads(line) for line in (run.path / Artifact.COLLAPSES).read_text().splitlines()]
    traced = [json.loads(line)["tick"] for part in sorted(run.path.glob("decision_trace_part_*.jsonl"))
              for line in part.read_text().splitlines()]  # fmt: skip
    assert traced == list(range(event["tick"]))  # nobody was left to decide in the tick of the collapse
    assert json.loads((run.path / Artifact.POSITIONS_SNAPSHOT).read_text())["tick"] == event["tick"] - 1
    assert verify_path(run.path).exit_code == 0, verify_path(run.path).lines()
    assert audit(layout).exit_code == 0, audit(layout).lines()
    again = replay(run.path, layout, tmp_path / "again", clock=SystemClock(), control=Watcher(), workers=1)
    assert again.identical, again.comparisons
