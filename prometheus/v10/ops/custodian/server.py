"""Serves one instance's payload: one connection a thread, each with descriptors of its own. Standard library only."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus.v10.base.custody import receive, send
from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.kernel import FILES, Files
from prometheus.v10.base.names import LEDGER_FILE, POOL_FILE
from prometheus.v10.ops.custodian.appending import require_lines, whole_bytes
from prometheus.v10.ops.custodian.rules import LOCK_SUFFIX, RefusedError, Rules, Zone

MOST_OPEN = 96
"""Descriptors that one connection holds at most; all connections together stay below what a process may have open."""
MOST_NUMBER = 1 << 62
MOST_READ = 1 << 16
MOST_CONNECTIONS = 8
MOST_HELD_SECONDS = {LEDGER_FILE: 4.0, POOL_FILE: 900.0}
"""How long the lock of a file that others wait for is held at most. Under a pool's the whole pool may be checked."""
MOST_PAUSE_SECONDS = 1.0
"""Whoever held a lock for long leaves it to others for as long, up to this, before it is taken again."""

Heard = Callable[[str], None]
"""Hears of each refusal, in words."""


@dataclass
class _Open:
    fd: int
    path: Path
    zone: Zone
    made: bool
    """Whether it was made by this very opening."""
    unsynced: int | None = None
    """Of a chained file: where what was appended in this holding of its lock, and not yet synced, begins."""
    held_since: float | None = None
    """Of a lock: when it was taken (monotonic); None while it is not held."""
    timer: threading.Timer | None = None
    """Of a lock that others wait for: what takes it back in the end."""


