"""Which snapshot stage 2 judges, and that it is one: never a live pool (contracts, sections 5 and 14).

1. Only what lies in the snapshots directory under a snapshot's name, with its index, is one.
2. The live pool is refused by **path** (a file of its name, or a way through a link), by **inode** (the same file under
   another name: st_dev and st_ino of any ``pool.jsonl`` of the tree) and by **mount** (the kernel's table says that
   what is mounted over the name is a ``pool.jsonl`` of some tree, which may not be visible from here at all).
3. Every line's rules and chain are checked, the sha256 against the index, and the index against the ledger.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from prometheus.v10.base.errors import EvidenceError, ExitCode, UsageError, host_error
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import POOL_FILE, SNAPSHOT_PREFIX
from prometheus.v10.base.paths import Layout, refuse_links_below
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.evidence.pools.pool_record import PoolRecord
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo, newest_snapshot, read_index
from prometheus.v10.evidence.records.findings import Progress
from prometheus.v10.evidence.verify.verify_chain import verify_snapshot

MOUNTS = Path("/proc/self/mountinfo")
MAKE_ONE = "make one: prometheus-quant snapshot create"
_ID = re.compile(r"\d{12}-[0-9a-f]{8}")
_ESCAPE = re.compile(r"\\([0-7]{3})")


def choose_snapshot(layout: Layout, wanted: str = "", progress: Progress | None = None) -> SnapshotInfo:
    """The snapshot of stage 1's pool with the id ``wanted``, or the newest; verified, which ``progress`` hears of.

    Raises:
        UsageError: for no such snapshot, or for a live pool in its place.
        EvidenceError: when it is damaged, or is not the one that the ledger knows.
        HostError: when it cannot be read.
    """
    folder = layout.snapshots(Stage.STAGE1)
    if wanted and not _ID.fullmatch(wanted):
        hint = "stage 2 reads snapshots, never a pool: give an id, or nothing for the newest"
        raise UsageError(f"{wanted!r} is not a snapshot's id (as 000000001234-0a1b2c3d)", hint=hint)
    if wanted:
        index = folder / f"{SNAPSHOT_PREFIX}{wanted}.json"
        if not index.exists():
            raise UsageError(f"no snapshot {wanted} in {folder}", hint=MAKE_ONE)
        info = read_index(index)
    else:
        info = newest_snapshot(folder)
    refuse_live_pool(info.path, layout)
    _verify(info, progress)
    _refuse_unknown(info, layout)
    return info


def refuse_live_pool(path: Path, layout: Layout, mounts: Path = MOUNTS) -> None:
    """Refuse a path that leads to a live pool by name, by inode or by mount (rule 2).

    Raises:
        UsageError: saying how it leads there.
        HostError: when the path cannot be looked at.
    """
    hint = "stage 2 reads snapshots only: a pool that grows while it is judged blurs every batch"
    refuse_links_below(layout.lib, path)
    real = Path(os.path.realpath(path))
    if POOL_FILE in {path.name, real.name}:
        raise UsageError(f"{path} is a live pool by its path", hint=hint)
    try:
        ours = real.stat()
        for pool in layout.lib.glob(f"pools/*/{POOL_FILE}"):
            theirs = pool.stat()
            if (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino):
                raise UsageError(f"{path} is the live pool {pool} under another name (the same inode)", hint=hint)
        source = mounted_from(real, mounts)
    except OSError as error:
        raise host_error(error, f"cannot look at {path}") from error
    if source is not None and source.name == POOL_FILE:
        raise UsageError(f"{path} is a live pool by its mount: {source} is mounted over it", hint=hint)


def mounted_from(path: Path, mounts: Path = MOUNTS) -> Path | None:
    """What lies mounted at exactly ``path``, as its own file system calls it; None when nothing is.

    Raises:
        OSError: when the table cannot be read.
    """
    found = None
    for line in mounts.read_text().splitlines():
        fields = line.split(" ")
        root, point = (_ESCAPE.sub(lambda octal: chr(int(octal[1], 8)), text) for text in fields[3:5])
        if point == str(path):
            found = Path(root)
    return found


def _verify(info: SnapshotInfo, progress: Progress | None) -> None:
    report = verify_snapshot(info.path, progress=progress)
    if report.exit_code != ExitCode.DONE:
        worst = next(finding for finding in report.findings if finding.level.value != "note")
        raise EvidenceError(
            f"snapshot {info.id} is not what its index says: {worst.where}: {worst.what}",
            hint="restore it, or judge another one; nothing of a damaged snapshot is believed",
        )


def _refuse_unknown(info: SnapshotInfo, layout: Layout) -> None:
    """The ledger must have entered this very snapshot."""
    if not layout.ledger.exists():
        raise EvidenceError(f"there is no ledger at {layout.ledger} that knows snapshot {info.id}", hint=MAKE_ONE)
    entered = [payload["sha256"] for payload in ledger_now(layout.ledger).snapshots if payload["id"] == info.id]
    if info.sha256 not in entered:
        said = f"knows it with another sha256 ({entered[-1]})" if entered else "does not know it"
        raise EvidenceError(
            f"snapshot {info.id} has sha256 {info.sha256}, and the ledger {said}",
            hint="a snapshot enters the ledger when it is made: prometheus-quant snapshot create",
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
