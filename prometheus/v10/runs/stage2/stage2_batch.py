"""One batch of genomes in all cells of stage 2: who is judged where, and what came of it.

1. A cell is a window, a timeframe, a seed and a company. Its bars are the window's, aggregated; the seed draws how many
   of them are left out at the beginning (the same number is left out of every seed's in all, so all are equally long).
2. Everyone starts cold: the genome as it is, a stake of its own, flat. There is no mutation and no birth; a review only
   kills, and only where ``review_days`` asks for one.
3. **Alone**: the whole batch is packed into one experiment in which the community's channels read 0. Nothing else
   leads from one agent to another (orders fill against the bar, each within its own share of its volume), so each
   lives as it would by itself: the same bits for any batch.
4. **Crowd**: the batch is dealt into crowds by the seed, and each is an experiment in which the community is real.
5. The reserve holds as much as all stakes together, so that nobody's debt ends the experiment of the others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np
from attrs import evolve, frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Arm
from prometheus.v10.core import features, genome
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.records import Result
from prometheus.v10.core.state import DRIVE_TICKS, by_slot, of_slots
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.derive.judged import cell_rules as cells
from prometheus.v10.evidence.derive.judged.cell_rules import ALONE, CROWD, CROWD_STREAM, DELAY_STREAM
from prometheus.v10.evidence.records.interesting import InterestingTable
from prometheus.v10.market.bars import Bars, bar_time
from prometheus.v10.market.null_arm import shuffle_returns
from prometheus.v10.market.philox import permutation, words
from prometheus.v10.market.resample import resample
from prometheus.v10.market.validate import require_valid
from prometheus.v10.market.windows import Window, cut, whole
from prometheus.v10.runs.harvest import Harvest, harvest
from prometheus.v10.runs.observe import Scene
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.ablation import C, mask
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.request.stage2_table import Stage2Table
from prometheus.v10.runs.who import Identity

Array = np.ndarray[Any, Any]

SHORTEST = 32  # bars of a cell; fewer say nothing of a genome
FIGURES = ("survived", "roi", "drawdown", "trades", "wins", "fees", "funding", "slippage")


@frozen(kw_only=True, eq=False)
class Stretch:
    """The bars of one window in one timeframe, before any seed shortens them.

    Attributes:
        number: its place among all stretches; part of what a seed draws from.
        bars: all of the window's.
        ticks: length of every experiment on it.
    """

    number: int
    window: Window
    timeframe: str
    bars: Bars
    ticks: int


@frozen(kw_only=True)
class CellKey:
    """Which cell: ``company`` is `ALONE` or `CROWD`."""

    stretch: int
    seed: int
    company: str


@frozen(kw_only=True, eq=False)
class CellJob:
    """One cell of one batch, for a worker.

    Attributes:
        genomes: of the batch, float32 (n, 342).
        groups: rows of the batch, one array an experiment.
        who: identity of each experiment.
        bars: of the cell.
        config: the world but for what depends on the number of agents.
        marks: how often equity is looked at.
    """

    name: str
    key: CellKey
    genomes: Array
    groups: tuple[Array, ...]
    who: tuple[Identity, ...]
    bars: Bars
    config: WorldConfig
    funding_factor: float
    mask: Array
    stake: float
    marks: int
    keep_orders_one_in: int
    interesting: InterestingTable


@frozen(kw_only=True, eq=False)
class CellResult:
    """What a cell came to: evidence of its experiments, and ``figures`` of every genome, float64 (n, len(FIGURES))."""

    key: CellKey
    harvests: tuple[Harvest, ...]
    figures: Array


def stretches(profile: Profile, table: Stage2Table, bars: Bars) -> list[Stretch]:
    """Every window in every timeframe, windows first.

    Raises:
        ConfigError: for a window past the data, a timeframe that is no multiple of the market's, or too few bars.
    """
    found: list[Stretch] = []
    for window in table.windows or (whole(bars),):
        part = cut(bars, window)
        require_valid(part, allow_gaps=True)
        for timeframe_s in table.timeframes_s:
            own = part if timeframe_s == part.timeframe_s else resample(part, timeframe_s, allow_gaps=True).bars
            ticks = cells.ticks_of(len(own), table.stagger)
            name = setup.timeframe_name(timeframe_s)
            if ticks < SHORTEST:
                raise ConfigError(
                    f"[stage2] window {window.name!r} has {len(own)} bars of {name}: fewer than {SHORTEST} are left "
                    f"after the stagger",
                    hint="longer windows, or shorter timeframes",
                )
            found.append(Stretch(number=len(found), window=window, timeframe=name, bars=own, ticks=ticks))
            cell_config(profile, table, timeframe_s, ticks)  # what cannot be is said before anything begins
    return found


def stretches_said(found: Sequence[Stretch]) -> list[dict[str, Any]]:
    """What a manifest says of the stretches: in a market with gaps nobody could know their length without the bars."""
    return [
        {
            "window": one.window.name,
            "timeframe_s": one.bars.timeframe_s,
            "bars": len(one.bars),
            "first_time": bar_time(one.bars.first_open),
        }
        for one in found
    ]


def delay(stretch: Stretch, seed: int) -> int:
    """How many bars of the stretch the seed leaves out at its beginning."""
    room = len(stretch.bars) - stretch.ticks + 1
    return int(int(words(seed, DELAY_STREAM + stretch.number, 1)[0]) % room)


def cell_bars(stretch: Stretch, seed: int, arm: Arm) -> Bars:
    """The bars that a seed's experiments live on."""
    bars = stretch.bars.slice(delay(stretch, seed), stretch.ticks)
    return bars if arm is Arm.A_REAL else shuffle_returns(bars, seed)