class Connection:
    """What one connection may and does; a descriptor is closed at the latest when the connection ends."""

    def __init__(self, rules: Rules, heard: Heard, turn: threading.Lock, files: Files = FILES) -> None:
        """``turn`` is held while a call is allowed and done: no seal comes between the two."""
        self._rules, self._heard, self._turn, self._files = rules, heard, turn, files
        self._open: dict[int, _Open] = {}
        self._next = 0
        self._syncing = 0

    def serve(self, peer: socket.socket) -> None:
        """Answer until the other end is gone, or sends what is no message."""
        try:
            while (message := receive(peer)) is not None:
                head, data = message
                try:
                    value, rest = self._answer(head, data)
                except OSError as error:
                    if isinstance(error, RefusedError):
                        self._heard(str(error.strerror))
                    send(peer, {"errno": error.errno or errno.EIO, "why": error.strerror or str(error)})
                except PrometheusError as error:
                    self._heard(error.message)
                    send(peer, {"errno": errno.EIO, "why": error.message})
                else:
                    send(peer, {"value": value}, rest)
        except (OSError, ValueError):
            pass
        finally:
            with self._turn:
                for number in list(self._open):
                    with suppress(OSError):
                        self.close(number)

    def _answer(self, head: dict[str, Any], data: bytes) -> tuple[Any, bytes]:
        name, arguments = str(head.get("call")), head.get("arguments")
        kinds = _CALLS.get(name)
        if kinds is None or not isinstance(arguments, list):
            raise OSError(errno.EINVAL, "no such call")
        fits = len(arguments) == len(kinds) and all(type(a) is k for a, k in zip(arguments, kinds, strict=True))
        if not fits or any(type(a) is int and abs(a) > MOST_NUMBER for a in arguments):
            raise OSError(errno.EINVAL, f"{name} takes other arguments")
        if name in _WAIT_FOR_THE_DISK:
            return getattr(self, name)(*arguments), b""
        with self._turn:
            if name == "write":
                return self.write(arguments[0], data), b""
            if name == "read":
                return None, self.read(*arguments)
            return getattr(self, name)(*arguments), b""

    # ---- by name

    def root(self) -> str:
        """Where the evidence lies."""
        return str(self._rules.layout.lib)

    def open(self, text: str, flags: int, mode: int) -> int:
        """Open a file; returns its number."""
        path = self._rules.place(text)
        flags &= ~(os.O_CLOEXEC | os.O_NOFOLLOW)
        zone = self._rules.open(path, flags, mode)
        if len(self._open) >= MOST_OPEN:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        made = not os.path.lexists(path)
        fd = self._files.open(path, flags, mode)
        number, self._next = self._next, self._next + 1
        self._open[number] = _Open(fd, path, zone, made)
        return number

    def rename(self, source: str, target: str) -> None:
        """See `Files`. A run that gets its seal so is written no more, through open files neither."""
        one, other = self._rules.place(source), self._rules.place(target)
        self._rules.rename(one, other)
        self._files.rename(one, other)

    def link(self, source: str, target: str) -> None:
        """See `Files`."""
        one, other = self._rules.place(source), self._rules.place(target)
        self._rules.link(one, other)
        self._files.link(one, other)

    def unlink(self, text: str) -> None:
        """See `Files`."""
        path = self._rules.place(text)
        self._rules.unlink(path)
        self._files.unlink(path)

    def mkdir(self, text: str, mode: int) -> None:
        """See `Files`."""
        path = self._rules.place(text)
        self._rules.mkdir(path, mode)
        self._files.mkdir(path, mode)

    # ---- by descriptor

    def _of(self, number: int) -> _Open:
        found = self._open.get(number)
        if found is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return found

    def _changes(self, number: int) -> _Open:
        """An open file that is to be changed: its run may have been sealed since, or it may have got its name."""
        found = self._of(number)
        if found.zone is Zone.RUN:
            self._rules.zone(found.path)
        if found.zone is Zone.NEW and not _is_only_name(found):
            raise RefusedError(f"{found.path.name} has its name: it is written no more")
        return found

    def close(self, number: int) -> None:
        """See `Files`."""
        found = self._of(number)
        del self._open[number]
        self._give_back(found)
        self._files.close(found.fd)

    def read(self, number: int, size: int) -> bytes:
        """See `Files`."""
        return self._files.read(self._of(number).fd, min(max(size, 0), MOST_READ))

    def write(self, number: int, data: bytes) -> int:
        """See `Files`."""
        found = self._changes(number)
        if found.zone is Zone.CHAIN:
            self._require_lock(found.path)
            size = self._files.size(found.fd)
            require_lines(self._rules, found.path, data, size)
            if found.unsynced is None:
                found.unsynced = size
        return self._files.write(found.fd, data)

    def size(self, number: int) -> int:
        """See `Files`."""
        return self._files.size(self._of(number).fd)

    def appends(self, number: int) -> bool:
        """See `Files`."""
        return self._files.appends(self._of(number).fd)

    def ftruncate(self, number: int, size: int) -> None:
        """See `Files`. No file grows; of a chained one only what is no line is cut, or what was appended unsynced."""
        found = self._changes(number)
        if size > self._files.size(found.fd) or size < 0:
            raise RefusedError(f"{found.path.name} does not grow by being cut")
        if found.zone is Zone.CHAIN:
            self._require_lock(found.path)
            floor = whole_bytes(found.path) if found.unsynced is None else found.unsynced
            if size < floor:
                raise RefusedError(f"{found.path.name} is not cut to {size} bytes: {floor} are acknowledged lines")
        self._files.ftruncate(found.fd, size)

    def fchmod(self, number: int, mode: int) -> None:
        """See `Files`; a file that others use as well gets its mode from whoever makes it."""
        self._rules.mode(mode)
        found = self._changes(number)
        if found.zone in {Zone.CHAIN, Zone.LOCK} and not found.made:
            raise RefusedError(f"{found.path.name} keeps its mode")
        self._files.fchmod(found.fd, mode)

    def fdatasync(self, number: int) -> None:
        """See `Files`. What is synced is acknowledged, and never cut again."""
        found = self._of(number)
        self._syncing += 1
        try:
            self._files.fdatasync(found.fd)
        finally:
            self._syncing -= 1
        found.unsynced = None

    def fsync(self, number: int) -> None:
        """See `Files`."""
        self._files.fsync(self._of(number).fd)

    def flock(self, number: int, operation: int) -> None:
        """See `Files`; never waits. A lock is held by one at a time, and one that others wait for not for ever."""
        found = self._of(number)
        if found.zone is not Zone.LOCK:
            raise RefusedError(f"{found.path} is no lock")
        if operation == fcntl.LOCK_UN:
            self._give_back(found)
            return
        if operation != fcntl.LOCK_EX | fcntl.LOCK_NB:
            raise RefusedError(f"{found.path.name} is taken by one at a time, without waiting")
        if found.held_since is not None:
            return
        if self._clock() < _pauses.get(found.path, 0.0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        self._files.flock(found.fd, operation)
        found.held_since = self._clock()
        if self._rules.is_shared(found.path):
            self._watch(number, found, MOST_HELD_SECONDS[found.path.name.removesuffix(LOCK_SUFFIX)])

    _clock = staticmethod(time.monotonic)

    def _watch(self, number: int, found: _Open, seconds: float) -> None:
        found.timer = threading.Timer(seconds, self._overdue, (number, found))
        found.timer.daemon = True
        found.timer.start()

    def _give_back(self, found: _Open) -> None:
        if found.timer is not None:
            found.timer.cancel()
            found.timer = None
        if found.held_since is None:
            return
        if self._rules.is_shared(found.path):
            now = self._clock()
            _pauses[found.path] = now + min(now - found.held_since, MOST_PAUSE_SECONDS)
        found.held_since = None
        for one in self._open.values():  # from now on others may append behind it
            if found.path == one.path.with_name(f"{one.path.name}{LOCK_SUFFIX}"):
                one.unsynced = None
        self._files.flock(found.fd, fcntl.LOCK_UN)

    def _overdue(self, number: int, found: _Open) -> None:
        """Take a lock away that others wait for. Under a sync it is the disk that takes its time: look again."""
        with self._turn:
            if self._open.get(number) is not found or found.held_since is None:
                return
            if self._syncing:
                self._watch(number, found, 1.0)
                return
            held = self._clock() - found.held_since
            self._heard(f"the custodian takes back {found.path.name}: it was held for {held:.0f} s")
            self._give_back(found)

    def _require_lock(self, path: Path) -> None:
        """Lines are appended by whoever holds the file's lock: no other process then appends as well."""
        lock = path.with_name(f"{path.name}{LOCK_SUFFIX}")
        holds = any(one.path == lock and one.held_since is not None for one in self._open.values())
        if self._rules.is_shared(lock) and not holds:
            raise RefusedError(f"{path.name} is appended to while its lock is held")


_WAIT_FOR_THE_DISK = frozenset(["fdatasync", "fsync"])
"""Calls that change nothing that a rule asks about, and that take their time."""
_CALLS: dict[str, tuple[type, ...]] = {
    "root": (), "open": (str, int, int), "close": (int,), "read": (int, int), "write": (int,), "size": (int,),
    "appends": (int,), "ftruncate": (int, int), "fchmod": (int, int), "fdatasync": (int,), "fsync": (int,),
    "flock": (int, int), "rename": (str, str), "link": (str, str), "unlink": (str,), "mkdir": (str, int),
}  # fmt: skip
"""The calls that there are, and the types of their arguments."""


_pauses: dict[Path, float] = {}
"""Until when (monotonic) a lock is left to others, by its path; of this custodian, whichever connection held it."""


def _is_only_name(found: _Open) -> bool:
    """Whether an open file lies under the name that it was opened by, and under no other."""
    try:
        named, opened = found.path.lstat(), os.fstat(found.fd)
    except OSError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino) and opened.st_nlink == 1


def peer_uid(peer: socket.socket) -> int:
    """Who is at the other end, as the kernel has it."""
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def serve(listening: socket.socket, rules: Rules, heard: Heard, *, idle_seconds: float | None = None) -> None:
    """Serve connections of this user; returns when none is left and none came for ``idle_seconds``."""
    turn = threading.Lock()
    threads: list[threading.Thread] = []
    listening.settimeout(idle_seconds)
    while True:
        try:
            peer, _ = listening.accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                time.sleep(0.1)
                continue
            if not isinstance(error, TimeoutError):
                raise
            if any(thread.is_alive() for thread in threads):
                continue
            return
        peer.settimeout(None)
        threads = [thread for thread in threads if thread.is_alive()]
        if peer_uid(peer) != os.geteuid() or len(threads) >= MOST_CONNECTIONS:
            heard(f"the custodian refuses: connection {len(threads) + 1}, of user {peer_uid(peer)}")
            peer.close()
            continue
        thread = threading.Thread(target=_one, args=(peer, rules, heard, turn), daemon=True)
        thread.start()
        threads.append(thread)


def _one(peer: socket.socket, rules: Rules, heard: Heard, turn: threading.Lock) -> None:
    with peer:
        Connection(rules, heard, turn).serve(peer)
