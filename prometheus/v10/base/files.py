"""Durable files: what was acknowledged is on the disk, and no half-written file is ever visible under its own name.

The order is always the same: write, fdatasync, acknowledge; or write aside, fsync, rename, fsync the directory
(contracts, section 5). Every call to the kernel goes through one `Files` object, so that a test can make call number k
fail (`tests/faulty.py`). Standard library only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus.v10.base.errors import EvidenceError, HostError, LockHeldError, UsageError, host_error
from prometheus.v10.base.kernel import FILES, Files

ASIDE_SUFFIX = ".aside"
BLOCK = 1 << 20
"""Bytes of a file that is written piece by piece which are handed to the kernel at once."""


__all__ = [
    "ASIDE_SUFFIX",
    "FILES",
    "AppendFile",
    "Files",
    "Lock",
    "aside_name",
    "discard",
    "make_directory",
    "open_aside",
    "publish_new",
    "tighten_umask",
    "write_all",
    "write_aside",
    "write_atomic",
    "write_new",
]


def tighten_umask() -> None:
    """Make sure that nothing this process and its children create is writable by group or others.

    Evidence has explicit modes anyway; this holds for everything else too (logs, exports, caches, libraries' files).
    """
    os.umask(os.umask(0o077) | 0o022)


def write_all(files: Files, fd: int, data: bytes) -> None:
    """Write every byte, going on after a short write. Only for files that nobody sees yet.

    Raises:
        OSError: as ``write(2)``; ``ENOSPC`` when nothing at all was taken.
    """
    rest = memoryview(data)
    while rest:
        taken = files.write(fd, rest)
        if taken <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = rest[taken:]


def aside_name(path: Path) -> Path:
    """Where a file is prepared before it appears under ``path``: same directory, hidden, one per process."""
    return path.with_name(f".{path.name}.{os.getpid()}{ASIDE_SUFFIX}")


def open_aside(aside: Path, files: Files) -> int:
    """Create the file that is prepared aside; one that a killed process left under this name goes first.

    It is unlinked, never truncated: process ids come back (a container's first process always has the same), and what
    was left between a link and the unlink after it is the very file that was published.

    Raises:
        OSError: as the kernel's calls.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        return files.open(aside, flags, 0o600)
    except FileExistsError:
        files.unlink(aside)
        return files.open(aside, flags, 0o600)


def _blocks(data: bytes | Iterable[bytes]) -> Iterator[bytes]:
    """What is to be written, put together to blocks that are worth a call of their own."""
    if isinstance(data, bytes):
        yield data
        return
    waiting = bytearray()
    for piece in data:
        waiting += piece
        if len(waiting) >= BLOCK:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def write_aside(
    path: Path, data: bytes | Iterable[bytes], *, mode: int, files: Files, durable: bool = True
) -> Path:  # fmt: skip
    """Prepare ``data`` (or its pieces, as they come) beside ``path``, durable unless not asked for, and say where.

    The caller renames or links it, or unlinks it.

    Raises:
        OSError: as the kernel's calls; nothing is left behind then, unless unlink fails as well.
    """
    aside = aside_name(path)
    fd = open_aside(aside, files)
    try:
        try:
            files.fchmod(fd, mode)
            for block in _blocks(data):
                write_all(files, fd, block)
            if durable:
                files.fsync(fd)
        finally:
            files.close(fd)
    except Exception:  # whoever makes the pieces may fail as well as the disk
        discard(aside, files=files)
        raise
    return aside


def discard(path: Path, *, files: Files = FILES) -> None:
    """Unlink a file that was prepared aside; the error that led here matters more than one met now."""
    try:
        files.unlink(path)
    except OSError:
        return


def write_atomic(
    path: Path, data: bytes, *, mode: int = 0o640, files: Files = FILES, durable: bool = True
) -> None:  # fmt: skip
    """Replace ``path`` by ``data``: a reader sees the old bytes or the new, and after the return the new are durable.

    Without ``durable`` a power cut may lose both; a kill does not.

    Raises:
        HostError: when a call fails; ``path`` then holds its old bytes, or the new ones if only the last sync failed.
    """
    try:
        aside = write_aside(path, data, mode=mode, files=files, durable=durable)
        try:
            files.rename(aside, path)
        except OSError:
            discard(aside, files=files)
            raise
        if durable:
            files.fsync_dir(path.parent)
    except OSError as error:
        raise host_error(error, f"cannot write {path}") from error


def write_new(path: Path, data: bytes | Iterable[bytes], *, mode: int = 0o640, files: Files = FILES) -> None:
    """Create ``path`` with ``data`` (or its pieces, as they come), whole and durable, and never over an existing file.

    Raises:
        FileExistsError: when ``path`` exists, also if another process created it meanwhile.
        HostError: when a call fails.
    """
    try:
        publish_new(write_aside(path, data, mode=mode, files=files), path, files=files)
    except FileExistsError:
        raise
    except OSError as error:
        raise host_error(error, f"cannot create {path}") from error


def make_directory(path: Path, *, mode: int = 0o750, files: Files = FILES) -> None:
    """Make a directory unless it is there.

    Raises:
        HostError: when it cannot be made.
    """
    try:
        if not path.is_dir():
            files.mkdir(path, mode)
    except FileExistsError:
        if path.is_dir():
            return
        raise host_error(
            NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)), f"cannot create {path}"
        ) from None
    except OSError as error:
        raise host_error(error, f"cannot create {path}") from error


