"""Puts rows in order and joins files: what stands twice alike is dropped, what contradicts itself is refused.

Rows of one file must rise or fall in time; a file whose pages stand in another order is put right only when that is
asked for. Files may overlap: where two rows of one time are the same bar, one is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import PRICE_COLUMNS, Ints, bar_time
from prometheus.v10.market.sources.symbols import agree
from prometheus.v10.market.sources.tables import RawTable, Reading
from prometheus.v10.market.validate import DAY_S

NUMBERS = re.compile(r"[0-9]+")
VALUES = (*PRICE_COLUMNS, "volume")


def in_order(table: RawTable, reading: Reading, where: str) -> RawTable:
    """One file's rows, oldest first, each time once.

    Raises:
        ConfigError: for rows in no order, unless sorting is asked for, or two different rows of one time.
    """
    steps = np.diff(table.open_time)
    if len(steps) and bool((steps <= 0).all()) and bool((steps < 0).any()):
        table = table.taken(
            np.arange(len(steps), -1, -1), "order: the file stands newest first; rows were turned round"
        )
    elif bool((steps < 0).any()):
        if not reading.sort:
            at = int(np.flatnonzero(steps < 0)[0]) + 1
            raise ConfigError(
                f"{where}: {table.place(at)} ({bar_time(int(table.open_time[at]))}), column open_time: is earlier than "
                f"the bar before it (steps back: {int((steps < 0).sum())})",
                hint="if pages of the file stand in the wrong order: --sort",
            )
        moved = int((steps < 0).sum())
        table = table.taken(_by_time(table.open_time), f"order: rows were sorted, as asked for (steps back: {moved})")
    return each_once(table, where)


def without_newest(table: RawTable) -> RawTable:
    """All bars but the newest, which an exchange's live answer has unfinished."""
    newest = bar_time(int(table.open_time[-1]))
    return table.taken(np.arange(len(table.open_time) - 1), f"dropped: the newest bar ({newest}), as asked for")


def joined(tables: Sequence[RawTable]) -> RawTable:
    """The rows of several files as one table, oldest first.

    Raises:
        ConfigError: for files of different instruments or timeframes, or two different rows of one time.
    """
    if len(tables) == 1:
        return tables[0]
    first = tables[0]
    for other in tables[1:]:
        mine, theirs = first.symbol or first.named, other.symbol or other.named
        if mine and theirs and not agree(mine, theirs):
            raise ConfigError(
                f"{other.files[0]}: holds {printable(theirs)}, {first.files[0]} holds {printable(mine)}",
                hint="import them under two names",
            )
        if first.timeframe_s and other.timeframe_s and first.timeframe_s != other.timeframe_s:
            raise ConfigError(
                f"{other.files[0]}: named as bars of {other.timeframe_s} s, {first.files[0]} of {first.timeframe_s} s",
                hint="import them under two names",
            )
    whole = RawTable(
        open_time=np.concatenate([table.open_time for table in tables]),
        prices={name: np.concatenate([table.prices[name] for table in tables]) for name in PRICE_COLUMNS},
        volume=np.concatenate([table.volume for table in tables]),
        rows=np.concatenate([table.rows for table in tables]),
        row_word=first.row_word if len({table.row_word for table in tables}) == 1 else "row",
        files=tuple(table.files[0] for table in tables),
        file_of=np.concatenate([np.full(len(table.rows), k, dtype=np.int64) for k, table in enumerate(tables)]),
        symbol=next((table.symbol for table in tables if table.symbol), None),
        named=next((table.named for table in tables if table.named), None),
        timeframe_s=next((table.timeframe_s for table in tables if table.timeframe_s), None),
        gaps_are_quiet=all(table.gaps_are_quiet for table in tables),
        coarse=max(table.coarse for table in tables),
        decisions=[
            *together([(table.files[0], table.decisions) for table in tables]),
            f"files: {len(tables)} were joined in order of time",
        ],
    )
    return each_once(whole.taken(_by_time(whole.open_time)), "")


def together(read: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """What was decided in reading several files: sentences that differ in their numbers alone stand as one.

    Args:
        read: the name of each file, and the sentences about it.
    """
    said: dict[str, list[tuple[str, str]]] = {}
    for file, sentences in read:
        for sentence in sentences:
            said.setdefault(NUMBERS.sub("#", sentence), []).append((file, sentence))
    found = []
    for kind in said.values():
        name, sentence = kind[0]
        alike = len({one for _, one in kind}) == 1
        if len(kind) == len(read):
            found.append(f"in every file: {sentence}" if alike else f"in every file, as in {name}: {sentence}")
        elif len(kind) > 1:
            found.append(f"in {len(kind)} of {len(read)} files, as in {name}: {sentence}")
        else:
            found.append(f"{name}: {sentence}")
    return found


def each_once(table: RawTable, where: str) -> RawTable:
    """Rows in order, of which those that repeat the one before are dropped.

    Raises:
        ConfigError: when two rows of one time differ, naming both.
    """
    again = np.flatnonzero(np.diff(table.open_time) == 0) + 1
    if not len(again):
        return table
    for name in VALUES:
        column = table.volume if name == "volume" else table.prices[name]
        one, other = column[again - 1], column[again]
        differ = (one != other) & ~(np.isnan(one) & np.isnan(other))
        if differ.any():
            at = int(again[np.flatnonzero(differ)[0]])
            prefix = f"{where}: " if where else ""
            raise ConfigError(
                f"{prefix}{table.place(at - 1)} and {table.place(at)} are both of {bar_time(int(table.open_time[at]))} "
                f"and differ: {name} {float(column[at - 1])!r} and {float(column[at])!r} "
                f"(pairs that differ: {int(differ.sum())})",
                hint="find out which is right, and leave the other out",
            )
    kept = np.ones(len(table.open_time), dtype=bool)
    kept[again] = False
    return table.taken(kept, f"dropped: rows that repeat another one exactly: {len(again)}")


def _by_time(times: Ints) -> Ints:
    """An order by time in which rows of one time stay as they stand."""
    return np.argsort(times, kind="stable")


def require_digits(table: RawTable, timeframe_s: int, where: str) -> None:
    """Refuse stamps written as powers of ten that have lost digits.

    What was rounded can look like bars of another step. So such stamps are taken only where no bar is missing, and
    where the step is one that bars have: whole minutes that divide a day, or whole days.

    Raises:
        ConfigError: saying that digits are lost.
    """
    if table.coarse <= 1:
        return
    steps = np.diff(table.open_time)
    usual = timeframe_s % 60 == 0 and (DAY_S % timeframe_s == 0 or timeframe_s % DAY_S == 0)
    if usual and not bool((steps != timeframe_s).any()) and not bool((table.open_time % min(timeframe_s, DAY_S)).any()):
        return
    raise ConfigError(
        f"{where}: the stamps are written as powers of ten, in steps of {table.coarse:g} s: digits are lost",
        hint="save the file again with all digits of its stamps",
    )
