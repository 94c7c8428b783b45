"""Ancestors: records of earlier eras in an immutable prefix of a pool, or in a snapshot, of one instance's lines.

The pool is append-only and hash-chained, so a number of records and the hash of the last one name a prefix for ever;
the chain is checked on the way. A process goes on reading where it stopped before, in a later snapshot as well.

An ancestor of stage 1 is known by a life in its era, one of stage 2 by its verdict (ADR 0086). Of the verdicts those
count that were given under the evaluation of the newest one: others were given on other bars, or by other rules.
"""

from __future__ import annotations

import binascii
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import Factory, define, frozen
from numpy.typing import NDArray

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.modes import Stage
from prometheus.v10.evidence.chains.chain import Lines, Link, after
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import open_for_reading
from prometheus.v10.evidence.derive.typed import table
from prometheus.v10.evidence.pools.descent import LINES
from prometheus.v10.evidence.pools.exposure import Exposure, union

_ERA = re.compile(rb'"lineage":\{"era":(\d{1,18}),')


Case = int | str
"""The number of an era, or the name of a cell of verdicts."""


@frozen(eq=False)
class Ancestor:
    """A genome, and how it lived in one era, or was judged after it.

    Attributes:
        n: number of its record.
        genome: float32 (342,).
        roi: over its whole life; of a verdict, the median over its experiments.
        span: what trades are held against: at most so many ticks it lived, from its birth to the end of the window or
            to its death; of a verdict, its experiments.
        cases: returns that can be compared between ancestors: of its era; of a verdict, of each of its cells.
        exposure: what it and its ancestors have lived through, what it was judged on included.
    """

    id: str
    n: int
    sha256: str
    genome: NDArray[np.float32]
    era: int
    experiment: int
    genome_index: int
    roi: float
    trades: int
    wins: int
    span: int
    cases: Mapping[Case, float]
    exposure: Exposure


Ancestry = dict[str, list[Ancestor]]
"""Ancestors by line, each list in the order of the records."""


Records = dict[int, list[tuple[int, dict[str, Any]]]]
"""Records by era, each with its number."""


@define
class _Reading:
    """How far a process has read, and what it met: records of eras from ``first`` on, by evaluation ("" in stage 1)."""

    first: int
    size: int = 0
    link: Link = Factory(Link)
    met: dict[str, Records] = Factory(dict)


_readings: dict[tuple[Path, str, int | None], _Reading] = {}


def ancestors(path: Path, prefix: Link, *, stage: Stage, instance: str, era: int, eras: int) -> Ancestry:
    """The ancestors of era ``era``, by line.

    Of stage 1 they are the records of the ``eras`` eras before it; of stage 2 the verdicts on the newest ``eras`` eras
    that were judged. An era that was cut off was done again, with the same founders and seeds; its genomes count once.

    Args:
        path: a pool or a snapshot of it.
        prefix: how many of its records count, and the hash of the last of them.
        stage: whose pool.
        instance: whose eras they are.
        era: number of the era that is to be founded.
        eras: how many eras back.

    Raises:
        EvidenceError: when the file does not begin with this prefix: it is gone, shorter, or another.
        HostError: when it cannot be read.
    """
    judged = stage is Stage.STAGE2
    first = 0 if judged else era - eras
    key = path.absolute().parent, instance, eras if judged else None
    reading = _readings.get(key)
    if reading is None or reading.link.n > prefix.n or reading.first > first:
        reading = _readings[key] = _Reading(first)
    if reading.link.n < prefix.n:
        _read_on(path, reading, prefix, instance=instance, first=first, most=eras if judged else None)
    if reading.link != prefix:
        _readings.pop(key, None)
        raise EvidenceError(
            f"{path}: record {prefix.n - 1} does not have the hash {prefix.prev[:16]} that the founding names",
            hint="the pool is another one, or was rewritten: prometheus-quant audit",
        )
    found: Ancestry = {line: [] for line in LINES}
    seen: set[tuple[str, int, int, int]] = set()
    records = _newest(reading.met)
    before = sorted(number for number in records if number < era)
    for number in before[-eras:] if judged else [one for one in before if one >= first]:
        for n, record in records[number]:
            place = _place(record)
            line = place["lineage"]["line"]
            once = line, number, place["experiment"], place["genome_index"]
            if once not in seen:
                seen.add(once)
                found[line].append(judged_ancestor(n, record) if judged else ancestor_of(n, record))
    return found


