"""From a run's own files to the instance's survival curve: which experiments collapsed, and how long each lived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.names import Artifact
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
    detected = {} if cut_off else _read(run / Artifact.MANIFEST, _detection_times) or {}
    place = run / Artifact.COLLAPSES
    found = _read(
        place, lambda data: [_seen(line, detected) for line in data.splitlines(keepends=True) if _whole(line)]
    )
    return found or []


def ticks_of(run: Path) -> Mapping[int, int] | None:
    """Ticks that each experiment of a run lived, by experiment; None for a run that has no summary.

    Raises:
        EvidenceError: when the summary is not one.
        HostError: when it cannot be read.
    """
    return _read(run / Artifact.SUMMARY, _ticks)


def _read(place: Path, parse: Callable[[bytes], T]) -> T | None:
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise host_error(error, f"cannot read {place}") from error
    try:
        return parse(data)
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceError(f"{place}: not what its name says: {error}", hint="verify the run's directory") from error


def _detection_times(data: bytes) -> dict[int, datetime]:
    rows: list[dict[str, Any]] = strict_loads(data)["internal_collapses"]
    return {int(row["experiment"]): datetime.fromisoformat(row["detected_at"]) for row in rows}


def _seen(line: bytes, detected: Mapping[int, datetime]) -> CollapseSeen:
    event = strict_loads(line)
    experiment = int(event["experiment"])
    return CollapseSeen(experiment, str(event["reason"]), int(event["tick"]), detected.get(experiment))


def _whole(line: bytes) -> bool:
    return line.endswith(b"\n") and bool(line.strip(b"\0\n"))


def _ticks(data: bytes) -> dict[int, int]:
    rows: list[dict[str, Any]] = strict_loads(data)["all_stats"]
    return {int(row["experiment"]): int(row["ticks"]) for row in rows}
