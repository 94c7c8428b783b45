"""Reads bars from CSV in the shape that crypto data vendors publish: a header, a unix stamp or UTC date, OHLC, volume.

The rule for volume: vendors have published both volumes, and have swapped the two columns for years on end under an
unchanged header. So where there are two, neither name is believed. Quote volume is base volume times a price that the
bar saw; for each row the column is base volume whose product with the row's low and high brackets the other one. Two
zeros are zero. A row for which neither or both would do is refused by its line.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import numpy as np

from prometheus.v10.base.errors import ConfigError, HostError, host_error
from prometheus.v10.market.bars import PRICE_COLUMNS
from prometheus.v10.market.tables import RawTable, stamp_seconds

STAMP_NAMES = ("unix", "timestamp", "open_time", "time")
DATE_NAMES = ("date", "datetime")
SYMBOL_NAMES = ("symbol", "pair")
HEADER_WITHIN = 5  # some vendors put their address above the header
VOLUME_TOLERANCE = 2e-3  # both volumes are rounded, and the vendor's quote volume uses prices of its own


@attrs.frozen
class _Header:
    """Which column holds what."""

    line: int
    width: int
    stamp: int | None
    date: int | None
    symbol: int | None
    prices: tuple[int, int, int, int]
    volumes: tuple[int, ...]
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


def read_csv(path: Path) -> RawTable:
    """Read one CSV file.

    Raises:
        ConfigError: for a header without the columns of a bar, or a row that cannot be read, with its line.
        HostError: when the file cannot be opened.
    """
    reading = _Reading()
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            lines = csv.reader(handle)
            header = _find_header(path, lines)
            for cells in lines:
                if cells:
                    _read_row(path, header, lines.line_num, cells, reading)
    except OSError as error:
        raise _cannot_read(error, path) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: is not CSV text: {error}") from error
    if not reading.times:
        raise ConfigError(f"{path}: holds a header and no row")
    if len(reading.symbols) > 1:
        raise ConfigError(
            f"{path}: holds several instruments: {', '.join(sorted(reading.symbols)[:5])}", hint="split it first"
        )
    prices = np.array(reading.prices, dtype=np.float64)
    return RawTable(
        open_time=np.array(reading.times, dtype=np.int64),
        prices={name: prices[:, k].copy() for k, name in enumerate(PRICE_COLUMNS)},
        volume=np.array(reading.volume, dtype=np.float64),
        rows=np.array(reading.lines, dtype=np.int64),
        row_word="line",
        symbol=next(iter(reading.symbols), None),
        decisions=_decisions(header, reading),
    )


def _cannot_read(error: OSError, path: Path) -> ConfigError | HostError:
    if isinstance(error, FileNotFoundError | IsADirectoryError):
        return ConfigError(f"{path}: no such file", hint="name a CSV or feather file, or a market of the library")
    return host_error(error, f"cannot read {path}")


def _find_header(path: Path, lines: Iterator[list[str]]) -> _Header:
    """The first of the opening lines that names open and close."""
    for number, cells in enumerate(lines, start=1):
        names = [cell.strip().lower() for cell in cells]
        if "open" in names and "close" in names:
            return _header(path, number, names)
        if number >= HEADER_WITHIN:
            break
    raise ConfigError(
        f"{path}: none of its first {HEADER_WITHIN} lines names the columns open and close",
        hint="expected a header such as unix,date,symbol,open,high,low,close,volume",
    )


def _header(path: Path, number: int, names: list[str]) -> _Header:
    """Find the columns of a bar among ``names``."""

    def first(wanted: tuple[str, ...]) -> int | None:
        return next((names.index(name) for name in wanted if name in names), None)

    volumes = tuple(k for k, name in enumerate(names) if name.startswith("volume"))
    stamp, date = first(STAMP_NAMES), first(DATE_NAMES)
    missing = [name for name in PRICE_COLUMNS if name not in names]
    missing += ["a time (unix or date)"] if stamp is None and date is None else []
    missing += ["volume"] if not volumes else []
    if missing:
        raise ConfigError(f"{path}: line {number}: the header lacks {', '.join(missing)}")
    if len(volumes) > 2:
        raise ConfigError(
            f"{path}: line {number}: the header has {len(volumes)} volume columns, two at most are understood"
        )
    at = {name: names.index(name) for name in PRICE_COLUMNS}
    prices = (at["open"], at["high"], at["low"], at["close"])
    return _Header(number, len(names), stamp, date, first(SYMBOL_NAMES), prices, volumes, names)


def _read_row(path: Path, header: _Header, line: int, cells: list[str], reading: _Reading) -> None:
    """Append one row."""
    if len(cells) != header.width:
        raise ConfigError(f"{path}: line {line}: {len(cells)} cells where the header has {header.width}")
    prices = tuple(_number(path, header, line, cells, k) for k in header.prices)
    volumes = tuple(_number(path, header, line, cells, k) for k in header.volumes)
    base = 0
    if len(volumes) == 2:
        base = _base_volume(path, line, volumes, prices)
        if volumes[0] or volumes[1]:
            reading.base_from[header.names[header.volumes[base]]] += 1
        else:
            reading.base_from["neither: both are 0"] += 1
    reading.times.append(_time(path, header, line, cells, reading))
    reading.prices.append(prices)
    reading.volume.append(volumes[base])
    reading.lines.append(line)
    if header.symbol is not None:
        reading.symbols.add(cells[header.symbol].strip())


def _number(path: Path, header: _Header, line: int, cells: list[str], column: int) -> float:
    text = cells[column].strip()
    try:
        return float(text) if text else float("nan")
    except ValueError:
        raise ConfigError(f"{path}: line {line}, column {header.names[column]}: {text!r} is not a number") from None


def _time(path: Path, header: _Header, line: int, cells: list[str], reading: _Reading) -> int:
    """Seconds UTC; where the row has both a stamp and a date, they must agree."""
    stamped = dated = None
    if header.stamp is not None:
        stamped, unit = _stamp(path, header.names[header.stamp], line, cells[header.stamp].strip())
        reading.units[unit] += 1
    if header.date is not None:
        dated = _date(path, header.names[header.date], line, cells[header.date].strip())
    if stamped is not None and dated is not None and stamped != dated:
        raise ConfigError(
            f"{path}: line {line}: unix stamp {cells[header.stamp or 0]} and date {cells[header.date or 0]} disagree"
        )
    return stamped if stamped is not None else dated or 0


def _stamp(path: Path, column: str, line: int, text: str) -> tuple[int, str]:
    """Seconds UTC, and the unit they were given in: a count since 1970, or a date in a column of stamps."""
    if ":" in text:
        return _date(path, column, line, text), "dates"
    try:
        return stamp_seconds(int(text.removesuffix(".0")))
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: line {line}, column {column}: {text!r} is no time: {error}") from None


def _date(path: Path, column: str, line: int, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        moment = None
    if moment is not None and moment.microsecond == 0 and moment.utcoffset() in {None, timedelta(0)}:
        return int(moment.replace(tzinfo=UTC).timestamp())
    raise ConfigError(
        f"{path}: line {line}, column {column}: {text!r} is no UTC date", hint="expected 2022-03-01 00:00:00"
    )


def _base_volume(path: Path, line: int, volumes: tuple[float, ...], prices: tuple[float, ...]) -> int:
    """Which of two volumes is in base currency: 0 or 1."""
    first, second = volumes
    if not all(map(math.isfinite, (*volumes, *prices))) or (first == 0 and second == 0):
        return 0  # the validator names what is not finite
    least, most = min(prices) * (1 - VOLUME_TOLERANCE), max(prices) * (1 + VOLUME_TOLERANCE)
    fits_first = least * first <= second <= most * first
    fits_second = least * second <= first <= most * second
    if fits_first == fits_second:
        which = "both columns" if fits_first else "neither column"
        raise ConfigError(
            f"{path}: line {line}: {which} can be base volume: {first:g} and {second:g} "
            f"at prices {min(prices):g} to {max(prices):g}",
            hint="quote volume must be base volume times a price of the bar",
        )
    return 0 if fits_first else 1


def _decisions(header: _Header, reading: _Reading) -> list[str]:
    """What was decided, with counts."""
    said = [f"time: {count} stamps in {unit}" for unit, count in sorted(reading.units.items())]
    if header.stamp is not None and header.date is not None:
        said.append("time: stamp and date agree in every row")
    if len(header.volumes) == 2:
        said.append(
            "volume: row by row, base is the column whose product with the bar's low and high brackets the other: "
            + ", ".join(f"{count} rows from {name!r}" for name, count in sorted(reading.base_from.items()))
        )
    else:
        said.append(f"volume: {header.names[header.volumes[0]]!r} is taken as base volume on the header's word")
    return said
