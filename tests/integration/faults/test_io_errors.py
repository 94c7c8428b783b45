"""EIO and short writes at every call to the kernel: the work fails with one clear error, and nothing is lost.

The calls of each part are numbered; call number k fails once, or from then on for all calls of its kind. After that the
part is checked as the next start would find it. A part with many calls has ``PQ_CALLS`` of them or more fail (16 by
default, every one in ``make torture``), spread over all of its work, each test beginning at another one.
"""

from __future__ import annotations

import pytest

from prometheus.v10.base.errors import ExitCode, HostError
from tests.faulty import CutOffError, Fault, FaultyFiles
from tests.integration.faults.parts import PARTS, try_work
from tests.integration.faults.support import how_many, untold

ONCE_AND_ALWAYS = pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])

CALLS = how_many("CALLS", 16)
MEETS = {
    Fault.SHORT_WRITE: {"write"},
    Fault.ENOSPC: {"open", "write", "link", "rename", "mkdir", "ftruncate", "fdatasync", "fsync", "fsync_dir"},
}


def fail_at_every_call(part_name, scratch, fault, *, sticky):
    """Do the part's work again and again, each time with another call failing; how many were tried, and of how many."""
    clean = FaultyFiles()
    acks, error = try_work(fresh(part_name, scratch), clean, HostError)
    assert error is None
    met = [k for k, name in enumerate(clean.trace) if fault not in MEETS or name in MEETS[fault]]
    stride = max(1, len(met) // CALLS)
    tried = met[(len(fault.value) + sticky) % stride :: stride]
    for number in tried:
        part = fresh(part_name, scratch)
        expected = CutOffError if fault is Fault.CUT_OFF else HostError
        acks, error = try_work(part, FaultyFiles(fault, number, sticky=sticky), expected)
        if isinstance(error, HostError):
            assert error.exit_code is ExitCode.IO
            assert "\n" not in error.message
        part.check(acks)
    return len(tried), len(clean.trace)


def fresh(part_name, scratch):
    part = PARTS[part_name](scratch / "part")
    part.clear()
    part.renew()
    return part


@ONCE_AND_ALWAYS
@pytest.mark.parametrize("fault", [Fault.EIO, Fault.SHORT_WRITE])
@pytest.mark.parametrize("part", PARTS)
def test_a_call_that_fails_is_one_clear_error_and_loses_nothing(scratch, record_property, part, fault, sticky):
    tried, calls = fail_at_every_call(part, scratch, fault, sticky=sticky)
    record_property(
        "figure",
        f"{fault.value} {'from then on' if sticky else 'once'}, {part}: {tried} of {calls} calls failed in turn",
    )
    assert tried >= (5 if fault is Fault.EIO else 2)


@pytest.mark.parametrize("part", PARTS)
def test_a_process_that_ends_at_any_call_leaves_what_the_next_start_understands(scratch, record_property, part):
    """The same places as SIGKILL meets at random, one after the other: also in the middle of a write."""
    tried, calls = fail_at_every_call(part, scratch, Fault.CUT_OFF, sticky=False)
    record_property("figure", f"cut off, {part}: {tried} of {calls} calls")
    assert tried >= 5


def test_after_a_sync_that_failed_nothing_more_is_acknowledged(scratch):
    """The kernel may have dropped the pages; a second sync that succeeds would say nothing about them."""
    from prometheus.v10.base.modes import Stage
    from prometheus.v10.evidence.pools.pool import PoolWriter
    from tests.conftest import FakeClock
    from tests.integration.faults.support import entry, reopen

    part = PARTS["pool"](scratch / "part")
    part.renew()
    pool = part.layout.pool(Stage.STAGE1)
    files = FaultyFiles(Fault.EIO)
    with PoolWriter(pool, clock=FakeClock(), on_torn=untold, files=files) as writer:
        assert writer.append([entry(0)]) == [0]
        files._at = len(files.trace) + 2
        with pytest.raises(HostError, match="cannot sync"):
            writer.append([entry(1)])
        with pytest.raises(HostError, match="not written any more"):
            writer.append([entry(1)])
    assert reopen(pool)[0] == 1
