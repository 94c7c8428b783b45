"""The file of an index: made whole beside its place and renamed, changed in one transaction, read as it stands.

1. Writers take turns (``build.lock``). One holds ``index.lock`` alone while it changes a file in place; a new file is
   made under another name and renamed, so that whoever reads the old one reads it to its end.
2. A reader shares ``index.lock`` and opens ``mode=ro&immutable=1``: nothing changes under it, and a mount without the
   right to write is enough.
3. A rollback journal beside the file means that a change was cut off: the file counts as not there until a writer was
   here, which rolls it back.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from prometheus.v10.base.errors import HostError, host_error
from prometheus.v10.base.files import make_directory
from prometheus.v10.base.paths import Layout, refuse_links_below
from prometheus.v10.index.index_tables import META, VERSION, VIEWS, Table

FILE, LOCK, TURN = "index.sqlite", "index.lock", "build.lock"
WAIT_SECONDS = 2.0
"""How long a reader waits for a writer before it does without the index."""
PAUSE_SECONDS = 0.02


def folder_of(layout: Layout) -> Path:
    """Where the index of an installation lies: beside the evidence, and no part of it."""
    return layout.lib / "index"


def file_of(layout: Layout, name: str = FILE) -> Path:
    """One file of the index."""
    return folder_of(layout) / name


def create(place: Path, tables: Sequence[Table], *, views: bool = False) -> sqlite3.Connection:
    """A new, empty database under ``place``, not synced: who made it renames it when it is whole."""
    for old in (place, place.with_name(f"{place.name}-journal")):
        with suppress(FileNotFoundError):
            old.unlink()
    made = sqlite3.connect(place, isolation_level=None)
    os.chmod(place, 0o640)  # noqa: PTH101  (beside sqlite3, which takes names)
    made.execute("PRAGMA journal_mode=OFF")
    made.execute("PRAGMA synchronous=OFF")
    made.execute("BEGIN")
    for table in tables:
        made.execute(table.create())
    if views:
        for name, query in VIEWS.items():
            made.execute(f"CREATE VIEW {name} AS {query}")
    made.execute(META.insert(), ("schema", VERSION))
    return made


@contextmanager
def writing(layout: Layout) -> Iterator[Path]:
    """The folder of the index, for the one writer whose turn it is.

    Raises:
        HostError: when it cannot be made or locked.
        UsageError: when it is reached through a link.
    """
    folder = folder_of(layout)
    refuse_links_below(layout.lib, folder)
    make_directory(folder)
    with _alone(folder / TURN):
        (folder / LOCK).touch(0o640)  # readers share it, and may not make it
        try:
            yield folder
        finally:
            _hand_over(folder, layout.lib)


def _hand_over(folder: Path, lib: Path) -> None:
    """Give what root made to the owner of the evidence, who goes on with it."""
    owner = lib.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for place in (folder, *folder.iterdir()):
        os.chown(place, owner.st_uid, owner.st_gid, follow_symlinks=False)


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Keep readers out for as long as a file is changed in place; errors as `writing`."""
    with _alone(folder / LOCK):
        yield


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    try:
        fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    except OSError as error:
        raise host_error(error, f"cannot open {place}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def opened_to_write(place: Path) -> sqlite3.Connection | None:
    """A file to be changed in place; None where there is none of this version.

    A change that was cut off is rolled back by the opening itself.
    """
    if not place.is_file():
        return None
    made = sqlite3.connect(place, isolation_level=None, timeout=0.0)
    try:
        made.execute("PRAGMA journal_mode=DELETE")
        made.execute("PRAGMA synchronous=NORMAL")
        if meta(made).get("schema") == VERSION:
            return made
    except sqlite3.Error:
        pass
    made.close()
    return None


@contextmanager
def reading(layout: Layout, name: str = FILE) -> Iterator[sqlite3.Connection | None]:
    """A file of the index to read; None where there is none that is whole: it can be done without."""
    place = file_of(layout, name)
    fd = _shared_lock(place.with_name(LOCK))
    try:
        found = None if fd is None else _opened(place)
        if found is None:
            yield None
            return
        with closing(found):
            yield found
    finally:
        if fd is not None:
            os.close(fd)


def meta(db: sqlite3.Connection) -> dict[str, str]:
    """What a file says of itself."""
    return dict(db.execute("SELECT key, value FROM meta"))


def publish(made: Path, place: Path) -> None:
    """Put a whole new file in its place.

    Raises:
        HostError: when it cannot be renamed.
    """
    try:
        os.replace(made, place)  # noqa: PTH105
    except OSError as error:
        raise host_error(error, f"cannot put {place} in its place") from error


def failed(error: sqlite3.Error, place: Path) -> HostError:
    """An error of SQLite as one of ours."""
    return HostError(f"{place}: {error}", hint="the index can be deleted and built again: prometheus-quant index build")


def _shared_lock(place: Path) -> int | None:
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(fd)
                return None
            time.sleep(PAUSE_SECONDS)
        except OSError:
            os.close(fd)
            return None
        else:
            return fd


def _opened(place: Path) -> sqlite3.Connection | None:
    if not place.is_file() or place.with_name(f"{place.name}-journal").exists():
        return None
    try:
        found = sqlite3.connect(f"file:{quote(str(place))}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except sqlite3.Error:
        return None
    try:
        if meta(found).get("schema") == VERSION:
            return found
    except sqlite3.Error:
        pass
    found.close()
    return None
