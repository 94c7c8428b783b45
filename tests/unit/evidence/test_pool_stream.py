"""Streams of groups: what is acknowledged when, and what stays when the disk or the reader leaves in the middle."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from prometheus.v10.base.errors import HostError, UsageError
from prometheus.v10.evidence.pools.pool import AHEAD, PoolWriter
from tests.faulty import Fault, FaultyFiles
from tests.integration.faults.support import reopen


def test_groups_that_are_stopped_early_leave_a_writer_that_goes_on(tmp_path, clock, no_torn, entry):
    path = tmp_path / "pool.jsonl"
    with PoolWriter(path, clock=clock, on_torn=no_torn) as writer:
        groups = writer.append_groups([[entry(i)] for i in range(10)])
        assert next(groups) == [0]
        groups.close()  # type: ignore[attr-defined]
        after = writer.link.n
        assert after >= 1
        assert writer.append([entry(20)]) == [after]
    assert reopen(path) == (after + 1, [])


@pytest.mark.parametrize("fault", [Fault.ENOSPC, Fault.SHORT_WRITE, Fault.EIO])
def test_no_group_is_acknowledged_after_one_that_failed(tmp_path, clock, entry, no_torn, fault):
    for at in range(8, 40):
        path = tmp_path / f"{at}" / "pool.jsonl"
        path.parent.mkdir()
        files = FaultyFiles(fault, at)
        acknowledged = []
        try:
            with PoolWriter(path, clock=clock, on_torn=no_torn, files=files) as writer:
                for numbers in writer.append_groups([[entry(i), entry(i + 1)] for i in range(0, 12, 2)]):
                    acknowledged += numbers
        except HostError:
            assert len(acknowledged) <= 12
        count, _ = reopen(path)
        assert count >= len(acknowledged)
        assert acknowledged == list(range(len(acknowledged)))
        if len(files.trace) <= at:
            return
    pytest.fail("the fault never came late enough")


class HeldSyncs(FaultyFiles):
    """Syncs that wait until they are let go."""

    def __init__(self):
        super().__init__()
        self.begun, self.let_go = threading.Event(), threading.Event()

    def fdatasync(self, fd):
        self.begun.set()
        assert self.let_go.wait(60)
        super().fdatasync(fd)


def test_groups_that_are_written_while_a_sync_runs_share_the_next(tmp_path, clock, no_torn, entry):
    path = tmp_path / "pool.jsonl"
    files = HeldSyncs()

    def groups():
        yield from ([entry(i)] for i in range(AHEAD))
        files.let_go.set()  # asked for one more: as many are written as may be, and the first sync still waits
        yield [entry(AHEAD)]

    with PoolWriter(path, clock=clock, on_torn=no_torn, files=files) as writer:
        assert list(writer.append_groups(groups())) == [[i] for i in range(AHEAD + 1)]
    assert files.trace.count("fdatasync") <= 3
    assert reopen(path) == (AHEAD + 1, [])


def test_a_group_is_not_acknowledged_by_a_sync_that_began_before_it(tmp_path, clock, no_torn, entry):
    """The second is written while the first one's sync runs: it needs one of its own."""
    files = HeldSyncs()

    def groups():
        yield [entry(0)]
        assert files.begun.wait(60)
        yield [entry(1)]
        files.let_go.set()

    with PoolWriter(tmp_path / "pool.jsonl", clock=clock, on_torn=no_torn, files=files) as writer:
        assert list(writer.append_groups(groups())) == [[0], [1]]
    assert files.trace.count("fdatasync") == 2


def test_a_sync_that_fails_takes_back_what_it_stood_for(tmp_path, clock, no_torn, entry):
    path = tmp_path / "pool.jsonl"

    class Failing(FaultyFiles):
        def fdatasync(self, fd):
            super().fdatasync(fd)
            if self.trace.count("fdatasync") == 3:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    acknowledged = []
    with PoolWriter(path, clock=clock, on_torn=no_torn, files=Failing()) as writer:
        writer.append([entry(0)])
        with pytest.raises(HostError, match="cannot sync"):
            acknowledged.extend(writer.append_groups([entry(i)] for i in range(1, 30)))
        assert 1 + len(acknowledged) <= writer.link.n < 29, "what was settled while the stream was left is durable too"
        durable = writer.link.n
        with pytest.raises(HostError, match="not written any more"):
            writer.append([entry(40)])
    assert reopen(path) == (durable, [])


def test_nothing_is_appended_between_two_groups_of_a_stream(tmp_path, clock, no_torn, entry):
    path = tmp_path / "pool.jsonl"
    with PoolWriter(path, clock=clock, on_torn=no_torn) as writer:
        stream = writer.append_groups([entry(i)] for i in range(9))
        assert next(stream) == [0]
        with pytest.raises(UsageError, match="under way"):
            writer.append([entry(10)])
        assert list(stream) == [[i] for i in range(1, 9)]
        assert writer.append([entry(10)]) == [9]
    assert reopen(path) == (10, [])


def test_a_writer_that_is_left_in_the_middle_of_a_stream_settles_it_first(tmp_path, clock, no_torn, entry):
    path = tmp_path / "pool.jsonl"
    with PoolWriter(path, clock=clock, on_torn=no_torn) as writer:
        stream = writer.append_groups([entry(i)] for i in range(9))
        next(stream)
    reached = writer.link.n
    assert reopen(path) == (reached, [])
    with pytest.raises(UsageError, match="closed"):
        list(stream)
    assert reopen(path) == (reached, [])
