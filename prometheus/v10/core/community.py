"""The community, C1-C5 of the features (`features` has their table), at the close of a tick.

C3 and C5 are averaged as integers (steps of 2^-20), so that they do not depend on the order of the agents.
"""

from __future__ import annotations

import numpy as np

from prometheus.v10.core import capital, fences, genome
from prometheus.v10.core.compiled import compiled
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.features import C_FIRST, F32, I32, ONE, ZERO
from prometheus.v10.core.state import LANES, Agents, Array32, Books, Int32Array, Scratch

STEPS_PER_UNIT = F32(1048576.0)  # 2^20: the grid on which community averages are summed
STEPS_PER_UNIT_64 = 1048576.0
HALF = F32(0.5)
WRAP = 2**32 - 1
STEPS_OF_A_WALK = 32  # as many as it takes to halve the range of 32 bits to one number


@compiled
def steps_of(x: np.float32) -> np.int32:
    """``x``, within [-1, 1], in steps of the grid, to the nearest; a half goes up.

    The whole number at or below, written without ``floor``, for which the plainest processors have no vector code.
    """
    steps = x * STEPS_PER_UNIT + HALF
    whole = I32(steps)
    return I32(whole - I32(F32(whole) > steps))


@compiled
def rank_of(x: np.float32) -> np.int32:
    """An integer of the same order as ``x``: the bits of a float32, those of a negative one reversed.

    Two zeros would differ, but no ROI is -0: a quotient less one is +0 or not 0.
    """
    bits = F32(x).view(I32)
    return I32(bits ^ ((bits >> I32(31)) & I32(0x7FFFFFFF)))


@compiled
def how_many_reach(ranks: Int32Array, rank: int) -> int:
    """How many of ``ranks`` are ``rank`` or above."""
    count = I32(0)
    for i in range(ranks.shape[0]):
        count = I32(count + I32(ranks[i] >= I32(rank)))
    return int(count)


@compiled
def next_rank(ranks: Int32Array, here: np.int32, way: int) -> int:
    """The nearest of ``ranks`` above ``here`` (``way`` +1) or below it (-1); there must be one.

    Distances wrap around at 32 bits: those the other way come out as the largest, and the search needs no condition.
    """
    nearest = WRAP
    for i in range(ranks.shape[0]):
        nearest = min(nearest, int((way * (np.int64(ranks[i]) - here) - 1) & WRAP))
    return int(here) + way * (nearest + 1)


@compiled
def kth_largest(ranks: Int32Array, k: int, start: int) -> np.int32:
    """The ``k``-th largest (1-based) of ``ranks``, sought from the one at ``start``.

    From tick to tick few agents overtake one another. So the search walks from whoever was k-th a tick ago, one rank a
    step; where that leads too far it halves the range of integers instead. The start spares time and has no say in the
    result.
    """
    here = ranks[start]
    for _ in range(STEPS_OF_A_WALK):
        if how_many_reach(ranks, here) < k:
            here = I32(next_rank(ranks, here, -1))
        elif how_many_reach(ranks, here + 1) >= k:
            here = I32(next_rank(ranks, here, 1))
        else:
            return here
    reached, missed = -(2**31), 2**31 - 1  # by k or more; by fewer: no ROI has the bits of the largest integer
    while missed - reached > 1:
        middle = (reached + missed) >> 1
        if how_many_reach(ranks, middle) >= k:
            reached = middle
        else:
            missed = middle
    return I32(reached)


@compiled
def top_signal(agents: Agents, scratch: Scratch, alive: int, share: float) -> float:
    """C5: mean last signal of the best ``share`` of the living by period ROI; everyone at the threshold counts."""
    ranks = scratch.ranks
    threshold = kth_largest(ranks, max(1, int(alive * share)), scratch.last_best[0])
    steps, count = 0, 0
    for tile in range(agents.nets.shape[0]):
        last_signal, living, first = agents.nets[tile]["last_signal"], agents.nets[tile]["alive"], tile * LANES
        tile_steps, tile_count = I32(0), I32(0)
        for i in range(LANES):
            best = I32((ranks[first + i] >= threshold) & (living[i] != 0))
            tile_steps = I32(tile_steps + best * steps_of(last_signal[i]))
            tile_count = I32(tile_count + best)
        steps += int(tile_steps)
        count += int(tile_count)
    scratch.last_best[0] = place_of(threshold, ranks)
    return steps / STEPS_PER_UNIT_64 / max(count, 1)


@compiled
def place_of(rank: np.int32, ranks: Int32Array) -> int:
    """The first slot with ``rank``."""
    for i in range(ranks.shape[0]):
        if ranks[i] == rank:
            return i
    return 0


@compiled
def community(agents: Agents, books: Books, scratch: Scratch, config: WorldConfig, mask: Array32) -> None:
    """C1-C5 at the close of this tick, written to their places in ``scratch.shared``.

    Sums of a tile fit 32 bits: each of its LANES gives at most 2^20 steps.
    """
    alive = books.tally[capital.ALIVE]
    longs, shorts, steps = 0, 0, 0
    for tile in range(agents.nets.shape[0]):
        net, first = agents.nets[tile], tile * LANES
        lots, roi = net["lots"], net["roi"]
        tile_longs, tile_shorts, tile_steps = I32(0), I32(0), I32(0)
        for i in range(LANES):
            tile_longs = I32(tile_longs + I32(lots[i] > ZERO))
            tile_shorts = I32(tile_shorts + I32(lots[i] < ZERO))
            # A dead slot has an ROI of exactly -1; it is taken out again below.
            tile_steps = I32(tile_steps + steps_of(min(max(roi[i], -ONE), ONE)))
        for i in range(LANES):
            scratch.ranks[first + i] = rank_of(roi[i])
        longs += int(tile_longs)
        shorts += int(tile_shorts)
        steps += int(tile_steps)
    steps += int(STEPS_PER_UNIT_64) * (agents.trades.shape[0] - alive)
    holders = longs + shorts
    books.fence[fences.LIQUIDATION, fences.ATTEMPTS] += holders
    recent = books.tally[capital.RECENT_DEATHS]
    shared = scratch.shared
    shared[C_FIRST] = F32(holders / max(alive, 1))
    shared[C_FIRST + 1] = F32((longs - shorts) / max(holders, 1))
    shared[C_FIRST + 2] = F32(steps / STEPS_PER_UNIT_64 / max(alive, 1))
    shared[C_FIRST + 3] = F32(recent / max(recent + alive, 1))
    shared[C_FIRST + 4] = F32(top_signal(agents, scratch, alive, config.top_share))
    for feature in range(C_FIRST, genome.FEATURES):
        shared[feature] *= mask[feature]
