"""What one experiment of a gate came to: a line of evidence, a function of commit, design, seed and bars alone.

Curves are read at fixed shares of the window, and an experiment that collapsed keeps its last value to the end: what is
lost stays lost. Of the primary cells every agent's lifetime ROI and trades are kept as well; winners are counted among
all who ever lived, dead or alive (G0.4 of docs/v10/V10_ACCEPTANCE_CRITERIA.md). Whoever was born at the last tick has
not lived.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from prometheus.v10.base.modes import Arm
from prometheus.v10.base.names import Schema
from prometheus.v10.core import capital, fences, lifecycle
from prometheus.v10.core.records import Result
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.gate.cells import NO_FENCE, Batch, Cell
from prometheus.v10.market.null_arm import shuffle_returns
from prometheus.v10.runs.request.ablation import mask
from prometheus.v10.runs.request.setup import known_market

CURVE_POINTS = 41  # the start of the window, and every fortieth of it
STEP_TICKS = 4096
Array = npt.NDArray[Any]


@frozen(kw_only=True)
class GateExperiment:
    """One experiment. Shares are fractions, money does not occur.

    Attributes:
        cell: `cells.Cell.name`.
        extinct: whether nobody was alive at the end.
        winners_absolute: agents whose lifetime ROI reached the absolute threshold, of ``agents``.
        fence_attempts: of the switched fence, with ``fence_blocks`` (blocked or forced); 0 where none is switched.
        residual: largest conservation gap, a fraction of the total.
        equity: of the whole system over its initial capital, at `CURVE_POINTS`; empty outside the primary cells.
        living: agents alive at the same moments; empty outside the primary cells.
        roi_lifetime: of every agent that lived, in order of birth; empty outside the primary cells.
        agent_trades: their closed trades; empty outside the primary cells.
    """

    schema: str = Schema.GATE_EXPERIMENT.value
    cell: str
    seed: int
    ticks: int
    system_roi: float
    max_drawdown: float
    extinct: bool
    collapse: str
    founders: int
    alive: int
    agents: int
    births: int
    deaths: int
    trades: int
    trades_median: float
    zero_trade_share: float
    winners_absolute: int
    fence_attempts: int
    fence_blocks: int
    residual: float
    finite: bool
    equity: list[float] = field(factory=list)
    living: list[int] = field(factory=list)
    roi_lifetime: list[float] = field(factory=list)
    agent_trades: list[int] = field(factory=list)
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen
class Done:
    """A batch that is done: its lines, and how much work it was."""

    lines: bytes
    experiments: int
    agent_ticks: int


@frozen
class Census:
    """Who lived in one experiment, for the audit of signs: shapes (m, 342), (m,), (m,), (m,)."""

    genomes: Array
    founder: Array
    alive: Array
    roi: Array


def run_batch(batch: Batch) -> Done:
    """Run a batch; a job for `runs.workers.cluster.in_order`."""
    lines, agent_ticks = [], 0
    for seed in batch.seeds:
        result = run_one(batch, seed)
        lines.append(to_line(describe(result, batch, seed)))
        agent_ticks += int(result.tally[capital.AGENT_TICKS])
    return Done(b"".join(lines), len(lines), agent_ticks)


def take_census(batch: Batch) -> list[Census]:
    """Run a batch again and keep who lived; a job for `runs.workers.cluster.in_order`."""
    return [census(run_one(batch, seed)) for seed in batch.seeds]


def run_one(batch: Batch, seed: int) -> Result:
    """One experiment to its end."""
    own_shuffle = batch.cell.arm is Arm.B2_SHUFFLE_RETURNS and batch.cell.path is None
    bars = shuffle_returns(batch.bars, seed) if own_shuffle else batch.bars
    known = known_market(bars, batch.config, mask(batch.cell.ablation))
    experiment = Experiment(known.market, batch.config, seed, mask=known.mask, environment=known.environment)
    while experiment.step(STEP_TICKS):
        pass
    return experiment.result()


def describe(result: Result, batch: Batch, seed: int) -> GateExperiment:
    """The line of one finished experiment."""
    lives, money, tally = result.lives, result.money, result.tally
    lived = lives.birth_tick < result.ticks - 1
    roi = lifetime_roi(result)[lived]
    trades = lives.trades[lived]
    alive = int(tally[capital.ALIVE])
    attempts, blocks = _fence_counts(result, batch.cell)
    founders = int(np.count_nonzero(lives.parent < 0))
    numbers = np.concatenate([money, result.total_by_tick, roi, lives.genomes.ravel()])
    kept: dict[str, Any] = {}
    if batch.cell.keep:
        ticks = _curve_ticks(len(batch.bars))
        kept = {
            "equity": _equity(result, ticks),
            "living": _living(result, founders, ticks),
            "roi_lifetime": roi.tolist(),
            "agent_trades": trades.tolist(),
        }
    return GateExperiment(
        cell=batch.cell.name,
        seed=seed,
        ticks=result.ticks,
        system_roi=float(money[capital.TOTAL] / money[capital.INITIAL] - 1.0),
        max_drawdown=float(money[capital.DRAWDOWN]),
        extinct=alive == 0,
        collapse=lifecycle.COLLAPSE_NAMES[result.collapse] or "none",
        founders=founders,
        alive=alive,
        agents=len(lives.parent),
        births=int(tally[capital.BORN]),
        deaths=int(tally[capital.DIED]),
        trades=int(tally[capital.ROUND_TRIPS]),
        trades_median=float(np.median(trades)),
        zero_trade_share=float(np.count_nonzero(trades == 0) / len(trades)),
        winners_absolute=int(np.count_nonzero(roi >= batch.winner_roi)),
        fence_attempts=attempts,
        fence_blocks=blocks,
        residual=float(money[capital.RESIDUAL]),
        finite=bool(np.isfinite(numbers).all()),
        **kept,
    )


def census(result: Result) -> Census:
    """Everyone who lived a tick."""
    lives = result.lives
    lived = lives.birth_tick < result.ticks - 1
    return Census(lives.genomes[lived], lives.founder[lived], lives.death_tick[lived] < 0, lifetime_roi(result)[lived])


def lifetime_roi(result: Result) -> npt.NDArray[np.float64]:
    """Final over initial capital, less 1, of everyone who ever lived, shape (m,)."""
    return np.asarray(result.lives.final_capital / result.lives.initial_capital - 1.0, dtype=np.float64)


def _fence_counts(result: Result, cell: Cell) -> tuple[int, int]:
    """Attempts and blocks of the switched fence; an exit fence forces where others block (fences.toml)."""
    if cell.fence == NO_FENCE:
        return 0, 0
    row = result.fence[fences.NAMES.index(cell.fence)]
    attempts = row[fences.ATTEMPTS] or row[fences.STEPS]
    return int(attempts), int(max(row[fences.BLOCKS], row[fences.TRIGGERS]))


def _curve_ticks(planned: int) -> Array:
    """Ticks after which a curve is read; 0 is before the first."""
    return np.arange(CURVE_POINTS) * planned // (CURVE_POINTS - 1)


def _equity(result: Result, ticks: Array) -> list[float]:
    initial = float(result.money[capital.INITIAL])
    totals = np.concatenate(([initial], result.total_by_tick))
    totals[-1] = result.money[capital.TOTAL]  # after everything was settled
    return [float(value) for value in totals[np.minimum(ticks, result.ticks)] / initial]


def _living(result: Result, founders: int, ticks: Array) -> list[int]:
    births, deaths = np.sort(result.births.tick), np.sort(result.deaths.tick)
    return [int(founders + np.searchsorted(births, t) - np.searchsorted(deaths, t)) for t in ticks]
