"""Reads bars from feather and parquet files, as freqtrade, pandas and polars write them.

pyarrow is an optional dependency: it is large, and nothing but this reader needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from prometheus.v10.base.errors import ConfigError, UsageError, host_error
from prometheus.v10.base.extras import hint_for
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import Floats, Ints
from prometheus.v10.market.sources.reading.assembling import Piece, assembly
from prometheus.v10.market.sources.reading.column_roles import INDEX_NAMES, Roles, names_of, roles_of_header
from prometheus.v10.market.sources.reading.file_names import named
from prometheus.v10.market.sources.reading.openings import NAME_ONE, Kind, Source, source_of, whole
from prometheus.v10.market.sources.tables import RawTable, Reading

NANOSECONDS = 10**9


def read_arrow(source: Source, reading: Reading) -> RawTable:
    """Read one feather or parquet file of bars.

    Raises:
        ConfigError: when the file is none of its kind, lacks a column, or holds what is no time or number.
        UsageError: when pyarrow is not installed.
    """
    told = named(source.names)
    if told.kind == "funding_rate":
        raise ConfigError(
            f"{source}: is a funding series, not bars", hint="name the bars; the funding beside them is found"
        )
    table = _table(source)
    names = _names(source, table)
    roles = roles_of_header(str(source), names, reading)
    made = assembly(source, roles, reading, "row", told)
    made.add(_piece(source, table, roles))
    return made.table()


def read_funding_table(path: Path) -> tuple[Ints, Floats]:
    """Read freqtrade's funding series: booking times, int64[F] seconds UTC, and rates, float64[F].

    The rate stands in column ``open``. Exchanges stamp bookings some milliseconds late; which boundary is meant is told
    by `funding`.

    Raises:
        ConfigError: when the file is no table of funding rates.
        UsageError: when pyarrow is not installed.
    """
    source = source_of(path)
    if source.kind not in {Kind.FEATHER, Kind.PARQUET}:
        raise ConfigError(f"{path}: is not a feather file", hint="name a file of funding rates")
    table = _table(source)
    names = [name.lower() for name in _names(source, table)]
    rate = next((name for name in ("funding_rate", "fundingrate", "open") if name in names), None)
    if "date" not in names or rate is None:
        raise ConfigError(f"{path}: lacks the columns date and open", hint="expected freqtrade's layout")
    pa = _pyarrow(source)
    try:
        times = _times(pa, table.column(names.index("date")))
        rates = _floats(pa, table.column(names.index(rate)))
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise ConfigError(f"{path}: holds a column that is not of freqtrade's types: {error}") from error
    return np.asarray(times // NANOSECONDS, dtype=np.int64), rates


def _pyarrow(source: Source) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415  (optional, and 0.1 s to import)
    except ImportError as error:
        raise UsageError(
            f"{source}: reading {source.kind} files needs pyarrow, which is not installed",
            hint=hint_for("arrow", "prometheus-quant market import FILE NAME reads it: name that market instead"),
        ) from error
    return pa


def _table(source: Source) -> Any:
    pa = _pyarrow(source)
    from pyarrow import feather, parquet  # noqa: PLC0415

    try:
        content: Any = pa.BufferReader(whole(source)) if source.packed else str(source.path)
        if source.kind is Kind.PARQUET:
            with parquet.ParquetFile(content) as file:
                return file.read()
        return feather.read_table(content)
    except FileNotFoundError as error:
        raise ConfigError(f"{source}: no such file", hint=NAME_ONE) from error
    except (pa.ArrowException, UnicodeError) as error:
        raise ConfigError(f"{source}: is not a {source.kind} file: {printable(str(error))}") from error
    except OSError as error:
        if error.errno is None:
            raise ConfigError(f"{source}: is not a {source.kind} file: {printable(str(error))}") from error
        raise host_error(error, f"cannot read {source}") from error


def _names(source: Source, table: Any) -> list[str]:
    """Names of the columns; an index of pandas is called what it is."""
    try:
        names = [str(name) for name in table.column_names]  # decoded only here: a name may be no UTF-8
    except UnicodeError as error:
        raise ConfigError(f"{source}: holds a column whose name is not of freqtrade's types: {error}") from error
    index = [k for k, name in enumerate(names) if name.lower() in INDEX_NAMES and _is_time(table.schema.field(k).type)]
    if len(index) == 1 and not {"date", "datetime", "timestamp", "time"} & set(names_of(names)):
        names[index[0]] = "date"
    return names


def _is_time(kind: Any) -> bool:
    return str(kind).startswith(("timestamp", "date"))


def _piece(source: Source, table: Any, roles: Roles) -> Piece:
    pa = _pyarrow(source)
    columns: dict[int, Any] = {}
    dates: dict[int, bool] = {}
    at = ""
    try:
        for k in sorted({*roles.numbers, *roles.times, *roles.texts}):
            at, column = roles.names[k], table.column(k)
            if k in roles.numbers:
                columns[k] = _floats(pa, column)
            elif k == roles.symbol:
                columns[k] = np.array([str(cell) for cell in column.to_pylist()], dtype=object)
            else:
                columns[k], utc = _moments(pa, column)
                if columns[k].dtype.kind == "M":
                    dates[k] = utc
    except (pa.ArrowException, ValueError, TypeError, OverflowError, LookupError) as error:
        raise ConfigError(f"{source}: column {at} cannot be read: {printable(str(error))}") from error
    rows = np.arange(1, table.num_rows + 1, dtype=np.int64)
    for k in roles.times:
        if columns[k].dtype.kind == "M":
            columns[k] = _whole_seconds(source, roles.names[k], columns[k])
    return Piece(columns=columns, rows=rows, dates=dates)


def _moments(pa: Any, column: Any) -> tuple[Any, bool]:
    """A column of times: datetime64[ns] of timestamps and dates, else numbers or texts; and whether it is in UTC."""
    kind = column.type
    if column.null_count:
        raise pa.ArrowInvalid("it has empty cells")
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        utc = getattr(kind, "tz", None) is not None
        moments = column.cast(pa.timestamp("ns", "UTC" if utc else None))
        return moments.cast(pa.int64()).to_numpy().astype("M8[ns]"), utc
    if pa.types.is_integer(kind):
        return column.cast(pa.int64()).to_numpy(), False
    if pa.types.is_floating(kind):
        return column.cast(pa.float64()).to_numpy(), False
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(column.to_pylist(), dtype=object), False
    raise pa.ArrowInvalid(f"it is of type {kind}: expected timestamps")


def _times(pa: Any, column: Any) -> Any:
    """int64 nanoseconds of a column of timestamps."""
    found, _ = _moments(pa, column)
    if found.dtype.kind != "M":
        raise pa.ArrowInvalid(f"it is of type {column.type}: expected timestamps")
    return found.astype(np.int64)


def _whole_seconds(source: Source, name: str, moments: Any) -> Ints:
    nanoseconds = moments.astype(np.int64)
    broken = np.flatnonzero(nanoseconds % NANOSECONDS)
    if len(broken):
        raise ConfigError(f"{source}: row {int(broken[0]) + 1}, column {name}: is not a whole second")
    return np.asarray(nanoseconds // NANOSECONDS, dtype=np.int64)


def _floats(pa: Any, column: Any) -> Any:
    """float64 with NaN for null."""
    kind = column.type
    if pa.types.is_decimal(kind):  # through text: the nearest double of what is written
        return np.array([np.nan if cell is None else float(str(cell)) for cell in column.to_pylist()], dtype=np.float64)
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        raise pa.ArrowInvalid(f"it is of type {kind}: expected numbers")
    return np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
