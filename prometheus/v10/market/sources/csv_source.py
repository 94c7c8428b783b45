"""Reads bars from CSV in the shape that crypto data vendors publish: a header, a unix stamp or UTC date, OHLC, volume.

The rule for volume (`csv_volume`): vendors have published both volumes, and have swapped the two columns for years on
end under an unchanged header. So where there are two, neither name is believed, and each row's own numbers decide.
The rule for time: a bar is named by its open; a column that is called so wins over every other stamp, and other time
columns must agree with each other.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import attrs
import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import PRICE_COLUMNS
from prometheus.v10.market.sources.csv_text import form_of, is_header, names_of, reading
from prometheus.v10.market.sources.csv_time import DIGITS, FORMS, is_time_of_day, moment
from prometheus.v10.market.sources.csv_volume import base_of_two, candidates, refuse_quote_only
from prometheus.v10.market.sources.tables import EARLIEST_STAMP, RawTable

OPEN_NAMES = ("open_time", "opentime", "open time", "time_open", "open_timestamp", "start_time", "start time")
STAMP_NAMES = ("unix", "timestamp", "time")
CLOSE_NAMES = ("close_time", "closetime", "close time", "time_close", "close_timestamp", "end_time", "end time")
DATE_NAMES = ("date", "datetime")
SYMBOL_NAMES = ("symbol", "pair")
SHORTEST_EARLY_STEP = 60  # seconds: day numbers and months counted as seconds lie closer together


@attrs.frozen
class _Header:
    """Which column holds what; ``opens`` says that ``stamp`` is named as the time of the open."""

    line: int
    width: int
    stamp: int | None
    opens: bool
    others: tuple[int, ...]
    closes: int | None
    date: int | None
    time_of_day: int | None
    symbol: int | None
    prices: tuple[int, int, int, int]
    volumes: tuple[int, ...]
    asked_volume: bool
    names: list[str]


@attrs.define
class _Reading:
    """What has been read so far."""

    times: list[int] = attrs.field(factory=list)
    prices: list[tuple[float, ...]] = attrs.field(factory=list)
    volume: list[float] = attrs.field(factory=list)
    lines: list[int] = attrs.field(factory=list)
    units: Counter[str] = attrs.field(factory=Counter)
    base_from: Counter[str] = attrs.field(factory=Counter)
    symbols: set[str] = attrs.field(factory=set)
    overruled: Counter[str] = attrs.field(factory=Counter)


def read_csv(path: Path, *, symbol: str | None = None, base_volume: str | None = None) -> RawTable:
    """Read one CSV file.

    Args:
        path: the file.
        symbol: the instrument, where the caller knows it.
        base_volume: name of the column that holds base volume, where the caller knows it.

    Raises:
        ConfigError: for a header without the columns of a bar, or a row that cannot be read, with its line.
        HostError: when the file cannot be opened.
    """
    form, read = form_of(path), _Reading()
    with reading(path), path.open(encoding=form.encoding, newline="") as handle:
        lines = csv.reader(handle, delimiter=form.separator)
        header = _find_header(path, lines, base_volume)
        for cells in lines:
            if cells:
                _read_row(path, header, lines.line_num, cells, read)
    _check(path, header, read, symbol)
    prices = np.array(read.prices, dtype=np.float64)
    return RawTable(
        open_time=np.array(read.times, dtype=np.int64),
        prices={name: prices[:, k].copy() for k, name in enumerate(PRICE_COLUMNS)},
        volume=np.array(read.volume, dtype=np.float64),
        rows=np.array(read.lines, dtype=np.int64),
        row_word="line",
        symbol=next(iter(read.symbols), None),
        decisions=[*form.decisions, *_decisions(header, read)],
    )


def _check(path: Path, header: _Header, read: _Reading, symbol: str | None) -> None:
    """What only the whole file shows."""
    if not read.times:
        raise ConfigError(f"{path}: holds a header and no row")
    if len(read.symbols) > 1:
        found = ", ".join(printable(name)[:40] for name in sorted(read.symbols)[:5])
        raise ConfigError(f"{path}: holds several instruments: {found}", hint="split it first")
    if read.units[DIGITS] and len(read.units) > 1:
        raise ConfigError(f"{path}: some times are {DIGITS} and some are not: {', '.join(sorted(read.units))}")
    if read.units["seconds"] and max(read.times) < EARLIEST_STAMP and _step(read.times) < SHORTEST_EARLY_STEP:
        raise ConfigError(
            f"{path}: line {read.lines[0]}: the stamps are too small for unix seconds: they would lie before 1973",
            hint=f"expected {FORMS}",
        )
    if len(header.volumes) == 1 and not header.asked_volume:
        known = symbol or next(iter(read.symbols), None)
        refuse_quote_only(path, header.line, header.names[header.volumes[0]], known)


def _step(times: list[int]) -> int:
    """The smallest step between neighbouring rows, seconds; 0 for a single row."""
    return min((abs(later - earlier) for earlier, later in pairwise(times)), default=0)


def _find_header(path: Path, lines: Iterator[list[str]], base_volume: str | None) -> _Header:
    """The line of the header, which `form_of` has seen."""
    for number, cells in enumerate(lines, start=1):
        if is_header(cells):
            return _header(path, number, names_of(cells), base_volume)
    raise ConfigError(f"{path}: changed while it was read")


def _header(path: Path, number: int, names: list[str], base_volume: str | None) -> _Header:
    """Find the columns of a bar among ``names``."""

    def first(wanted: tuple[str, ...]) -> int | None:
        return next((names.index(name) for name in wanted if name in names), None)

    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled:
        raise ConfigError(f"{path}: line {number}: the header names {', '.join(map(repr, doubled))} more than once")
    volumes = candidates(path, number, names, base_volume)
    stamps = [names.index(name) for name in (*OPEN_NAMES, *STAMP_NAMES) if name in names]
    date = first(DATE_NAMES)
    missing = [name for name in PRICE_COLUMNS if name not in names]
    missing += ["a time (unix or date)"] if not stamps and date is None else []
    missing += ["volume"] if not volumes else []
    if missing:
        hint = "name the column of base volume with --base-volume COLUMN" if missing == ["volume"] else None
        raise ConfigError(f"{path}: line {number}: the header lacks {', '.join(missing)}", hint=hint)
    at = {name: names.index(name) for name in PRICE_COLUMNS}
    opens = bool(stamps) and names[stamps[0]] in OPEN_NAMES
    return _Header(
        line=number,
        width=len(names),
        stamp=stamps[0] if stamps else None,
        opens=opens,
        others=tuple(stamps[1:]),
        closes=first(CLOSE_NAMES),
        date=date,
        time_of_day=names.index("time") if "time" in names and date is not None else None,
        symbol=first(SYMBOL_NAMES),
        prices=(at["open"], at["high"], at["low"], at["close"]),
        volumes=volumes,
        asked_volume=base_volume is not None,
        names=names,
    )


def _read_row(path: Path, header: _Header, line: int, cells: list[str], read: _Reading) -> None:
    """Append one row."""
    if len(cells) != header.width:
        raise ConfigError(f"{path}: line {line}: {len(cells)} cells where the header has {header.width}")
    prices = tuple(_number(path, header, line, cells, k) for k in header.prices)
    volumes = tuple(_number(path, header, line, cells, k) for k in header.volumes)
    base = 0
    if len(volumes) == 2:
        base = base_of_two(path, line, volumes, prices)
        if volumes[0] or volumes[1]:
            read.base_from[header.names[header.volumes[base]]] += 1
        else:
            read.base_from["neither: both are 0"] += 1
    read.times.append(_time(path, header, line, cells, read))
    read.prices.append(prices)
    read.volume.append(volumes[base])
    read.lines.append(line)
    if header.symbol is not None:
        read.symbols.add(cells[header.symbol].strip())


def _number(path: Path, header: _Header, line: int, cells: list[str], column: int) -> float:
    text = cells[column].strip()
    where = f"{path}: line {line}, column {header.names[column]}"
    try:
        return float(text.replace("_", "no number")) if text else float("nan")
    except ValueError:
        hint = "numbers are written with a decimal point and without thousands separators" if "," in text else None
        comma = " (it holds a comma)" if "," in text else ""
        raise ConfigError(f"{where}: {text[:60]!r} is not a number{comma}", hint=hint) from None


def _time(path: Path, header: _Header, line: int, cells: list[str], read: _Reading) -> int:
    """Seconds UTC of the open; every other time in the row is held against it."""

    def value(column: int, text: str | None = None) -> tuple[int, str]:
        text = cells[column].strip() if text is None else text
        try:
            return moment(text)
        except (ValueError, OverflowError) as error:
            where = f"{path}: line {line}, column {header.names[column]}"
            said = str(error) if column == header.date else f"is no time: {error}"
            raise ConfigError(f"{where}: {text[:60]!r} {said}", hint=f"expected {FORMS}") from None

    dated: int | None = None
    day_time = header.time_of_day
    joined = day_time is not None and is_time_of_day(cells[day_time].strip())
    if header.date is not None:
        text = cells[header.date].strip()
        if joined and day_time is not None:
            text = f"{text} {cells[day_time].strip().rjust(5, '0').zfill(5)}"
        dated, unit = value(header.date, text)
        if header.stamp is None or (joined and header.stamp == day_time):
            read.units["a date and a time column" if joined else unit] += 1
    columns = [k for k in (header.stamp, *header.others) if k is not None and not (joined and k == day_time)]
    if not columns:
        return _before_close(path, header, line, cells, dated or 0)
    chosen, unit = value(columns[0])
    read.units[unit] += 1
    for column in columns[1:]:
        if value(column)[0] != chosen:
            if not header.opens:
                raise _disagree(path, header, line, cells, columns[0], column)
            read.overruled[header.names[column]] += 1
    if dated is not None and header.date is not None and dated != chosen:
        raise _disagree(path, header, line, cells, columns[0], header.date)
    return _before_close(path, header, line, cells, chosen)


def _before_close(path: Path, header: _Header, line: int, cells: list[str], opened: int) -> int:
    """``opened``, after it was found to lie before the bar's close where the file says when that was."""
    if header.closes is None:
        return opened
    try:
        closed = moment(cells[header.closes].strip())[0]
    except (ValueError, OverflowError):
        return opened  # closes a millisecond before the next open are no whole second, and are not needed
    if closed <= opened:
        raise ConfigError(
            f"{path}: line {line}: the bar's time is not before its {header.names[header.closes]}",
            hint="a bar is named by its open time: give a column open_time",
        )
    return opened


