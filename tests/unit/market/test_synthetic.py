"""The synthetic market looks like crypto by the real bars' own figures, and is the same bits everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import FUNDING_INTERVAL_S, Bars
from prometheus.v10.market.facts import StylisedFacts, stylised_facts
from prometheus.v10.market.null_arm import shuffle_returns
from prometheus.v10.market.philox import lanes_normal, words
from prometheus.v10.market.resample import resample
from prometheus.v10.market.sources.importers import read_source
from prometheus.v10.market.sources.reading.arrow_source import read_funding_table
from prometheus.v10.market.synthetic import FLOOR_PRICE, TICK, synthetic
from prometheus.v10.market.validate import validate

SEEDS = (1, 2, 3)
DAY = 86_400

# How far outside the span of the real files' own figures the synthetic market may lie: [low / factor, high * factor].
FACTORS = {
    "std_bp": 1.4,
    "excess_kurtosis": 1.5,
    "range_ratio": 1.15,
    "jump_share": 1.6,
    "volume_tail": 1.5,
    "calm_to_wild": 1.5,
    "directness": 1.4,
    "abs_volume_correlation": 1.25,
    "range_volume_correlation": 1.2,
}
ACF_FACTOR = 1.5  # autocorrelations of |return| at the lags below
SEASON_CORRELATION = 0.75  # least correlation of the profile by hour with that of the perpetuals
SEASON_SWING = 1.4  # factor on the busiest hour over the quietest


@pytest.fixture(scope="session")
def real(okx_5m: Path, binance_5m: Path, spot_1h: Path) -> dict[int, list[StylisedFacts]]:
    okx, binance = read_source(okx_5m).bars, read_source(binance_5m).bars
    return {
        300: [stylised_facts(okx), stylised_facts(binance)],
        3600: [stylised_facts(resample(okx, 3600).bars), stylised_facts(read_source(spot_1h).bars)],
    }


@pytest.fixture(scope="session")
def made() -> dict[int, list[StylisedFacts]]:
    """Lengths like those of the real files."""
    return {tf: [stylised_facts(synthetic(s, n, tf)) for s in SEEDS] for tf, n in ((300, 70_000), (3600, 33_000))}


def span(facts: list[StylisedFacts], name: str, factor: float) -> tuple[float, float]:
    values = [getattr(one, name) for one in facts]
    return min(values) / factor, max(values) * factor


def clustering(facts: StylisedFacts, timeframe_s: int) -> dict[str, float]:
    day = DAY // timeframe_s
    return {
        "1 bar": facts.acf_abs[1],
        "12 bars": facts.acf_abs[12],
        "1 day": facts.acf_abs[day],
        "1 week": facts.acf_abs[7 * day],
    }


@pytest.mark.parametrize("timeframe_s", [300, 3600])
@pytest.mark.parametrize("name", FACTORS)
def test_a_figure_lies_where_the_real_markets_lie(
    real: dict[int, list[StylisedFacts]], made: dict[int, list[StylisedFacts]], name: str, timeframe_s: int
) -> None:
    low, high = span(real[timeframe_s], name, FACTORS[name])
    found = float(np.median([getattr(one, name) for one in made[timeframe_s]]))
    assert low <= found <= high


@pytest.mark.parametrize("timeframe_s", [300, 3600])
def test_volatility_clusters_for_as_long_as_in_the_real_markets(
    real: dict[int, list[StylisedFacts]], made: dict[int, list[StylisedFacts]], timeframe_s: int
) -> None:
    theirs = [clustering(one, timeframe_s) for one in real[timeframe_s]]
    ours = [clustering(one, timeframe_s) for one in made[timeframe_s]]
    for lag in theirs[0]:
        found = float(np.median([one[lag] for one in ours]))
        least, most = min(one[lag] for one in theirs) / ACF_FACTOR, max(one[lag] for one in theirs) * ACF_FACTOR
        assert least <= found <= most, lag


@pytest.mark.parametrize("timeframe_s", [300, 3600])
@pytest.mark.parametrize("name", ["season_volatility", "season_volume"])
def test_the_hours_of_the_day_differ_as_in_the_real_markets(
    real: dict[int, list[StylisedFacts]], made: dict[int, list[StylisedFacts]], name: str, timeframe_s: int
) -> None:
    profile = np.mean([getattr(one, name) for one in real[timeframe_s]], axis=0)
    ours = np.mean([getattr(one, name) for one in made[timeframe_s]], axis=0)
    assert np.corrcoef(profile, ours)[0, 1] >= SEASON_CORRELATION
    swings = [float(getattr(one, name).max() / getattr(one, name).min()) for one in real[timeframe_s]]
    assert min(swings) / SEASON_SWING <= ours.max() / ours.min() <= max(swings) * SEASON_SWING


def test_returns_themselves_hardly_predict_each_other(made: dict[int, list[StylisedFacts]]) -> None:
    assert all(abs(one.acf_return_1) < 0.05 for facts in made.values() for one in facts)


def test_funding_pays_what_the_exchanges_paid(okx_5m: Path, binance_5m: Path) -> None:
    files = [
        okx_5m.parent / "BTC_USDT_USDT-1h-funding_rate.feather",
        binance_5m.parent / "BTC_USDT_USDT-8h-funding_rate.feather",
    ]
    rates = [read_funding_table(file)[1] for file in files]
    bars = synthetic(1, 30_000, 3600)
    ours = bars.funding[bars.open_time % FUNDING_INTERVAL_S == 0]
    assert min(r.mean() for r in rates) / 1.3 <= ours.mean() <= max(r.mean() for r in rates) * 1.3
    assert min(r.std() for r in rates) / 1.3 <= ours.std() <= max(r.std() for r in rates) * 1.3
    assert ours.max() <= max(r.max() for r in rates) * 1.05
    day = 24
    trend = bars.close[day:] / bars.close[:-day] - 1.0
    at = np.flatnonzero(bars.open_time % FUNDING_INTERVAL_S == 0)
    at = at[at > day]
    assert np.corrcoef(bars.funding[at], trend[at - 1 - day])[0, 1] > 0.3


def test_the_yardstick_refuses_a_gaussian_walk_and_a_shuffled_market(real: dict[int, list[StylisedFacts]]) -> None:
    bars = synthetic(1, 70_000, 300)
    steps = lanes_normal(words(5, 5, 70_000 * 4).reshape(-1, 4)).sum(axis=1) * 0.001
    walk = 40_000.0 * np.cumprod(1.0 + steps)
    gaussian = stylised_facts(attrs.evolve(bars, open=walk, high=walk * 1.001, low=walk * 0.999, close=walk))
    low, _ = span(real[300], "excess_kurtosis", FACTORS["excess_kurtosis"])
    assert gaussian.excess_kurtosis < low
    assert abs(gaussian.abs_volume_correlation) < 0.05
    shuffled = stylised_facts(shuffle_returns(bars, 1))
    assert all(value < 0.03 for value in clustering(shuffled, 300).values())


def test_there_are_trends_chops_and_crashes() -> None:
    bars = synthetic(1, 33_000, 3600)
    week = 7 * 24
    weekly = bars.close[::week]
    moves = weekly[1:] / weekly[:-1] - 1.0
    assert moves.max() > 0.15
    assert moves.min() < -0.15
    assert (np.abs(moves) < 0.02).mean() > 0.1
    facts = stylised_facts(bars)
    assert 0.3 < facts.max_drawdown < 0.95


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    bars=st.integers(1, 3000),
    timeframe_s=st.sampled_from([60, 300, 900, 3600, 14_400, 28_800, 43_200, 86_400]),
)
def test_every_market_is_sound_on_the_tick_and_above_the_floor(seed: int, bars: int, timeframe_s: int) -> None:
    market = synthetic(seed, bars, timeframe_s)
    assert len(market) == bars
    assert validate(market) == []
    for name in ("open", "high", "low", "close"):
        prices = getattr(market, name)
        assert (np.rint(prices / TICK) / 10.0 == prices).all()
        assert (prices >= FLOOR_PRICE).all()
    assert (market.volume > 0).all()
    assert (np.abs(market.funding) <= 1.5e-4 * -(-timeframe_s // FUNDING_INTERVAL_S)).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), short=st.integers(1, 800), more=st.integers(1, 800))
def test_a_longer_market_begins_with_the_shorter_one(seed: int, short: int, more: int) -> None:
    for timeframe_s in (300, 28_800):
        long = synthetic(seed, short + more, timeframe_s)
        assert long.slice(0, short).sha256() == synthetic(seed, short, timeframe_s).sha256()


def test_seeds_make_different_markets() -> None:
    assert len({synthetic(seed, 500, 300).sha256() for seed in range(20)}) == 20


def test_a_day_bar_holds_three_fundings() -> None:
    days = synthetic(4, 400, DAY)
    eights = synthetic(4, 400, FUNDING_INTERVAL_S)
    assert np.abs(days.funding).mean() > 1.5 * np.abs(eights.funding).mean()


GOLDEN = {
    300: "94b2e4a736a3f3b5766e1120afea4060964d607149335cc0f9410358065730cf",
    3600: "f052aebf57b50fc2c7b46b2c2f0f6ab4256a6e6b7332b8857e3ff93eff4d728c",
    86_400: "8ce9679531c29cd4c8846830b932d3c36e71d83b8d24f03053c5a51a1b8a45bb",
}


@pytest.mark.parametrize("timeframe_s", GOLDEN)
def test_golden_bits(timeframe_s: int) -> None:
    assert synthetic(20_240_101, 20_000, timeframe_s).sha256() == GOLDEN[timeframe_s]


def test_golden_bits_on_a_lesser_processor() -> None:
    """The same hash with numpy's vector units switched off, which moves the last bit of np.exp and np.tanh."""
    program = (
        "from numpy._core._multiarray_umath import __cpu_features__ as f\n"
        "from prometheus.v10.market.synthetic import synthetic\n"
        "from prometheus.v10.market.null_arm import shuffle_returns\n"
        "b = synthetic(20_240_101, 20_000, 300)\n"
        "vector_units = f.get('X86_V3', f.get('SSE2', False)) or f.get('X86_V4', False)\n"
        "print(b.sha256(), shuffle_returns(b, 7).sha256(), vector_units)\n"
    )
    masked = {**os.environ, "NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3", "OPENBLAS_CORETYPE": "Nehalem"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=masked, capture_output=True, text=True, check=True
    )
    ours, null, features_on = done.stdout.split()
    here = synthetic(20_240_101, 20_000, 300)
    assert features_on == "False", "numpy did not switch the vector units off: this test shows nothing"
    assert ours == GOLDEN[300]
    assert null == shuffle_returns(here, 7).sha256()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((-1, 10, 300, 0), "seed -1"),
        ((2**64, 10, 300, 0), "seed"),
        ((1, 0, 300, 0), "0 bars"),
        ((1, 10, 30, 0), "timeframe 30 s"),
        ((1, 10, 90_000, 0), "timeframe 90000 s"),
        ((1, 10, 300, 7), "start 7"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: tuple[int, int, int, int], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        synthetic(*arguments)


def test_a_bar_opens_where_the_last_one_closed() -> None:
    bars: Bars = synthetic(9, 5000, 300)
    assert (np.abs(bars.open[1:] - bars.close[:-1]) < 1.5 * TICK).all()
