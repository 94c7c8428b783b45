"""The torn-tail policy (contracts, section 5): what an interrupted append left is moved aside, cut off, and told.

1. Only bytes after the last good line, and only such as an interrupted append explains (`scan`), are ever moved.
2. They are written to ``<name>.torn-<utc>`` and made durable there before the file is cut; nothing is thrown away.
3. Whoever opened the file hears of it. Anything else that is wrong refuses with the byte offset: never repaired.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from prometheus.v10.base.clock import Clock, utc_stamp
from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.files import AppendFile, Files, write_new
from prometheus.v10.base.names import torn_name
from prometheus.v10.evidence.chains.chain import BEGINNING, LineFormat, Place
from prometheus.v10.evidence.chains.scan import Scan, Tail, open_for_reading, scan
from prometheus.v10.evidence.records.findings import Progress

MAX_TORN = 1024 * 1024 * 1024
"""A torn tail is at most one group commit; more than this in one piece is no torn append."""


@frozen
class TornTail:
    """What was moved out of the way at open; the journal and the ledger hear of it.

    Attributes:
        offset: where the file ends now.
        length: how many bytes were moved.
        sha256: of those bytes, as they lie in ``moved_to``.
    """

    path: Path
    moved_to: Path
    offset: int
    length: int
    zeroed: bool
    sha256: str


OnTornTail = Callable[[TornTail], None]


def open_chain(
    path: Path,
    form: LineFormat,
    *,
    clock: Clock,
    files: Files,
    on_torn: OnTornTail,
    start: Place = BEGINNING,
    progress: Progress | None = None,
    vouched: int = 0,
) -> tuple[AppendFile, Scan]:
    """Open a chained file for appending, with its tail in order; the caller holds its lock.

    Args:
        path: the file.
        form: which rules its lines must keep.
        clock: names what is moved aside.
        files: the file layer.
        on_torn: hears of a torn tail.
        start: the first line to check.
        progress: hears of bytes checked.
        vouched: how many lines somebody else vouches for: with fewer, the file is damaged, and nothing is moved.

    Raises:
        EvidenceError: when anything but a torn tail is wrong, with the byte offset; the file is untouched.
        HostError: when a call to the kernel fails; the file is as before, or only its torn tail is gone.
    """
    file = AppendFile(path, files=files)
    try:
        found = scan(path, form, close=False, start=start, progress=progress)
        found.refuse_damage()
        _refuse_missing(path, found, vouched)
        if found.tail is not None:
            moved = _move_tail(path, found.tail, clock=clock, files=files)
            file.truncate(found.tail.offset)
            on_torn(moved)
    except BaseException:
        file.close()
        raise
    return file, found


def _refuse_missing(path: Path, found: Scan, vouched: int) -> None:
    if found.link.n < vouched:
        raise EvidenceError(
            f"{path} holds {found.link.n} whole records, and the ledger vouches for {vouched}: records are missing",
            hint="nothing was changed; restore the file from a snapshot or a copy, then audit",
        )


def _move_tail(path: Path, tail: Tail, *, clock: Clock, files: Files) -> TornTail:
    if tail.length > MAX_TORN:
        raise EvidenceError(
            f"{path}: {tail.length} bytes after byte {tail.offset} are no record",
            hint="no interrupted append is that long; nothing was changed",
        )
    data = _read_range(path, tail)
    stamp = utc_stamp(clock.now())
    for attempt in range(1000):
        # Two torn tails in one second, or a crash between the copy and the cut: the earlier copy stays.
        name = torn_name(stamp if attempt == 0 else f"{stamp}-{attempt}", path.name)
        try:
            write_new(path.with_name(name), data, mode=0o440, files=files)
        except FileExistsError:
            continue
        digest = hashlib.sha256(data).hexdigest()
        return TornTail(path, path.with_name(name), tail.offset, tail.length, tail.zeroed, digest)
    raise EvidenceError(f"{path}: no free name for its torn tail", hint=f"look at {path.name}.torn-{stamp}*")


def _read_range(path: Path, tail: Tail) -> bytes:
    fd = open_for_reading(path)
    try:
        return os.pread(fd, tail.length, tail.offset)
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    finally:
        os.close(fd)
