"""The closer for an instance that is not started again: a real process on a tree that a killed one left."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.writing.rundir import RunDirectory
from prometheus.v10.ops.close_run import parse_name
from prometheus.v10.ops.instance.instance_lock import Instance
from tests.beginnings import enter_beginning
from tests.callbacks import never

RUN = "HF_20260102T030405Z_abcdef0_0001"


@pytest.fixture
def cut_off(layout):
    enter_beginning(layout, RUN)
    with RunDirectory.create(layout, Tier.TIER1_HF, RUN) as run:
        (run.path / Artifact.MANIFEST).write_text(json.dumps({"instance": "HF", "status": "running"}))
    return run.path


def closer(layout, name="stage1-HF"):
    words = [sys.executable, "-m", "prometheus.v10.ops.close_run", name, "--root", str(layout.lib)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def test_a_cut_off_run_is_sealed_also_while_the_kill_switch_is_pulled(layout, cut_off):
    layout.stop_file.parent.mkdir(parents=True, exist_ok=True)
    layout.stop_file.touch()
    ended = closer(layout)
    assert (ended.returncode, ended.stderr) == (0, "1 runs of stage1-HF were closed\n")
    assert (cut_off / Artifact.INTERRUPTED).is_file()
    assert subprocess.run(["sha256sum", "--quiet", "-c", Artifact.SHA256SUMS], cwd=cut_off, check=False).returncode == 0
    assert "0 runs" in closer(layout).stderr


def test_an_instance_at_work_is_left_alone(layout, cut_off, fake_clock):
    with Instance(layout, "HF", fake_clock, never):
        assert closer(layout).returncode == 75
    assert not (cut_off / Artifact.INTERRUPTED).exists()


@pytest.mark.parametrize("name", ["HF", "stage3-HF", "", "-HF"])
def test_a_name_without_a_stage_is_refused(name):
    with pytest.raises(UsageError):
        parse_name(name)


def test_the_rest_of_a_name_is_the_instance():
    assert parse_name("stage2-okx_demo") == (Stage.STAGE2, "okx_demo")
