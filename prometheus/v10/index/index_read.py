"""Questions to the index: runs by what they are, the best of a pool, a genome by its digits; each says as of when.

Readers do not need the index: where there is none, they read the newest manifests of the time that is asked for, and
runs that are newer than the index are read from their own files. The index is asked for speed, never for a verdict.
"""

from __future__ import annotations

import operator
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from attrs import frozen

from prometheus.v10.base.clock import utc_text
from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.catalog import RunPlace, manifest_of, runs, was_cut_off
from prometheus.v10.evidence.chains.chain import START, Link
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.index.index_build import new_lines, parsed
from prometheus.v10.index.index_file import meta, reading
from prometheus.v10.index.index_rows import OF_RUNS, Told, rows_of
from prometheus.v10.index.index_tables import POOL_RECORDS, RUNS

LOOK_AHEAD = 200
"""Rows, for each one that is wanted, among which the best of each value are looked for before all rows are."""
MOST_MANIFESTS = 200
"""Runs that are read from their own files where no index has them."""
NUMBERS = frozenset(
    name for table in (RUNS, POOL_RECORDS) for name, kind in table.columns if kind in {"INTEGER", "REAL"}
)
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_CONDITION = re.compile(r"(\w+)(>=|<=|!=|\^=|=|~|>|<)(.*)")
_SPAN = re.compile(r"(\d{1,6})([hdw])")
_DAY = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}(:\d{2}(:\d{2}(\.\d{1,6})?)?)?Z?)?)?)?")
_LAST_MOMENT = "9999-12-31T23:59:59.999999Z"

MARKET_TEXT, MARKET_NAMES = "market_text", ("market", "symbol", "market_sha256")
MARKET_SQL = "(" + " || ' ' || ".join(f"coalesce({name}, '')" for name in MARKET_NAMES) + ")"
"""The texts by which a person knows a market, looked through together."""

Record = dict[str, Any]


