"""Ancestors: records of earlier eras in an immutable prefix of a pool, or in a snapshot, of one instance's lines.

The pool is append-only and hash-chained, so a number of records and the hash of the last one name a prefix for ever;
the chain is checked on the way. A process goes on reading where it stopped before.
"""

from __future__ import annotations

import binascii
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from attrs import Factory, define, frozen
from numpy.typing import NDArray

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.evidence.chains.chain import Lines, Link, after
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import open_for_reading
from prometheus.v10.evidence.pools.descent import LINES
from prometheus.v10.evidence.pools.exposure import Exposure, union

_ERA = re.compile(rb'"lineage":\{"era":(\d{1,18}),')


@frozen(eq=False)
class Ancestor:
    """A genome, and how it lived in one era.

    Attributes:
        n: number of its record.
        genome: float32 (342,).
        roi: over its whole life.
        ticks: at most so many ticks it lived: from its birth to the end of the window, or to its death.
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
    ticks: int
    exposure: Exposure


Ancestry = dict[str, list[Ancestor]]
"""Ancestors by line, each list in the order of the records."""


@define
class _Reading:
    """How far a process has read, and the records of eras from ``first`` on that it met."""

    first: int
    size: int = 0
    link: Link = Factory(Link)
    records: dict[int, list[tuple[int, dict[str, Any]]]] = Factory(dict)  # by era


_readings: dict[tuple[Path, str], _Reading] = {}


def ancestors(path: Path, prefix: Link, *, instance: str, era: int, eras: int) -> Ancestry:
    """The ancestors of era ``era``: of each line the records of the ``eras`` eras before it.

    An era that was cut off was done again, with the same founders and seeds; its genomes count once.

    Args:
        path: a pool or a snapshot.
        prefix: how many of its records count, and the hash of the last of them.
        instance: whose eras they are.
        era: number of the era that is to be founded.
        eras: how many eras back.

    Raises:
        EvidenceError: when the file does not begin with this prefix: it is gone, shorter, or another.
        HostError: when it cannot be read.
    """
    key = path.absolute(), instance
    reading = _readings.get(key)
    if reading is None or reading.link.n > prefix.n or reading.first > era - eras:
        reading = _readings[key] = _Reading(era - eras)
    if reading.link.n < prefix.n:
        _read_on(path, reading, prefix, instance=instance, era=era, eras=eras)
    if reading.link != prefix:
        _readings.pop(key, None)
        raise EvidenceError(
            f"{path}: record {prefix.n - 1} does not have the hash {prefix.prev[:16]} that the founding names",
            hint="the pool is another one, or was rewritten: prometheus-quant audit",
        )
    found: Ancestry = {line: [] for line in LINES}
    seen: set[tuple[str, int, int, int]] = set()
    for number in range(max(0, era - eras), era):
        for n, record in reading.records.get(number, ()):
            lineage, source = record["source"]["lineage"], record["source"]
            once = lineage["line"], number, source["experiment"], source["genome_index"]
            if once not in seen:
                seen.add(once)
                found[lineage["line"]].append(ancestor_of(n, record))
    return found


def _read_on(path: Path, reading: _Reading, prefix: Link, *, instance: str, era: int, eras: int) -> None:
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
            if found is not None and (number := int(found[1])) >= era - eras:  # those of a later one are needed later
                reading.records.setdefault(number, []).append((reading.link.n, json.loads(line)))
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
    reading.first = era - eras
    for number in [one for one in reading.records if one < reading.first]:
        del reading.records[number]


def ancestor_of(n: int, record: dict[str, Any]) -> Ancestor:
    """Record ``n`` of a pool as founding looks at it; a record of version 2, as plain values."""
    metrics, source = record["metrics_summary"], record["source"]
    died = metrics["death_tick"]
    end = source["window"]["len"] - 1 if died is None else died
    return Ancestor(
        id=record["id"],
        n=n,
        sha256=record["genome_sha256"],
        genome=np.frombuffer(binascii.a2b_base64(record["genome_vector_342"]), dtype="<f4").astype(np.float32),
        era=source["lineage"]["era"],
        experiment=source["experiment"],
        genome_index=source["genome_index"],
        roi=float(metrics["roi_lifetime"]),
        trades=int(metrics["trades"]),
        wins=int(metrics["wins"]),
        ticks=max(end - max(metrics["birth_tick"], 0) + 1, 1),
        exposure=union(source["lineage"]["exposure"]),
    )
