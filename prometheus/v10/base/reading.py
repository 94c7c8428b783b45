"""The one way to read a file that somebody else may have written (evidence, state, requests, bundles).

A name may lead to a FIFO that never answers, to a device without an end, out of the tree through a link, or to a sparse
file of a terabyte. So every reader here:

1. opens without following a link in the last component and without waiting (``O_NOFOLLOW``, ``O_NONBLOCK``);
2. refuses what is not a regular file;
3. reads at most as many bytes as its caller allows, in one pass: the bytes that are hashed are those that are parsed.

Standard library only.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.text import printable

SMALL = 1 << 20
"""Bytes of a record of a few fields: a seal's index, a request, a counter."""
LARGE = 256 << 20
"""Bytes of a document that is parsed as a whole: a manifest, a summary with a row an experiment."""


def open_regular(path: Path | str, *, dir_fd: int | None = None, follow: bool = False) -> int:
    """Open a regular file for reading; returns its descriptor.

    Args:
        path: what to open, relative to ``dir_fd`` when one is given.
        dir_fd: an open directory.
        follow: follow a link in the last component: only for a path that the user typed.

    Raises:
        EvidenceError: when it is a link, a directory, a FIFO, a socket or a device.
        HostError: when it cannot be opened.
    """
    where = printable(os.fspath(path))
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    try:
        fd = os.open(path, flags, dir_fd=dir_fd)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise EvidenceError(f"{where} is a link, not a file", hint="look at who made it") from error
        if error.errno in {errno.ENXIO, errno.ENODEV}:
            raise EvidenceError(f"{where} is not a regular file", hint="look at who made it") from error
        raise host_error(error, f"cannot read {where}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise EvidenceError(f"{where} is not a regular file", hint="look at who made it")
    return fd


def read_whole(path: Path | str, *, at_most: int, dir_fd: int | None = None, follow: bool = False) -> bytes:
    """Read a regular file of at most ``at_most`` bytes in one pass.

    Raises:
        EvidenceError: when it is not a regular file, or holds more bytes.
        HostError: when it cannot be opened or read.
    """
    fd = open_regular(path, dir_fd=dir_fd, follow=follow)
    try:
        pieces: list[bytes] = []
        room = at_most + 1
        while room > 0 and (block := os.read(fd, min(room, 1 << 20))):
            pieces.append(block)
            room -= len(block)
    except OSError as error:
        raise host_error(error, f"cannot read {printable(os.fspath(path))}") from error
    finally:
        os.close(fd)
    if room <= 0:
        raise EvidenceError(
            f"{printable(os.fspath(path))} holds more than {at_most} bytes", hint="no file of this kind is that large"
        )
    return b"".join(pieces)


def read_if_there(path: Path | str, *, at_most: int) -> bytes | None:
    """As `read_whole`; None where there is nothing under that name. A link that leads nowhere is refused like any link.

    Raises:
        EvidenceError: as `read_whole`.
        HostError: as `read_whole`.
    """
    return read_whole(path, at_most=at_most) if os.path.lexists(path) else None


def is_regular(path: Path) -> bool:
    """Whether ``path`` is a regular file itself, not a link to one; False where it cannot be looked at."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False
