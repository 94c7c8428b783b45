"""Runs that were cut off (kill -9, power, out of memory) are closed by the next start (contracts, section 2).

1. A run is closed by its own instance only, under that instance's lock: nobody else can be writing it. A directory
   without a manifest does not say whose it is; it is closed when no other instance is alive.
2. Its own bytes stay as they are. A sidecar, ``interrupted.json``, says what is there and what is missing.
3. Then it is sealed over what is there, entered into the ledger of seals, and told to the journal. A run that its own
   process sealed and could not enter any more is verified first, and entered as adopted.
4. The ledger must say that the run was begun: a directory that nobody began is refused, never taken in.
5. Each step may be cut off as well; the next start goes on with the first that is missing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.files import write_new
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import SEAL_FILES, Artifact, Event, LedgerEntryType, Schema, required
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import DamagedArtifactError, manifest_of, runs
from prometheus.v10.evidence.chains.chain import START, Link
from prometheus.v10.evidence.chains.exchanged.trading_halts import halt_of_run
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.chains.tail import OnTornTail
from prometheus.v10.evidence.pools.anchors import pool_state
from prometheus.v10.evidence.pools.pool_claims import Claim, claims_of, place_of
from prometheus.v10.evidence.records.codec import to_json_bytes
from prometheus.v10.evidence.records.findings import Level
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.seal import Seal, read_seal, seal_run, undo_packing, walk
from prometheus.v10.ops.instance.alive import LOCK_FILE, is_alive
from prometheus.v10.ops.instance.instance_lock import Instance
from prometheus.v10.ops.instance.survival import collapses_of, strata_of_run, ticks_of

CUT_OFF = "the process that wrote this run ended before it could seal it"
COUNT_BLOCK = 1 << 20


@define
class FoundFile:
    """A file of a cut-off run as it was found; ``unterminated_bytes`` follow its last line feed."""

    name: str
    bytes: int
    lines: int | None
    unterminated_bytes: int | None


@define
class Interrupted:
    """``interrupted.json``: what the next start found of a run that was cut off.

    Attributes:
        manifest_status: what the run's own manifest says; null when there is none that can be read.
        missing: files that a completed run of its tier has and this one has not.
    """

    run_id: str
    closed_by_instance: str
    closed_by_pid: int
    detected_at: str
    reason: str
    instance: str | None
    manifest_status: str | None
    found: list[FoundFile]
    missing: list[str]
    null_reasons: dict[str, str] = field(factory=dict)
    schema: str = Schema.INTERRUPTED.value
    extra: dict[str, Any] = field(factory=dict)


@frozen
class Closed:
    """A run that was closed, or whose closing was completed; ``adopted`` when it had sealed itself."""

    run_id: str
    path: Path
    missing: list[str]
    seal: Seal
    adopted: bool = False


@frozen
class _Candidate:
    path: Path
    tier: Tier
    manifest: dict[str, Any] | None
    sealed: bool

    @property
    def owner(self) -> str | None:
        return None if self.manifest is None else self.manifest.get("instance")


def close_interrupted(
    layout: Layout, instance: Instance, clock: Clock, journal: Journal, on_torn: OnTornTail
) -> list[Closed]:
    """Close every run of ``instance`` that is not sealed or not in the ledger, the oldest first.

    The survival curve is completed on the way: runs that ended before their collapses were recorded are recorded.

    Raises:
        EvidenceError: when the ledger is damaged, or a run's directory holds what cannot be sealed.
        HostError: when the disk refuses.
    """
    ledger = InstallationLedger(layout, clock=clock, instance=instance.name, on_torn=on_torn)
    ledger.begin()
    entered = _entered(ledger_now(layout.ledger), instance.name)
    closed = []
    for run in reversed(list(runs(layout))):
        path = run.path
        if path.name not in entered.any_instance:
            candidate = _Candidate(path, run.tier, _manifest(path), (path / Artifact.SHA256SUMS).exists())
            if not _is_ours(candidate, instance, layout):
                continue
            _require_beginning(candidate, layout, instance)
            closed.append(_close(candidate, layout, instance, clock, ledger))
            _tell(closed[-1], journal)
        elif path.name not in entered.this_instance or instance.intervals.has_run(path.name):
            continue
        _complete_curve(path, instance)
    return closed


@frozen
class _Entered:
    any_instance: frozenset[str]
    this_instance: frozenset[str]


def _entered(view: LedgerView, instance: str) -> _Entered:
    """Runs whose seals are in the ledger."""
    return _Entered(frozenset(view.seals), frozenset(run for run, owner in view.sealed_by.items() if owner == instance))


def _require_beginning(candidate: _Candidate, layout: Layout, instance: Instance) -> None:
    """Refuse a directory that no entry of the ledger begins.

    Raises:
        EvidenceError: naming it.
    """
    view = ledger_now(layout.ledger)
    begun = view.started.get(candidate.path.name)
    if begun is None and candidate.path.name not in view.inherited:
        raise EvidenceError(
            f"{candidate.path}: the ledger does not say that this run was begun: it is not taken in",
            hint="find out who wrote it; move it away from there, then start again",
        )
    if begun is not None and begun.instance != instance.name and candidate.owner is not None:
        raise EvidenceError(
            f"{candidate.path} was begun by instance {begun.instance}, its manifest names {candidate.owner}",
            hint="the manifest was changed: move the directory away, and keep it for the audit",
        )


def _manifest(path: Path) -> dict[str, Any] | None:
    """The run's manifest, or None when there is none that can be read: it may have been cut off itself."""
    try:
        return manifest_of(path)
    except DamagedArtifactError:
        return None


