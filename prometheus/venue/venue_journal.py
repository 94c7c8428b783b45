"""The venue's own journal: everything that was asked, done and done wrong, in a hash chain, one JSON object a line.

A line's hash covers the bytes of the line without its hash, which carry the hash of the line before. Same seed, bars,
requests and steps give the same lines on any machine.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
from attrs import define, field, frozen

from prometheus.v10.base.errors import EvidenceError, host_error

SCHEMA: Final = "prometheus.venue-journal/1"
BEGINNING: Final = "0" * 64
TAIL: Final = 1_000
"""Lines that are kept in memory for who asks."""


class Sink(Protocol):
    """Where lines go."""

    def write(self, line: bytes, /) -> object:
        """Take a line."""
        ...


@define
class Journal:
    """Writes entries; with ``stream`` into a file, always into a tail in memory."""

    stream: Sink | None = None
    count: int = 0
    last: str = BEGINNING
    tail: deque[bytes] = field(factory=lambda: deque(maxlen=TAIL))

    def write(self, ts: int, kind: str, data: dict[str, Any]) -> None:
        """Append an entry of the venue's time ``ts`` (ms)."""
        body = orjson.dumps({"n": self.count, "ts": ts, "kind": kind, "data": data, "prev": self.last})
        self.last = hashlib.sha256(body).hexdigest()
        line = body[:-1] + b',"hash":"' + self.last.encode() + b'"}\n'
        self.count += 1
        self.tail.append(line)
        if self.stream is not None:
            self.stream.write(line)


@frozen
class Verified:
    """What a journal holds."""

    entries: int
    last: str
    kinds: dict[str, int]


def verify_lines(lines: Iterable[bytes], where: str) -> Verified:
    """Follow the chain from the first line to the last.

    Raises:
        EvidenceError: at the first line that is no entry, or does not follow.
    """
    before, count, kinds = BEGINNING, 0, dict[str, int]()
    for number, line in enumerate(lines, 1):
        body, mark, rest = line.rstrip(b"\n").rpartition(b',"hash":"')
        said = rest[:-2].decode("ascii", "replace")
        try:
            entry = orjson.loads(body + b"}")
            fits = entry["n"] == count and entry["prev"] == before
            kind = str(entry["kind"])
        except (ValueError, KeyError, TypeError):
            raise EvidenceError(f"{where}: line {number} is no entry", hint="the journal was cut or edited") from None
        if not mark or not fits or hashlib.sha256(body + b"}").hexdigest() != said:
            raise EvidenceError(f"{where}: line {number} does not follow", hint="the journal was cut or edited")
        before, count = said, count + 1
        kinds[kind] = kinds.get(kind, 0) + 1
    return Verified(count, before, kinds)


def verify_file(place: Path) -> Verified:
    """Follow a journal's chain; errors as `verify_lines`.

    Raises:
        HostError: when the file cannot be read.
    """
    try:
        with place.open("rb") as lines:
            return verify_lines(lines, str(place))
    except OSError as error:
        raise host_error(error, f"cannot read {place}") from error
