"""What the ledger of seals says that retention must know: what is sealed, promoted, deleted and compressed.

The ledger decides, not the directories: a run without a line in it is not sealed for retention, however it looks, and
its age counts from that line, not from a file's date that any copy changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.modes import RunPrefix, Stage, Tier
from prometheus.v10.base.names import SNAPSHOT_PREFIX, Artifact, is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.chains.absences import Packing
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.writing.seal import Listed, is_plain_name, parse_filelist, parse_sums

_RUN_ROOTS = tuple(Layout.system().runs(tier).name for tier in Tier)


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
    """What `LedgerView` says, as retention needs it.

    Attributes:
        runs: by run id, in the order in which they were sealed; a run that was adopted is not among them.
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

    @classmethod
    def of(cls, view: LedgerView) -> History:
        """The history that a view of the ledger tells; nothing in it is the view's own."""
        snapshots = [_snapshot(said, at) for said, at in zip(view.snapshots, view.snapshots_at, strict=True)]
        return cls(
            runs={run.run_id: run for run in _runs(view)},
            promoted={name for payload in view.promotions for name in _run_ids(payload)},
            deleted=dict(view.deleted),
            packed={path: list(packings) for path, packings in view.packed.items()},
            snapshots={found.path: found for found in snapshots if found is not None},
        )


def _runs(view: LedgerView) -> Iterator[SealedRun]:
    for run_id, (first, *_) in view.seals.items():
        path = str(first["run_dir"])
        if run_id not in view.adopted and path in {f"{root}/{run_id}" for root in _RUN_ROOTS}:
            yield SealedRun(run_id, path, str(first["seal"]), datetime.fromisoformat(view.sealed_at[run_id]))


def _snapshot(said: Mapping[str, Any], at: str) -> SealedSnapshot | None:
    stage, file = Path(said["pool_path"]).parent.name, str(said["file"])
    if stage not in {*Stage} or file != f"{SNAPSHOT_PREFIX}{said['id']}.jsonl" or not is_plain_name(file):
        return None
    path = f"pools/{stage}/snapshots/{file}"
    entered = datetime.fromisoformat(at)
    return SealedSnapshot(said["id"], path, said["sha256"], said["bytes"], said["count"], entered)


def read_history(layout: Layout) -> History:
    """Read the ledger, every rule of every line checked; an installation without one has no history.

    Raises:
        EvidenceError: when the ledger is damaged, or has an entry that its closed table does not allow: nothing may be
            deleted on the word of such a ledger.
        HostError: when it cannot be read.
    """
    view = ledger_now(layout.ledger)
    if view.problems:
        raise EvidenceError(
            f"{layout.ledger}: {view.problems[0]}: nothing is deleted or compressed on the word of such a ledger",
            hint="prometheus-quant audit says what else is wrong",
        )
    return History.of(view)


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
    sums_data, list_data = _there(place / Artifact.SHA256SUMS), _there(place / Artifact.FILELIST)
    if hashlib.sha256(sums_data).hexdigest() != run.seal:
        raise EvidenceError(f"{place}: its seal is not the one in the ledger", hint="verify the run")
    try:
        sums, listed = parse_sums(sums_data), parse_filelist(list_data)
    except ValueError as error:
        raise EvidenceError(f"{place}: {error}", hint="verify the run") from error
    if sums.get(Artifact.FILELIST) != hashlib.sha256(list_data).hexdigest():
        raise EvidenceError(f"{place / Artifact.FILELIST} was changed", hint="verify the run")
    return SealedFiles(sums, listed)


def _there(place: Path) -> bytes:
    data = read_if_there(place, at_most=LARGE)
    if data is None:
        raise EvidenceError(f"{place} is gone, and the ledger has the seal", hint="verify the run")
    return data


def _run_ids(payload: Mapping[str, Any]) -> set[str]:
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
