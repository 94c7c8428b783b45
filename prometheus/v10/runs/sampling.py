"""A population over time, read from an experiment's arrays between two of its ticks: nothing in the world knows of it.

The moments depend on window and reviews alone, so the bytes do not depend on how the ticks are grouped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prometheus.v10.core import capital, exchange, lifecycle
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.records import Result
from prometheus.v10.core.state import by_slot
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.evidence.records.series.life_table import ALIVE, Lived, life_table
from prometheus.v10.evidence.records.series.moments import moments_of
from prometheus.v10.evidence.records.series.population_series import Lives, PopulationSeries
from prometheus.v10.runs.who import Identity

Array = np.ndarray[Any, Any]
BOOKED = (capital.RESERVE, capital.TOTAL, capital.FEES, capital.SLIPPAGE, capital.FUNDING)


class Sampler:
    """Takes the samples of one experiment as its caller steps through it.

    Args:
        who: whose experiment it is.
        config: of its world.
        close: of the bars, shape (ticks,).
        moments: how many moments a whole window has, about; 0 takes no sample.
    """

    def __init__(self, who: Identity, config: WorldConfig, close: Array, moments: int) -> None:
        self.who, self.config, self.close, self.moments = who, config, close, moments
        self._ahead = self._moments(len(close))[::-1]
        self._rows: dict[int, tuple[int, int, tuple[float, ...]]] = {}

    def _moments(self, lived: int) -> list[int]:
        return moments_of(len(self.close), self.config.review_ticks, self.moments, lived) if self.moments else []

    def until(self, tick: int) -> int:
        """Ticks from ``tick`` to the next moment; without samples, to the end of the window."""
        return (self._ahead[-1] if self._ahead else len(self.close)) - tick

    def look(self, experiment: Experiment) -> None:
        """Take a sample where the experiment stands at the next moment."""
        if not self._ahead or experiment.tick < self._ahead[-1]:
            return
        moment = self._ahead.pop()
        position = by_slot(experiment.agents.accounts["position"])
        worth = position * (exchange.lot_quantity(self.config) * self.close[moment - 1])
        open_now = (_in_order(worth[position > 0.0]), -_in_order(worth[position < 0.0]))
        _, _, alive, _, births = experiment.figures()
        self._rows[moment] = alive, births, _money(experiment.books.money, open_now)

    def line(self, result: Result) -> bytes:
        """The experiment's line of ``population_series.jsonl``; empty where no sample was asked for."""
        if not self.moments:
            return b""
        ticks = self._moments(result.ticks)
        tally = result.tally
        last = int(tally[capital.ALIVE]), int(tally[capital.BORN]), _money(result.money, (0.0, 0.0))
        rows = [self._rows[moment] for moment in ticks[:-1]] + [last]
        deaths = {
            name: np.searchsorted(result.deaths.tick[result.deaths.reason == code], ticks).tolist()
            for code, name in enumerate(lifecycle.REASONS)
        }
        alive, births, money = zip(*rows, strict=True)
        reserve, total, long, short, fees, slippage, funding = map(list, zip(*money, strict=True))
        who = self.who
        made = PopulationSeries(
            run_id=who.run_id, experiment=who.experiment, seed=who.seed, arm=who.arm, ticks=ticks, alive=list(alive),
            births=list(births), deaths=deaths, reserve=reserve, total=total, long=long, short=short, fees=fees,
            slippage=slippage, funding=funding, lives=self._lives(result),
        )  # fmt: skip
        return to_line(made)

    def _lives(self, result: Result) -> list[Lives]:
        lives, parents = result.lives, set(result.births.parent.tolist())
        columns = zip(
            lives.birth_tick.tolist(), lives.death_tick.tolist(), lives.reason.tolist(), lives.trades.tolist(),
            lives.initial_capital.tolist(), lives.final_capital.tolist(), lives.costs.tolist(), strict=True,
        )  # fmt: skip
        told = (
            Lived(born, died, lifecycle.REASONS[reason] if died >= 0 else ALIVE, trades, agent in parents, given, left,
                  tuple(costs))
            for agent, (born, died, reason, trades, given, left, costs) in enumerate(columns)
        )  # fmt: skip
        rules = self.config
        rows = life_table(told, ticks=result.ticks, review=rules.review_ticks, death_roi=rules.death_roi)
        return [Lives(**row) for row in rows]


def _money(money: Array, open_now: tuple[float, float]) -> tuple[float, ...]:
    reserve, total, fees, slippage, funding = (float(money[row]) for row in BOOKED)
    return tuple(round(value, 2) + 0.0 for value in (reserve, total, *open_now, fees, slippage, funding))


def _in_order(values: Array) -> float:
    """Sum in index order, so that the bits do not depend on how numpy groups."""
    return float(np.cumsum(values)[-1]) if len(values) else 0.0
