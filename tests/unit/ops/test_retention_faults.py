"""Retention cut off at every call, by SIGKILL, EIO and a full disk: everything verifies, and the next pass finishes."""

from __future__ import annotations

import os
import signal
import warnings

import pytest

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.ops.retention import retention_apply as retention
from prometheus.v10.ops.retention.retention_plan import plan_run_deletion
from tests.faulty import CutOffError, Fault, FaultyFiles
from tests.unit.ops.retention_house import House, contents, sha256sum_says

BOUNDS = {"raw_days": 14, "snapshot_days": 14, "compress_days": 14}


class KilledFiles(FaultyFiles):
    """Files of a process that is killed at call number ``at``, in the middle of a write when it is one."""

    def __init__(self, at):
        super().__init__(Fault.CUT_OFF, at)

    def _meet(self, name):
        try:
            return super()._meet(name)
        except CutOffError:
            os.kill(os.getpid(), signal.SIGKILL)
            raise

    def write(self, fd, data):
        try:
            return super().write(fd, data)
        except CutOffError:
            os.kill(os.getpid(), signal.SIGKILL)
            raise


def killed_at(number, work):
    """Run ``work`` in a process of its own that is killed at its call ``number``; False when it ended before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child touches files and nothing that has threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work(KilledFiles(number))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


@pytest.fixture
def house(layout, fake_clock, notify_socket):
    """Raw samples, lines to compress, an old snapshot; the ledger's lock file is there already."""
    house = House(layout, fake_clock, notify_socket.path)
    house.run(1, parts=(300, 300), lines=6)
    house.snapshot(1)
    house.snapshot(1)
    house.days_pass(20)
    return house


def shape(house):
    """What an installation holds, torn tails and locks left out."""
    return {
        name: data for name, (data, _) in contents(house.layout.lib).items()
        if "torn" not in name and not name.endswith(".lock") and not name.startswith("state/ledger")
    }  # fmt: skip


def records(house):
    return [(t["path"], t["sha256"]) for t in [*house.tombstones(), *house.compressions()]]


def finished(house):
    """What one undisturbed pass leaves."""
    undisturbed = house.again_in(house.layout.lib.with_name("undisturbed"))
    result = undisturbed.apply(undisturbed.plan(**BOUNDS))
    assert {item.kind.value for item in result.done} == {"raw", "snapshot", "lines"}
    undisturbed.assert_in_order()
    return shape(undisturbed), records(undisturbed)


def test_killed_at_every_call_of_a_pass(house, tmp_path):
    after, entries = finished(house)
    number = 0
    while True:
        victim = house.again_in(tmp_path / f"kill{number}")
        made = victim.plan(**BOUNDS)
        if not killed_at(number, lambda files: victim.apply(made, files)):  # noqa: B023  (called at once)
            break
        victim.assert_in_order(torn=True)
        victim.apply(victim.plan(**BOUNDS))
        victim.assert_in_order()
        assert shape(victim) == after, f"call {number}"
        assert records(victim) == entries, f"call {number}"
        number += 1
    assert number > 60
    assert shape(victim) == after


def test_killed_at_every_call_of_a_tier_2_deletion(layout, fake_clock, tmp_path):
    house = House(layout, fake_clock)
    run = house.run(1, tier=Tier.TIER2_FULL)
    number = 0
    while True:
        victim = house.again_in(tmp_path / f"kill{number}")
        made = plan_run_deletion(victim.layout, run.name, "superseded", victim.clock.now())
        if not killed_at(number, lambda files: victim.apply(made, files)):  # noqa: B023  (called at once)
            break
        victim.assert_in_order(torn=True)
        if victim.tombstones():
            victim.apply(victim.plan())
            assert not (victim.layout.runs(Tier.TIER2_FULL) / run.name).exists()
            assert len(victim.tombstones()) == 1
        else:
            assert verify_run(victim.layout.runs(Tier.TIER2_FULL) / run.name).exit_code == 0
        victim.assert_in_order(torn=True)
        number += 1
    assert number > 15
    assert not (victim.layout.runs(Tier.TIER2_FULL) / run.name).exists()


def test_killed_at_every_call_of_a_restoration(layout, fake_clock, tmp_path):
    house = House(layout, fake_clock)
    run = house.run(1, lines=6)
    before = contents(run)
    house.days_pass(20)
    house.apply(house.plan(**BOUNDS))
    number = 0
    while True:
        victim = house.again_in(tmp_path / f"kill{number}")
        place = victim.layout.runs(Tier.TIER1_HF) / run.name
        if not killed_at(number, lambda files: retention.restore(victim.layout, run.name, files=files)):  # noqa: B023
            break
        victim.assert_in_order(torn=True)
        retention.restore(victim.layout, run.name)
        assert contents(place) == before
        assert sha256sum_says(place) == 0
        number += 1
    assert number > 8
    assert contents(place) == before


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.ENOSPC, Fault.SHORT_WRITE])
@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
def test_a_disk_that_refuses_at_any_call(house, tmp_path, fault, sticky):
    """Every third call, to keep it short; the killing above takes every one."""
    after, entries = finished(house)
    codes = []
    for number in range(0, 100, 3):
        victim = house.again_in(tmp_path / f"fault{number}")
        try:
            victim.apply(victim.plan(**BOUNDS), FaultyFiles(fault, number, sticky=sticky))
        except PrometheusError as error:
            codes.append(error.exit_code)
        victim.assert_in_order()
        victim.apply(victim.plan(**BOUNDS))
        victim.assert_in_order()
        assert shape(victim) == after, f"call {number}"
        assert records(victim) == entries, f"call {number}"
    assert set(codes) == {74}


def test_the_order_is_tombstone_then_unlink_then_the_directory(house):
    files = FaultyFiles()
    house.apply(house.plan(raw_days=14), files)
    calls = [name for name in files.trace if name in {"write", "fdatasync", "unlink", "fsync_dir"}]
    lock, *rest = calls  # the ledger's lock names its holder
    assert lock == "write"
    tombstone = ["write", "fdatasync"]
    assert [name for name in rest if name != "write"] == ["fdatasync"] * 2 + ["unlink", "fsync_dir"] * 2
    assert rest[:2] == tombstone
    assert house.layout.snapshots(Stage.STAGE1).exists()
