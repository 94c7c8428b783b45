"""Honest runs of ever new profiles pass: no false alarm (``PQ_HONEST`` sets how many)."""

from __future__ import annotations

import itertools
import json
import os
import random
from contextlib import suppress
from pathlib import Path

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExitCode, PrometheusError
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.service.promotion import enqueue, of_pattern, run_next
from prometheus.v10.runs.replay import replay
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.workload import RunRequest, Surroundings
from tests.forger.house import BASE, Stopper, do_judge, do_run, random_judges, random_profiles

RUNS = int(os.environ.get("PQ_HONEST", "25"))
PROMOTIONS = max(8, RUNS // 3)
FENCES = ("entry_m7_below", "exit_c4_above", "long_only")
SEED = int(os.environ.get("PQ_HONEST_SEED", "3"))


def test_honest_runs_pass(tmp_path: Path) -> None:
    checked = 0
    for number, (changes, stop_after, counter) in enumerate(itertools.islice(random_profiles(SEED), RUNS)):
        root = tmp_path / str(number)
        with suppress(PrometheusError):  # a fence whose rate nothing explains: sealed as failed, and verified too
            do_run(root, changes, stop_after=stop_after, counter=counter)
        for run_dir in (root / "runs_hf").iterdir():
            report = verify_run(run_dir)
            assert report.exit_code is ExitCode.DONE, (changes, report.lines())
            checked += 1
    assert checked >= RUNS * 0.8


def test_honest_runs_of_stage_2_pass(tmp_path: Path) -> None:
    """Each root is judged twice, of which the second time finds what the first left, or an evaluation of its own."""
    checked = 0
    for number, (changes, stop_after) in enumerate(itertools.islice(random_judges(SEED), max(2, RUNS // 5))):
        root = tmp_path / str(number)
        for turn in range(2):
            with suppress(PrometheusError):  # nothing is left to judge, or a fence whose rate nothing explains
                do_judge(root, changes, stop_after=stop_after if turn == 0 else None, evolve=turn == 0)
        for run_dir in (root / "runs_hf").glob("STAGE2_*"):
            report = verify_run(run_dir)
            assert report.exit_code is ExitCode.DONE, (changes, report.lines())
            checked += 1
        assert audit(Layout.under(root)).exit_code is ExitCode.DONE
    assert checked >= max(2, RUNS // 5)


def test_honest_promotions_pass(tmp_path: Path) -> None:
    """Any experiment of any run: whole, stopped, extinct, of an era; the promotion itself stopped or not; replayed."""
    draw, promoted = random.Random(SEED), 0
    for number, (changes, stop_after, counter) in enumerate(itertools.islice(random_profiles(SEED + 1), PROMOTIONS)):
        root = tmp_path / str(number)
        for fence in FENCES:  # a profile of a gate is not replayed alone
            changes["world"].pop(fence, None)
        with suppress(PrometheusError):
            do_run(root, changes, stop_after=stop_after, counter=counter)
        for run_dir in sorted((root / "runs_hf").iterdir()):
            done = len(json.loads((run_dir / Artifact.SUMMARY).read_bytes())["all_stats"])
            if not done:
                continue
            tier2 = promote(root, run_dir.name, draw.randrange(done), draw.choice([None, None, None, 0, 300, 3000]))
            report = verify_run(tier2)
            assert report.exit_code is ExitCode.DONE, (changes, report.lines())
            again = replay(tier2, Layout.under(root), tmp_path / f"again{promoted}", clock=SystemClock(),
                           control=Stopper(), workers=1)  # fmt: skip
            assert again.identical, (changes, again.comparisons)
            promoted += 1
            report = audit(Layout.under(root))
            assert report.exit_code is ExitCode.DONE, (changes, report.lines())
    assert promoted >= PROMOTIONS * 0.8


def promote(root: Path, run_id: str, experiment: int, stop_after: int | None) -> Path:
    """Promote one experiment of a run as a whole, and return the Tier-2 run's directory."""
    layout, clock = Layout.under(root), SystemClock()
    pattern = {
        "run_id": run_id,
        "experiment": experiment,
        "agent_ids": [],
        "pattern": "mass_death_cluster",
        "detail": "",
    }
    one = of_pattern(pattern, "PROMOTE", clock)
    journal = Journal.open(instance="PROMOTE", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    enqueue(one, layout, clock=clock, journal=journal)
    before = set((root / "runs").iterdir())
    around = Surroundings(layout=layout, clock=clock, control=Stopper(stop_after), journal=journal)
    with suppress(PrometheusError):
        run_next(
            RunRequest(profile=structure_config(BASE, Profile, source="forger"), mode=Mode.OFFLINE, instance="PROMOTE"),
            around,
        )
    (made,) = set((root / "runs").iterdir()) - before
    return made
