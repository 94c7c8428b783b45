"""The catalogue: the one way to read what an installation has on file, for whoever is not checking it.

1. A run is a real directory whose name is a run id; a link is none. Runs come newest first.
2. An artifact that is one JSON document is read in one bounded pass, never through a link. What is there and is not
   one object is a `DamagedArtifactError`, whoever asks; what is not there is None. `read_manifest`
   (`prometheus.v10.evidence.writing.manifest`) gives the manifest as a record.
3. Entries of the ledger come in their order, every rule of every line checked before the first is handed out.
   `ledger_now` has what the ledger says as a view; whoever needs no entry itself asks that.
4. Nothing is kept between two calls, and nothing is written. Only what was asked for is in memory.

Who checks reads by himself: `verify/`, `auditing/`, `pools/anchors.py` and `chains/own_ledger.py` turn each fault into
a finding, and need the standard library only. So does the custodian, which takes each for a
refusal. This module needs attrs besides.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from attrs import frozen

from prometheus.v10.base.errors import EvidenceError, PrometheusError, host_error
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import Artifact, LedgerEntryType, is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.chains.chain import BEGINNING, Place
from prometheus.v10.evidence.chains.ledger import LedgerEntry, iter_entries
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo, list_snapshots
from prometheus.v10.evidence.records.canonical import object_of_line, strict_loads

HINT = "run verify on its directory"


class DamagedArtifactError(EvidenceError):
    """An artifact is there, and is not one JSON object."""


@frozen
class RunPlace:
    """Where a run lies."""

    path: Path
    tier: Tier

    @property
    def run_id(self) -> str:
        """The name of its directory."""
        return self.path.name

    @property
    def begun(self) -> tuple[str, ...]:
        """A key by which runs stand in the order of the seconds in which they were begun, as their names tell it."""
        prefix, *rest = self.path.name.split("_")
        return (*rest, prefix)


def runs(layout: Layout, *tiers: Tier) -> Iterator[RunPlace]:
    """Every run of the tiers (of all by default), the newest first: by the seconds of their names, then by manifest.

    Raises:
        HostError: when a directory of runs cannot be listed.
    """
    found = [RunPlace(path, tier) for tier in tiers or Tier for path in _run_directories(layout.runs(tier))]
    found.sort(key=lambda run: run.begun, reverse=True)
    for _, of_second in groupby(found, key=lambda run: run.begun[0]):
        same = list(of_second)
        yield from same if len(same) == 1 else sorted(same, key=_start_time, reverse=True)


def _start_time(run: RunPlace) -> str:
    """When a run began, to the microsecond; of a run that does not say it, nothing."""
    try:
        return str((manifest_of(run.path) or {}).get("start_time", ""))
    except PrometheusError:
        return ""  # whoever reads this manifest says what is wrong with it


def find_run(layout: Layout, run_id: str) -> RunPlace | None:
    """The run of an id; None where there is none, or the text is no run id."""
    places = [RunPlace(layout.runs(tier) / run_id, tier) for tier in Tier] if is_run_id(run_id) else []
    return next((run for run in places if run.path.is_dir() and not run.path.is_symlink()), None)


def was_cut_off(run_dir: Path) -> bool:
    """Whether the process of a run ended before it could seal it, and the next start closed it."""
    return (run_dir / Artifact.INTERRUPTED).is_file()


def _run_directories(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(one.path) for one in entries if is_run_id(one.name) and one.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise host_error(error, f"cannot list {folder}") from error


# ---- artifacts -------------------------------------------------------------------------------------------------------


def manifest_bytes(run_dir: Path) -> bytes | None:
    """The bytes of a run's manifest, whatever they are; None where there is none.

    Raises:
        EvidenceError: when it is a link, no regular file, or larger than any manifest.
        HostError: when it cannot be read.
    """
    return read_if_there(run_dir / Artifact.MANIFEST.value, at_most=LARGE)


def manifest_of(run_dir: Path) -> dict[str, Any] | None:
    """A run's manifest as plain values; None where there is none. Errors as `artifact_of`."""
    return artifact_of(run_dir, Artifact.MANIFEST)


