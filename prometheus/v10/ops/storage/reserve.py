"""The reserve: room held back in a file, so that a full disk still lets us seal what is open (contracts, section 6).

1. The file is made of bytes that no file system can store as a hole or squeeze, and synced: its room is really taken.
2. It is given up when keep-free is reached in flight, or when the disk refuses a write. The write is then tried again:
   nothing that was promised fails for want of the few KiB that a seal needs.
3. Whoever gave it up is remembered until it is made anew; before that no run is begun, so that a full disk never meets
   a run without a reserve.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from prometheus.v10.base.errors import HostError, host_error
from prometheus.v10.base.files import FILES, Files, write_atomic
from prometheus.v10.base.kernel import Over

FILE_NAME = "reserve.bin"
FULL = frozenset([errno.ENOSPC, errno.EDQUOT])

T = TypeVar("T")


class Reserve:
    """One reserve file.

    Attributes:
        path: where it lies, on the disk that is to be relieved.
        size: bytes; 0 turns it off: it is then always held and frees nothing.
        spent: why it was given up, a sentence; None while it was not, or since it was made anew.
    """

    def __init__(self, path: Path, size: int, *, files: Files = FILES) -> None:
        self.path = path
        self.size = size
        self.spent: str | None = None
        self._files = files

    @property
    def held(self) -> bool:
        """Whether the file is there in its full size; `make` never shows a smaller one."""
        if self.size == 0:
            return True
        try:
            state = self.path.lstat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise host_error(error, f"cannot look at {self.path}") from error
        return state.st_size == self.size

    @property
    def missing(self) -> int:
        """Bytes that `make` would take from the disk now."""
        return 0 if self.held else self.size

    def make(self) -> None:
        """Make the file unless it is held; durable on return. The caller saw that there is room.

        Raises:
            HostError: when the disk refuses; what had been written of it is gone then.
        """
        if not self.held:
            # Incompressible, and the same every time; a digest, because entropy is for ids.
            write_atomic(self.path, hashlib.shake_128(b"reserve").digest(self.size), files=self._files)
        self.spent = None

    def give_up(self, why: str) -> bool:
        """Free the room; False when there was none to free. The first reason is the one that is remembered.

        Raises:
            HostError: when the file is there and cannot be removed.
        """
        self.spent = self.spent or why
        if self.size == 0:
            return False
        try:
            self._files.unlink(self.path)
            self._files.fsync_dir(self.path.parent)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise host_error(error, f"cannot give up the reserve {self.path}") from error
        return True


class ReserveFiles(Over):
    """A file layer that meets a full disk by giving up a reserve and trying once more.

    A short write counts as a full disk: what it took is cut off again first where the file is only appended to, so that
    an append stays one write. Syncs are not tried again: after a failed one, a second that succeeds says nothing.
    """

    def __init__(self, reserve: Reserve, under: Files = FILES) -> None:
        super().__init__(under)
        self.reserve = reserve

    def open(self, path: Path, flags: int, mode: int = 0o640) -> int:
        """See `Files`."""
        return self._twice(lambda: self.under.open(path, flags, mode), f"opening {path.name}")

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """See `Files`."""
        appends = self.appends(fd)
        before = self.size(fd) if appends else 0
        taken = self._twice(lambda: self.under.write(fd, data), "a write")
        if taken == len(data) or not self._give_up(f"the disk took {taken} of {len(data)} bytes"):
            return taken
        if not appends:
            return taken + self.under.write(fd, data[taken:])
        self.ftruncate(fd, before)
        return self.under.write(fd, data)

    def link(self, source: Path, target: Path) -> None:
        """See `Files`."""
        self._twice(lambda: self.under.link(source, target), f"linking {target.name}")

    def rename(self, source: Path, target: Path) -> None:
        """See `Files`."""
        self._twice(lambda: self.under.rename(source, target), f"renaming {target.name}")

    def mkdir(self, path: Path, mode: int = 0o750) -> None:
        """See `Files`."""
        self._twice(lambda: self.under.mkdir(path, mode), f"making {path.name}")

    def _twice(self, call: Callable[[], T], what: str) -> T:
        try:
            return call()
        except OSError as error:
            if error.errno not in FULL or not self._give_up(f"{what} was refused: {error.strerror}"):
                raise
        return call()

    def _give_up(self, why: str) -> bool:
        """Give the reserve up; an error in doing so must not hide the one that led here."""
        try:
            return self.reserve.give_up(why)
        except HostError:
            return False
