"""One pass over a chained file: where it is good up to, what its tail is, and what is wrong in it.

Two ways to look, one loop:

- **quick** (opening a pool): every line's hash is compared with the next line's ``prev``, and ``n`` counts up; only the
  last line, which no later line vouches for, is checked closely. Stops at the first thing that is wrong.
- **close** (verification): every rule for every line; goes on after damage, so that one edit is one finding.

A torn tail is what an interrupted append leaves: bytes after the last newline, or zeros to the end of the file, or
both. Anything else that is wrong is damage, and damage is never repaired (contracts, section 5). Standard library only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from pathlib import Path

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.evidence.chains.chain import (
    BEGINNING,
    BLOCK,
    MAX_LINE,
    START,
    LineFormat,
    Lines,
    Link,
    Place,
    after,
)
from prometheus.v10.evidence.records.findings import Progress

MAX_DAMAGES = 20
PROGRESS_EVERY = 16 * 1024 * 1024


@dataclass(frozen=True)
class Damage:
    """Something wrong at a byte offset, which no torn append explains."""

    offset: int
    line: int
    what: str


@dataclass(frozen=True)
class Tail:
    """Bytes after the last good line that an interrupted append explains."""

    offset: int
    length: int
    zeroed: bool


@dataclass
class Scan:
    """What one pass found.

    Attributes:
        link: the ``n`` and ``prev`` of the line that would come next.
        good: offset after the last good line.
        size: the file's size when the pass began.
        last: the last good line, empty when there is none.
        heads: for the counts that were asked for, the hash of the last line of so many.
    """

    path: Path
    link: Link = START
    good: int = 0
    size: int = 0
    last: bytes = b""
    tail: Tail | None = None
    damages: list[Damage] = field(default_factory=list)
    heads: dict[int, str] = field(default_factory=dict)

    def refuse_damage(self) -> None:
        """Raise for the first damage.

        Raises:
            EvidenceError: with the byte offset.
        """
        if self.damages:
            first = self.damages[0]
            raise EvidenceError(
                f"{self.path}: damaged at byte {first.offset} (line {first.line + 1}): {first.what}",
                hint="nothing was changed; verify the file, and restore it from a snapshot or a copy",
            )


def open_for_reading(path: Path) -> int:
    """A read-only descriptor of a regular file.

    Raises:
        HostError: when it cannot be opened.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error


def file_sha256(path: Path, *, progress: Progress | None = None) -> str:
    """sha256 of a file's bytes, in flat memory.

    Raises:
        HostError: when it cannot be read.
    """
    digest = hashlib.sha256()
    fd = open_for_reading(path)
    try:
        while block := os.read(fd, BLOCK):
            digest.update(block)
            if progress is not None:
                progress(len(block))
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    finally:
        os.close(fd)
    return digest.hexdigest()


def scan(
    path: Path,
    form: LineFormat,
    *,
    close: bool,
    start: Place = BEGINNING,
    end: int | None = None,
    each: Callable[[bytes], None] | None = None,
    progress: Callable[[int], None] | None = None,
    heads_at: Set[int] = frozenset(),
) -> Scan:
    """Pass over ``path`` from ``start`` on.

    Args:
        path: a chained file.
        form: which rules a line must keep.
        close: check every rule of every line (see the head of this module).
        start: where a line begins, and the link that it should carry.
        end: look no further than this offset; the file's size by default.
        each: called with every good line, newline included.
        progress: called now and then with the number of bytes passed since the last call.
        heads_at: counts of lines whose head hash is wanted (`Scan.heads`); a close pass only.

    Raises:
        HostError: when the file cannot be read.
    """
    found = Scan(path, link=start.link, good=start.size)
    fd = open_for_reading(path)
    try:
        lines = Lines(fd, start=start.size, size=end)
        found.size = lines.size
        if close:
            _close_pass(found, lines, form, each, meter(progress, start.size), heads_at)
        else:
            _quick_pass(found, lines, form, each, meter(progress, start.size))
        if not found.damages or close:
            _look_at_tail(found, fd, lines, form)
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    finally:
        os.close(fd)
    return found


