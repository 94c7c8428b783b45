"""Serves one instance's payload: one connection a thread, each with descriptors of its own. Standard library only."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus.v10.base.custody import receive, send
from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.kernel import FILES, Files
from prometheus.v10.ops.custodian.appending import require_lines, whole_bytes
from prometheus.v10.ops.custodian.rules import LOCK_SUFFIX, RefusedError, Rules, Zone

MOST_OPEN = 512
"""Descriptors that one connection holds at most."""
MOST_READ = 1 << 16
MOST_CONNECTIONS = 8
MOST_HELD_SECONDS = 10.0
"""How long a lock that other instances wait for is held at most; an append takes a thousandth of it."""

Heard = Callable[[str], None]
"""Hears of each refusal, in words."""


@dataclass
class _Open:
    fd: int
    path: Path
    zone: Zone
    floor: int
    """Of a chained file: what stands before this byte is never cut."""
    held: threading.Timer | None = None
    """Of a lock that is held and that others wait for: what gives it back in the end."""


class Connection:
    """What one connection may and does; a descriptor is closed at the latest when the connection ends."""

    def __init__(self, rules: Rules, heard: Heard, turn: threading.Lock, files: Files = FILES) -> None:
        """``turn`` is held while a call is allowed and done: no seal comes between the two."""
        self._rules, self._heard, self._turn, self._files = rules, heard, turn, files
        self._open: dict[int, _Open] = {}
        self._next = 0

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
        if len(arguments) != len(kinds) or any(type(a) is not k for a, k in zip(arguments, kinds, strict=True)):
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
        fd = self._files.open(path, flags, mode)
        number, self._next = self._next, self._next + 1
        self._open[number] = _Open(fd, path, zone, whole_bytes(path) if zone is Zone.CHAIN else 0)
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
        """An open file that is to be changed: a run may have been sealed since it was opened."""
        found = self._of(number)
        if found.zone is Zone.RUN:
            self._rules.zone(found.path)
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
            require_lines(self._rules, found.path, data, self._files.size(found.fd))
        return self._files.write(found.fd, data)

    def size(self, number: int) -> int:
        """See `Files`."""
        return self._files.size(self._of(number).fd)

    def appends(self, number: int) -> bool:
        """See `Files`."""
        return self._files.appends(self._of(number).fd)

    def ftruncate(self, number: int, size: int) -> None:
        """See `Files`; of a chained file only what was never whole, or never synced, is cut."""
        found = self._changes(number)
        if found.zone is Zone.CHAIN and size < found.floor:
            raise RefusedError(f"{found.path} is not cut to {size} bytes: {found.floor} are whole lines")
        self._files.ftruncate(found.fd, size)

    def fchmod(self, number: int, mode: int) -> None:
        """See `Files`."""
        self._rules.mode(mode)
        self._files.fchmod(self._changes(number).fd, mode)

    def fdatasync(self, number: int) -> None:
        """See `Files`. What is synced is acknowledged, and never cut again."""
        found = self._of(number)
        self._files.fdatasync(found.fd)
        if found.zone is Zone.CHAIN:
            found.floor = max(found.floor, self._files.size(found.fd))

    def fsync(self, number: int) -> None:
        """See `Files`."""
        self._files.fsync(self._of(number).fd)

    def flock(self, number: int, operation: int) -> None:
        """See `Files`; never waits."""
        found = self._of(number)
        if found.zone is not Zone.LOCK:
            raise RefusedError(f"{found.path} is no lock")
        self._files.flock(found.fd, operation | fcntl.LOCK_NB)
        self._give_back(found)
        if operation & ~fcntl.LOCK_NB == fcntl.LOCK_EX:
            found.held = threading.Timer(MOST_HELD_SECONDS, self._overdue, (number, found))
            found.held.daemon = True
            if self._rules.is_shared(found.path):
                found.held.start()

    def _give_back(self, found: _Open) -> None:
        if found.held is not None:
            found.held.cancel()
            found.held = None

    def _overdue(self, number: int, found: _Open) -> None:
        """Take a lock away that others wait for."""
        with self._turn:
            if self._open.get(number) is found and found.held is not None:
                found.held = None
                self._heard(f"the custodian takes back {found.path.name}: it was held for {MOST_HELD_SECONDS:g} s")
                self._files.flock(found.fd, fcntl.LOCK_UN)

    def _require_lock(self, path: Path) -> None:
        """Lines are appended by whoever holds the file's lock: no other process then appends as well."""
        lock = path.with_name(f"{path.name}{LOCK_SUFFIX}")
        if self._rules.is_shared(lock) and not any(o.path == lock and o.held is not None for o in self._open.values()):
            raise RefusedError(f"{path.name} is appended to while its lock is held")


_WAIT_FOR_THE_DISK = frozenset(["fdatasync", "fsync"])
"""Calls that change nothing that a rule asks about, and that take their time."""
_CALLS: dict[str, tuple[type, ...]] = {
    "root": (), "open": (str, int, int), "close": (int,), "read": (int, int), "write": (int,), "size": (int,),
    "appends": (int,), "ftruncate": (int, int), "fchmod": (int, int), "fdatasync": (int,), "fsync": (int,),
    "flock": (int, int), "rename": (str, str), "link": (str, str), "unlink": (str,), "mkdir": (str, int),
}  # fmt: skip
"""The calls that there are, and the types of their arguments."""


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
        except TimeoutError:
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
