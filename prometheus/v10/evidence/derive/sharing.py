"""A run's event files cut into shares of whole experiments, and processes that take one share after the other.

A process reads the bytes of its shares and no others, so that two of them take half the time. Which takes what is not
settled before: a ticket for each share lies in a pipe, and whoever is free takes the next. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.chains.chain import BLOCK
from prometheus.v10.evidence.chains.scan import open_for_reading

MOST_SHARES = 255
"""One byte is a ticket."""
WINDOW = 64 * 1024
"""Bytes in which a line's experiment must stand, where a file is to be cut."""
_EXPERIMENT = re.compile(rb'\n[^\n]*?"experiment":(\d{1,9}),')


class Share(NamedTuple):
    """Experiments from ``first`` up to before ``past`` (None: to the end), and where each file has their lines."""

    first: int
    past: int | None
    spans: dict[Artifact, tuple[int, int]]

    def has(self, experiment: int) -> bool:
        """Whether an experiment is one of its own."""
        return self.first <= experiment and (self.past is None or experiment < self.past)


def can_share() -> bool:
    """Whether this process may start others like itself: one of several threads must not, nor a worker of a pool."""
    workers = sys.modules.get("multiprocessing.process")
    return threading.active_count() == 1 and (workers is None or not workers.current_process().daemon)


def cut(paths: Mapping[Artifact, Path], count: int) -> list[Share]:
    """About ``count`` shares of as many bytes each; fewer than two where the files cannot be cut.

    The cuts are right for files that name experiments in ascending order. Whoever reads a share finds out if one does
    not: it has lines of experiments that are not its own.

    Raises:
        OSError: when a file cannot be read.
        PrometheusError: when one is no regular file.
    """
    files: dict[Artifact, _Cuttable] = {}
    try:
        for artifact, path in paths.items():
            files[artifact] = _Cuttable(open_for_reading(path))
        largest = max(files.values(), key=lambda file: file.size)
        named = [largest.experiment_from(largest.size * place // count) for place in range(1, count)]
        firsts = [-1, *sorted({experiment for experiment in named if experiment is not None})]
        starts = {artifact: [0, *map(file.first_from, firsts[1:]), file.size] for artifact, file in files.items()}
    except ValueError:
        return []
    finally:
        for file in files.values():
            os.close(file.fd)
    return [
        Share(first, past, {artifact: (cuts[place], cuts[place + 1]) for artifact, cuts in starts.items()})
        for place, (first, past) in enumerate(zip(firsts, [*firsts[1:], None], strict=True))
    ]


class _Cuttable:
    """An open file of lines in the order of their experiments."""

    def __init__(self, fd: int) -> None:
        self.fd, self.size = fd, os.fstat(fd).st_size

    def experiment_from(self, at: int) -> int | None:
        """The experiment of the first line that begins at ``at`` or behind it; None where there is none."""
        return self._line(at)[1]

    def first_from(self, experiment: int) -> int:
        """Where the first line begins that names ``experiment`` or a later one; the file's size where none does."""
        low, high = 0, self.size
        while low < high:
            middle = (low + high) // 2
            start, found = self._line(middle)
            if found is None or found >= experiment:
                high = middle
            else:
                low = start + 1
        return self._line(low)[0]

    def _line(self, at: int) -> tuple[int, int | None]:
        """Start and experiment of the first line from ``at`` on.

        Raises:
            ValueError: where it names none, or is longer than any line of an experiment.
        """
        before = b"\n" if at == 0 else b""
        block = before + os.pread(self.fd, WINDOW, at - 1 + len(before))
        newline = block.find(b"\n")
        if at + newline >= self.size or (newline < 0 and at - 1 + len(block) >= self.size):
            return self.size, None
        found = _EXPERIMENT.match(block, newline)
        if newline < 0 or found is None:
            raise ValueError("a line that names no experiment")
        return at + newline, int(found[1])


def hashed(
    paths: Mapping[Artifact, Path], shares: Sequence[Share]
) -> tuple[dict[Artifact, str], list[dict[Artifact, str]]]:
    """The sha256 of each file, and of each share's bytes of it: that what was parsed is what was hashed."""
    whole: dict[Artifact, str] = {}
    parts: list[dict[Artifact, str]] = [{} for _ in shares]
    for artifact, path in paths.items():
        fd = open_for_reading(path)
        try:
            every = hashlib.sha256()
            for share, said in zip(shares, parts, strict=True):
                at, end = share.spans[artifact]
                part = hashlib.sha256()
                while at < end and (block := os.pread(fd, min(BLOCK, end - at), at)):
                    at += len(block)
                    every.update(block)
                    part.update(block)
                said[artifact] = part.hexdigest()
        finally:
            os.close(fd)
        whole[artifact] = every.hexdigest()
    return whole, parts


def in_processes(
    count: int, shares: int, work: Callable[[int], Any], meanwhile: Callable[[], None] = lambda: None
) -> list[Any] | None:
    """What ``work`` makes of each number below ``shares``, by ``count`` processes; None when one of them fails.

    Args:
        count: this process and as many more as that takes, which begin as copies of it and end with the call.
        shares: at most `MOST_SHARES`.
        work: called with a number; what it returns is pickled.
        meanwhile: what this process does before it takes a share itself.
    """
    import pickle  # noqa: PLC0415  (most runs are too small to be shared)

    tickets, fill = os.pipe()
    os.write(fill, bytes(range(shares)))
    os.close(fill)
    others: list[tuple[int, int]] = []
    try:
        for _ in range(count - 1):
            answer, out = os.pipe()
            pid = os.fork()
            if not pid:
                _help(tickets, work, out)
            os.close(out)
            others.append((pid, answer))
        meanwhile()
        found = _take(tickets, work)
        for _, answer in others:
            with open(answer, "rb", closefd=False) as file:
                found |= pickle.loads(file.read())  # noqa: S301  (of a copy of this process)
    except Exception:  # noqa: BLE001  (whatever it is, one process alone meets it again and says it)
        return None
    finally:
        os.close(tickets)
        for pid, answer in others:
            os.close(answer)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return [found[number] for number in range(shares)] if len(found) == shares else None


def _take(tickets: int, work: Callable[[int], Any]) -> dict[int, Any]:
    found = {}
    while ticket := os.read(tickets, 1):
        found[ticket[0]] = work(ticket[0])
    return found


def _help(tickets: int, work: Callable[[int], Any], out: int) -> NoReturn:
    """The life of a helper: nothing of the program that asked runs in it again, whatever happens."""
    import pickle  # noqa: PLC0415

    try:
        with open(out, "wb") as file:
            file.write(pickle.dumps(_take(tickets, work), pickle.HIGHEST_PROTOCOL))
    finally:
        os._exit(0)
