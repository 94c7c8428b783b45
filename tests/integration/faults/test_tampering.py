"""Whoever changes evidence is found, and what was changed is named: a table of what can be done to what.

One small real tree is built once: three runs of the service, two snapshots, a pass of retention that deleted raw
samples and left their tombstones. Each line of the table is done to a copy of it, and the audit reads the copy.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import frozen

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.ledger import Ledger, iter_entries, tombstone_payload
from prometheus.v10.evidence.chains.scan import file_sha256
from prometheus.v10.evidence.pools.snapshot import create_snapshot, list_snapshots, newest_snapshot
from prometheus.v10.evidence.records.findings import Level
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.witnesses.checkpoint import check_consistency, take_checkpoint
from prometheus.v10.evidence.writing.seal import seal_run
from prometheus.v10.ops.retention import retention_apply as retention
from prometheus.v10.ops.retention.retention_plan import RetentionPolicy, plan
from tests.callbacks import never
from tests.integration.conftest import Tree
from tests.integration.faults.part import silent_journal
from tests.integration.faults.parts import PROFILE
from tests.integration.faults.support import lines_of
from tests.integration.faults.tampering import (
    cut_whole_lines,
    delete,
    edit,
    edit_anywhere,
    insert,
    keeping_mode,
    lines,
    put,
    rechain,
    reorder,
    replace,
    truncate,
    unlink,
)


class House:
    """A copy of the tree, to be tampered with."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout.under(root)
        self.root = root
        self.runs = sorted(self.layout.runs(Tier.TIER1_HF).iterdir())
        self.run = self.runs[1]
        self.pool = self.layout.pool(Stage.STAGE1)
        self.ledger = self.layout.ledger
        self.snapshots = list_snapshots(self.layout.snapshots(Stage.STAGE1))
        self.snapshot = self.snapshots[0].path

    def entries(self, kind: LedgerEntryType) -> list[int]:
        """Lines of the ledger of this kind."""
        return [entry.n for entry in iter_entries(self.ledger) if entry.type == kind]

    def append(self, kind: LedgerEntryType, payload: dict) -> None:
        Ledger(self.ledger, clock=SystemClock(), instance="HF", on_torn=never).append(kind, payload)


