"""Worked examples of E1-E12 at one tick of five hand-made bars, and of what they are made from."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from prometheus.v10.core import features
from prometheus.v10.core.state import Environment

from .desk import CONFIG, bars, near, near32

# (open, high, low, close, volume). The range is of 4 bars, the day of 3; the first bar is in neither at the last tick.
MARKET = bars(
    (80, 200, 10, 100, 10),
    (101, 130, 90, 110, 30),
    (110, 120, 95, 99, 40),
    (99, 110, 97, 99, 10),
    (100, 115, 99, 108.9, 20),
)
LO, HI = 90.0, 130.0  # extremes of the last four bars
# Returns: 100/80 - 1 = 0.25, then 0.1, -0.1, 0, 0.1. The average of squares moves by 2 / (3 + 1) = a half.
VARIANCE = (0.0625, 0.03625, 0.023125, 0.0115625, 0.01078125)
SPREAD = 0.25 * sqrt(VARIANCE[4]) * 108.9  # 2.8268 USDT, more than one tick


def seen() -> Environment:
    return features.environment(MARKET, CONFIG, np.ones(33, dtype=np.float32))


def place(price: float) -> float:
    """Position in the range 90 .. 130: -1 at its low, +1 at its high."""
    return (price - 110.0) / 20.0


BID = 20.0 * (108.9 - 99.0) / (115.0 - 99.0)  # 12.375 BTC of 20
ASK = 20.0 - BID  # 7.625 BTC


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("E1_close_price_norm", place(108.9)),
        ("E2_high_price_norm", place(115.0)),
        ("E3_low_price_norm", place(99.0)),
        ("E4_open_price_norm", place(100.0)),
        ("E5_volume_norm", 20.0 / (20.0 + 20.0)),
        ("E6_bid_price_norm", place(108.9 - SPREAD / 2)),
        ("E7_ask_price_norm", place(108.9 + SPREAD / 2)),
        ("E8_bid_volume_norm", BID / (BID + 20.0)),
        ("E9_ask_volume_norm", ASK / (ASK + 20.0)),
        ("E10_spread_norm", SPREAD / (SPREAD + 16.0)),
        ("E11_24h_high_norm", place(120.0)),
        ("E12_24h_low_norm", place(95.0)),
    ],
)
def test_each_feature_of_the_market_at_the_last_bar(name: str, value: float) -> None:
    assert seen().features[4, features.NAMES.index(name)] == near32(value)


def test_the_features_have_their_published_names_places_and_count() -> None:
    codes = [f"E{k}" for k in range(1, 13)] + [f"I{k}" for k in range(1, 5)]
    codes += [f"M{k}" for k in range(1, 13)] + [f"C{k}" for k in range(1, 6)]
    assert [name.split("_")[0] for name in features.NAMES] == codes
    assert (features.E_FIRST, features.I_FIRST, features.M_FIRST, features.C_FIRST) == (0, 12, 16, 28)
    assert (features.E_COUNT, features.OWN_COUNT) == (12, 16)


def test_volatility_is_the_moving_average_of_squared_returns() -> None:
    assert seen().volatility.tolist() == near([sqrt(v) for v in VARIANCE])


def test_mean_volume_moves_half_way_to_each_volume() -> None:
    assert seen().mean_volume.tolist() == near([10.0, 20.0, 30.0, 20.0, 20.0])


def test_the_spread_is_a_share_of_volatility_and_at_least_a_tick() -> None:
    assert seen().spread[4] == near(SPREAD)
    calm = bars((100, 101, 99, 100, 1), (100, 101, 99, 100, 1))
    assert features.environment(calm, CONFIG, np.ones(33, np.float32)).spread.tolist() == [0.5, 0.5]


def test_trend_is_the_net_move_over_the_path_of_the_last_day() -> None:
    # Moves: +20 (within the first bar), +10, -11, 0, +9.9. The day is three moves; before it is full, all of them.
    expected = [20 / 20, 30 / 30, 19 / 41, (99 - 100) / (10 + 11 + 0), (108.9 - 110) / (11 + 0 + 9.9)]
    assert seen().trend.tolist() == pytest.approx(expected, rel=1e-9)


def test_a_market_that_stands_still_has_no_trend_and_one_that_moves_a_little_has() -> None:
    still = bars((100, 101, 99, 100, 1), (100, 101, 99, 100, 1))
    assert features.environment(still, CONFIG, np.ones(33, np.float32)).trend.tolist() == [0.0, 0.0]
    slow = bars((100, 101, 99, 99.75, 1), (99.75, 101, 99, 99.5, 1))
    assert features.environment(slow, CONFIG, np.ones(33, np.float32)).trend.tolist() == [-1.0, -1.0]


def test_a_bar_without_range_splits_its_volume_in_halves() -> None:
    flat = bars((100, 100, 100, 100, 8))
    row = features.environment(flat, CONFIG, np.ones(33, np.float32)).features[0]
    assert row[:4].tolist() == [0.0] * 4  # an empty range has no positions
    assert row[4] == near32(8 / 16)
    assert row[7:9].tolist() == near32([4 / 12, 4 / 12])
    assert row[9] == near32(1.0)  # the spread is all there is


def test_a_bar_with_a_small_range_splits_its_volume_by_the_close() -> None:
    narrow = bars((100, 100.5, 100, 100.125, 0.25))
    row = features.environment(narrow, CONFIG, np.ones(33, np.float32)).features[0]
    # A quarter of 0.25 BTC, 0.0625, is bid; 0.1875 is ask; the mean volume is 0.25.
    assert row[4] == near32(0.5)
    assert row[7:9].tolist() == near32([0.0625 / 0.3125, 0.1875 / 0.4375])


def test_no_volume_at_all_is_zero() -> None:
    row = features.environment(bars((100, 101, 99, 100, 0)), CONFIG, np.ones(33, np.float32)).features[0]
    assert row[[4, 7, 8]].tolist() == [0.0, 0.0, 0.0]


def test_an_ablated_channel_is_zero_and_its_neighbours_are_not() -> None:
    mask = np.ones(33, dtype=np.float32)
    mask[4] = 0.0
    found = features.environment(MARKET, CONFIG, mask).features
    assert not found[:, 4].any()
    assert (found[:, [0, 1, 2, 3, *range(5, 12)]] == seen().features[:, [0, 1, 2, 3, *range(5, 12)]]).all()


@pytest.mark.parametrize(
    ("price", "low", "high", "place_"),
    [
        (90, 90, 130, -1), (110, 90, 130, 0), (120, 90, 130, 0.5), (130, 90, 130, 1), (140, 90, 130, 1),
        (80, 90, 130, -1), (100, 100, 100, 0), (200, 100, 100, 0), (100.75, 100, 101, 0.5), (5, 9, 1, 0),
    ],
)  # fmt: skip
def test_position_in_range_is_linear_and_clipped(price: float, low: float, high: float, place_: float) -> None:
    assert features.position_in_range(float(price), float(low), float(high)) == near32(place_)


@pytest.mark.parametrize(
    ("window", "sign", "extremes"),
    [
        (3, 1.0, [3, 3, 3, 5, 5, 5, 4, 1]),
        (3, -1.0, [3, 1, 1, 1, 2, 0, 0, 0]),
        (1, 1.0, [3, 1, 2, 5, 4, 0, 0, 1]),
        (8, 1.0, [3, 3, 3, 5, 5, 5, 5, 5]),
    ],
)
def test_trailing_extremes_of_a_short_series(window: int, sign: float, extremes: list[float]) -> None:
    values = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 0.0, 0.0, 1.0])
    out = np.zeros(8)
    features.trailing_extreme(values, window, sign, np.full(8, 7), out)  # what the memory held before is no matter
    assert out.tolist() == extremes
