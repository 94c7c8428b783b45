"""The hash chain of append-only files (contracts, section 5): pools, their snapshots, and the ledger of seals.

1. A line is one canonical JSON object and a newline. Its hash is the sha256 of those bytes, newline included, so that
   ``sed -n 7p pool.jsonl | sha256sum`` prints it.
2. ``n`` counts lines from 0. ``prev`` is the hash of the line before; the first line's is 64 zeros.
3. ``id`` is drawn from the line's own content (a version 8 UUID of its sha256, see `content_id`), so the last line,
   which no later ``prev`` vouches for, cannot change unnoticed either. ``n`` and ``prev`` are not part of that content:
   they are the line's place, and the chain itself checks them.

Standard library only: the verifier imports this.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

GENESIS = "0" * 64
MAX_LINE = 16 * 1024 * 1024
"""Bytes of the longest line that is read: a file of zeros must not fill the memory."""
BLOCK = 1024 * 1024
"""Bytes that are read at once: large enough to be fast, small enough to stay in the processor's cache."""


class Link(NamedTuple):
    """Where a chain stands: the next line's ``n`` and ``prev``."""

    n: int = 0
    prev: str = GENESIS


START = Link()
"""What the first line of a file carries."""


class LineFormat(Protocol):
    """What a kind of chained line must look like."""

    name: str

    def links(self, line: bytes, link: Link) -> bool:
        """Quickly: does ``line`` (newline included) carry exactly this ``n`` and ``prev``? False means: look closer."""
        ...

    def problem(self, line: bytes, link: Link | None) -> str | None:
        """Closely: what is wrong with ``line``; None when every rule holds. ``link`` None checks the line by itself."""
        ...

    def link_of(self, line: bytes) -> Link | None:
        """The ``n`` and ``prev`` that the line claims; None when it is no record at all."""
        ...


def wrong_link(record: Mapping[str, Any], link: Link | None) -> str | None:
    """What a record that has ``n`` and ``prev`` says otherwise than the line before it; ``link`` None asks nothing."""
    if link is None:
        return None
    if record["n"] != link.n:
        return f"n is {record['n']}, expected {link.n}"
    if record["prev"] != link.prev:
        return "prev is not the hash of the line before"
    return None


def line_hash(line: bytes) -> str:
    """sha256 of a line's bytes, its newline included."""
    return hashlib.sha256(line).hexdigest()


class Place(NamedTuple):
    """A place in a chained file: ``size`` bytes lie before it, and the line there carries ``link``."""

    size: int = 0
    link: Link = START


BEGINNING = Place()


def after(line: bytes, n: int) -> Link:
    """The link that follows line number ``n``."""
    return Link(n + 1, hashlib.sha256(line).hexdigest())


def content_id(rest: bytes) -> str:
    """The ``id`` of a record: a version 8 UUID (RFC 9562) of 122 bits of the sha256 of ``rest``.

    ``rest`` is the record's canonical bytes without newline, ``id``, ``n`` and ``prev`` (and, in a pool, without
    ``genome_vector_342``, for which ``genome_sha256`` speaks).
    """
    h = hashlib.sha256(rest).hexdigest()
    return f"{h[:8]}-{h[8:12]}-8{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:32]}"


class Lines:
    """Whole lines of an open file from ``start`` on, in flat memory; bytes after the last newline are the `tail`.

    Reads what the file held when reading began: a writer may go on appending meanwhile.

    Attributes:
        offset: where the line that was yielded last begins.
        end: the offset after the line (of `blocks`, after the last line) that was yielded last.
        size: the file's size when reading began.
        overlong: after the iteration, whether it ended at a line longer than `MAX_LINE`.
    """

    def __init__(self, fd: int, *, start: int = 0, size: int | None = None) -> None:
        self._fd = fd
        self.offset = start
        self.end = start
        self.size = os.fstat(fd).st_size if size is None else size
        self.overlong = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield each line with its newline."""
        end = self.end
        for lines in self.blocks():
            for line in lines:
                self.offset, end = end, end + len(line)
                self.end = end
                yield line

    def blocks(self) -> Iterator[list[bytes]]:
        """Yield the lines of one block of the file after the other; `end` follows the blocks, `offset` does not."""
        for whole in self.wholes():
            pieces = whole.split(b"\n")
            pieces.pop()
            yield [piece + b"\n" for piece in pieces]

    def wholes(self) -> Iterator[bytes]:
        """Yield the whole lines of one block of the file after the other, as they are; `end` follows them."""
        at, carry = self.end, b""
        while at < self.size:
            block = os.pread(self._fd, min(BLOCK, self.size - at), at)
            if not block:
                break
            at += len(block)
            cut = block.rfind(b"\n") + 1
            whole, carry = (carry + block[:cut], block[cut:]) if cut else (b"", carry + block)
            self.end = at - len(carry)
            if whole:
                yield whole
            if len(carry) > MAX_LINE:
                self.overlong = True
                return
