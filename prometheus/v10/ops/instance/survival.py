"""From a run's own files to the instance's survival curve: which experiments collapsed, and how long each lived."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.catalog import artifact_of
from prometheus.v10.evidence.derive.eras.stratum import strata_of
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.ops.instance.collapse_intervals import CollapseSeen

T = TypeVar("T")


def collapses_of(run: Path) -> list[CollapseSeen]:
    """The internal collapses that a run filed, with the wall-clock time of detection where its manifest has it.

    Of a run that was cut off the manifest says nothing yet (it may be torn), and a torn last line is no event.

    Raises:
        EvidenceError: when a whole line is no collapse event, or the manifest is none.
        HostError: when a file cannot be read.
    """
    cut_off = (run / Artifact.INTERRUPTED).exists()
    detected = {} if cut_off else _parsed(run, Artifact.MANIFEST, _detection_times) or {}
    place = run / Artifact.COLLAPSES
    data = read_if_there(place, at_most=LARGE) or b""
    with _named(place):
        return [_seen(line, detected) for line in data.splitlines(keepends=True) if _whole(line)]


def ticks_of(run: Path) -> Mapping[int, int] | None:
    """Ticks that each experiment of a run lived, by experiment; None for a run that has no summary.

    Raises:
        EvidenceError: when the summary is not one.
        HostError: when it cannot be read.
    """
    return _parsed(run, Artifact.SUMMARY, _ticks)


def strata_of_run(run: Path) -> Mapping[int, str] | None:
    """The stratum of each experiment of a run, by experiment; None for a run that has no whole manifest.

    Raises:
        EvidenceError: when the manifest is not one.
        HostError: when it cannot be read.
    """
    if (run / Artifact.INTERRUPTED).exists():
        return None
    found = _parsed(run, Artifact.MANIFEST, strata_of)
    return None if found is None else dict(enumerate(found))


def _parsed(run: Path, artifact: Artifact, parse: Callable[[dict[str, Any]], T]) -> T | None:
    found = artifact_of(run, artifact)
    with _named(run / artifact):
        return None if found is None else parse(found)


@contextmanager
def _named(place: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceError(f"{place}: not what its name says: {error}", hint="verify the run's directory") from error


def _detection_times(manifest: dict[str, Any]) -> dict[int, datetime]:
    rows: list[dict[str, Any]] = manifest["internal_collapses"]
    return {int(row["experiment"]): datetime.fromisoformat(row["detected_at"]) for row in rows}


def _seen(line: bytes, detected: Mapping[int, datetime]) -> CollapseSeen:
    event = strict_loads(line)
    experiment = int(event["experiment"])
    return CollapseSeen(experiment, str(event["reason"]), int(event["tick"]), detected.get(experiment))


def _whole(line: bytes) -> bool:
    return line.endswith(b"\n") and bool(line.strip(b"\0\n"))


def _ticks(summary: dict[str, Any]) -> dict[int, int]:
    rows: list[dict[str, Any]] = summary["all_stats"]
    return {int(row["experiment"]): int(row["ticks"]) for row in rows}
