"""Reading a pool or a snapshot while somebody may be appending to it: whole lines only, the chain checked on the way.

Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.evidence.chains.chain import Lines, Link, after
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import meter, open_for_reading
from prometheus.v10.evidence.records.findings import Progress


def iter_lines(path: Path, *, size: int | None = None, progress: Progress | None = None) -> Iterator[bytes]:
    """Stream a pool's or snapshot's lines in flat memory, checking the chain on the way.

    A writer may append meanwhile: bytes after the last newline that was there when reading began are not looked at.

    Args:
        path: the pool or snapshot.
        size: look at no more than this many bytes.
        progress: called now and then with the number of bytes passed since the last call.

    Raises:
        EvidenceError: at the first line that does not follow the one before, with its byte offset.
        HostError: when the file cannot be read.
    """
    fd = open_for_reading(path)
    try:
        for line, _ in linked_lines(fd, path, size=size, progress=progress):
            yield line
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    finally:
        os.close(fd)


def linked_lines(
    fd: int, path: Path, *, size: int | None = None, progress: Progress | None = None
) -> Iterator[tuple[bytes, Link]]:
    """`iter_lines` of an open file, each line with the link that follows it."""
    link = Link()
    lines, at = Lines(fd, size=size), meter(progress, 0)
    last, before = b"", link
    for line in lines:
        if not POOL_LINE.links(line, link):
            _refuse(path, lines.offset, link, line)
        at(lines.offset)
        if last:
            yield last, link
        last, before, link = line, link, after(line, link.n)
    if last:
        # No later line vouches for the last one, so it is looked at closely.
        what = POOL_LINE.problem(last, before)
        if what is not None:
            _refuse(path, lines.offset, before, last)
        yield last, link


def _refuse(path: Path, offset: int, link: Link, line: bytes) -> None:
    what = POOL_LINE.problem(line, link)
    if what is not None:
        raise EvidenceError(
            f"{path}: damaged at byte {offset} (line {link.n + 1}): {what}",
            hint="verify the file; restore it from a snapshot or a copy",
        )
