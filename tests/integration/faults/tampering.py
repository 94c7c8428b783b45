"""What can be done to a file of evidence by somebody who wishes that it said something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from prometheus.v10.evidence.chains.chain import Link, after
from prometheus.v10.evidence.chains.ledger_line import entry_id
from prometheus.v10.evidence.records.canonical import canonical_line, object_of_line


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def put(path: Path, found: list[bytes]) -> None:
    before = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"".join(found))
    assert path.read_bytes() != before, "nothing was changed"


def edit(path: Path, line: int = 1) -> None:
    """One digit of a line becomes another: still a line that looks right."""
    found = lines(path)
    at = [m.start() for m in re.finditer(rb"(?<=[0-9])[0-8]", found[line])][-3]
    found[line] = found[line][:at] + bytes([found[line][at] + 1]) + found[line][at + 1 :]
    put(path, found)


def edit_anywhere(path: Path) -> None:
    """A digit in the middle of the file becomes the next."""
    data = path.read_bytes()
    at = next(m.start() for m in re.finditer(rb"(?<=[0-9])[0-8]", data) if m.start() > len(data) // 2)
    put(path, [data[:at], bytes([data[at] + 1]), data[at + 1 :]])


def delete(path: Path, line: int = 1) -> None:
    found = lines(path)
    del found[line]
    put(path, found)


def reorder(path: Path, line: int = 1) -> None:
    found = lines(path)
    found[line], found[line + 1] = found[line + 1], found[line]
    put(path, found)


def insert(path: Path, line: int = 1) -> None:
    found = lines(path)
    put(path, [*found[: line + 1], found[line], *found[line + 1 :]])


def truncate(path: Path) -> None:
    put(path, [path.read_bytes()[:-9]])


def cut_whole_lines(path: Path, count: int = 1) -> None:
    put(path, lines(path)[:-count])


def unlink(path: Path) -> None:
    path.unlink()


def replace(path: Path, by: Path) -> None:
    put(path, lines(by))


def keeping_mode(path: Path, do: Callable[..., None], *more: object) -> None:
    mode = path.stat().st_mode
    do(path, *more)
    path.chmod(mode & 0o7777)


def rechain(path: Path, change: Callable[[list[dict]], object]) -> None:
    """Rewrite a ledger with ids and a chain that fit: by itself it is perfect."""
    entries = [object_of_line(line) for line in lines(path)]
    change(entries)
    link, made = Link(), []
    for entry in entries:
        entry |= {"n": link.n, "prev": link.prev, "id": entry_id(entry)}
        made.append(canonical_line(entry))
        link = after(made[-1], link.n)
    put(path, made)
