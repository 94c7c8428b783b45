"""One run, whatever its workload: opened, worked, filed, sealed.

1. Opening: the workload has settled what is to be done; the run gets an id and a manifest, the pool is opened, the
   ledger hears that the run begins, and the directory is made.
2. Work: what the workload hands over is filed in the experiments' order: each one's events, then its pool records, then
   the journal hears of it.
3. End: summary, telemetry and fingerprint; the manifest again, with how the run ended; the seal, which the ledger has.

A stop ends step 2 at the next look; what runs keeps its ticks, what has not begun is left out, and step 3 follows.
A disk that refuses ends the run as ``failed``, sealed as far as the disk lets us.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
from attrs import evolve

from prometheus.v10.base.clock import new_run_id, utc_text
from prometheus.v10.base.errors import HostError, PrometheusError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import Artifact, Event, LedgerEntryType, Schema
from prometheus.v10.core import fences
from prometheus.v10.evidence.chains.chain import START
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.tail import TornTail
from prometheus.v10.evidence.pools.anchors import pool_state, vouched_records
from prometheus.v10.evidence.pools.pool import SharedPoolWriter
from prometheus.v10.evidence.pools.pool_claims import Claim
from prometheus.v10.evidence.pools.pool_record import Entry
from prometheus.v10.evidence.records.codec import dump_config
from prometheus.v10.evidence.records.fence_registry import inventory_hash
from prometheus.v10.evidence.records.interesting import placed
from prometheus.v10.evidence.records.manifest_parts import (
    Ablation,
    Counts,
    ExperimentTiming,
    Failure,
    InternalCollapse,
)
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.records.summary import ExperimentStats, summarise
from prometheus.v10.evidence.writing.environment import Environment, probe
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal, JournalState
from prometheus.v10.evidence.writing.manifest import RunFigures, RunManifest, RunPlan, Status, finish, start_manifest
from prometheus.v10.evidence.writing.rundir import RunDirectory
from prometheus.v10.runs import observe
from prometheus.v10.runs.account import declaration, invariants, telemetry
from prometheus.v10.runs.beginning import appends_of, beginning_of, recounted
from prometheus.v10.runs.control import Progress, RunOutcome, StopReason
from prometheus.v10.runs.ending import failure_of, timing_of
from prometheus.v10.runs.harvest import Harvest
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.ablation import ABLATIONS
from prometheus.v10.runs.workers import executor
from prometheus.v10.runs.workers.known_answer import require_known_answer
from prometheus.v10.runs.workers.warm import warm_up
from prometheus.v10.runs.workload import RawEvidence, RunRequest, Surroundings, Workload


def open_run(
    request: RunRequest, around: Surroundings, workload: Workload, environment: Environment | None = None
) -> Run:
    """A run that begins now: its id, its manifest, and nothing on the disk yet.

    Args:
        request: who asks for it.
        around: where it lies.
        workload: what it does.
        environment: of the code that runs, where the caller has looked already.

    Raises:
        PrometheusError: when the world's compiled code cannot be loaded.
    """
    around.control.preparing("loading the world's compiled code (compiled now if this is the first run)")
    warm_up()
    environment = environment or probe()
    run_id = new_run_id(request.prefix.value, around.clock, environment.git_commit)
    facts, profile, world = workload.facts(), workload.profile, workload.world
    plan = RunPlan(
        run_id=run_id,
        instance=request.instance,
        stage=profile.stage.value,
        tier=request.prefix.tier.value,
        mode=request.mode.value,
        arm=world.arm.value,
        window=facts.window,
        ablation=Ablation(name=world.ablation, detail=ABLATIONS[world.ablation][0]),
        config=dump_config(profile),
        seeds=list(facts.seeds),
        world=setup.world_numbers(world.config),
        market=world.market,
        core_hash=facts.core_hash,
        fence_inventory_hash=inventory_hash(),
        exchange=facts.exchange,
        retention=dump_config(profile.retention),
        results_dir=str(around.layout.runs(request.prefix.tier) / run_id),
        previous_run_id=request.previous_run_id,
        restart_seconds=request.restart_seconds,
        run_counter=facts.run_counter or 0,
    )
    own = evolve(around, journal=around.journal.for_run(run_id))
    state = journal_state(own.journal, nulls := Nulls())
    manifest = evolve(start_manifest(plan, environment, state, nulls, own.clock), extra=dict(facts.extra))
    return Run(manifest, own, workload, counter=facts.run_counter)


class Run:
    """One run at work: what it has counted so far, and what it writes next.

    Its records speak of the run as ``manifest`` was at the start, so a replay of that manifest writes the same records.

    Attributes:
        table: progress of the experiments, in memory that workers share; it also carries the stop to them.
        directory: the run's own, once it is open.
        stop: why and when the run was asked to stop; None where it was not.
    """

    directory: RunDirectory
    raw: RawEvidence
    _pool: SharedPoolWriter

    def __init__(
        self, manifest: RunManifest, around: Surroundings, workload: Workload, *, counter: int | None = None
    ) -> None:
        self.manifest, self.around, self.workload, self.counter = manifest, around, workload, counter
        self.layout, self.clock, self.files = around.layout, around.clock, around.files
        self.control, self.journal = around.control, around.journal
        self.ledger = InstallationLedger(
            around.layout, clock=around.clock, instance=manifest.instance, on_torn=self.journal.send_torn,
            files=self.files,
        )  # fmt: skip
        self.stage = workload.profile.stage
        self.started = self.clock.monotonic()
        self.origin = time.monotonic()  # of what the workers measure
        self.rows: list[ExperimentStats] = []
        self.timing: list[ExperimentTiming] = []
        self.collapses: list[InternalCollapse] = []
        self.fence = np.zeros((len(fences.NAMES), fences.COLUMNS), dtype=np.int64)
        self.residual = 0.0
        self.agent_ticks = self.answered = 0
        self.claim = Claim()
        self.pool_before = self.pool_after = START
        self.last_collapse: str | None = None
        self.stop: tuple[StopReason, str] | None = None
        self.stop_seconds: float | None = None
        self.table = executor.ProgressTable(len(manifest.seeds))

    # ---- the three steps

    def go(self) -> RunOutcome:
        """Steps 1 to 3 (see the head of the module)."""
        self.control.able()
        with ExitStack() as stack:
            self._pool = stack.enter_context(
                SharedPoolWriter(
                    self.layout.pool(self.stage),
                    clock=self.clock,
                    on_torn=self._torn,
                    files=self.files,
                    progress=self.control.checked,
                    vouched=vouched_records(self.layout, self.stage, ledger_now(self.layout.ledger)),
                )
            )
            self.pool_before = self.pool_after = self._pool.link
            self._enter_beginning()
            directory = self.directory = stack.enter_context(
                RunDirectory.create(self.layout, Tier(self.manifest.meta.tier), self.manifest.run_id, files=self.files)
            )
            directory.write_manifest(self.manifest)
            table = self.workload.profile.evidence
            self.raw = self.workload.raw(self) or observe.open_raw(
                directory, self.manifest.start_time, self.journal,
                sample_one_in=table.order_sample_one_in, budget_bytes=table.raw_budget_bytes, files=self.files,
            )  # fmt: skip
            self.journal.send(
                Event.RUN_STARTED,
                f"{self.manifest.run_id}: {len(self.manifest.seeds)} experiments over {self.manifest.window.len} bars"
                + "".join(f"; nothing for the pool: {why}" for why in self.workload.world.counterfactual),
                path=str(directory.path), experiments=len(self.manifest.seeds), core_hash=self.manifest.core_hash,
            )  # fmt: skip
            try:
                self.workload.open(self)
                self.control.run_opened(self.manifest.run_id, directory.path)
                self.workload.work(self)
                self.look()
                require_known_answer()
                self.control.sealing()
                status = Status.INTERRUPTED if self.stop else Status.COMPLETED
                self._write_artifacts(directory)
            except Exception as error:  # a bug too leaves a sealed run behind
                self._give_up(directory, error)
                raise
            return self._close(directory, status)

    # ---- what a workload asks for

    def file(self, harvests: Sequence[Harvest], entries: Sequence[Entry]) -> None:
        """File experiments that belong together: their events first, then the pool, then the journal."""
        directory = self.directory
        self.raw.add_all((harvest.experiment, harvest.raw) for harvest in harvests)
        for harvest in harvests:
            directory.append(Artifact.INTERESTING_DEATHS, placed(harvest.interesting, directory.lines[Artifact.DEATHS]))
            directory.append(Artifact.DEATHS, harvest.deaths)
            directory.append(Artifact.BIRTHS, harvest.births)
            directory.append(Artifact.SURVIVORS, harvest.survivors)
            directory.append(Artifact.COLLAPSES, harvest.collapses)
            for artifact, line in ((Artifact.FOUNDERS, harvest.founders), (Artifact.POPULATION_SERIES, harvest.series)):
                if line:
                    directory.append(artifact, line)
        directory.commit()
        for number, entry in zip(self._pool.append(entries), entries, strict=True):
            self.claim.add(number, entry.id)
        if entries:
            self.pool_after = self._pool.link
        for harvest in harvests:
            self._count(harvest)
        self.look()

    def say(self, name: str, value: Any) -> None:
        """Give the manifest a further key, which it has when it is written at the end."""
        self.manifest = evolve(self.manifest, extra={**self.manifest.extra, name: value})

    def settle(self, **changes: Any) -> None:
        """Write down what could only be known when the run was open: fields of the manifest, durable on return."""
        self.manifest = evolve(self.manifest, **changes)
        self.directory.write_manifest(self.manifest)

    def look(self) -> None:
        """Report progress, and pass a stop on to the workers; called at least once a second."""
        rows = self.table.rows
        working = (rows[:, executor.TICK] > 0) & (rows[:, executor.TICK] < self.manifest.window.len)
        ticks = rows[working, executor.TICK]
        self.control.progress(
            Progress(
                run_id=self.manifest.run_id,
                experiments_total=len(self.manifest.seeds),
                experiments_done=len(self.rows),
                tick=int(ticks.min()) if len(ticks) else 0,
                ticks_total=self.manifest.window.len,
                agent_ticks=int(rows[:, executor.AGENT_TICKS].sum()),
                alive=int(rows[working, executor.ALIVE].sum()),
                deaths=int(rows[:, executor.DEATHS].sum()),
                births=int(rows[:, executor.BIRTHS].sum()),
                seconds=self._elapsed(),
                last_collapse=self.last_collapse,
                answered=self.answered,
            )
        )
        if self.stop is None and (reason := self.control.stop_requested()) is not None:
            self.stop = reason, utc_text(self.clock.now())
            self.stop_seconds = time.monotonic() - self.origin
            self.table.stop()

    # ---- counting and telling

    def _count(self, harvest: Harvest) -> None:
        """Take one experiment's figures into the run's, and tell the journal."""
        self.rows.append(harvest.stats)
        self.timing.append(timing_of(harvest, self.origin, elsewhere=self.around.cluster is not None))
        self.fence += harvest.fence
        self.residual = max(self.residual, harvest.residual)
        self.agent_ticks += harvest.agent_ticks
        self._tell(harvest)

    def _tell(self, harvest: Harvest) -> None:
        for note in harvest.reviews:
            self.journal.send(
                Event.REVIEW_DEATHS,
                f"experiment {harvest.experiment}, review at tick {note.tick}: {note.died} died, {note.born} born",
                experiment=harvest.experiment, tick=note.tick, deaths=note.died, counts=note.counts,
                worst_roi=note.worst_roi, best_roi=note.best_roi,
            )  # fmt: skip
        observe.tell_patterns(self.journal, harvest.interesting)
        event = harvest.collapse
        if event is None:
            return
        self.last_collapse = f"{event.reason} in experiment {harvest.experiment} at tick {event.tick}"
        self.collapses.append(
            InternalCollapse(
                experiment=harvest.experiment,
                reason=event.reason,
                tick=event.tick,
                ticks_to_collapse=event.ticks_to_collapse,
                market_time=event.ts_utc,
                detected_at=utc_text(self.clock.now()),
                seconds=self._elapsed(),
            )
        )
        self.journal.send(
            Event.COLLAPSE, f"internal collapse: {self.last_collapse}",
            experiment=harvest.experiment, reason=event.reason, tick=event.tick,
        )  # fmt: skip

    def _write_artifacts(self, directory: RunDirectory) -> None:
        self.raw.finish()
        summary = summarise(
            self.manifest.run_id,
            self.manifest.config,
            declaration(self.manifest),
            self.rows,
            invariants(self.rows, self.residual),
            cut_count=self.manifest.schema == Schema.MANIFEST_1.value,
        )
        directory.write_artifact(Artifact.SUMMARY, summary)
        directory.write_fingerprint(self.workload.fingerprint(self.manifest.run_id))
        bars = self.workload.funding_defaulted()
        directory.write_artifact(
            Artifact.TELEMETRY, telemetry(self.manifest, self.workload.world, self.fence, len(self.rows), bars)
        )

    def _close(self, directory: RunDirectory, status: Status, failure: Failure | None = None) -> RunOutcome:
        reason, when = self.stop or (None, None)
        nulls = Nulls(self.manifest.null_reasons)
        pool = pool_state(self.layout, self.stage, self.pool_before, self.pool_after, self.claim)
        self.journal.send(
            Event.RUN_ENDED, f"{self.manifest.run_id} {status.value}: {len(self.rows)} experiments",
            status=status.value, experiments=len(self.rows), deaths=sum(row.deaths for row in self.rows),
            births=sum(row.births for row in self.rows), collapses=len(self.collapses), seconds=self._elapsed(),
        )  # fmt: skip
        figures = RunFigures(
            timing=self.timing,
            agent_ticks=self.agent_ticks,
            elapsed=max(self._elapsed(), 1e-6),
            collapses=self.collapses,
            counts=self._counts(directory),
            evidence=directory.size(),
            pool_appends=appends_of(self.layout, self.stage, pool, self.claim),
            stop_reason=reason.value if reason else None,
            stop_time=when,
            stop_seconds=self.stop_seconds,
            failure=failure,
        )
        # The manifest counts what was sent before it was closed: the announcement of the seal can only follow it.
        said = journal_state(self.journal, nulls)
        directory.write_manifest(finish(self.manifest, status, figures, said, nulls, self.clock))
        done = status is not Status.FAILED
        tier1 = self.manifest.meta.tier == Tier.TIER1_HF.value
        seal = directory.seal(
            self.ledger, complete=done, compress=tier1 and self.workload.profile.evidence.compress is not False,
            on_file=self._sealing, status=status.value, pool=pool,
        )  # fmt: skip
        self.journal.send(
            Event.RUN_SEALED, f"{self.manifest.run_id} is sealed: {seal.files} files",
            path=str(directory.path), files=seal.files, bytes=seal.bytes, seal=seal.sha256,
            seal_sha256=seal.sha256, installation=self.ledger.installation,
        )  # fmt: skip
        return RunOutcome(
            run_id=self.manifest.run_id,
            path=directory.path,
            status=status.value,
            stop_reason=reason,
            experiments=len(self.rows),
            collapses=len(self.collapses),
            agent_ticks=self.agent_ticks,
            seconds=self._elapsed(),
            lived={row.experiment: row.ticks for row in self.rows},
        )

    def _give_up(self, directory: RunDirectory, error: Exception) -> None:
        """Seal what there is as ``failed``; if the disk refuses even that, the next start closes the run."""
        self.table.stop()
        self._recount()
        try:
            self._close(directory, Status.FAILED, failure_of(directory, error))
        except PrometheusError as another:
            if not isinstance(another, HostError):
                raise

    def _recount(self) -> None:
        """What an append that failed left in the pool all the same: the seal names what is really there."""
        pool = self.layout.pool(self.stage)
        with suppress(HostError):
            if pool.exists():
                self.claim, self.pool_after = recounted(pool, self.manifest.run_id, self.pool_before)

    # ---- small things

    def _elapsed(self) -> float:
        return self.clock.monotonic() - self.started

    def _enter_beginning(self) -> None:
        """The ledger knows of the run before there is a directory of it: what nobody began is never taken in."""
        payload, nulls = beginning_of(self.manifest, self.layout, self.stage, self.pool_before, self.counter)
        self.ledger.append(LedgerEntryType.RUN_STARTED, payload, null_reasons=nulls)

    def _sealing(self, _name: str) -> None:
        self.control.sealing()

    def _torn(self, tail: TornTail) -> None:
        """A torn tail of the pool: the ledger has it before anything is appended over it."""
        self.journal.send_torn(tail)
        self.ledger.enter_torn(tail)

    def _counts(self, directory: RunDirectory) -> Counts:
        lines = directory.lines
        return Counts(
            experiments=len(self.rows),
            deaths=lines[Artifact.DEATHS],
            births=lines[Artifact.BIRTHS],
            collapses=lines[Artifact.COLLAPSES],
            interesting_deaths=lines[Artifact.INTERESTING_DEATHS],
            raw_samples=self.raw.records,
            pool_records=self.claim.appended,
        )


def journal_state(journal: Journal, nulls: Nulls) -> JournalState:
    """What the manifest says about the journal, with systemd's id of this start of the unit if there is one."""
    return journal.state(nulls, os.environ.get("INVOCATION_ID"))
