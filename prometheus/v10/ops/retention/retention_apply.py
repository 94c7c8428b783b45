"""Retention carried out (contracts, section 12): nothing goes before the ledger says so.

1. Each file is held against its seal first: damage is not deleted, it is told.
2. Its tombstone is entered into the ledger, durable; then it is unlinked, and the directory synced; then the journal
   hears of it. So a file is missing only with a tombstone, and its run's seal still verifies.
3. Cut off in between, the next pass finishes: what has a tombstone gets no second one.
4. One pass at a time, under a lock that a promotion takes as well: the ledger is read again under it, so that a run
   that was promoted meanwhile stays.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from attrs import Factory, define

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.files import FILES, Files, Lock, discard
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import SEAL_FILES, Artifact, Event, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX, open_evidence
from prometheus.v10.evidence.chains.chain import BLOCK
from prometheus.v10.evidence.chains.ledger import Ledger, tombstone_payload
from prometheus.v10.evidence.chains.scan import file_sha256
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.packing import CODEC
from prometheus.v10.evidence.writing.seal import walk
from prometheus.v10.ops.retention.compression import Packed, leftovers, pack_file, restore_run
from prometheus.v10.ops.retention.history import History, read_history, read_sealed
from prometheus.v10.ops.retention.retention_plan import Action, Item, Kept, Kind, RetentionPlan

DAMAGED = "damaged"
"""In place of a sha256: no file has it."""
OF_A_RUN = frozenset([Kind.RAW, Kind.EVENTS])
"""Kinds of items that are files of a run."""
LOCK_FILE = "retention.lock"
LOCK_ATTEMPTS = 250  # x 20 ms = 5 s
_LAST = (Artifact.MANIFEST.value, *(seal.value for seal in SEAL_FILES))


@define
class RetentionResult:
    """What was done: ``refused`` are files that are not as they were sealed; ``skipped`` stay for a better reason."""

    done: list[Item] = Factory(list)
    refused: list[Kept] = Factory(list)
    skipped: list[Kept] = Factory(list)
    packed: list[Packed] = Factory(list)

    @property
    def freed_bytes(self) -> int:
        """Bytes that deletion and compression gave back."""
        deleted = sum(item.bytes for item in self.done if item.action is Action.DELETE)
        return deleted + sum(found.bytes - found.packed_bytes for found in self.packed)


def _forms(place: Path, kind: Kind) -> list[Path]:
    """Where a file may lie: event lines as they are, or compressed."""
    return [place, place.with_name(f"{place.name}{PACKED_SUFFIX}")] if kind is Kind.EVENTS else [place]


def _sha256(place: Path, kind: Kind) -> str | None:
    """Of a file, or of what its compressed form holds (`DAMAGED` where that is no zstd); None where neither is there.

    Raises:
        OSError: when it cannot be read.
    """
    there = [form for form in _forms(place, kind) if form.exists()]
    if not there or there[0] == place:
        return file_sha256(place) if there else None
    digest = hashlib.sha256()
    try:
        with open_evidence(place) as reader:
            while block := reader.read(BLOCK):
                digest.update(block)
    except (CODEC.error, EOFError):
        return DAMAGED
    return digest.hexdigest()


def retention_lock(layout: Layout) -> Lock:
    """The lock of a pass; whoever promotes a run holds it while it enters the promotion and copies what it needs."""
    return Lock(layout.state / LOCK_FILE, who="retention")


def apply(
    plan: RetentionPlan, layout: Layout, *, ledger: Ledger, journal: Journal, files: Files = FILES
) -> RetentionResult:
    """Carry a plan out.

    Args:
        plan: from `retention_plan.plan` or `retention_plan.plan_run_deletion`.
        layout: the installation.
        ledger: where tombstones are entered.
        journal: the second witness.
        files: the file layer.

    Raises:
        LockHeldError: when another pass, or a promotion, is at work.
        EvidenceError: when the ledger is damaged.
        HostError: when the disk refuses; what was done by then is done, and the next pass goes on.
    """
    with _alone(layout):
        return _Pass(plan, layout, ledger, journal, files).go()


def restore(layout: Layout, run_id: str, *, files: Files = FILES) -> list[Packed]:
    """Unpack what was compressed of a run, so that plain ``sha256sum -c`` passes again; errors as `restore_run`."""
    with _alone(layout):
        return restore_run(layout, run_id, files=files)


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """The lock, with a short wait for whoever is in its last moments."""
    lock = retention_lock(layout).acquire(attempts=LOCK_ATTEMPTS)
    try:
        yield
    finally:
        lock.release()


class _Pass:
    """One pass at work, under the lock."""

    def __init__(self, plan: RetentionPlan, layout: Layout, ledger: Ledger, journal: Journal, files: Files) -> None:
        self.plan, self.layout, self.ledger, self.journal, self.files = plan, layout, ledger, journal, files
        self.history: History = read_history(layout)
        self.result = RetentionResult()

    def go(self) -> RetentionResult:
        for tier in Tier:
            for left in leftovers(self.layout.runs(tier)):
                discard(left, files=self.files)
        deletions = [item for item in self.plan.items if item.action is Action.DELETE]
        for _, group in groupby(deletions, key=lambda item: (item.kind, item.run_id, item.rule)):
            self._delete(list(group))
        for item in self.plan.items:
            if item.action is Action.COMPRESS:
                self._compress(item)
        return self.result

    # ---- deletion ----------------------------------------------------------------------------------------------------

    def _delete(self, items: list[Item]) -> None:
        """Items of one kind, run and rule: all their tombstones, then all that they name, then one journal entry."""
        going = [item for item in items if self._may_go(item)]
        for item in going:
            self._bury(item)
        for item in going:
            self._unlink(item)
        if going:
            self.result.done += going
            self._tell(going)

    def _may_go(self, item: Item) -> bool:
        place = self.layout.lib / item.path
        if item.kind in OF_A_RUN and item.run_id in self.history.promoted:
            self.result.skipped.append(Kept(item.path, "its run was promoted"))
            return False
        if item.kind is Kind.RUN or self.history.deleted.get(item.path) == item.sha256:
            return item.kind not in OF_A_RUN or any(form.exists() for form in _forms(place, item.kind))
        try:
            found = _sha256(place, item.kind)
        except OSError as error:
            raise host_error(error, f"cannot read {place}") from error
        if found is None:
            self.result.skipped.append(Kept(item.path, "it is gone already"))
        elif found != item.sha256:
            self.result.refused.append(Kept(item.path, "it is not as it was sealed: verify it"))
            self.journal.send(
                Event.VERIFY_FAILED,
                f"{place} is not as it was sealed; retention leaves it as it is",
                path=str(place),
                finding="its sha256 is not the sealed one",
            )
        return found == item.sha256

    def _bury(self, item: Item) -> None:
        if self.history.deleted.get(item.path) == item.sha256:
            return
        payload = tombstone_payload(
            kind="file" if item.kind in OF_A_RUN else item.kind.value,
            run_id=item.run_id,
            path=item.path,
            sha256=item.sha256,
            size=item.bytes,
            reason=self.plan.reason or f"{item.rule}, {item.age_days:.1f} days old",
            policy=item.rule,
        )
        self.ledger.append(LedgerEntryType.RETENTION_DELETION, payload)
        self.history.deleted[item.path] = item.sha256

    def _unlink(self, item: Item) -> None:
        place = self.layout.lib / item.path
        try:
            if item.kind is Kind.RUN:
                self._remove_run(place)
            elif item.kind is Kind.SNAPSHOT:
                # The index first: a snapshot without one is none yet, an index without its snapshot is a defect.
                self._gone(place.with_suffix(".json"))
                self._gone(place)
            else:
                for form in _forms(place, item.kind):
                    self._gone(form)
            self.files.fsync_dir(place.parent)
        except OSError as error:
            raise host_error(error, f"cannot delete {place}") from error

    def _gone(self, place: Path) -> None:
        try:
            self.files.unlink(place)
        except FileNotFoundError:
            return

    def _remove_run(self, place: Path) -> None:
        """The manifest and the seal last, so that what is left says what it was."""
        names = [name for name, _ in walk(place)]
        for name in sorted(names, key=lambda name: (_LAST.index(name) if name in _LAST else -1, name)):
            self._gone(place / name)
        folders = [path for path in place.rglob("*") if path.is_dir()]
        for folder in [*sorted(folders, reverse=True), place]:
            try:
                folder.rmdir()
            except OSError as error:
                if error.errno == errno.ENOTEMPTY:
                    raise EvidenceError(f"{folder}: somebody writes into a run that is being deleted") from error
                raise

    def _tell(self, items: list[Item]) -> None:
        first = items[0]
        size = sum(item.bytes for item in items)
        place = self.layout.lib / first.path
        where = place.parent if first.kind in OF_A_RUN else place
        journal = self.journal if first.run_id is None else self.journal.for_run(first.run_id)
        reason = f" ({self.plan.reason})" if self.plan.reason else ""
        journal.send(
            Event.RETENTION_DELETION,
            f"{len(items)} {first.kind.value} deleted, {size} bytes: {first.rule}{reason}",
            path=str(where),
            files=len(items),
            bytes=size,
            policy=first.rule,
        )

    # ---- compression -------------------------------------------------------------------------------------------------

    def _compress(self, item: Item) -> None:
        run = self.history.runs.get(str(item.run_id))
        if run is None or not (self.layout.lib / item.path).exists():
            self.result.skipped.append(Kept(item.path, "it is gone already"))
            return
        try:
            packed = pack_file(
                self.layout,
                run,
                read_sealed(self.layout, run),
                item.path.removeprefix(f"{run.path}/"),
                policy=item.rule,
                history=self.history,
                ledger=self.ledger,
                files=self.files,
            )
        except EvidenceError as error:
            self.result.refused.append(Kept(item.path, error.message))
            return
        self.result.packed.append(packed)
        self.result.done.append(item)
