"""What the fault tests share: entries that are the same every time, and the bytes that a pool of them must have."""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path

from bench.durable import entries
from prometheus.v10.base.kernel import Files
from prometheus.v10.evidence.chains.chain import Link, after
from prometheus.v10.evidence.chains.tail import TornTail
from prometheus.v10.evidence.pools.pool import PoolWriter
from prometheus.v10.evidence.pools.pool_record import PoolEntry
from tests.conftest import FakeClock

DISTINCT = 1000


def how_many(name: str, default: int) -> int:
    """A number from the environment (``PQ_KILLS`` ...), so that ``make torture`` can ask for more."""
    return int(os.environ.get(f"PQ_{name}", str(default)))


@functools.cache
def some_entries() -> tuple[PoolEntry, ...]:
    """A thousand entries, the same bytes in every process."""
    return tuple(entries(1, DISTINCT, 7, FakeClock()))


def entry(n: int) -> PoolEntry:
    """What a pool of this module holds as record ``n``."""
    return some_entries()[n % DISTINCT]


def lines_of(count: int) -> list[bytes]:
    """The lines that a pool of ``count`` records must have."""
    lines, link = [], Link()
    for n in range(count):
        lines.append(entry(n).encoded.line(*link))
        link = after(lines[-1], n)
    return lines


def links_of(lines: list[bytes]) -> list[Link]:
    """Where the chain stands before each line, and after the last."""
    links = [Link()]
    for n, line in enumerate(lines):
        links.append(after(line, n))
    return links


def offsets_of(lines: list[bytes]) -> list[int]:
    """Where each line begins, and where the last ends."""
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    return offsets


def reopen(path: Path, files: Files | None = None) -> tuple[int, list[TornTail]]:
    """Open a pool as the next writer would: how many records it holds, and which torn tails were moved."""
    torn: list[TornTail] = []
    with PoolWriter(path, clock=FakeClock(), on_torn=torn.append, files=files or UnsyncedFiles()) as writer:
        return writer.link.n, torn


def untold(torn: TornTail) -> None:
    """For writers whose torn tails are looked at on the disk."""


def say(value: object) -> None:
    """What a process of these tests tells the test that started it: one line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


class UnsyncedFiles(Files):
    """The real file layer without its syncs: for tests of what is read, not of what a disk keeps."""

    def fsync(self, fd: int) -> None:
        pass

    def fdatasync(self, fd: int) -> None:
        pass

    def fsync_dir(self, path: Path) -> None:
        pass
