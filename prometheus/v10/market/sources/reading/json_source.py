"""Reads bars from JSON: arrays of arrays as exchanges and ccxt give them, or objects with names, however deep inside.

Numbers are read from their text, so that a stamp keeps every digit that the file has. Lines of JSON, one value each,
are read as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.sources.reading.assembling import Piece, assembly
from prometheus.v10.market.sources.reading.column_roles import Roles, roles_of_header, roles_without_header
from prometheus.v10.market.sources.reading.file_names import named
from prometheus.v10.market.sources.reading.openings import Source, whole
from prometheus.v10.market.sources.reading.openings import reading as own_words
from prometheus.v10.market.sources.tables import RawTable, Reading

INSIDE = ("data", "result", "list", "candles", "rows", "ohlcv")
DEEPEST = 4
EXPECTED = "expected arrays such as [[1704067200000, 42000.0, ...], ...], or objects with open, high, low, close"


def read_json(source: Source, reading: Reading) -> RawTable:
    """Read one JSON file.

    Raises:
        ConfigError: for what is no JSON or holds no bars, or a cell that cannot be read, with its row.
        HostError: when the file cannot be opened.
    """
    names, rows = json_rows(source)
    if names is None:
        width = len(rows[0])
        _require_width(source, rows, width)
        numbers = [[_number_or_nan(cell) for cell in row] for row in rows[:1000]]
        roles = roles_without_header(str(source), width, numbers, reading, listed=True)
    else:
        roles = roles_of_header(str(source), names, reading)
    told = named(source.names, kraken=roles.form is not None and roles.form.name == "kraken")
    made = assembly(source, roles, reading, "row", told)
    made.add(_piece(source, roles, rows))
    return made.table()


def json_rows(source: Source) -> tuple[list[str] | None, list[list[Any]]]:
    """Names of columns, None where rows are arrays, and the rows.

    Raises:
        ConfigError: for what is no JSON, or holds no rows.
    """
    with own_words(source.path):
        text = whole(source).decode("utf-8-sig")
    try:
        value = json.loads(text, parse_float=str)
    except (ValueError, RecursionError) as error:
        try:
            value = [json.loads(line, parse_float=str) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise ConfigError(f"{source}: is not JSON: {printable(str(error))}", hint="download it again") from None
    found = _rows_in(value)
    if found is None or not found[1]:
        raise ConfigError(f"{source}: holds no rows of bars", hint=EXPECTED)
    return found


def _rows_in(value: Any, depth: int = 0) -> tuple[list[str] | None, list[list[Any]]] | None:
    """The first table inside ``value``."""
    if isinstance(value, list) and value:
        return _rows_of(value, depth)
    if not isinstance(value, Mapping) or depth >= DEEPEST:
        return None
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):  # pandas, orient="split"
        return [str(name) for name in value["columns"]], [list(row) for row in value["data"]]
    if (columns := _columns_in(value)) is not None:
        return columns
    inside = [value[name] for name in INSIDE if name in value]
    inside += [one for name, one in value.items() if name not in INSIDE and isinstance(one, list | dict)]
    return next((found for one in inside if (found := _rows_in(one, depth + 1)) is not None), None)


def _rows_of(value: list[Any], depth: int) -> tuple[list[str] | None, list[list[Any]]] | None:
    """A table that is given row by row."""
    if all(isinstance(row, list) and row and not any(isinstance(c, list | dict) for c in row) for row in value):
        return None, value
    if all(isinstance(row, Mapping) for row in value) and len(value[0]) > 1 and not _rows_in(value[0], depth + 1):
        names = list(value[0])
        return names, [[row.get(name) for name in names] for row in value]
    return _rows_in(value[0], depth + 1) if len(value) == 1 and depth < DEEPEST else None


def _columns_in(value: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]] | None:
    """A table that is given column by column: ``{"open": [...], ...}`` or pandas' ``{"open": {"0": ...}, ...}``."""
    if not {"open", "high", "low", "close"} <= {str(name).lower() for name in value}:
        return None
    columns = [list(one.values()) if isinstance(one, Mapping) else one for one in value.values()]
    if not all(isinstance(one, list) and len(one) == len(columns[0]) for one in columns):
        return None
    return [str(name) for name in value], [list(row) for row in zip(*columns, strict=True)]


def _require_width(source: Source, rows: Sequence[Sequence[Any]], width: int) -> None:
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise ConfigError(f"{source}: row {number}: {len(row)} cells where the first row has {width}")


def _piece(source: Source, roles: Roles, rows: Sequence[Sequence[Any]]) -> Piece:
    columns: dict[int, Any] = {}
    for k in {*roles.numbers, *roles.times, *roles.texts}:
        cells = [row[k] if k < len(row) else None for row in rows]
        if k in roles.numbers:
            columns[k] = np.array(list(_numbers(source, roles.names[k], cells)), dtype=np.float64)
        elif all(type(cell) is int and abs(cell) < 2**63 for cell in cells):
            columns[k] = np.array(cells, dtype=np.int64)
        else:
            columns[k] = np.array(["" if cell is None else str(cell) for cell in cells], dtype=object)
    return Piece(columns=columns, rows=np.arange(1, len(rows) + 1, dtype=np.int64))


def _numbers(source: Source, name: str, cells: Sequence[Any]) -> Iterator[float]:
    for number, cell in enumerate(cells, start=1):
        try:
            text = "no number" if isinstance(cell, bool) else str(cell).replace("_", "no number")
            yield float("nan") if cell is None or cell == "" else float(text)
        except (ValueError, TypeError, OverflowError):
            where = f"{source}: row {number}, column {name}"
            raise ConfigError(f"{where}: {printable(str(cell))[:60]!r} is not a number") from None


def _number_or_nan(cell: Any) -> float:
    try:
        return float(cell)
    except (ValueError, TypeError, OverflowError):
        return float("nan")
