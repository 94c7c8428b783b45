"""Worked examples of what the exchange does unasked: funding, liquidation, flattening (`desk` gives the world)."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.v10.core import capital, exchange, fences
from prometheus.v10.core.state import Market

from .desk import CONFIG, LOT, Desk, bars, known, near, new_desk


def liquidate(desk: Desk, market: Market) -> None:
    exchange.liquidate(0, market, desk.agents, desk.books, desk.log, desk.scratch, CONFIG)


def test_longs_pay_positive_funding_and_shorts_receive_it() -> None:
    desk = new_desk()
    desk.seat(0, cash=50.0, position=3.0, entry=900.0)
    desk.seat(1, cash=50.0, position=-1.0, entry=900.0)
    desk.seat(2, cash=50.0)
    desk.agents.costs[1, :3] = 1.0
    desk.books.money[capital.FUNDING] = 2.0
    exchange.pay_funding(1000.0, 0.0002, desk.agents, desk.books, LOT)
    # Notional 30 and -10 USDT, times 0.0002.
    assert desk.account["cash"][:3].tolist() == near([50.0 - 0.006, 50.0 + 0.002, 50.0])
    assert desk.agents.costs[1, :3].tolist() == near([1.006, 0.998, 1.0])
    assert desk.books.money[capital.FUNDING] == near(2.004)


@pytest.mark.parametrize(
    ("cash", "position", "price"),
    [
        (13.0, 4.0, 750.0),  # 0.04 BTC cost 40: (40 - 13) / (0.04 x 0.9)
        (15.0, -4.0, 1250.0),  # (40 + 15) / (0.04 x 1.1)
        (1.9, 1.0, 900.0),  # (10 - 1.9) / (0.01 x 0.9)
    ],
)
def test_the_liquidation_price_leaves_just_the_maintenance_margin(cash: float, position: float, price: float) -> None:
    assert exchange.liquidation_price(cash, position, 1000.0, LOT, 0.1) == near(price)
    assert exchange.margin_excess(cash, position, 1000.0, price, LOT, 0.1) == near(0.0)


def test_the_margin_excess_is_equity_less_the_maintenance_margin() -> None:
    # 13 USDT, 0.04 x (800 - 1000) = -8 USDT of loss, 10 % of 0.04 x 800 = 3.2 USDT of maintenance margin.
    assert exchange.margin_excess(13.0, 4.0, 1000.0, 800.0, LOT, 0.1) == near(13.0 - 8.0 - 3.2)
    # The short gained 8 USDT.
    assert exchange.margin_excess(13.0, -4.0, 1000.0, 800.0, LOT, 0.1) == near(13.0 + 8.0 - 3.2)


@pytest.mark.parametrize(
    ("cash", "position", "bar", "limit", "price"),
    [
        (13.0, 4.0, (900, 950, 740, 900, 1), 750.0, 750.0),  # inside the bar: at the limit
        (13.0, 4.0, (700, 950, 690, 900, 1), 750.0, 700.0),  # opened beyond it: at the open
        (13.0, 4.0, (600, 950, 590, 900, 1), 750.0, 600.0),  # so far that a debt is left
        (15.0, -4.0, (1100, 1260, 1000, 1050, 1), 1250.0, 1250.0),
        (15.0, -4.0, (1300, 1310, 1000, 1050, 1), 1250.0, 1300.0),
        (1.9, 1.0, (950, 960, 880, 900, 1), 900.0, 900.0),
        (13.0, 4.0, (0.2, 950, 0.1, 900, 1), 750.0, 0.5),  # never below one tick
    ],
)
def test_a_position_closes_where_its_margin_gave_out(
    cash: float, position: float, bar: tuple[float, float, float, float, float], limit: float, price: float
) -> None:
    desk = new_desk()
    desk.seat(0, cash, position, 1000.0)
    liquidate(desk, bars(bar))
    realised = position * 0.01 * (price - 1000.0)
    fee = abs(position) * 0.01 * price * 0.002  # the liquidation fee
    assert desk.account["cash"][0] == near(cash + realised - fee)
    assert desk.account["position"][0] == 0.0
    assert desk.scratch.side[0] == (1.0 if position > 0 else -1.0)
    assert desk.dying == [(0, exchange.DEAD_LIQUIDATION)]
    assert desk.fence(fences.LIQUIDATION) == (1, 1, 1)
    ids, values = desk.order_record(0)
    assert ids == [0, 100, exchange.LIQUIDATION, exchange.FLAG_FORCED, 0]
    assert values == near([-position, -position, price, limit, fee, 0.0, realised, 0.0])


def test_the_reserve_pays_the_debt_of_the_liquidated() -> None:
    desk = new_desk()
    desk.seat(0, cash=13.0, position=4.0, entry=1000.0)
    desk.books.money[capital.RESERVE] = 20.0
    liquidate(desk, bars((600, 950, 590, 900, 1)))
    capital.remove_agent(desk.agents, desk.books, 0)
    # 13 - 0.04 x 400 of loss - 0.04 x 600 x 0.002 of fee = -3.048 USDT.
    assert desk.books.money[capital.RESERVE] == near(20.0 - 3.048)


def test_the_sound_and_the_flat_are_left_alone() -> None:
    desk = new_desk()
    desk.seat(0, cash=14.0, position=4.0, entry=1000.0)  # 14 - 10 - 3 = 1 USDT of excess at 750
    desk.seat(1, cash=0.0)  # flat and broke: not a matter of margin
    desk.seat(2, cash=13.0, position=4.0, entry=1000.0)  # exactly 0 at 750: gone
    desk.seat(3, cash=13.0, position=4.0, entry=1000.0)
    liquidate(desk, bars((900, 950, 750, 900, 1)))
    assert desk.dying == [(2, 2), (3, 2)]
    assert desk.account["margin"][:4].tolist() == near([1.0, 1.0, 0.0, 0.0])
    assert desk.account["position"][:4].tolist() == [4.0, 0.0, 0.0, 0.0]


def test_nobody_dies_while_every_margin_holds() -> None:
    desk = new_desk()
    desk.seat(0, cash=13.5, position=4.0, entry=1000.0)  # 0.5 USDT of excess
    liquidate(desk, bars((900, 950, 750, 900, 1)))
    assert desk.dying == []
    assert desk.fence(fences.LIQUIDATION) == (0, 0, 0)
    assert desk.account["position"][0] == 4.0


def test_a_review_flattens_at_the_close_as_taker_and_drops_open_orders() -> None:
    desk = new_desk()
    desk.seat(0, cash=50.0, position=4.0, entry=990.0, order=-4.0)
    desk.seat(1, cash=50.0, position=-4.0, entry=990.0)
    desk.seat(2, cash=50.0, order=3.0)
    desk.seat(3, cash=50.0, position=1.0, entry=990.0)
    desk.agents.costs[2, 0] = 1.0
    market = bars((1, 1, 1, 1, 1), (900, 1100, 890, 1000, 0.0001))
    exchange.flatten_all(
        1, market, known([9.0, 0.02], [9.0, 4.0], [9.0, 2.0]), desk.agents, desk.books, desk.log,
        exchange.REVIEW_FLATTEN, CONFIG,
    )  # fmt: skip
    # Half the spread 1 USDT, impact of 0.04 BTC 1 USDT, of 0.01 BTC 0.5 USDT. The bar's volume is no limit here.
    fees = [0.04 * 998.0 * 0.001, 0.04 * 1002.0 * 0.001, 0.01 * 998.5 * 0.001]
    assert desk.account["cash"][:4].tolist() == near(
        [50.0 + 0.04 * 8.0 - fees[0], 50.0 - 0.04 * 12.0 - fees[1], 50.0, 50.0 + 0.01 * 8.5 - fees[2]]
    )
    assert desk.account["position"][:4].tolist() == desk.account["order"][:4].tolist() == [0.0] * 4
    assert desk.agents.costs[2, :4].tolist() == near([1.08, 0.08, 0.0, 0.015])
    assert desk.books.money[capital.SLIPPAGE] == near(0.08 + 0.08 + 0.015)
    assert desk.order_record(0)[0] == [1, 100, exchange.REVIEW_FLATTEN, 0, 0]
    assert desk.order_record(0)[1] == near([-4.0, -4.0, 998.0, 1000.0, fees[0], 0.001, 0.32, 0.0])
    assert desk.order_record(1)[1] == near([4.0, 4.0, 1002.0, 1000.0, fees[1], 0.001, -0.48, 0.0])
    assert desk.log.state[0] == 3


@pytest.mark.parametrize(
    ("hours", "timeframe_h", "series", "rate", "defaulted"),
    [
        (0, 1, np.nan, 0.0003, 1),  # 00:00 lies in [00:00, 01:00)
        (1, 1, np.nan, 0.0, 0),
        (7, 1, np.nan, 0.0, 0),  # 08:00 is the next bar's
        (8, 1, np.nan, 0.0003, 1),
        (0, 24, np.nan, 3 * 0.0003, 1),  # a day holds three boundaries
        (4, 8, np.nan, 0.0003, 1),
        (8, 1, -0.0007, -0.0007, 0),  # a series stands as it is
        (3, 1, 0.0004, 0.0004, 0),
    ],
)
def test_funding_is_booked_in_the_bar_that_holds_its_boundary(
    hours: int, timeframe_h: int, series: float, rate: float, defaulted: int
) -> None:
    config = CONFIG._replace(timeframe_s=timeframe_h * 3600)
    rates, count = exchange.funding_by_tick(np.array([hours * 3600]), np.array([series]), config)
    assert rates.tolist() == near([rate])
    assert count == defaulted
