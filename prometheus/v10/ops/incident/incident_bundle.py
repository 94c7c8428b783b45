"""What goes into an Incident Evidence Bundle, and how it is packed: the same content gives the same bytes.

Entries are sorted, owned by nobody, with their files' own times; the compression's header carries neither name nor
time. ``SHA256SUMS.txt`` covers everything beside it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import SEAL_FILES, Artifact
from prometheus.v10.base.reading import LARGE, is_regular, read_whole
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX
from prometheus.v10.evidence.records.canonical import strict_loads

REQUIRED = (
    Artifact.MANIFEST,
    Artifact.SUMMARY,
    Artifact.FINGERPRINT,
    Artifact.TELEMETRY,
    Artifact.DEATHS,
    Artifact.COLLAPSES,
)
"""What a bundle of any run must hold."""

REQUIRED_OF_TIER2 = (
    Artifact.POSITIONS_SNAPSHOT,
    Artifact.POSITIONS_RAW_INDEX,
    Artifact.EXECUTION_RAW_INDEX,
    Artifact.ALIGNMENT_REPORT,
)
"""What a bundle of a full-evidence run must hold besides; of other runs, if it is there."""

INDEXES = {
    Artifact.EXECUTION_RAW_INDEX: Artifact.EXECUTION_RAW,
    Artifact.POSITIONS_RAW_INDEX: Artifact.POSITIONS_RAW,
    Artifact.DECISION_TRACE_INDEX: Artifact.DECISION_TRACE,
}
ALSO = (Artifact.INTERESTING_DEATHS, Artifact.INTERRUPTED, Artifact.DECISION_TRACE_INDEX, *SEAL_FILES)
MOST_PART_BYTES = 32 * 1024 * 1024
"""Of raw parts with event records; what is beyond stays in the run, and the report names it."""


@frozen(kw_only=True)
class Member:
    """A file of the bundle; ``mtime`` is UTC epoch seconds."""

    data: bytes
    mtime: int


@frozen(kw_only=True)
class Shards:
    """Parts of one sharded artifact: how many its index lists, are in the run, and are in the bundle."""

    index: str
    listed: int | None
    there: int
    bundled: int
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Content:
    """What of a run goes into its bundle.

    Attributes:
        members: by name within the run.
        missing: required files that the run does not have.
        left_out: parts of raw evidence that stay in the run.
    """

    members: Mapping[str, Member]
    missing: tuple[str, ...]
    shards: tuple[Shards, ...]
    left_out: tuple[str, ...]


def gather(run_dir: Path, tier: Tier) -> Content:
    """Read what of a run belongs into a bundle.

    Raises:
        HostError: when a file that is there cannot be read.
    """
    required = REQUIRED + (REQUIRED_OF_TIER2 if tier is Tier.TIER2_FULL else ())
    wanted = dict.fromkeys([*required, *REQUIRED_OF_TIER2, *ALSO])
    members: dict[str, Member] = {}
    missing = []
    for artifact in wanted:
        names = (str(artifact), f"{artifact}{PACKED_SUFFIX}")
        found = next((name for name in names if is_regular(run_dir / name)), None)
        if found is not None:
            members[found] = _read(run_dir / found)
        elif artifact in required:
            missing.append(str(artifact))
    shards, left_out = [], []
    for index, part in INDEXES.items():
        there = sorted(path.name for path in run_dir.glob(str(part).replace("{part:04d}", "*")) if is_regular(path))
        if index not in members and not there:
            continue
        listed = _shards_of(members[index].data) if index in members else None
        bundled = _take_event_parts(run_dir, listed or [], there, members)
        left_out += [name for name in there if name not in bundled]
        known = None if listed is None else len(listed)
        shards.append(Shards(index=str(index), listed=known, there=len(there), bundled=len(bundled)))
    return Content(members=members, missing=tuple(missing), shards=tuple(shards), left_out=tuple(left_out))


def pack(top: str, members: Mapping[str, Member]) -> bytes:
    """The archive (``.tar.gz``) of ``members`` and of ``SHA256SUMS.txt`` over them, in one directory ``top``."""
    sums = "".join(f"{hashlib.sha256(one.data).hexdigest()}  {name}\n" for name, one in sorted(members.items()))
    newest = max(one.mtime for one in members.values())
    everything = {**members, Artifact.SHA256SUMS.value: Member(data=sums.encode("ascii"), mtime=newest)}
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=6, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, one in sorted(everything.items()):
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size, entry.mtime, entry.mode = len(one.data), one.mtime, 0o644
            archive.addfile(entry, io.BytesIO(one.data))
    return packed.getvalue()


def _take_event_parts(
    run_dir: Path, listed: list[dict[str, Any]], there: list[str], members: dict[str, Member]
) -> set[str]:
    """Add the parts that hold event records, oldest first, as long as they fit."""
    taken, size = set(), 0
    for shard in listed:
        name = str(shard.get("filename"))
        if not shard.get("event_records") or name not in there:
            continue
        size += (run_dir / name).stat().st_size
        if size > MOST_PART_BYTES:
            break
        members[name] = _read(run_dir / name)
        taken.add(name)
    return taken


def _shards_of(data: bytes) -> list[dict[str, Any]] | None:
    """What an index lists; None when it is none."""
    try:
        shards = strict_loads(data)["shards"]
    except (ValueError, KeyError, TypeError):
        return None
    return [dict(shard) for shard in shards] if all(isinstance(shard, dict) for shard in shards) else None


def _read(path: Path) -> Member:
    return Member(data=read_whole(path, at_most=LARGE), mtime=int(path.lstat().st_mtime))
