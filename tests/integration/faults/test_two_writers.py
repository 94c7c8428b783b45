"""Two processes at once: one writes a pool, the other is told who holds it; what both may do, both do whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger import Ledger, iter_entries
from prometheus.v10.evidence.pools.pool import PoolWriter, iter_records
from prometheus.v10.evidence.pools.snapshot import create_snapshot, list_snapshots
from prometheus.v10.evidence.verify.verify_chain import verify_ledger, verify_pool, verify_snapshot
from tests.integration.faults.parts import incident
from tests.integration.faults.support import entry, say, untold

WRITERS = 4
EACH = 25


def all_at_once(what, root, writers=WRITERS):
    """Start processes that do ``what``, let them begin together, and return what each printed as JSON."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.integration.faults.test_two_writers", what, str(root), str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(writers)
    ]  # fmt: skip
    for process in started:
        assert process.stdout.readline() == '"ready"\n'
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    said = []
    for process in started:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        said.append(json.loads(out))
    return said


def test_a_second_writer_of_a_pool_is_refused_and_named_the_first(scratch):
    """Each opens, appends one record and closes, again and again; whoever is refused tries anew."""
    said = all_at_once("pool", scratch)
    pool = Layout.under(scratch).pool(Stage.STAGE1)
    assert verify_pool(pool).exit_code == 0
    numbers = sorted(number for each in said for number in each["numbers"])
    assert numbers == list(range(WRITERS * EACH))  # every acknowledgement is one record, and every record one
    assert sum(1 for _ in iter_records(pool)) == len(numbers)
    refusals = [line for each in said for line in each["refusals"]]
    assert refusals
    assert all("pool.jsonl.lock is held by " in line for line in refusals)
    assert sum("a pool writer, pid " in line for line in refusals) > len(refusals) // 2


def test_entries_of_the_ledger_by_several_processes_form_one_chain(scratch):
    said = all_at_once("ledger", scratch)
    ledger = Layout.under(scratch).ledger
    assert verify_ledger(ledger).exit_code == 0
    entries = list(iter_entries(ledger))
    assert [entry.n for entry in entries] == list(range(WRITERS * EACH))
    assert Counter(entry.payload["label"] for entry in entries) == {f"by {number}": EACH for number in range(WRITERS)}
    for number, each in enumerate(said):
        assert [entry.n for entry in entries if entry.payload["label"] == f"by {number}"] == each["numbers"]


def test_snapshots_by_several_processes_are_one_snapshot_while_the_pool_grows(scratch):
    layout = Layout.under(scratch)
    layout.prepare()
    with PoolWriter(layout.pool(Stage.STAGE1), clock=SystemClock(), on_torn=untold) as pool:
        pool.append([entry(n) for n in range(50)])
    said = all_at_once("snapshot", scratch)
    there = list_snapshots(layout.snapshots(Stage.STAGE1))
    assert {info.id for info in there} == {name for each in said for name in each["ids"]}
    assert all(verify_snapshot(info.path).exit_code == 0 for info in there)
    assert not list(layout.snapshots(Stage.STAGE1).glob(".*"))


# ---- the processes ---------------------------------------------------------------------------------------------------


def append_to_the_pool(layout, number):
    from prometheus.v10.base.errors import LockHeldError

    numbers, refusals = [], []
    while len(numbers) < EACH:
        try:
            with PoolWriter(layout.pool(Stage.STAGE1), clock=SystemClock(), on_torn=untold) as pool:
                numbers += pool.append([entry(pool.link.n)])
        except LockHeldError as error:
            refusals.append(error.message)
    return {"numbers": numbers, "refusals": refusals}


def append_to_the_ledger(layout, number):
    ledger = Ledger(layout.ledger, clock=SystemClock(), instance=f"I{number}", on_torn=untold)
    return {"numbers": [ledger.append(LedgerEntryType.INCIDENT, incident(f"by {number}")).n for _ in range(EACH)]}


def freeze_the_pool(layout, number):
    ids = []
    for _ in range(EACH):
        if number == 0:
            with PoolWriter(layout.pool(Stage.STAGE1), clock=SystemClock(), on_torn=untold) as pool:
                pool.append([entry(pool.link.n)])
        frozen = create_snapshot(
            layout.pool(Stage.STAGE1), layout.snapshots(Stage.STAGE1), clock=SystemClock(), git_commit=None
        )
        ids.append(frozen.id)
    return {"ids": ids}


def main(what, root, number):
    work = {"pool": append_to_the_pool, "ledger": append_to_the_ledger, "snapshot": freeze_the_pool}[what]
    layout = Layout.under(root)
    layout.prepare()
    say("ready")
    sys.stdin.readline()
    say(work(layout, number))


if __name__ == "__main__":
    from pathlib import Path

    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
