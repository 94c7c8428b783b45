"""``pool best`` and ``genome find``: answered by the index, or by reading the pool where there is none."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from prometheus.cli.names_of import SHORTEST, existing
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, StageOption
from prometheus.cli.report import Report, table
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.pools.reader import iter_lines
from prometheus.v10.index.index_pools import row_of
from prometheus.v10.index.index_read import (
    Answer,
    Wanted,
    best_records,
    find_records,
    known_name,
    record_of_row,
    wanted,
)
from prometheus.v10.index.index_tables import POOL_RECORDS

FIGURES = [name for name, kind in POOL_RECORDS.columns if kind in {"REAL", "INTEGER"} and name != "byte_offset"]
ONE_EACH = ("run_id", "line", "genome", "arm", "experiment", "seed")
COLUMNS = (
    "n",
    "id",
    "run",
    "experiment",
    "arm",
    "ROI",
    "survived",
    "trades",
    "wins",
    "final capital",
    "labels",
    "line",
)
OPTIONAL = ("labels", "wins", "final capital", "experiment", "line", "arm", "trades")
NO_INDEX = "no index: the whole pool was read; prometheus-quant index build makes one"


def _existing_pool(layout: Layout, stage: Stage) -> Path:
    pool = layout.pool(stage)
    if not pool.is_file():
        raise UsageError(f"there is no pool at {pool}", hint="do a run first, or give --root and --stage")
    return pool


def _read(pool: Path) -> Iterable[dict[str, Any]]:
    at = 0
    for line in iter_lines(pool):
        yield record_of_row(row_of(line, at))
        at += len(line)


def best(layout: Layout, stage: Stage, *, by: str, where: Sequence[Wanted], limit: int, one_each: str | None) -> Report:
    """The best records of a pool by a figure; errors as `iter_lines` where there is no index."""
    pool = _existing_pool(layout, stage)
    found = best_records(layout, stage, by=by, where=where, limit=limit, one_each=one_each)
    if found is None:
        fit = (row for row in _read(pool) if row[by] is not None and all(one.holds(row) for one in where))
        if one_each is None:
            rows = heapq.nlargest(limit, fit, key=lambda row: (row[by], row["n"]))
        else:
            each: dict[Any, dict[str, Any]] = {}
            for row in fit:
                held = each.get(row[one_each])
                if held is None or (row[by], row["n"]) > (held[by], held["n"]):
                    each[row[one_each]] = row
            rows = heapq.nlargest(limit, each.values(), key=lambda row: (row[by], row["n"]))
        found = Answer(rows, NO_INDEX, indexed=False)
    return _report(f"best by {by}, {pool}", found, pool)


def find(layout: Layout, stage: Stage, digits: str, *, limit: int) -> Report:
    """Records whose id or genome begins with some digits.

    Raises:
        UsageError: for fewer than four digits, or others than hexadecimal ones.
        EvidenceError: when there is no index and the pool is damaged.
    """
    plain = digits.lower().replace("-", "")
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST},64}}", plain):
        raise UsageError(
            f"{printable(digits)!r} names no genome",
            hint=f"at least {SHORTEST} hexadecimal digits of an id or a SHA-256",
        )
    pool = _existing_pool(layout, stage)
    found = find_records(layout, stage, plain, limit)
    if found is None:
        fit = (r for r in _read(pool) if r["id"].replace("-", "").startswith(plain) or r["genome"].startswith(plain))
        found = Answer(list(islice(fit, limit)), NO_INDEX, indexed=False)
    return _report(f"begins with {plain}, {pool}", found, pool)


def _report(title: str, found: Answer, pool: Path) -> Report:
    data = {"pool": str(pool), "as_of": found.as_of, "indexed": found.indexed, "records": found.rows}
    if not found.rows:
        return Report(data, [f"0 records of {pool} are as asked", found.as_of])
    rows = [
        (row["n"], row["id"][:8], row["run_id"][-4:], row["experiment"], row["arm"], _percent(row["roi_lifetime"]),
         row["survived"], row["trades"], row["wins"], row["final_capital"], row["labels"], row["line"])
        for row in found.rows
    ]  # fmt: skip
    return Report(data, [table(title, COLUMNS, rows, optional=OPTIONAL), found.as_of])


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100.0 * share:+.3f} %"


# ---- on the command line ---------------------------------------------------------------------------------------------


def best_command(
    *,
    root: Root = DEFAULT_ROOT,
    stage: StageOption = Stage.STAGE1,
    by: Annotated[str, typer.Option(metavar="FIGURE", help="Figure, the largest first.")] = "roi_lifetime",
    where: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Condition; = may also be != ^= ~ >= <= > <.")
    ] = None,
    one_each: Annotated[
        str | None,
        typer.Option("--one-each", metavar="NAME", help="At most one record of each run_id, line or genome."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of records.")] = 20,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """List the best records of a pool, from the index where there is one."""
    layout = existing(Layout.under(root))
    conditions = wanted(where or [], POOL_RECORDS.names)
    known_name(by, FIGURES, "--by")
    if one_each is not None:
        known_name(one_each, ONE_EACH, "--one-each")
    return best(layout, stage, by=by, where=conditions, limit=limit, one_each=one_each).asked(
        as_json=as_json, as_csv=as_csv
    )


def find_command(
    digits: Annotated[str, typer.Argument(metavar="DIGITS", help="Digits that begin an id or a genome's SHA-256.")],
    *,
    root: Root = DEFAULT_ROOT,
    stage: StageOption = Stage.STAGE1,
    limit: Annotated[int, typer.Option(min=1, help="Number of records.")] = 20,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """Find records by the first digits of an id or of a genome's SHA-256, over all runs."""
    return find(existing(Layout.under(root)), stage, digits, limit=limit).asked(as_json=as_json, as_csv=as_csv)
