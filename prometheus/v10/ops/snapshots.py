"""Taking a snapshot: freeze the pool, enter it into the ledger, tell the journal (contracts, sections 2 and 5).

A snapshot may be there and yet not in the ledger, when the machine died between the two; then the next to take the same
one enters it. So what counts is not whether the file is new, but whether the ledger knows it.
"""

from __future__ import annotations

from functools import partial

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import Event, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.environment import probe
from prometheus.v10.evidence.findings import Progress
from prometheus.v10.evidence.journal import Journal
from prometheus.v10.evidence.ledger import Ledger, iter_entries
from prometheus.v10.evidence.snapshot import SnapshotInfo, create_snapshot, list_snapshots
from prometheus.v10.ops.control import tell_torn


def take_snapshot(
    layout: Layout, stage: Stage, *, instance: str, clock: Clock, journal: Journal, progress: Progress | None = None
) -> SnapshotInfo:
    """Freeze a stage's pool as it is now; taking the same one twice is harmless. ``progress`` hears of bytes copied.

    Raises:
        EvidenceError: when pool or ledger is damaged, or the pool is empty.
        HostError: when the disk refuses.
    """
    info = create_snapshot(
        layout.pool(stage), layout.snapshots(stage), clock=clock, git_commit=probe().git_commit, progress=progress
    )
    if not _entered(layout, info):
        ledger = Ledger(layout.ledger, clock=clock, instance=instance, on_torn=partial(tell_torn, journal))
        ledger.append(LedgerEntryType.SNAPSHOT, info.ledger_payload())
        journal.send(
            Event.SNAPSHOT,
            f"snapshot {info.id} of {info.count} records",
            snapshot_id=info.id,
            records=info.count,
            path=str(info.path),
        )
    return info


def take_if_grown(
    layout: Layout, stage: Stage, growth: float, *, instance: str, clock: Clock, journal: Journal,
    progress: Progress | None = None,
) -> SnapshotInfo | None:  # fmt: skip
    """`take_snapshot`, where the pool has grown by the share ``growth`` since its newest snapshot; else None."""
    pool = layout.pool(stage)
    newest = max((info.bytes for info in list_snapshots(layout.snapshots(stage))), default=0)
    if not pool.exists() or pool.stat().st_size < newest * (1.0 + growth):
        return None
    return take_snapshot(layout, stage, instance=instance, clock=clock, journal=journal, progress=progress)


def _entered(layout: Layout, info: SnapshotInfo) -> bool:
    """Whether the ledger knows this snapshot of this pool."""
    if not layout.ledger.exists():
        return False
    payload = info.ledger_payload()
    return any(
        entry.type == LedgerEntryType.SNAPSHOT.value and entry.payload == payload
        for entry in iter_entries(layout.ledger)
    )
