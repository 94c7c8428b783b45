"""From a profile's market to bars: what is kept between the eras of a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from prometheus.v10.market.resolve import MarketSpec, resolve_market


def test_eras_that_walk_over_one_synthetic_market_share_its_bars(tmp_path: Path) -> None:
    spec = MarketSpec(seed=3, bars=50)
    first = resolve_market(spec, tmp_path)
    assert resolve_market(spec, tmp_path) is first
    other = resolve_market(MarketSpec(seed=4, bars=50), tmp_path)
    assert other.close.tolist() != first.close.tolist()
    assert resolve_market(spec, tmp_path).identity() == first.identity()


def test_nobody_can_write_to_bars_that_are_shared(tmp_path: Path) -> None:
    bars = resolve_market(MarketSpec(seed=3, bars=50), tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0] = 1.0
