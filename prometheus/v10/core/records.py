"""What an experiment hands over when it is done: plain arrays, one row a life, a death, a birth, a review."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prometheus.v10.core import genome
from prometheus.v10.core.state import Array32, Array64, IntArray

TOP_FENCES = 3  # how many fences a death is recorded with
TopFences = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class Lives(NamedTuple):
    """Everyone who ever lived, row ``genome_index``."""

    parent: IntArray  # (m,) genome_index, -1 for founders
    founder: IntArray  # (m,) the founder it descends from
    birth_tick: IntArray  # (m,) -1 for founders
    death_tick: IntArray  # (m,) -1 for the living
    reason: IntArray  # (m,) index into lifecycle.REASONS, -1 for the living
    initial_capital: Array64  # (m,)
    final_capital: Array64  # (m,)
    trades: IntArray  # (m,)
    wins: IntArray  # (m,)
    costs: Array64  # (m, 3): fees, funding, slippage
    last_signal: Array32  # (m,)
    genomes: genome.Genomes  # (m, 342)


class Deaths(NamedTuple):
    """One row a death, in the order they happened."""

    tick: IntArray
    genome_index: IntArray
    reason: IntArray
    side: IntArray  # of the position held when it died: -1, 0, +1
    age_ticks: IntArray
    trades: IntArray
    final_capital: Array64
    roi_lifetime: Array64
    roi_period: Array64
    last_signal: Array64
    triplet: Array64  # (d, 3): allocated, reserve, total, after the removal
    fence: IntArray  # (d, TOP_FENCES): fences with most blocks since the last review, -1 where none
    fence_blocks: IntArray  # (d, TOP_FENCES)
    fence_attempts: IntArray  # (d, TOP_FENCES)


class Births(NamedTuple):
    """One row a birth after the founding, in the order they happened."""

    tick: IntArray
    parent: IntArray
    child: IntArray
    capital: Array64  # each half, USDT
    parent_roi: Array64
    mutated_loci: IntArray


class Reviews(NamedTuple):
    """One row a review."""

    tick: IntArray
    alive_before: IntArray
    died: IntArray
    born: IntArray
    worst_roi: Array64
    median_roi: Array64
    best_roi: Array64
    no_trade: IntArray  # how many of alive_before had not closed a trade


class Result(NamedTuple):
    """What one experiment leaves behind."""

    ticks: int
    collapse: int  # lifecycle.NO_COLLAPSE ...
    collapse_tick: int  # -1 where none
    money: Array64
    tally: IntArray
    fence: IntArray
    total_by_tick: Array64
    deaths_by_tick: IntArray
    lives: Lives
    deaths: Deaths
    births: Births
    reviews: Reviews
    top_fences: TopFences  # at the end: row, blocks, attempts
    order_ids: IntArray
    order_values: Array64


def columns(rows: list[tuple[object, ...]], dtypes: tuple[type, ...]) -> list[npt.NDArray[Any]]:
    """Rows of records to one array a column."""
    if not rows:
        return [np.zeros(0, dtype=dtype) for dtype in dtypes]
    return [np.array(column, dtype=dtype) for column, dtype in zip(zip(*rows, strict=True), dtypes, strict=True)]
