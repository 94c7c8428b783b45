"""Which snapshot stage 2 judges: one that is frozen (`prometheus.v10.evidence.pools.frozen`), and whole.

Every line's rules and chain are checked, and the sha256 against the index.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus.v10.base.errors import EvidenceError, ExitCode
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.pools.frozen import frozen_snapshot
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.evidence.pools.pool_record import PoolRecord
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo
from prometheus.v10.evidence.records.findings import Progress
from prometheus.v10.evidence.verify.verify_chain import verify_snapshot


def choose_snapshot(layout: Layout, wanted: str = "", progress: Progress | None = None) -> SnapshotInfo:
    """The snapshot of stage 1's pool with the id ``wanted``, or the newest; verified, which ``progress`` hears of.

    Raises:
        UsageError: for no such snapshot, or for a live pool in its place.
        EvidenceError: when it is damaged, or is not the one that the ledger knows.
        HostError: when it cannot be read.
    """
    info = frozen_snapshot(layout, Stage.STAGE1, wanted)
    _verify(info, progress)
    return info


def _verify(info: SnapshotInfo, progress: Progress | None) -> None:
    report = verify_snapshot(info.path, progress=progress)
    if report.exit_code != ExitCode.DONE:
        worst = next(finding for finding in report.findings if finding.level.value != "note")
        raise EvidenceError(
            f"snapshot {info.id} is not what its index says: {worst.where}: {worst.what}",
            hint="restore it, or judge another one; nothing of a damaged snapshot is believed",
        )


def batches(info: SnapshotInfo, size: int, progress: Progress | None = None) -> Iterator[list[PoolRecord]]:
    """The snapshot's records, ``size`` at a time, in order; one batch is in memory at a time."""
    batch: list[PoolRecord] = []
    for record in iter_records(info.path, progress=progress):
        batch.append(record)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
