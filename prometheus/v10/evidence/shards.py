"""A close pass over a large chained file by several processes, with the result of one (`scan.scan`).

The file is cut at line ends into one piece for each processor. A piece is checked from the link that its first line
claims; the pieces hold together when each begins with the link that the one before ended with. Whenever anything at all
is wrong, the file is passed over once more by one process, so that a finding never depends on where the cuts fell.

Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Set
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import current_process, get_context
from pathlib import Path

from prometheus.v10.base.errors import host_error
from prometheus.v10.evidence.chain import BLOCK, MAX_LINE, LineFormat, Link
from prometheus.v10.evidence.scan import Scan, open_for_reading, scan

LARGE = 64 * 1024 * 1024
"""Below this, starting processes costs more than it saves."""
PIECE = 32 * 1024 * 1024


def scan_close(
    path: Path,
    form: LineFormat,
    *,
    progress: Callable[[int], None] | None = None,
    heads_at: Set[int] = frozenset(),
) -> Scan:
    """`scan` with ``close=True``, by as many processes as there are processors when the file is large.

    Raises:
        HostError: when the file cannot be read.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    workers = len(os.sched_getaffinity(0))
    if size >= LARGE and workers > 1 and not current_process().daemon:
        found = _in_pieces(path, form, size, workers, progress, heads_at)
        if found is not None:
            return found
        progress = None  # the bytes were counted already
    return scan(path, form, close=True, progress=progress, heads_at=heads_at)


def _in_pieces(
    path: Path,
    form: LineFormat,
    size: int,
    workers: int,
    progress: Callable[[int], None] | None,
    heads_at: Set[int],
) -> Scan | None:
    """The file's scan, put together from its pieces; None when anything asks for a single pass."""
    cuts = _cuts(path, size)
    spans = list(zip(cuts, [*cuts[1:], size], strict=True))
    pieces: dict[int, Scan] = {}
    firsts: dict[int, Link] = {}
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            waiting = {pool.submit(_piece, path, form, start, end, heads_at): start for start, end in spans}
            try:
                for done in as_completed(waiting):
                    start = waiting[done]
                    answer = done.result()
                    if answer is None:
                        return None
                    firsts[start], pieces[start] = answer
                    if progress is not None:
                        progress(pieces[start].good - start)
            finally:  # whoever hears of the progress may end it
                pool.shutdown(cancel_futures=True)
    except BrokenProcessPool:
        return None
    link = Link()
    for start, end in spans:
        if firsts[start] != link or (pieces[start].good != end and end != size):
            return None
        link = pieces[start].link
    whole = pieces[spans[-1][0]]
    whole.size = size
    whole.heads = {count: head for piece in pieces.values() for count, head in piece.heads.items()}
    return whole


def _piece(path: Path, form: LineFormat, start: int, end: int, heads_at: Set[int]) -> tuple[Link, Scan] | None:
    """One piece: the link that it claims to begin with, and its scan; None when something is wrong in it."""
    fd = open_for_reading(path)
    try:
        head = os.pread(fd, min(MAX_LINE, end - start), start)
    finally:
        os.close(fd)
    first = form.link_of(head[: head.find(b"\n") + 1])
    if first is None:
        return None
    found = scan(path, form, close=True, start=start, end=end, link=first, heads_at=heads_at)
    return None if found.damages else (first, found)


def _cuts(path: Path, size: int) -> list[int]:
    """Offsets at which pieces begin: line ends, about `PIECE` bytes apart."""
    fd = open_for_reading(path)
    try:
        cuts = [0]
        while (at := cuts[-1] + PIECE) < size:
            block = os.pread(fd, BLOCK, at)
            end = block.find(b"\n")
            if end < 0 or at + end + 1 >= size:
                break
            cuts.append(at + end + 1)
        return cuts
    finally:
        os.close(fd)
