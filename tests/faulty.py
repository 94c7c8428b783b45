"""A file layer that fails on demand, and remembers every call: how the promises of `base.files` are put to the proof.

Call number k fails with a chosen errno, or takes only part of a write; or the process is cut off there, so that
nothing after it happens. The trace shows the order of calls (write, fdatasync, acknowledge).
Not used outside tests and benches.
"""

from __future__ import annotations

import errno
import os
import threading
from enum import StrEnum
from pathlib import Path

from prometheus.v10.base.kernel import Files


class Fault(StrEnum):
    """What happens at the chosen call."""

    EIO = "EIO"
    ENOSPC = "ENOSPC"
    SHORT_WRITE = "short write"
    CUT_OFF = "cut off"


class CutOffError(BaseException):
    """The process ended here: no handler below a test may catch it, and no call after it has an effect."""


class FaultyFiles(Files):
    """`Files` whose call number ``at`` (from 0) meets ``fault``; calls before and after it work, except after a cut.

    Attributes:
        trace: names of the calls so far, e.g. ``["open", "write", "fdatasync"]``.
        sticky: the fault stays for all later calls of the same name (a full disk stays full).
    """

    def __init__(self, fault: Fault | None = None, at: int = -1, *, sticky: bool = False) -> None:
        self.trace: list[str] = []
        self._counting = threading.Lock()  # a stream of groups syncs in a thread of its own
        self._fault = fault
        self._at = at
        self.sticky = sticky
        self._stuck: str | None = None
        self._gone = False

    def _meet(self, name: str) -> bool:
        """Count a call; raise when it is the chosen one. True asks ``write`` for a short write."""
        if self._gone:
            raise CutOffError
        with self._counting:
            number = len(self.trace)
            self.trace.append(name)
        if number != self._at and name != self._stuck:
            return False
        if self.sticky and self._fault is not Fault.CUT_OFF:
            self._stuck = name
        if self._fault is Fault.CUT_OFF:
            self._gone = True
            if name == "write":
                return True
            raise CutOffError
        if self._fault is Fault.SHORT_WRITE:
            return name == "write"
        if self._fault is not None:
            code = errno.EIO if self._fault is Fault.EIO else errno.ENOSPC
            raise OSError(code, os.strerror(code))
        return False

    def open(self, path: Path, flags: int, mode: int = 0o640) -> int:
        """See `Files`."""
        self._meet("open")
        return super().open(path, flags, mode)

    def close(self, fd: int) -> None:
        """See `Files`. The descriptor is closed whatever happens: a test must not leak it."""
        super().close(fd)
        if not self._gone:
            self._meet("close")

    def read(self, fd: int, size: int) -> bytes:
        """See `Files`."""
        self._meet("read")
        return super().read(fd, size)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """See `Files`. A short write and a cut-off take half of the bytes."""
        if not self._meet("write"):
            return super().write(fd, data)
        taken = super().write(fd, data[: len(data) // 2])
        if self._gone:
            raise CutOffError
        return taken

    def size(self, fd: int) -> int:
        """See `Files`."""
        self._meet("size")
        return super().size(fd)

    def ftruncate(self, fd: int, size: int) -> None:
        """See `Files`."""
        self._meet("ftruncate")
        super().ftruncate(fd, size)

    def fchmod(self, fd: int, mode: int) -> None:
        """See `Files`."""
        self._meet("fchmod")
        super().fchmod(fd, mode)

    def fdatasync(self, fd: int) -> None:
        """See `Files`."""
        self._meet("fdatasync")
        super().fdatasync(fd)

    def fsync(self, fd: int) -> None:
        """See `Files`."""
        self._meet("fsync")
        super().fsync(fd)

    def fsync_dir(self, path: Path) -> None:
        """See `Files`."""
        self._meet("fsync_dir")
        super().fsync_dir(path)

    def rename(self, source: Path, target: Path) -> None:
        """See `Files`."""
        self._meet("rename")
        super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        """See `Files`."""
        self._meet("link")
        super().link(source, target)

    def unlink(self, path: Path) -> None:
        """See `Files`."""
        self._meet("unlink")
        super().unlink(path)

    def mkdir(self, path: Path, mode: int = 0o750) -> None:
        """See `Files`."""
        self._meet("mkdir")
        super().mkdir(path, mode)

    def flock(self, fd: int, operation: int) -> None:
        """See `Files`."""
        self._meet("flock")
        super().flock(fd, operation)
