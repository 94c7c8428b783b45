"""The first reason to stop wins, whatever comes after it."""

from __future__ import annotations

import os
import signal

import pytest

from prometheus.v10.ops.service.stop import StopWatch, stop_file_present
from prometheus.v10.runs.control import StopReason


@pytest.fixture
def stop_file(tmp_path):
    return tmp_path / "STOP"


def test_nothing_asked_nothing_answered(stop_file, fake_clock):
    watch = StopWatch(stop_file, fake_clock)
    assert watch.stop_requested() is None
    assert watch.since is None


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGTERM, StopReason.SIGTERM), (signal.SIGINT, StopReason.SIGINT)]
)
def test_a_signal_asks_once_and_its_repetition_changes_nothing(stop_file, fake_clock, number, reason):
    with StopWatch(stop_file, fake_clock) as watch:
        os.kill(os.getpid(), number)
        first = watch.since
        fake_clock.advance(1.0)
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        stop_file.touch()
        assert watch.stop_requested() is reason
        assert watch.since == first == fake_clock.moment.replace(second=first.second)
        assert watch.signals == 3


def test_handlers_live_as_long_as_the_block(stop_file, fake_clock):
    before = signal.getsignal(signal.SIGTERM)
    with StopWatch(stop_file, fake_clock):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_file_is_looked_at_every_fifth_of_a_second(stop_file, fake_clock):
    watch = StopWatch(stop_file, fake_clock)
    assert watch.stop_requested() is None
    stop_file.touch()
    fake_clock.advance(0.19)
    assert watch.stop_requested() is None
    fake_clock.advance(0.011)
    assert watch.stop_requested() is StopReason.STOP_FILE
    stop_file.unlink()
    fake_clock.advance(1.0)
    assert watch.stop_requested() is StopReason.STOP_FILE  # a stop is never taken back


def test_a_reason_of_our_own_is_remembered_like_the_others(stop_file, fake_clock):
    watch = StopWatch(stop_file, fake_clock)
    watch.request(StopReason.DISK_BUDGET)
    stop_file.touch()
    fake_clock.advance(1.0)
    assert watch.stop_requested() is StopReason.DISK_BUDGET


def test_whatever_bears_the_name_is_a_pulled_switch(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert all(stop_file_present(tmp_path / name) for name in ("file", "folder", "dangling"))
    assert not stop_file_present(tmp_path / "missing")
    assert not stop_file_present(tmp_path / "file" / "below a file")


def test_a_switch_that_cannot_be_seen_counts_as_pulled(tmp_path):
    looped = tmp_path / "loop"
    looped.symlink_to(looped)
    assert stop_file_present(looped / "STOP")  # ELOOP, like EACCES and EIO: we cannot know
