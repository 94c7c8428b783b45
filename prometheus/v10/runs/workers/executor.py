"""Experiments in parallel processes, handed back in their order, so that no result depends on how many there are.

Each worker process loads the world once, then runs one experiment after another in steps of a few hundred ticks.
Between steps it writes what it has done to a table of shared memory and looks at one shared flag; so progress is seen,
and a stop is obeyed, without a word to the tick loop. With one worker everything runs in the caller's own process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np
from attrs import evolve, frozen

from prometheus.v10.base.errors import HostError
from prometheus.v10.base.modes import Arm
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.records.interesting import InterestingTable
from prometheus.v10.runs.founding.populations import Plan
from prometheus.v10.runs.harvest import Harvest, harvest
from prometheus.v10.runs.observe import Scene
from prometheus.v10.runs.request.ablation import mask
from prometheus.v10.runs.request.setup import World, arm_bars, known_market
from prometheus.v10.runs.sampling import Sampler
from prometheus.v10.runs.who import Identity
from prometheus.v10.runs.workers.cluster import begin_worker, in_order, open_executor
from prometheus.v10.runs.workers.fork_server import PRELOAD, end_unused_server, start_fork_server
from prometheus.v10.runs.workers.known_answer import require_known_answer

POLL_SECONDS = 0.1
CHECK_SECONDS = 0.2  # the known answer takes some four thousandths of a second
STEP_AGENT_TICKS = 250_000  # a step of this size takes some tens of milliseconds: that is how fast a stop is seen
MAX_STEP_TICKS = 512
CLUSTER_AHEAD = 64  # experiments sent to a cluster and not yet filed, whose results are held at most

# Columns of the progress table, one row an experiment.
TICK, AGENT_TICKS, ALIVE, DEATHS, BIRTHS = range(5)
COLUMNS = 5


@frozen(kw_only=True)
class Job:
    """One experiment to run.

    Attributes:
        who: its identity, for its records.
        keep_orders_one_in: sample of plain orders to keep.
        interesting: thresholds of the patterns among deaths.
        plan: who founds it; None draws all founders.
        moments: at which its population is sampled, about so many in a whole window; 0 for none.
        stop_after: run only this many ticks (a replay of a stopped experiment); None runs the whole window.
    """

    who: Identity
    keep_orders_one_in: int
    interesting: InterestingTable
    plan: Plan | None = None
    moments: int = 0
    stop_after: int | None = None


class ProgressTable:
    """Shared memory: a row an experiment, and the stop flag behind the last row."""

    def __init__(self, experiments: int, memory: Any = None) -> None:
        self.experiments = experiments
        self.memory = memory if memory is not None else RawArray("q", experiments * COLUMNS + 1)
        self._flat = np.frombuffer(self.memory, dtype=np.int64)
        self.rows = self._flat[:-1].reshape(experiments, COLUMNS)

    @property
    def stopped(self) -> bool:
        """Whether the run is to stop."""
        return bool(self._flat[-1])

    def stop(self) -> None:
        """Ask every worker to stop at its next look."""
        self._flat[-1] = 1


def run_job(world: World, job: Job, table: ProgressTable, look: Callable[[], None]) -> Harvest | None:
    """Run one experiment, showing its progress in ``table`` and calling ``look`` between steps.

    Returns:
        What it came to; None where a stop came before its first tick.
    """
    started = time.monotonic()
    bars = arm_bars(world, Arm(job.who.arm), job.who.seed)
    known = known_market(bars, world.config, mask(world.ablation))
    experiment = Experiment(
        known.market, world.config, job.who.seed, mask=known.mask, keep_orders_one_in=job.keep_orders_one_in,
        founding=None if job.plan is None else job.plan.genomes(world.config, job.who.seed),
        environment=known.environment,
    )  # fmt: skip
    last = experiment.total_ticks if job.stop_after is None else job.stop_after
    sampler = Sampler(job.who, world.config, known.market.close, job.moments)
    row = table.rows[job.who.experiment]
    while experiment.tick < last and not experiment.done and not (table.stopped and job.stop_after is None):
        step = min(MAX_STEP_TICKS, max(1, STEP_AGENT_TICKS // max(experiment.alive, 1)))
        experiment.step(min(step, last - experiment.tick, sampler.until(experiment.tick)))
        sampler.look(experiment)
        row[:] = experiment.figures()
        look()
    if experiment.tick == 0 and not experiment.done:
        return None
    result = experiment.result()
    scene = Scene(
        symbol=world.market.symbol,
        environment=experiment.environment,
        close=known.market.close,
        config=world.config,
        keep_orders_one_in=job.keep_orders_one_in,
        interesting=job.interesting,
    )
    who, plan, count = job.who, job.plan, world.config.founders
    harvested = harvest(
        result, who, bars.open_time, scene, (started, time.monotonic()), for_pool=not world.counterfactual,
        exposures=[] if plan is None else plan.exposures(count),
        founders=b"" if plan is None else plan.record(who.run_id, who.experiment, who.seed, who.arm, count),
    )  # fmt: skip
    return evolve(harvested, series=sampler.line(result))


# ---- worker processes
# ---------------------------------------------------------------------------------------------------

_world: World | None = None
_table: ProgressTable | None = None


def _begin_worker(world: World, experiments: int, memory: Any) -> None:
    """Set up a worker with what all its jobs share."""
    global _world, _table
    begin_worker()
    require_known_answer()
    _world, _table = world, ProgressTable(experiments, memory)


def _work(job: Job) -> Harvest | None:
    if _world is None or _table is None:
        raise RuntimeError("this worker was not set up")
    harvested = run_job(_world, job, _table, lambda: None)
    _check_machine_code()
    return harvested


_checked = 0.0


def _check_machine_code() -> None:
    """The known answer again, whenever a worker has worked for a while since the last time."""
    global _checked  # noqa: PLW0603  (one a worker process, like the world itself)
    now = time.monotonic()
    if now - _checked >= CHECK_SECONDS:
        require_known_answer()
        _checked = now


# ---- the caller's side
# ----------------------------------------------------------------------------------------------------


def workers_for(asked: int, jobs: int) -> int:
    """How many processes: what was asked, else one a processor that this process may use; never more than jobs."""
    available = len(os.sched_getaffinity(0))
    return max(1, min(asked or available, jobs))


def run_jobs(
    world: World, jobs: Sequence[Job], workers: int, table: ProgressTable, look: Callable[[], None]
) -> Iterator[Harvest]:
    """Run all jobs and yield their harvests in the jobs' order, each as soon as it and all before it are done.

    Args:
        world: what all share.
        jobs: experiments, numbered from 0 in order.
        workers: processes.
        table: where progress is seen; its stop flag ends what is running and skips what has not begun.
        look: called at least every tenth of a second.

    Raises:
        HostError: when a worker process dies.
    """
    if workers == 1:
        end_unused_server()
        for job in jobs:
            if table.stopped:
                return
            harvested = run_job(world, job, table, look)
            if harvested is None:  # what a stop left out is left out to the end: rows have no gap
                return
            yield harvested
        return
    context = start_fork_server(PRELOAD)
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin_worker, initargs=(world, len(jobs), table.memory)
    )
    try:
        yield from _in_order(pool, jobs, workers, table, look)
    except BrokenProcessPool as error:
        raise HostError(
            "a worker process died", hint="look for the kernel's out-of-memory killer; lower workers or founders"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@frozen(kw_only=True, eq=False)
class _Sent:
    """An experiment with all it needs, for a worker that shares no memory with the run."""

    name: str
    world: World
    job: Job


def _run_sent(sent: _Sent) -> Harvest | None:
    return run_job(sent.world, sent.job, ProgressTable(sent.job.who.experiment + 1), lambda: None)


def run_jobs_on(
    cluster: str, world: World, jobs: Sequence[Job], table: ProgressTable, look: Callable[[], None]
) -> Iterator[Harvest]:
    """As `run_jobs`, by the workers of a Dask cluster: progress is seen, and a stop obeyed, between experiments.

    A stop leaves out what is under way there: a worker elsewhere does not see the flag.

    Raises:
        ConfigError: when a worker has another core.
        HostError: when the cluster does not answer, or an experiment lost its worker again and again.
    """

    def stopped() -> bool:
        look()
        return table.stopped

    sent = (_Sent(name=f"experiment {job.who.experiment}", world=world, job=job) for job in jobs)
    with open_executor(0, cluster) as at_work:
        for harvested in in_order(at_work, _run_sent, sent, ahead=CLUSTER_AHEAD, stop=stopped):
            if harvested is not None:
                stats, ticks = harvested.stats, harvested.agent_ticks
                table.rows[harvested.experiment] = stats.ticks, ticks, stats.alive_agents, stats.deaths, stats.births
                yield harvested


def _in_order(
    pool: ProcessPoolExecutor, jobs: Sequence[Job], workers: int, table: ProgressTable, look: Callable[[], None]
) -> Iterator[Harvest]:
    """Keep a few jobs ahead of the workers, and yield finished ones in order."""
    waiting = list(enumerate(jobs))  # places in the order, not experiments' numbers: a replay may leave some out
    running: dict[Future[Harvest | None], int] = {}
    finished: dict[int, Harvest | None] = {}
    following, gap = 0, False
    while waiting or running:
        while waiting and len(running) < 2 * workers and not table.stopped:
            place, job = waiting.pop(0)
            running[pool.submit(_work, job)] = place
        if table.stopped:
            waiting.clear()
        done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        look()
        for future in done:
            finished[running.pop(future)] = future.result()
        while following in finished:
            harvested = finished.pop(following)
            following += 1
            gap |= harvested is None  # what a stop left out is left out to the end: rows have no gap
            if harvested is not None and not gap:
                yield harvested
