"""The audit of one stage's pool and snapshots: chain, anchors, claims, prefixes, entries. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.files import ASIDE_SUFFIX
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import SNAPSHOT_PREFIX
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import SMALL, open_regular, read_whole
from prometheus.v10.evidence.chains.chain import BLOCK
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.pools.anchors import check_claims, pool_anchors
from prometheus.v10.evidence.pools.pool_claims import Claim, claims_of
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.findings import Level, Progress, VerifyReport
from prometheus.v10.evidence.verify.verify_chain import verify_pool, verify_snapshot

Again = Callable[[], LedgerView | None]
"""Read the ledger anew, a moment later; None when that was done often enough."""


def audit_stage(
    layout: Layout,
    stage: Stage,
    view: LedgerView | None,
    report: VerifyReport,
    progress: Progress | None,
    *,
    again: Again,
) -> None:
    """Audit a stage's pool and snapshots; ``view`` was read before they are looked at."""
    pool = layout.pool(stage)
    folder = layout.snapshots(stage)
    snapshots = sorted(folder.glob(f"{SNAPSHOT_PREFIX}*.jsonl")) if folder.is_dir() else []
    anchors = [] if view is None else pool_anchors(layout, stage, view)
    if pool.exists():
        found = verify_pool(pool, progress=progress, anchors=anchors)
        report.findings += found.findings
        report.facts["pools"] += 1
        if view is not None and view.installation is not None:
            _check_claims(layout, stage, view, report, again)
    elif anchors and anchors[-1].records:
        report.fail(pool, f"it is gone; {anchors[-1].who} says that it held {anchors[-1].records} records")
    buried = set() if view is None else _buried_snapshots(folder, view)
    for path in snapshots:
        report.facts["snapshots"] += 1
        if path.name in buried:
            report.note(path, "has a tombstone and is still there: its deletion was not finished")
            if not path.with_suffix(".json").exists():
                continue
        report.findings += [f for f in verify_snapshot(path, progress=progress).findings if f.level is not Level.NOTE]
        if not pool.exists() or not _is_prefix(path, pool):
            report.fail(path, f"is not a prefix of {pool}")
    if view is not None:
        _check_snapshot_entries(folder, {path.name for path in snapshots}, view, report, again)
    if folder.is_dir():
        _check_folder(folder, buried, report)


def _check_claims(layout: Layout, stage: Stage, view: LedgerView, report: VerifyReport, again: Again) -> None:
    pool = layout.pool(stage)
    claims = claims_of(pool)
    while (unknown := claims.keys() - view.seals.keys() - view.started.keys() - view.inherited) and (
        fresh := again()
    ) is not None:
        view = fresh
        if not unknown - view.started.keys():
            break
    settled = _settled(claims, view, pool, layout)
    check_claims(pool, str(pool.relative_to(layout.lib)), settled, view, report, live=view.unsealed() | view.inherited)


def _settled(claims: dict[str, Claim], view: LedgerView, pool: Path, layout: Layout) -> dict[str, Claim]:
    """The claims, counted again where a run appended and was sealed between the pool's reading and the ledger's."""
    name = str(pool.relative_to(layout.lib))
    for run, payloads in view.seals.items():
        said = payloads[-1].get("pool")
        if not isinstance(said, dict) or said["path"] != name:
            continue
        if said["appended"] != (claims[run].appended if run in claims else 0):
            return claims_of(pool)
    return claims


def _check_snapshot_entries(
    folder: Path, there: set[str], view: LedgerView, report: VerifyReport, again: Again
) -> None:
    entered: set[str] = set()
    for entry in view.snapshots:
        if Path(str(entry.get("pool_path"))).parent.name != folder.parent.name:
            continue
        name = str(entry.get("file"))
        entered.add(name)
        if view.deleted.get(_snapshot_name(folder, name)) == entry.get("sha256"):
            continue
        if not (folder / name).exists():
            report.fail(folder / name, "the ledger has this snapshot, and it is gone without a tombstone")
        elif (said := _index_sha256(folder / name)) != entry.get("sha256"):
            report.fail(folder / name, f"its index says sha256 {said}, the ledger {entry.get('sha256')}")
    unknown = there - entered
    while unknown and (fresh := again()) is not None:
        unknown -= {str(entry.get("file")) for entry in fresh.snapshots}
    for name in sorted(unknown):
        report.fail(folder / name, "the ledger does not know this snapshot")


def _check_folder(folder: Path, buried: set[str], report: VerifyReport) -> None:
    for path in sorted(folder.iterdir()):
        if path.suffix == ".json" and not path.with_suffix(".jsonl").exists():
            if path.with_suffix(".jsonl").name not in buried:
                report.fail(path, "an index without its snapshot")
        elif path.name.endswith(ASIDE_SUFFIX):
            report.note(path, "was left by a snapshot that was cut off; it can be removed")


def _snapshot_name(folder: Path, name: str) -> str:
    return f"pools/{folder.parent.name}/snapshots/{name}"


def _buried_snapshots(folder: Path, view: LedgerView) -> set[str]:
    """Names of snapshots whose tombstone names the sha256 that the ledger entered."""
    entries = [(str(entry.get("file")), entry.get("sha256")) for entry in view.snapshots]
    return {name for name, sha256 in entries if view.deleted.get(_snapshot_name(folder, name)) == sha256}


def _index_sha256(path: Path) -> str | None:
    """The sha256 in a snapshot's index, which `verify_snapshot` held against the file itself."""
    try:
        found = strict_loads(read_whole(path.with_suffix(".json"), at_most=SMALL))
    except (PrometheusError, ValueError):
        return None
    return str(found.get("sha256")) if isinstance(found, dict) else None


def _is_prefix(snapshot: Path, pool: Path) -> bool:
    """Whether the pool's bytes begin with the snapshot's."""
    fd_a, fd_b = open_regular(snapshot), open_regular(pool)
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
