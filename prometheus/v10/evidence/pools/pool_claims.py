"""Which records of a pool are whose: for each run how many, and one digest over their numbers and ids.

An id is drawn from a record's content, so the digest binds the content; a seal enters it into the ledger, and a pool
is held against the seals (`prometheus.v10.evidence.pools.anchors`). Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import host_error
from prometheus.v10.evidence.chains.chain import GENESIS, MAX_LINE, Lines, line_hash
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import meter, open_for_reading
from prometheus.v10.evidence.chains.seek import line_of

_ID_KEY = b'","id":"'
_ID_CHARS = 36
_RUN_KEY = b'"run_id":"'


@dataclass
class Claim:
    """The records of one run: how many, the first and last number, and their digest in order."""

    appended: int = 0
    first: int = -1
    last: int = -1
    _digest: Any = field(default_factory=hashlib.sha256, repr=False)

    def add(self, n: int, record_id: str) -> None:
        """Take in the record number ``n``."""
        if self.appended == 0:
            self.first = n
        self.appended, self.last = self.appended + 1, n
        self._digest.update(b"%d %b\n" % (n, record_id.encode("ascii")))

    @property
    def records_sha256(self) -> str:
        """sha256 over ``n id`` of each record, a line each."""
        return str(self._digest.hexdigest())


def claims_of(
    path: Path, *, size: int | None = None, progress: Callable[[int], None] | None = None, first: int = 0
) -> dict[str, Claim]:
    """The claims of every run that a pool or snapshot names, in one pass and flat memory a run.

    The chain itself is not checked here; a line that is no record belongs to nobody.

    Args:
        path: the pool.
        size: look no further than this offset.
        progress: called now and then with numbers of bytes passed.
        first: number of the first record to look at: a run's own stand behind its beginning.

    Raises:
        HostError: when it cannot be read.
    """
    found: dict[str, Claim] = {}
    start, first = _start_of(path, first)
    fd = open_for_reading(path)
    at = meter(progress, start)
    try:
        lines = Lines(fd, start=start, size=size)
        for n, line in enumerate(lines, first):
            whose = _run_and_id(line)
            if whose is not None:
                found.setdefault(whose[0], Claim()).add(n, whose[1])
            at(lines.end)
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    finally:
        os.close(fd)
    return found


def _start_of(path: Path, first: int) -> tuple[int, int]:
    """Offset and number of the line to begin with; the first of all where a damaged file does not lead to ``first``."""
    if first == 0:
        return 0, 0
    found = line_of(path, POOL_LINE, first)
    if found is not None:
        return found[0], first
    return (path.stat().st_size, first) if place_of(path)["records"] == first else (0, 0)


def _run_and_id(line: bytes) -> tuple[str, str] | None:
    """A record's run and id. Quotes inside JSON strings are escaped, so a key that occurs once can only be that key."""
    try:
        if line.count(_RUN_KEY) == 1 and line.count(_ID_KEY) == 1:
            at, begins = line.index(_RUN_KEY) + len(_RUN_KEY), line.index(_ID_KEY) + len(_ID_KEY)
            run, record = line[at : line.index(b'"', at)], line[begins : begins + _ID_CHARS]
            return run.decode("ascii"), record.decode("ascii")
        plain = json.loads(line)
        return str(plain["source"]["run_id"]), str(plain["id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def place_of(path: Path) -> dict[str, Any]:
    """How many lines a chained file has and the hash of the last, by its last whole line alone.

    Raises:
        HostError: when it cannot be read.
    """
    if not path.exists():
        return {"records": 0, "head": GENESIS}
    fd = open_for_reading(path)
    try:
        size = os.fstat(fd).st_size
        data = os.pread(fd, min(size, MAX_LINE), max(0, size - MAX_LINE))
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    finally:
        os.close(fd)
    end = data.rfind(b"\n") + 1
    line = data[data.rfind(b"\n", 0, max(0, end - 1)) + 1 : end]
    if not line:
        return {"records": 0, "head": GENESIS}
    try:
        number = json.loads(line)["n"]
    except (ValueError, KeyError, TypeError, RecursionError):
        number = None
    if type(number) is not int:
        number = -1  # its verification says what is wrong with it
    return {"records": number + 1, "head": line_hash(line)}
