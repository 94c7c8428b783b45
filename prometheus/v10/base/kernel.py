"""The kernel's file calls behind one object: the place where a test makes call number k fail (`tests/faulty.py`).

Nothing is decided here; what is durable when is decided in `base.files`. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

MOST_PIECES = os.sysconf("SC_IOV_MAX")


class Files:
    """The kernel's file calls, one thin method each; raises ``OSError`` as they do."""

    def open(self, path: Path, flags: int, mode: int = 0o640) -> int:
        """``open(2)``, always close-on-exec and never through a final symbolic link."""
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)

    def close(self, fd: int) -> None:
        """``close(2)``."""
        os.close(fd)

    def drop(self, fd: int) -> None:
        """Close the copy that a forked child inherited; the parent's stays as it is."""
        os.close(fd)

    def read(self, fd: int, size: int) -> bytes:
        """``read(2)``: empty at the end of the file."""
        return os.read(fd, size)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """``write(2)``: how many bytes were taken, which may be fewer than given."""
        return os.write(fd, data)

    def writev(self, fd: int, pieces: Sequence[bytes]) -> int:
        """One write of all pieces; through `write`, so that whoever overrides that overrides this."""
        return self.write(fd, b"".join(pieces))

    def size(self, fd: int) -> int:
        """The file's size in bytes."""
        return os.fstat(fd).st_size

    def appends(self, fd: int) -> bool:
        """Whether every write goes to the end of the file (``O_APPEND``)."""
        return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND)

    def ftruncate(self, fd: int, size: int) -> None:
        """``ftruncate(2)``."""
        os.ftruncate(fd, size)

    def fchmod(self, fd: int, mode: int) -> None:
        """``fchmod(2)``: modes do not depend on the caller's umask."""
        os.fchmod(fd, mode)

    def fdatasync(self, fd: int) -> None:
        """``fdatasync(2)``: the bytes and the size are on the disk when it returns."""
        os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        """``fsync(2)``."""
        os.fsync(fd)

    def fsync_dir(self, path: Path) -> None:
        """Make a directory's entries durable: needed after create, rename, link and unlink."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        """``rename(2)``: atomic, replaces the target."""
        os.replace(source, target)  # noqa: PTH105  (one thin call each)

    def link(self, source: Path, target: Path) -> None:
        """``link(2)``: fails when the target exists."""
        os.link(source, target, follow_symlinks=False)

    def unlink(self, path: Path) -> None:
        """``unlink(2)``."""
        os.unlink(path)  # noqa: PTH108  (one thin call each)

    def mkdir(self, path: Path, mode: int = 0o750) -> None:
        """``mkdir(2)``: fails when the directory exists."""
        os.mkdir(path, mode)  # noqa: PTH102  (one thin call each)

    def flock(self, fd: int, operation: int) -> None:
        """``flock(2)``."""
        fcntl.flock(fd, operation)


class Over(Files):
    """A layer over another one: every call is passed on, unless a subclass does something about it.

    Attributes:
        under: the layer below.
    """

    def __init__(self, under: Files) -> None:
        self.under = under

    def open(self, path: Path, flags: int, mode: int = 0o640) -> int:
        """See `Files`."""
        return self.under.open(path, flags, mode)

    def close(self, fd: int) -> None:
        """See `Files`."""
        self.under.close(fd)

    def drop(self, fd: int) -> None:
        """See `Files`."""
        self.under.drop(fd)

    def read(self, fd: int, size: int) -> bytes:
        """See `Files`."""
        return self.under.read(fd, size)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """See `Files`."""
        return self.under.write(fd, data)

    def size(self, fd: int) -> int:
        """See `Files`."""
        return self.under.size(fd)

    def appends(self, fd: int) -> bool:
        """See `Files`."""
        return self.under.appends(fd)

    def ftruncate(self, fd: int, size: int) -> None:
        """See `Files`."""
        self.under.ftruncate(fd, size)

    def fchmod(self, fd: int, mode: int) -> None:
        """See `Files`."""
        self.under.fchmod(fd, mode)

    def fdatasync(self, fd: int) -> None:
        """See `Files`."""
        self.under.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        """See `Files`."""
        self.under.fsync(fd)

    def fsync_dir(self, path: Path) -> None:
        """See `Files`."""
        self.under.fsync_dir(path)

    def rename(self, source: Path, target: Path) -> None:
        """See `Files`."""
        self.under.rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        """See `Files`."""
        self.under.link(source, target)

    def unlink(self, path: Path) -> None:
        """See `Files`."""
        self.under.unlink(path)

    def mkdir(self, path: Path, mode: int = 0o750) -> None:
        """See `Files`."""
        self.under.mkdir(path, mode)

    def flock(self, fd: int, operation: int) -> None:
        """See `Files`."""
        self.under.flock(fd, operation)


class _Unchanged(Files):
    """The calls as they are: nobody overrides them, so pieces need not be put together."""

    def writev(self, fd: int, pieces: Sequence[bytes]) -> int:
        """``writev(2)``, as long as the kernel takes so many."""
        return os.writev(fd, pieces) if len(pieces) <= MOST_PIECES else super().writev(fd, pieces)


FILES: Files = _Unchanged()
"""What all of the suite uses by default. `base.custody` puts another in its place where a custodian writes for us."""
