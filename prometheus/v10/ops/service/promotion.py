"""Promotions: candidates, the queue, and its draining by the instances PROMOTE and AUDIT (contracts, section 10).

1. Candidates come from a pool (one record, or the top K by survival or ROI) or from the patterns among deaths that the
   runs filed (``interesting_deaths.jsonl``), by the pattern's name.
2. A request is a file, ``state/promotions/<INSTANCE>/<id>.json``; its id is drawn from what is asked, so asking twice
   is asking once. The ledger has it, and retention therefore keeps the source run whole, before the file is there;
   both happen under the lock of retention.
3. The instance takes the oldest request, does the Tier-2 run, and moves the file to ``done/`` when the proof holds:
   then the ledger has the promotion with its Tier-2 run. A request that cannot be done (its bars are gone, its run does
   not verify, the replay differs) is moved to ``failed/`` with the reason, and the error ends the process. One that was
   stopped, or met a full disk or a held lock, stays where it is.
4. A file of the queue that is no request, whose id is not that of its content, or that is not what the ledger has as
   queued, is moved to ``*.refused`` beside it; the journal hears of it, and the queue goes on.
"""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from attrs import asdict, evolve

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import EvidenceError, HostError, LockHeldError, PrometheusError, UsageError, host_error
from prometheus.v10.base.files import FILES, Files, make_directory, write_atomic
from prometheus.v10.base.modes import QUEUES, Mode, RunPrefix, Stage, Tier
from prometheus.v10.base.names import Artifact, Event, LedgerEntryType
from prometheus.v10.base.paths import Layout, refuse_links_below
from prometheus.v10.base.reading import LARGE
from prometheus.v10.base.text import printable
from prometheus.v10.evidence import catalog
from prometheus.v10.evidence.chains.absences import read_evidence
from prometheus.v10.evidence.chains.ledger import Ledger
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.evidence.pools.pool_record import PoolRecord
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.codec import to_json_bytes
from prometheus.v10.evidence.records.events import DeathPattern
from prometheus.v10.evidence.records.findings import Progress
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.seal import read_seal
from prometheus.v10.ops.retention.retention_apply import LOCK_ATTEMPTS, retention_lock
from prometheus.v10.ops.service.promotion_requests import own_ids, read_request, request_id
from prometheus.v10.runs.control import RunOutcome
from prometheus.v10.runs.offline import require_offline
from prometheus.v10.runs.promote.promote_proof import Proof
from prometheus.v10.runs.promote.promote_run import Promotion, open_source, refuse_a_false_proof, run_promotion
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.workload import RunRequest, Surroundings

DONE, FAILED = "done", "failed"
BY_SURVIVAL, BY_ROI = "survival", "roi"
PROVEN, NOT_PROVEN = "proven", "not_proven"
REFUSED_SUFFIX = ".refused"
NO_AGENT = "a whole experiment is promoted, not one genome"
_AGENT = re.compile(r"e\d+a(\d+)")


__all__ = ["QUEUES", "own_ids", "read_request"]


# ---- candidates ------------------------------------------------------------------------------------------------------


def by_id(pool: Path, record_id: str) -> PoolRecord:
    """The record with an id, or with a genome's sha256 (the first of them).

    Raises:
        UsageError: when no record has it.
        EvidenceError: when the pool is damaged.
    """
    for record in _records(pool):
        if record_id in {record.id, record.genome_sha256}:
            return record
    raise UsageError(f"no record of {pool} has the id {record_id}", hint="prometheus-quant pool show --json lists them")


def top(pool: Path, most: int, by: str) -> list[PoolRecord]:
    """The best records: by ROI, or by survival (alive at the end, then who lived longest, then ROI); each genome once.

    Raises:
        UsageError: when there is no pool.
        EvidenceError: when the pool is damaged.
    """
    best: dict[str, PoolRecord] = {}
    for record in heapq.nlargest(most * 4, _records(pool), key=lambda record: (*_rank(record, by), -record.n)):
        best.setdefault(record.genome_sha256, record)
    return list(best.values())[:most]


def _rank(record: PoolRecord, by: str) -> tuple[float, ...]:
    metrics = record.metrics_summary
    roi = float(metrics["roi_lifetime"])
    if by == BY_ROI:
        return (roi,)
    if "survival_share" in metrics:
        return float(metrics["survival_share"]), roi
    alive, born = bool(metrics["survived"]), int(metrics["birth_tick"])
    lived = -born if alive else int(metrics["death_tick"]) - born
    return float(alive), float(lived), roi


