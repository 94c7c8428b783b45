"""A session whose bars come one by one gives the bits of an experiment that has them all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prometheus.v10.core.world import NO_MASK, Experiment
from prometheus.v10.execution.session.live_window import LiveBar, LiveWindow
from prometheus.v10.execution.session.simulated_fills import SimulatedFills
from prometheus.v10.execution.session.world_session import WorldSession
from tests.unit.core.conftest import digest, make_market, run, small, wild

TICKS = 160


def bars(market: Any) -> list[LiveBar]:
    return [LiveBar(*row) for row in zip(*(column.tolist() for column in market), strict=True)]


@pytest.mark.parametrize("factor", [1.0, 8.0])
@pytest.mark.parametrize("mask_off", [[], [0, 5, 30]])
def test_bars_that_come_one_by_one_give_the_bits_of_the_whole_window(factor: float, mask_off: list[int]) -> None:
    config = small(founders=30, leverage_cap=10.0, death_roi=-0.3)
    market, mask = wild(make_market(3, TICKS, config), factor), NO_MASK.copy()
    mask[mask_off] = 0.0
    window = LiveWindow(TICKS, config, mask)
    experiment = Experiment(window.market, config, 7, mask=mask, environment=window.environment, keep_orders_one_in=1)
    # The simulated exchange knows its own bars: it opens a bar before the session has seen it.
    fills = SimulatedFills(market, Experiment(market, config, 7, mask=mask).environment, config)
    session = WorldSession(experiment, fills)
    for bar in bars(market):
        session.open_bar()
        window.add(bar)
        if not session.close_bar():
            break
    assert digest(session.result()) == digest(run(market, config, 7, mask=mask, keep_orders_one_in=1))


def test_a_tick_is_opened_once_and_closed_once() -> None:
    config = small()
    market = make_market(3, 3, config)
    experiment = Experiment(market, config, 1)
    session = WorldSession(experiment, SimulatedFills(market, experiment.environment, config))
    with pytest.raises(ValueError, match="before it is opened"):
        session.close_bar()
    session.open_bar()
    with pytest.raises(ValueError, match="it is open"):
        session.open_bar()
    assert session.close_bar()
    assert session.step()
    assert not session.step()
    with pytest.raises(ValueError, match="the session is done"):
        session.open_bar()


def test_a_bar_that_does_not_follow_or_is_none_is_refused() -> None:
    config = small()
    first, second, third = bars(make_market(3, 3, config))
    window = LiveWindow(2, config, NO_MASK)
    window.add(first)
    for wrong, said in [
        (third, "does not follow"), (second._replace(high=second.low / 2), "no bar"),
        (second._replace(close=float("nan")), "no bar"), (second._replace(volume=-1.0), "no bar"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=said):
            window.add(wrong)
    assert (window.known, np.isnan(window.market.close[1])) == (1, True)
    window.add(second)
    with pytest.raises(ValueError, match="is full"):
        window.add(third)
