"""The text of a CSV file: encoding, separator, and the line of its header."""

from __future__ import annotations

import csv
import io
from typing import IO

from attrs import frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.sources.reading.column_roles import is_header
from prometheus.v10.market.sources.reading.openings import HEAD, Source

HEADER_WITHIN = 5  # some vendors put their address above the header
FEWEST_COLUMNS = 6  # time, open, high, low, close, volume
SEPARATORS = {",": "commas", ";": "semicolons ';'", "\t": "tabs", "|": "bars '|'"}
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
UTF_32 = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")
END = "end: the last line has no line end; if the file was cut off there, its last number is too short"


@frozen(kw_only=True)
class Form:
    """How a file is written.

    Attributes:
        encoding: as `open` takes it.
        separator: between cells.
        header: the cells of the header; None where the first line is a bar.
        header_line: its number; 0 without one.
        decisions: sentences about what is unusual.
    """

    encoding: str
    separator: str
    header: tuple[str, ...] | None
    header_line: int
    decisions: list[str]


def form_of(source: Source) -> Form:
    """Find out how a file is written.

    Raises:
        ConfigError: when it is no text, or holds neither a header of bars nor a row of numbers.
    """
    with source.stream() as handle:
        head = handle.read(HEAD)
    encoding = _encoding(source, head)
    with source.stream() as raw, io.TextIOWrapper(raw, encoding, newline=None) as text:
        lines = [line.rstrip("\n") for line in _bounded(text)]
    said = ["encoding: UTF-16"] if encoding == "utf-16" else []
    separator, header, number = _header(source, lines)
    if separator != ",":
        said.append(f"separator: the columns are parted by {SEPARATORS[separator]}")
    return Form(encoding=encoding, separator=separator, header=header, header_line=number, decisions=said)


def _bounded(text: IO[str]) -> list[str]:
    """The first lines, none read beyond what a header may take."""
    found: list[str] = []
    while len(found) < HEADER_WITHIN and (line := text.readline(1 << 16)):
        found.append(line)
    return found


def _encoding(source: Source, head: bytes) -> str:
    if head.startswith(UTF_32):
        raise ConfigError(f"{source}: is UTF-32 text, which is not read", hint="save it as UTF-8")
    if head.startswith(UTF_16):
        return "utf-16"
    if b"\0" in head:
        what = "holds NUL bytes: UTF-16 without its mark, or no text"
        raise ConfigError(f"{source}: is not CSV text: it {what}", hint="save it as UTF-8")
    return "utf-8-sig"


def _header(source: Source, lines: list[str]) -> tuple[str, tuple[str, ...] | None, int]:
    """Separator, cells and number of the header; no cells and 0 where the first line is a row of numbers."""
    for separator in SEPARATORS:
        for number, cells in enumerate(csv.reader(lines, delimiter=separator), start=1):
            if is_header(cells):
                return separator, tuple(cells), number
    for separator in SEPARATORS:
        cells = next(csv.reader(lines[:1], delimiter=separator), [])
        if len(cells) >= FEWEST_COLUMNS and all(map(_is_number, cells[1:FEWEST_COLUMNS])):
            return separator, None, 0
    raise ConfigError(
        f"{source}: none of its first {HEADER_WITHIN} lines names the columns open and close",
        hint="expected a header such as unix,date,symbol,open,high,low,close,volume",
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