def _newest(met: Mapping[str, Records]) -> Records:
    """The records of the evaluation of which the newest is."""
    return max(met.values(), key=lambda records: max(found[-1][0] for found in records.values()), default={})


def _place(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a genome lived: what a verdict says of its origin, else what the record says of its source."""
    found: Mapping[str, Any] = record["metrics_summary"].get("origin") or record["source"]
    return found


def _read_on(path: Path, reading: _Reading, prefix: Link, *, instance: str, first: int, most: int | None) -> None:
    """Read up to the prefix's end; ``most`` bounds how many eras of an evaluation are kept, the newest."""
    mine = b'"instance":%b,' % json.dumps(instance).encode("ascii")
    try:
        fd = open_for_reading(path)
    except FileNotFoundError as error:
        raise host_error(error, f"cannot read {path}") from error
    try:
        lines = Lines(fd, start=reading.size)
        for line in lines:
            if not POOL_LINE.links(line, reading.link):
                what = POOL_LINE.problem(line, reading.link)
                if what is not None:
                    raise EvidenceError(f"{path}: damaged at byte {lines.offset}: {what}", hint="verify the pool")
            found = _ERA.search(line) if mine in line else None
            if found is not None and (number := int(found[1])) >= first:  # those of a later one are needed later
                record = json.loads(line)
                evaluation = table(record["metrics_summary"].get("verdict")).get("evaluation", "")
                records = reading.met.setdefault(evaluation, {})
                records.setdefault(number, []).append((reading.link.n, record))
                if most is not None and len(records) > most:
                    del records[min(records)]
            reading.link, reading.size = after(line, reading.link.n), lines.end
            if reading.link.n == prefix.n:
                break
        else:
            raise EvidenceError(
                f"{path} holds {reading.link.n} records, and the founding names {prefix.n}: records are missing",
                hint="restore the pool; prometheus-quant audit says what is gone",
            )
    finally:
        os.close(fd)
    reading.first = first
    for records in reading.met.values():
        for number in [one for one in records if one < first]:
            del records[number]
    reading.met = {evaluation: records for evaluation, records in reading.met.items() if records}


def ancestor_of(n: int, record: dict[str, Any]) -> Ancestor:
    """Record ``n`` of stage 1's pool as founding looks at it; a record of version 2, as plain values."""
    metrics, source = record["metrics_summary"], record["source"]
    died, roi = metrics["death_tick"], float(metrics["roi_lifetime"])
    end = source["window"]["len"] - 1 if died is None else died
    span = max(end - max(metrics["birth_tick"], 0) + 1, 1)
    return _ancestor(n, record, roi, span, {source["lineage"]["era"]: roi})


def judged_ancestor(n: int, record: dict[str, Any]) -> Ancestor:
    """Record ``n`` of stage 2's pool, a verdict on a genome of an era, as founding looks at it."""
    metrics = record["metrics_summary"]
    cells = {name: float(cell["roi"]) for name, cell in metrics["verdict"]["cells"].items()}
    return _ancestor(n, record, float(metrics["roi_lifetime"]), int(metrics["experiments"]), cells)


def _ancestor(n: int, record: dict[str, Any], roi: float, span: int, cases: Mapping[Case, float]) -> Ancestor:
    metrics, place = record["metrics_summary"], _place(record)
    return Ancestor(
        id=record["id"],
        n=n,
        sha256=record["genome_sha256"],
        genome=np.frombuffer(binascii.a2b_base64(record["genome_vector_342"]), dtype="<f4").astype(np.float32),
        era=place["lineage"]["era"],
        experiment=place["experiment"],
        genome_index=place["genome_index"],
        roi=roi,
        trades=int(metrics["trades"]),
        wins=int(metrics["wins"]),
        span=span,
        cases=cases,
        exposure=union(place["lineage"]["exposure"]),
    )
