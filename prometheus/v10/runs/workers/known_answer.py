"""A known answer: the machine code that is loaded must compute what the locked sources say, before and after its work.

The check of the core compares sources and functions; what the processor runs is machine code, and that comes from a
compiler or from a cache. So each process that evolves runs one tiny world whose result is known, and compares a digest
of everything that the world hands over. The answer was computed with compilation off (`tests/unit/runs`).
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from prometheus.v10.base.errors import CoreInvarianceError
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import Market
from prometheus.v10.core.world import Experiment

TICKS = 240
ANSWER = "afe55b8eb25086a80d1ea7d7e712db5e7308117f5a240eb430518dd523a2f7a0"
"""sha256 of the tiny world's results."""


def tiny_market() -> Market:
    """240 hourly bars that trend, turn, gap and crash, from whole numbers and additions alone; shape (240,) each."""
    steps = np.array([(7 * tick * tick + 3 * tick) % 41 - 20 for tick in range(TICKS)], dtype=np.float64)
    steps[80:84] = -900.0  # a crash that liquidates
    steps[160:164] = 700.0
    close = 20_000.0 + np.cumsum(steps * 4.0)
    opening = np.concatenate([[20_000.0], close[:-1]])
    spread = np.array([float(tick % 7 + 1) * 8.0 for tick in range(TICKS)])
    times = np.arange(TICKS, dtype=np.int64) * 3600
    volume = np.array([50.0 + float(tick % 13) * 20.0 for tick in range(TICKS)])
    high, low = np.maximum(opening, close) + spread, np.minimum(opening, close) - spread
    return Market(times, opening, high, low, close, volume, np.full(TICKS, 1e-4))


def tiny_world() -> WorldConfig:
    """Twelve founders, a review every 48 ticks."""
    return WorldConfig(founders=12, review_ticks=48, community_ticks=48, death_roi=-0.02, breed_roi=0.001)


def digest() -> str:
    """Run the tiny world; sha256 of money, counts, fences, lives, deaths and births."""
    experiment = Experiment(tiny_market(), tiny_world(), 20_260_101, keep_orders_one_in=1)
    while experiment.step(64):
        pass
    result = experiment.result()
    found = hashlib.sha256()
    parts: list[Any] = [result.ticks, result.collapse, result.collapse_tick, result.money, result.tally, result.fence,
                        result.total_by_tick, *result.lives, *result.deaths, *result.births, result.order_ids,
                        result.order_values]  # fmt: skip
    for part in parts:
        array = np.ascontiguousarray(part)
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def require_known_answer() -> None:
    """Compare the loaded machine code's answer with the known one.

    Raises:
        CoreInvarianceError: when it is another: this machine code is not the locked core's.
    """
    found = digest()
    if found != ANSWER:
        raise CoreInvarianceError(
            f"the loaded machine code gives the answer {found[:16]}, the locked core gives {ANSWER[:16]}",
            hint="remove the cache of compiled code, ~/.cache/prometheus-quant, and start again",
        )
