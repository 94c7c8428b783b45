"""A population of the frozen core on the practice venue: decisions, one order, proved fills, shares, money."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest

from prometheus.cli.research.venue_command import bars_of
from prometheus.v10.base.paths import Layout
from prometheus.v10.core.config import for_timeframe
from prometheus.v10.core.state import Market
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.derive.netted.rederived_round import broken_order, misfits
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.execution.desk.exchange_desk import ExchangeDesk, contract_of
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_invariants import AgentLimits
from prometheus.v10.execution.orders.order_chain import followed
from prometheus.v10.execution.orders.order_states import Ending
from prometheus.v10.execution.session.netted_fills import NettedFills
from prometheus.v10.execution.session.world_session import WorldSession
from prometheus.v10.execution.truth.stop_reasons import TradingState
from tests.execution.practice import BTC
from tests.execution.session import Session

BARS = 40
RUN = "HF_20260102T030405Z_abcdef0_{:04x}"
MINUTE_MS = 60_000


def market_from(venue, layout: Layout) -> Market:
    """The bars that the venue plays, from the next whole minute on."""
    bars = bars_of("synthetic", layout, seed=0, days=1)
    venue.pause((MINUTE_MS - venue.now_ms() % MINUTE_MS) / 1000)
    first = int(np.searchsorted(bars.open_time, venue.now_ms() // 1000))
    rows = slice(first, first + BARS)
    columns = [np.array(one[rows]) for one in (bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)]
    # What is paid for funding comes from the exchange's bills.
    return Market(*columns, np.zeros(BARS))  # type: ignore[arg-type, call-arg]


@pytest.fixture
def session(venue, tmp_path, fake_clock, faces):
    made = Session(venue, tmp_path, fake_clock, RUN.format(len(faces)))
    yield made
    made.end()


@pytest.mark.parametrize("faces", [(), ("reset", "50004", "502")], ids=["undisturbed", "answers lost"])
def test_agents_decide_one_order_goes_out_and_every_lot_and_cent_comes_back(session, venue, tmp_path, faces) -> None:
    driver = session.driver()
    cash = Decimal(driver.chain.states.opening["cash"])
    config = for_timeframe(
        60, founders=12, review_ticks=20, community_ticks=20, range_ticks=20, initial_total=float(cash),
        death_roi=-0.0005, breed_roi=0.0,
    )  # fmt: skip
    market = market_from(venue, Layout.under(tmp_path / "root"))
    experiment = Experiment(market, config, 7, keep_orders_one_in=1)
    stake = Decimal(experiment.initial_capital[0])
    contract = contract_of(driver.instrument, driver.port.fee(driver.instrument))
    account = NettedAccount(
        session.run, contract, cash - stake * config.founders, dict.fromkeys(range(config.founders), stake)
    )
    lines: list[bytes] = []
    desk = ExchangeDesk(driver, equity_tolerance=Decimal("0.01"))
    fills = NettedFills(BTC, account, desk, lambda line: lines.append(to_line(line)), AgentLimits())
    world = WorldSession(experiment, fills)
    began = venue.now_ms()
    while not world.done:
        if faces and experiment.tick % 9 == 4:  # the exchange takes the next order, and its answer is lost
            venue.inject(f"accepted.{faces[experiment.tick // 9 % len(faces)]}", "/api/v5/trade/order", count=1)
        world.open_bar()
        left = began + (experiment.tick + 1) * MINUTE_MS - venue.now_ms()
        venue.pause(max(1, left) / 1000)
        world.close_bar()
    result = world.result()

    rounds = [json.loads(line) for line in lines]
    assert [found for one in rounds for found in misfits(one)] == []
    assert broken_order(rounds) == []
    assert all(one["holds"] for one in rounds if one["status"] == "settled")
    assert sum(one["crossed_lots"] for one in rounds) > 0
    assert account.house.surplus > 0
    # The chain: each order once, each ended, and what was sent is what was chained.
    orders = driver.chain.states.orders
    assert len(orders) > 5
    assert {one.ending for one in orders.values()} <= {Ending.FILLED, Ending.CANCELED}
    assert [one["body"] for one in session.sends()] == [one.intent["body"] for one in orders.values()]
    assert followed(driver.chain.path).position(BTC) == driver.position_lots == account.venue_lots == 0
    assert driver.gate.state is TradingState.ACTIVE
    # The same money in three books: the exchange's, the exact ones, the core's.
    exact = sum((one.equity(contract, Decimal(0)) for one in account.accounts.values()), Decimal(0))
    assert abs(exact + account.house.reserve(contract, with_surplus=True) - desk.truth().equity) < Decimal("0.01")
    assert len(result.deaths.tick) > 0
