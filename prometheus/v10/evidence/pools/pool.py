"""The gene pool (contracts, section 5): one writer at a time, append only, durable when acknowledged, read by anyone.

1. The writer holds a lock beside the pool for as long as it is open. Instances that work side by side take turns: each
   holds the lock while it opens and while it appends, and follows first what the others appended (`SharedPoolWriter`).
2. At open the whole chain is checked; a torn tail is moved aside (`tail`), anything else wrong refuses.
3. A group of records is one ``write`` and one ``fdatasync``; their numbers are returned after that, never before. In a
   stream of groups what is written while a sync runs shares the next one (`PoolWriter.append_groups`).
4. Readers see whole lines only, and check the chain as they go.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.files import FILES, AppendFile, Files, Lock
from prometheus.v10.evidence.chains.chain import Link, Place
from prometheus.v10.evidence.chains.pool_checked import recall, remember
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.tail import OnTornTail, open_chain
from prometheus.v10.evidence.pools.pool_record import Entry, PoolRecord, place_all, record_of
from prometheus.v10.evidence.pools.reader import iter_lines
from prometheus.v10.evidence.records.findings import Progress

TURN_ATTEMPTS = 3000
"""How often a shared writer asks for its turn: a minute, in which the disk may take a large group of another one."""

AHEAD = 4
"""Groups of a stream that may be written and not yet acknowledged: enough that the disk never waits for us."""


class PoolWriter:
    """The one writer of a pool, as a context manager.

    Attributes:
        link: ``n`` and ``prev`` of the record that comes next: the count, and the head hash.
    """

    def __init__(self, path: Path, *, clock: Clock, on_torn: OnTornTail, files: Files = FILES) -> None:
        """``on_torn`` hears of a torn tail that was moved aside at open: nothing is repaired silently."""
        self.path = path
        self.link = Link()
        self.own = hashlib.sha256()  # over the lines that this writer appended, in order
        self._clock = clock
        self._files = files
        self._on_torn = on_torn
        self._lock = Lock(path.with_name(f"{path.name}.lock"), who="a pool writer", files=files, mode=0o600)
        self._file: AppendFile | None = None
        self._attempts = 1
        self._vouched = 0
        self._written: deque[tuple[Link, Link, Future[None]]] = deque()  # of a stream: groups that await their sync
        self._durable = 0

    def __enter__(self) -> Self:
        """Take the lock, check the chain, open.

        Raises:
            LockHeldError: when another process writes this pool.
            EvidenceError: when the pool is damaged, with the byte offset.
            HostError: when a call to the kernel fails.
        """
        self._open(0)
        return self

    def _open(self, start: int, progress: Progress | None = None) -> None:
        """Lock, and check what lies from ``start`` on, where `link` stands; errors as `__enter__`."""
        self._lock.acquire(attempts=self._attempts)
        try:
            self._file, found = open_chain(
                self.path, POOL_LINE, clock=self._clock, files=self._files, on_torn=self._on_torn,
                start=Place(start, self.link), progress=progress, vouched=self._vouched,
            )  # fmt: skip
        except BaseException:
            self._lock.release()
            raise
        self.link = found.link

    def _close(self) -> None:
        try:
            self._settle_all()
        finally:
            self._close_file()

    def _close_file(self) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        finally:
            self._lock.release()

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self._close()

    @property
    def size(self) -> int:
        """Bytes of the pool that were written whole; while a stream is under way its last groups await their sync."""
        return self._open_file().size

    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Append a group; returns the records' numbers when they are durable.

        Raises:
            HostError: when the disk refuses; none of the group is in the pool then, as far as the disk lets us.
        """
        file = self._unshared_file()
        if not entries:
            return []
        data, link = _lines(entries, self.link)
        file.append_durable(data)
        for piece in data:
            self.own.update(piece)
        first, self.link = self.link.n, link
        return list(range(first, link.n))

    def append_groups(self, groups: Iterable[Sequence[Entry]]) -> Iterator[list[int]]:
        """Append group after group, hashing and writing the next ones while the disk takes the ones before.

        Yields each group's numbers when it is durable, in order. Groups that were written and not yet yielded when the
        stream is left, by its reader or by an error, are settled before: `link` says how far the pool then reaches.

        Raises:
            HostError: when the disk refuses. A group that could not be written leaves those before it in the pool;
                a sync that failed takes with it what it stood for, as far as the disk lets us.
        """
        file = self._unshared_file()
        self._durable = file.size

        def sync(end: int) -> None:
            if self._durable < end:
                reached = file.size
                file.sync()
                self._durable = reached

        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pool-sync") as syncing:
            try:
                for group in filter(None, groups):
                    if len(self._written) == AHEAD:
                        yield self._settle()
                    data, after = _lines(group, self.link)
                    file.append(data)
                    self._written.append((self.link, after, syncing.submit(sync, file.size)))
                    self.link = after
                while self._written:
                    yield self._settle()
            finally:
                self._settle_all()

    def _settle(self) -> list[int]:
        """Wait for the oldest group of a stream; the errors of `append_groups`."""
        first, after, synced = self._written.popleft()
        if (failed := synced.exception()) is not None:
            wait([later for _, _, later in self._written])
            self._written.clear()
            self.link = first
            self._open_file().cut_back(self._durable)
            raise failed
        return list(range(first.n, after.n))

    def _settle_all(self) -> None:
        while self._written:
            self._settle()

    def _unshared_file(self) -> AppendFile:
        """The file, unless a stream writes there now: taking back what it lost would take ours as well."""
        if self._written:
            raise UsageError(f"{self.path}: a stream of groups is under way", hint="read it to its end, or close it")
        return self._open_file()

    def _open_file(self) -> AppendFile:
        if self._file is None:
            raise UsageError(f"{self.path} is not open for writing")
        return self._file


