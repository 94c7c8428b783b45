"""EIO and short writes at every call to the kernel: the work fails with one clear error, and nothing is lost.

The calls of each part are numbered; call number k fails once, or from then on for all calls of its kind. After that the
part is checked as the next start would find it. Parts that take long take every n-th call, unless ``PQ_EVERY_CALL`` is 1.
"""

from __future__ import annotations

import pytest

from prometheus.v10.base.errors import ExitCode, HostError
from prometheus.v10.base.faulty import CutOffError, Fault, FaultyFiles
from tests.integration.faults.parts import PARTS, try_work
from tests.integration.faults.support import how_many, tell

ONCE_AND_ALWAYS = pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
STEPS = {} if how_many("EVERY_CALL", 0) else {"seal": 5, "retention": 7, "run": 13}


def fail_at_every_call(part_name, scratch, fault, *, sticky, first=0):
    """Try the part with call ``first``, ``first + step`` ... failing; how many calls were tried, and of how many."""
    tried, number, step = 0, first, STEPS.get(part_name, 1)
    while True:
        part = PARTS[part_name](scratch / "part")
        part.clear()
        part.renew()
        files = FaultyFiles(fault, number, sticky=sticky)
        expected = CutOffError if fault is Fault.CUT_OFF else HostError
        acks, error = try_work(part, files, expected)
        if len(files.trace) <= number:
            assert error is None
            part.check(acks)
            return tried, len(files.trace)
        if isinstance(error, HostError):
            assert error.exit_code is ExitCode.IO
            assert "\n" not in error.message
        part.check(acks)
        tried, number = tried + 1, number + step


@ONCE_AND_ALWAYS
@pytest.mark.parametrize("fault", [Fault.EIO, Fault.SHORT_WRITE])
@pytest.mark.parametrize("part", PARTS)
def test_a_call_that_fails_is_one_clear_error_and_loses_nothing(scratch, capsys, part, fault, sticky):
    tried, calls = fail_at_every_call(part, scratch, fault, sticky=sticky)
    tell(capsys, f"{fault.value} {'from then on' if sticky else 'once'}, {part}: {tried} of {calls} calls failed in turn")
    assert tried >= 5


@pytest.mark.parametrize("part", PARTS)
def test_a_process_that_ends_at_any_call_leaves_what_the_next_start_understands(scratch, capsys, part):
    """The same places as SIGKILL meets at random, one after the other: also in the middle of a write."""
    tried, calls = fail_at_every_call(part, scratch, Fault.CUT_OFF, sticky=False)
    tell(capsys, f"cut off, {part}: {tried} of {calls} calls")
    assert tried >= 5


def test_after_a_sync_that_failed_nothing_more_is_acknowledged(scratch):
    """The kernel may have dropped the pages; a second sync that succeeds would say nothing about them."""
    from prometheus.v10.base.modes import Stage
    from prometheus.v10.evidence.pool import PoolWriter
    from tests.conftest import FakeClock
    from tests.integration.faults.support import entry, reopen

    part = PARTS["pool"](scratch / "part")
    pool = part.layout.pool(Stage.STAGE1)
    files = FaultyFiles(Fault.EIO)
    with PoolWriter(pool, clock=FakeClock(), on_torn=lambda torn: None, files=files) as writer:
        assert writer.append([entry(0)]) == [0]
        files._at = len(files.trace) + 2
        with pytest.raises(HostError, match="cannot sync"):
            writer.append([entry(1)])
        with pytest.raises(HostError, match="not written any more"):
            writer.append([entry(1)])
    assert reopen(pool)[0] == 1
