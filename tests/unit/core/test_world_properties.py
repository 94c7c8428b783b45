"""What must hold in every world: conservation, no look-ahead, order independence, finiteness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prometheus.v10.core import capital, decision, features, fences, genome, lifecycle
from prometheus.v10.core.state import Market, by_slot
from prometheus.v10.core.world import Experiment

from .conftest import arrays, digest, make_market, run, small, wild

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)

CONFIGS = st.fixed_dictionaries(
    {
        "leverage_cap": st.floats(0.5, 20.0),
        "taker_fee": st.floats(0.0, 0.01),
        "maintenance_margin": st.floats(0.001, 0.03),
        "max_participation": st.floats(1e-7, 1.0),
        "review_ticks": st.integers(10, 200),
        "death_roi": st.floats(-0.5, 0.05),
        "breed_roi": st.floats(0.001, 0.2),
        "allocation_ratio": st.floats(0.05, 0.99),
        "initial_total": st.floats(500.0, 1e6),
        "impact": st.floats(0.0, 50.0),
        "funding_default": st.floats(-0.01, 0.01),
    }
)


@QUICK
@given(changes=CONFIGS, market_seed=st.integers(0, 50), seed=st.integers(0, 2**63), factor=st.floats(0.1, 8.0))
def test_capital_is_conserved_and_finite_in_any_world(
    changes: dict[str, Any], market_seed: int, seed: int, factor: float
) -> None:
    config = small(**changes)
    result = run(wild(make_market(market_seed, 150, config), factor), config, seed)
    assert result.money[capital.RESIDUAL] <= 1e-9
    triplet = result.money[[capital.ALLOCATED, capital.RESERVE, capital.TOTAL]]
    assert triplet[0] + triplet[1] == pytest.approx(triplet[2], rel=1e-12)
    assert result.tally[capital.ALIVE] == 12 + result.tally[capital.BORN] - result.tally[capital.DIED]
    for path, array in arrays(result).items():
        assert np.isfinite(array.astype(np.float64)).all(), path


@QUICK
@given(cut=st.integers(20, 380), seed=st.integers(0, 1000), market_seed=st.integers(0, 20))
def test_what_comes_after_a_tick_changes_nothing_up_to_it(cut: int, seed: int, market_seed: int) -> None:
    config = small()
    market = make_market(market_seed, 400, config)
    other = make_market(market_seed + 1000, 400, config)

    def spliced(a: Any, b: Any) -> Any:
        return np.concatenate([a[:cut], b[cut:]])

    changed = Market(*(spliced(a, b) for a, b in zip(market, other, strict=True)))
    first, second = Experiment(market, config, seed), Experiment(changed, config, seed)
    first.step(cut)
    second.step(cut)
    assert digest(first.result()._replace()) == digest(second.result())


@QUICK
@given(data=st.data(), seed=st.integers(0, 1000))
def test_the_order_of_the_founders_changes_nobodys_life(data: st.DataObject, seed: int) -> None:
    config = small(review_ticks=10_000)  # no births: a child's draw is keyed by its number, which is an order
    market = make_market(seed % 7, 200, config)
    founding = genome.founders(seed, 12)
    order = np.array(data.draw(st.permutations(range(12))))
    plain, shuffled = run(market, config, founding=founding), run(market, config, founding=founding[order])
    for name in ("death_tick", "reason", "final_capital", "trades", "wins", "costs", "last_signal", "genomes"):
        assert (getattr(plain.lives, name)[order] == getattr(shuffled.lives, name)).all(), name
    assert plain.total_by_tick == pytest.approx(shuffled.total_by_tick, rel=1e-12)


@pytest.mark.parametrize("step", [1, 7, 64, 1000])
def test_how_ticks_are_grouped_changes_nothing(market: Market, step: int) -> None:
    assert digest(run(market, small(), step=step)) == digest(run(market, small(), step=33))


def test_a_stopped_experiment_is_the_same_as_one_over_fewer_bars(market: Market) -> None:
    stopped = Experiment(market, small(), 1)
    stopped.step(101)
    shorter = run(Market(*(column[:101] for column in market)), small())  # type: ignore[arg-type]
    assert digest(stopped.result()) == digest(shorter)


def test_recording_orders_changes_nothing_else(market: Market) -> None:
    silent, full = run(market, small()), run(market, small(), keep_orders_one_in=1)
    assert len(full.order_ids) == full.tally[capital.ORDERS] + (full.order_ids[:, 2] < 0).sum()
    assert digest(full._replace(order_ids=silent.order_ids, order_values=silent.order_values)) == digest(silent)


def test_recorded_orders_explain_the_books(market: Market) -> None:
    result = run(market, small(), keep_orders_one_in=1)
    realised, fees = result.order_values[:, 6].sum(), result.order_values[:, 4].sum()
    assert realised == pytest.approx(result.money[capital.REALISED])
    assert fees == pytest.approx(result.money[capital.FEES])


def test_a_market_that_jumps_liquidates_and_the_reserve_pays_the_debt() -> None:
    config = small(leverage_cap=50.0, review_ticks=10_000)
    result = run(wild(make_market(2, 300, config), 30.0), config)
    liquidated = result.deaths.reason == lifecycle.REASONS.index("liquidation")
    assert liquidated.any()
    assert (result.deaths.side[liquidated] != 0).all()
    assert result.fence[fences.LIQUIDATION, fences.TRIGGERS] == liquidated.sum()
    assert result.money[capital.RESIDUAL] <= 1e-9


def test_the_experiment_ends_at_its_collapse() -> None:
    config = small(death_roi=10.0)  # nobody can pass the first review
    result = run(make_market(1, 300, config), config)
    assert lifecycle.COLLAPSE_NAMES[result.collapse] == "extinction"
    assert result.collapse_tick == 47
    assert result.ticks == 48
    assert len(result.deaths.tick) == 12


def test_a_reserve_that_owes_more_than_it_has_is_a_financial_collapse() -> None:
    config = small(leverage_cap=100.0, allocation_ratio=0.999, review_ticks=10_000, maintenance_margin=0.001)
    market = wild(make_market(2, 300, config), 60.0)
    gaps = market._replace(open=np.concatenate([market.open[:1], market.close[:-1] * 0.5 + market.open[1:] * 0.5]))
    low = np.minimum(gaps.low, gaps.open)
    result = run(gaps._replace(low=low, high=np.maximum(gaps.high, gaps.open)), config)
    assert lifecycle.COLLAPSE_NAMES[result.collapse] in {"financial", "both"}
    assert result.money[capital.RESERVE] <= 0.0


def test_parent_and_child_share_the_parents_capital(market: Market) -> None:
    result = run(market, small(breed_roi=-1.0, death_roi=-2.0))
    assert len(result.births.child) > 12
    assert (result.births.parent < result.births.child).all()
    assert (result.lives.parent[result.births.child] == result.births.parent).all()
    assert 20 < result.births.mutated_loci.mean() < 50


def test_ablated_channels_read_zero(market: Market) -> None:
    mask = np.ones(genome.FEATURES, dtype=np.float32)
    mask[features.M_FIRST : features.C_FIRST] = 0.0
    experiment = Experiment(market, small(), 1, mask=mask)
    experiment.step(100)
    assert not experiment.agents.nets["own"][:, 4:].any()
    founding = genome.founders(1, 12)
    founding[:, [decision.locus(u, f) for u in range(10) for f in range(features.M_FIRST, features.C_FIRST)]] = 5.0
    assert digest(run(market, small(), mask=mask)._replace(lives=0)) == digest(  # type: ignore[arg-type]
        run(market, small(), mask=mask, founding=founding)._replace(lives=0)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("fence", ["entry_m7_below", "exit_m9_above", "exit_c4_above", "long_only"])
def test_man_made_fences_are_off_by_default_and_bite_when_on(market: Market, fence: str) -> None:
    row = fences.NAMES.index(f"FENCE_CORE_{fence.removesuffix('_below').removesuffix('_above').upper()}")
    off = run(market, small())
    on = run(market, small(**{fence: {"long_only": 1, "exit_c4_above": -1.0}.get(fence, 0.0)}))
    assert off.fence[row, fences.TRIGGERS] == 0
    assert on.fence[row, fences.TRIGGERS] > 0
    assert digest(on) != digest(off)


def test_every_feature_keeps_its_range(market: Market) -> None:
    experiment = Experiment(wild(market, 5.0), small(), 4)
    low, high = np.full(33, np.inf), np.full(33, -np.inf)
    while not experiment.done:
        experiment.step(1)
        own = by_slot(experiment.agents.nets["own"])[:, by_slot(experiment.agents.nets["alive"]) == 1]
        seen = np.concatenate(
            [
                experiment.environment.features[min(experiment.tick, 399)],
                own.max(axis=1, initial=-9),
                experiment.scratch.shared[28:],
            ]
        )
        least = np.concatenate(
            [
                experiment.environment.features[min(experiment.tick, 399)],
                own.min(axis=1, initial=9),
                experiment.scratch.shared[28:],
            ]
        )
        low, high = np.minimum(low, least), np.maximum(high, seen)
    limit = np.ones(33)
    limit[features.NAMES.index("M9_liquidation_impedance")] = 100.0
    assert (high <= limit).all(), dict(zip(features.NAMES, high, strict=True))
    assert (low >= -1.0).all()
    assert high[features.NAMES.index("M9_liquidation_impedance")] > 0.0
