"""A session fed with the simulated exchange's fills gives the very bits of `Experiment`, in many worlds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.core import exchange
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.records import Result
from prometheus.v10.core.state import Market
from prometheus.v10.core.world import Experiment
from prometheus.v10.execution.session.fills_port import AgentFill, AgentOrder, FundingRate, Opening, Succession
from prometheus.v10.execution.session.simulated_fills import SimulatedFills
from prometheus.v10.execution.session.world_session import WorldSession
from tests.unit.core.conftest import arrays, digest, make_market, run, small, wild

TICKS = 300
HOT = {"leverage_cap": 10.0, "death_roi": -0.5, "keep_orders_one_in": 1}
WORLDS: dict[str, dict[str, Any]] = {
    "as usual": {"founders": 40, "keep_orders_one_in": 3},
    "breeding": {"founders": 20, "death_roi": -2.0, "breed_roi": -1.0, "keep_orders_one_in": 1},
    "part fills": {"founders": 40, "max_participation": 1e-6, "wild": 3.0, **HOT},
    "thin": {"founders": 40, "max_participation": 3e-8, "wild": 3.0, **HOT},
    "poor": {"founders": 60, "initial_total": 100.0, "wild": 8.0, "review_ticks": 100, **HOT, "death_roi": -5.0},
    "gaps": {"founders": 40, "initial_total": 100.0, "gap": 1.3, **HOT},
    "liquidations": {"founders": 40, "wild": 8.0, **HOT},
    "extinction": {"founders": 9, "initial_total": 1000.0, "death_roi": 0.02, "breed_roi": 9.0},
    "long only": {"founders": 20, "long_only": 1, "keep_orders_one_in": 1},
}


def world(name: str) -> tuple[Market, WorldConfig, dict[str, Any]]:
    given = dict(WORLDS[name])
    factor = given.pop("wild", 1.0)
    options = {"keep_orders_one_in": given.pop("keep_orders_one_in", 0)}
    gap = given.pop("gap", None)
    config = small(**given)
    market = wild(make_market(3, TICKS, config), factor)
    if gap is not None:  # every bar opens above the close before, so that margin is short of what was decided
        opened = market.open.copy()
        opened[1:] = market.close[:-1] * gap
        market = market._replace(open=opened, high=np.maximum(market.high, opened))
    return market, config, options


def through_session(market: Market, config: WorldConfig, seed: int, fills: Any = None, **options: Any) -> Result:
    experiment = Experiment(market, config, seed, **options)
    session = WorldSession(experiment, fills or SimulatedFills(market, experiment.environment, config))
    while session.step():
        pass
    return session.result()


@pytest.mark.parametrize("seed", [1, 77, 4096])
@pytest.mark.parametrize("name", WORLDS)
def test_a_session_on_the_simulated_exchange_gives_the_bits_of_an_experiment(name: str, seed: int) -> None:
    market, config, options = world(name)
    wanted, found = run(market, config, seed, **options), through_session(market, config, seed, **options)
    differ = [
        path for path, array in arrays(wanted).items() if array.tobytes() != np.asarray(arrays(found)[path]).tobytes()
    ]
    assert differ == []
    assert digest(found) == digest(wanted)


def test_the_worlds_have_in_them_what_is_to_be_compared() -> None:
    results = {name: run(*world(name)[:2], 1, **world(name)[2]) for name in WORLDS}
    orders = {name: result.order_ids for name, result in results.items()}
    assert set(np.unique(orders["liquidations"][:, 2])) >= {
        exchange.ENTRY, exchange.EXIT, exchange.REVIEW_FLATTEN, exchange.LIQUIDATION
    }  # fmt: skip
    assert (orders["part fills"][:, 3] & exchange.FLAG_PARTIAL).any()
    assert (orders["thin"][:, 3] & exchange.FLAG_UNFILLED).any()
    assert (orders["gaps"][:, 3] & exchange.FLAG_MARGIN_CAPPED).any()
    assert set(results["poor"].deaths.reason.tolist()) >= {exchange.DEAD_DEPLETED}
    assert len(results["breeding"].births.child) > 0
    assert results["extinction"].collapse != 0


class Bent:
    """The simulated exchange with one thing changed about its fills."""

    def __init__(self, inner: SimulatedFills, **changes: Any) -> None:
        self.inner, self.changes = inner, changes

    def at_open(self, tick: int, orders: Any) -> Opening:
        opening = self.inner.at_open(tick, orders)
        return opening._replace(fills=[self.bend(fill) for fill in opening.fills])

    def funding(self, tick: int) -> FundingRate | None:
        return self.inner.funding(tick)

    def forced(self, tick: int, orders: list[AgentOrder]) -> list[AgentFill]:
        return [self.bend(fill) for fill in self.inner.forced(tick, orders)]

    def flat(self, tick: int, orders: list[AgentOrder]) -> list[AgentFill]:
        return [self.bend(fill) for fill in self.inner.flat(tick, orders)]

    def succession(self, tick: int, change: Succession) -> None:
        self.inner.succession(tick, change)

    def bend(self, fill: AgentFill) -> AgentFill:
        return fill._replace(**{name: change(fill) for name, change in self.changes.items()})


def bent(**changes: Any) -> Result:
    market, config, options = world("breeding")
    environment = Experiment(market, config, 1).environment
    return through_session(market, config, 1, Bent(SimulatedFills(market, environment, config), **changes), **options)


@pytest.mark.parametrize("column", ["price", "fee", "impact", "slippage", "expected"])
def test_every_number_of_a_fill_reaches_the_result(column: str) -> None:
    market, config, options = world("breeding")
    same = digest(run(market, config, 1, **options))
    assert digest(bent()) == same
    assert digest(bent(**{column: lambda fill: getattr(fill, column) * 1.001})) != same


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": lambda fill: fill.agent + 1},
        {"filled": lambda fill: fill.allowed + 1},
        {"filled": lambda _: -1},
        {"allowed": lambda fill: fill.allowed + 10_000},
    ],
)
def test_fills_that_do_not_answer_their_orders_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ExchangeError, match=r"is told|other agents"):
        bent(**changes)


def test_a_review_does_not_judge_who_could_not_be_closed_whole() -> None:
    market, config, options = world("breeding")
    fills = SimulatedFills(market, Experiment(market, config, 1).environment, config)

    class Stubborn(Bent):
        def flat(self, tick: int, orders: list[AgentOrder]) -> list[AgentFill]:
            return [fill._replace(filled=0) for fill in super().flat(tick, orders)]

    with pytest.raises(ExchangeError, match="is told 0 of"):
        through_session(market, config, 1, Stubborn(fills), **options)


def test_a_session_takes_no_experiment_that_has_begun() -> None:
    market, config, _ = world("as usual")
    begun = Experiment(market, config, 1)
    begun.step(1)
    with pytest.raises(ValueError, match="at tick 1"):
        WorldSession(begun, SimulatedFills(market, begun.environment, config))
