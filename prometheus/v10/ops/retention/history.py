"""What the ledger of seals says that retention must know: what is sealed, promoted, deleted and compressed.

The ledger decides, not the directories: a run without a line in it is not sealed for retention, however it looks, and
its age counts from that line, not from a file's date that any copy changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.modes import RunPrefix, Stage, Tier
from prometheus.v10.base.names import SNAPSHOT_PREFIX, Artifact, LedgerEntryType, is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.absences import Packing, packing_of
from prometheus.v10.evidence.chains.ledger import LedgerEntry, iter_entries
from prometheus.v10.evidence.writing.seal import Listed, is_plain_name, parse_filelist, parse_sums

_RUN_ROOTS = tuple(Layout.system().runs(tier).name for tier in Tier)
_SEALS = {LedgerEntryType.RUN_SEALED.value, LedgerEntryType.RUN_INTERRUPTED.value}


@frozen
class SealedRun:
    """A run that the ledger knows; ``path`` is its directory relative to the installation's lib."""

    run_id: str
    path: str
    seal: str
    sealed_at: datetime

    @property
    def tier(self) -> Tier:
        """By the first word of its id."""
        return RunPrefix(self.run_id.split("_", 1)[0]).tier


@frozen
class SealedSnapshot:
    """A snapshot that the ledger knows; ``path`` is of its ``.jsonl``, relative to the installation's lib."""

    id: str
    path: str
    sha256: str
    bytes: int
    records: int
    entered_at: datetime

    @property
    def stage(self) -> str:
        """Whose pool it is a prefix of."""
        return self.path.split("/")[1]


@define
class History:
    """The ledger, as far as retention needs it.

    Attributes:
        runs: by run id, in the order in which they were sealed.
        promoted: run ids that a promotion names.
        deleted: path to sha256 of every tombstone.
        packed: every compression, by path.
        snapshots: by path, in the order in which they were taken.
    """

    runs: dict[str, SealedRun] = Factory(dict)
    promoted: set[str] = Factory(set)
    deleted: dict[str, str] = Factory(dict)
    packed: dict[str, list[Packing]] = Factory(dict)
    snapshots: dict[str, SealedSnapshot] = Factory(dict)

    def take(self, entry: LedgerEntry) -> None:
        """Take one entry in."""
        payload = entry.payload
        if entry.type in _SEALS:
            self._take_seal(entry)
        elif entry.type == LedgerEntryType.PROMOTION.value:
            self.promoted |= _run_ids(payload)
        elif entry.type == LedgerEntryType.RETENTION_DELETION.value:
            self.deleted[str(payload.get("path"))] = str(payload.get("sha256"))
        elif entry.type == LedgerEntryType.COMPRESSION.value:
            if (packing := packing_of(payload)) is not None:
                self.packed.setdefault(packing.path, []).append(packing)
        elif entry.type == LedgerEntryType.SNAPSHOT.value:
            self._take_snapshot(entry)

    def _take_seal(self, entry: LedgerEntry) -> None:
        run_id, path, seal = (str(entry.payload.get(key)) for key in ("run_id", "run_dir", "seal"))
        if is_run_id(run_id) and path in {f"{root}/{run_id}" for root in _RUN_ROOTS}:
            self.runs.setdefault(run_id, SealedRun(run_id, path, seal, _moment(entry)))

    def _take_snapshot(self, entry: LedgerEntry) -> None:
        said = entry.payload
        stage, file = Path(str(said.get("pool_path"))).parent.name, str(said.get("file"))
        if stage in {*Stage} and file == f"{SNAPSHOT_PREFIX}{said.get('id')}.jsonl" and is_plain_name(file):
            path = f"pools/{stage}/snapshots/{file}"
            self.snapshots[path] = SealedSnapshot(
                str(said["id"]), path, str(said["sha256"]), int(said["bytes"]), int(said["count"]), _moment(entry)
            )


def read_history(layout: Layout) -> History:
    """Read the ledger, every rule of every line checked; an installation without one has no history.

    Raises:
        EvidenceError: when the ledger is damaged: nothing may be deleted on the word of such a ledger.
        HostError: when it cannot be read.
    """
    found = History()
    if layout.ledger.exists():
        for entry in iter_entries(layout.ledger):
            found.take(entry)
    return found


@frozen
class SealedFiles:
    """What a run's seal covers: sha256 by name, and size and mode by name (`FILELIST.ls.txt` itself has none)."""

    sums: dict[str, str]
    listed: dict[str, Listed]


def read_sealed(layout: Layout, run: SealedRun) -> SealedFiles:
    """The two seal files of a run, held against the ledger and against each other.

    Raises:
        EvidenceError: when they are not those that the ledger names.
        HostError: when they cannot be read.
    """
    place = layout.lib / run.path
    try:
        sums_data = (place / Artifact.SHA256SUMS).read_bytes()
        list_data = (place / Artifact.FILELIST).read_bytes()
    except FileNotFoundError as error:
        raise EvidenceError(f"{error.filename} is gone, and the ledger has the seal", hint="verify the run") from error
    except OSError as error:
        raise host_error(error, f"cannot read the seal of {place}") from error
    if hashlib.sha256(sums_data).hexdigest() != run.seal:
        raise EvidenceError(f"{place}: its seal is not the one in the ledger", hint="verify the run")
    try:
        sums, listed = parse_sums(sums_data), parse_filelist(list_data)
    except ValueError as error:
        raise EvidenceError(f"{place}: {error}", hint="verify the run") from error
    if sums.get(Artifact.FILELIST) != hashlib.sha256(list_data).hexdigest():
        raise EvidenceError(f"{place / Artifact.FILELIST} was changed", hint="verify the run")
    return SealedFiles(sums, listed)


def _moment(entry: LedgerEntry) -> datetime:
    return datetime.fromisoformat(entry.ts_utc)


def _run_ids(payload: dict[str, Any]) -> set[str]:
    """Every run id among a promotion's values: one run, or the sources of many candidates."""
    return {text for value in payload.values() for text in _texts(value) if is_run_id(text)}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
