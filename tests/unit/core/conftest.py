"""Worlds small enough to run many times."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from prometheus.v10.core.config import WorldConfig, for_timeframe
from prometheus.v10.core.exchange import funding_by_tick
from prometheus.v10.core.records import Result
from prometheus.v10.core.state import Market
from prometheus.v10.core.world import Experiment
from prometheus.v10.market.synthetic import synthetic


def make_market(seed: int, ticks: int, config: WorldConfig) -> Market:
    """Synthetic bars as the core takes them."""
    bars = synthetic(seed, ticks, config.timeframe_s)
    funding, _ = funding_by_tick(bars.open_time, bars.funding, config)
    columns = (bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Market(*(np.array(column) for column in columns), funding)  # type: ignore[arg-type, call-arg]


def wild(market: Market, factor: float) -> Market:
    """The same bars with every move, and every range, ``factor`` times as large (prices stay positive)."""

    def stretched(price: Any) -> Any:
        return np.maximum(market.close[0] * (1.0 + factor * (price / market.close[0] - 1.0)), 1.0)

    opened, close = stretched(market.open), stretched(market.close)
    high = np.maximum(stretched(market.high), np.maximum(opened, close))
    low = np.minimum(stretched(market.low), np.minimum(opened, close))
    return market._replace(open=opened, high=high, low=low, close=close)


def small(**changes: Any) -> WorldConfig:
    """Twelve founders on hourly bars, a review every 48 ticks."""
    given = {"founders": 12, "review_ticks": 48, "community_ticks": 48, "range_ticks": 48, **changes}
    return for_timeframe(3600, **given)


def run(market: Market, config: WorldConfig, seed: int = 1, *, step: int = 64, **options: Any) -> Result:
    """One experiment, start to end."""
    experiment = Experiment(market, config, seed, **options)
    while experiment.step(step):
        pass
    return experiment.result()


def arrays(value: Any, path: str = "result") -> dict[str, np.ndarray[Any, Any]]:
    """Every array in a result, by its path."""
    if isinstance(value, np.ndarray):
        return {path: value}
    if hasattr(value, "_fields"):
        return {k: v for name in value._fields for k, v in arrays(getattr(value, name), f"{path}.{name}").items()}
    return {path: np.asarray(value)}


def digest(result: Result) -> str:
    """sha256 over every bit of a result."""
    found = hashlib.sha256()
    for path, array in sorted(arrays(result).items()):
        found.update(f"{path} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


@pytest.fixture(scope="session")
def config() -> WorldConfig:
    return small()


@pytest.fixture(scope="session")
def market(config: WorldConfig) -> Market:
    return make_market(3, 400, config)
