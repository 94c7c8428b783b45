"""Reads bars from CSV: a header or none, a unix stamp or date, OHLC, volume; whole pieces of the file at a time.

numpy's reader takes a piece where every cell is as the first row promises; where it cannot, the piece is read cell by
cell, which names the line and the column of what is wrong, or finds that nothing is.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import Ints
from prometheus.v10.market.sources.reading.assembling import Piece, assembly
from prometheus.v10.market.sources.reading.column_roles import (
    Roles,
    names_of,
    roles_of_header,
    roles_without_header,
)
from prometheus.v10.market.sources.reading.csv_text import END, Form, form_of
from prometheus.v10.market.sources.reading.file_names import named
from prometheus.v10.market.sources.reading.openings import Source
from prometheus.v10.market.sources.reading.openings import reading as own_words
from prometheus.v10.market.sources.tables import RawTable, Reading

PIECE = 1 << 20  # characters
LONGEST_LINE = 1 << 16
MOST_EXPECTED = 1 << 26  # rows for which room is made beforehand
SAMPLE = 1000  # rows that show a format without a header
WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)
TEXT_CELL = "S48"  # longer than any time; what fills it is read cell by cell
SYMBOL_CELL = "S96"


def read_csv(source: Source, reading: Reading) -> RawTable:
    """Read one CSV file.

    Args:
        source: the file.
        reading: what the operator says.

    Raises:
        ConfigError: for a file without the columns of a bar, or a row that cannot be read, with its line.
        HostError: when the file cannot be opened.
    """
    with own_words(source.path):
        form = form_of(source)
        with source.stream() as raw, io.TextIOWrapper(raw, form.encoding, newline=None) as text:
            unended: list[str] = []
            pieces = _pieces(source, form, text, unended)
            first = next(pieces, None)
            roles, first = _roles(source, form, first, reading)
            told = named(source.names, kraken=roles.form is not None and roles.form.name == "kraken")
            made = assembly(source, roles, reading, "line", told)
            reader = _Reader(source, form, roles)
            if first is not None:
                made.expected = _rows_in(source, first[0])
                made.add(reader.piece(*first))
            for lines in pieces:
                made.add(reader.piece(*lines))
            repeated = [f"header: lines that repeat it were left out: {reader.headers}"] if reader.headers else []
    return made.table(*form.decisions, *unended, *repeated)


def _rows_in(source: Source, first: list[str]) -> int:
    """How many rows a file may have, by its size and its first lines; 0 where its size says nothing."""
    size = 0 if source.packed else source.path.stat().st_size
    return min(MOST_EXPECTED, size * len(first) * 51 // (50 * (sum(map(len, first)) + len(first))))


_Lines = tuple[list[str], Ints, bool]


def _pieces(source: Source, form: Form, text: Any, unended: list[str]) -> Iterator[_Lines]:
    """Lines behind the header, their numbers, and whether some are quoted; blank ones are left out.

    ``unended`` is told of a last line without end.
    """
    rest, number = "", 1
    while True:
        block = text.read(PIECE)
        whole = rest + block
        cut = whole.rfind("\n") + 1 if block else len(whole)
        if block and not cut and len(whole) > LONGEST_LINE:
            raise ConfigError(f"{source}: line {number} is longer than {LONGEST_LINE} characters", hint="is it CSV?")
        whole, rest = whole[:cut], whole[cut:]
        lines = whole.split("\n")
        if not lines[-1]:
            lines.pop()
        else:
            unended.append(END)
        rows = np.arange(number, number + len(lines), dtype=np.int64)
        number += len(lines)
        skipped = int(np.searchsorted(rows, form.header_line, side="right"))
        lines, rows = lines[skipped:], rows[skipped:]
        if "" in lines:
            kept = [k for k, line in enumerate(lines) if line]
            lines, rows = [lines[k] for k in kept], rows[kept]
        if lines:
            yield lines, rows, '"' in whole
        if not block:
            return


def _roles(source: Source, form: Form, first: _Lines | None, reading: Reading) -> tuple[Roles, _Lines | None]:
    if form.header is not None:
        return roles_of_header(f"{source}: line {form.header_line}", form.header, reading), first
    lines = first[0][:SAMPLE] if first else []
    table = [[_float(cell) for cell in cells] for cells in csv.reader(lines, delimiter=form.separator)]
    width = len(table[0]) if table else 0
    rows = [row for row in table if len(row) == width]
    return roles_without_header(str(source), width, rows, reading), first


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


class _Reader:
    """Cells of a piece of the file, as columns."""

    def __init__(self, source: Source, form: Form, roles: Roles) -> None:
        self.source, self.form, self.roles = source, form, roles
        self.headers = 0
        self._times, self._texts, self._numbers = set(roles.times), set(roles.texts), set(roles.numbers)
        self._type: Any = None

    def piece(self, lines: list[str], rows: Ints, quoted: bool) -> Piece:  # noqa: FBT001
        """The columns of some lines."""
        if quoted and (odd := next((k for k, line in enumerate(lines) if line.count('"') % 2), None)) is not None:
            raise ConfigError(f"{self.source}: line {int(rows[odd])}: a quoted cell does not end in its line")
        if self._type is None:
            self._type = self._types(lines[0])
        try:
            table = np.loadtxt(
                lines, dtype=self._type, delimiter=self.form.separator, comments=None, quotechar='"', ndmin=1
            )
        except (ValueError, UnicodeError, DeprecationWarning):
            return self._by_cell(lines, rows)
        columns = {k: np.ascontiguousarray(table[f"c{k}"]) for k in self._numbers | self._times | self._texts}
        if len(table) != len(lines) or any(
            column.dtype.kind == "S" and column.view(np.uint8).reshape(len(column), -1)[:, -1].any()
            for column in columns.values()
        ):
            return self._by_cell(lines, rows)
        return Piece(columns=columns, rows=rows)

    def _types(self, line: str) -> Any:
        """Numpy's type of a row, by the first one; what nobody asks for is cut to a character."""
        cells = next(csv.reader([line], delimiter=self.form.separator), [])
        width, kinds = len(self.roles.names), []
        for k in range(width):
            if k in self._numbers:
                kinds.append("f8")
            elif k in self._times:
                kinds.append("i8" if k < len(cells) and WHOLE.fullmatch(cells[k].strip()) else TEXT_CELL)
            else:
                kinds.append(SYMBOL_CELL if k in self._texts else "S1")
        return np.dtype([(f"c{k}", kind) for k, kind in enumerate(kinds)])

    def _by_cell(self, lines: list[str], rows: Ints) -> Piece:
        """The same, cell by cell; an empty number is NaN.

        Raises:
            ConfigError: naming line and column.
        """
        width, names = len(self.roles.names), self.roles.names
        found: dict[int, list[Any]] = {k: [] for k in self._numbers | self._times | self._texts}
        kept = []
        for cells, row in zip(csv.reader(lines, delimiter=self.form.separator), rows.tolist(), strict=True):
            if self.form.header is not None and names_of(cells) == list(names):
                self.headers += 1
                continue
            if len(cells) != width:
                raise ConfigError(
                    f"{self.source}: line {row}: {len(cells)} cells where the {self._first} has {width}",
                    hint="if the file was cut off there, download it again; else mend the line",
                )
            kept.append(row)
            for k, column in found.items():
                cell = cells[k].strip()
                column.append(self._number(cell, row, k) if k in self._numbers else cell)
        columns = {
            k: np.array(column, dtype=np.float64 if k in self._numbers else object) for k, column in found.items()
        }
        return Piece(columns=columns, rows=np.array(kept, dtype=np.int64))

    @property
    def _first(self) -> str:
        return "header" if self.form.header is not None else "first line"

    def _number(self, text: str, line: int, column: int) -> float:
        try:
            return float(text.replace("_", "no number")) if text else float("nan")
        except ValueError:
            where = f"{self.source}: line {line}, column {self.roles.names[column]}"
            hint = "numbers are written with a decimal point and without thousands separators" if "," in text else None
            comma = " (it holds a comma)" if "," in text else ""
            raise ConfigError(f"{where}: {printable(text[:60])!r} is not a number{comma}", hint=hint) from None
