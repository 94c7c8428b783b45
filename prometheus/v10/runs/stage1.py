"""Stage 1: populations of random genomes, evolved over the bars of one window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus.v10.evidence.records.manifest_parts import Window
from prometheus.v10.evidence.records.series.moments import SERIES, TIER_1, moments_in
from prometheus.v10.runs.control import RunOutcome
from prometheus.v10.runs.founding.descents import RunDescent, descend
from prometheus.v10.runs.harvest import Harvest
from prometheus.v10.runs.identity import identities
from prometheus.v10.runs.offline import OfflineWorkload, require_offline
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.run import Run, open_run
from prometheus.v10.runs.workers import executor
from prometheus.v10.runs.workers.invariance import check_core
from prometheus.v10.runs.workload import Facts, RunRequest, Surroundings


def run_stage1(request: RunRequest, around: Surroundings) -> RunOutcome:
    """Do one run.

    Raises:
        PrometheusError: whatever stood in the way. If a directory had been made by then, it is sealed as ``failed``.
    """
    require_offline(request.mode, "a simulated world is offline", allow_live=request.profile.allow_live)
    core, profile = check_core(), request.profile
    world = setup.prepare(profile, around.layout, request.era)
    seeds = seeds_of(profile, request.era if world.place is not None else request.run_counter)
    descent = descend(profile, world, around.layout, request.instance, seeds)
    work = Stage1Work(profile, world, core, seeds=seeds, counter=request.run_counter, descent=descent)
    return open_run(request, around, work).go()


def seeds_of(profile: Profile, turn: int | None) -> range:
    """Seeds of a run: those of the run before are followed by these.

    Args:
        profile: of the run.
        turn: number of the era, so that an era that was cut off is done again with the same seeds; else how many runs
            of the instance went before. None where nobody counts.
    """
    count = profile.experiments.count
    first = profile.experiments.seed + (turn or 0) * count
    return range(first, first + count)


class Stage1Work(OfflineWorkload):
    """Experiments of one world, each with a seed of its own.

    ``descent`` says who founds them; None draws all founders. ``limits`` (replay only) does just these experiments,
    each for so many ticks at most; None does all to their end.
    """

    def __init__(
        self, profile: Profile, world: setup.World, core: str, *, seeds: Sequence[int], counter: int | None = None,
        descent: RunDescent | None = None, limits: Mapping[int, int] | None = None,
    ) -> None:  # fmt: skip
        self.profile, self.world, self.core = profile, world, core
        self.seeds, self.counter, self.descent, self.limits = seeds, counter, descent, limits

    def facts(self) -> Facts:
        """Seeds, window and descent."""
        window = self.world.window
        return Facts(
            seeds=self.seeds,
            window=Window(name=window.name, start=window.start, len=window.len),
            core_hash=self.core,
            exchange=self.exchange,
            run_counter=self.counter,
            extra={SERIES: {"moments": TIER_1}, **({} if self.descent is None else self.descent.facts())},
        )

    def work(self, run: Run) -> None:
        """Evolve the experiments, and file each as it is done."""
        jobs = [
            executor.Job(
                who=who,
                keep_orders_one_in=self.profile.evidence.order_sample_one_in,
                interesting=self.profile.interesting,
                plan=None if self.descent is None else self.descent.plans[who.experiment],
                moments=moments_in(run.manifest.extra),
                stop_after=None if self.limits is None else self.limits[who.experiment],
            )
            for who in identities(run.manifest, self.world, self.profile.pool)
            if self.limits is None or who.experiment in self.limits
        ]
        for harvest in self._harvests(run, jobs):
            run.file([harvest], harvest.pool)

    def _harvests(self, run: Run, jobs: Sequence[executor.Job]) -> Iterator[Harvest]:
        if run.around.cluster is not None:
            return executor.run_jobs_on(run.around.cluster, self.world, jobs, run.table, run.look)
        workers = executor.workers_for(self.profile.workers, len(run.manifest.seeds))
        return executor.run_jobs(self.world, jobs, workers, run.table, run.look)
