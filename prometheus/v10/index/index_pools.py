"""The records of a pool as rows: figures and places, without the genomes; what is new is appended.

The chain is followed line by line from where the last reading ended. A pool that was replaced is read anew.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.evidence.chains.chain import START, Lines, Link, after
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import open_for_reading
from prometheus.v10.index.index_file import changing, create, meta, opened_to_write, publish
from prometheus.v10.index.index_tables import META, POOL_RECORDS, POOL_TABLES

BATCH = 5000
"""Rows that are handed to SQLite at once."""


@frozen
class PoolDone:
    """What was done for a pool: records in the index, and how many of them are new."""

    records: int
    new: int


def build_pool(pool: Path, place: Path, *, anew: bool = False) -> PoolDone:
    """Bring the rows of one pool up to its file; nothing is made where there is no pool and was none.

    Raises:
        EvidenceError: at a line that does not follow the one before.
        HostError: when the pool cannot be read.
    """
    known = None if anew else opened_to_write(place)
    if known is not None:
        with closing(known), changing(place.parent):
            said = meta(known)
            if _goes_on(pool, said):
                known.execute("BEGIN IMMEDIATE")
                done = _append(known, pool, said)
                known.execute("COMMIT")
                return done
    if not pool.is_file():
        place.unlink(missing_ok=True)
        return PoolDone(0, 0)
    aside = place.with_name(f".{place.name}.new")
    with closing(create(aside, POOL_TABLES)) as made:
        done = _append(made, pool, meta(made))
        for statement in POOL_RECORDS.create_indexes():
            made.execute(statement)
        made.execute("COMMIT")
    publish(aside, place)
    return done


def _goes_on(pool: Path, said: dict[str, str]) -> bool:
    """Whether the last line that was read still lies where it lay."""
    count, start, end = int(said.get("n", "0")), int(said.get("last", "0")), int(said.get("bytes", "0"))
    if count == 0:
        return True
    try:
        with pool.open("rb") as file:
            file.seek(start)
            line = file.read(end - start)
    except OSError:
        return False
    return len(line) == end - start and after(line, count - 1) == Link(count, said.get("hash", ""))


def _append(db: sqlite3.Connection, pool: Path, said: dict[str, str]) -> PoolDone:
    link = Link(int(said.get("n", "0")), said.get("hash", START.prev))
    before, end, last = link.n, int(said.get("bytes", "0")), int(said.get("last", "0"))
    insert = POOL_RECORDS.insert()
    rows: list[tuple[Any, ...]] = []
    for at, line in _linked(pool, end, link):
        rows.append(row_of(line, at))
        link, end, last = after(line, link.n), at + len(line), at
        if len(rows) >= BATCH:
            db.executemany(insert, rows)
            rows.clear()
    db.executemany(insert, rows)
    db.executemany(META.insert(), [("n", str(link.n)), ("hash", link.prev), ("bytes", str(end)), ("last", str(last))])
    return PoolDone(link.n, link.n - before)


def _linked(pool: Path, start: int, link: Link) -> Iterator[tuple[int, bytes]]:
    if not os.path.lexists(pool):
        return
    fd = open_for_reading(pool)
    try:
        lines = Lines(fd, start=start)
        for line in lines:
            if not POOL_LINE.links(line, link):
                what = POOL_LINE.problem(line, link) or "it does not follow the line before"
                raise EvidenceError(
                    f"{pool}: damaged at byte {lines.offset} (line {link.n + 1}): {what}",
                    hint="verify the file; restore it from a snapshot or a copy",
                )
            yield lines.offset, line
            link = after(line, link.n)
    except OSError as error:
        raise host_error(error, f"cannot read {pool}") from error
    finally:
        os.close(fd)


def row_of(line: bytes, at: int) -> tuple[Any, ...]:
    """One record as a row; ``at`` is where its line begins."""
    record = json.loads(line)
    source, metrics = record["source"], record["metrics_summary"]
    verdict, lineage = metrics.get("verdict"), source.get("lineage")
    survived = metrics.get("survived")
    return (
        record["n"], bytes.fromhex(record["id"].replace("-", "")), bytes.fromhex(record["genome_sha256"]),
        source["run_id"], source["experiment"], source["genome_index"], source["seed"], source["arm"],
        metrics.get("roi_lifetime"), None if survived is None else int(survived), metrics.get("death_reason"),
        metrics.get("trades"), metrics.get("wins"), metrics.get("final_capital"),
        "+".join(verdict["labels"]) or "none" if isinstance(verdict, dict) else None,
        lineage.get("line") if isinstance(lineage, dict) else None, at,
    )  # fmt: skip