@frozen
class Wanted:
    """A condition on a column: ``=``, ``!=``, ``^=`` (begins with), ``~`` (contains), or a comparison of numbers."""

    name: str
    sign: str
    value: str

    def sql(self) -> tuple[str, list[Any]]:
        """The same as a condition of SQL, and its values."""
        name = MARKET_SQL if self.name == MARKET_TEXT else self.name
        text = f"CAST({name} AS TEXT)"
        if self.sign in _SIGNS:
            return f"{self.name} {self.sign} ?", [float(self.value) if self.name in NUMBERS else self.value]
        if self.sign == "!=":
            return f"({self.name} IS NULL OR {text} != ?)", [self.value]
        if self.sign == "=":
            return f"{text} = ?", [self.value]
        if self.sign == "^=":
            return f"substr({text}, 1, ?) = ?", [len(self.value), self.value]
        return f"instr(lower({text}), ?) > 0", [self.value.lower()]

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is as asked; nothing holds of what is unknown, except that it is not a value."""
        found = (
            " ".join(str(row[name] or "") for name in MARKET_NAMES) if self.name == MARKET_TEXT else row.get(self.name)
        )
        if found is None:
            return self.sign == "!="
        if self.sign in _SIGNS:
            if self.name in NUMBERS:
                return _SIGNS[self.sign](float(found), float(self.value))
            compare: Any = _SIGNS[self.sign]
            return bool(compare(str(found), self.value))
        text = str(int(found) if isinstance(found, bool) else found)
        return {
            "=": text == self.value,
            "!=": text != self.value,
            "^=": text.startswith(self.value),
            "~": self.value.lower() in text.lower(),
        }[self.sign]


def wanted(texts: Sequence[str], names: Sequence[str], option: str = "--where") -> list[Wanted]:
    """Conditions as they were typed.

    Raises:
        UsageError: for what is no condition, a name that there is not, or a number that is none.
    """
    found = []
    for text in texts:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{option} {printable(text)}: expected NAME=VALUE",
                hint="or NAME!=VALUE, NAME^=BEGINNING, NAME~PART, NAME>=NUMBER",
            )
        known_name(match[1], names, option)
        one = Wanted(*match.groups())
        if one.sign in _SIGNS and one.name in NUMBERS:
            try:
                float(one.value)
            except ValueError:
                raise UsageError(f"{option} {printable(text)}: {one.value!r} is no number") from None
        found.append(one)
    return found


def known_name(name: str, names: Sequence[str], option: str) -> str:
    """A name that is one of ``names``.

    Raises:
        UsageError: when it is none, with those that there are.
    """
    if name not in names:
        alike = [one for one in names if name in one]
        meant = f"did you mean {alike[0]}? " if alike else ""
        raise UsageError(f"{option}: there is no {printable(name)!r}", hint=f"{meant}there are: {', '.join(names)}")
    return name


def since(text: str, now: datetime, option: str = "--since") -> str:
    """The first moment that is meant, as UTC text: ``7d``, ``12h``, ``2w`` before now, or a year, month, day or time.

    Raises:
        UsageError: for another text.
    """
    if (match := _SPAN.fullmatch(text)) is not None:
        hours = int(match[1]) * {"h": 1, "d": 24, "w": 168}[match[2]]
        try:
            return utc_text(now.astimezone(UTC) - timedelta(hours=hours))
        except OverflowError:
            return ""
    if _DAY.fullmatch(text):
        return text.removesuffix("Z")
    raise UsageError(
        f"{option} {printable(text)}: expected a span or a date", hint="7d, 12h, 2w, 2026-03 or 2026-03-01"
    )


def until(text: str, now: datetime) -> str:
    """The last moment that is meant, as UTC text: a year, month, day or time to its end; spans as `since`.

    Raises:
        UsageError: for another text.
    """
    first = since(text, now, "--until").removesuffix("Z")
    return first + _LAST_MOMENT[len(first) :] if first else ""


# ---- runs ------------------------------------------------------------------------------------------------------------


@frozen
class Answer:
    """Rows, and what they are as of.

    Attributes:
        as_of: one sentence: the entry of the ledger up to which the rows speak, or that there is no index.
        indexed: whether an index was read.
        matching: how many rows are as asked, of which ``rows`` are the first; None where that was not counted.
    """

    rows: list[Record]
    as_of: str
    indexed: bool
    matching: int | None = None


@frozen
class Asked:
    """Which runs, in which order, and how many."""

    where: Sequence[Wanted] = ()
    sort: str = "started"
    ascending: bool = False
    limit: int = 20


def find_runs(layout: Layout, asked: Asked) -> Answer:
    """Rows of runs, from the index and from the files of what is newer; without an index from the newest manifests.

    Raises:
        EvidenceError: when the end of the ledger is damaged.
        HostError: when a file cannot be read.
    """
    with reading(layout) as db:
        if db is None:
            return _read_from_manifests(layout, asked)
        said = meta(db)
        newer = _newer(layout, said)
        rows = _chosen([*_rows(db, asked), *newer.values()], asked, hidden=newer)
        more = f"; {len(newer):,} newer read from {'its' if len(newer) == 1 else 'their'} files" if newer else ""
        matching = _count(db, asked, newer)
        return Answer(rows[: asked.limit], f"{as_of_text(said)}{more}", indexed=True, matching=matching)


def _read_from_manifests(layout: Layout, asked: Asked) -> Answer:
    """Without an index: the newest runs of the time that is asked for; what was not read is said."""
    there = [run for run in runs(layout) if all(_may_hold(one, run.begun[0]) for one in asked.where)]
    read = there[:MOST_MANIFESTS]
    rows = _chosen([_from_files(layout, run) for run in read], asked)
    some = "" if len(read) == len(there) else f"the newest {len(read):,} of "
    as_of = f"no index: read from {some}{len(there):,} manifests; prometheus-quant index build makes one"
    return Answer(rows[: asked.limit], as_of, indexed=False, matching=len(rows))


def _may_hold(one: Wanted, stamp: str) -> bool:
    """Whether a condition can hold of a run that began at a moment, as its name says (``yyyymmddThhmmssZ``)."""
    value = re.sub(r"[-:]|\..*|Z$", "", one.value)
    if one.name != "started" or not value or one.sign not in {">=", ">", "<=", "<", "^="}:
        return True
    begun = stamp[: len(value)]
    return begun == value or (one.sign != "^=" and (begun > value) is (one.sign in {">=", ">"}))


def _count(db: sqlite3.Connection, asked: Asked, newer: Mapping[str, Record]) -> int:
    """How many runs are as asked: those of the index, but for runs that are newer in their files, and these."""
    conditions, values = _conditions(asked)
    places = ", ".join("?" * len(newer))
    query = f"SELECT count(*) FROM {RUNS.name} WHERE {conditions} AND run_id NOT IN ({places})"
    (old,) = db.execute(query, [*values, *newer]).fetchone()
    return int(old) + sum(all(one.holds(row) for one in asked.where) for row in newer.values())


def as_of_text(said: Mapping[str, str]) -> str:
    """Up to which entry of the ledger an index speaks, and when it was made."""
    entries = int(said.get("ledger_n", "0"))
    until = f"ledger entry {entries - 1:,}" if entries else "an empty ledger"
    return f"as of {until}, index of {said.get('built_at', 'an unknown time')}"


def newest_runs(layout: Layout) -> list[Record]:
    """The newest runs from their own files."""
    return [_from_files(layout, run) for run in islice(runs(layout), MOST_MANIFESTS)]


def _from_files(layout: Layout, run: RunPlace) -> Record:
    """A run from its own files; one whose manifest cannot be read has a row that says so."""
    path = run.path.relative_to(layout.lib).as_posix()
    told = Told(run.run_id, {"tier": run.tier.value, "path": path, "deleted": 0, "status": None})
    row = _row(rows_of(layout, told)[0]["runs"][0])
    try:
        row["status"] = "interrupted" if was_cut_off(run.path) else (manifest_of(run.path) or {}).get("status")
    except EvidenceError:
        row["status"] = "damaged"
    return row


def _newer(layout: Layout, said: Mapping[str, str]) -> dict[str, Record]:
    """Rows of runs of which the ledger speaks after the entries that the index knows."""
    told: dict[str, list[dict[str, Any]]] = {}
    link = Link(int(said.get("ledger_n", "0")), said.get("ledger_hash", START.prev))
    try:
        for at, line, _ in new_lines(layout.ledger, LEDGER_LINE, int(said.get("ledger_bytes", "0")), link):
            entry = parsed(line, layout.ledger, at)
            if entry["type"] in OF_RUNS:
                told.setdefault(entry["payload"]["run_id"], []).append(entry)
    except EvidenceError:
        return {run["run_id"]: run for run in newest_runs(layout)}  # another ledger: its index speaks of other runs
    names = list(told)[-MOST_MANIFESTS:]
    return {name: _row(rows_of(layout, Told.of(name, told[name]))[0]["runs"][0]) for name in names}


def _row(values: Sequence[Any]) -> Record:
    return dict(zip(RUNS.names, values, strict=True))


def _rows(db: sqlite3.Connection, asked: Asked) -> list[Record]:
    """As many rows of the index as can be among the answer, in the order asked for."""
    conditions, values = _conditions(asked)
    name = asked.sort  # null is the least to SQLite: last, as it should be, where the largest come first
    order = f"{name} IS NULL, {name}, run_id" if asked.ascending else f"{name} DESC, run_id DESC"
    query = f"SELECT * FROM {RUNS.name} WHERE {conditions} ORDER BY {order} LIMIT ?"
    return [_row(values) for values in db.execute(query, [*values, asked.limit + MOST_MANIFESTS])]


def _conditions(asked: Asked) -> tuple[str, list[Any]]:
    """What is asked for as a condition of SQL, and its values."""
    found = [one.sql() for one in asked.where]
    return " AND ".join(["1", *(text for text, _ in found)]), [value for _, given in found for value in given]


def _chosen(rows: Sequence[Record], asked: Asked, hidden: Mapping[str, Record] | None = None) -> list[Record]:
    """The rows that are as asked, all of them, in order; of a run that is newer in its files only that row."""
    latest = hidden or {}
    fit = [
        row
        for row in rows
        if latest.get(row["run_id"], row) is row and all(one.holds(row) for one in asked.where)
    ]  # fmt: skip
    known = [row for row in fit if row[asked.sort] is not None]
    known.sort(key=lambda row: (row[asked.sort], row["run_id"]), reverse=not asked.ascending)
    return [*known, *(row for row in fit if row[asked.sort] is None)]


# ---- pools -----------------------------------------------------------------------------------------------------------


def pool_file(stage: Stage) -> str:
    """The name of the file with the rows of a stage's pool."""
    return f"pool-{stage.value}.sqlite"