class SharedPoolWriter(PoolWriter):
    """A writer that takes turns with others, for runs of several instances side by side.

    Opening checks the whole chain, once a process (`pool_checked`); each append checks what others appended since, and
    goes on behind it. A torn tail that another one left is moved aside then, as at open. Who waits longer than
    `TURN_ATTEMPTS` allows is refused.
    """

    def __init__(
        self, path: Path, *, clock: Clock, on_torn: OnTornTail, files: Files = FILES, progress: Progress | None = None,
        vouched: int = 0,
    ) -> None:  # fmt: skip
        """As `PoolWriter`.

        Args:
            path: the pool.
            clock: see there.
            on_torn: see there.
            files: see there.
            progress: hears how many bytes were checked since its last call, while it is opened.
            vouched: how many records the ledger vouches for (`anchors.vouched_records`).
        """
        super().__init__(path, clock=clock, on_torn=on_torn, files=files)
        self._vouched = vouched
        self._attempts = TURN_ATTEMPTS
        self._progress = progress
        self._checked = 0

    def __enter__(self) -> Self:
        """Check the chain and let the others in again; errors as `PoolWriter.__enter__`."""
        self._checked, self.link = recall(self.path)
        self._open(self._checked, self._progress)
        self._pause()
        return self

    def _pause(self) -> None:
        """Let the others in; how far it is good is noted before that."""
        self._checked = super().size
        remember(self.path, Place(self._checked, self.link))
        self._close()

    @property
    def size(self) -> int:
        """Bytes of the pool when this writer looked last."""
        return self._checked

    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Append a group in a turn of one's own; returns the records' numbers when they are durable.

        Raises:
            LockHeldError: when the turn does not come.
            EvidenceError: when what others appended is damaged, with the byte offset.
            HostError: when the disk refuses; none of the group is in the pool then, as far as the disk lets us.
        """
        if not entries:
            return []
        self._open(self._checked)
        try:
            return super().append(entries)
        finally:
            self._pause()

    def append_groups(self, groups: Iterable[Sequence[Entry]]) -> Iterator[list[int]]:
        """Each group in a turn of its own; errors as `append`."""
        return (numbers for group in groups if (numbers := self.append(group)))


def _lines(entries: Sequence[Entry], link: Link) -> tuple[list[bytes], Link]:
    """A group's bytes from ``link`` on, in pieces, and the link after them."""
    pieces, prev = place_all([entry.encoded for entry in entries], link.n, link.prev.encode("ascii"))
    return pieces, Link(link.n + len(entries), prev.decode("ascii"))


def iter_records(path: Path, *, progress: Progress | None = None) -> Iterator[PoolRecord]:
    """Stream a pool's or snapshot's records; see `iter_lines` for what is checked and raised."""
    for line in iter_lines(path, progress=progress):
        yield record_of(line)
