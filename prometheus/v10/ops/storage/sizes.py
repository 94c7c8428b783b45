"""How much a disk holds, and how much of it is ours. Standard library only: the host's command asks, too."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus.v10.base.errors import host_error

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def sized(number: int) -> str:
    """Bytes as a person reads them: in the largest unit of which there is at least one."""
    size, unit = float(number), 0
    while abs(size) >= 1024.0 and unit < len(UNITS) - 1:
        size, unit = size / 1024.0, unit + 1
    return f"{number:,} B" if unit == 0 else f"{size:,.1f} {UNITS[unit]}"


def free_bytes(place: Path) -> int:
    """Bytes an unprivileged process may still write on the file system of ``place``.

    Raises:
        HostError: when the place cannot be looked at.
    """
    try:
        figures = os.statvfs(place)
    except OSError as error:
        raise host_error(error, f"cannot look at the file system of {place}") from error
    return figures.f_bavail * figures.f_frsize


def bytes_under(root: Path) -> int:
    """Bytes allocated under ``root``: each file once however many names it has, links not followed.

    A file that goes while we count is not an error: retention may be at work.

    Raises:
        HostError: when a directory cannot be read.
    """
    total = 0
    seen: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise host_error(error, f"cannot count the bytes under {root}") from error
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total