def best_records(
    layout: Layout, stage: Stage, *, by: str, where: Sequence[Wanted], limit: int, one_each: str | None
) -> Answer | None:
    """The best records of a pool; None where it has no index.

    Args:
        layout: of the installation.
        stage: whose pool.
        by: the figure; the largest first.
        where: conditions on columns of the records.
        limit: how many.
        one_each: at most one record of each value of this column.
    """
    with reading(layout, pool_file(stage)) as db:
        if db is None:
            return None
        conditions = " AND ".join([f"{by} IS NOT NULL", *(one.sql()[0] for one in where)])
        values = [value for one in where for value in one.sql()[1]]
        query = f"SELECT * FROM {POOL_RECORDS.name} WHERE {conditions} ORDER BY {by} DESC, n DESC LIMIT ?"
        found = map(record_of_row, db.execute(query, [*values, limit if one_each is None else limit * LOOK_AHEAD]))
        rows = list(found) if one_each is None else _first_of_each(found, one_each, limit)
        if len(rows) < limit and one_each is not None:
            rows = _best_of_each(db, (conditions, values), by, one_each)[:limit]
        return Answer(rows, pool_as_of(meta(db)), indexed=True)


def _first_of_each(rows: Iterable[Record], name: str, limit: int) -> list[Record]:
    """The first row of each value of a column, as far as some rows show them."""
    found: dict[Any, Record] = {}
    for row in rows:
        found.setdefault(row[name], row)
        if len(found) == limit:
            break
    return list(found.values())


