"""A window of bars that come one by one, for an experiment whose arrays are made before the first of them.

Room for the whole window is made at the start. Each bar is written into its row when it is complete, and what is known
at its close is worked out by the core from the bars so far. That this gives the bits that the whole window gives at
once is a test (`tests/unit/execution/test_live_window.py`), and shows that nothing looks ahead.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from prometheus.v10.core import features
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import Array32, Environment, Market


class LiveBar(NamedTuple):
    """One complete bar: UTC epoch seconds of its open, prices in USDT, volume in BTC, rates booked within it."""

    open_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    funding: float


class LiveWindow:
    """Bars and what is known of them, filled in as they come.

    Attributes:
        market: of all ``ticks`` rows; those that have not come are NaN, their times 0.
        environment: likewise.
        known: how many bars have come.
    """

    def __init__(self, ticks: int, config: WorldConfig, mask: Array32) -> None:
        self.config, self.mask, self.known = config, mask, 0
        self.market = Market(np.zeros(ticks, dtype=np.int64), *(np.full(ticks, np.nan) for _ in range(6)))
        nothing = np.full((ticks, features.E_COUNT), np.nan, dtype=np.float32)
        self.environment = Environment(nothing, *(np.full(ticks, np.nan) for _ in range(4)))

    def add(self, bar: LiveBar) -> None:
        """Write the next bar, and what is known at its close.

        Raises:
            ValueError: when the window is full, the bar does not follow the last one, or is no bar.
        """
        tick, market = self.known, self.market
        if tick >= len(market.close):
            raise ValueError(f"the window of {tick} bars is full")
        if tick and bar.open_time != market.open_time[tick - 1] + self.config.timeframe_s:
            raise ValueError(f"the bar of {bar.open_time} does not follow that of {market.open_time[tick - 1]}")
        whole = np.isfinite(bar[1:]).all() and bar.volume >= 0.0
        if not (whole and 0.0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high):
            raise ValueError(f"{bar} is no bar")
        for column, value in zip(market, bar, strict=True):
            column[tick] = value
        self.known = tick + 1
        so_far = features.environment(Market._make(column[: tick + 1] for column in market), self.config, self.mask)
        for name in Environment._fields:
            getattr(self.environment, name)[tick] = getattr(so_far, name)[tick]
