"""Honest runs of ever new profiles pass: no false alarm (``PQ_HONEST`` sets how many)."""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from pathlib import Path

from prometheus.v10.base.errors import ExitCode, PrometheusError
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.verify.verify_run import verify_run
from tests.forger.house import do_judge, do_run, random_judges, random_profiles

RUNS = int(os.environ.get("PQ_HONEST", "25"))
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
