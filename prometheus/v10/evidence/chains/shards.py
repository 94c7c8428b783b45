"""A close pass over a large chained file by several processes, with the result of one (`scan.scan`).

The file is cut at line ends into one piece for each processor. A piece is checked from the link that its first line
claims, by an interpreter of its own (`shard_worker`), which knows neither the main module nor the environment of the
program that asks. The pieces hold together when each begins with the link that the one before ended with. Whenever
anything at all is wrong, the file is passed over once more by one process, so that a finding never depends on where the
cuts fell.

Standard library only.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus.v10.base.errors import host_error
from prometheus.v10.evidence.chains.chain import BLOCK, MAX_LINE, LineFormat, Link, Place
from prometheus.v10.evidence.chains.scan import Scan, Tail, open_for_reading, scan

LARGE = 64 * 1024 * 1024
"""Below this, starting processes costs more than it saves."""
PIECE = 32 * 1024 * 1024
BOOT = "import sys; sys.path[:] = sys.argv[1:]; from prometheus.v10.evidence.chains.shard_worker import main; main()"
"""What a helper runs: isolated, with the places that this process imports from."""


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
    if size >= LARGE and workers > 1:
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
        with _Helpers(min(workers, len(spans))) as helpers, ThreadPoolExecutor(workers) as pool:
            waiting = {pool.submit(helpers.piece, path, form, start, end, heads_at): start for start, end in spans}
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
    except (OSError, ValueError):  # a helper that cannot be started, or was killed
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


class _Helpers:
    """Interpreters that check pieces, one request a line; a context manager that ends them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._all: list[subprocess.Popen[bytes]] = []
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        words = [sys.executable, "-I", "-B", "-c", BOOT, *filter(None, sys.path)]
        try:
            for _ in range(self._count):
                helper = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
                self._all.append(helper)
                self._idle.put(helper)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        for helper in self._all:
            helper.kill()
            helper.communicate()

    def piece(self, path: Path, form: LineFormat, start: int, end: int, heads_at: Set[int]) -> tuple[Link, Scan] | None:
        """One piece: the link that it claims to begin with, and its scan; None when something is wrong in it.

        Raises:
            ValueError: when the helper ended, or answered with something else.
            OSError: when it cannot be spoken to.
        """
        helper = self._idle.get()
        try:
            asked = {"path": str(path.absolute()), "form": form.name, "start": start, "end": end}
            to, back = helper.stdin, helper.stdout
            if to is None or back is None:
                raise ValueError("a helper without pipes")
            to.write(json.dumps({**asked, "heads": sorted(heads_at)}).encode() + b"\n")
            to.flush()
            answer = json.loads(back.readline())
        finally:
            self._idle.put(helper)
        if answer is None:
            return None
        found = Scan(path, link=Link(*answer["link"]), good=answer["good"], size=answer["size"])
        found.tail = None if answer["tail"] is None else Tail(*answer["tail"])
        found.heads = {int(count): head for count, head in answer["heads"].items()}
        return Link(*answer["first"]), found


def check_piece(path: Path, form: LineFormat, start: int, end: int, heads_at: Set[int]) -> tuple[Link, Scan] | None:
    """As `_Helpers.piece`, in this process."""
    fd = open_for_reading(path)
    try:
        head = os.pread(fd, min(MAX_LINE, end - start), start)
    finally:
        os.close(fd)
    first = form.link_of(head[: head.find(b"\n") + 1])
    if first is None:
        return None
    found = scan(path, form, close=True, start=Place(start, first), end=end, heads_at=heads_at)
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
