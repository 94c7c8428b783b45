"""The ledger of seals (contracts, section 2): ``state/ledger.jsonl``, hash-chained, one for an installation.

Every run's seal, every snapshot's head, every promotion, release and deletion is one line here, durable before `append`
returns. A rewritten run then differs from its line, a deleted one lacks its tombstone, a rewritten ledger breaks its
chain. Both the service and the commands append, so the lock is taken for one append only, with a short, bounded wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.files import FILES, AppendFile, Files, Lock
from prometheus.v10.base.names import LedgerEntryType, Schema
from prometheus.v10.evidence.chains.chain import Place, after
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE, entry_id
from prometheus.v10.evidence.chains.pool_checked import recall, remember
from prometheus.v10.evidence.chains.scan import Scan, scan
from prometheus.v10.evidence.chains.tail import OnTornTail, open_chain
from prometheus.v10.evidence.records.canonical import canonical_line, object_of_line
from prometheus.v10.evidence.schemas.shapes import COUNT, SHA256, UTC, exactly

LOCK_ATTEMPTS = 250  # x 20 ms = 5 s: an append takes milliseconds, so whoever waits longer meets a stuck holder


@frozen
class LedgerEntry:
    """One line of the ledger, as written."""

    id: str
    n: int = field(metadata=COUNT)
    prev: str = field(metadata=SHA256)
    schema: str = field(metadata=exactly(Schema.LEDGER_ENTRY.value))
    type: str
    ts_utc: str = field(metadata=UTC)
    instance: str
    payload: dict[str, Any]
    null_reasons: dict[str, str]


class Ledger:
    """Appends to one ledger; cheap to make, holds nothing open between appends."""

    def __init__(self, path: Path, *, clock: Clock, instance: str, on_torn: OnTornTail, files: Files = FILES) -> None:
        """``on_torn`` hears of a torn tail that an append found and moved aside: nothing is repaired silently."""
        self.path = path
        self._clock = clock
        self._instance = instance
        self._on_torn = on_torn
        self._files = files

    def append(
        self, kind: LedgerEntryType, payload: Mapping[str, Any], *, null_reasons: Mapping[str, str] | None = None
    ) -> LedgerEntry:
        """Append one entry; durable on return.

        Args:
            kind: what the entry records.
            payload: plain JSON values, as the module that owns the record made them (``Seal.ledger_payload`` ...).
            null_reasons: reason of every null in it, with paths that begin with ``payload.``.

        Raises:
            LockHeldError: when another process held the ledger for five seconds.
            EvidenceError: when the ledger is damaged (with the byte offset), or the payload breaks a rule.
            HostError: when the disk refuses; the ledger is then as before.
        """
        with self._turn():
            return self._append_locked(kind, dict(payload), dict(null_reasons or {}))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the ledger's lock.

        Raises:
            LockHeldError: when another process held it for five seconds.
        """
        self._look_before()
        lock = Lock(self.path.with_name(f"{self.path.name}.lock"), who="a ledger writer", files=self._files, mode=0o600)
        lock.acquire(attempts=LOCK_ATTEMPTS)
        try:
            yield
        finally:
            lock.release()

    def _look_before(self) -> None:
        """Check the chain while nobody waits; under the lock only what came since is left to be checked."""
        start = recall(self.path)
        if self.path.exists() and self.path.stat().st_size > start.size:
            found = scan(self.path, LEDGER_LINE, close=False, start=start)
            if not found.damages:  # damage is for the append to refuse
                remember(self.path, Place(found.good, found.link))

    def _append_locked(self, kind: LedgerEntryType, payload: dict[str, Any], reasons: dict[str, str]) -> LedgerEntry:
        file, found = self._open()
        with file:
            entry = {
                "n": found.link.n,
                "prev": found.link.prev,
                "schema": Schema.LEDGER_ENTRY.value,
                "type": kind.value,
                "ts_utc": utc_text(self._clock.now()),
                "instance": self._instance,
                "payload": payload,
                "null_reasons": reasons,
            }
            line = _line(entry)
            what = LEDGER_LINE.problem(line, found.link)
            if what is not None:
                raise EvidenceError(f"cannot enter {kind.value} into {self.path}: {what}")
            file.append_durable(line)
            remember(self.path, Place(file.size, after(line, found.link.n)))
        return _entry(object_of_line(line))

    def _open(self) -> tuple[AppendFile, Scan]:
        """Open with the chain checked: from where this process left it when that is still what the file holds."""
        return open_chain(
            self.path,
            LEDGER_LINE,
            clock=self._clock,
            files=self._files,
            on_torn=self._on_torn,
            start=recall(self.path),
        )


def iter_entries(path: Path, wanted: Callable[[Mapping[str, Any]], bool] | None = None) -> Iterator[LedgerEntry]:
    """The entries of a ledger in order, every rule of every line checked; an unterminated tail is not looked at.

    Readers of an installation use `prometheus.v10.evidence.catalog`.

    Args:
        path: the ledger.
        wanted: which entries to keep, asked with each as plain values; all by default.

    Raises:
        EvidenceError: at the first line that breaks a rule, with its byte offset.
        HostError: when the ledger cannot be read.
    """
    kept: list[dict[str, Any]] = []

    def take(line: bytes) -> None:
        entry = object_of_line(line)
        if wanted is None or wanted(entry):
            kept.append(entry)

    scan(path, LEDGER_LINE, close=True, each=take).refuse_damage()
    yield from map(_entry, kept)


def tombstone_payload(
    *,
    kind: str,
    run_id: str | None,
    path: str,
    sha256: str,
    size: int,
    reason: str,
    policy: str,
    **more: Any,
) -> dict[str, Any]:
    """What a retention deletion leaves (`LedgerEntryType.RETENTION_DELETION`), appended before anything is unlinked.

    Args:
        kind: ``run`` (a whole directory), ``file`` (one file of a run), ``snapshot``.
        run_id: the run that it belonged to; absent from the payload for a snapshot.
        path: what is deleted, relative to the installation's lib.
        sha256: of the run's seal, or of the file.
        size: bytes that are freed.
        reason: why, in words; a Tier-2 deletion needs an operator's.
        policy: the rule of the profile that asked for it.
        more: further plain JSON values.
    """
    payload = {"kind": kind, "path": path, "sha256": sha256, "bytes": size, "reason": reason, "policy": policy, **more}
    return payload if run_id is None else {**payload, "run_id": run_id}


def _line(entry: dict[str, Any]) -> bytes:
    try:
        return canonical_line({**entry, "id": entry_id(entry)})
    except (TypeError, ValueError) as error:
        raise EvidenceError(f"a ledger entry cannot hold this payload: {error}") from error


def _entry(plain: dict[str, Any]) -> LedgerEntry:
    return LedgerEntry(**plain)