def cell_config(profile: Profile, table: Stage2Table, timeframe_s: int, ticks: int) -> WorldConfig:
    """The world of a timeframe under the stricter friction, for one agent (`for_count` makes it for more)."""
    base = setup.world_config(profile, timeframe_s)
    friction = attrs.asdict(table.friction)
    return base._replace(**cells.stricter(base._asdict(), friction, table.review_days, timeframe_s, ticks))


def for_count(config: WorldConfig, stake: float, count: int) -> WorldConfig:
    """The same world for ``count`` agents with a stake each; exact, because the stake's multiples are."""
    return config._replace(**cells.numbers_of(stake, count))


def crowds(count: int, size: int, seed: int, batch: int) -> tuple[Array, ...]:
    """The batch's rows dealt into crowds of about ``size``, by seed and batch; every row is in one, in order."""
    order = permutation(seed, CROWD_STREAM + batch, count).tolist()
    return tuple(np.array(part) for part in cells.dealt(order, cells.crowds_of(count, size)))


def experiments_of(count: int, places: Sequence[Stretch], table: Stage2Table) -> int:
    """How many experiments a batch of ``count`` genomes takes."""
    return cells.experiments_of(count, len(places), len(table.seeds), table.crowd)


def cell_jobs(
    profile: Profile, table: Stage2Table, places: Sequence[Stretch], genomes: Array, batch: int, first: Identity
) -> Iterator[CellJob]:
    """The cells of one batch, in order; their experiments are numbered from ``first.experiment`` on.

    Args:
        profile: world, ablation, arm and evidence.
        table: ``[stage2]``.
        places: from `stretches`.
        genomes: float32 (n, 342).
        batch: its number.
        first: identity of the batch's first experiment.
    """
    live = mask(profile.experiments.ablation)
    apart = live.copy()
    apart[list(C)] = 0.0
    number = first.experiment
    for place in places:
        config = cell_config(profile, table, place.bars.timeframe_s, place.ticks)
        for seed in table.seeds:
            bars = cell_bars(place, seed, profile.experiments.arm)
            everyone = np.arange(len(genomes))
            companies: list[tuple[str, Array, tuple[Array, ...]]] = [(ALONE, apart, (everyone,))]
            if table.crowd:
                companies.append((CROWD, live, crowds(len(genomes), table.crowd, seed, batch)))
            for company, channels, groups in companies:
                yield CellJob(
                    name=f"batch {batch}: {place.window.name} {place.timeframe} seed {seed} {company}",
                    key=CellKey(stretch=place.number, seed=seed, company=company),
                    genomes=genomes,
                    groups=groups,
                    who=tuple(
                        evolve(
                            first, experiment=number + k, seed=seed, ticks_planned=place.ticks,
                            timeframe_s=bars.timeframe_s,
                        )
                        for k in range(len(groups))
                    ),
                    bars=bars,
                    config=config,
                    funding_factor=table.friction.funding,
                    mask=channels,
                    stake=table.stake,
                    marks=table.marks,
                    keep_orders_one_in=profile.evidence.order_sample_one_in,
                    interesting=profile.interesting,
                )  # fmt: skip
                number += len(groups)


