"""The planted markets are what they say: one has an order that can be learnt, the other none; both are repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.null_arm import shuffle_returns
from prometheus.v10.market.planted import SIGMA, planted
from prometheus.v10.market.validate import require_valid

BARS = 4000


def returns(bars):
    return bars.close[1:] / bars.close[:-1] - 1.0


def pulled(bars) -> float:
    """Correlation of a bar's return with how far the price stood from its mean before it."""
    away = bars.close[:-1] / bars.close.mean() - 1.0
    return float(np.corrcoef(away, returns(bars))[0, 1])


@pytest.mark.parametrize("pull", [0.0, 0.1])
def test_a_planted_market_is_sound_and_repeatable(pull):
    bars = planted(7, BARS, pull=pull)
    require_valid(bars, allow_gaps=False)
    assert bars.sha256() == planted(7, BARS, pull=pull).sha256()
    assert bars.sha256() != planted(8, BARS, pull=pull).sha256()
    assert (bars.open[1:] == bars.close[:-1]).all()


def test_the_bytes_of_a_model_do_not_change():
    """A change here is a new model: give it the next number."""
    assert planted(1, 500, pull=0.1).sha256()[:16] == GOLDEN[0]
    assert planted(1, 500, pull=0.0).sha256()[:16] == GOLDEN[1]


GOLDEN = ("ba4f1677a327e9ff", "715858d2e633693d")


def test_structure_says_where_the_price_goes_and_shuffling_takes_it_away():
    bars = planted(3, BARS, pull=0.1)
    assert pulled(bars) < -0.15
    assert abs(pulled(shuffle_returns(bars, 1))) < 0.1


def test_without_structure_returns_are_independent_draws():
    r = returns(planted(3, BARS, pull=0.0))
    assert r.std() == pytest.approx(SIGMA, rel=0.05)
    for lag in (1, 2, 5, 24):
        assert abs(float(np.corrcoef(r[:-lag], r[lag:])[0, 1])) < 4 / np.sqrt(BARS)


def test_a_longer_market_begins_with_the_shorter_one():
    short, long = planted(5, 300, pull=0.1), planted(5, 600, pull=0.1)
    assert (long.close[:300] == short.close).all()


@pytest.mark.parametrize(
    ("seed", "bars", "pull"), [(-1, 100, 0.1), (2**64, 100, 0.1), (1, 2, 0.1), (1, 100, -0.1), (1, 100, 1.0)]
)
def test_an_argument_outside_its_range_is_refused(seed, bars, pull):
    with pytest.raises(ConfigError, match="planted market"):
        planted(seed, bars, pull=pull)
