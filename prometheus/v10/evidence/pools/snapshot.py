"""Snapshots of a pool (contracts, section 5): an immutable prefix, the only thing that stage 2 may read.

1. ``<id>`` is the 12-digit count of its records, ``-``, and the first 8 digits of its head hash (the last line's).
2. ``snapshot_<id>.jsonl`` holds the bytes of the pool's prefix, mode 0444; ``snapshot_<id>.json`` says what it is.
3. The copy is taken while the writer may append, its chain checked on the way; it is made aside, synced, and linked
   into place: never partial, never over another. The index follows its file, so that an index always has one.
4. The pool's bytes are synced before they are copied: a snapshot never holds what the pool could lose.

Standard library only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import EvidenceError, UsageError, host_error
from prometheus.v10.base.files import FILES, Files, aside_name, discard, open_aside, publish_new, write_all, write_new
from prometheus.v10.base.names import SNAPSHOT_PREFIX, Schema
from prometheus.v10.evidence.chains.chain import BLOCK, Link
from prometheus.v10.evidence.chains.scan import file_sha256, open_for_reading
from prometheus.v10.evidence.pools.reader import iter_lines, linked_lines
from prometheus.v10.evidence.records.canonical import pretty_bytes, strict_loads
from prometheus.v10.evidence.records.findings import Progress
from prometheus.v10.evidence.schemas.schema_file import schema_of
from prometheus.v10.evidence.schemas.shapes import COUNT, NAME, SNAPSHOT

MODE = 0o444


@dataclass(frozen=True)
class SnapshotInfo:
    """One snapshot, as its index says.

    Attributes:
        head_hash: hash of its last line (the ``prev`` of the record that came next).
        sha256: of the whole file.
        pool_path: the pool it was taken from, as it was called then.
        already_there: `create_snapshot` found the same snapshot in place and made nothing.
    """

    id: str
    path: Path
    count: int
    head_hash: str
    sha256: str
    bytes: int
    pool_path: str
    created_at: str
    git_commit: str | None
    already_there: bool = False

    @property
    def index_path(self) -> Path:
        """``snapshot_<id>.json``."""
        return self.path.with_suffix(".json")

    def ledger_payload(self) -> dict[str, Any]:
        """What the ledger keeps of it (`LedgerEntryType.SNAPSHOT`)."""
        return {
            "id": self.id,
            "file": self.path.name,
            "pool_path": self.pool_path,
            "count": self.count,
            "head_hash": self.head_hash,
            "sha256": self.sha256,
            "bytes": self.bytes,
        }


@dataclass(frozen=True)
class SnapshotIndex:
    """``snapshot_<id>.json``: what its file is, and when it was made."""

    id: str = field(metadata=SNAPSHOT)
    file: str = field(metadata=NAME)
    pool_path: str
    count: int = field(metadata=COUNT)
    head_hash: str
    sha256: str
    bytes: int = field(metadata=COUNT)
    created_at: str
    git_commit: str | None
    null_reasons: dict[str, str]
    schema: str = Schema.SNAPSHOT.value


@dataclass(frozen=True)
class SnapshotDiff:
    """What the later of two snapshots of one pool has more: records ``first_n`` to ``first_n + added - 1``."""

    earlier: SnapshotInfo
    later: SnapshotInfo
    first_n: int
    added: int
    added_bytes: int


def snapshot_id(count: int, head_hash: str) -> str:
    """The id of a snapshot (contracts, section 5)."""
    return f"{count:012d}-{head_hash[:8]}"


def create_snapshot(
    pool_path: Path,
    snapshots_dir: Path,
    *,
    clock: Clock,
    git_commit: str | None,
    files: Files = FILES,
    progress: Progress | None = None,
) -> SnapshotInfo:
    """Freeze what the pool holds now; the writer may go on. The same content gives the snapshot that is already there.

    Raises:
        EvidenceError: for an empty or damaged pool, or when the id's place holds other bytes.
        HostError: when a call to the kernel fails; nothing is visible then that was not complete.
    """
    aside = aside_name(snapshots_dir / f"{SNAPSHOT_PREFIX}new")
    try:
        copied = _copy_prefix(pool_path, aside, files, progress)
        identity = snapshot_id(*copied.link)
        path = snapshots_dir / f"{SNAPSHOT_PREFIX}{identity}.jsonl"
        try:
            publish_new(aside, path, files=files)
        except FileExistsError:
            _refuse_other_bytes(path, copied.sha256)
    except BaseException as error:  # whoever hears of the progress may end it
        discard(aside, files=files)
        if not isinstance(error, OSError):
            raise
        raise host_error(error, f"cannot make a snapshot of {pool_path} in {snapshots_dir}") from error
    info = SnapshotInfo(
        id=identity,
        path=path,
        count=copied.link.n,
        head_hash=copied.link.prev,
        sha256=copied.sha256,
        bytes=copied.bytes,
        pool_path=str(pool_path),
        created_at=utc_text(clock.now()),
        git_commit=git_commit,
    )
    return _write_index(info, files)


def list_snapshots(snapshots_dir: Path) -> list[SnapshotInfo]:
    """Every snapshot with its index, the smallest first. A file without an index is none yet (`verify` names it).

    Raises:
        EvidenceError: for an index that cannot be read.
    """
    if not snapshots_dir.is_dir():
        return []
    found = [read_index(index) for index in sorted(snapshots_dir.glob(f"{SNAPSHOT_PREFIX}*.json"))]
    return sorted(found, key=lambda info: (info.count, info.id))


def read_index(index: Path) -> SnapshotInfo:
    """What a ``snapshot_<id>.json`` says; whether it is true is for `verify` to find.

    Raises:
        EvidenceError: when it is not such an index, or its name and content differ.
        HostError: when it cannot be read.
    """
    try:
        data = index.read_bytes()
    except OSError as error:
        raise host_error(error, f"cannot read {index}") from error
    try:
        says = strict_loads(data)
    except ValueError as error:
        raise EvidenceError(f"{index} is not a snapshot's index: {error!r}", hint="verify the snapshot") from error
    if (what := schema_of(Schema.SNAPSHOT).first(says)) is not None:
        raise EvidenceError(f"{index} is not a snapshot's index: {what}", hint="verify the snapshot")
    known = ("id", "count", "head_hash", "sha256", "bytes", "pool_path", "created_at", "git_commit")
    info = SnapshotInfo(path=index.with_suffix(".jsonl"), **{name: says[name] for name in known})
    if index.stem != f"{SNAPSHOT_PREFIX}{info.id}" or info.id != snapshot_id(info.count, info.head_hash):
        raise EvidenceError(f"{index} does not belong to its name: it says {info.id}, count {info.count}")
    return info


def diff_snapshots(a: SnapshotInfo, b: SnapshotInfo) -> SnapshotDiff:
    """What the later of two snapshots added; the earlier must be its prefix, byte for byte.

    Raises:
        EvidenceError: when it is not, with the offset of the first byte that differs.
        HostError: when a file cannot be read.
    """
    earlier, later = sorted((a, b), key=lambda info: info.count)
    same = _common_bytes(earlier.path, later.path)
    if same < earlier.bytes:
        raise EvidenceError(
            f"{earlier.path.name} is not a prefix of {later.path.name}: they differ at byte {same}",
            hint="snapshots of one pool contain each other: one was changed, or they are of two pools",
        )
    return SnapshotDiff(earlier, later, earlier.count, later.count - earlier.count, later.bytes - earlier.bytes)


def added_lines(diff: SnapshotDiff) -> Iterator[bytes]:
    """The lines of a `SnapshotDiff`, in order; checked as `reader.iter_lines` does."""
    for n, line in enumerate(iter_lines(diff.later.path)):
        if n >= diff.first_n:
            yield line


@dataclass(frozen=True)
class _Copied:
    link: Link
    sha256: str
    bytes: int


def _copy_prefix(pool_path: Path, aside: Path, files: Files, progress: Progress | None) -> _Copied:
    """Copy the pool's whole lines to ``aside``, mode 0444, synced; the chain is checked on the way."""
    source = open_for_reading(pool_path)
    try:
        size = files.size(source)
        files.fdatasync(source)
        target = open_aside(aside, files)
        try:
            copied = _copy_lines(source, pool_path, size, target, files, progress)
            files.fchmod(target, MODE)
            files.fsync(target)
        finally:
            files.close(target)
    finally:
        os.close(source)
    return copied


