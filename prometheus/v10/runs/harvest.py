"""From what one experiment left behind to what is written about it: a pure function, run where the experiment ran.

Nothing here knows wall-clock time, files or other experiments, so the bytes depend on commit, config, seed, bars and
run id alone, and a replay gives them again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import frozen

from prometheus.v10.core import capital, fences, genome, lifecycle
from prometheus.v10.core.records import Result
from prometheus.v10.evidence.pools.exposure import Exposure
from prometheus.v10.evidence.pools.pool_record import Encoded
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.evidence.records.event_lines import (
    BirthColumns,
    DeathColumns,
    EventContext,
    FenceBlocks,
    encode_births,
    encode_deaths,
    utc_texts,
)
from prometheus.v10.evidence.records.events import CapitalTriplet, CollapseEvent, InterestingDeath
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.records.raw_lines import RawBlocks
from prometheus.v10.evidence.records.summary import (
    Costs,
    ExperimentStats,
    collapse_outcome,
    deaths_by_reason,
    quantiles,
)
from prometheus.v10.evidence.records.survivor_lines import SurvivorColumns, encode_survivors
from prometheus.v10.runs.handing import handed_over, pool_entries
from prometheus.v10.runs.observe import Scene, patterns, raw_orders
from prometheus.v10.runs.who import Identity


@frozen(kw_only=True)
class ReviewNote:
    """One review in a few figures, for the journal."""

    tick: int
    died: int
    born: int
    counts: str
    worst_roi: float
    best_roi: float


@frozen(kw_only=True)
class Harvest:
    """Everything that is written about one experiment.

    Attributes:
        fence: core counters, shape (fences, 4).
        raw: raw records of the orders that the log kept.
        interesting: patterns among the deaths; their references count this experiment's deaths from 1.
        total_by_tick: equity curve of the whole system, USDT, shape (ticks,).
        survivors: who lives at the end.
        founders: who founded it, where it has a line of descent; else empty.
        span: start and end of the experiment, seconds of its own machine's monotonic clock.
        residual: largest conservation gap seen, as a fraction of the total.
        series: its line of ``population_series.jsonl``, where the run keeps that; else empty.
    """

    experiment: int
    stats: ExperimentStats
    deaths: bytes
    births: bytes
    survivors: bytes
    collapses: bytes
    founders: bytes
    collapse: CollapseEvent | None
    pool: tuple[Encoded, ...]
    reviews: tuple[ReviewNote, ...]
    fence: np.ndarray[Any, Any]
    raw: RawBlocks
    interesting: tuple[InterestingDeath, ...]
    total_by_tick: np.ndarray[Any, Any]
    residual: float
    agent_ticks: int
    span: tuple[float, float]
    series: bytes = b""


def harvest(
    result: Result, who: Identity, open_time: np.ndarray[Any, Any], scene: Scene, span: tuple[float, float], *,
    for_pool: bool = True, exposures: Sequence[Exposure] = (), founders: bytes = b"",
) -> Harvest:  # fmt: skip
    """Make the records of one finished (or stopped) experiment.

    Args:
        result: what the core left.
        who: identity of run and experiment.
        open_time: UTC epoch seconds of the window's bars, shape (ticks,).
        scene: what the experiment happened in.
        span: when the experiment ran; goes to the manifest only.
        for_pool: whether its genomes are handed to the pool; those of an experiment that a stop cut never are.
        exposures: what each founder's ancestors have lived through, where the experiment has a line of descent.
        founders: its line of ``founders.jsonl``.
    """
    lives = result.lives
    sha256 = [hashlib.sha256(row.astype("<f4").tobytes()).hexdigest() for row in lives.genomes]
    context = EventContext(run_id=who.run_id, experiment=who.experiment, seed=who.seed, arm=who.arm)
    closes = open_time + who.timeframe_s
    event = _collapse_event(result, who, closes)
    stats = _stats(result, who, event)
    for_pool = for_pool and (stats.completed or who.cut_counts)
    return Harvest(
        experiment=who.experiment,
        stats=stats,
        deaths=encode_deaths(context, _death_columns(result, closes, sha256)),
        births=encode_births(context, _birth_columns(result, closes, sha256)),
        survivors=encode_survivors(context, _survivor_columns(result, closes, sha256, who, for_pool=for_pool)),
        collapses=to_line(event) if event else b"",
        founders=founders,
        collapse=event,
        pool=pool_entries(result, who, sha256, exposures) if for_pool else (),
        reviews=_review_notes(result),
        fence=result.fence,
        raw=raw_orders(result, context, scene, closes),
        interesting=patterns(result, context, scene, closes),
        total_by_tick=result.total_by_tick,
        residual=float(result.money[capital.RESIDUAL]),
        agent_ticks=int(result.tally[capital.AGENT_TICKS]),
        span=span,
    )


def _table(column: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    """A column of rows of ``width``; a table without rows has its width too."""
    return column.reshape(len(column), width)


def _death_columns(result: Result, closes: np.ndarray[Any, Any], sha256: list[str]) -> DeathColumns:
    deaths, lives = result.deaths, result.lives
    who = deaths.genome_index
    return DeathColumns(
        tick=deaths.tick,
        market_time=closes[deaths.tick],
        agent=who,
        parent=lives.parent[who],
        genome_sha256=[sha256[i] for i in who],
        birth_tick=lives.birth_tick[who],
        age_ticks=deaths.age_ticks,
        reason=deaths.reason,
        initial_capital=lives.initial_capital[who],
        final_capital=deaths.final_capital,
        roi_lifetime=deaths.roi_lifetime,
        roi_period=deaths.roi_period,
        trades=deaths.trades,
        wins=lives.wins[who],
        costs=lives.costs[who],
        side=deaths.side,
        last_signal=deaths.last_signal,
        triplet=_table(deaths.triplet, 3),
        fences=FenceBlocks(
            names=fences.NAMES,
            fence=_table(deaths.fence, 3),
            blocks=_table(deaths.fence_blocks, 3),
            attempts=_table(deaths.fence_attempts, 3),
        ),
    )


def _birth_columns(result: Result, closes: np.ndarray[Any, Any], sha256: list[str]) -> BirthColumns:
    births = result.births
    return BirthColumns(
        tick=births.tick,
        market_time=closes[births.tick],
        agent=births.child,
        parent=births.parent,
        founder=result.lives.founder[births.child],
        genome_sha256=[sha256[i] for i in births.child],
        parent_genome_sha256=[sha256[i] for i in births.parent],
        mutated_loci=births.mutated_loci,
        initial_capital=births.capital,
        parent_roi_period=births.parent_roi,
    )


def _survivor_columns(
    result: Result, closes: np.ndarray[Any, Any], sha256: list[str], identity: Identity, *, for_pool: bool
) -> SurvivorColumns:
    lives, last = result.lives, result.ticks - 1
    who = np.flatnonzero(lives.death_tick < 0)
    period = lives.initial_capital.copy()
    for parent, half in zip(result.births.parent.tolist(), result.births.capital.tolist(), strict=True):
        period[parent] = half  # lifecycle.split_capital: half of a number and the rest of it are the same number
    return SurvivorColumns(
        tick=last,
        ts_utc=utc_texts(closes[[last]])[0],
        agent=who,
        parent=lives.parent[who],
        founder=lives.founder[who],
        genome_sha256=[sha256[i] for i in who],
        birth_tick=lives.birth_tick[who],
        initial_capital=lives.initial_capital[who],
        period_capital=period[who],
        final_capital=lives.final_capital[who],
        roi_lifetime=lives.final_capital[who] / lives.initial_capital[who] - 1.0,
        trades=lives.trades[who],
        wins=lives.wins[who],
        costs=lives.costs[who],
        in_pool=for_pool & handed_over(result, identity)[who],
    )


def _triplet(result: Result) -> CapitalTriplet:
    money = result.money
    return CapitalTriplet(
        allocated_capital=float(money[capital.ALLOCATED]),
        system_reserve=float(money[capital.RESERVE]),
        current_total=float(money[capital.TOTAL]),
    )


def _deaths_by_reason(result: Result) -> dict[str, int]:
    return deaths_by_reason(np.bincount(result.deaths.reason, minlength=len(lifecycle.REASONS)).tolist())


def _collapse_event(result: Result, who: Identity, closes: np.ndarray[Any, Any]) -> CollapseEvent | None:
    reason = lifecycle.COLLAPSE_NAMES[result.collapse]
    if reason is None:
        return None
    rows, blocks, attempts = (np.array([column]) for column in result.top_fences)
    shares = FenceBlocks(names=fences.NAMES, fence=rows, blocks=blocks, attempts=attempts).shares()[0]
    return CollapseEvent(
        run_id=who.run_id,
        experiment=who.experiment,
        seed=who.seed,
        arm=who.arm,
        ts_utc=utc_texts(closes[[result.collapse_tick]])[0],
        tick=result.collapse_tick,
        ticks_to_collapse=result.collapse_tick + 1,
        ticks_planned=who.ticks_planned,
        reason=reason,
        alive_agents=int(result.tally[capital.ALIVE]),
        total_agents_ever=len(result.lives.parent),
        births=int(result.tally[capital.BORN]),
        deaths=int(result.tally[capital.DIED]),
        deaths_by_reason=_deaths_by_reason(result),
        reviews=len(result.reviews.tick),
        capital_triplet=_triplet(result),
        fence_block_rate_summary=shares,
    )


def _stats(result: Result, who: Identity, event: CollapseEvent | None) -> ExperimentStats:
    lives, money, nulls = result.lives, result.money, Nulls()
    everyone = len(lives.parent)
    alive = lives.death_tick < 0
    roi = lives.final_capital / lives.initial_capital - 1.0
    living = np.flatnonzero(alive)
    lived = lives.birth_tick < result.ticks - 1  # of who was born at the last tick there is nothing to say
    numbers = np.concatenate([money, result.total_by_tick, roi, lives.genomes.ravel()])
    nobody = "nobody is alive"
    return ExperimentStats(
        experiment=who.experiment,
        seed=who.seed,
        arm=who.arm,
        completed=event is not None or result.ticks == who.ticks_planned,
        ticks=result.ticks,
        reviews=len(result.reviews.tick),
        system_roi=float(money[capital.TOTAL] / money[capital.INITIAL] - 1.0),
        max_drawdown=float(money[capital.DRAWDOWN]),
        founders=int(np.count_nonzero(lives.parent < 0)),
        alive_agents=len(living),
        total_agents_ever=everyone,
        births=int(result.tally[capital.BORN]),
        deaths=int(result.tally[capital.DIED]),
        deaths_by_reason=_deaths_by_reason(result),
        trades=int(result.tally[capital.ROUND_TRIPS]),
        trades_median=float(np.sort(lives.trades[lived])[int(lived.sum()) // 2]),
        zero_trade_share=float(np.count_nonzero(lives.trades[lived] == 0) / np.count_nonzero(lived)),
        liquidated_share=float(np.count_nonzero(lives.reason == lifecycle.REASONS.index("liquidation")) / everyone),
        profitable_agents_all=int(np.count_nonzero(roi > 0.0)),
        profitable_agents_alive=int(np.count_nonzero(roi[living] > 0.0)),
        costs=Costs(
            fees=float(money[capital.FEES]),
            slippage=float(money[capital.SLIPPAGE]),
            funding=float(money[capital.FUNDING]),
        ),
        capital_triplet=_triplet(result),
        collapse=collapse_outcome(
            event.reason if event else None, event.tick if event else None, event.ts_utc if event else None, nulls
        ),
        roi_quantiles=quantiles(roi[lived].tolist()),
        founder_out_in_correlation=_correlation(
            lives.genomes[lives.parent < 0, : genome.NET_LOCI],
            lives.genomes[lives.parent < 0, genome.IN_NET : genome.ENTRY_THRESHOLD],
        ),
        gene_diversity=nulls.known("gene_diversity", _gene_diversity(lives.genomes[living]), nobody),
        lineages_alive=len(set(lives.founder[living].tolist())),
        lineage_diversity=nulls.known("lineage_diversity", _effective_lineages(lives.founder[living]), nobody),
        has_nan=bool(np.isnan(numbers).any()),
        has_inf=bool(np.isinf(numbers).any()),
        null_reasons=nulls.reasons,
    )


def _in_order(values: np.ndarray[Any, Any]) -> float:
    """Sum in index order (cumsum adds one by one; np.sum's grouping is numpy's own affair)."""
    return float(np.cumsum(values, dtype=np.float64)[-1])


def _correlation(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """Pearson's correlation of two equal-shaped tables, flattened."""
    x, y = left.astype(np.float64).ravel(), right.astype(np.float64).ravel()
    x, y = x - _in_order(x) / len(x), y - _in_order(y) / len(y)
    scale = np.sqrt(_in_order(x * x) * _in_order(y * y))
    return float(_in_order(x * y) / scale) if scale > 0.0 else 0.0


