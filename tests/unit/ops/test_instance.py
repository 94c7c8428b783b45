"""What an instance remembers, and that only one process works for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from prometheus.v10.base.errors import EvidenceError, LockHeldError, UsageError
from prometheus.v10.ops.instance.instance_lock import Instance


def test_runs_are_counted_across_processes(layout, fake_clock):
    numbers = []
    for _ in range(3):
        with Instance(layout, "HF", fake_clock, print) as instance:
            numbers += [instance.begin_run(), instance.begin_run()]
    assert numbers == [0, 1, 2, 3, 4, 5]


def test_instances_do_not_share_anything(layout, fake_clock):
    with Instance(layout, "HF", fake_clock, print) as one, Instance(layout, "OTHER", fake_clock, print) as two:
        one.begin_run()
        assert (one.runs_begun(), two.runs_begun()) == (1, 0)
        assert one.folder != two.folder


def test_the_second_is_refused_with_the_name_of_the_first(layout, fake_clock, monkeypatch):
    monkeypatch.setattr("prometheus.v10.ops.instance.instance_lock.LOCK_ATTEMPTS", 1)
    with (
        Instance(layout, "HF", fake_clock, print),
        pytest.raises(LockHeldError, match="instance HF, pid") as refused,
        Instance(layout, "HF", fake_clock, print),
    ):
        pass
    assert refused.value.exit_code == 75
    with Instance(layout, "HF", fake_clock, print):
        pass


def test_a_killed_process_leaves_the_lock_free(layout, fake_clock):
    program = f"""
import os, signal
from pathlib import Path
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.instance.instance_lock import Instance
with Instance(Layout.under(Path({str(layout.lib)!r})), "HF", SystemClock(), print) as instance:
    instance.begin_run()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == -9
    with Instance(layout, "HF", fake_clock, print) as instance:
        assert instance.begin_run() == 1


@pytest.mark.parametrize("text", ["", "7", "{}", '{"runs_begun":-1,"schema":"run_counter/1"}', '{"runs_begun":true}'])
def test_a_counter_that_is_none_is_never_guessed(layout, fake_clock, text):
    with Instance(layout, "HF", fake_clock, print) as instance:
        instance.counter_file.write_text(text)
        with pytest.raises(EvidenceError, match="counter") as refused:
            instance.begin_run()
        assert refused.value.hint


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "HF\n", "x" * 33, "ü"])
def test_names_that_cannot_be_instances(layout, fake_clock, name):
    with pytest.raises(UsageError, match="cannot name an instance"):
        Instance(layout, name, fake_clock, print)


def test_state_behind_a_link_is_refused(layout, fake_clock, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (layout.state / "HF").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="symbolic link"), Instance(layout, "HF", fake_clock, print):
        pass
