"""Who works for an instance now, seen from outside (contracts, section 2): the holder of ``state/<I>/service.lock``.

Looking leaves no trace: the file is opened read-only, no link is followed, and the lock is given back at once. A lock
is seen through a container's wall, since it belongs to the file. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
from pathlib import Path

from prometheus.v10.base.names import is_instance
from prometheus.v10.base.paths import Layout

LOCK_FILE = "service.lock"
_HOLDER = re.compile(r"instance \S+, pid (\d+) on (\S+)")


def instances(layout: Layout) -> list[str]:
    """Every instance that has left state here, by name.

    Raises:
        PermissionError: when this user may not look: that is not the same as nobody.
    """
    try:
        names = [entry.name for entry in os.scandir(layout.state) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return sorted(name for name in names if is_instance(name) and (layout.state / name / LOCK_FILE).exists())


def holder(layout: Layout, name: str) -> str | None:
    """What the holder of the instance's lock wrote about itself; None when nobody works for it.

    Raises:
        PermissionError: when this user may not look.
    """
    place = layout.state / name / LOCK_FILE
    try:
        fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(fd, 200, 0).decode("utf-8", "replace").strip() or "an unnamed process"
    else:
        return None
    finally:
        os.close(fd)


def is_alive(layout: Layout, name: str) -> bool:
    """Whether a process works for the instance ``name`` now; errors as `holder`."""
    return is_instance(name) and holder(layout, name) is not None


def alive(layout: Layout) -> list[str]:
    """The instances that somebody works for now; errors as `holder`."""
    return [name for name in instances(layout) if holder(layout, name) is not None]


def ask_to_end(layout: Layout, name: str) -> bool:
    """SIGTERM to the process that holds the instance's lock, if it is one of this machine; whether it was sent.

    The number in the file is believed only when that very process has the file open: numbers come back.

    Raises:
        PermissionError: when it belongs to somebody else.
    """
    found = _HOLDER.fullmatch(holder(layout, name) or "")
    if found is None or found[2] != socket.gethostname() or not _has_open(int(found[1]), layout, name):
        return False
    os.kill(int(found[1]), signal.SIGTERM)
    return True


def _has_open(pid: int, layout: Layout, name: str) -> bool:
    lock = (layout.state / name / LOCK_FILE).stat()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            found = descriptor.stat()
            if (found.st_dev, found.st_ino) == (lock.st_dev, lock.st_ino):
                return True
    except FileNotFoundError:
        return False
    return False
