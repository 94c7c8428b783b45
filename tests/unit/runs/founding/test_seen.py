"""A verdict says of which of its windows a genome or its ancestors have seen any bar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.derive.judged.verdict_rules import origin_of, seen_of
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.service.snapshotting import take_snapshot
from prometheus.v10.runs.request.profile import Profile, load_profile
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.stage2.stage2_run import run_stage2
from prometheus.v10.runs.workload import RunRequest, Surroundings
from tests.unit.runs.conftest import Watcher
from tests.unit.runs.founding.test_eras import PROFILE

JUDGE: dict[str, Any] = {
    "mode": "offline",
    "stage": "stage2",
    "workers": 1,
    "market": {"timeframe_s": 3600, "seed": 7, "bars": 2400},
    "stage2": {
        "windows": [{"name": "LIVED", "start": 150, "len": 400}, {"name": "NEW", "start": 1300, "len": 400}],
        "timeframes_s": [3600, 14400],
        "seeds": [1],
        "crowd": 0,
        "batch": 20,
    },
}


def test_a_verdict_says_which_windows_were_seen(tmp_path: Path):
    layout = Layout.under(tmp_path / "root")
    layout.prepare()
    profile = tmp_path / "ERA.toml"
    profile.write_text(PROFILE)
    journal = Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    around = Surroundings(layout=layout, clock=SystemClock(), control=Watcher(), journal=journal)
    chosen = load_profile(profile, layout)
    for era in range(2):
        around = Surroundings(layout=layout, clock=SystemClock(), control=Watcher(), journal=journal)
        run_stage1(RunRequest(profile=chosen, mode=Mode.OFFLINE, instance="T", era=era), around)
    take_snapshot(layout, Stage.STAGE1, instance="T", clock=SystemClock(), journal=journal)
    judge = structure_config(JUDGE, Profile, source="judge")
    around = Surroundings(layout=layout, clock=SystemClock(), control=Watcher(), journal=journal)
    run = run_stage2(RunRequest(profile=judge, mode=Mode.OFFLINE, instance="J"), around).path
    assert [one for one in verify_run(run).findings if one.level.value != "note"] == []
    era_of = {
        record["id"]: record["source"]["lineage"]["era"]
        for record in map(json.loads, layout.pool(Stage.STAGE1).read_text().splitlines())
    }
    seen = {}
    for record in map(json.loads, layout.pool(Stage.STAGE2).read_text().splitlines()):
        origin = record["metrics_summary"]["origin"]
        seen.setdefault(era_of[origin["id"]], set()).add(tuple(origin["seen"]))
    assert seen[0] == {("LIVED",)}  # era 0 lived on bars 100 to 599, and bars from 1300 on are nobody's yet
    assert all("NEW" not in windows for found in seen.values() for windows in found)


WINDOWS = [("A", ("M", 0, 10)), ("B", ("M", 20, 30)), ("B", ("M", 40, 50)), ("C", ("N", 0, 10))]


def test_a_window_is_seen_if_any_of_its_bars_was():
    assert seen_of([["M", 9, 12]], WINDOWS) == ["A"]
    assert seen_of([["M", 10, 20]], WINDOWS) == []
    assert seen_of([["M", 45, 46], ["N", 0, 1]], WINDOWS) == ["B", "C"]


def test_of_a_record_without_a_lineage_nothing_is_said():
    source = {"run_id": "R", "experiment": 0, "genome_index": 1, "git_commit": None}
    assert "seen" not in origin_of("S", {"n": 0, "id": "i", "source": source}, WINDOWS)
