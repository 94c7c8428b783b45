"""``population_series.jsonl``: each experiment's population over time, one line an experiment (ADR 0075)."""

from __future__ import annotations

from attrs import field, frozen

from prometheus.v10.base.modes import Arm
from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records.events import DeathReason
from prometheus.v10.evidence.records.series.life_table import ALIVE, CAUSES
from prometheus.v10.evidence.schemas.shapes import A_RUN, COUNT, exactly, listed, words


@frozen(kw_only=True)
class Lives:
    """So many agents with one fate (`prometheus.v10.evidence.records.series.life_table`).

    Attributes:
        born: how many reviews were done when they were born; 0 for founders.
        ended: how many were done when they died, that one included which removed them; or when the experiment ended.
    """

    born: int = field(metadata=COUNT)
    ended: int = field(metadata=COUNT)
    end: str = field(metadata=words(*DeathReason, ALIVE))
    cause: str = field(metadata=words(*CAUSES, ALIVE))
    agents: int = field(metadata=COUNT)


@frozen(kw_only=True)
class PopulationSeries:
    """One experiment at its moments (`moments.moments_of`): lists of equal length, a place a moment.

    Money is USDT, rounded to a hundredth. At the last moment every position is settled, as the summary has it.

    Attributes:
        ticks: done at each moment.
        alive: agents alive.
        births: so far, founders not counted.
        deaths: so far, by reason.
        reserve: of the system.
        total: the reserve and the equity of the living.
        long: what the long positions are worth at the close; ``short`` likewise, positive.
        fees: paid so far by everyone who ever lived; ``slippage`` and ``funding`` likewise.
        lives: everyone who ever lived, by birth, end and cause.
    """

    schema: str = field(default=Schema.POPULATION_SERIES.value, metadata=exactly(Schema.POPULATION_SERIES.value))
    run_id: str = field(metadata=A_RUN)
    experiment: int = field(metadata=COUNT)
    seed: int = field(metadata=COUNT)
    arm: str = field(metadata=words(*Arm))
    ticks: list[int] = field(metadata=listed(COUNT))
    alive: list[int] = field(metadata=listed(COUNT))
    births: list[int] = field(metadata=listed(COUNT))
    deaths: dict[str, list[int]]
    reserve: list[float]
    total: list[float]
    long: list[float]
    short: list[float]
    fees: list[float]
    slippage: list[float]
    funding: list[float]
    lives: list[Lives]
    null_reasons: dict[str, str] = field(factory=dict)