def _is_ours(candidate: _Candidate, instance: Instance, layout: Layout) -> bool:
    if candidate.owner is not None:
        return candidate.owner == instance.name
    begun = ledger_now(layout.ledger).started.get(candidate.path.name)
    if begun is not None:
        return begun.instance == instance.name
    return not _others_alive(layout, instance)


def _others_alive(layout: Layout, instance: Instance) -> bool:
    """Whether another instance's process holds its lock now."""
    names = {lock.parent.name for lock in layout.state.glob(f"*/{LOCK_FILE}")} - {instance.name}
    return any(is_alive(layout, name) for name in names)


def _close(
    candidate: _Candidate, layout: Layout, instance: Instance, clock: Clock, ledger: InstallationLedger
) -> Closed:
    path = candidate.path
    if not candidate.sealed:
        undo_packing(path)
    missing = _missing(candidate)
    was_cut_off = not candidate.sealed or (path / Artifact.INTERRUPTED).exists()
    if candidate.sealed:
        seal = read_seal(path)
        if seal is None:
            raise EvidenceError(
                f"{path}: its seal went away while it was read", hint="another process is changing this directory"
            )
        _require_verified(path)
    else:
        _write_sidecar(candidate, missing, instance, clock)
        seal = seal_run(path)
    kind = LedgerEntryType.RUN_INTERRUPTED if was_cut_off else LedgerEntryType.RUN_ADOPTED
    status = "interrupted" if was_cut_off else str((candidate.manifest or {}).get("status"))
    where = str(path.relative_to(layout.lib))
    pool = _pool_of(path.name, candidate, layout)
    said = {"status": status, "pool": pool, **halt_of_run(path)}
    ledger.append(kind, seal.ledger_payload(run_dir=where, tier=candidate.tier.value, **said))
    return Closed(path.name, path, missing, seal, adopted=not was_cut_off)


def _require_verified(path: Path) -> None:
    """A run that carries a seal of its own is taken in only when it verifies.

    Raises:
        EvidenceError: naming the first thing that is wrong.
    """
    found = verify_run(path, look_for_ledger=False)
    bad = next((one for one in found.findings if one.level is not Level.NOTE), None)
    if bad is not None:
        raise EvidenceError(
            f"{path} carries a seal and does not verify: {bad.where}: {bad.what}",
            hint=f"move it away and keep it for the audit; prometheus-quant verify {path}",
        )


