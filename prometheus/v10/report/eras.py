"""The eras of an instance, read from its sealed runs: what each experiment of each line returned.

1. One completed, sealed stage-1 run whose manifest has ``era`` and ``lines`` is one era. A run without them is none.
2. A line says whence the founders came, and on what bars they lived (`Line`). ``lines`` has one for each experiment.
3. An experiment that collapsed counts with what it returned; one that a stop cut does not count.
4. What does not count is said with its reason: a run that has not ended, was interrupted, failed, is not sealed yet,
   cannot be read, or repeats the number of an era that is there already.

Nothing is verified here beyond what the figures need (`prometheus-quant verify` does that), and nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field, frozen

from prometheus.v10.base.errors import EvidenceError, PrometheusError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import RunPlace, artifact_of, manifest_of, runs
from prometheus.v10.evidence.pools.descent import Line

COMPLETED, RUNNING = "completed", "running"
NOT_ENDED = "has not ended"
NOT_SEALED = "is not sealed yet"
REPEATED = "repeats an era that is there already"
UNREADABLE = "cannot be read"


@frozen
class Era:
    """One era: its number, its run, and the ``system_roi`` (a fraction, above -1) of every experiment of each line."""

    number: int
    run_id: str
    returns: Mapping[Line, tuple[float, ...]]


@frozen
class LeftOut:
    """A run that counts for nothing; ``era`` is its number, as far as it is known."""

    run_id: str
    era: int | None
    why: str


@define
class History:
    """What the runs of one instance are: eras by their number, what does not count, and how many are no eras."""

    instance: str
    found: dict[int, Era] = field(factory=dict)
    left_out: list[LeftOut] = field(factory=list)
    without: int = 0

    @property
    def eras(self) -> list[Era]:
        """The eras in the order of their numbers."""
        return [self.found[number] for number in sorted(self.found)]

    def take(self, place: RunPlace, manifest: Mapping[str, Any]) -> None:
        """Add a run that began after all that were taken before; whatever is wrong with it is kept as a reason."""
        if manifest.get("era") is None:
            self.without += 1
            return
        number = None
        try:
            number = era_number(manifest)
            why = self._unfit(place, manifest, number)
            if why is None:
                returns = era_results(manifest, artifact_of(place.path, Artifact.SUMMARY))
                self.found[number] = Era(number, place.run_id, returns)
        except PrometheusError as error:
            why = f"{UNREADABLE}: {error}"
        if why is not None:
            self.left_out.append(LeftOut(place.run_id, number, why))

    def _unfit(self, place: RunPlace, manifest: Mapping[str, Any], number: int) -> str | None:
        """Why a run does not count, before its summary is read; None where it does."""
        status = manifest.get("status")
        if status == RUNNING:
            return NOT_ENDED
        if status != COMPLETED:
            return f"ended as {status}"
        if not (place.path / Artifact.SHA256SUMS).is_file():
            return NOT_SEALED
        return REPEATED if number in self.found else None


@frozen
class Histories:
    """Every instance that has a run, by name; ``unknown`` are runs that do not say whose they are."""

    by_instance: dict[str, History]
    unknown: list[LeftOut]


def read_histories(layout: Layout) -> Histories:
    """Read every run of an installation; a run that cannot be read is left out and said.

    Raises:
        HostError: when the directory of runs cannot be listed.
    """
    found = Histories({}, [])
    for place, name, manifest in runs_of_instances(layout, found.unknown):
        found.by_instance.setdefault(name, History(name)).take(place, manifest)
    return found


def runs_of_instances(
    layout: Layout, unknown: list[LeftOut], *further: Tier
) -> Iterator[tuple[RunPlace, str, dict[str, Any]]]:
    """Every Tier-1 run with its instance and its manifest, in the order in which they were begun.

    Args:
        layout: of the installation.
        unknown: gets the runs that do not say whose they are.
        further: tiers whose runs are wanted as well.

    Raises:
        HostError: when the directory of runs cannot be listed.
    """
    for place in reversed(list(runs(layout, Tier.TIER1_HF, *further))):  # the oldest first
        try:
            manifest = manifest_of(place.path)
            name = None if manifest is None else manifest.get("instance")
            if manifest is None or not isinstance(name, str):
                raise EvidenceError("there is no manifest" if manifest is None else "its manifest names no instance")
        except PrometheusError as error:
            unknown.append(LeftOut(place.run_id, None, f"{UNREADABLE}: {error}"))
        else:
            yield place, name, manifest


def era_number(manifest: Mapping[str, Any]) -> int:
    """The number of the era that a manifest names.

    Raises:
        EvidenceError: when it is none.
    """
    era = manifest["era"]
    number = era.get("number") if isinstance(era, Mapping) else None
    if type(number) is not int or number < 0:
        raise EvidenceError("its manifest has an era without a number")
    return number


def era_results(manifest: Mapping[str, Any], summary: Mapping[str, Any] | None) -> dict[Line, tuple[float, ...]]:
    """What every experiment that came to its end returned, by line.

    Args:
        manifest: of the run, as plain values; it has ``lines``.
        summary: of the same run.

    Raises:
        EvidenceError: when they do not fit each other, or are not what they should be.
    """
    lines = experiment_lines(manifest)
    rows = experiment_rows(summary, len(lines), "its lines")
    found: dict[Line, list[float]] = {}
    for line, row in zip(lines, rows, strict=True):
        roi, completed = row.get("system_roi"), row.get("completed")
        if not isinstance(roi, float) or not math.isfinite(roi) or not isinstance(completed, bool):
            raise EvidenceError("an experiment of its summary has no return")
        if completed:
            found.setdefault(line, []).append(roi)
    return {line: tuple(values) for line, values in found.items()}


def experiment_lines(manifest: Mapping[str, Any]) -> list[Line]:
    """The line of each experiment of a run that is an era.

    Raises:
        EvidenceError: when the manifest does not name them.
    """
    lines = manifest.get("lines")
    if not isinstance(lines, list) or not all(isinstance(line, str) and line in set(Line) for line in lines):
        raise EvidenceError(f"its lines are not all of {', '.join(Line)}")
    return [Line(line) for line in lines]


def experiment_rows(summary: Mapping[str, Any] | None, count: int, named: str) -> list[Mapping[str, Any]]:
    """The summary's row of each of ``count`` experiments, in order; ``named`` says what names so many.

    Raises:
        EvidenceError: when the summary has others, or none.
    """
    rows = None if summary is None else summary.get("all_stats")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise EvidenceError("its summary has no experiments")
    if [row.get("experiment") for row in rows] != [*range(count)]:
        raise EvidenceError(f"its summary does not have the {count} experiments that {named} name")
    return rows