# ---- in the worker ---------------------------------------------------------------------------------------------------


def judge_cell(job: CellJob) -> CellResult:
    """Run a cell's experiments; a pure function of the job but for the seconds it took."""
    market, _ = setup.market_arrays(job.bars, job.config)
    if job.funding_factor != 1.0:
        market = market._replace(funding=market.funding * job.funding_factor)
    environment = features.environment(market, job.config, job.mask)  # how many agents there are changes nothing of it
    figures = np.zeros((len(job.genomes), len(FIGURES)))
    harvests = []
    for who, rows in zip(job.who, job.groups, strict=True):
        started = time.monotonic()
        config = for_count(job.config, job.stake, len(rows))
        founding: genome.Genomes = job.genomes[rows]
        experiment = Experiment(
            market, config, who.seed, mask=job.mask, keep_orders_one_in=job.keep_orders_one_in, founding=founding,
            environment=environment,
        )  # fmt: skip
        peak, worst = watch(experiment, job.marks)
        result = experiment.result()
        figures[rows] = figures_of(result, peak, worst)
        scene = Scene(
            symbol=job.bars.symbol,
            environment=experiment.environment,
            close=market.close,
            config=config,
            keep_orders_one_in=job.keep_orders_one_in,
            interesting=job.interesting,
        )
        span = started, time.monotonic()
        harvests.append(harvest(result, who, job.bars.open_time, scene, span, for_pool=False))
    return CellResult(key=job.key, harvests=tuple(harvests), figures=figures)


def watch(experiment: Experiment, marks: int) -> tuple[Array, Array]:
    """Run an experiment to its end, looking at every agent's equity about ``marks`` times.

    Returns:
        The highest equity that each agent had at a mark, and its largest fall from one as a fraction of it, (n,) each.
    """
    peak, worst = np.array(experiment.initial_capital), np.zeros(len(experiment.genomes))
    step = max(1, experiment.total_ticks // marks)
    if step >= DRIVE_TICKS // 2:  # what the core computes ahead for so many ticks is used up before it is asked again
        step = (step + DRIVE_TICKS // 2) // DRIVE_TICKS * DRIVE_TICKS
    while experiment.step(step):
        agents = experiment.agents
        alive = np.flatnonzero(by_slot(agents.nets["alive"]))
        who, equity = agents.genome_index[alive], of_slots(agents.accounts["equity"], alive)
        peak[who] = np.maximum(peak[who], equity)
        worst[who] = np.maximum(worst[who], 1.0 - equity / peak[who])
    return peak, worst


def figures_of(result: Result, peak: Array, worst: Array) -> Array:
    """`FIGURES` of every agent, (n, len(FIGURES)); what it had at last, or left, counts as a mark."""
    lives = result.lives
    drawdown = np.maximum(worst, 1.0 - lives.final_capital / np.maximum(peak, lives.final_capital))
    roi = lives.final_capital / lives.initial_capital - 1.0
    return np.column_stack([lives.death_tick < 0, roi, drawdown, lives.trades, lives.wins, lives.costs]).astype(float)
