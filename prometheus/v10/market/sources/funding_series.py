"""Reads funding series: freqtrade's feather files, and what Binance and OKX publish as CSV or JSON, packed or not."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import Floats, Ints, bar_time
from prometheus.v10.market.sources.joining import together
from prometheus.v10.market.sources.reading.arrow_source import read_funding_table
from prometheus.v10.market.sources.reading.column_roles import key_of
from prometheus.v10.market.sources.reading.csv_text import END
from prometheus.v10.market.sources.reading.file_names import FUNDING, named
from prometheus.v10.market.sources.reading.json_source import json_rows
from prometheus.v10.market.sources.reading.openings import Kind, Source, file_identity, is_data, source_of, whole
from prometheus.v10.market.sources.reading.openings import reading as own_words
from prometheus.v10.market.sources.symbols import agree
from prometheus.v10.market.sources.tables import STAMP_UNITS

TIME_NAMES = ("calc_time", "funding_time", "fundingtime", "fundingratetimestamp", "funding_rate_timestamp")
RATE_NAMES = ("last_funding_rate", "realizedrate", "funding_rate", "fundingrate")  # OKX: what was booked, then forecast
SYMBOL_NAMES = ("instrument_name", "instid", "inst_id", "symbol")
EXPECTED = "expected calc_time,funding_interval_hours,last_funding_rate or instrument_name,funding_rate,funding_time"


@frozen(kw_only=True)
class Series:
    """A funding series as a file gives it.

    Attributes:
        booked: int64[F], booking times, seconds UTC.
        rates: float64[F], fractions of notional.
        decisions: sentences.
    """

    booked: Ints
    rates: Floats
    decisions: list[str]


def is_funding(source: Source) -> bool:
    """Whether a file of text or JSON names the columns of funding rates."""
    if source.kind is not Kind.TEXT:
        return False
    with own_words(source.path), source.stream() as handle:
        head = handle.read(1 << 10).decode("utf-8", "replace").lstrip("\ufeff")
    keys = {key_of(cell) for cell in head.partition("\n")[0].strip().split(",")}
    return bool(keys & set(TIME_NAMES)) and bool(keys & set(RATE_NAMES))


def read_funding(path: Path, symbol: str) -> Series:
    """Read a funding series.

    Args:
        path: the file, or a folder of files that continue each other.
        symbol: the instrument that it must be of; of a file with several instruments its own rows are taken.

    Raises:
        ConfigError: when the file holds no funding rates, or those of another instrument.
        UsageError: when pyarrow is needed and not installed.
    """
    files = funding_files(path)
    if files != [path]:
        return _continued([read_funding(one, symbol) for one in files], files)
    source = source_of(path)
    if source.kind in {Kind.FEATHER, Kind.PARQUET}:
        booked, rates = read_funding_table(path)
        return Series(booked=booked, rates=rates, decisions=[])
    names, rows = json_rows(source) if source.kind is Kind.JSON else _csv_rows(source)
    if names is None:
        raise ConfigError(f"{path}: holds no funding rates", hint=EXPECTED)
    keys = [key_of(name) for name in names]
    times = next((keys.index(name) for name in TIME_NAMES if name in keys), None)
    rates_at = next((keys.index(name) for name in RATE_NAMES if name in keys), None)
    if times is None or rates_at is None:
        raise ConfigError(f"{path}: holds no funding rates: its columns are {_shown(names)}", hint=EXPECTED)
    of = next((keys.index(name) for name in SYMBOL_NAMES if name in keys), None)
    said = list(source.decisions)
    if of is not None:
        mine = [k for k, row in enumerate(rows) if agree(str(row[of]), symbol)]
        if not mine:
            raise ConfigError(f"{path}: holds no funding rate of {symbol}, but of {_shown([str(rows[0][of])])}")
        if len(mine) < len(rows):
            said.append(f"funding: {len(mine)} of {len(rows)} rows are of {printable(symbol)}")
    else:
        mine = list(range(len(rows)))
        told = next((found["symbol"] for name in source.names if (found := FUNDING.search(name))), None)
        if told is not None and not agree(told, symbol):
            raise ConfigError(f"{path}: its name says {told}, the bars are of {symbol}")
    pairs = sorted({_pair(path, k + 1, rows[k][times], rows[k][rates_at]) for k in mine})
    if len(pairs) < len(mine):
        said.append(f"funding: rows that repeat another one exactly were dropped: {len(mine) - len(pairs)}")
    return Series(
        booked=np.array([booked for booked, _ in pairs], dtype=np.int64),
        rates=np.array([rate for _, rate in pairs], dtype=np.float64),
        decisions=said,
    )


def funding_files(path: Path) -> list[Path]:
    """The files that a series is named by: itself, or those of a folder, by their names.

    Raises:
        ConfigError: for a folder without one.
    """
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.is_file() and is_data(one))
    if not found:
        raise ConfigError(f"{path}: holds no file of funding rates", hint=EXPECTED)
    return found


def series_sha256(path: Path) -> str:
    """The hash of a series' file; of a folder the hash of its list, as ``sha256sum`` prints it.

    Raises:
        ConfigError: as `funding_files`.
        HostError: when a file cannot be read.
    """
    files = funding_files(path)
    if files == [path]:
        return file_identity(path)[1]
    lines = "".join(f"{file_identity(one)[1]}  {one.name}\n" for one in files)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _continued(parts: list[Series], files: list[Path]) -> Series:
    """Several series as one; a booking that two of them have must be the same."""
    rates: dict[int, float] = {}
    for part, path in zip(parts, files, strict=True):
        for booked, rate in zip(part.booked.tolist(), part.rates.tolist(), strict=True):
            if rates.setdefault(booked, rate) != rate:
                raise ConfigError(
                    f"{path}: the rate of {bar_time(booked)} is {rate!r}, another file has {rates[booked]!r}"
                )
    order = sorted(rates)
    said = together([(printable(path.name), part.decisions) for part, path in zip(parts, files, strict=True)])
    return Series(
        booked=np.array(order, dtype=np.int64),
        rates=np.array([rates[booked] for booked in order], dtype=np.float64),
        decisions=[*said, f"funding: {len(files)} files were joined; the sha256 is of the list of theirs"],
    )


def funding_beside(path: Path) -> Path | None:
    """The one funding series that freqtrade stored next to these bars, if there is exactly one."""
    told = named([path.name])
    if told.stem is None or told.kind is None:
        return None
    found = sorted(
        other
        for other in path.parent.glob("*-funding_rate.feather")
        if (mine := named([other.name])).stem == told.stem and mine.kind == "funding_rate"
    )
    return found[0] if len(found) == 1 else None


def _csv_rows(source: Source) -> tuple[list[str], list[list[Any]]]:
    with own_words(source.path):
        text = whole(source).decode("utf-8-sig")
        lines = [cells for cells in csv.reader(io.StringIO(text, newline="")) if cells]
    if not lines:
        raise ConfigError(f"{source}: holds no funding rates", hint=EXPECTED)
    if not text.endswith("\n"):
        source.decisions.append(END)
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(lines[0]):
            raise ConfigError(f"{source}: line {number}: {len(cells)} cells where the header has {len(lines[0])}")
    return lines[0], lines[1:]


def _pair(path: Path, row: int, time: Any, rate: Any) -> tuple[int, float]:
    """Booking time in whole seconds, and rate; exchanges stamp bookings some milliseconds late."""
    try:
        stamp = int(str(time).strip())
        per_second = next((per for least, per, _ in STAMP_UNITS if abs(stamp) >= least), 1)
        return stamp // per_second, float(str(rate).strip())
    except (ValueError, OverflowError):
        said = f"{printable(str(time))[:40]!r} and {printable(str(rate))[:40]!r}"
        raise ConfigError(f"{path}: row {row}: {said} are no booking time and rate") from None


def _shown(names: list[str]) -> str:
    return printable(", ".join(map(str, names)))[:120]