def _pool_of(run_id: str, candidate: _Candidate, layout: Layout) -> dict[str, Any]:
    """What a cut-off run did to its pool: the records there that name it, between its beginning and now."""
    begun = ledger_now(layout.ledger).started.get(run_id)
    stage = Stage(begun.payload["stage"]) if begun is not None else _stage_of(candidate)
    pool = layout.pool(stage)
    before: dict[str, Any] = begun.payload["pool"] if begun is not None else {"records": START.n, "head": START.prev}
    claim = claims_of(pool, first=before["records"]).get(run_id, Claim()) if pool.exists() else Claim()
    now = place_of(pool)
    after = Link(now["records"], now["head"])
    return pool_state(layout, stage, Link(before["records"], before["head"]), after, claim)


def _stage_of(candidate: _Candidate) -> Stage:
    said = (candidate.manifest or {}).get("stage")
    return Stage(said) if said in {stage.value for stage in Stage} else Stage.STAGE1


def _missing(candidate: _Candidate) -> list[str]:
    return [
        str(name)
        for name in required(candidate.tier)
        if not (candidate.path / name.file_name(run_id=candidate.path.name)).exists()
    ]


def _write_sidecar(candidate: _Candidate, missing: list[str], instance: Instance, clock: Clock) -> None:
    path = candidate.path
    reasons = {}
    status = None if candidate.manifest is None else candidate.manifest.get("status")
    if candidate.owner is None:
        reasons["instance"] = "the run has no manifest that can be read"
    if status is None:
        reasons["manifest_status"] = "the run has no manifest that can be read"
    found: list[FoundFile] = []
    for name, state in walk(path):
        if name in SEAL_FILES or name == Artifact.INTERRUPTED:
            continue
        lines, rest = _count_lines(path / name) if name.endswith(".jsonl") else (None, None)
        if lines is None:
            at = f"found.{len(found)}"
            reasons |= dict.fromkeys((f"{at}.lines", f"{at}.unterminated_bytes"), "not a file of lines")
        found.append(FoundFile(name, state.st_size, lines, rest))
    record = Interrupted(
        run_id=path.name, closed_by_instance=instance.name, closed_by_pid=os.getpid(),
        detected_at=utc_text(clock.now()), reason=CUT_OFF, instance=candidate.owner, manifest_status=status,
        found=found, missing=missing, null_reasons=reasons,
    )  # fmt: skip
    try:
        write_new(path / Artifact.INTERRUPTED, to_json_bytes(record))
    except FileExistsError:
        return  # the start before this one was cut off while it closed the run; what it found then stands


def _count_lines(place: Path) -> tuple[int, int]:
    """Whole lines of a file, and the bytes after the last of them."""
    lines, rest = 0, 0
    try:
        with place.open("rb") as reader:
            while block := reader.read(COUNT_BLOCK):
                lines += block.count(b"\n")
                last = block.rfind(b"\n")
                rest = rest + len(block) if last < 0 else len(block) - last - 1
    except OSError as error:
        raise host_error(error, f"cannot read {place}") from error
    return lines, rest


def _tell(closed: Closed, journal: Journal) -> None:
    what = f"without {', '.join(closed.missing)}" if closed.missing else "with every file it owes"
    done = (
        "sealed itself and did not reach the ledger: verified and entered"
        if closed.adopted
        else f"was cut off {what}; closed and sealed"
    )
    journal.for_run(closed.run_id).send(
        Event.RUN_INTERRUPTED_CLOSED,
        f"{closed.run_id} {done}",
        path=str(closed.path),
        missing=", ".join(closed.missing) or "nothing",
    )


def _complete_curve(path: Path, instance: Instance) -> None:
    manifest = _manifest(path) or {}
    interrupted = (path / Artifact.INTERRUPTED).exists()
    status = "interrupted" if interrupted else str(manifest.get("status", "interrupted"))
    instance.intervals.record_run(path.name, status, collapses_of(path), ticks_of(path), strata_of_run(path))
