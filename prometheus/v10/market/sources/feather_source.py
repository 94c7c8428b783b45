"""Reads freqtrade's feather files: bars, and the funding series that lies beside them.

``date`` is the UTC open time, volume is in base currency; in a ``-funding_rate`` file the rate stands in column
``open``. pyarrow is an optional dependency: it is large, and nothing but this reader needs it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from prometheus.v10.base.errors import ConfigError, UsageError, host_error
from prometheus.v10.market.bars import PRICE_COLUMNS, Floats, Ints
from prometheus.v10.market.sources.tables import RawTable

TIMEFRAME_IN_NAME = re.compile(r"^(?P<pair>.+)-\d+[mhdw]-(?P<kind>[a-z_]+)\.feather$")
NANOSECONDS = 10**9
LEAST_NS = 10**17  # nanoseconds passed it in 1973: a smaller count is of another unit


def read_feather(path: Path) -> RawTable:
    """Read one file of bars.

    Raises:
        ConfigError: when the file is no feather file of bars, or a time is not a whole second.
        UsageError: when pyarrow is not installed.
    """
    if _kind(path) == "funding_rate":
        raise ConfigError(
            f"{path}: is a funding series, not bars", hint="name the bars; the funding beside them is found"
        )
    table = _table(path, ("date", *PRICE_COLUMNS, "volume"))
    count = len(table["date"])
    return RawTable(
        open_time=_seconds(path, table["date"]),
        prices={name: table[name] for name in PRICE_COLUMNS},
        volume=table["volume"],
        rows=np.arange(1, count + 1, dtype=np.int64),
        row_word="row",
        symbol=_symbol(path),
        decisions=["volume: taken as base volume, as freqtrade's format says"],
    )


def read_funding(path: Path) -> tuple[Ints, Floats]:
    """Read a funding series: booking times, int64[F] seconds UTC, and rates, float64[F] as fractions of notional.

    Raises:
        ConfigError: when the file is no feather file of funding rates.
        UsageError: when pyarrow is not installed.
    """
    table = _table(path, ("date", "open"))
    # Exchanges stamp bookings some milliseconds late; which boundary is meant is told by `funding`.
    return np.asarray(table["date"] // NANOSECONDS, dtype=np.int64), table["open"]


def funding_beside(path: Path) -> Path | None:
    """The one funding series that freqtrade stored next to these bars, if there is exactly one."""
    match = TIMEFRAME_IN_NAME.match(path.name)
    if match is None:
        return None
    found = sorted(
        other
        for other in path.parent.glob("*-funding_rate.feather")
        if (mine := TIMEFRAME_IN_NAME.match(other.name)) and mine["pair"] == match["pair"]
    )
    return found[0] if len(found) == 1 else None


def _kind(path: Path) -> str | None:
    match = TIMEFRAME_IN_NAME.match(path.name)
    return match["kind"] if match else None


def _symbol(path: Path) -> str | None:
    """``BTC_USDT_USDT-5m-futures.feather`` is ``BTC/USDT:USDT``, as freqtrade writes pairs into names."""
    match = TIMEFRAME_IN_NAME.match(path.name)
    if match is None:
        return None
    parts = match["pair"].split("_")
    return f"{parts[0]}/{parts[1]}" + (f":{parts[2]}" if len(parts) > 2 else "") if len(parts) > 1 else parts[0]


def _table(path: Path, columns: tuple[str, ...]) -> dict[str, Any]:
    """The named columns: ``date`` as int64 nanoseconds, the others as float64 with NaN for null."""
    try:
        import pyarrow as pa  # noqa: PLC0415  (optional, and 0.1 s to import)
        from pyarrow import feather  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"{path}: reading feather files needs pyarrow, which is not installed",
            hint="install the extra: pip install 'prometheus-quant[arrow]', or convert the file to CSV",
        ) from error
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: is not a regular file", hint="name a CSV or feather file")
        table = feather.read_table(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file", hint="name a CSV or feather file, or a market of the library"
        ) from error
    except (pa.ArrowException, UnicodeError) as error:
        raise ConfigError(f"{path}: is not a feather file: {error}") from error
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    try:
        names = table.column_names  # decoded only here: a name may be no UTF-8
        if doubled := [name for name in columns if names.count(name) > 1]:
            raise ConfigError(f"{path}: holds the columns {', '.join(doubled)} more than once")
        if missing := [name for name in columns if name not in names]:
            raise ConfigError(f"{path}: lacks the columns {', '.join(missing)}", hint="expected freqtrade's layout")
        read = {name: _column(pa, table[name], name) for name in columns}
    except (pa.ArrowException, ValueError, TypeError, OverflowError, LookupError) as error:
        raise ConfigError(f"{path}: holds a column that is not of freqtrade's types: {error}") from error
    return read


def _column(pa: Any, column: Any, name: str) -> Any:
    kind = column.type
    if name == "date":
        if column.null_count:
            raise pa.ArrowInvalid("date has empty cells")
        if pa.types.is_integer(kind):
            if not pa.types.is_int64(kind) or min(column.to_pylist(), default=LEAST_NS) < LEAST_NS:
                raise pa.ArrowInvalid(f"date is of type {kind}: expected timestamps, or int64 nanoseconds")
        elif not (pa.types.is_temporal(kind) or pa.types.is_string(kind)):
            raise pa.ArrowInvalid(f"date is of type {kind}: expected timestamps")
        return np.asarray(column.cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy(), dtype=np.int64)
    if pa.types.is_decimal(kind):  # through text: the nearest double of what is written
        return np.array([np.nan if cell is None else float(str(cell)) for cell in column.to_pylist()], dtype=np.float64)
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        raise pa.ArrowInvalid(f"{name} is of type {kind}: expected numbers")
    return np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _seconds(path: Path, nanoseconds: Any) -> Ints:
    broken = np.flatnonzero(nanoseconds % NANOSECONDS)
    if len(broken):
        raise ConfigError(f"{path}: row {int(broken[0]) + 1}, column date: is not a whole second")
    return np.asarray(nanoseconds // NANOSECONDS, dtype=np.int64)
