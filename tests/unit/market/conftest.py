"""Real bars for the tests that need them; a test without them skips and says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    place = Path(os.environ.get("PROMETHEUS_DATA") or Path(__file__).parents[4] / "shared" / "data")
    if not place.is_dir():
        pytest.skip(f"real market bars are absent: {place} (set PROMETHEUS_DATA)")
    return place


@pytest.fixture(scope="session")
def okx_5m(data: Path) -> Path:
    return data / "okx_btcusdt_swap" / "BTC_USDT_USDT-5m-futures.feather"


@pytest.fixture(scope="session")
def binance_5m(data: Path) -> Path:
    return data / "binance_btcusdt_perp" / "BTC_USDT_USDT-5m-futures.feather"


@pytest.fixture(scope="session")
def spot_1h(data: Path) -> Path:
    return data / "spot_btcusd_hourly" / "BTC_USD-Hourly.csv"