def _copy_lines(
    source: int, pool_path: Path, size: int, target: int, files: Files, progress: Progress | None
) -> _Copied:
    digest, link, written = hashlib.sha256(), Link(), 0
    batch: list[bytes] = []
    held = 0
    for line, link_after in linked_lines(source, pool_path, size=size, progress=progress):
        batch.append(line)
        held += len(line)
        link = link_after
        if held >= BLOCK:
            written += _flush(batch, digest.update, target, files)
            batch, held = [], 0
    if link.n == 0:
        raise EvidenceError(f"{pool_path} holds no record: nothing to freeze", hint="let a run append to it first")
    written += _flush(batch, digest.update, target, files)
    return _Copied(link, digest.hexdigest(), written)


def _flush(batch: list[bytes], update: Callable[[bytes], None], target: int, files: Files) -> int:
    data = b"".join(batch)
    update(data)
    write_all(files, target, data)
    return len(data)


def _refuse_other_bytes(path: Path, sha256: str) -> None:
    if file_sha256(path) != sha256:
        raise EvidenceError(
            f"{path} exists and holds other bytes than the pool's prefix",
            hint="a snapshot is never overwritten: verify it and the pool",
        )


def _write_index(info: SnapshotInfo, files: Files) -> SnapshotInfo:
    reasons = {} if info.git_commit is not None else {"git_commit": "no commit was baked into this build"}
    record = SnapshotIndex(
        **info.ledger_payload(), created_at=info.created_at, git_commit=info.git_commit, null_reasons=reasons
    )
    data = pretty_bytes(vars(record))
    try:
        write_new(info.index_path, data, mode=MODE, files=files)
    except FileExistsError:
        there = read_index(info.index_path)
        if (there.count, there.head_hash, there.sha256) != (info.count, info.head_hash, info.sha256):
            raise EvidenceError(
                f"{info.index_path} exists and says something else", hint="verify the snapshot"
            ) from None
        return SnapshotInfo(**{**vars(there), "already_there": True})
    # Also when the file was there without its index: an earlier attempt was cut off between the two.
    return info


def _common_bytes(a: Path, b: Path) -> int:
    """How many bytes two files have in common at their beginning."""
    fd_a = open_for_reading(a)
    try:
        fd_b = open_for_reading(b)
        try:
            same = 0
            while True:
                block_a, block_b = os.pread(fd_a, BLOCK, same), os.pread(fd_b, BLOCK, same)
                shorter = min(len(block_a), len(block_b))
                if block_a[:shorter] != block_b[:shorter]:
                    return same + next(i for i in range(shorter) if block_a[i] != block_b[i])
                same += shorter
                if shorter < BLOCK:
                    return same
        finally:
            os.close(fd_b)
    finally:
        os.close(fd_a)


def newest_snapshot(snapshots_dir: Path) -> SnapshotInfo:
    """The snapshot with the most records.

    Raises:
        UsageError: when there is none.
    """
    found = list_snapshots(snapshots_dir)
    if not found:
        raise UsageError(f"no snapshot in {snapshots_dir}", hint="make one: prometheus-quant snapshot create")
    return found[-1]