def _disagree(path: Path, header: _Header, line: int, cells: list[str], first: int, second: int) -> ConfigError:
    one, other = header.names[first], header.names[second]
    word = "date" if second == header.date else f"column {other}"
    said = f"unix stamp {cells[first]} and {word} {cells[second]} disagree"
    return ConfigError(
        f"{path}: line {line}: {printable(said)}",
        hint=f"a bar is named by its open time: leave out {one} or {other}, or call the right one open_time",
    )


def _decisions(header: _Header, read: _Reading) -> list[str]:
    """What was decided, with counts."""
    said = [f"time: {count} stamps in {unit}" for unit, count in sorted(read.units.items())]
    if header.stamp is not None and header.date is not None and header.stamp != header.time_of_day:
        said.append("time: stamp and date agree in every row")
    if header.opens and header.others and header.stamp is not None:
        differ = ", ".join(f"{name!r} says another time in {count} rows" for name, count in read.overruled.items())
        said.append(f"time: {header.names[header.stamp]!r} is the open{'; ' + differ if differ else ''}")
    if len(header.volumes) == 2:
        said.append(
            "volume: row by row, base is the column whose product with the bar's low and high brackets the other: "
            + ", ".join(f"{count} rows from {name!r}" for name, count in sorted(read.base_from.items()))
        )
        return said
    name = header.names[header.volumes[0]]
    word = "as asked for" if header.asked_volume else "on the header's word"
    said.append(f"volume: {name!r} is taken as base volume {word}")
    unused = [other for other in header.names if other.startswith("volume") and other != name]
    if unused:
        said.append(f"volume: not used: {', '.join(map(repr, unused))}")
    return said
