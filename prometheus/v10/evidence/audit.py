"""The audit of an installation: every run, pool, snapshot, ledger line and tombstone, held against each other.

It finds: a rewritten run or gate (its seal is not the ledger's), one deleted without a tombstone, a run that was never
sealed or that the ledger does not know, a gate whose design was changed after it was locked, a damaged pool or ledger,
a pool that lacks records or is not the one that seals and snapshots speak of, a snapshot that is no prefix of its pool,
differs from its ledger entry or is gone, and what a verification of each finds by itself. One line a finding; exit 0, 1
or 2 (contracts, section 6). It reads, and never writes. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.files import ASIDE_SUFFIX
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import SNAPSHOT_PREFIX, Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.anchors import pool_anchors
from prometheus.v10.evidence.canonical import strict_loads
from prometheus.v10.evidence.chain import BLOCK
from prometheus.v10.evidence.findings import Level, Progress, VerifyReport
from prometheus.v10.evidence.scan import open_for_reading
from prometheus.v10.evidence.verify_chain import verify_ledger, verify_pool, verify_snapshot
from prometheus.v10.evidence.verify_gate import verify_gate
from prometheus.v10.evidence.verify_run import LedgerView, read_ledger, verify_run

IsAlive = Callable[[str], bool]
"""Whether the process of an instance holds its lock now."""


def audit(layout: Layout, *, progress: Progress | None = None, is_alive: IsAlive | None = None) -> VerifyReport:
    """Walk everything under ``layout.lib``; the report's facts count what was looked at.

    Args:
        layout: the installation.
        progress: called with numbers of bytes looked at; `audit_bytes` says how many there are.
        is_alive: tells a run that is being written from one that was cut off; without it neither fails the audit.
    """
    report = VerifyReport(layout.lib, "audit")
    report.facts.update(runs=0, pools=0, snapshots=0, ledger_entries=0)
    if not layout.lib.is_dir():
        report.error(layout.lib, "there is no such directory: nothing was audited")
        return report
    try:
        view = _audit_ledger(layout, report, progress)
        _audit_runs(layout, view, report, progress, is_alive)
        _audit_gates(layout, view, report, progress)
        for stage in Stage:
            _audit_stage(layout, stage, view, report, progress)
    except PrometheusError as error:
        report.error(layout.lib, error.message)
    except OSError as error:
        report.error(error.filename or layout.lib, f"cannot be read: {error.strerror}")
    return report


def audit_bytes(layout: Layout) -> int:
    """How many bytes an audit looks at, for a progress bar."""
    roots = [*(layout.runs(tier) for tier in Tier), layout.gates, layout.lib / "pools", layout.state]
    return sum(path.stat().st_size for root in roots for path in root.rglob("*") if path.is_file())


def _audit_ledger(layout: Layout, report: VerifyReport, progress: Progress | None) -> LedgerView | None:
    """The ledger by itself; None when nothing can be held against it. Before a torn tail, every line still counts."""
    if not layout.ledger.exists():
        runs = [run_dir for tier in Tier for run_dir in _run_dirs(layout, tier)]
        for what, there in (("runs", runs), ("gates", _gate_dirs(layout))):
            if any((path / Artifact.SHA256SUMS).exists() for path in there):  # the ledger's first line is a seal's
                report.fail(layout.ledger, f"there are {what}, and no ledger")
                return None
        return LedgerView()
    found = verify_ledger(layout.ledger, progress=progress)
    report.findings += found.findings
    report.facts["ledger_entries"] = found.facts.get("records", 0)
    return read_ledger(layout.ledger, report)


def _audit_runs(
    layout: Layout, view: LedgerView | None, report: VerifyReport, progress: Progress | None, is_alive: IsAlive | None
) -> None:
    there: set[str] = set()
    for tier in Tier:
        for run_dir in _run_dirs(layout, tier):
            there.add(run_dir.name)
            report.facts["runs"] += 1
            if view is not None and _is_buried(run_dir, layout, view):
                continue
            if (view is None or run_dir.name not in view.seals) and _tell_unsealed(run_dir, report, is_alive):
                continue
            report.findings += [
                finding
                for finding in verify_run(run_dir, progress=progress, ledger=view, look_for_ledger=False).findings
                if finding.level is not Level.NOTE
            ]
    if view is not None:
        _find_deleted_runs(layout, view, there, report)


def _is_buried(run_dir: Path, layout: Layout, view: LedgerView) -> bool:
    """Whether a run has its tombstone: what is still there of it waits for retention to finish, and is no evidence."""
    buried = view.deleted.get(str(run_dir.relative_to(layout.lib)))
    return buried is not None and buried in {entry.get("seal") for entry in view.seals.get(run_dir.name, [])}


def _find_deleted_runs(layout: Layout, view: LedgerView, there: set[str], report: VerifyReport) -> None:
    for run_id, seals in sorted(view.seals.items()):
        place = str(seals[-1].get("run_dir", run_id))
        buried = view.deleted.get(place)
        if run_id in there:
            if buried is not None:
                report.note(layout.lib / place, "has a tombstone and is still there: its deletion was not finished")
        elif buried is None:
            report.fail(layout.lib / place, "the ledger has its seal, and it is gone without a tombstone")
        elif buried != seals[-1].get("seal"):
            report.fail(layout.lib / place, f"its tombstone names the seal {buried}, the ledger another")


def _audit_gates(layout: Layout, view: LedgerView | None, report: VerifyReport, progress: Progress | None) -> None:
    there: set[str] = set()
    for path in _gate_dirs(layout):
        there.add(path.name)
        report.facts["gates"] = report.facts.get("gates", 0) + 1
        for finding in verify_gate(path, progress=progress, ledger=view, look_for_ledger=False).findings:
            if finding.level is Level.ERROR and not (path / Artifact.SHA256SUMS).exists():
                report.note(finding.where, finding.what)  # it is being run, or waits to be gone on with
            elif finding.level is not Level.NOTE:
                report.findings.append(finding)
    if view is None:
        return
    for name, entries in sorted(view.gates.items()):
        place = str(entries[-1].payload.get("gate_dir", name))
        if name not in there and (place not in view.deleted or view.deleted[place] != entries[-1].payload.get("seal")):
            report.fail(layout.lib / place, "the ledger has this gate, and it is gone without a tombstone")


def _gate_dirs(layout: Layout) -> list[Path]:
    if not layout.gates.is_dir():
        return []
    return sorted(path for path in layout.gates.iterdir() if path.is_dir() and not path.is_symlink())


def _audit_stage(
    layout: Layout, stage: Stage, view: LedgerView | None, report: VerifyReport, progress: Progress | None
) -> None:
    pool = layout.pool(stage)
    anchors = [] if view is None else pool_anchors(layout, stage, view.seals, view.snapshots)
    if pool.exists():
        found = verify_pool(pool, progress=progress, anchors=anchors)
        report.findings += found.findings
        report.facts["pools"] += 1
    elif anchors:
        report.fail(pool, f"it is gone; {anchors[-1].who} says that it held {anchors[-1].records} records")
    folder = layout.snapshots(stage)
    snapshots = sorted(folder.glob(f"{SNAPSHOT_PREFIX}*.jsonl")) if folder.is_dir() else []
    buried = set() if view is None else _buried_snapshots(folder, view)
    for path in snapshots:
        report.facts["snapshots"] += 1
        if path.name in buried:
            report.note(path, "has a tombstone and is still there: its deletion was not finished")
            continue
        report.findings += [f for f in verify_snapshot(path, progress=progress).findings if f.level is not Level.NOTE]
        if not pool.exists() or not _is_prefix(path, pool):
            report.fail(path, f"is not a prefix of {pool}")
    if view is not None:
        _check_snapshot_entries(folder, {path.name for path in snapshots}, view, report)
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix == ".json" and not path.with_suffix(".jsonl").exists():
                if path.with_suffix(".jsonl").name in buried:
                    continue
                report.fail(path, "an index without its snapshot")
            elif path.name.endswith(ASIDE_SUFFIX):
                report.note(path, "was left by a snapshot that was cut off; it can be removed")


def _check_snapshot_entries(folder: Path, there: set[str], view: LedgerView, report: VerifyReport) -> None:
    entered: set[str] = set()
    for entry in view.snapshots:
        if Path(str(entry.get("pool_path"))).parent.name != folder.parent.name:
            continue
        name = str(entry.get("file"))
        entered.add(name)
        if view.deleted.get(_snapshot_name(folder, name)) == entry.get("sha256"):
            continue
        if name not in there:
            report.fail(folder / name, "the ledger has this snapshot, and it is gone without a tombstone")
        elif (said := _index_sha256(folder / name)) != entry.get("sha256"):
            report.fail(folder / name, f"its index says sha256 {said}, the ledger {entry.get('sha256')}")
    for name in sorted(there - entered):
        report.fail(folder / name, "the ledger does not know this snapshot")


def _snapshot_name(folder: Path, name: str) -> str:
    return f"pools/{folder.parent.name}/snapshots/{name}"


def _buried_snapshots(folder: Path, view: LedgerView) -> set[str]:
    """Names of snapshots whose tombstone names the sha256 that the ledger entered."""
    entries = [(str(entry.get("file")), entry.get("sha256")) for entry in view.snapshots]
    return {name for name, sha256 in entries if view.deleted.get(_snapshot_name(folder, name)) == sha256}


def _index_sha256(path: Path) -> str | None:
    """The sha256 in a snapshot's index, which `verify_snapshot` held against the file itself."""
    try:
        found = strict_loads(path.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        return None
    return str(found.get("sha256")) if isinstance(found, dict) else None


def _is_prefix(snapshot: Path, pool: Path) -> bool:
    """Whether the pool's bytes begin with the snapshot's."""
    fd_a, fd_b = open_for_reading(snapshot), open_for_reading(pool)
    try:
        at = 0
        while block := os.pread(fd_a, BLOCK, at):
            if os.pread(fd_b, len(block), at) != block:
                return False
            at += len(block)
        return True
    finally:
        os.close(fd_a)
        os.close(fd_b)


def _run_dirs(layout: Layout, tier: Tier) -> list[Path]:
    place = layout.runs(tier)
    if not place.is_dir():
        return []
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink())


def _tell_unsealed(run_dir: Path, report: VerifyReport, is_alive: IsAlive | None) -> bool:
    """Tell of a run that says it is running and has no seal; False for every other, which is to be verified."""
    if (run_dir / Artifact.SHA256SUMS).exists():
        return False
    try:
        manifest = strict_loads((run_dir / Artifact.MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    if not isinstance(manifest, dict) or manifest.get("status") != "running":
        return False
    if is_alive is None:
        report.note(run_dir, "not sealed: it is running, or was cut off and waits for the next start to close it")
    elif is_alive(str(manifest.get("instance"))):
        report.note(run_dir, "not sealed yet: it is running")
    else:
        report.fail(run_dir, "not sealed: it was cut off, and the next start of its instance has not closed it yet")
    return True