def publish_new(aside: Path, path: Path, *, files: Files) -> None:
    """Give a prepared, synced file its name, unless that name is taken; durable on return.

    Raises:
        FileExistsError: when ``path`` exists; the prepared file is gone then.
        OSError: as the kernel's calls.
    """
    try:
        files.link(aside, path)
    except OSError:
        discard(aside, files=files)
        raise
    files.unlink(aside)
    files.fsync_dir(path.parent)


class AppendFile:
    """A file that only grows: one ``write`` per append, and a failed append leaves no trace.

    After a short write or an error the file is cut back to the last good offset. When even that fails, or when a sync
    fails (the kernel may have dropped the pages, a second sync would lie), the object refuses everything from then on.
    """

    def __init__(self, path: Path, *, mode: int = 0o640, files: Files = FILES) -> None:
        """Open or create ``path``; a created file's directory entry is durable on return.

        Raises:
            HostError: when it cannot be opened.
        """
        self.path = path
        self._files = files
        self._broken: str | None = None
        try:
            try:
                self._fd = files.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, mode)
            except FileExistsError:
                self._fd = files.open(path, os.O_WRONLY | os.O_APPEND)
            else:
                files.fchmod(self._fd, mode)
                files.fsync_dir(path.parent)
            self._size = files.size(self._fd)
        except OSError as error:
            raise host_error(error, f"cannot open {path} for appending") from error

    @property
    def size(self) -> int:
        """The last good offset: bytes in the file that were written whole."""
        return self._size

    def append(self, data: bytes | Sequence[bytes]) -> int:
        """Append ``data`` (or its pieces) in one write, not yet synced; returns the offset at which it begins.

        Raises:
            HostError: on a short write or an error; the file is as before.
            EvidenceError: when the file's size is not what this writer left: somebody else wrote or cut it.
        """
        self._refuse_if_broken()
        start = self._size
        pieces = (data,) if isinstance(data, bytes) else data
        size = sum(map(len, pieces))
        try:
            found = self._files.size(self._fd)
            if found != start:
                self._broken = f"its size was {start} bytes and is {found}"
                raise EvidenceError(
                    f"{self.path} changed under its writer: {self._broken}",
                    hint="find out which process wrote there; then verify the file",
                )
            taken = self._files.writev(self._fd, pieces)
        except OSError as error:
            self.cut_back(start)
            raise host_error(error, f"cannot append {size} bytes to {self.path}") from error
        if taken != size:
            self.cut_back(start)
            short = OSError(errno.ENOSPC, f"only {taken} were taken")
            raise host_error(short, f"cannot append {size} bytes to {self.path}")
        self._size = start + size
        return start

    def append_durable(self, data: bytes | Sequence[bytes]) -> int:
        """Append and sync; returns the offset at which ``data`` begins. Acknowledge only after the return.

        Raises:
            HostError: on any failure; the file is cut back to what was there before, as far as the disk lets us.
        """
        start = self.append(data)
        try:
            self.sync()
        except BaseException:
            self.cut_back(start)
            raise
        return start

    def sync(self) -> None:
        """``fdatasync``: everything appended so far is on the disk on return.

        Raises:
            HostError: when it fails; this object then refuses further work, since a later sync could not be believed.
        """
        self._refuse_if_broken()
        try:
            self._files.fdatasync(self._fd)
        except OSError as error:
            self._broken = f"fdatasync failed: {error.strerror or error}"
            raise host_error(error, f"cannot sync {self.path}") from error

    def truncate(self, size: int) -> None:
        """Cut the file to ``size`` bytes, durable on return: for a torn tail whose bytes are already safe elsewhere.

        Raises:
            HostError: when it fails.
        """
        self._refuse_if_broken()
        try:
            self._files.ftruncate(self._fd, size)
            self._files.fsync(self._fd)
        except OSError as error:
            self._broken = f"truncate failed: {error.strerror or error}"
            raise host_error(error, f"cannot cut {self.path} to {size} bytes") from error
        self._size = size

    def cut_back(self, size: int) -> None:
        """Take back what was appended and never acknowledged; a disk that refuses that breaks this object, no more."""
        try:
            self._files.ftruncate(self._fd, size)
        except OSError as error:
            self._broken = f"a partial write could not be cut off: {error.strerror or error}"
        self._size = size

    def close(self) -> None:
        """Close; does not sync. Closing twice is harmless.

        Raises:
            HostError: when the kernel reports an error only now; what was synced is safe all the same.
        """
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            self._files.close(fd)
        except OSError as error:
            raise host_error(error, f"cannot close {self.path}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.close()

    def _refuse_if_broken(self) -> None:
        if self._fd < 0:
            raise UsageError(f"{self.path} is closed")
        if self._broken is not None:
            raise HostError(
                f"{self.path} is not written any more: {self._broken}", hint="open it anew: that checks its tail"
            )


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """An exclusive lock between processes: ``flock`` on a file that stays in place and names its holder.

    The file is never unlinked: a process that opened the old file and one that opened the new would both hold a lock.
    """

    def __init__(self, path: Path, *, who: str, files: Files = FILES, mode: int = 0o640) -> None:
        """``who`` is written into the file beside host and pid; whoever ``mode`` lets read it can hold the lock."""
        self.path = path
        self._who = who
        self._mode = mode
        self._files = files
        self._fd = -1

    def acquire(self, *, attempts: int = 1, pause: Callable[[], None] = lambda: time.sleep(0.02)) -> Self:
        """Take the lock, trying ``attempts`` times with a ``pause`` between.

        Raises:
            LockHeldError: when another process holds it, saying who and where.
            HostError: when the lock file cannot be opened.
        """
        try:
            fd = self._files.open(self.path, os.O_RDWR | os.O_CREAT, self._mode)
        except OSError as error:
            raise host_error(error, f"cannot open the lock {self.path}") from error
        try:
            self._wait(fd, attempts, pause)
            self._files.ftruncate(fd, 0)
            self._files.write(fd, f"{self._who}, pid {os.getpid()} on {os.uname().nodename}\n".encode())
        except BaseException as error:
            self._files.close(fd)
            if isinstance(error, OSError):
                raise host_error(error, f"cannot lock {self.path}") from error
            raise
        self._fd = fd
        _held.add(self)
        return self

    def release(self) -> None:
        """Give the lock back; releasing twice is harmless."""
        fd, self._fd = self._fd, -1
        _held.discard(self)
        if fd < 0:
            return
        try:
            try:
                # Unlocking, not only closing: a child just being forked may hold a copy of the descriptor.
                self._files.flock(fd, fcntl.LOCK_UN)
            finally:
                self._files.close(fd)
        except OSError as error:
            raise host_error(error, f"cannot unlock {self.path}") from error

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.release()

    def _wait(self, fd: int, attempts: int, pause: Callable[[], None]) -> None:
        for attempt in range(attempts):
            try:
                self._files.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if attempt + 1 < attempts:
                    pause()
            else:
                return
        holder = self._files.read(fd, 200).decode("utf-8", "replace").strip() or "an unnamed process"
        raise LockHeldError(
            f"{self.path} is held by {holder}", hint="one writer at a time: stop it, or try again later"
        )


def _drop_inherited_locks() -> None:
    """A forked child shares its parent's locks; closing its copy leaves them with the parent alone.

    Otherwise an orphaned worker would keep a dead service's pool locked.
    """
    for lock in list(_held):
        fd, lock._fd = lock._fd, -1  # noqa: SLF001  (same module)
        if fd >= 0:
            lock._files.drop(fd)  # noqa: SLF001
    _held.clear()


os.register_at_fork(after_in_child=_drop_inherited_locks)