def _records(pool: Path) -> Iterator[PoolRecord]:
    if not pool.is_file():
        raise UsageError(f"there is no pool at {pool}", hint="do a run first, or give --root and --stage")
    return iter_records(pool)


def patterns(layout: Layout, name: str, most: int) -> list[dict[str, Any]]:
    """The patterns of a name among the deaths of all Tier-1 runs, the newest run first, one an experiment.

    Raises:
        UsageError: for a name that no pattern has.
        EvidenceError: for a line that is no record.
    """
    known = [pattern.value for pattern in DeathPattern]
    if name not in known:
        raise UsageError(f"no trigger is called {name!r}", hint=f"there are: {', '.join(known)}")
    found: list[dict[str, Any]] = []
    seen: set[tuple[str, int]] = set()
    for run in catalog.runs(layout, Tier.TIER1_HF):
        place = run.path / Artifact.INTERESTING_DEATHS
        filed = read_evidence(place, at_most=LARGE) if run.run_id.startswith(f"{RunPrefix.HF.value}_") else None
        for line in (filed or b"").splitlines():
            try:
                one = strict_loads(line)
                key = (str(one["run_id"]), int(one["experiment"]))
            except (ValueError, KeyError, TypeError) as error:
                raise EvidenceError(f"{place}: {error!r}", hint="verify the run") from error
            if one["pattern"] == name and key not in seen:
                seen.add(key)
                found.append(one)
                if len(found) == most:
                    return found
    return found


# ---- requests --------------------------------------------------------------------------------------------------------


def of_record(record: PoolRecord, instance: str, trigger: str, detail: str, clock: Clock) -> Promotion:
    """The promotion of a pool's record; one of stage 2 goes back to the run that made the genome.

    The life that the replay is held against is that of the genome's own run, so a verdict of stage 2 names the genome
    only.
    """
    origin = record.metrics_summary.get("origin") or record.source
    own = "origin" not in record.metrics_summary
    plain = {
        "id": record.id,
        "genome_sha256": record.genome_sha256,
        "metrics_summary": record.metrics_summary if own else None,
    }
    place = _Origin(str(origin["run_id"]), int(origin["experiment"]), int(origin["genome_index"]))
    return _request(instance, place, plain, trigger, detail, clock, record.null_reasons if own else {})


def of_pattern(one: dict[str, Any], instance: str, clock: Clock) -> Promotion:
    """The promotion of the experiment in which a pattern among deaths was found."""
    named = [_AGENT.fullmatch(str(agent)) for agent in one["agent_ids"]]
    index = int(named[0][1]) if len(named) == 1 and named[0] is not None else None
    detail = f"{one['pattern']}: {one['detail']}"
    place = _Origin(str(one["run_id"]), int(one["experiment"]), index)
    return _request(instance, place, None, str(one["pattern"]), detail, clock)


class _Origin(NamedTuple):
    """The experiment that is promoted; ``genome_index`` is None where all of it is."""

    run_id: str
    experiment: int
    genome_index: int | None


def _request(
    instance: str, origin: _Origin, record: dict[str, Any] | None, trigger: str, detail: str, clock: Clock,
    nulls: Mapping[str, str] | None = None,
) -> Promotion:  # fmt: skip
    reasons = {f"record.{path}": why for path, why in (nulls or {}).items() if path.startswith("metrics_summary.")}
    if origin.genome_index is None:
        reasons["genome_index"] = NO_AGENT
    if record is None:
        reasons["record"] = "no pool record is promoted"
    elif record["metrics_summary"] is None:
        reasons["record.metrics_summary"] = "a verdict of stage 2 does not tell the genome's own life"
    return Promotion(
        id=request_id([instance, *origin, trigger, record]),
        instance=instance,
        from_run_id=origin.run_id,
        experiment=origin.experiment,
        genome_index=origin.genome_index,
        record=record,
        trigger=trigger,
        detail=detail,
        requested_at=utc_text(clock.now()),
        null_reasons=reasons,
    )


def queue_folder(layout: Layout, name: str) -> Path:
    """``state/promotions/<name>``: requests of an instance, or ``done``, or ``failed``."""
    return layout.state / "promotions" / name


