"""What is known of a market is computed once for experiments that share bars, physics and mask."""

from __future__ import annotations

from prometheus.v10.core import features
from prometheus.v10.core.world import NO_MASK, Experiment
from prometheus.v10.market.synthetic import synthetic
from prometheus.v10.runs.request.ablation import mask
from prometheus.v10.runs.request.setup import known_market, market_arrays
from tests.unit.core.conftest import digest, small

BARS = synthetic(3, 200, 3600)


def test_the_latest_is_kept_for_the_same_bars_physics_and_mask():
    first = known_market(BARS, small(), NO_MASK)
    assert known_market(BARS, small(review_ticks=48), mask("none")) is first
    assert known_market(BARS, small(), mask("E_ob_only")) is not first


def test_another_market_physics_or_mask_is_computed_anew():
    for bars, config, off in (
        (synthetic(4, 200, 3600), small(), NO_MASK),
        (BARS, small(range_ticks=24), NO_MASK),
        (BARS, small(), mask("E_ob_only")),
    ):
        known_market(BARS, small(), NO_MASK)
        market, _ = market_arrays(bars, config)
        known, expected = known_market(bars, config, off), features.environment(market, config, off)
        assert known.environment.features.tobytes() == expected.features.tobytes()
        assert known.environment.spread.tobytes() == expected.spread.tobytes()
        assert known.market.close.tobytes() == market.close.tobytes()


def test_an_experiment_that_is_given_its_environment_has_the_same_result():
    known = known_market(BARS, small(), mask("C_zeroed"))
    alone = Experiment(known.market, small(), 5, mask=known.mask)
    given = Experiment(known.market, small(), 5, mask=known.mask, environment=known.environment)
    while alone.step(64) | given.step(50):
        pass
    assert digest(given.result()) == digest(alone.result())
