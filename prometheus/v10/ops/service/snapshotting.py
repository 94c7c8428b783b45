"""Taking a snapshot: freeze the pool, enter it into the ledger, tell the journal (contracts, sections 2 and 5).

A snapshot may be there and yet not in the ledger, when the machine died between the two; then the next to take the same
one enters it. So what counts is not whether the file is new, but whether the ledger knows it.
"""

from __future__ import annotations

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import Event, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import snapshots
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.pools.anchors import check_claims
from prometheus.v10.evidence.pools.pool_claims import claims_of
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo, create_snapshot
from prometheus.v10.evidence.records.findings import Level, Progress, VerifyReport
from prometheus.v10.evidence.writing.environment import probe
from prometheus.v10.evidence.writing.installation import InstallationLedger, refuse_a_past_without_ledger
from prometheus.v10.evidence.writing.journal import Journal


def take_snapshot(
    layout: Layout, stage: Stage, *, instance: str, clock: Clock, journal: Journal, progress: Progress | None = None
) -> SnapshotInfo:
    """Freeze a stage's pool as it is now; taking the same one twice is harmless. ``progress`` hears of bytes copied.

    Raises:
        EvidenceError: when pool or ledger is damaged, or the pool is empty.
        HostError: when the disk refuses.
    """
    _refuse_unclaimed(layout, stage)
    info = create_snapshot(
        layout.pool(stage), layout.snapshots(stage), clock=clock, git_commit=probe().git_commit, progress=progress
    )
    if not _entered(layout, info):
        ledger = InstallationLedger(layout, clock=clock, instance=instance, on_torn=journal.send_torn)
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
    newest = max((info.bytes for info in snapshots(layout, stage)), default=0)
    if not pool.exists() or pool.stat().st_size < newest * (1.0 + growth):
        return None
    return take_snapshot(layout, stage, instance=instance, clock=clock, journal=journal, progress=progress)


def _refuse_unclaimed(layout: Layout, stage: Stage) -> None:
    """A snapshot freezes what sealed runs vouch for; a record that no run claims is not frozen.

    Raises:
        EvidenceError: naming the pool and what is wrong with it.
    """
    pool = layout.pool(stage)
    view = ledger_now(layout.ledger)
    if view.entries == 0:
        refuse_a_past_without_ledger(layout)
    if view.installation is None or not pool.exists():
        return
    report = VerifyReport(pool, "pool")
    claims = claims_of(pool)
    view = ledger_now(layout.ledger)  # again: what was appended meanwhile was begun before
    live = view.unsealed() | view.inherited
    check_claims(pool, str(pool.relative_to(layout.lib)), claims, view, report, live=live, complete=False)
    bad = next((one for one in report.findings if one.level is Level.FAIL), None)
    if bad is not None:
        raise EvidenceError(
            f"{bad.where}: {bad.what}: no snapshot is taken",
            hint="prometheus-quant audit says what else is wrong; restore the pool from a copy",
        )


def _entered(layout: Layout, info: SnapshotInfo) -> bool:
    """Whether the ledger knows this snapshot of this pool."""
    return info.ledger_payload() in ledger_now(layout.ledger).snapshots
