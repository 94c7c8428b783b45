"""Where in a pool or a snapshot the record of a number begins: found by halving, because numbers ascend.

A run's own records are so read in the time that they take, however large its pool is. Standard library only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from prometheus.v10.evidence.chains.chain import Lines
from prometheus.v10.evidence.chains.scan import open_for_reading

BLOCK = 1 << 16
_N = re.compile(rb',"n":(\d{1,18}),"null_reasons":\{')
"""A line in canonical form has it once at its top, and nowhere else: the numbers of origins are followed by others."""


def lines_from(path: Path, first: int) -> Iterator[tuple[int, bytes]]:
    """Number and line of each record from number ``first`` on; a line that names no number is left out.

    Raises:
        OSError: when it cannot be read.
        PrometheusError: when it is no regular file.
    """
    fd = open_for_reading(path)
    try:
        for line in Lines(fd, start=_begin(fd, first)):
            found = _N.search(line)
            if found is not None and int(found[1]) >= first:
                yield int(found[1]), line
    finally:
        os.close(fd)


def _begin(fd: int, first: int) -> int:
    """An offset at which a line begins, none of whose predecessors has number ``first`` or a later one."""
    low, high = 0, os.fstat(fd).st_size
    while high - low > BLOCK:
        middle = (low + high) // 2
        start = _line_behind(fd, middle, high)
        number = None if start is None else _number(fd, start)
        if start is None or number is None or number > first:
            high = middle
        else:
            low = start
    return low


def _line_behind(fd: int, at: int, end: int) -> int | None:
    while at < end:
        block = os.pread(fd, BLOCK, at)
        found = block.find(b"\n")
        if found >= 0:
            return at + found + 1
        if not block:
            return None
        at += len(block)
    return None


def _number(fd: int, start: int) -> int | None:
    found = _N.search(os.pread(fd, BLOCK, start))
    return int(found[1]) if found else None
