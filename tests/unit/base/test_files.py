"""Durable files: the order of calls, nothing half-written under its own name, and honest errors at every call."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys

import pytest

from prometheus.v10.base.errors import EvidenceError, ExitCode, HostError, LockHeldError, UsageError
from prometheus.v10.base.files import BLOCK, FILES, AppendFile, Lock, write_atomic, write_new
from tests.faulty import CutOffError, Fault, FaultyFiles


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_atomic_write_goes_aside_sync_rename_sync_directory(tmp_path):
    files = FaultyFiles()
    write_atomic(tmp_path / "a", b"x" * 10, mode=0o604, files=files)
    assert files.trace == ["open", "fchmod", "write", "fsync", "close", "rename", "fsync_dir"]
    assert (tmp_path / "a").read_bytes() == b"x" * 10
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o604


def test_a_mode_does_not_depend_on_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "a", b"", mode=0o644)
        AppendFile(tmp_path / "b", mode=0o644).close()
    finally:
        os.umask(before)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"} == {0o644}


@pytest.mark.parametrize("write", [write_atomic, write_new])
@pytest.mark.parametrize("fault", [Fault.EIO, Fault.ENOSPC])
def test_a_fault_at_every_call_leaves_old_bytes_or_new(tmp_path, write, fault):
    for at in range(50):
        folder = tmp_path / str(at)
        folder.mkdir()
        target = folder / "a"
        old = None
        if write is write_atomic:
            target.write_bytes(b"old")
            old = b"old"
        files = FaultyFiles(fault, at)
        with contextlib.suppress(HostError):
            write(target, b"new", files=files)
        there = target.read_bytes() if target.exists() else None
        assert there in {old, b"new"}
        assert len(names(folder)) <= 2
        if len(files.trace) <= at:
            assert there == b"new"
            return
    pytest.fail("the fault never came late enough")


@pytest.mark.parametrize("write", [write_atomic, write_new])
def test_a_process_that_ends_at_any_call_leaves_old_bytes_or_new(tmp_path, write):
    for at in range(50):
        folder = tmp_path / str(at)
        folder.mkdir()
        files = FaultyFiles(Fault.CUT_OFF, at)
        try:
            write(folder / "a", b"new", files=files)
        except CutOffError:
            assert not (folder / "a").exists() or (folder / "a").read_bytes() == b"new"
        else:
            assert names(folder) == ["a"]
            return
    pytest.fail("never reached the end")


def test_a_short_write_aside_is_gone_on_with(tmp_path):
    write_atomic(tmp_path / "a", b"0123456789", files=FaultyFiles(Fault.SHORT_WRITE, 2))
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_pieces_are_written_in_blocks_as_they_come(tmp_path):
    files = FaultyFiles()
    pieces = [bytes([number]) * (BLOCK // 2) for number in range(5)]
    write_new(tmp_path / "x", iter(pieces), files=files)
    assert (tmp_path / "x").read_bytes() == b"".join(pieces)
    assert files.trace.count("write") == 3


def test_whoever_makes_the_pieces_may_fail_and_leaves_nothing(tmp_path):
    def pieces():
        yield b"x" * BLOCK
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_new(tmp_path / "x", pieces())
    assert names(tmp_path) == []


def test_new_refuses_what_is_there(tmp_path):
    write_new(tmp_path / "a", b"1")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"1"
    assert names(tmp_path) == ["a"]


def test_a_read_only_place_says_what_to_do(tmp_path):
    with pytest.raises(HostError, match="cannot write") as refused:
        write_atomic(tmp_path / "none" / "a", b"")
    assert refused.value.exit_code is ExitCode.IO


def test_an_append_is_one_write_and_the_entry_is_durable(tmp_path):
    files = FaultyFiles()
    with AppendFile(tmp_path / "a", files=files) as file:
        assert files.trace == ["open", "fchmod", "fsync_dir", "size"]
        assert file.append(b"one") == 0
        assert file.append_durable(b"two") == 3
        assert files.trace[4:] == ["size", "write", "size", "write", "fdatasync"]
        assert file.size == 6
    file.close()
    with pytest.raises(UsageError, match="is closed"):
        file.append(b"x")


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.ENOSPC, Fault.SHORT_WRITE])
def test_a_failed_append_leaves_no_trace_and_the_next_one_works(tmp_path, fault):
    files = FaultyFiles(fault)
    with AppendFile(tmp_path / "a", files=files) as file:
        file.append(b"good\n")
        files._at = len(files.trace) + 1
        with pytest.raises(HostError, match="cannot append 6 bytes"):
            file.append(b"failed")
        assert (tmp_path / "a").read_bytes() == b"good\n"
        file.append(b"more\n")
    assert (tmp_path / "a").read_bytes() == b"good\nmore\n"


class CannotCut(FaultyFiles):
    def ftruncate(self, _fd, _size):
        raise OSError(5, "Input/output error")


def test_when_the_cut_fails_too_the_file_is_not_written_any_more(tmp_path):
    files = CannotCut(Fault.SHORT_WRITE)
    with AppendFile(tmp_path / "a", files=files) as file:
        files._at = len(files.trace) + 1
        with pytest.raises(HostError):
            file.append(b"failed")
        with pytest.raises(HostError, match="not written any more: a partial write could not be cut off"):
            file.append(b"next")
    assert (tmp_path / "a").read_bytes() == b"fai"


def test_after_a_failed_sync_nothing_is_believed(tmp_path):
    files = FaultyFiles(Fault.EIO)
    with AppendFile(tmp_path / "a", files=files) as file:
        files._at = len(files.trace) + 2
        with pytest.raises(HostError, match="cannot sync"):
            file.append_durable(b"x")
        with pytest.raises(HostError, match="fdatasync failed"):
            file.append(b"y")
    assert (tmp_path / "a").read_bytes() == b""


def test_a_file_that_somebody_else_changed_is_refused(tmp_path):
    with AppendFile(tmp_path / "a") as file:
        (tmp_path / "a").write_bytes(b"intruder")
        with pytest.raises(EvidenceError, match="changed under its writer"):
            file.append(b"x")


def test_a_link_is_never_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "target").write_bytes(b"")
    with pytest.raises(HostError):
        AppendFile(tmp_path / "link")
    write_atomic(tmp_path / "link", b"x")
    assert (tmp_path / "target").read_bytes() == b""


HOLDER = """
import sys
from pathlib import Path
from prometheus.v10.base.files import Lock
with Lock(Path(sys.argv[1]), who="the other one"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_held_by_another_process_names_it_and_is_free_when_it_dies(tmp_path):
    path = tmp_path / "lock"
    other = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    pauses = []
    with pytest.raises(LockHeldError, match=f"the other one, pid {other.pid} on ") as refused:
        Lock(path, who="me").acquire(attempts=3, pause=lambda: pauses.append(1))
    assert refused.value.exit_code is ExitCode.TRY_AGAIN
    assert len(pauses) == 2
    other.kill()
    other.communicate()
    with Lock(path, who="me"):
        assert path.read_text().startswith("me, pid ")
    assert path.exists(), "a lock's file stays: unlinking it would let two processes hold the lock"


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.ENOSPC])
def test_a_fault_while_locking_is_an_error_and_leaves_it_free(tmp_path, fault):
    for at in range(10):
        files = FaultyFiles(fault, at)
        try:
            with Lock(tmp_path / "lock", who="me", files=files):
                pass
        except HostError:
            with Lock(tmp_path / "lock", who="me"):
                pass
        if len(files.trace) <= at:
            return
    pytest.fail("the fault never came late enough")


def test_the_plain_layer_reads_what_it_wrote(tmp_path):
    fd = FILES.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    assert FILES.write(fd, b"abc") == 3
    os.lseek(fd, 0, os.SEEK_SET)
    assert FILES.read(fd, 10) == b"abc"
    assert not os.get_inheritable(fd)
    FILES.close(fd)
    FILES.mkdir(tmp_path / "d")
    FILES.unlink(tmp_path / "a")
    assert names(tmp_path) == ["d"]
