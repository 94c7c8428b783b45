"""Event files read side by side, one experiment at a time, in memory that one experiment takes.

Files name their experiments in ascending order. What is parsed is what is hashed: each file is read once, and its
sha256 taken on the way. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prometheus.v10.evidence.chains.chain import BLOCK, Lines
from prometheus.v10.evidence.chains.scan import open_for_reading

_EXPERIMENT = re.compile(r'"experiment":(\d{1,9}),', re.ASCII)
MOST_BYTES = 1 << 30
"""One experiment's part of one file, but for the block in which it begins: more is not looked at."""


@dataclass
class Part:
    """One experiment's lines without their newlines, one character a byte; ``first`` counts those of the file before.

    A text is searched and taken apart faster than bytes are. `as_bytes` gives what the file has.
    """

    experiment: int
    first: int
    lines: list[str] = field(default_factory=list)


def as_bytes(line: str) -> bytes:
    """A line of a part as it stands in its file, newline included."""
    return line.encode("latin-1") + b"\n"


class EventFile:
    """A file of events, or a span of its bytes, experiment by experiment.

    Attributes:
        count: lines read so far; ``rest`` the bytes behind the last newline.
        wrong: line number and what is wrong with it, of lines that belong to no experiment or to one that is over.
    """

    def __init__(self, path: Path, span: tuple[int, int] | None = None, *, hashing: bool = True) -> None:
        self.path, self._hashing = path, hashing
        self.count, self.rest = 0, 0
        self.wrong: list[tuple[int, str]] = []
        self.too_much = False
        self._sha256 = hashlib.sha256()
        self._fd = open_for_reading(path)
        start, end = (0, None) if span is None else span
        self._source = Lines(self._fd, start=start, size=end)
        self._parts = self._split()
        self._held: Part | None = None

    def part(self, experiment: int) -> Part:
        """The lines of ``experiment``; experiments are asked for in ascending order."""
        held = self._held if self._held is not None else next(self._parts, None)
        while held is not None and held.experiment < experiment:  # asked for nobody's
            self.wrong.append((held.first, f"experiment {held.experiment} has no row"))
            held = next(self._parts, None)
        self._held = held
        if held is not None and held.experiment == experiment:
            self._held = None
            return held
        return Part(experiment, self.count if held is None else held.first)

    def next_experiment(self) -> int | None:
        """The experiment of the next part; None at the end."""
        if self._held is None:
            self._held = next(self._parts, None)
        return None if self._held is None else self._held.experiment

    def finish(self) -> str:
        """Read what is left, and return the sha256 of all bytes, unless it was not to be taken."""
        while (left := self.next_experiment()) is not None:
            self.part(left + 1)
        self.rest = self._source.size - self._source.end
        if self.rest and self._hashing and not self._source.overlong:
            at = self._source.end
            while block := os.pread(self._fd, min(1 << 20, self._source.size - at), at):
                self._sha256.update(block)
                at += len(block)
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _split(self) -> Iterator[Part]:
        part: Part | None = None
        began, mark = 0, ""
        for whole in self._source.wholes():
            if self._hashing:
                self._sha256.update(whole)
            lines = whole.decode("latin-1").split("\n")
            lines.pop()
            for number, line in enumerate(lines, self.count):
                if part is not None and mark in line:
                    part.lines.append(line)
                    continue
                found = _EXPERIMENT.search(line)
                experiment = int(found[1]) if found else -1
                if experiment < 0 or (part is not None and experiment < part.experiment):
                    self.wrong.append((number, "it names no experiment, or one that is over"))
                    continue
                if part is not None:
                    yield part
                part, began = Part(experiment, number, [line]), self._source.end
                mark = f'"experiment":{experiment},'
            self.count += len(lines)
            if self._source.end - began > MOST_BYTES:
                self.too_much = True
                return
        if part is not None:
            yield part


def lines_between(path: Path, at: int, end: int) -> int:
    """How many lines of a file end from byte ``at`` on and before ``end``."""
    fd, count = open_for_reading(path), 0
    try:
        while at < end and (block := os.pread(fd, min(BLOCK, end - at), at)):
            at += len(block)
            count += block.count(b"\n")
    finally:
        os.close(fd)
    return count