def _best_of_each(db: sqlite3.Connection, where: tuple[str, list[Any]], by: str, name: str) -> list[Record]:
    """The best row of each value of a column, by a pass over all of them: there are few values, or few rows."""
    best: dict[Any, tuple[float, int]] = {}
    query = f"SELECT {name}, {by}, n FROM {POOL_RECORDS.name} WHERE {where[0]}"
    for value, figure, n in db.execute(query, where[1]):
        if value not in best or (figure, n) > best[value]:
            best[value] = (figure, n)
    numbers = [n for _, n in sorted(best.values(), reverse=True)]
    one = f"SELECT * FROM {POOL_RECORDS.name} WHERE n = ?"
    return [record_of_row(db.execute(one, (n,)).fetchone()) for n in numbers]


def find_records(layout: Layout, stage: Stage, digits: str, limit: int) -> Answer | None:
    """Records whose id or whose genome's SHA-256 begins with some hexadecimal digits; None where there is no index."""
    with reading(layout, pool_file(stage)) as db:
        if db is None:
            return None
        ids, genomes = _range(digits, 32), _range(digits, 64)
        query = (
            f"SELECT * FROM {POOL_RECORDS.name} WHERE id BETWEEN ? AND ? "
            f"UNION SELECT * FROM {POOL_RECORDS.name} WHERE genome BETWEEN ? AND ? ORDER BY n LIMIT ?"
        )
        rows = [record_of_row(found) for found in db.execute(query, (*ids, *genomes, limit))]
        return Answer(rows, pool_as_of(meta(db)), indexed=True)


def _range(digits: str, size: int) -> tuple[bytes, bytes]:
    """The least and the greatest bytes of ``size`` hexadecimal digits that begin with some; more digits begin none."""
    if len(digits) > size:
        return b"\xff", b""
    return bytes.fromhex(digits.ljust(size, "0")), bytes.fromhex(digits.ljust(size, "f"))


def record_of_row(values: Sequence[Any]) -> Record:
    """A row of a pool as values by name, its bytes as the texts that the pool has."""
    row = dict(zip(POOL_RECORDS.names, values, strict=True))
    text = row["id"].hex()
    row["id"] = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    row["genome"] = row["genome"].hex()
    row["survived"] = None if row["survived"] is None else bool(row["survived"])
    return row


def pool_as_of(said: Mapping[str, str]) -> str:
    """Up to which record of its pool an index speaks."""
    return f"as of {int(said.get('n', '0')):,} records of the pool"
