"""Verification of chained files: pools, snapshots, the ledger. Every rule of every line, in flat memory.

Standard library only.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence, Set
from pathlib import Path

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.names import LEDGER_FILE
from prometheus.v10.evidence.chains.chain import LineFormat
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.ledger_view import read_ledger
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import MAX_DAMAGES, Scan, file_sha256
from prometheus.v10.evidence.chains.shards import scan_close
from prometheus.v10.evidence.pools.anchors import Anchor
from prometheus.v10.evidence.pools.snapshot import MODE, SnapshotInfo, read_index
from prometheus.v10.evidence.records.findings import Progress, VerifyReport


def verify_pool(path: Path, *, progress: Progress | None = None, anchors: Sequence[Anchor] = ()) -> VerifyReport:
    """Verify a live pool: chain, numbers, canonical form, ids, genome hashes, null rule; and what ``anchors`` say."""
    report = VerifyReport(path, "pool")
    found = _verify_chain(report, path, POOL_LINE, progress, frozenset(anchor.records for anchor in anchors))
    if found is not None and not found.damages:
        problems = [what for anchor in anchors if (what := anchor.problem(found.link.n, found.heads)) is not None]
        for what in problems[:MAX_DAMAGES]:
            report.fail(path, what)
    return report


def verify_ledger(path: Path, *, progress: Progress | None = None) -> VerifyReport:
    """Verify a ledger of seals: chain, numbers, canonical form, ids, null rule; and each entry's own rules."""
    report = VerifyReport(path, "ledger")
    found = _verify_chain(report, path, LEDGER_LINE, progress)
    if found is not None and not found.damages and path.name == LEDGER_FILE:
        view = read_ledger(path, report)
        for wrong in view.problems if view is not None else ():
            report.fail(path, wrong)
    return report


def verify_snapshot(path: Path, *, progress: Progress | None = None) -> VerifyReport:
    """Verify a snapshot, given its ``.jsonl`` or its ``.json``: as a pool, and against its index and its own name."""
    path = path.with_suffix(".jsonl")
    report = VerifyReport(path, "snapshot")
    found = _verify_chain(report, path, POOL_LINE, progress)
    if found is None:
        return report
    if found.tail is not None:
        report.fail(path, "a snapshot ends with a whole line")
    try:
        info = read_index(path.with_suffix(".json"))
    except PrometheusError as error:
        report.fail(path.with_suffix(".json"), error.message)
        return report
    _against_index(report, info, found, path)
    return report


def _against_index(report: VerifyReport, info: SnapshotInfo, found: Scan, path: Path) -> None:
    if (info.count, info.head_hash) != found.link:
        said, is_ = f"{info.count} records, head {info.head_hash}", f"{found.link.n} records, head {found.link.prev}"
        report.fail(info.index_path, f"says {said}; the file has {is_}")
    if info.bytes != found.size:
        report.fail(info.index_path, f"says {info.bytes} bytes; the file has {found.size}")
    try:
        if file_sha256(path) != info.sha256:
            report.fail(path, "its sha256 is not that of its index")
        for place in (path, info.index_path):
            mode = stat.S_IMODE(place.stat().st_mode)
            if mode & 0o022:
                report.fail(place, f"mode is {mode:04o}: others than its owner can write to it")
            elif mode != MODE:
                report.note(place, f"mode is {mode:04o}, a snapshot is made {MODE:04o}")
    except PrometheusError as error:
        report.error(path, error.message)
    except OSError as error:
        report.error(path, f"cannot be looked at: {error.strerror}")


def _verify_chain(
    report: VerifyReport,
    path: Path,
    form: LineFormat,
    progress: Progress | None,
    heads_at: Set[int] = frozenset(),
) -> Scan | None:
    try:
        found = scan_close(path, form, progress=progress, heads_at=heads_at)
        grew = path.stat().st_size != found.size
    except PrometheusError as error:
        report.error(path, error.message)
        return None
    except OSError as error:
        report.error(path, f"cannot be looked at: {error.strerror}")
        return None
    report.facts.update(records=found.link.n, bytes=found.size, head=found.link.prev)
    for damage in found.damages:
        report.fail(path, f"byte {damage.offset}, line {damage.line + 1}: {damage.what}")
    if len(found.damages) == MAX_DAMAGES:
        report.fail(path, f"stopped counting at {MAX_DAMAGES} damages")
    if found.tail is not None:
        what = "zeros" if found.tail.zeroed else "bytes without a newline"
        tail = f"{found.tail.length} {what} after the last whole line, at byte {found.tail.offset}"
        if grew:
            report.note(path, f"{tail}: a writer is appending")
        else:
            report.fail(path, f"{tail}: an interrupted append; opening the file for writing moves them aside")
    return found