def enqueue(
    promotion: Promotion, layout: Layout, *, clock: Clock, journal: Journal, files: Files = FILES
) -> tuple[Promotion, str]:
    """Put a request into the queue; returns it and where it stands: ``queued``, or what it came to before.

    Raises:
        PrometheusError: as `open_source`: what cannot be replayed is refused before anything is written.
        LockHeldError: when a pass of retention is at work.
        HostError: when the disk refuses.
    """
    for name in (promotion.instance, DONE):
        place = queue_folder(layout, name) / f"{promotion.id}.json"
        if place.exists():
            return read_request(place), "queued before" if name == promotion.instance else "done before"
    folder, data = queue_folder(layout, promotion.instance), to_json_bytes(promotion)
    lock = retention_lock(layout).acquire(attempts=LOCK_ATTEMPTS)
    try:
        open_source(promotion, layout)
        _make(layout, folder)
        _ledger(layout, promotion, clock, journal, files).append(
            LedgerEntryType.PROMOTION, {**_named(promotion), "status": "queued"}
        )
        write_atomic(folder / f"{promotion.id}.json", data, files=files)
    finally:
        lock.release()
    return promotion, "queued"


def _make(layout: Layout, folder: Path) -> None:
    refuse_links_below(layout.lib, folder)
    make_directory(folder.parent)
    make_directory(folder)


def _named(promotion: Promotion) -> dict[str, Any]:
    """What the ledger keeps of a promotion; the names of both runs exempt them from retention."""
    said: dict[str, Any] = {
        "promotion": promotion.id,
        "from_run_id": promotion.from_run_id,
        "experiment": promotion.experiment,
        "trigger": promotion.trigger,
        "detail": promotion.detail,
    }
    if promotion.genome_index is not None:
        said["genome_index"] = promotion.genome_index
    if promotion.record is not None:
        said |= {"record_id": promotion.record["id"], "genome_sha256": promotion.record["genome_sha256"]}
    return said


def _ledger(layout: Layout, promotion: Promotion, clock: Clock, journal: Journal, files: Files) -> Ledger:
    return InstallationLedger(layout, clock=clock, instance=promotion.instance, on_torn=journal.send_torn, files=files)


def pending(layout: Layout, instance: str, journal: Journal | None = None) -> list[tuple[Path, Promotion]]:
    """What waits for an instance, the oldest first; what is no request is moved aside, told, and not in the way.

    Raises:
        HostError: when it cannot be moved.
    """
    found = []
    for place in sorted(queue_folder(layout, instance).glob("*.json")):
        try:
            request = read_request(place)
            if request.instance != instance:
                raise EvidenceError(f"{place}: it is a request to {request.instance}")
        except PrometheusError as error:
            if os.path.lexists(place):
                refuse(place, error.message, instance, journal)
            continue
        found.append((place, request))
    return sorted(found, key=lambda one: (one[1].requested_at, one[1].id))


