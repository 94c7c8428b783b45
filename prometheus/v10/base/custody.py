"""Writing through a custodian: the other end of `prometheus.v10.ops.custodian`. Standard library only.

On a host the payload's container sees the evidence read-only. `CustodianFiles` is the layer of `base.kernel` that asks
the custodian, over its socket, for every call that changes something below the evidence's root; it reads by itself.
What the custodian refuses comes back as ``EPERM`` with its reason.

The form: four bytes, big-endian, give the length of a JSON object; that object's ``bytes`` gives the length of what
follows it. A request is ``{"call": name, "arguments": [...]}``, an answer ``{"value": ...}`` or ``{"errno": n,
"why": text}``. Requests of one connection are answered in order; a descriptor belongs to its connection, and all that
are open are closed when it ends.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prometheus.v10.base import kernel
from prometheus.v10.base.errors import HostError
from prometheus.v10.base.kernel import Files
from prometheus.v10.base.text import printable

OPTION = "--custodian"
REMOTE = 1 << 30
"""Descriptors from here on are the custodian's; the kernel never hands out so many."""
MOST_HEAD = 1 << 16
MOST_WRITE = 1 << 24
"""A larger write goes in several messages, parted behind whole lines where there are any."""
MOST_BYTES = MOST_WRITE
"""Most bytes that follow one message's head."""
LOOK_SECONDS = 0.1
"""How often a process that waits for its custodian looks whether it has been told to stop."""
_LENGTH = struct.Struct(">I")


def send(to: socket.socket, head: dict[str, Any], data: bytes | memoryview = b"") -> None:
    """Send one message.

    Raises:
        OSError: when the other end is gone.
    """
    text = json.dumps({**head, "bytes": len(data)}, separators=(",", ":")).encode()
    to.sendall(_LENGTH.pack(len(text)) + text)
    if len(data):
        to.sendall(data)


def receive(source: socket.socket) -> tuple[dict[str, Any], bytes] | None:
    """Receive one message; None when the other end closed between two.

    Raises:
        ValueError: when what came is no message.
        OSError: when the connection broke.
    """
    first = _exactly(source, _LENGTH.size, may_end=True)
    if first is None:
        return None
    (length,) = _LENGTH.unpack(first)
    if length > MOST_HEAD:
        raise ValueError(f"a head of {length} bytes")
    try:
        head = json.loads(_exactly(source, length) or b"")
    except RecursionError:
        raise ValueError("a head that is nested too deep") from None
    size = head.get("bytes") if isinstance(head, dict) else None
    if type(size) is not int or not 0 <= size <= MOST_BYTES:
        raise ValueError("a message without a length")
    return head, _exactly(source, size) or b""


def _exactly(source: socket.socket, size: int, *, may_end: bool = False) -> bytes | None:
    got = bytearray(size)
    view, have = memoryview(got), 0
    while have < size:
        count = source.recv_into(view[have:])
        if count == 0:
            if may_end and have == 0:
                return None
            raise ConnectionResetError(errno.ECONNRESET, "the connection ended in the middle of a message")
        have += count
    return bytes(got)