def artifact_of(run_dir: Path, artifact: Artifact) -> dict[str, Any] | None:
    """One JSON artifact of a run as plain values; None where there is none.

    Raises:
        DamagedArtifactError: when it is not one JSON object.
        EvidenceError: as `manifest_bytes`.
        HostError: as `manifest_bytes`.
    """
    place = run_dir / artifact.file_name(run_id=run_dir.name)
    data = read_if_there(place, at_most=LARGE)
    if data is None:
        return None
    try:
        found = strict_loads(data)
    except ValueError as error:
        raise DamagedArtifactError(f"{place}: not strict JSON: {error}", hint=HINT) from error
    if not isinstance(found, dict):
        raise DamagedArtifactError(f"{place} is not an object", hint=HINT)
    return found


def manifest_texts(layout: Layout, tier: Tier) -> Iterator[str]:
    """The text of every manifest below the runs of a tier, one after the other, damaged ones too.

    For whoever looks for a name in them: a directory counts whatever it is called, since a name that is missed is worse
    here than one too many.

    Raises:
        EvidenceError: as `manifest_bytes`.
        HostError: as `manifest_bytes`.
    """
    for place in sorted(layout.runs(tier).glob(f"*/{Artifact.MANIFEST.value}")):
        yield (manifest_bytes(place.parent) or b"").decode("utf-8", "replace")


# ---- the ledger ------------------------------------------------------------------------------------------------------


def entries(
    ledger: Path, *types: LedgerEntryType, where: Callable[[Mapping[str, Any]], bool] | None = None
) -> Iterator[LedgerEntry]:
    """Entries of a ledger in order, all or those of some types; none where there is no ledger.

    Args:
        ledger: the ledger of seals (``Layout.ledger``), or another file of the same form.
        types: only these.
        where: only those whose payload it takes.

    Raises:
        EvidenceError: when any line of the ledger breaks a rule, with its byte offset, before an entry is handed out.
        HostError: when it cannot be read.
    """

    def wanted(entry: Mapping[str, Any]) -> bool:
        return (not types or entry["type"] in types) and (where is None or where(entry["payload"]))

    if ledger.exists():
        yield from iter_entries(ledger, wanted)


def entries_after(ledger: Path, start: Place = BEGINNING, *, at_most: int) -> tuple[list[dict[str, Any]], Place]:
    """Entries that stand behind a place of the ledger, as plain values, and the place behind the last of them.

    For whoever keeps a place and comes again: every rule of each new line is checked, and the chain must go on from
    the place's own hash. A line that is not whole yet is left for the next time.

    Args:
        ledger: as `entries`; one that is not there has no entries.
        start: what an earlier call gave back.
        at_most: bytes that are looked at; a line that they would cut is left for the next time, too.

    Raises:
        EvidenceError: when a line breaks a rule or the ledger is not the one of ``start``, with the byte offset.
        HostError: when it cannot be read.
    """
    if not ledger.exists():
        return [], BEGINNING
    size = ledger.stat().st_size
    if size < start.size:
        raise EvidenceError(f"{ledger}: shorter than it was", hint="run audit")
    kept: list[dict[str, Any]] = []
    end = min(size, start.size + at_most)
    found = scan(
        ledger, LEDGER_LINE, close=True, start=start, end=end, each=lambda line: kept.append(object_of_line(line))
    )
    found.refuse_damage()
    return kept, Place(found.good, found.link)


# ---- snapshots -------------------------------------------------------------------------------------------------------


def snapshots(layout: Layout, stage: Stage) -> list[SnapshotInfo]:
    """Every snapshot of a stage's pool that has its index, the smallest first.

    Raises:
        EvidenceError: for an index that cannot be read.
    """
    return list_snapshots(layout.snapshots(stage))