def _gene_diversity(genomes: np.ndarray[Any, Any]) -> float | None:
    """Mean over loci of the population standard deviation; None of nobody."""
    if not len(genomes):
        return None
    values = genomes.astype(np.float64)
    mean = np.cumsum(values, axis=0)[-1] / len(values)
    spread = np.sqrt(np.cumsum((values - mean) ** 2, axis=0)[-1] / len(values))
    return _in_order(spread) / len(spread)


def _effective_lineages(founders: np.ndarray[Any, Any]) -> float | None:
    """1 / sum of squared shares of founder lineages; None of nobody."""
    if not len(founders):
        return None
    shares = np.bincount(founders) / len(founders)
    return 1.0 / _in_order(shares * shares)


def _review_notes(result: Result) -> tuple[ReviewNote, ...]:
    reviews = result.reviews
    notes = []
    first = 0
    for tick, died, born, worst, best in zip(
        reviews.tick.tolist(), reviews.died.tolist(), reviews.born.tolist(), reviews.worst_roi.tolist(),
        reviews.best_roi.tolist(), strict=True,
    ):  # fmt: skip
        since = (result.deaths.tick >= first) & (result.deaths.tick <= tick)
        counts = np.bincount(result.deaths.reason[since], minlength=len(lifecycle.REASONS))
        said = " ".join(f"{name}={count}" for name, count in zip(lifecycle.REASONS, counts, strict=True) if count)
        notes.append(ReviewNote(tick=tick, died=died, born=born, counts=said or "none", worst_roi=worst, best_roi=best))
        first = tick + 1
    return tuple(notes)