class CustodianFiles(Files):
    """Calls that change something below ``root`` are the custodian's; all others are made here.

    A forked child has no part in the connection: what it tries fails with ``EIO``.
    """

    def __init__(self, place: Path) -> None:
        """Connect and ask for the root; the answer is awaited by whoever needs it first (`root`).

        systemd starts the custodian when a payload connects, so both start at the same time.

        Args:
            place: the custodian's socket.

        Raises:
            HostError: when nobody listens there.
        """
        self.place = place
        self._turn = threading.Lock()
        self._pid = os.getpid()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._root: Path | None = None
        try:
            self._socket.connect(str(place))
            send(self._socket, {"call": "root", "arguments": ()})
        except OSError as error:
            raise _nobody(place, error) from error

    @property
    def root(self) -> Path:
        """What the custodian writes below.

        Raises:
            OSError: when it does not answer.
        """
        if self._root is None:
            with self._turn:
                if self._root is None:
                    self._root = Path(str(self._answer()[0]))
        return self._root

    def answers(self, seconds: float) -> bool:
        """Whether the custodian has said its root, or does within so many seconds.

        Raises:
            OSError: when it is gone.
        """
        if self._root is None and not select.select([self._socket], [], [], seconds)[0]:
            return False
        _ = self.root
        return True

    def disconnect(self) -> None:
        """Close the connection; the custodian then closes every file that is open in it."""
        self._socket.close()

    def _ask(self, call: str, *arguments: Any, data: bytes | memoryview = b"") -> tuple[Any, bytes]:
        if os.getpid() != self._pid:
            raise OSError(errno.EIO, "a worker process does not write evidence")
        _ = self.root  # its answer comes before every other
        with self._turn:
            try:
                send(self._socket, {"call": call, "arguments": arguments}, data)
            except OSError as error:
                raise _gone(error) from error
            return self._answer()

    def _answer(self) -> tuple[Any, bytes]:
        try:
            answer = receive(self._socket)
        except ValueError as error:
            raise OSError(errno.EIO, f"the custodian answered {error}") from error
        except OSError as error:
            raise _gone(error) from error
        if answer is None:
            raise OSError(errno.EIO, "the custodian is gone")
        head, rest = answer
        if "errno" in head:
            raise OSError(int(head["errno"]), str(head["why"]))
        return head.get("value"), rest

    def _ours(self, path: Path) -> bool:
        return not Path(os.path.abspath(path)).is_relative_to(self.root)  # noqa: PTH100  (resolve() follows links)

    def open(self, path: Path, flags: int, mode: int = 0o640) -> int:
        """See `Files`."""
        if self._ours(path) or flags & os.O_ACCMODE == os.O_RDONLY:
            return super().open(path, flags, mode)
        return REMOTE + int(self._ask("open", str(path), flags, mode)[0])

    def close(self, fd: int) -> None:
        """See `Files`."""
        if fd < REMOTE:
            super().close(fd)
        else:
            self._ask("close", fd - REMOTE)

    def drop(self, fd: int) -> None:
        """See `Files`."""
        if fd < REMOTE:
            super().drop(fd)

    def read(self, fd: int, size: int) -> bytes:
        """See `Files`."""
        return super().read(fd, size) if fd < REMOTE else self._ask("read", fd - REMOTE, size)[1]

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """See `Files`."""
        if fd < REMOTE:
            return super().write(fd, data)
        rest, done = memoryview(data), 0
        while len(rest) > MOST_WRITE:
            size = bytes(rest[:MOST_WRITE]).rfind(b"\n") + 1 or MOST_WRITE
            taken = int(self._ask("write", fd - REMOTE, data=rest[:size])[0])
            done, rest = done + taken, rest[taken:]
            if taken < size:
                return done
        return done + int(self._ask("write", fd - REMOTE, data=rest)[0])

    def writev(self, fd: int, pieces: Sequence[bytes]) -> int:
        """See `Files`."""
        return self.write(fd, b"".join(pieces))

    def size(self, fd: int) -> int:
        """See `Files`."""
        return super().size(fd) if fd < REMOTE else int(self._ask("size", fd - REMOTE)[0])

    def appends(self, fd: int) -> bool:
        """See `Files`."""
        return super().appends(fd) if fd < REMOTE else bool(self._ask("appends", fd - REMOTE)[0])

    def ftruncate(self, fd: int, size: int) -> None:
        """See `Files`."""
        if fd < REMOTE:
            super().ftruncate(fd, size)
        else:
            self._ask("ftruncate", fd - REMOTE, size)

    def fchmod(self, fd: int, mode: int) -> None:
        """See `Files`."""
        if fd < REMOTE:
            super().fchmod(fd, mode)
        else:
            self._ask("fchmod", fd - REMOTE, mode)

    def fdatasync(self, fd: int) -> None:
        """See `Files`."""
        if fd < REMOTE:
            super().fdatasync(fd)
        else:
            self._ask("fdatasync", fd - REMOTE)

    def fsync(self, fd: int) -> None:
        """See `Files`."""
        if fd < REMOTE:
            super().fsync(fd)
        else:
            self._ask("fsync", fd - REMOTE)

    def flock(self, fd: int, operation: int) -> None:
        """See `Files`."""
        if fd < REMOTE:
            super().flock(fd, operation)
        else:
            self._ask("flock", fd - REMOTE, operation)

    def rename(self, source: Path, target: Path) -> None:
        """See `Files`."""
        if self._ours(target) and self._ours(source):
            super().rename(source, target)
        else:
            self._ask("rename", str(source), str(target))

    def link(self, source: Path, target: Path) -> None:
        """See `Files`."""
        if self._ours(target) and self._ours(source):
            super().link(source, target)
        else:
            self._ask("link", str(source), str(target))

    def unlink(self, path: Path) -> None:
        """See `Files`."""
        if self._ours(path):
            super().unlink(path)
        else:
            self._ask("unlink", str(path))

    def mkdir(self, path: Path, mode: int = 0o750) -> None:
        """See `Files`."""
        if self._ours(path):
            super().mkdir(path, mode)
        else:
            self._ask("mkdir", str(path), mode)


def _gone(error: OSError) -> OSError:
    return OSError(errno.EIO, f"the custodian is gone: {error.strerror or error}")


def _nobody(place: Path, error: OSError) -> HostError:
    return HostError(
        f"no custodian answers at {place}: {error.strerror or error}",
        hint="systemctl status 'prometheus-custodian@*' says why",
    )


def await_custodian(stopped: Callable[[], bool]) -> bool:
    """Wait until the custodian that writes for this process, if any, has answered; false when told to stop before.

    systemd starts a custodian when a payload connects, but not while it stops the payload's own unit: the two are
    ordered. So nobody answers a payload that is told to stop in its first moments.

    Args:
        stopped: whether this process has been told to stop.

    Raises:
        HostError: when it does not answer.
    """
    files = kernel.FILES
    if isinstance(files, CustodianFiles):
        try:
            while not files.answers(LOOK_SECONDS):
                if stopped():
                    return False
        except OSError as error:
            raise _nobody(files.place, error) from error
    return True


def entrust(arguments: Sequence[str]) -> None:
    """Let a custodian write for this process, if its command line names one; before anything else is imported.

    Modules take `kernel.FILES` when they are imported, so this comes before them.

    Raises:
        SystemExit: with 74, and why on standard error, when no custodian listens.
    """
    for number, word in enumerate(arguments):
        place = word.partition("=")[2] if word.startswith(f"{OPTION}=") else ""
        if word == OPTION and number + 1 < len(arguments):
            place = arguments[number + 1]
        if place:
            try:
                kernel.FILES = CustodianFiles(Path(place))
            except HostError as error:
                sys.stderr.write(f"error: {printable(error.message)}\nhint: {error.hint}\n")
                raise SystemExit(int(error.exit_code)) from None
