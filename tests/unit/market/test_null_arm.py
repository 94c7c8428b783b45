"""The null arm keeps every return and every bar's shape, and loses their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import Bars, Floats
from prometheus.v10.market.facts import stylised_facts
from prometheus.v10.market.null_arm import shuffle_returns, ticks_per_unit
from prometheus.v10.market.sources.importers import read_source
from prometheus.v10.market.synthetic import synthetic
from prometheus.v10.market.validate import validate


def returns(bars: Bars) -> Floats:
    return bars.close[1:] / bars.close[:-1] - 1.0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), market=st.integers(0, 1000), bars=st.integers(3, 2000))
def test_same_returns_same_ends_and_sound_bars(seed: int, market: int, bars: int) -> None:
    real = synthetic(market, bars, 3600)
    null = shuffle_returns(real, seed)
    assert validate(null) == []
    assert null.close[0] == real.close[0]
    assert null.close[-1] == real.close[-1]
    rounding = 2.5 * 0.05 / min(null.close.min(), real.close.min())  # both closes of a return lie half a tick off
    np.testing.assert_allclose(np.sort(returns(null)), np.sort(returns(real)), atol=rounding)
    assert sorted(null.volume.tolist()) == sorted(real.volume.tolist())
    assert (null.open_time == real.open_time).all()
    assert (null.funding == real.funding).all()


@pytest.mark.parametrize("file", ["okx_5m", "spot_1h"])
def test_on_real_bars_clustering_and_the_hours_go_and_the_tails_stay(file: str, request: pytest.FixtureRequest) -> None:
    source: Path = request.getfixturevalue(file)
    real = read_source(source).bars
    null = shuffle_returns(real, 1)
    before, after = stylised_facts(real), stylised_facts(null)
    assert validate(null) == []
    assert null.close[-1] == real.close[-1]
    assert all(value > 0.05 for value in before.acf_abs.values())
    assert all(abs(value) < 0.02 for value in after.acf_abs.values())
    assert after.excess_kurtosis == pytest.approx(before.excess_kurtosis, rel=0.02)
    assert after.std_bp == pytest.approx(before.std_bp, rel=1e-3)
    assert after.abs_volume_correlation == pytest.approx(before.abs_volume_correlation, rel=0.01)
    assert after.season_volatility.max() / after.season_volatility.min() < 1.25
    np.testing.assert_allclose(np.sort(returns(null)), np.sort(returns(real)), atol=3e-5)


def test_each_bar_keeps_its_shape() -> None:
    real = synthetic(5, 3000, 3600)
    null = shuffle_returns(real, 9)
    shapes = []
    for bars in (real, null):
        before = bars.close[:-1]
        table = np.column_stack(
            [getattr(bars, n)[1:] / before for n in ("close", "open", "high", "low")] + [bars.volume[1:]]
        )
        shapes.append(table[np.lexsort((table[:, 0], table[:, 4]))])
    np.testing.assert_allclose(shapes[0], shapes[1], atol=2e-5)


def test_a_seed_is_an_order() -> None:
    bars = synthetic(1, 500, 3600)
    assert shuffle_returns(bars, 3).sha256() == shuffle_returns(bars, 3).sha256()
    assert len({shuffle_returns(bars, seed).sha256() for seed in range(10)}) == 10
    assert bars.sha256() not in {shuffle_returns(bars, seed).sha256() for seed in range(10)}


def test_golden_bits() -> None:
    assert (
        shuffle_returns(synthetic(1, 5000, 300), 7).sha256()
        == "bdc7a73e86f7538c034996d2d84693a0720ed719eb75237f5a2faf6e82dceb6f"
    )


def test_prices_stay_on_the_markets_own_tick() -> None:
    bars = synthetic(1, 500, 3600)
    assert ticks_per_unit(bars) == 10.0
    assert ticks_per_unit(shuffle_returns(bars, 1)) == 10.0
    rough = bars.with_columns({n: getattr(bars, n) / 3.0 for n in ("open", "high", "low", "close")})
    assert ticks_per_unit(rough) is None
    assert validate(shuffle_returns(rough, 1)) == []


def test_a_price_never_reaches_zero() -> None:
    closes = np.array([4.0, 1.0, 4.0, 1.0, 4.0, 1.0, 4.0])
    bars = synthetic(1, 7, 3600).with_columns(dict.fromkeys(("open", "high", "low", "close"), closes))
    for seed in range(50):
        null = shuffle_returns(bars, seed)
        assert (null.low >= 1.0).all()
        assert validate(null) == []


@pytest.mark.parametrize(("bars", "seed"), [(2, 0), (100, -1), (100, 2**64)])
def test_what_has_no_order_is_refused(bars: int, seed: int) -> None:
    with pytest.raises(ConfigError, match="null arm"):
        shuffle_returns(synthetic(1, bars, 3600), seed)


def test_a_price_that_is_not_positive_is_refused() -> None:
    bars = synthetic(1, 10, 3600)
    with pytest.raises(ConfigError, match="not positive"):
        shuffle_returns(bars.with_columns({"low": np.zeros(10)}), 1)
