"""Whether an index says what the files say: the rows of a sample of runs and records, made again and compared."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from typing import TypeVar

from attrs import frozen

from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import runs
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.index.index_build import read_line
from prometheus.v10.index.index_file import reading
from prometheus.v10.index.index_pools import row_of
from prometheus.v10.index.index_read import pool_file
from prometheus.v10.index.index_rows import RUNNING, Told, rows_of
from prometheus.v10.index.index_tables import LEDGER, OF_A_RUN, POOL_RECORDS, RUNS

Drawn = TypeVar("Drawn")
LEAST = 20
"""Runs and records that are looked at, however small the share is."""


@frozen
class Checked:
    """What a check found: how much was compared, what differs, and runs that only the disk has."""

    runs: int
    records: int
    differing: list[str]
    unknown: list[str]


def check(layout: Layout, *, share: float, seed: int) -> Checked | None:
    """Compare a sample with the files; None where there is no index.

    Args:
        layout: of the installation.
        share: of runs and records, from 0 to 1; at least `LEAST` of each.
        seed: of the draw.
    """
    draw = random.Random(seed)
    with reading(layout) as db:
        if db is None:
            return None
        names = [name for (name,) in db.execute(f"SELECT run_id FROM {RUNS.name} WHERE status != ?", (RUNNING,))]
        chosen = _sample(draw, names, share)
        differing = [what for name in chosen for what in _run_differs(layout, db, name)]
        known = {name for (name,) in db.execute(f"SELECT run_id FROM {RUNS.name}")}
        told = {str(run.run_id) for run in runs(layout)}
        unknown = sorted(told - known)
    records = 0
    for stage in Stage:
        with reading(layout, pool_file(stage)) as db:
            if db is None:
                continue
            (count,) = db.execute(f"SELECT count(*) FROM {POOL_RECORDS.name}").fetchone()
            numbers = _sample(draw, range(count), share)
            records += len(numbers)
            differing += [what for n in numbers for what in _record_differs(layout, stage, db, n)]
    return Checked(len(chosen), records, differing, unknown)


def _sample(draw: random.Random, of: Sequence[Drawn], share: float) -> list[Drawn]:
    return draw.sample(list(of), min(len(of), max(LEAST, round(len(of) * share))))


def _run_differs(layout: Layout, db: sqlite3.Connection, run_id: str) -> Iterator[str]:
    places = db.execute(f"SELECT byte_offset, bytes FROM {LEDGER.name} WHERE run_id = ? ORDER BY n", (run_id,))
    lines = [read_line(layout.ledger, at, at + size) for at, size in places]
    told = Told.of(run_id, [strict_loads(line) for line in lines if line is not None])
    made, _ = rows_of(layout, told)
    for table in (RUNS, *OF_A_RUN):
        order = ", ".join(table.key)
        there = db.execute(f"SELECT * FROM {table.name} WHERE run_id = ? ORDER BY {order}", (run_id,)).fetchall()
        if sorted(made.get(table.name, []), key=repr) != sorted(there, key=repr):
            yield f"{run_id}: {table.name}"


def _record_differs(layout: Layout, stage: Stage, db: sqlite3.Connection, n: int) -> Iterator[str]:
    there = db.execute(f"SELECT * FROM {POOL_RECORDS.name} WHERE n = ?", (n,)).fetchone()
    line = None if there is None else _line_at(layout, stage, there[-1])
    if line is None or row_of(line, there[-1]) != there:
        yield f"{stage.value} record {n}"


def _line_at(layout: Layout, stage: Stage, at: int) -> bytes | None:
    try:
        with layout.pool(stage).open("rb") as file:
            file.seek(at)
            return file.readline() or None
    except OSError:
        return None
