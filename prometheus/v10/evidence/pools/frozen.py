"""That a file is a snapshot and stays one: no live pool, and known to the ledger (contracts, sections 5 and 14).

1. Only what lies in the snapshots directory under a snapshot's name, with its index, is one.
2. The live pool is refused by **path** (a file of its name, or a way through a link), by **inode** (the same file under
   another name: st_dev and st_ino of any ``pool.jsonl`` of the tree) and by **mount** (the kernel's table says that
   what is mounted over the name is a ``pool.jsonl`` of some tree, which may not be visible from here at all).
3. The ledger must have entered this very snapshot.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from prometheus.v10.base.errors import EvidenceError, UsageError, host_error
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import POOL_FILE, SNAPSHOT_PREFIX
from prometheus.v10.base.paths import Layout, refuse_links_below
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo, newest_snapshot, read_index

MOUNTS = Path("/proc/self/mountinfo")
SNAPSHOT_ID = re.compile(r"\d{12}-[0-9a-f]{8}")
_ESCAPE = re.compile(r"\\([0-7]{3})")


def frozen_snapshot(layout: Layout, stage: Stage, wanted: str = "") -> SnapshotInfo:
    """The snapshot of a stage's pool with the id ``wanted``, or the newest; its bytes are not looked at.

    Raises:
        UsageError: for no such snapshot, or for a live pool in its place.
        EvidenceError: when the ledger does not know it.
        HostError: when its index cannot be read.
    """
    folder = layout.snapshots(stage)
    if wanted and not SNAPSHOT_ID.fullmatch(wanted):
        hint = "snapshots are read, never a pool: give an id, or nothing for the newest"
        raise UsageError(f"{wanted!r} is not a snapshot's id (as 000000001234-0a1b2c3d)", hint=hint)
    if wanted:
        index = folder / f"{SNAPSHOT_PREFIX}{wanted}.json"
        if not index.exists():
            raise UsageError(f"no snapshot {wanted} in {folder}", hint=make_one(stage))
        info = read_index(index)
    else:
        info = newest_snapshot(folder)
    refuse_live_pool(info.path, layout)
    _refuse_unknown(info, layout, stage)
    return info


def make_one(stage: Stage) -> str:
    """The command that makes a snapshot of a stage."""
    return "make one: prometheus-quant snapshot create" + ("" if stage is Stage.STAGE1 else f" --stage {stage.value}")


def refuse_live_pool(path: Path, layout: Layout, mounts: Path = MOUNTS) -> None:
    """Refuse a path that leads to a live pool by name, by inode or by mount (rule 2).

    Raises:
        UsageError: saying how it leads there.
        HostError: when the path cannot be looked at.
    """
    hint = "snapshots are read, never a pool: a pool that grows while it is read gives another answer each time"
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


def _refuse_unknown(info: SnapshotInfo, layout: Layout, stage: Stage) -> None:
    """The ledger must have entered this very snapshot."""
    if not layout.ledger.exists():
        raise EvidenceError(
            f"there is no ledger at {layout.ledger} that knows snapshot {info.id}", hint=make_one(stage)
        )
    entered = [payload["sha256"] for payload in ledger_now(layout.ledger).snapshots if payload["id"] == info.id]
    if info.sha256 not in entered:
        said = f"knows it with another sha256 ({entered[-1]})" if entered else "does not know it"
        raise EvidenceError(
            f"snapshot {info.id} has sha256 {info.sha256}, and the ledger {said}",
            hint="a snapshot enters the ledger when it is made: prometheus-quant snapshot create",
        )
