"""The host's witness: it signs checkpoints of the ledger, and remembers all that it has signed.

It runs as a user of its own, and keeps its directory where no stage can write::

    private/key             its secret, mode 0600, made with the first checkpoint
    checkpoint.pub          its public key, a line for each kind of signature
    000000000042.checkpoint what it signed of a ledger of 42 entries (c2sp.org/tlog-checkpoint)
    handed_over             the name of the last one that the operator's command took

1. The origin names the installation: the id in the ledger's own installation entry.
2. A ledger that contradicts any earlier checkpoint is not signed: an append-only log has one past.
3. A ledger that has not grown gets no new checkpoint, an empty one none at all.
4. Of checkpoints older than `KEEP_ALL` one a day is kept, the newest of the day: each binds all entries before it, so
   only the hour is lost. The newest of all is always kept.
5. What is signed is on the disk: the ledger is synced before, so that a power cut cannot take back what was signed.

Standard library only.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import EvidenceError, HostError, host_error
from prometheus.v10.base.files import FILES, Files, Lock, write_atomic, write_new
from prometheus.v10.base.paths import SYSTEM_STATE, Layout
from prometheus.v10.base.reading import SMALL, open_regular, read_whole
from prometheus.v10.evidence.witnesses.checkpoint import Checkpoint
from prometheus.v10.evidence.witnesses.checkpoint_kept import (
    OWN,
    PUBLIC,
    SUFFIX,
    Kept,
    LedgerState,
    contradiction,
    find_checkpoints,
    origin_of,
    read_kept,
    read_state,
)
from prometheus.v10.evidence.witnesses.ed25519 import KEY_BYTES
from prometheus.v10.evidence.witnesses.signed_note import Signer, parse_signer, sign_note

SYSTEM_WITNESS = Path("/var/lib/prometheus-quant-witness")
KEY = Path("private", "key")
KEEP_ALL = timedelta(days=90)
LOCK_ATTEMPTS = 500  # x 20 ms: another one reads the ledger meanwhile


@dataclass(frozen=True)
class Taken:
    """What came of one look at the ledger.

    Attributes:
        state: the ledger as it was found; None where there is none yet.
        file: the newest checkpoint; None where nothing was signed yet.
        new: whether this look made it.
        said: in words.
    """

    state: LedgerState | None
    file: Path | None
    new: bool
    said: str


def witness_directory(layout: Layout) -> Path | None:
    """Where a host's witness keeps its checkpoints; None for a tree that is not a host's."""
    return SYSTEM_WITNESS if layout.lib == SYSTEM_STATE else None


def take(layout: Layout, directory: Path, *, clock: Clock, files: Files = FILES) -> Taken:
    """Sign the ledger as it is now, unless there is nothing new.

    Args:
        layout: the installation.
        directory: the witness's own, which exists.
        clock: gives the time that is signed.
        files: the kernel's calls.

    Raises:
        EvidenceError: when the ledger is damaged or gone, contradicts an earlier checkpoint, or the key is gone.
        LockHeldError: when another witness works in the directory.
        HostError: when something cannot be read or written.
    """
    if not directory.is_dir():
        raise HostError(f"{directory} is not there", hint="systemd-tmpfiles --create prometheus-quant.conf makes it")
    lock = Lock(directory / "lock", who="a witness", files=files, mode=0o600)
    lock.acquire(attempts=LOCK_ATTEMPTS)
    try:
        earlier = [read_kept(path, ()) for path in find_checkpoints(directory)]
        with _opened(layout.ledger) as fd:
            if fd is None:
                return _no_ledger(layout, earlier)
            state = read_state(layout.ledger, [one.checkpoint.size for one in earlier])
            _refuse_contradictions(layout.ledger, state, earlier)
            newest = max(earlier, key=lambda one: one.checkpoint.size, default=None)
            if state.size == 0 or state.installation is None:
                said = "no entry of an installation is in the ledger yet: nothing was signed"
                return Taken(state, newest.path if newest else None, new=False, said=said)
            if newest is not None and newest.checkpoint.size == state.size:
                said = f"{state.size} entries, as in {newest.path.name}: nothing new was signed"
                return Taken(state, newest.path, new=False, said=said)
            _sync(layout.ledger, fd, files)
        return _signed(directory, state, origin_of(state.installation), first=not earlier, clock=clock, files=files)
    finally:
        lock.release()


def thin(directory: Path, *, clock: Clock, handed_over: str | None = None, files: Files = FILES) -> list[str]:
    """Remove old checkpoints of the witness's own, as the head of this module says; returns their names.

    How old one is its file says, which nobody but the witness writes.

    Args:
        directory: the witness's own.
        clock: says what is old.
        handed_over: name of the last one that the operator's command took; a later one stays. None where none is.
        files: the kernel's calls.

    Raises:
        LockHeldError: when another witness works in the directory.
        HostError: when something cannot be read or removed.
    """
    lock = Lock(directory / "lock", who="a witness", files=files, mode=0o600)
    lock.acquire(attempts=LOCK_ATTEMPTS)
    try:
        before = clock.now() - KEEP_ALL
        own = sorted((path for path in find_checkpoints(directory) if OWN.fullmatch(path.name)), key=_entries)
        taken = [(path, datetime.fromtimestamp(path.lstat().st_mtime, UTC)) for path in own]
        newest_of_day = {moment.date(): path for path, moment in taken}
        gone = [
            path
            for path, moment in taken[:-1]
            if moment < before and newest_of_day[moment.date()] != path
            and (handed_over is None or _entries(path) <= _entries(Path(handed_over)))
        ]  # fmt: skip
        for path in gone:
            files.unlink(path)
        if gone:
            files.fsync_dir(directory)
    except OSError as error:
        raise host_error(error, f"cannot remove old checkpoints in {directory}") from error
    finally:
        lock.release()
    return [path.name for path in gone]


def _entries(path: Path) -> int:
    return int(path.stem) if OWN.fullmatch(path.name) else -1


@contextmanager
def _opened(ledger: Path) -> Iterator[int | None]:
    """The ledger held open: a regular file and no link, whoever may write to its directory."""
    try:
        os.lstat(ledger)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise host_error(error, f"cannot look at {ledger}") from error
    fd = open_regular(ledger)
    try:
        yield fd
    finally:
        os.close(fd)


def _no_ledger(layout: Layout, earlier: list[Kept]) -> Taken:
    if earlier:
        raise EvidenceError(
            f"{layout.ledger} is gone, and {earlier[-1].path.name} says that it had {earlier[-1].when()}",
            hint="somebody took the ledger away: look for a copy, and start nothing before",
        )
    return Taken(None, None, new=False, said="there is no ledger yet: nothing was signed")


def _refuse_contradictions(ledger: Path, state: LedgerState, earlier: list[Kept]) -> None:
    for one in earlier:
        if (what := contradiction(one.checkpoint, state)) is not None:
            raise EvidenceError(
                f"{ledger} contradicts {one.path.name}: {what}",
                hint="nothing was signed; prometheus-quant audit says what is missing",
            )


def _sync(ledger: Path, fd: int, files: Files) -> None:
    """Make what was read durable, and make sure that its writer has not taken back what its own sync refused."""
    try:
        size = os.fstat(fd).st_size
        files.fdatasync(fd)
        if os.fstat(fd).st_size < size:
            raise HostError(f"{ledger} was cut back while it was read", hint="the next checkpoint reads it again")
    except OSError as error:
        raise host_error(error, f"cannot sync {ledger}") from error


def _signed(directory: Path, state: LedgerState, origin: str, *, first: bool, clock: Clock, files: Files) -> Taken:
    signer = _signer(directory, origin, may_make=first, files=files)
    checkpoint = Checkpoint(origin, state.size, state.root)
    note = sign_note(checkpoint.text(), signer, time=int(clock.now().timestamp()))
    file = directory / f"{state.size:012d}{SUFFIX}"
    if not (directory / PUBLIC).exists():
        lines = "".join(f"{key.text()}\n" for key in signer.verifiers())
        write_atomic(directory / PUBLIC, lines.encode(), mode=0o644, files=files)
    write_new(file, note, mode=0o644, files=files)
    return Taken(state, file, new=True, said=f"{state.size} entries signed as {file.name}")


def _signer(directory: Path, origin: str, *, may_make: bool, files: Files) -> Signer:
    place = directory / KEY
    if not place.exists():
        if not may_make:
            raise EvidenceError(
                f"{place} is gone, and there are checkpoints of it: nothing was signed",
                hint="move the whole directory away to begin anew; keep it, its checkpoints still bind the ledger",
            )
        signer = Signer(origin, secrets.token_bytes(KEY_BYTES))
        try:
            if not place.parent.is_dir():
                files.mkdir(place.parent, 0o700)
                files.fsync_dir(directory)
        except OSError as error:
            raise host_error(error, f"cannot create {place.parent}") from error
        write_new(place, f"{signer.text()}\n".encode(), mode=0o600, files=files)
        return signer
    if place.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise EvidenceError(f"others than its owner may read {place}", hint="move the directory away and begin anew")
    signer = parse_signer(read_whole(place, at_most=SMALL).decode("ascii", "replace"))
    if signer.name != origin:
        raise EvidenceError(
            f"{place} is the key of {signer.name}, and the ledger is of {origin}",
            hint="move the whole directory away to begin anew; keep it, its checkpoints still bind the old ledger",
        )
    return signer
