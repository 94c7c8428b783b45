"""The reserve: room that is really taken, given up once, and the guard that decides about it."""

from __future__ import annotations

import errno
import os

import pytest

from prometheus.v10.base.errors import HostError
from prometheus.v10.base.files import AppendFile, Files, write_atomic, write_new
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.storage.disk import DiskGuard, Room
from prometheus.v10.ops.storage.reserve import Reserve, ReserveFiles
from prometheus.v10.runs.request.profile import DiskTable

SIZE = 1 << 20


@pytest.fixture
def reserve(tmp_path):
    return Reserve(tmp_path / "reserve.bin", SIZE)


def test_its_room_is_really_taken(reserve, tmp_path):
    assert (reserve.held, reserve.missing) == (False, SIZE)
    reserve.make()
    assert (reserve.held, reserve.missing) == (True, 0)
    state = reserve.path.stat()
    assert state.st_blocks * 512 >= SIZE
    data = reserve.path.read_bytes()
    assert len({data[i : i + 4096] for i in range(0, SIZE, 4096)}) == SIZE // 4096
    assert [path.name for path in tmp_path.iterdir()] == ["reserve.bin"]


def test_making_it_twice_writes_it_once(reserve):
    reserve.make()
    before = reserve.path.stat().st_ino
    reserve.make()
    assert reserve.path.stat().st_ino == before


def test_one_of_another_size_is_made_anew(reserve):
    reserve.path.write_bytes(b"part of it")
    assert not reserve.held
    reserve.make()
    assert reserve.path.stat().st_size == SIZE


def test_it_is_given_up_once_and_the_first_reason_stays(reserve):
    reserve.make()
    assert reserve.give_up("the disk is full")
    assert not reserve.path.exists()
    assert not reserve.give_up("again")
    assert reserve.spent == "the disk is full"
    reserve.make()
    assert reserve.spent is None


def test_size_0_turns_it_off(tmp_path):
    off = Reserve(tmp_path / "reserve.bin", 0)
    off.make()
    assert off.held
    assert not off.give_up("full")
    assert off.spent == "full"
    assert list(tmp_path.iterdir()) == []


# ---- the file layer --------------------------------------------------------------------------------------------------


class SmallDisk(Files):
    """A disk on which ``room`` bytes are left; a reserve that was given up frees its own."""

    def __init__(self, reserve, room):
        self.reserve = reserve
        self.room = room
        self.refusals = 0

    def write(self, fd, data):
        if self.room == 0 and not self.reserve.held:
            self.room = SIZE
        taken = min(len(data), self.room)
        if taken == 0:
            self.refusals += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= taken
        return super().write(fd, data[:taken])


@pytest.fixture
def small(reserve):
    """A full disk whose reserve is held."""
    reserve.make()
    return SmallDisk(reserve, 0)


@pytest.fixture
def disk(reserve, small):
    """What writes there, with the reserve to give up."""
    return ReserveFiles(reserve, small)


def test_a_refused_write_is_tried_again_with_the_reserves_room(disk, small, reserve, tmp_path):
    with AppendFile(tmp_path / "events.jsonl", files=disk) as file:
        file.append_durable(b"one line\n")
    assert (tmp_path / "events.jsonl").read_bytes() == b"one line\n"
    assert small.refusals == 1
    assert not reserve.path.exists()
    assert "No space left" in reserve.spent


def test_a_short_append_is_cut_off_and_written_whole(disk, small, reserve, tmp_path):
    with AppendFile(tmp_path / "events.jsonl", files=disk) as file:
        small.room = 100
        file.append_durable(b"a" * 50 + b"\n")
        small.room = 10
        file.append_durable(b"b" * 50 + b"\n")
        file.append_durable(b"c" * 50 + b"\n")
    assert (tmp_path / "events.jsonl").read_bytes() == b"a" * 50 + b"\n" + b"b" * 50 + b"\n" + b"c" * 50 + b"\n"
    assert reserve.spent == "the disk took 10 of 51 bytes"


def test_an_artifact_is_written_whole_too(disk, small, reserve, tmp_path):
    small.room = 10
    write_new(tmp_path / "summary.json", b"x" * 5000, files=disk)
    write_atomic(tmp_path / "manifest.json", b"y" * 5000, files=disk)
    assert (tmp_path / "summary.json").read_bytes() == b"x" * 5000
    assert (tmp_path / "manifest.json").read_bytes() == b"y" * 5000
    assert not reserve.held


def test_when_the_reserve_is_spent_the_error_comes_through_and_nothing_is_half_there(disk, small, reserve, tmp_path):
    path = tmp_path / "events.jsonl"
    with AppendFile(path, files=disk) as file:
        file.append_durable(b"a" * (SIZE - 10))
        small.room = 5
        reserve.size = SIZE + 1  # nothing that `held` would take for it comes back
        with pytest.raises(HostError) as refused:
            file.append_durable(b"b" * 50)
    assert refused.value.exit_code == 74
    assert path.read_bytes() == b"a" * (SIZE - 10)


