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

from prometheus.v10.base.errors import ConfigError, EvidenceError, UsageError
from prometheus.v10.base.modes import RunPrefix, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.pools.pool_record import PoolRecord
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo
from prometheus.v10.evidence.records.findings import Progress
from prometheus.v10.evidence.records.manifest_parts import MarketSource, Window
from prometheus.v10.evidence.writing.manifest import RunManifest
from prometheus.v10.runs.control import RunOutcome
from prometheus.v10.runs.harvest import Harvest
from prometheus.v10.runs.identity import identity
from prometheus.v10.runs.offline import OfflineWorkload, require_offline
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.run import Run, open_run
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
from prometheus.v10.runs.who import Identity
from prometheus.v10.runs.workers import executor
from prometheus.v10.runs.workers.cluster import in_order, open_executor
from prometheus.v10.runs.workers.invariance import check_core
from prometheus.v10.runs.workload import Facts, RunRequest, Surroundings

AHEAD = 3  # cells under way, or waiting for one before them, for each worker


class Work:
    """What a run of stage 2 would judge: everything of it that is settled before the run is opened.

    Attributes:
        sizes: number of genomes of each batch to judge, by the batch's number.
        left_out: ids of records that have their verdict.
    """

    def __init__(
        self, profile: Profile, layout: Layout, progress: Progress | None = None, *, before: int | None = None,
        chosen: Collection[int] | None = None, core: str | None = None, was: MarketSource | None = None,
    ) -> None:  # fmt: skip
        """Settle it; ``progress`` hears how many bytes of evidence were looked at since its last call.

        Args:
            profile: with ``[stage2]``.
            layout: where snapshots, market and the stage-2 pool lie.
            progress: see above.
            before: verdicts from this record of the stage-2 pool on do not count (a replay is of a moment).
            chosen: just these batches; None takes those with a genome that has no verdict.
            core: hash of the core that ran, for a replay on one that repeats it; None is the core here.
            was: the market that was judged on, for a replay on one that grew since.

        Raises:
            PrometheusError: for a snapshot, a market or a window that cannot be judged, or judged on.
        """
        if profile.stage2 is None:
            raise ConfigError("the profile has no [stage2]", hint="profile STAGE2 of the package is an example")
        self.profile, self.table = profile, profile.stage2
        here = check_core()
        self.core = here if core is None else core
        self.snapshot: SnapshotInfo = choose_snapshot(layout, self.table.snapshot, progress)
        bars = setup.bars_of_once(setup.market_spec(profile.market), layout, was)
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
        made = cls(
            profile, layout, before=before, chosen=set(said.get("batches", ())), core=manifest.core_hash,
            was=manifest.market,
        )  # fmt: skip
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


def run_stage2(request: RunRequest, around: Surroundings) -> RunOutcome:
    """Judge what a snapshot holds and has no verdict of; the stage-1 pool itself need not be there.

    The seeds are those of ``[stage2]``, so that every genome meets the same.

    Raises:
        PrometheusError: as `Work`, and as `run_stage1`.
    """
    require_offline(request.mode, "stage 2 judges offline")
    around.control.preparing("verifying the snapshot")
    work = Work(request.profile, around.layout, around.control.checked)
    if not work.sizes:
        raise UsageError(
            f"every genome of snapshot {work.snapshot.id} has its verdict under evaluation {work.evaluation[:12]}",
            hint="take a new snapshot, or change [stage2]",
        )
    return open_run(evolve(request, prefix=RunPrefix.STAGE2), around, Stage2Work(work)).go()


def _seeds(work: Work) -> Iterator[int]:
    """The seed of every experiment, in order."""
    for size in work.sizes.values():
        for _ in work.stretches:
            for seed in work.table.seeds:
                yield from [seed] * experiments_of(size, work.stretches[:1], evolve(work.table, seeds=(seed,)))


class Stage2Work(OfflineWorkload):
    """Batches of genomes, each judged in every cell."""

    def __init__(self, work: Work) -> None:
        self.judged, self.profile, self.world = work, work.profile, work.world()

    def facts(self) -> Facts:
        """Seeds and windows of all cells, and what is judged."""
        work = self.judged
        said = {
            **work.snapshot.ledger_payload(),
            "evaluation": work.evaluation,
            "batches": sorted(work.sizes),
            "stretches": stretches_said(work.stretches),
        }
        return Facts(
            seeds=list(_seeds(work)),
            window=work.window(),
            core_hash=work.core,
            exchange=self.exchange,
            extra={"stage2": said},
        )

    def work(self, run: Run) -> None:
        """Judge batch by batch, and file each when all its cells are done."""
        work = self.judged
        assessment = Assessment(
            evaluation=work.evaluation,
            snapshot=work.snapshot.id,
            table=work.table,
            stretches=tuple(work.stretches),
            market=work.market,
        )
        workers = executor.workers_for(self.profile.workers, len(run.manifest.seeds))
        waiting: list[tuple[list[PoolRecord], Identity, int]] = []

        def stopped() -> bool:
            run.look()
            return run.stop is not None

        with open_executor(workers, run.around.cluster) as at_work:
            results = in_order(at_work, judge_cell, self._jobs(run, waiting), ahead=AHEAD * workers, stop=stopped)
            harvests: list[Harvest] = []
            figures: dict[CellKey, np.ndarray[Any, Any]] = {}
            for result in results:
                harvests += result.harvests
                figures[result.key] = result.figures
                for harvest in result.harvests:
                    _show(run, harvest)
                records, first, cells = waiting[0]
                if len(figures) == cells:
                    run.file(harvests, verdicts(assessment, records, figures, first, work.left_out))
                    waiting.pop(0)
                    harvests, figures = [], {}

    def _jobs(self, run: Run, waiting: list[tuple[list[PoolRecord], Identity, int]]) -> Iterator[CellJob]:
        """The cells of all batches; notes each batch in ``waiting`` when its first cell is taken."""
        work, number = self.judged, 0
        for batch, records in enumerate(batches(work.snapshot, work.table.batch)):
            if batch not in work.sizes:
                continue
            first = identity(run.manifest, self.world, number)
            genomes = np.stack([record.genome() for record in records])
            jobs = list(cell_jobs(self.profile, work.table, work.stretches, genomes, batch, first))
            waiting.append((records, first, len(jobs)))
            number += sum(len(job.groups) for job in jobs)
            yield from jobs


def _show(run: Run, harvest: Harvest) -> None:
    """Put a finished experiment into the progress table."""
    stats = harvest.stats
    run.table.rows[harvest.experiment] = (
        run.manifest.window.len, harvest.agent_ticks, stats.alive_agents, stats.deaths, stats.births
    )  # fmt: skip
