"""Both bounds of the disk, on a real file system."""

from __future__ import annotations

import os

import pytest

from prometheus.v10.base.errors import HostError
from prometheus.v10.ops.storage.disk import DiskGuard, DiskLook, Room, bytes_under, free_bytes, look, require_room


def test_bytes_are_what_is_allocated_each_file_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_bytes(b"x" * 10_000)
    once = bytes_under(tmp_path)
    assert once >= 10_000
    os.link(tmp_path / "a" / "one", tmp_path / "a second name")
    (tmp_path / "a link").symlink_to("/")
    with (tmp_path / "sparse").open("wb") as hole:
        hole.truncate(1 << 30)
    assert bytes_under(tmp_path) - once < 10_000


def test_an_empty_or_missing_root_holds_nothing(tmp_path):
    assert bytes_under(tmp_path) == 0
    assert bytes_under(tmp_path / "gone") == 0


def test_room_is_judged_by_both_bounds(tmp_path):
    def verdict(**changes):
        figures = {"place": tmp_path, "free_bytes": 10, "keep_free_bytes": 5, "used_bytes": 7, "budget_bytes": 7}
        return DiskLook(**{**figures, **changes}).room

    assert verdict() is Room.ENOUGH
    assert verdict(used_bytes=8) is Room.OVER_BUDGET
    assert verdict(used_bytes=None) is Room.ENOUGH
    assert verdict(budget_bytes=None, used_bytes=8) is Room.ENOUGH
    assert verdict(free_bytes=4, used_bytes=8) is Room.BELOW_KEEP_FREE
    assert verdict(free_bytes=5) is Room.ENOUGH


def test_no_start_without_room(tmp_path):
    with pytest.raises(HostError, match="must stay free") as refused:
        require_room(tmp_path, keep_free_bytes=1 << 62, budget_bytes=None)
    assert refused.value.exit_code == 74
    assert refused.value.hint
    (tmp_path / "big").write_bytes(b"x" * 100_000)
    with pytest.raises(HostError, match="the budget is"):
        require_room(tmp_path, keep_free_bytes=0, budget_bytes=1000)
    assert require_room(tmp_path, keep_free_bytes=0, budget_bytes=1 << 40).room is Room.ENOUGH


def test_every_verdict_has_its_sentence(tmp_path):
    assert "free" in look(tmp_path, keep_free_bytes=0, budget_bytes=None).sentence()
    assert free_bytes(tmp_path) > 0


def test_a_place_that_is_not_there_is_the_hosts_fault(tmp_path):
    with pytest.raises(HostError, match="gone"):
        free_bytes(tmp_path / "gone")


def test_the_guard_looks_once_a_second(tmp_path, fake_clock):
    guard = DiskGuard(tmp_path, 0, fake_clock)
    first = guard.look()
    fake_clock.advance(0.5)
    assert guard.look() is first
    fake_clock.advance(0.6)
    assert guard.look() is not first
