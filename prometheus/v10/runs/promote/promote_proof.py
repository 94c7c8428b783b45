"""The proof of a promotion: the replay gave what the source run filed and what the pool says of the genome.

Five kinds are promised of every promotion: deaths, births and the summary's row, each in full; and, where a pool record
is promoted, the genome and the life that the record tells, the figures by which it was chosen among them. A kind that
could not be compared stands under ``missing`` with the reason, and nothing is proven then. What retention compressed is
read from its compressed form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from attrs import field, frozen

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.names import Artifact
from prometheus.v10.core import lifecycle
from prometheus.v10.core.records import Result
from prometheus.v10.evidence.chains.absences import open_evidence
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.codec import to_plain
from prometheus.v10.evidence.records.events import agent_id
from prometheus.v10.runs.harvest import Harvest

OTHER_RUN = ("run_id", "experiment")
"""What must differ between an event and its replay: the run, and its number within it."""
DEATHS, BIRTHS, SUMMARY, GENOME, LIFE = "deaths", "births", "summary", "genome", "life"
MOST_DIFFERENCES = 20
NO_METRICS = "the record is a verdict of stage 2, which does not tell the genome's own life"


@frozen(kw_only=True)
class Proof:
    """What was compared.

    Attributes:
        same: every promised kind was compared, and nothing differs.
        genome: whether a pool record was there to compare a genome with.
        deaths: death events compared, line by line; -1 where the source run's could not be read.
        differences: what differs, in words.
        compared: by kind, how many figures or lines were compared; a stream's number of lines counts as one.
        missing: by kind, why what was promised could not be compared.
        not_promised: by kind, why it is no part of this proof.
    """

    same: bool
    genome: bool
    deaths: int
    differences: tuple[str, ...]
    compared: dict[str, int] = field(factory=dict)
    missing: dict[str, str] = field(factory=dict)
    not_promised: dict[str, str] = field(factory=dict)

    @property
    def why_not(self) -> str:
        """Why nothing is proven, in one line; empty where it is."""
        lacks = [f"{kind} could not be compared: {why}" for kind, why in self.missing.items()]
        return "; ".join([*self.differences[:3], *lacks])


def prove(
    source: Path, experiment: int, genome_index: int | None, record: dict[str, Any] | None, result: Result,
    harvested: Harvest,
) -> Proof:  # fmt: skip
    """Compare a replay with what its source run filed.

    Args:
        source: directory of the source run.
        experiment: its number there.
        genome_index: of the genome that was promoted.
        record: the pool's record of it; without ``metrics_summary`` the genome alone is compared.
        result: of the replay.
        harvested: what the replay's own run files of it.
    """
    work = _Comparison(source, experiment)
    work.events(DEATHS, Artifact.DEATHS, harvested.deaths)
    work.events(BIRTHS, Artifact.BIRTHS, harvested.births)
    work.summary(to_plain(harvested.stats))
    if record is None:
        work.not_promised = dict.fromkeys((GENOME, LIFE), "no pool record is promoted")
    elif genome_index is None:
        work.missing |= dict.fromkeys((GENOME, LIFE), "the request names a record and no genome_index")
    else:
        work.life(result, genome_index, record)
    deaths = work.compared[DEATHS] - 1 if DEATHS in work.compared else -1
    return Proof(
        same=not work.differences and not work.missing,
        genome=record is not None,
        deaths=deaths,
        differences=tuple(work.differences[:MOST_DIFFERENCES]),
        compared=work.compared,
        missing=work.missing,
        not_promised=work.not_promised,
    )


class _Comparison:
    """What was compared so far, and what came of it."""

    def __init__(self, source: Path, experiment: int) -> None:
        self._source, self._experiment = source, experiment
        self.differences: list[str] = []
        self.compared: dict[str, int] = {}
        self.missing: dict[str, str] = {}
        self.not_promised: dict[str, str] = {}

    def events(self, kind: str, artifact: Artifact, lines: bytes) -> None:
        """One stream of events of the experiment, line by line."""
        found = [strict_loads(line) for line in lines.splitlines()]
        marked = f'"experiment":{self._experiment},'.encode()
        try:
            with open_evidence(self._source / artifact) as file:
                filed = [event for line in _lines(file) if marked in line and self._own(event := strict_loads(line))]
        except (PrometheusError, OSError, ValueError) as error:
            gone = isinstance(error.__cause__, FileNotFoundError)
            self.missing[kind] = f"{artifact} of the source run " + (
                "is gone" if gone else f"could not be read: {error}"
            )
            return
        self.compared[kind] = len(found) + 1
        self.differences += _events(kind, filed, found, self._experiment)

    def summary(self, row: dict[str, Any]) -> None:
        """The experiment's row of the summary, figure by figure."""
        try:
            with open_evidence(self._source / Artifact.SUMMARY) as file:
                summary = strict_loads(file.read())
            rows = summary["all_stats"]
            filed = next(one for one in rows if self._own(one))
        except (PrometheusError, OSError, ValueError, LookupError, TypeError, StopIteration) as error:
            self.missing[SUMMARY] = f"the source run's row could not be read: {error or 'it has none'}"
            return
        names = sorted((filed.keys() | row.keys()) - {"experiment"})
        self.compared[SUMMARY] = len(names)
        self.differences += [
            f"summary: {name} was {filed.get(name)!r}, is {row.get(name)!r}"
            for name in names
            if filed.get(name) != row.get(name)
        ]

    def life(self, result: Result, i: int, record: dict[str, Any]) -> None:
        """The genome, and the life that its record tells."""
        said = record.get("metrics_summary")
        if not 0 <= i < len(result.lives.parent):
            self.compared[GENOME] = 1
            self.differences.append(f"nobody with genome_index {i} ever lived in the replay")
            self.missing[LIFE] = "there is no such life"
            return
        digest = hashlib.sha256(result.lives.genomes[i].astype("<f4").tobytes()).hexdigest()
        self.compared[GENOME] = 1
        if digest != record.get("genome_sha256"):
            self.differences.append(f"genome: the pool says {record.get('genome_sha256')}, the replay {digest}")
        if said is None:
            self.not_promised[LIFE] = NO_METRICS
            return
        found = figures(result, i)
        self.compared[LIFE] = len(found)
        self.differences += [
            f"{name}: the pool says {said.get(name)!r}, the replay {value!r}"
            for name, value in found.items()
            if name not in said or said[name] != value
        ]

    def _own(self, record: dict[str, Any]) -> bool:
        return bool(record["experiment"] == self._experiment)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines of a stream that can only be read (a decompressor has no lines of its own)."""
    rest = b""
    while block := file.read(1 << 20):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest


def figures(result: Result, i: int) -> dict[str, Any]:
    """The life of one genome as a pool record tells it, the figures by which genomes are chosen among them."""
    lives = result.lives
    died = int(lives.death_tick[i]) >= 0
    fees, funding, slippage = lives.costs[i].tolist()
    initial, final = float(lives.initial_capital[i]), float(lives.final_capital[i])
    return {
        "survived": not died,
        "death_tick": int(lives.death_tick[i]) if died else None,
        "death_reason": lifecycle.REASONS[lives.reason[i]] if died else None,
        "birth_tick": int(lives.birth_tick[i]),
        "initial_capital": initial,
        "final_capital": final,
        "roi_lifetime": final / initial - 1.0,
        "trades": int(lives.trades[i]),
        "wins": int(lives.wins[i]),
        "costs": {"fees": fees, "funding": funding, "slippage": slippage},
    }


def _events(kind: str, filed: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]], experiment: int) -> list[str]:
    if len(filed) != len(found):
        return [f"{kind}: the source run filed {len(filed)}, the replay has {len(found)}"]
    for number, (one, other) in enumerate(zip(filed, found, strict=True), start=1):
        before, after = _moved(one, experiment), _moved(other, 0)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                return [f"{kind}, event {number}: {name} was {before.get(name)!r}, is {after.get(name)!r}"]
    return []


def _moved(event: dict[str, Any], experiment: int) -> dict[str, Any]:
    """An event without the names of its run: agents by number only."""
    prefix = agent_id(experiment, 0).split("a", maxsplit=1)[0]
    return {
        name: value.removeprefix(prefix) if name.endswith("_id") and isinstance(value, str) else value
        for name, value in event.items()
        if name not in OTHER_RUN
    }
