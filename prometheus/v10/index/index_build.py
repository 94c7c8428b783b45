"""Building the index: only what is new since the last time, or everything from the files; both give the same rows.

New entries of the ledger are read from the offset where the last reading ended. The chain must go on from the hash that
is kept; where it does not (a ledger was replaced, restored or damaged), everything is built anew, and that is said.
A run is read when the ledger says that it was begun, again for as long as it has not ended, and once more at its end.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import CURVE_FILE, LedgerEntryType, is_instance
from prometheus.v10.base.paths import Layout, newest_market_record
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.chains.chain import START, LineFormat, Lines, Link, after
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.scan import open_for_reading
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.index.index_file import FILE, changing, create, failed, meta, opened_to_write, publish, writing
from prometheus.v10.index.index_pools import PoolDone, build_pool
from prometheus.v10.index.index_rows import RUNNING, Told, rows_of, run_named
from prometheus.v10.index.index_tables import (
    COLLAPSES,
    CONFIGS,
    DELETIONS,
    GATES,
    LEDGER,
    MARKETS,
    META,
    OF_A_RUN,
    REBOOTS,
    RUNS,
    SEEN,
    SNAPSHOTS,
    TABLES,
    Table,
)  # fmt: skip

Say = Callable[[str], None]


@frozen
class Built:
    """What a build did.

    Attributes:
        entries: of the ledger, all that the index knows now.
        new_entries: those that it read this time.
        runs: rows that were made or made again.
        anew: why everything was built anew; None for a continuation.
        pools: what was done for each pool.
    """

    entries: int
    new_entries: int
    runs: int
    anew: str | None
    pools: dict[str, PoolDone]


def build(layout: Layout, clock: Clock, *, from_scratch: bool = False) -> Built:
    """Bring the index of an installation up to its files.

    Raises:
        EvidenceError: when the ledger itself is damaged: an index of it would be one of nothing.
        HostError: when a file cannot be read, or the index not be written.
    """
    with writing(layout) as folder:
        try:
            done = _catalogue(layout, folder, clock, from_scratch=from_scratch)
            pools = {
                stage.value: build_pool(layout.pool(stage), folder / f"pool-{stage.value}.sqlite", anew=from_scratch)
                for stage in Stage
            }
        except sqlite3.Error as error:
            raise failed(error, folder) from error
    return Built(done.entries, done.new_entries, done.runs, done.anew, pools)


def _catalogue(layout: Layout, folder: Path, clock: Clock, *, from_scratch: bool) -> Built:
    why: str | None = "asked for"
    if not from_scratch:
        known = opened_to_write(folder / FILE)
        if known is None:
            why = "there was none of this version"
        else:
            with closing(known), changing(folder):
                work = _Work(layout, known)
                why = work.discontinued()
                if why is None:
                    known.execute("BEGIN IMMEDIATE")
                    found = work.go(clock, None)
                    known.execute("COMMIT")
                    return found
    aside = folder / f".{FILE}.new"
    with closing(create(aside, TABLES, views=True)) as made:
        found = _Work(layout, made).go(clock, why)
        for table in TABLES:
            for statement in table.create_indexes():
                made.execute(statement)
        made.execute("COMMIT")
    publish(aside, folder / FILE)
    return found


@define
class _Work:
    layout: Layout
    db: sqlite3.Connection
    known: dict[str, str] = field(init=False)
    told: dict[str, Told] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.known = meta(self.db)

    @property
    def offset(self) -> int:
        return int(self.known.get("ledger_bytes", "0"))

    @property
    def link(self) -> Link:
        return Link(int(self.known.get("ledger_n", "0")), self.known.get("ledger_hash", START.prev))

    def discontinued(self) -> str | None:
        """Why the ledger does not go on from where the last reading ended; None when it does."""
        last = int(self.known.get("ledger_last", "0"))
        if self.link.n == 0:
            return None
        line = read_line(self.layout.ledger, last, self.offset)
        if line is None:
            return "the ledger is shorter than it was"
        return None if after(line, self.link.n - 1) == self.link else "the ledger is another one than it was"

    def go(self, clock: Clock, anew: str | None) -> Built:
        before, touched = self.link.n, self._ledger()
        running = self.db.execute(f"SELECT run_id FROM {RUNS.name} WHERE status = ?", (RUNNING,))
        runs = dict.fromkeys([*(run for (run,) in running), *touched])
        for run_id in runs:
            self._run(run_id)
        if any(told.said["deleted"] for told in self.told.values()):
            used = f"SELECT config_hash FROM {RUNS.name} WHERE deleted = 0 AND config_hash IS NOT NULL"
            self.db.execute(f"DELETE FROM {CONFIGS.name} WHERE config_hash NOT IN ({used})")
        self._markets()
        self._curves()
        self._set("built_at", utc_text(clock.now()))
        return Built(self.link.n, self.link.n - before, len(runs), anew, {})

    def _set(self, key: str, value: object) -> None:
        self.known[key] = str(value)
        self._put(META, [(key, str(value))])

    def _put(self, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        self.db.executemany(table.insert(), rows)

    # ---- the ledger --------------------------------------------------------------------------------------------------

    def _ledger(self) -> list[str]:
        """Take in the new entries; returns the runs that they speak of."""
        touched: dict[str, None] = {}
        rows: list[tuple[Any, ...]] = []
        link, end, last = self.link, self.offset, int(self.known.get("ledger_last", "0"))
        goes_on = link.n > 0
        for at, line, following in new_lines(self.layout.ledger, LEDGER_LINE, self.offset, link):
            entry = parsed(line, self.layout.ledger, at)
            run_id = run_named(entry)
            rows.append(
                (entry["n"], entry["ts_utc"], entry["type"], entry["instance"], run_id, following.prev, at, len(line))
            )
            self._entry(entry)
            link, end, last = following, at + len(line), at
            if run_id is not None and _speaks_of_the_run(entry):
                touched[run_id] = None
                if run_id not in self.told:
                    self.told[run_id] = Told.of(run_id, self._entries_of(run_id) if goes_on else ())
                self.told[run_id].hear(entry)
        self._put(LEDGER, rows)
        for key, value in (
            ("ledger_n", link.n),
            ("ledger_hash", link.prev),
            ("ledger_bytes", end),
            ("ledger_last", last),
        ):
            self._set(key, value)
        return list(touched)

    def _entries_of(self, run_id: str) -> Iterator[dict[str, Any]]:
        """Entries that the index knew before, read again where they lie."""
        places = self.db.execute(
            f"SELECT byte_offset, bytes FROM {LEDGER.name} WHERE run_id = ? ORDER BY n", (run_id,)
        ).fetchall()
        for offset, size in places:
            line = read_line(self.layout.ledger, offset, offset + size)
            if line is not None:
                entry = strict_loads(line)
                if _speaks_of_the_run(entry):
                    yield entry

    def _entry(self, entry: dict[str, Any]) -> None:
        payload, n, ts = entry["payload"], entry["n"], entry["ts_utc"]
        names: tuple[str, ...]
        if entry["type"] == LedgerEntryType.SNAPSHOT:
            names = ("id", "pool_path", "count", "bytes", "sha256", "head_hash")
            self._put(SNAPSHOTS, [(*(payload.get(name) for name in names), ts, n)])
        elif entry["type"] == LedgerEntryType.GATE_SEALED:
            names = ("gate", "config_hash", "verdict", "seal", "bytes")
            self._put(GATES, [(*(payload.get(name) for name in names), ts, n)])
        elif entry["type"] == LedgerEntryType.RETENTION_DELETION:
            names = ("kind", "path", "bytes", "policy", "reason", "run_id")
            self._put(DELETIONS, [(n, ts, *(payload.get(name) for name in names))])

    # ---- runs --------------------------------------------------------------------------------------------------------

    def _run(self, run_id: str) -> None:
        told = self.told.get(run_id) or Told.of(run_id, self._entries_of(run_id))
        rows, config = rows_of(self.layout, told)
        for table in OF_A_RUN:
            self.db.execute(f"DELETE FROM {table.name} WHERE run_id = ?", (run_id,))
            self._put(table, rows.get(table.name, ()))
        self._put(RUNS, rows[RUNS.name])
        if config is not None:
            self._put(CONFIGS, [config])
        if (seal := told.said.get("seal")) is not None:
            self._put(SEEN, [(told.said["path"], told.said["bytes"], None, seal)])

    # ---- markets and curves ------------------------------------------------------------------------------------------

    def _markets(self) -> None:
        """Every market that was imported; a record that cannot be read has a row with nothing but its name."""
        self.db.execute(f"DELETE FROM {MARKETS.name}")
        names = ("symbol", "timeframe_s", "rows", "first_open_utc", "last_open_utc", "bars_sha256", "source_file")
        for place in sorted(self.layout.market.glob("*/market.json")):
            try:
                said = json.loads(read_if_there(newest_market_record(place.parent), at_most=LARGE) or b"{}")
            except (EvidenceError, OSError, ValueError):
                said = {}
            self._put(MARKETS, [(place.parent.name, *(_scalar(said.get(name)) for name in names))])

    def _curves(self) -> None:
        """New lines of each instance's survival curve."""
        for place in sorted(self.layout.state.glob(f"*/{CURVE_FILE}")):
            instance, key = place.parent.name, f"curve:{place.parent.name}"
            if not is_instance(instance):
                continue
            at = int(self.known.get(key, "0"))
            size = place.stat().st_size
            if size < at:
                at = 0
                for table in (COLLAPSES, REBOOTS):
                    self.db.execute(f"DELETE FROM {table.name} WHERE instance = ?", (instance,))
            for line, end in _whole_lines(place, at):
                self._curve_line(instance, line)
                at = end
            self._set(key, at)

    def _curve_line(self, instance: str, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return  # the audit's to find
        names: tuple[str, ...]
        if said.get("type") == "collapse":
            names = ("n", "run_id", "experiment", "reason", "tick", "ticks_total", "ts_utc")
            self._put(COLLAPSES, [(instance, *(_scalar(said.get(name)) for name in names))])
        elif said.get("type") == "reboot":
            names = ("n", "run_id", "after_run_id", "restart_time_seconds", "ts_utc")
            self._put(REBOOTS, [(instance, *(_scalar(said.get(name)) for name in names))])


def _speaks_of_the_run(entry: dict[str, Any]) -> bool:
    """Whether an entry changes what is known of a run itself."""
    told = Told("", {})
    before = dict(told.said)
    told.hear(entry)
    return told.said != before


def _scalar(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)


# ---- lines of files --------------------------------------------------------------------------------------------------


def new_lines(path: Path, form: LineFormat, offset: int, link: Link) -> Iterator[tuple[int, bytes, Link]]:
    """Where each whole line of a chained file from ``offset`` on begins, its bytes, and the link that follows it.

    Raises:
        EvidenceError: at the first line that does not follow the one before.
        HostError: when the file cannot be read.
    """
    if not os.path.lexists(path):
        return
    fd = open_for_reading(path)
    try:
        lines = Lines(fd, start=offset)
        for line in lines:
            if not form.links(line, link):
                what = form.problem(line, link) or "it does not follow the line before"
                raise EvidenceError(
                    f"{path}: damaged at byte {lines.offset} (line {link.n + 1}): {what}", hint="verify it"
                )
            link = after(line, link.n)
            yield lines.offset, line, link
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    finally:
        os.close(fd)


def parsed(line: bytes, path: Path, at: int) -> dict[str, Any]:
    """A line of the ledger as its entry.

    Raises:
        EvidenceError: when it is none.
    """
    try:
        found = strict_loads(line)
    except ValueError as error:
        raise EvidenceError(f"{path}: damaged at byte {at}: {error}", hint="verify the file") from error
    if not isinstance(found, dict) or not isinstance(found.get("payload"), dict):
        raise EvidenceError(f"{path}: damaged at byte {at}: no entry of a ledger", hint="verify the file")
    return found


def read_line(path: Path, start: int, end: int) -> bytes | None:
    """The bytes between two offsets; None where the file is shorter or not there."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            line = file.read(end - start)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    return line if len(line) == end - start else None


def _whole_lines(path: Path, at: int) -> Iterator[tuple[bytes, int]]:
    try:
        with path.open("rb") as file:
            file.seek(at)
            for line in file:
                at += len(line)
                if line.endswith(b"\n"):
                    yield line, at
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