def meter(progress: Callable[[int], None] | None, start: int) -> Callable[[int], None]:
    """Turn "we are at offset x" into calls of ``progress`` every 16 MiB."""
    reported = start

    def at(offset: int) -> None:
        nonlocal reported
        if progress is not None and offset - reported >= PROGRESS_EVERY:
            progress(offset - reported)
            reported = offset

    return at


def _quick_pass(
    found: Scan, lines: Lines, form: LineFormat, each: Callable[[bytes], None] | None, at: Callable[[int], None]
) -> None:
    link, last, before = found.link, b"", found.link
    links = form.links
    for line in lines:
        if not links(line, link) and form.problem(line, link) is not None:
            _blame(found, lines, form, line, link, last, before)
            return
        if each is not None:
            each(line)
        before, link, last = link, after(line, link.n), line
        at(lines.offset)
    if last:
        what = form.problem(last, before)
        if what is not None:
            found.damages.append(Damage(lines.offset, before.n, what))
            return
    found.link, found.good, found.last = link, lines.end, last


def _blame(found: Scan, lines: Lines, form: LineFormat, line: bytes, link: Link, last: bytes, before: Link) -> None:
    """A line does not follow the one before: say which of the two was changed."""
    at_last = lines.offset - len(last)
    what = form.problem(last, None) if last else None
    if what is not None:
        found.damages.append(Damage(at_last, before.n, what))
        return
    if _zeros(line):
        what = "zeros where a record should be, and more after them"
    found.damages.append(Damage(lines.offset, link.n, what or form.problem(line, link) or "does not follow"))


def _zeros(line: bytes) -> bool:
    return not line.strip(b"\0")


def _close_pass(
    found: Scan,
    lines: Lines,
    form: LineFormat,
    each: Callable[[bytes], None] | None,
    at: Callable[[int], None],
    heads_at: Set[int],
) -> None:
    link = found.link
    good = found.good
    for line in lines:
        what = form.problem(line, link)
        n = link.n
        if what is None:
            good, found.last = lines.end, line
            if each is not None:
                each(line)
        else:
            if len(found.damages) < MAX_DAMAGES:
                found.damages.append(Damage(lines.offset, link.n, what))
            claimed = form.link_of(line)
            n = claimed.n if claimed is not None else link.n
        link = after(line, n)
        if link.n in heads_at:
            found.heads[link.n] = link.prev
        at(lines.offset)
    found.link, found.good = link, good


def _look_at_tail(found: Scan, fd: int, lines: Lines, form: LineFormat) -> None:
    """What stands after the last newline: nothing, a torn append, or damage."""
    end = lines.end
    if end >= found.size:
        return
    head = os.pread(fd, min(MAX_LINE + 1, found.size - end), end)
    body = head.rstrip(b"\0")
    zeroed = len(body) < len(head)
    if zeroed and len(head) == MAX_LINE + 1 and not _zeros_to_the_end(fd, end + len(head), found.size):
        found.damages.append(
            Damage(end + len(body), found.link.n, "zeros where a record should be, and more after them")
        )
    elif len(body) > MAX_LINE:
        found.damages.append(Damage(end, found.link.n, f"a line of more than {MAX_LINE} bytes"))
    elif found.size - end > 1 and form.problem(head[: found.size - end - 1] + b"\n", None) is None:
        # A whole record whose newline was turned into another byte: it may have been acknowledged.
        found.damages.append(Damage(found.size - 1, found.link.n, "the newline of the last record was changed"))
    else:
        found.tail = Tail(end, found.size - end, zeroed=zeroed)


def _zeros_to_the_end(fd: int, start: int, size: int) -> bool:
    while start < size:
        block = os.pread(fd, min(BLOCK, size - start), start)
        if not block:
            return True
        if block.strip(b"\0"):
            return False
        start += len(block)
    return True