def test_other_errors_are_not_the_reserves_business(reserve, tmp_path):
    reserve.make()
    with pytest.raises(FileNotFoundError):
        ReserveFiles(reserve).open(tmp_path / "nowhere" / "x", os.O_WRONLY | os.O_CREAT)
    assert reserve.held
    assert reserve.spent is None


@pytest.mark.parametrize("call", ["open", "mkdir", "link", "rename"])
def test_names_need_room_as_well(reserve, tmp_path, monkeypatch, call):
    reserve.make()
    (tmp_path / "source").write_bytes(b"")
    plain = getattr(Files, call)

    def full(self, *arguments):
        if reserve.held:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return plain(self, *arguments)

    monkeypatch.setattr(Files, call, full)
    files, source, target = ReserveFiles(reserve), tmp_path / "source", tmp_path / "target"
    if call == "open":
        files.close(files.open(target, os.O_WRONLY | os.O_CREAT))
    elif call == "mkdir":
        files.mkdir(target)
    else:
        getattr(files, call)(source, target)
    assert target.exists()
    assert "Disk quota exceeded" in reserve.spent


# ---- the guard -------------------------------------------------------------------------------------------------------


@pytest.fixture
def guard(layout, fake_clock):
    (layout.state / "HF").mkdir()
    return DiskGuard.of(layout, "HF", DiskTable(keep_free_bytes=0, reserve_bytes=SIZE), fake_clock)


def test_before_a_run_the_reserve_is_made(guard, layout):
    assert guard.before_run().room is Room.ENOUGH
    assert (layout.state / "HF" / "reserve.bin").stat().st_size == SIZE
    assert guard.look().room is Room.ENOUGH


def test_there_must_be_room_for_the_reserve_beside_what_stays_free(layout, fake_clock, monkeypatch):
    (layout.state / "HF").mkdir()
    guard = DiskGuard.of(layout, "HF", DiskTable(keep_free_bytes=2 * SIZE, reserve_bytes=SIZE), fake_clock)
    monkeypatch.setattr("prometheus.v10.ops.storage.disk.free_bytes", lambda _: 3 * SIZE - 1)
    assert guard.before_run().room is Room.BELOW_KEEP_FREE
    assert not guard.reserve.held
    with pytest.raises(HostError, match="must stay free"):
        guard.require()
    monkeypatch.setattr("prometheus.v10.ops.storage.disk.free_bytes", lambda _: 3 * SIZE)
    assert guard.before_run().room is Room.ENOUGH
    monkeypatch.setattr("prometheus.v10.ops.storage.disk.free_bytes", lambda _: 2 * SIZE)
    assert guard.before_run().room is Room.ENOUGH


def test_no_run_is_begun_with_less_than_the_reserves_size_free(guard, monkeypatch):
    monkeypatch.setattr("prometheus.v10.ops.storage.disk.free_bytes", lambda _: 2 * SIZE)
    assert guard.before_run().room is Room.ENOUGH
    monkeypatch.setattr("prometheus.v10.ops.storage.disk.free_bytes", lambda _: SIZE - 1)
    assert guard.look().room is Room.ENOUGH
    assert guard.before_run().room is Room.BELOW_KEEP_FREE


def test_keep_free_reached_in_flight_gives_it_up_and_the_run_stays_stopped(layout, fake_clock, monkeypatch):
    (layout.state / "HF").mkdir()
    guard = DiskGuard.of(layout, "HF", DiskTable(keep_free_bytes=2 * SIZE, reserve_bytes=SIZE), fake_clock)
    monkeypatch.setattr("prometheus.v10.ops.storage.disk.free_bytes", lambda _: 1 << 40)
    guard.before_run()
    monkeypatch.setattr("prometheus.v10.ops.storage.disk.free_bytes", lambda _: 2 * SIZE - 1)
    fake_clock.advance(2)
    assert guard.look().room is Room.BELOW_KEEP_FREE
    assert not guard.reserve.held
    monkeypatch.setattr("prometheus.v10.ops.storage.disk.free_bytes", lambda _: 2 * SIZE + SIZE // 2)
    fake_clock.advance(2)
    assert guard.look().room is Room.REFUSED
    assert guard.before_run().room is Room.BELOW_KEEP_FREE
    monkeypatch.setattr("prometheus.v10.ops.storage.disk.free_bytes", lambda _: 1 << 40)
    assert guard.before_run().room is Room.ENOUGH
    assert guard.look().room is Room.ENOUGH
    assert guard.reserve.held


def test_a_refused_write_is_seen_at_once_though_the_bounds_hold(guard):
    guard.before_run()
    assert guard.look().room is Room.ENOUGH
    guard.reserve.give_up("a write was refused: Disk quota exceeded")
    found = guard.look()
    assert found.room is Room.REFUSED
    assert "Disk quota exceeded" in found.sentence()


def test_a_reserve_that_cannot_be_made_is_no_room(layout, fake_clock):
    """Its folder is not there: the disk says no, whatever the figures say."""
    guard = DiskGuard.of(Layout.under(layout.lib), "GONE", DiskTable(keep_free_bytes=0, reserve_bytes=SIZE), fake_clock)
    found = guard.before_run()
    assert found.room is Room.REFUSED
    assert "reserve.bin" in found.sentence()
