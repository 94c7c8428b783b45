"""The wall clock is set back, by a second or by a year: chains hold, no name is taken twice, nothing is overwritten."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.ledger import Ledger, iter_entries
from prometheus.v10.evidence.pools.pool import PoolWriter, iter_records
from prometheus.v10.evidence.pools.snapshot import create_snapshot
from prometheus.v10.evidence.verify.verify_chain import verify_ledger, verify_pool, verify_snapshot
from tests.callbacks import never
from tests.conftest import FakeClock
from tests.drills import part_of
from tests.integration.faults.support import entry

BACK = {"a second": -1.0, "an hour": -3600.0, "a year": -366 * 86400.0}
STEPS = pytest.mark.parametrize("step", BACK.values(), ids=BACK)
AT_WORK = pytest.mark.parametrize("step", part_of(list(BACK.values()), 3), ids=part_of(list(BACK), 3))


@STEPS
def test_pools_snapshots_and_the_ledger_go_on_in_the_order_of_their_numbers(scratch, step):
    layout, clock = Layout.under(scratch), FakeClock()
    layout.prepare()
    pool, ledger = layout.pool(Stage.STAGE1), Ledger(layout.ledger, clock=clock, instance="HF", on_torn=never)
    for number in range(4):
        with PoolWriter(pool, clock=clock, on_torn=never) as writer:
            assert writer.append([entry(number)]) == [number]
        info = create_snapshot(pool, layout.snapshots(Stage.STAGE1), clock=clock, git_commit=None)
        assert info.count == number + 1
        assert ledger.append(LedgerEntryType.SNAPSHOT, info.ledger_payload()).n == number
        assert verify_snapshot(info.path).exit_code == 0
        clock.advance(step)
    times = [written.ts_utc for written in iter_entries(layout.ledger)]
    assert times == sorted(times, reverse=True)  # they say what the clock said
    assert (verify_pool(pool).exit_code, verify_ledger(layout.ledger).exit_code) == (0, 0)
    assert [record.n for record in iter_records(pool)] == [0, 1, 2, 3]


@STEPS
def test_torn_tails_of_the_same_second_are_all_kept(scratch, step):
    """A stepping clock meets a stamp again; the earlier copy stays, the later one takes another name."""
    pool, clock, kept = scratch / "pool.jsonl", FakeClock(), []
    for number in range(4):
        with PoolWriter(pool, clock=clock, on_torn=kept.append) as writer:
            writer.append([entry(number)])
        pool.write_bytes(pool.read_bytes() + b"torn %d" % number)
        clock.moment = FakeClock().moment
        if number % 2:
            clock.advance(step)
    with PoolWriter(pool, clock=clock, on_torn=kept.append):
        pass
    assert [tail.moved_to.read_bytes() for tail in kept] == [b"torn %d" % number for number in range(4)]
    assert len({tail.moved_to for tail in kept}) == 4
    assert verify_pool(pool).exit_code == 0


@AT_WORK
def test_a_service_whose_clock_steps_back_seals_every_run_and_passes_the_audit(tree, step):
    """A real process: at every look at the clock it is further back."""
    tree.write_profile(tree.layout.profiles.joinpath("HF.toml").read_text().replace("count = 8", "count = 2"))
    command = [sys.executable, "-m", "tests.integration.faults.test_clock_steps_backwards", str(tree.root), str(step)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(tree.runs()) == 3
    report = audit(tree.layout)
    assert report.exit_code == 0, report.lines()
    for run in tree.runs():
        manifest = tree.manifest(run)
        assert manifest["status"] == "completed"
        assert manifest["end_time"] < manifest["start_time"] or step > -60.0
    tree.assert_in_order()


class SteppingClock(SystemClock):
    """The machine's clock, which somebody sets back all the time; what is measured stays monotonic."""

    def __init__(self, step):
        self.step, self.looks = step, 0

    def now(self):
        self.looks += 1
        return super().now() + timedelta(seconds=self.step * self.looks)


def main(root, step):
    from prometheus.v10.ops.service.serving import parse, serve

    asked = ["--mode", "offline", "--stage", "stage1", "--instance", "HF", "--root", root, "--max-runs", "3"]
    return int(serve(parse(asked), SteppingClock(float(step)), {}))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