def cli(root: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "prometheus.cli", *arguments, "--root", str(root)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("tampering") / "root"
    tree = Tree(root)
    tree.write_profile(PROFILE + "[service]\npause_seconds = 0.0\n[disk]\nkeep_free_bytes = 1048576\n")
    service = [sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", "stage1"]
    asked = [*service, "--instance", "HF", "--root", str(root), "--max-runs"]
    subprocess.run([*asked, "1"], check=True, capture_output=True)
    cli(root, "snapshot", "create")
    subprocess.run([*asked, "1"], check=True, capture_output=True)
    cli(root, "snapshot", "create")
    subprocess.run([*asked, "1"], check=True, capture_output=True)
    layout, later = tree.layout, SystemClock().now() + timedelta(days=30)
    made = plan(layout, RetentionPolicy(raw_days=14), later, free=1 << 60)
    ledger = Ledger(layout.ledger, clock=SystemClock(), instance="HF", on_torn=never)
    done = retention.apply(made, layout, ledger=ledger, journal=silent_journal())
    assert done.done, "retention found nothing to delete"
    report = audit(layout)
    assert report.exit_code == 0, report.lines()
    return root


@pytest.fixture
def house(original, scratch):
    """A copy of the tree; what is done to it is seen by nobody else."""
    shutil.copytree(original, scratch / "root")
    return House(scratch / "root")


# ---- the table -------------------------------------------------------------------------------------------------------


@frozen
class Tampering:
    """``do`` changes the house and returns the place that a finding must name, with words that match ``says``."""

    name: str
    do: Callable[[House], Path]
    says: str


TABLE: list[Tampering] = []


def row(name: str, says: str) -> Callable[[Callable[[House], Path]], Callable[[House], Path]]:
    def add(do: Callable[[House], Path]) -> Callable[[House], Path]:
        TABLE.append(Tampering(name, do, says))
        return do

    return add


def on(kind: str, says: str, target: Callable[[House], Path], **how: Callable[[Path], None]) -> None:
    """Rows that do something to one file and expect it to be named."""
    for name, do in how.items():

        def work(house: House, do: Callable[[Path], None] = do) -> Path:
            place = target(house)
            do(place) if do is unlink else keeping_mode(place, do)
            return place

        TABLE.append(Tampering(f"{kind}: {name.replace('_', ' ')}", work, says))


CHANGED = "sha256 is not the sealed one"
on("run, a line of its deaths", CHANGED, lambda h: h.run / "death_events.jsonl",
   edit=edit, delete=delete, reorder=reorder, insert=insert, truncate=truncate, cut_off=cut_whole_lines)  # fmt: skip
on("run, its summary", CHANGED, lambda h: h.run / "multiple_experiments_summary.json", edit=edit_anywhere)
on("run, its manifest", CHANGED, lambda h: h.run / "run_manifest.json", edit=edit_anywhere)
on("run, a file", "sealed, and not there", lambda h: h.run / "gating_telemetry.json", delete=unlink)


@row("run, its seal deleted", "not sealed")
def _(h):
    (h.run / "SHA256SUMS.txt").unlink()
    return h.run


@row("run, a file replaced by another run's", CHANGED)
def _(h):
    keeping_mode(h.run / "death_events.jsonl", replace, h.runs[0] / "death_events.jsonl")
    return h.run / "death_events.jsonl"


@row("run, a file inserted", "not covered by the seal")
def _(h):
    (h.run / "more.json").write_text("{}\n")
    return h.run / "more.json"


@row("run, a file replaced by a link to the same bytes", "not a regular file")
def _(h):
    place = h.run / "death_events.jsonl"
    shutil.move(place, h.root / "log" / "deaths")
    place.symlink_to(h.root / "log" / "deaths")
    return place


@row("run, the mode of a file", "listed")
def _(h):
    (h.run / "death_events.jsonl").chmod(0o666)
    return h.run / "death_events.jsonl"


@row("run, edited and sealed anew", "the ledger")
def _(h):
    edit_anywhere(h.run / "multiple_experiments_summary.json")
    (h.run / "SHA256SUMS.txt").unlink()
    seal_run(h.run)
    return h.run


@row("run, deleted", "gone without a tombstone")
def _(h):
    shutil.rmtree(h.run)
    return h.run


@row("run, replaced by a copy of another", "it is")
def _(h):
    shutil.rmtree(h.run)
    shutil.copytree(h.runs[0], h.run)
    return h.run


@row("run, renamed: the old name", "gone without a tombstone")
def _(h):
    h.run.rename(h.run.with_name(h.run.name[:-4] + "ffff"))
    return h.run


@row("run, renamed: the new name", "the ledger does not know this run's seal")
def _(h):
    renamed = h.run.with_name(h.run.name[:-4] + "ffff")
    h.run.rename(renamed)
    return renamed


on(
    "pool, a record",
    "byte \\d+, line [123]",
    lambda h: h.pool,
    edit=edit,
    delete=delete,
    reorder=reorder,
    insert=insert,
)
on("pool", "after the last whole line", lambda h: h.pool, truncate=truncate)
on("pool, its last record", "holds \\d+ records, and the manifest of", lambda h: h.pool, cut_off=cut_whole_lines)
on("pool, its first half only", "holds \\d+ records", lambda h: h.pool,
   left=lambda p: cut_whole_lines(p, len(lines(p)) // 2))  # fmt: skip
on("pool", "it is gone", lambda h: h.pool, deleted=unlink)


@row("pool, replaced by another that is good in itself", "was rewritten")
def _(h):
    put(h.pool, lines_of(len(lines(h.pool)) + 5))
    return h.pool


SNAPSHOT = "snapshot, a record"
on(SNAPSHOT, "byte \\d+, line [123]", lambda h: h.snapshot, edit=edit, delete=delete, reorder=reorder, insert=insert)
on("snapshot", "ends with a whole line", lambda h: h.snapshot, truncate=truncate)
on("snapshot, its last record", "sha256 is not that of its index", lambda h: h.snapshot, cut_off=cut_whole_lines)
on("snapshot, without its index", "gone without a tombstone", lambda h: h.snapshot, deleted=unlink)
on("snapshot, its index", "No such file", lambda h: h.snapshot.with_suffix(".json"), deleted=unlink)


@row("snapshot, its index edited", "says")
def _(h):
    index = h.snapshot.with_suffix(".json")
    index.chmod(0o644)
    said = json.loads(index.read_bytes())
    index.write_text(json.dumps({**said, "bytes": said["bytes"] + 1}))
    return index


@row("snapshot, with its index deleted", "gone without a tombstone")
def _(h):
    h.snapshot.unlink()
    h.snapshot.with_suffix(".json").unlink()
    return h.snapshot


@row("snapshot, replaced by another's bytes", "its sha256 is not that of its index")
def _(h):
    keeping_mode(h.snapshot, replace, h.snapshots[1].path)
    return h.snapshot


@row("snapshot, one more that nobody made", "the ledger does not know this snapshot")
def _(h):
    folder = h.layout.snapshots(Stage.STAGE1)
    return create_snapshot(h.pool, folder, clock=SystemClock(), git_commit=None).path


@row("pool and snapshot edited alike", "its index says|was rewritten|id is not that of its content")
def _(h):
    for place in (h.pool, h.snapshot):
        keeping_mode(place, edit)
    return h.pool


on("ledger, an entry", "byte \\d+, line [123]", lambda h: h.ledger, edit=edit, delete=delete, reorder=reorder,
   insert=insert)  # fmt: skip
on("ledger", "an interrupted append", lambda h: h.ledger, truncate=truncate)
on("ledger", "no ledger: somebody took it away", lambda h: h.ledger, deleted=unlink)


@row("ledger, its last entries cut off", "sealed, and not there")
def _(h):
    tombstones = h.entries(LedgerEntryType.RETENTION_DELETION)
    gone = [entry.payload["path"] for entry in iter_entries(h.ledger) if entry.n == tombstones[-1]]
    cut_whole_lines(h.ledger, len(lines(h.ledger)) - tombstones[-1])
    return h.root / gone[0]


@row("ledger, rewritten without a seal", "the ledger does not know this run's seal")
def _(h):
    rechain(h.ledger, lambda entries: entries.pop(h.entries(LedgerEntryType.RUN_SEALED)[1]))
    return h.run


@row("ledger, rewritten without a snapshot", "the ledger does not know this snapshot")
def _(h):
    rechain(h.ledger, lambda entries: entries.pop(h.entries(LedgerEntryType.SNAPSHOT)[0]))
    return h.snapshot


@row("ledger, replaced by an older copy", "the ledger does not know this run's seal")
def _(h):
    put(h.ledger, lines(h.ledger)[:2])
    return h.runs[2]


@row("tombstone, edited", "byte \\d+")
def _(h):
    edit(h.ledger, h.entries(LedgerEntryType.RETENTION_DELETION)[0])
    return h.ledger


@row("tombstone, rewritten away", "sealed, and not there")
def _(h):
    first = h.entries(LedgerEntryType.RETENTION_DELETION)[0]
    gone = next(entry.payload["path"] for entry in iter_entries(h.ledger) if entry.n == first)
    rechain(h.ledger, lambda entries: entries.pop(first))
    return h.root / gone


@row("tombstone, with another sha256", "sealed, and not there")
def _(h):
    first = h.entries(LedgerEntryType.RETENTION_DELETION)[0]
    gone = next(entry.payload["path"] for entry in iter_entries(h.ledger) if entry.n == first)
    rechain(h.ledger, lambda entries: entries[first]["payload"].update(sha256="0" * 64))
    return h.root / gone


@row("tombstone, inserted for a file that no policy may delete", "no policy may delete this")
def _(h):
    place = h.run / "execution_fingerprint.json"
    h.append(
        LedgerEntryType.RETENTION_DELETION,
        tombstone_payload(
            kind="file", run_id=h.run.name, path=str(place.relative_to(h.root)), sha256=file_sha256(place),
            size=place.stat().st_size, reason="tidy", policy="none",
        ),
    )  # fmt: skip
    place.unlink()
    return place


@row("tombstone, inserted for a whole run with another seal", "its tombstone names the seal")
def _(h):
    h.append(
        LedgerEntryType.RETENTION_DELETION,
        tombstone_payload(
            kind="run", run_id=h.run.name, path=str(h.run.relative_to(h.root)), sha256="0" * 64, size=1,
            reason="tidy", policy="none",
        ),
    )  # fmt: skip
    shutil.rmtree(h.run)
    return h.run


@pytest.mark.parametrize("tampering", TABLE, ids=lambda tampering: tampering.name)
def test_whoever_does_this_is_found_and_the_place_is_named(house, tampering):
    place = tampering.do(house)
    report = audit(house.layout)
    failed = [finding for finding in report.findings if finding.level is not Level.NOTE]
    assert report.exit_code == 1, report.lines()
    named = [f for f in failed if f.where == str(place) or f.where.startswith(f"{place}{os.sep}")]
    assert named, f"{place} is not named: {report.lines()}"
    assert any(re.search(tampering.says, finding.what) for finding in named), report.lines()


def test_the_untouched_copy_passes(house):
    """What is found is what was done, and not the copying."""
    report = audit(house.layout)
    assert report.exit_code == 0, report.lines()
    assert all(verify_path(run).exit_code == 0 for run in house.runs)
    assert newest_snapshot(house.layout.snapshots(Stage.STAGE1)).count == house.snapshots[-1].count


def test_a_ledger_and_a_run_rewritten_together_are_found_by_a_checkpoint_kept_elsewhere(house):
    """Whoever owns the machine can rewrite everything so that it agrees; then only what others keep still tells."""
    kept = take_checkpoint(house.ledger, origin="prometheus-quant/HF")
    shutil.rmtree(house.runs[2])
    sealed = house.entries(LedgerEntryType.RUN_SEALED)[2]
    rechain(house.ledger, lambda entries: entries.pop(sealed))
    with pytest.raises(EvidenceError, match=r"lines are missing|are not those of the checkpoint"):
        check_consistency(kept, house.ledger)


def test_the_command_names_it_too(house):
    edit(house.pool)
    command = [sys.executable, "-m", "prometheus.cli", "audit", "--root", str(house.root), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    findings = json.loads(ended.stdout)["reports"][0]["findings"]
    assert str(house.pool) in {finding["where"] for finding in findings}
