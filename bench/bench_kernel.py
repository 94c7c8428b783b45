"""The world at work, with its evidence and without, and the frame that every contender is measured in.

One experiment is a year of synthetic 1 h bars. Everything of contracts, section 3, is on: physics, capital, reviews,
deaths, births. Four reviews a window kill below -20 % and breed from +10 %, so that births make up for deaths and about
as many agents are alive all the time as founded it; agent-ticks count the living alone.

* **kernel**: `core.world.Experiment` from its founders to its result, nothing written.
* **evidence**: `runs.stage1.run_stage1` of the same experiments, end to end: core check, run directory, every record,
  pool with its fdatasync, telemetry, seal, ledger. The journal is not spoken to: it is the host's.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from attrs import field, frozen

from bench.lanes import Work
from bench.naive import run_naive
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import features, genome
from prometheus.v10.core.state import Environment, Market
from prometheus.v10.core.world import NO_MASK, Experiment
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.runs.control import Undisturbed
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.profile import ExperimentsTable, MarketTable, Profile, WorldTable
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.workload import RunRequest, Surroundings

AGENTS = (100, 1000)
MARKET_SEED = 20260101
HOUR = 3600
REVIEWS, DEATH_ROI, BREED_ROI = 4, -0.20, 0.10
INSTANCE = "BENCH"


@frozen(kw_only=True)
class Scale:
    """How much is measured.

    Attributes:
        ticks: length of an experiment.
        turns: of everything.
        agent_ticks: about what one turn of kernel and evidence does.
        naive_agent_ticks: about what one process of the naive loop does in a turn.
        jax_agent_ticks: about what one process of the scan does in a turn.
    """

    ticks: int
    turns: int
    agent_ticks: int
    naive_agent_ticks: int
    jax_agent_ticks: int

    def experiments(self, agents: int) -> int:
        """Experiments in a turn; even, so that two processes can share them."""
        return max(2, self.agent_ticks // (self.ticks * agents) // 2 * 2)


FULL = Scale(ticks=8760, turns=4, agent_ticks=87_600_000, naive_agent_ticks=60_000, jax_agent_ticks=4_000_000)
QUICK = Scale(ticks=400, turns=2, agent_ticks=400_000, naive_agent_ticks=5_000, jax_agent_ticks=100_000)


def bench_profile(scale: Scale, agents: int, *, count: int, workers: int) -> Profile:
    """The measured world as a profile."""
    world = WorldTable(
        founders=agents, review_ticks=scale.ticks // REVIEWS, death_roi=DEATH_ROI, breed_roi=BREED_ROI,
        community_ticks=scale.ticks // REVIEWS,
    )  # fmt: skip
    return Profile(
        mode=Mode.OFFLINE.value,
        workers=workers,
        market=MarketTable(timeframe_s=HOUR, seed=MARKET_SEED, bars=scale.ticks),
        experiments=ExperimentsTable(count=count),
        world=world,
    )


def bench_world(scale: Scale, agents: int) -> tuple[setup.World, Market]:
    """World and bars of every experiment with so many founders."""
    nowhere = Layout.under(Path("bench"))  # a synthetic market is not read from anywhere
    world = setup.prepare(bench_profile(scale, agents, count=1, workers=1), nowhere)
    market, _ = setup.market_arrays(world.bars, world.config)
    return world, market


def naive_inputs(scale: Scale, agents: int) -> tuple[Market, Environment, genome.Genomes, Any]:
    """What a contender that only decides starts from: bars, environment, founders, physics."""
    world, market = bench_world(scale, agents)
    return market, features.environment(market, world.config, NO_MASK), genome.founders(1, agents), world.config


@frozen
class Kernel:
    """The world without evidence."""

    scale: Scale
    _worlds: dict[int, tuple[setup.World, Market]] = field(factory=dict, init=False)

    def prepare(self, agents: int) -> None:
        """Bars, and one whole experiment, so that all compiled code is there."""
        self._worlds[agents] = bench_world(self.scale, agents)
        self._experiment(agents, 0)

    def turn(self, agents: int, share: int, shares: int) -> Work:
        """Every ``shares``-th experiment."""
        done = [self._experiment(agents, seed) for seed in range(1 + share, 1 + self.scale.experiments(agents), shares)]
        return Work(sum(work.agent_ticks for work in done), sum(work.ticks for work in done))

    def _experiment(self, agents: int, seed: int) -> Work:
        world, _ = self._worlds[agents]
        known = setup.known_market(world.bars, world.config, NO_MASK)  # as a run's workers do
        experiment = Experiment(known.market, world.config, seed, environment=known.environment)
        experiment.step(experiment.total_ticks)
        experiment.result()
        ticks, agent_ticks, *_ = experiment.figures()
        return Work(agent_ticks, ticks)

    def tidy(self) -> None:
        """Nothing is left behind."""


@frozen
class Naive:
    """The per-agent numpy loop."""

    scale: Scale
    _inputs: dict[int, tuple[Market, Environment, genome.Genomes, Any]] = field(factory=dict, init=False)

    def prepare(self, agents: int) -> None:
        """Bars, environment, founders."""
        self._inputs[agents] = naive_inputs(self.scale, agents)
        run_naive(*self._inputs[agents], 2)

    def turn(self, agents: int, share: int, shares: int) -> Work:  # noqa: ARG002  (every process does the same)
        """As many ticks as make the agent-ticks of the scale."""
        ticks = min(self.scale.ticks, max(1, self.scale.naive_agent_ticks // agents))
        return Work(run_naive(*self._inputs[agents], ticks), ticks)

    def tidy(self) -> None:
        """Nothing is left behind."""


@frozen
class Evidence:
    """The same experiments end to end; one process, which has as many workers as there are shares.

    Attributes:
        scratch: an empty directory on the disk that is to be measured.
    """

    scale: Scale
    scratch: Path

    def prepare(self, agents: int) -> None:
        """One small run, so that imports and compiled code are there."""
        self._run(agents, count=2, workers=2)
        self.tidy()

    def turn(self, agents: int, share: int, shares: int) -> Work:  # noqa: ARG002  (one process, many workers)
        """One run."""
        return Work(self._run(agents, count=self.scale.experiments(agents), workers=shares), 0)

    def tidy(self) -> None:
        """Remove the run: it is a measurement, not evidence."""
        shutil.rmtree(self.scratch / "root")

    def _run(self, agents: int, *, count: int, workers: int) -> int:
        layout = Layout.under(self.scratch / "root")
        layout.prepare()
        profile = bench_profile(self.scale, agents, count=count, workers=workers)
        return bench_run(profile, layout)


def bench_run(profile: Profile, layout: Layout) -> int:
    """One whole run; returns its agent-ticks."""
    journal = Journal.open(
        instance=INSTANCE, mode=profile.mode, stage=profile.stage, run_id=None, socket=layout.lib / "no-journal"
    )
    around = Surroundings(layout=layout, clock=SystemClock(), control=Undisturbed(), journal=journal)
    return run_stage1(RunRequest(profile=profile, mode=profile.mode, instance=INSTANCE), around).agent_ticks
