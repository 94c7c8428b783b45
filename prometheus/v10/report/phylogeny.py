"""Who descends from whom in a run, in the ALife data standard for phylogenies: a CSV file, one row an agent.

``id`` is a number from 0 on over all rows, parents before their children. ``ancestor_list`` is ``[none]`` for a founder
and ``[id]`` for who was born. ``origin_time`` is the tick of birth, 0 for a founder; ``destruction_time`` is the tick
of death, ``none`` for who lives at the end. The columns behind them are ours.
https://alife-data-standards.github.io/alife-data-standards/phylogeny.html
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.catalog import artifact_of
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.report.run_events import event_lines

COLUMNS = (
    "id", "ancestor_list", "origin_time", "destruction_time", "experiment", "agent_id", "founder_id", "death_reason",
    "roi_lifetime", "trades", "genome_sha256",
)  # fmt: skip
NONE = "none"
MOST = 1 << 31
"""Ids of the standard are below it."""


@frozen
class Agent:
    """Where an agent of an experiment comes from and what became of it; None where the run does not say."""

    experiment: int
    index: int
    parent: int | None
    founder: int
    origin: int
    end: int | None = None
    reason: str | None = None
    roi: float | None = None
    trades: int | None = None
    genome: str | None = None

    @property
    def agent_id(self) -> str:
        """Its id in the events."""
        return agent_id(self.experiment, self.index)


def agent_id(experiment: int, index: int) -> str:
    """An agent's id in the events of a run."""
    return f"e{experiment:04d}a{index:06d}"


def phylogeny_csv(run: Path, experiment: int | None = None) -> tuple[bytes, int]:
    """A run's phylogeny, or that of one experiment; and how many agents it has.

    Raises:
        UsageError: when there is no run, or no such experiment.
        EvidenceError: when its files are not what their names say.
        HostError: when one cannot be read.
    """
    agents = list(read_agents(run, experiment))
    if len(agents) >= MOST:
        raise UsageError(f"{len(agents):,} agents: the standard has {MOST:,} ids", hint="name one experiment")
    ids = {(one.experiment, one.index): number for number, one in enumerate(agents)}
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, one in enumerate(agents):
        ancestor = NONE if one.parent is None else str(ids[one.experiment, one.parent])
        writer.writerow((
            number, f"[{ancestor}]", one.origin, NONE if one.end is None else one.end, one.experiment, one.agent_id,
            agent_id(one.experiment, one.founder), one.reason or NONE, "" if one.roi is None else repr(one.roi),
            "" if one.trades is None else one.trades, one.genome or "",
        ))  # fmt: skip
    return held.getvalue().encode("ascii"), len(agents)


def read_agents(run: Path, only: int | None = None) -> Iterator[Agent]:
    """Every agent of a run by experiment, in order of birth; errors as `phylogeny_csv`."""
    manifest = artifact_of(run, Artifact.MANIFEST)
    if manifest is None:
        raise UsageError(f"there is no run at {run}", hint="give a run's directory")
    try:
        births, deaths, living = (
            _by_experiment(run, artifact) for artifact in (Artifact.BIRTHS, Artifact.DEATHS, Artifact.SURVIVORS)
        )
        found = sorted(births.keys() | deaths.keys() | living.keys())
        if only is not None and only not in found:
            raise UsageError(f"{run.name} has no experiment {only}", hint=f"there are {len(found)}, from 0 on")
        for number in found if only is None else [only]:
            founders = _founders(run, manifest, number)
            yield from _agents(number, founders, births.get(number, []), deaths.get(number, []), living.get(number, []))
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise EvidenceError(f"{run}: an event is not what it must be: {error!r}", hint="verify the run") from error


def _founders(run: Path, manifest: Mapping[str, Any], number: int) -> int:
    """How many founders an experiment had: its row says it, else the world."""
    rows = (artifact_of(run, Artifact.SUMMARY) or {}).get("all_stats", [])
    said = [row["founders"] for row in rows if row["experiment"] == number]
    return int(said[0] if said else manifest["world"]["founders"])


def _by_experiment(run: Path, artifact: Artifact) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for line in event_lines(run, artifact):
        event = strict_loads(line)
        found.setdefault(event["experiment"], []).append(event)
    return found


def _agents(
    number: int, founders: int, births: Sequence[Mapping[str, Any]], deaths: Sequence[Mapping[str, Any]],
    living: Sequence[Mapping[str, Any]],
) -> Iterator[Agent]:  # fmt: skip
    """The agents of one experiment; births are in order, so each child's number follows the one before."""
    ends = {event["genome_index"]: event for event in (*deaths, *living)}
    genomes = {event["genome_index"]: event["genome_sha256"] for event in births}
    parents: dict[int, tuple[int | None, int, int]] = {index: (None, index, 0) for index in range(founders)}
    for event in births:
        mother = _index(event["parent_id"], number)
        parents[event["genome_index"]] = (mother, parents[mother][1], event["tick"])
    for index in sorted(parents):
        parent, founder, origin = parents[index]
        if parent is not None and parent >= index:
            raise ValueError(f"agent {index} is older than its parent {parent}")
        end = ends.get(index, {})
        yield Agent(
            experiment=number,
            index=index,
            parent=parent,
            founder=founder,
            origin=origin,
            end=end["tick"] if "death_reason" in end else None,
            reason=end.get("death_reason"),
            roi=end.get("roi_lifetime"),
            trades=end.get("trades"),
            genome=end.get("genome_sha256") or genomes.get(index),
        )


def _index(name: str, experiment: int) -> int:
    """The number in an agent's id of an experiment.

    Raises:
        ValueError: when it is none of that experiment.
    """
    found = int(name.rpartition("a")[2])
    if name != agent_id(experiment, found):
        raise ValueError(f"{name} is no agent of experiment {experiment}")
    return found
