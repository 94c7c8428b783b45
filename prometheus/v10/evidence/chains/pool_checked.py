"""How far this process has checked a chained file: a service that does run after run need not check it before each.

A place is gone on from only while the file is the one that was checked: the same device and inode, not shorter, not
written to without growing, and the line before the place still has the hash that was seen there. Everything else, and
every new process, begins at the first byte; so does every verification. Standard library only.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from prometheus.v10.evidence.chains.chain import START, Place, line_hash

TAIL = 64 * 1024
"""Bytes before the place in which its line must begin; for a longer line the whole chain is checked again."""


class _Known(NamedTuple):
    place: Place
    device: int
    inode: int
    written_ns: int


class Notes:
    """Places that were noted, by file."""

    def __init__(self) -> None:
        self._known: dict[Path, _Known] = {}

    def note(self, path: Path, place: Place) -> None:
        """Note how far ``path`` is good."""
        try:
            found = path.stat()
        except OSError:
            self.forget(path)
            return
        self._known[path] = _Known(place, found.st_dev, found.st_ino, found.st_mtime_ns)

    def forget(self, path: Path) -> None:
        """Begin at the first byte the next time."""
        self._known.pop(path, None)

    def recall(self, path: Path) -> Place | None:
        """What was noted, while it still holds; else None."""
        known = self._known.get(path)
        if known is None or not _holds(path, known):
            self.forget(path)
            return None
        return known.place


_notes = Notes()


def remember(path: Path, place: Place) -> None:
    """Note how far ``path`` is good; to be called while nobody else can append."""
    _notes.note(path, place)


def recall(path: Path) -> Place:
    """Where checking ``path`` can go on: what was remembered while it still holds, else the first byte."""
    return _notes.recall(path) or Place()


def _holds(path: Path, known: _Known) -> bool:
    size = known.place.size
    try:
        found = path.stat()
        if (found.st_dev, found.st_ino) != (known.device, known.inode) or found.st_size < size:
            return False
        if found.st_size == size and found.st_mtime_ns != known.written_ns:
            return False
        return _last_line_hash(path, size) == known.place.link.prev
    except OSError:
        return False


def _last_line_hash(path: Path, end: int) -> str | None:
    """The hash of the line that ends at ``end``; None when it begins too far before it."""
    if end == 0:
        return START.prev
    start = max(0, end - TAIL)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(fd, end - start, start)
    finally:
        os.close(fd)
    begins = data.rfind(b"\n", 0, -1) + 1
    if data[-1:] != b"\n" or (begins == 0 and start > 0):
        return None
    return line_hash(data[begins:])
