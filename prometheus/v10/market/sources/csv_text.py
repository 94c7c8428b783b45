"""The text of a CSV file: encoding, separator, header line, and whether the last line is whole."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from attrs import frozen

from prometheus.v10.base.errors import ConfigError, HostError, host_error

HEADER_WITHIN = 5  # some vendors put their address above the header
SEPARATORS = {",": "commas", ";": "semicolons ';'", "\t": "tabs", "|": "bars '|'"}
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
UTF_32 = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")
TAIL = 4


@frozen(kw_only=True)
class Form:
    """How a file is written.

    Attributes:
        encoding: as `open` takes it.
        separator: between cells.
        decisions: sentences about what is unusual.
    """

    encoding: str
    separator: str
    decisions: list[str]


def form_of(path: Path) -> Form:
    """Find out how a file is written.

    Raises:
        ConfigError: when it is no file, no text, or holds no header of bars.
        HostError: when it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: is not a regular file", hint="name a CSV or feather file")
    with reading(path):
        with path.open("rb") as handle:
            head = handle.read(4096)
            size = handle.seek(0, 2)
            handle.seek(max(0, size - TAIL))
            tail = handle.read()
        encoding = _encoding(path, head)
        with path.open(encoding=encoding, newline="") as text:
            lines = [line.rstrip("\r\n") for line in islice(_bounded(text), HEADER_WITHIN)]
    said = ["encoding: UTF-16"] if encoding == "utf-16" else []
    separator = _separator(path, lines)
    if separator != ",":
        said.append(f"separator: the columns are parted by {SEPARATORS[separator]}")
    if not any(char in tail[-2:] for char in b"\r\n"):
        said.append("end: the last line has no line end; if the file was cut off there, its last number is too short")
    return Form(encoding=encoding, separator=separator, decisions=said)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Faults of reading ``path`` in our own words."""
    try:
        yield
    except OSError as error:
        raise _cannot_read(error, path) from error
    except UnicodeError as error:
        hint = "save it as UTF-8 text"
        raise ConfigError(f"{path}: is not CSV text: it is not UTF-8 ({error})", hint=hint) from error
    except csv.Error as error:
        raise ConfigError(f"{path}: is not CSV text: {error}") from error


def names_of(cells: list[str]) -> list[str]:
    """The names in a header line: small letters, without blanks and angle brackets."""
    return [cell.strip().strip("<>").lower() for cell in cells]


def is_header(cells: list[str]) -> bool:
    """Whether a line names the columns of bars."""
    names = names_of(cells)
    return "open" in names and "close" in names


def _bounded(text: IO[str]) -> Iterator[str]:
    """Lines, none read beyond what a header may take."""
    while line := text.readline(1 << 16):
        yield line


def _encoding(path: Path, head: bytes) -> str:
    if head.startswith(UTF_32):
        raise ConfigError(f"{path}: is UTF-32 text, which is not read", hint="save it as UTF-8")
    if head.startswith(UTF_16):
        return "utf-16"
    if b"\0" in head:
        what = "holds NUL bytes: UTF-16 without its mark, or no text"
        raise ConfigError(f"{path}: is not CSV text: it {what}", hint="save it as UTF-8")
    return "utf-8-sig"


def _separator(path: Path, lines: list[str]) -> str:
    for separator in SEPARATORS:
        if any(is_header(cells) for cells in csv.reader(lines, delimiter=separator)):
            return separator
    raise ConfigError(
        f"{path}: none of its first {HEADER_WITHIN} lines names the columns open and close",
        hint="expected a header such as unix,date,symbol,open,high,low,close,volume",
    )


def _cannot_read(error: OSError, path: Path) -> ConfigError | HostError:
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return ConfigError(f"{path}: no such file", hint="name a CSV or feather file, or a market of the library")
    return host_error(error, f"cannot read {path}")
