"""Stage 1: one run, from a profile to a sealed directory.

1. Settle the world (bars, physics, seeds) and check the core; open the pool; make the directory; write the manifest.
2. Run the experiments; write each one's events, then its pool records, then tell the journal, in the experiments'
   order.
3. Write summary, telemetry and fingerprint; rewrite the manifest with how it ended; seal; enter the seal into the
   ledger.

A stop ends step 2 at the next look; what runs keeps its ticks, what has not begun is left out, and step 3 follows.
A disk that refuses ends the run as ``failed``, sealed as far as the disk lets us.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress

import numpy as np

from prometheus.v10.base.clock import Clock, new_run_id, utc_text
from prometheus.v10.base.errors import HostError, PrometheusError, UsageError
from prometheus.v10.base.files import FILES, Files
from prometheus.v10.base.modes import Mode, RunPrefix, Tier
from prometheus.v10.base.names import Artifact, Event, LedgerEntryType, Schema
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import fences
from prometheus.v10.evidence.chains.chain import START
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.tail import TornTail
from prometheus.v10.evidence.pools.anchors import pool_state, vouched_records
from prometheus.v10.evidence.pools.pool import SharedPoolWriter
from prometheus.v10.evidence.pools.pool_claims import Claim
from prometheus.v10.evidence.pools.pool_record import PoolEntry
from prometheus.v10.evidence.records.codec import dump_config
from prometheus.v10.evidence.records.fence_registry import inventory_hash
from prometheus.v10.evidence.records.fingerprint import offline_fingerprint
from prometheus.v10.evidence.records.interesting import placed
from prometheus.v10.evidence.records.manifest_parts import (
    Ablation,
    Counts,
    ExperimentTiming,
    Failure,
    InternalCollapse,
    Window,
)
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.records.raw import RawWriter
from prometheus.v10.evidence.records.summary import ExperimentStats, summarise
from prometheus.v10.evidence.writing.environment import probe
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal, JournalState
from prometheus.v10.evidence.writing.manifest import RunFigures, RunManifest, RunPlan, Status, finish, start_manifest
from prometheus.v10.evidence.writing.rundir import RunDirectory
from prometheus.v10.runs import observe
from prometheus.v10.runs.account import declaration, invariants, telemetry
from prometheus.v10.runs.beginning import appends_of, beginning_of, recounted
from prometheus.v10.runs.control import Progress, RunControl, RunOutcome, StopReason
from prometheus.v10.runs.ending import failure_of, timing_of
from prometheus.v10.runs.harvest import Harvest
from prometheus.v10.runs.identity import identities
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.ablation import ABLATIONS
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.workers import executor
from prometheus.v10.runs.workers.invariance import check_core
from prometheus.v10.runs.workers.known_answer import require_known_answer
from prometheus.v10.runs.workers.warm import warm_up


def run_stage1(
    profile: Profile,
    layout: Layout,
    *,
    clock: Clock,
    mode: Mode,
    instance: str,
    control: RunControl,
    journal: Journal,
    seed_offset: int | None = None,
    prefix: RunPrefix = RunPrefix.HF,
    previous_run_id: str | None = None,
    restart_seconds: float | None = None,
    files: Files = FILES,
    cluster: str | None = None,
) -> RunOutcome:
    """Do one run.

    Args:
        profile: what to run.
        layout: where everything lies; must have been prepared.
        clock: time and ids.
        mode: as asked on the command line; must be the profile's.
        instance: whose run it is.
        control: hears of progress, and says when to stop.
        journal: the second witness.
        seed_offset: how many runs of this profile went before: seeds go on where they ended. None where nobody counts
            them: the seeds are the profile's own.
        prefix: decides tier and root.
        previous_run_id: the run whose collapse this one is the reboot of, with the seconds since.
        restart_seconds: see there.
        files: the file layer of everything that the run writes.
        cluster: address of a Dask scheduler whose workers run the experiments; the evidence is written here.

    Raises:
        PrometheusError: whatever stood in the way. If a directory had been made by then, it is sealed as ``failed``.
    """
    if mode is not Mode.OFFLINE:
        raise UsageError(f"mode {mode.value}: this version has no exchange adapter", hint="run --mode offline")
    core = check_core()
    world = setup.prepare(profile, layout)
    control.preparing("loading the world's compiled code (compiled now if this is the first run)")
    warm_up()
    environment = probe()
    run_id = new_run_id(prefix.value, clock, environment.git_commit)
    first = profile.experiments.seed + (seed_offset or 0) * profile.experiments.count
    seeds = list(range(first, first + profile.experiments.count))
    plan = RunPlan(
        run_id=run_id,
        instance=instance,
        stage=profile.stage.value,
        tier=prefix.tier.value,
        mode=mode.value,
        arm=world.arm.value,
        window=Window(name=world.window.name, start=world.window.start, len=world.window.len),
        ablation=Ablation(name=world.ablation, detail=ABLATIONS[world.ablation][0]),
        config=dump_config(profile),
        seeds=seeds,
        world=setup.world_numbers(world.config),
        market=world.market,
        core_hash=core,
        fence_inventory_hash=inventory_hash(),
        retention=dump_config(profile.retention),
        results_dir=str(layout.runs(prefix.tier) / run_id),
        previous_run_id=previous_run_id,
        restart_seconds=restart_seconds,
        run_counter=seed_offset or 0,
    )
    own = journal.for_run(run_id)
    manifest = start_manifest(plan, environment, journal_state(own, nulls := Nulls()), nulls, clock)
    run = Stage1Run(manifest, profile, world, layout, clock, control, own, files=files, cluster=cluster)
    run.counter = seed_offset
    return run.go()


class Stage1Run:
    """One run at work: what it has counted so far, and what it writes next.

    Its records speak of the run as ``manifest`` was at the start, so a replay of that manifest writes the same records.
    ``limits`` (replay only) runs just these experiments, each for so many ticks at most; None runs all to their end.
    """

    def __init__(
        self,
        manifest: RunManifest,
        profile: Profile,
        world: setup.World,
        layout: Layout,
        clock: Clock,
        control: RunControl,
        journal: Journal,
        limits: Mapping[int, int] | None = None,
        files: Files = FILES,
        cluster: str | None = None,
    ) -> None:
        self.manifest, self.profile, self.world, self.limits = manifest, profile, world, limits
        self.layout, self.clock, self.control, self.journal = layout, clock, control, journal
        self.files, self.cluster = files, cluster
        self.ledger = InstallationLedger(
            layout, clock=clock, instance=manifest.instance, on_torn=self.journal.send_torn, files=files
        )
        self.started = clock.monotonic()
        self.origin = time.monotonic()  # of what the workers measure
        self.rows: list[ExperimentStats] = []
        self.timing: list[ExperimentTiming] = []
        self.collapses: list[InternalCollapse] = []
        self.fence = np.zeros((len(fences.NAMES), fences.COLUMNS), dtype=np.int64)
        self.residual = 0.0
        self.agent_ticks = 0
        self.counter: int | None = None
        self.claim = Claim()
        self.pool_before = self.pool_after = START
        self.last_collapse: str | None = None
        self.stop: tuple[StopReason, str] | None = None
        self.stop_seconds: float | None = None
        self.table = executor.ProgressTable(len(manifest.seeds))
        self.raw: RawWriter

    # ---- the three steps

    def go(self) -> RunOutcome:
        """Steps 1 to 3 (see the head of the module)."""
        self.control.able()
        with ExitStack() as stack:
            pool = stack.enter_context(
                SharedPoolWriter(
                    self.layout.pool(self.profile.stage),
                    clock=self.clock,
                    on_torn=self._torn,
                    files=self.files,
                    progress=self.control.checked,
                    vouched=vouched_records(self.layout, self.profile.stage, ledger_now(self.layout.ledger)),
                )
            )
            self.pool_before = self.pool_after = pool.link
            self._enter_beginning()
            directory = stack.enter_context(
                RunDirectory.create(self.layout, Tier(self.manifest.meta.tier), self.manifest.run_id, files=self.files)
            )
            directory.write_manifest(self.manifest)
            table = self.profile.evidence
            self.raw = observe.open_raw(
                directory, self.manifest.start_time, self.journal,
                sample_one_in=table.order_sample_one_in, budget_bytes=table.raw_budget_bytes, files=self.files,
            )  # fmt: skip
            self.journal.send(
                Event.RUN_STARTED,
                f"{self.manifest.run_id}: {len(self.manifest.seeds)} experiments over {self.manifest.window.len} bars"
                + "".join(f"; nothing for the pool: {why}" for why in self.world.counterfactual),
                path=str(directory.path), experiments=len(self.manifest.seeds), core_hash=self.manifest.core_hash,
            )  # fmt: skip
            self.control.run_opened(self.manifest.run_id, directory.path)
            try:
                self._evolve(directory, pool)
                require_known_answer()
                self.control.sealing()
                status = Status.INTERRUPTED if self.stop else Status.COMPLETED
                self._write_artifacts(directory)
            except Exception as error:  # a bug too leaves a sealed run behind
                self._give_up(directory, error)
                raise
            return self._close(directory, status)

    def _evolve(self, directory: RunDirectory, pool: SharedPoolWriter) -> None:
        workers = executor.workers_for(self.profile.workers, len(self.manifest.seeds))
        jobs = [
            executor.Job(
                who=who,
                keep_orders_one_in=self.profile.evidence.order_sample_one_in,
                interesting=self.profile.interesting,
                stop_after=None if self.limits is None else self.limits[who.experiment],
            )
            for who in identities(self.manifest, self.world.config, self.profile.pool.best_of_the_dead)
            if self.limits is None or who.experiment in self.limits
        ]
        for harvest in self._harvests(jobs, workers):
            self._write([harvest], harvest.pool, directory, pool)
        self._look()

    def _harvests(self, jobs: Sequence[executor.Job], workers: int) -> Iterator[Harvest]:
        if self.cluster is None:
            return executor.run_jobs(self.world, jobs, workers, self.table, self._look)
        return executor.run_jobs_on(self.cluster, self.world, jobs, self.table, self._look)

    def _write(
        self, harvests: Sequence[Harvest], entries: Sequence[PoolEntry], directory: RunDirectory, pool: SharedPoolWriter
    ) -> None:
        """Experiments that belong together: their files first, then the pool, then the journal."""
        self.raw.add_all((harvest.experiment, harvest.raw) for harvest in harvests)
        for harvest in harvests:
            directory.append(Artifact.INTERESTING_DEATHS, placed(harvest.interesting, directory.lines[Artifact.DEATHS]))
            directory.append(Artifact.DEATHS, harvest.deaths)
            directory.append(Artifact.BIRTHS, harvest.births)
            directory.append(Artifact.SURVIVORS, harvest.survivors)
            directory.append(Artifact.COLLAPSES, harvest.collapses)
        directory.commit()
        for number, entry in zip(pool.append(entries), entries, strict=True):
            self.claim.add(number, entry.id)
        if entries:
            self.pool_after = pool.link
        for harvest in harvests:
            self._count(harvest)
        self._look()

    def _count(self, harvest: Harvest) -> None:
        """Take one experiment's figures into the run's, and tell the journal."""
        self.rows.append(harvest.stats)
        self.timing.append(timing_of(harvest, self.origin, elsewhere=self.cluster is not None))
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
        directory.write_artifact(Artifact.FINGERPRINT, offline_fingerprint(self.manifest.run_id))
        directory.write_artifact(Artifact.TELEMETRY, telemetry(self.manifest, self.world, self.fence, len(self.rows)))

    def _close(self, directory: RunDirectory, status: Status, failure: Failure | None = None) -> RunOutcome:
        reason, when = self.stop or (None, None)
        nulls = Nulls(self.manifest.null_reasons)
        pool = pool_state(self.layout, self.profile.stage, self.pool_before, self.pool_after, self.claim)
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
            pool_appends=appends_of(self.layout, self.profile.stage, pool, self.claim),
            stop_reason=reason.value if reason else None,
            stop_time=when,
            stop_seconds=self.stop_seconds,
            failure=failure,
        )
        # The manifest counts what was sent before it was closed: the announcement of the seal can only follow it.
        said = journal_state(self.journal, nulls)
        directory.write_manifest(finish(self.manifest, status, figures, said, nulls, self.clock))
        done = status is not Status.FAILED
        seal = directory.seal(self.ledger, complete=done, on_file=self._sealing, status=status.value, pool=pool)
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
        pool = self.layout.pool(self.profile.stage)
        with suppress(HostError):
            if pool.exists():
                self.claim, self.pool_after = recounted(pool, self.manifest.run_id, self.pool_before)

    # ---- small things

    def _elapsed(self) -> float:
        return self.clock.monotonic() - self.started

    def _enter_beginning(self) -> None:
        """The ledger knows of the run before there is a directory of it: what nobody began is never taken in."""
        payload, nulls = beginning_of(self.manifest, self.layout, self.profile.stage, self.pool_before, self.counter)
        self.ledger.append(LedgerEntryType.RUN_STARTED, payload, null_reasons=nulls)

    def _sealing(self, _name: str) -> None:
        self.control.sealing()

    def _torn(self, tail: TornTail) -> None:
        """A torn tail of the pool: the ledger has it before anything is appended over it."""
        self.journal.send_torn(tail)
        self.ledger.enter_torn(tail)

    def _look(self) -> None:
        """Report progress, and pass a stop on to the workers."""
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
            )
        )
        if self.stop is None and (reason := self.control.stop_requested()) is not None:
            self.stop = reason, utc_text(self.clock.now())
            self.stop_seconds = time.monotonic() - self.origin
            self.table.stop()

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