def refuse(place: Path, why: str, instance: str, journal: Journal | None) -> None:
    """Move a request that cannot be one out of the queue, beside it, and tell the journal.

    Raises:
        HostError: when it cannot be moved.
    """
    aside = next(one for one in _asides(place) if not os.path.lexists(one))
    try:
        FILES.rename(place, aside)
    except OSError as error:
        raise host_error(error, f"cannot move {place} aside") from error
    heard = journal or Journal.open(instance=instance, mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    heard.send(
        Event.VERIFY_FAILED,
        f"a request of the queue {instance} was refused and moved to {printable(aside.name)}: {why}",
        path=str(aside),
        finding=why,
    )


def _asides(place: Path) -> Iterator[Path]:
    yield place.with_name(f"{place.name}{REFUSED_SUFFIX}")
    for number in count(1):
        yield place.with_name(f"{place.name}.{number}{REFUSED_SUFFIX}")


# ---- draining --------------------------------------------------------------------------------------------------------


def waits_in(instance: str) -> Callable[[Profile, Layout, Progress], bool]:
    """Whether a request waits for ``instance``."""

    def waits(_profile: Profile, layout: Layout, _progress: Progress) -> bool:
        return any(not _entered(layout, promotion.id) for _, promotion in pending(layout, instance))

    return waits


def run_next(request: RunRequest, around: Surroundings) -> RunOutcome:
    """Do the oldest request of the instance's queue, as the service does a run of a stage.

    Raises:
        UsageError: when nothing waits.
        PrometheusError: as `run_promotion`; the request then lies in ``failed/`` unless trying again may help.
    """
    require_offline(request.mode, "promotions are replayed offline")
    layout, queue = around.layout, request.instance
    for place, promotion in pending(layout, queue, around.journal):
        if _entered(layout, promotion.id):  # the machine died between the ledger's line and the move
            _move(place, promotion, layout, DONE, {}, around.files)
            continue
        if not _asked(layout, promotion):
            refuse(place, "it is not the request that the ledger has as queued", queue, around.journal)
            continue
        return drain(place, promotion, around)[0]
    raise UsageError(f"no promotion waits for {queue}", hint="prometheus-quant promote --root DIR --top-k 1")


def drain(place: Path, promotion: Promotion, around: Surroundings) -> tuple[RunOutcome, Proof | None]:
    """Do one request; errors as `run_next`."""
    layout, journal = around.layout, around.journal
    ledger = _ledger(layout, promotion, around.clock, journal, around.files)
    try:
        outcome, proof = run_promotion(promotion, around)
        if proof is not None and not proof.same:
            reason = printable(proof.why_not)
            said = {**_named(promotion), "status": NOT_PROVEN, **_tier2(outcome), "reason": reason}
            ledger.append(LedgerEntryType.PROMOTION, said)
        refuse_a_false_proof(outcome, proof)
    except (HostError, LockHeldError):
        raise
    except PrometheusError as error:
        journal.send(
            Event.VERIFY_FAILED,
            f"promotion of {promotion.from_run_id} failed: {error.message}",
            path=str(layout.runs(Tier.TIER1_HF) / promotion.from_run_id),
            finding=error.message,
        )
        _move(
            place, promotion, layout, FAILED, {"error": error.message, "exit_code": int(error.exit_code)}, around.files
        )
        raise
    if proof is None:
        return outcome, None
    said = {**_named(promotion), "status": PROVEN, **_tier2(outcome), "deaths_compared": proof.deaths}
    ledger.append(LedgerEntryType.PROMOTION, said)
    journal.for_run(outcome.run_id).send(
        Event.PROMOTION,
        f"{outcome.run_id} replays experiment {promotion.experiment} of {promotion.from_run_id}: identical",
        from_run_id=promotion.from_run_id,
        trigger=promotion.trigger,
    )
    _move(place, promotion, layout, DONE, {"run_id": outcome.run_id}, around.files)
    return outcome, proof


def _tier2(outcome: RunOutcome) -> dict[str, Any]:
    """The Tier-2 run that an entry rests on, by its id and its seal."""
    seal = read_seal(outcome.path)
    if seal is None:
        raise EvidenceError(f"{outcome.path} has no seal", hint="prometheus-quant verify it")
    return {"run_id": outcome.run_id, "seal": seal.sha256}


def _asked(layout: Layout, promotion: Promotion) -> bool:
    """Whether the ledger has exactly this request as queued."""
    return {**_named(promotion), "status": "queued"} in ledger_now(layout.ledger).promotions


def _entered(layout: Layout, promotion_id: str) -> bool:
    """Whether the ledger has this promotion as proven."""
    said = ledger_now(layout.ledger).promotions
    return any(one["promotion"] == promotion_id and one["status"] == PROVEN for one in said)


def _move(place: Path, promotion: Promotion, layout: Layout, where: str, outcome: dict[str, Any], files: Files) -> None:
    """Put a request where it came to, and take it from the queue; in this order, so that none is ever lost."""
    folder = queue_folder(layout, where)
    _make(layout, folder)
    kept = evolve(promotion, extra={**promotion.extra, "outcome": outcome})
    write_atomic(folder / place.name, to_json_bytes(kept), files=files)
    try:
        files.unlink(place)
        files.fsync_dir(place.parent)
    except OSError as error:
        raise host_error(error, f"cannot take {place} from the queue") from error


def plain(promotion: Promotion) -> dict[str, Any]:
    """A request as plain values, for a report; the record by its id."""
    said = asdict(promotion)
    said.pop("extra"), said.pop("null_reasons")
    said["record"] = promotion.record["id"] if promotion.record else None
    return said
