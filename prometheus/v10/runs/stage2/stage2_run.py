"""Stage 2: one run, from a snapshot of stage 1's pool to a sealed directory and verdicts in the stage-2 pool.

1. Choose and verify the snapshot (`stage2_snapshot`), settle the cells (`stage2_batch`), and see which of its genomes
   have no verdict under this evaluation yet (`stage2_verdict`).
2. Batch by batch: every cell in the workers; when the batch is whole its events, then its verdicts in one append.
3. Summary, telemetry, fingerprint, manifest and seal, as in stage 1.

A batch that was cut off has left nothing in the pool and is judged again by the next run, to the same verdicts. Should
the machine die within the append itself, the pool keeps whole records of the batch; the next run adds the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from attrs import evolve

from prometheus.v10.base.clock import Clock, new_run_id
from prometheus.v10.base.errors import ConfigError, EvidenceError, UsageError
from prometheus.v10.base.files import FILES, Files
from prometheus.v10.base.modes import Mode, RunPrefix, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.pools.pool import SharedPoolWriter
from prometheus.v10.evidence.pools.pool_record import PoolRecord
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo
from prometheus.v10.evidence.records.codec import dump_config
from prometheus.v10.evidence.records.fence_registry import inventory_hash
from prometheus.v10.evidence.records.findings import Progress
from prometheus.v10.evidence.records.manifest_parts import Ablation, Window
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.writing.environment import probe
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.manifest import RunManifest, RunPlan, start_manifest
from prometheus.v10.evidence.writing.rundir import RunDirectory
from prometheus.v10.market.resolve import resolve_market
from prometheus.v10.runs.control import RunControl, RunOutcome
from prometheus.v10.runs.harvest import Harvest, Identity
from prometheus.v10.runs.identity import identity
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.ablation import ABLATIONS
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.stage1 import Stage1Run, journal_state
from prometheus.v10.runs.stage2.stage2_batch import (
    CellJob,
    CellKey,
    Stretch,
    cell_config,
    cell_jobs,
    experiments_of,
    for_count,
    judge_cell,
    stretches,
    stretches_said,
)
from prometheus.v10.runs.stage2.stage2_snapshot import batches, choose_snapshot
from prometheus.v10.runs.stage2.stage2_verdict import Assessment, evaluation_of, judged, verdicts
from prometheus.v10.runs.workers import executor
from prometheus.v10.runs.workers.cluster import in_order, open_executor
from prometheus.v10.runs.workers.invariance import check_core
from prometheus.v10.runs.workers.warm import warm_up

AHEAD = 3  # cells under way, or waiting for one before them, for each worker


class Work:
    """What a run of stage 2 would judge: everything of it that is settled before the run is opened.

    Attributes:
        sizes: number of genomes of each batch to judge, by the batch's number.
        left_out: ids of records that have their verdict.
    """

    def __init__(
        self, profile: Profile, layout: Layout, progress: Progress | None = None, *, before: int | None = None,
        chosen: Collection[int] | None = None,
    ) -> None:  # fmt: skip
        """Settle it; ``progress`` hears how many bytes of evidence were looked at since its last call.

        Args:
            profile: with ``[stage2]``.
            layout: where snapshots, market and the stage-2 pool lie.
            progress: see above.
            before: verdicts from this record of the stage-2 pool on do not count (a replay is of a moment).
            chosen: just these batches; None takes those with a genome that has no verdict.

        Raises:
            PrometheusError: for a snapshot, a market or a window that cannot be judged, or judged on.
        """
        if profile.stage2 is None:
            raise ConfigError("the profile has no [stage2]", hint="profile STAGE2 of the package is an example")
        self.profile, self.table = profile, profile.stage2
        self.core = check_core()
        self.snapshot: SnapshotInfo = choose_snapshot(layout, self.table.snapshot, progress)
        bars = resolve_market(setup.market_spec(profile.market), layout.market)
        self.market = setup.market_source(bars)
        self.stretches: list[Stretch] = stretches(profile, self.table, bars)
        self.evaluation = evaluation_of(profile, self.table, self.market, self.core)
        self.left_out = judged(layout.pool(Stage.STAGE2), self.evaluation, progress, before=before)
        self.sizes = self._open_batches(progress, chosen)

    def _open_batches(self, progress: Progress | None, chosen: Collection[int] | None) -> dict[int, int]:
        found: dict[int, int] = {}
        for number, batch in enumerate(batches(self.snapshot, self.table.batch, progress)):
            if number in chosen if chosen is not None else any(record.id not in self.left_out for record in batch):
                found[number] = len(batch)
            if chosen is None and len(found) == self.table.batches_a_run > 0:
                break
        return found

    @classmethod
    def again(cls, manifest: RunManifest, profile: Profile, layout: Layout, experiments: int) -> Work:
        """What a run judged, for its replay: the same snapshot, and the batches that it had finished.

        Args:
            manifest: of the run.
            profile: its config.
            layout: where the snapshot, the market and the stage-2 pool lie.
            experiments: how many the run has in its summary; a stop leaves whole batches.

        Raises:
            EvidenceError: when the manifest does not say what was judged.
            ConfigError: when the same snapshot is another evaluation here.
            PrometheusError: as the constructor.
        """
        said = manifest.extra.get("stage2")
        appends = manifest.pool_appends
        if not isinstance(said, dict) or appends is None or profile.stage2 is None:
            raise EvidenceError(f"{manifest.run_id}: its manifest does not say which snapshot it judged")
        profile = evolve(profile, stage2=evolve(profile.stage2, snapshot=str(said.get("id"))))
        before = appends.first_n if appends.before is None else appends.before.records
        made = cls(profile, layout, before=before, chosen=set(said.get("batches", ())))
        if made.evaluation != said.get("evaluation"):
            raise ConfigError(
                f"{manifest.run_id} judged under evaluation {said.get('evaluation')}, this is {made.evaluation}",
                hint="the same core, market and [stage2] give the same evaluation",
            )
        if said.get("stretches", stretches_said(made.stretches)) != stretches_said(made.stretches):
            raise EvidenceError(f"{manifest.run_id}: its windows are not as long as its manifest says")
        done, kept = 0, {}
        for number, size in made.sizes.items():
            done += experiments_of(size, made.stretches, made.table)
            if done <= experiments:
                kept[number] = size
        made.sizes = kept
        return made

    @property
    def experiments(self) -> int:
        """How many experiments the run has."""
        return sum(experiments_of(size, self.stretches, self.table) for size in self.sizes.values())

    def world(self) -> setup.World:
        """The world of the first cell, with as many agents as a batch: what telemetry and manifest show."""
        place = self.stretches[0]
        config = cell_config(self.profile, self.table, place.bars.timeframe_s, place.ticks)
        return setup.World(
            bars=place.bars,
            window=place.window,
            config=for_count(config, self.table.stake, self.table.batch),
            market=self.market,
            arm=self.profile.experiments.arm,
            ablation=self.profile.experiments.ablation,
        )

    def window(self) -> Window:
        """All windows as one, from the first bar to the last, and each by itself."""
        each = list({place.window.name: place.window for place in self.stretches}.values())
        start, end = min(one.start for one in each), max(one.start + one.len for one in each)
        detail = [{"name": one.name, "start": one.start, "len": one.len} for one in each]
        extra: dict[str, Any] = {"windows": detail, "timeframes_s": list(self.table.timeframes_s)}
        return Window(name="+".join(one.name for one in each), start=start, len=end - start, extra=extra)


class WorkWaits:
    """`work_waits` for a service that asks again and again: once there was nothing, only a change is looked at."""

    def __init__(self) -> None:
        self._seen: tuple[object, ...] | None = None

    def __call__(self, profile: Profile, layout: Layout, progress: Progress | None = None) -> bool:
        """Whether there is work; errors as `work_waits`."""
        seen = _signature(layout)
        if seen == self._seen:
            return False
        found = work_waits(profile, layout, progress)
        self._seen = None if found else seen
        return found


def _signature(layout: Layout) -> tuple[object, ...]:
    """Names of the snapshots and size of the stage-2 pool: both change when work comes or is done, by whomever."""
    pool = layout.pool(Stage.STAGE2)
    names = sorted(path.name for path in layout.snapshots(Stage.STAGE1).glob("snapshot_*.json"))
    return (*names, pool.stat().st_size if pool.exists() else -1)


def work_waits(profile: Profile, layout: Layout, progress: Progress | None = None) -> bool:
    """Whether a snapshot holds genomes without a verdict; no snapshot at all is no work. Errors as `Work`."""
    try:
        return bool(Work(profile, layout, progress).sizes)
    except UsageError:
        if profile.stage2 is not None and profile.stage2.snapshot:
            raise
        if any(layout.snapshots(Stage.STAGE1).glob("snapshot_*.json")):
            raise
        return False


def run_stage2(
    profile: Profile,
    layout: Layout,
    *,
    clock: Clock,
    mode: Mode,
    instance: str,
    control: RunControl,
    journal: Journal,
    seed_offset: int | None = None,
    prefix: RunPrefix = RunPrefix.STAGE2,
    previous_run_id: str | None = None,
    restart_seconds: float | None = None,
    files: Files = FILES,
    cluster: str | None = None,
) -> RunOutcome:
    """Judge what a snapshot holds and has no verdict of; arguments and errors as `run_stage1`.

    Args:
        profile: with ``[stage2]``.
        layout: see there; the stage-1 pool itself need not be there.
        clock: see there.
        mode: see there.
        instance: see there.
        control: see there.
        journal: see there.
        seed_offset: not used: the seeds are those of ``[stage2]``, so that every genome meets the same.
        prefix: see there.
        previous_run_id: see there.
        restart_seconds: see there.
        files: see there.
        cluster: address of a Dask scheduler whose workers judge the cells.
    """
    del seed_offset
    if mode is not Mode.OFFLINE:
        raise UsageError(f"mode {mode.value}: stage 2 judges offline", hint="run --mode offline")
    control.preparing("verifying the snapshot")
    work = Work(profile, layout, control.checked)
    if not work.sizes:
        raise UsageError(
            f"every genome of snapshot {work.snapshot.id} has its verdict under evaluation {work.evaluation[:12]}",
            hint="take a new snapshot, or change [stage2]",
        )
    control.preparing("loading the world's compiled code (compiled now if this is the first run)")
    warm_up()
    environment = probe()
    run_id = new_run_id(prefix.value, clock, environment.git_commit)
    world = work.world()
    plan = RunPlan(
        run_id=run_id,
        instance=instance,
        stage=profile.stage.value,
        tier=prefix.tier.value,
        mode=mode.value,
        arm=world.arm.value,
        window=work.window(),
        ablation=Ablation(name=world.ablation, detail=ABLATIONS[world.ablation][0]),
        config=dump_config(profile),
        seeds=list(_seeds(work)),
        world=setup.world_numbers(world.config),
        market=world.market,
        core_hash=work.core,
        fence_inventory_hash=inventory_hash(),
        retention=dump_config(profile.retention),
        results_dir=str(layout.runs(prefix.tier) / run_id),
        previous_run_id=previous_run_id,
        restart_seconds=restart_seconds,
    )
    own = journal.for_run(run_id)
    manifest = start_manifest(plan, environment, journal_state(own, nulls := Nulls()), nulls, clock)
    said = {
        **work.snapshot.ledger_payload(),
        "evaluation": work.evaluation,
        "batches": sorted(work.sizes),
        "stretches": stretches_said(work.stretches),
    }
    manifest = evolve(manifest, extra={"stage2": said})
    return Stage2Run(manifest, profile, world, layout, clock, control, own, files=files, cluster=cluster).judging(work)


def _seeds(work: Work) -> Iterator[int]:
    """The seed of every experiment, in order."""
    for size in work.sizes.values():
        for _ in work.stretches:
            for seed in work.table.seeds:
                yield from [seed] * experiments_of(size, work.stretches[:1], evolve(work.table, seeds=(seed,)))


class Stage2Run(Stage1Run):
    """A run of stage 2 at work: the books of stage 1, with batches of cells in place of experiments."""

    work: Work

    def judging(self, work: Work) -> RunOutcome:
        """Do the run."""
        self.work = work
        return self.go()

    def _evolve(self, directory: RunDirectory, pool: SharedPoolWriter) -> None:
        work = self.work
        assessment = Assessment(
            evaluation=work.evaluation,
            snapshot=work.snapshot.id,
            table=work.table,
            stretches=tuple(work.stretches),
        )
        workers = executor.workers_for(self.profile.workers, len(self.manifest.seeds))
        waiting: list[tuple[list[PoolRecord], Identity, int]] = []
        with open_executor(workers, self.cluster) as at_work:
            jobs = self._jobs(waiting)
            results = in_order(at_work, judge_cell, jobs, ahead=AHEAD * workers, stop=self._stopped)
            harvests: list[Harvest] = []
            figures: dict[CellKey, np.ndarray[Any, Any]] = {}
            for result in results:
                harvests += result.harvests
                figures[result.key] = result.figures
                for harvest in result.harvests:
                    self._show(harvest)
                records, first, cells = waiting[0]
                if len(figures) == cells:
                    entries = verdicts(assessment, records, figures, first, work.left_out)
                    self._write(harvests, entries, directory, pool)
                    waiting.pop(0)
                    harvests, figures = [], {}
        self._look()

    def _jobs(self, waiting: list[tuple[list[PoolRecord], Identity, int]]) -> Iterator[CellJob]:
        """The cells of all batches; notes each batch in ``waiting`` when its first cell is taken."""
        work, number = self.work, 0
        for batch, records in enumerate(batches(work.snapshot, work.table.batch)):
            if batch not in work.sizes:
                continue
            first = identity(self.manifest, work.world().config, number, 0)
            genomes = np.stack([record.genome() for record in records])
            jobs = list(cell_jobs(self.profile, work.table, work.stretches, genomes, batch, first))
            waiting.append((records, first, len(jobs)))
            number += sum(len(job.groups) for job in jobs)
            yield from jobs

    def _show(self, harvest: Harvest) -> None:
        """Put a finished experiment into the progress table."""
        stats = harvest.stats
        self.table.rows[harvest.experiment] = (
            self.manifest.window.len, harvest.agent_ticks, stats.alive_agents, stats.deaths, stats.births
        )  # fmt: skip

    def _stopped(self) -> bool:
        self._look()
        return self.stop is not None
