"""Worked examples of the exchange: prices, margin, volume, fees, entering and leaving (`desk` gives the world)."""

from __future__ import annotations

from math import copysign

import pytest

from prometheus.v10.core import capital, exchange, fences

from .desk import CONFIG, LOT, Desk, bars, known, near, near32, new_desk

# The open is 1000, the last close was 995. Half the spread of 2 USDT is 1 USDT. Volatility is 2 %, mean volume 4 BTC.
# Nobody fills more than 5 lots.
TERMS = exchange.Terms(1, 1000.0, 995.0, 1.0, 0.02, 4.0, 5.0, 5.01)
# 4 lots are 0.04 BTC, 1 % of the mean volume: impact = 0.5 x 0.02 x sqrt(0.01) = 0.001, 1 USDT at 1000.
BUY_4, SELL_4 = 1000.0 + 1.0 + 1.0, 1000.0 - 1.0 - 1.0


def enter(desk: Desk, wanted: float, terms: exchange.Terms = TERMS) -> None:
    exchange.enter(0, wanted, terms, desk.agents, desk.books, desk.log, CONFIG)


def leave(desk: Desk, wanted: float, terms: exchange.Terms = TERMS) -> None:
    exchange.leave(0, wanted, terms, desk.agents, desk.books, desk.log, CONFIG)


def test_codes_of_kinds_flags_and_deaths_are_the_published_ones() -> None:
    kinds = (exchange.ENTRY, exchange.EXIT, exchange.REVIEW_FLATTEN, exchange.LIQUIDATION, exchange.SETTLEMENT)
    assert kinds == (0, 1, 2, 3, 4)
    flags = (exchange.FLAG_PARTIAL, exchange.FLAG_UNFILLED, exchange.FLAG_MARGIN_CAPPED, exchange.FLAG_BELOW_LOT)
    assert (*flags, exchange.FLAG_FORCED) == (1, 2, 4, 8, 16)
    assert (exchange.DEAD_DEPLETED, exchange.DEAD_LIQUIDATION) == (1, 2)
    assert exchange.FUNDING_PERIOD_S == 28_800


def test_a_lot_is_contract_size_times_contracts() -> None:
    assert exchange.lot_quantity(CONFIG) == near(0.5 * 0.02)


def test_a_lot_ties_up_initial_margin_and_the_taker_fee() -> None:
    # 1000 USDT x 0.01 BTC = 10 USDT; half of it is margin at leverage 2, and 0.1 % of it is the fee.
    assert exchange.lot_margin(1000.0, CONFIG) == near(5.0 + 0.01)


@pytest.mark.parametrize(("cash", "lots"), [(-1.0, 0.0), (5.0, 0.0), (5.02, 1.0), (15.0, 2.0), (15.04, 3.0)])
def test_the_largest_order_is_whole_lots_that_cash_can_margin(cash: float, lots: float) -> None:
    assert exchange.largest_order(cash, 5.01) == lots


@pytest.mark.parametrize(
    ("quantity", "volatility", "mean_volume", "fraction"),
    [
        (0.04, 0.02, 4.0, 0.5 * 0.02 * 0.1),  # sqrt(0.04 / 4) = 0.1
        (0.01, 0.02, 4.0, 0.5 * 0.02 * 0.05),  # a quarter of the quantity moves half as much
        (4.0, 0.9, 1.0, 0.1),  # 0.5 x 0.9 x 2 = 0.9, capped at 10 %
        (0.04, 0.02, 0.0, 0.1),  # no volume: the cap
        (0.01, 0.02, 1.0, 0.5 * 0.02 * 0.1),  # sqrt(0.01 / 1) = 0.1
    ],
)
def test_impact_is_the_square_root_law_capped_at_a_tenth(
    quantity: float, volatility: float, mean_volume: float, fraction: float
) -> None:
    assert exchange.impact_fraction(quantity, volatility, mean_volume, CONFIG) == near(fraction)


@pytest.mark.parametrize(
    ("reference", "side", "half_spread", "impact", "price"),
    [
        (1000.0, 1.0, 1.0, 0.001, 1002.0),  # 1000 + 1 + 1 lies on a tick of 0.5
        (1000.0, -1.0, 1.0, 0.001, 998.0),  # 1000 - 1 - 1
        (1000.0, 1.0, 1.1, 0.001, 1002.5),  # 1002.1, up to the next tick: against the buyer
        (1000.0, -1.0, 1.1, 0.001, 997.5),  # 997.9, down: against the seller
        (1000.0, 1.0, 1.0000001, 0.001, 1002.0),  # 2e-7 ticks above a tick count as on it
        (1000.0, -1.0, 1.0000001, 0.001, 998.0),
        (1000.0, 1.0, 1.00001, 0.001, 1002.5),  # 2e-5 ticks above it do not
        (1000.0, -1.0, 1.00001, 0.001, 997.5),
        (0.5, -1.0, 1.0, 0.0, 0.5),  # a seller never gets less than one tick
    ],
)
def test_a_taker_pays_half_the_spread_and_impact_rounded_against_it(
    reference: float, side: float, half_spread: float, impact: float, price: float
) -> None:
    assert exchange.fill_price(reference, side, half_spread, impact, 0.5) == near(price)


def test_terms_take_liquidity_of_the_close_before_and_volume_of_the_bar() -> None:
    market = bars((900, 999, 890, 995, 3.0), (1000, 1010, 990, 1001, 0.57))
    terms = exchange.terms_of(1, market, known([0.02, 0.9], [4.0, 9.0], [2.0, 9.0]), CONFIG)
    # 10 % of 0.57 BTC are 5.7 lots: 5 whole ones.
    assert tuple(terms) == near((1, 1000.0, 995.0, 0.5 * 2.0, 0.02, 4.0, 5.0, 5.01))


def test_a_plain_entry_books_price_fee_slippage_and_experience() -> None:
    desk = new_desk()
    desk.seat(0, cash=100.0)
    desk.agents.costs[:, 0], desk.agents.unfilled[0] = (1.0, 2.0, 3.0), 2
    enter(desk, 4.0)
    fee = 0.04 * 1002.0 * 0.001  # BTC x USDT x rate
    agents, money = desk.agents, desk.books.money
    assert (desk.account["position"][0], desk.account["entry_price"][0], desk.net["entry_tick"][0]) == (
        4.0,
        near(BUY_4),
        1,
    )
    assert desk.account["cash"][0] == near(100.0 - fee)
    assert agents.costs[:, 0].tolist() == near([1.0 + fee, 2.0, 3.0 + 0.04 * 2.0])  # 2 USDT a BTC of slippage
    assert (money[capital.FEES], money[capital.SLIPPAGE]) == near((fee, 0.08))
    # All filled (0); the third tick of a reference of four (0.75); 7 USDT from the close of 995; impact 0.1 %.
    assert desk.net["impedance"][:, 0].tolist() == near32([0.0, 0.75, 7.0 / 995.0, 0.001])
    assert agents.unfilled[0] == 0
    assert desk.fence(fences.MARGIN_CAP) == desk.fence(fences.PARTICIPATION_CAP) == (1, 0, 0)
    ids, values = desk.order_record(0)
    assert ids == [1, 100, exchange.ENTRY, 0, 0]
    assert values == near([4.0, 4.0, 1002.0, 995.0, fee, 0.001, 0.0, 4.0])


def test_a_sell_of_one_lot_opens_a_short() -> None:
    desk = new_desk()
    desk.seat(0, cash=100.0)
    enter(desk, -1.0)
    # 0.01 BTC of 4: impact 0.5 x 0.02 x 0.05 = 0.0005, 0.5 USDT; 1000 - 1 - 0.5.
    assert (desk.account["position"][0], desk.account["entry_price"][0]) == (-1.0, near(998.5))
    assert desk.agents.costs[2, 0] == near(0.01 * 1.5)
    assert desk.order_record(0)[1][:2] == [-1.0, -1.0]


def test_a_buy_of_one_lot_opens_a_long() -> None:
    desk = new_desk()
    desk.seat(0, cash=100.0)
    enter(desk, 1.0)
    assert (desk.account["position"][0], desk.account["entry_price"][0]) == (1.0, near(1001.5))


@pytest.mark.parametrize(
    ("cash", "wanted", "most", "filled", "flags", "margin", "volume"),
    [
        (12.0, 5.0, 9.0, 2.0, 4, (1, 1, 0), (1, 0, 0)),  # 12 / 5.01 = 2.4: two lots
        (25.06, 5.0, 9.0, 5.0, 0, (1, 0, 0), (1, 0, 0)),  # just the five lots it wanted
        (5.5, 5.0, 9.0, 1.0, 4, (1, 1, 0), (1, 0, 0)),  # one lot
        (1000.0, 8.0, 6.0, 6.0, 1, (1, 0, 0), (1, 1, 0)),  # the volume gives six of eight
        (1000.0, 8.0, 1.0, 1.0, 1, (1, 0, 0), (1, 1, 0)),  # or one
        (30.0, 9.0, 2.0, 2.0, 5, (1, 1, 0), (1, 1, 0)),  # margin allows 5, volume 2
        (5.0, 5.0, 9.0, 0.0, 6, (1, 1, 1), (1, 0, 0)),  # below one lot: refused
        (1000.0, 8.0, 0.0, 0.0, 3, (1, 0, 0), (1, 1, 1)),  # no volume: refused
    ],
)
def test_margin_and_volume_cap_an_entry(
    cash: float, wanted: float, most: float, filled: float, flags: int,
    margin: tuple[int, int, int], volume: tuple[int, int, int],
) -> None:  # fmt: skip
    desk = new_desk()
    desk.seat(0, cash)
    enter(desk, wanted, TERMS._replace(most_lots=most))
    assert desk.account["position"][0] == filled
    assert desk.fence(fences.MARGIN_CAP) == margin
    assert desk.fence(fences.PARTICIPATION_CAP) == volume
    ids, values = desk.order_record(0)
    assert ids == [1, 100, exchange.ENTRY, flags, 0]
    assert values[:2] == [wanted, filled]
    assert desk.net["impedance"][0, 0] == near32(1.0 - filled / wanted)


def test_a_refused_order_costs_nothing_but_time() -> None:
    desk = new_desk()
    desk.seat(0, cash=5.0)
    desk.agents.unfilled[0] = 1
    enter(desk, 5.0)
    agents = desk.agents
    assert (desk.account["cash"][0], desk.account["position"][0], agents.costs[:, 0].tolist()) == (
        5.0,
        0.0,
        [0.0, 0.0, 0.0],
    )
    assert desk.net["impedance"][:, 0].tolist() == [1.0, 0.5, 0.0, 0.0]  # nothing filled; the second tick of four
    assert agents.unfilled[0] == 2
    assert desk.order_record(0)[1] == [5.0, 0.0, 0.0, 995.0, 0.0, 0.0, 0.0, 0.0]


def test_waiting_is_never_more_than_the_reference() -> None:
    desk = new_desk()
    desk.agents.unfilled[0] = 9
    assert exchange.waited(0, desk.agents, CONFIG) == 1.0  # (1 + 9) / 4 is 2.5


def test_a_long_leaves_by_a_sale() -> None:
    desk = new_desk()
    desk.seat(0, cash=50.0, position=4.0, entry=990.0)
    leave(desk, -4.0)
    realised, fee = 0.04 * (998.0 - 990.0), 0.04 * 998.0 * 0.001
    money = desk.books.money
    assert (desk.account["position"][0], desk.account["cash"][0]) == (0.0, near(50.0 + realised - fee))
    assert (money[capital.REALISED], money[capital.FEES]) == near((realised, fee))
    assert desk.net["impedance"][:, 0].tolist() == near32([0.0, 0.25, 3.0 / 995.0, 0.001])
    ids, values = desk.order_record(0)
    assert ids == [1, 100, exchange.EXIT, 0, 0]
    assert values == near([-4.0, -4.0, 998.0, 995.0, fee, 0.001, realised, 0.0])


def test_a_short_leaves_by_a_purchase() -> None:
    desk = new_desk()
    desk.seat(0, cash=50.0, position=-4.0, entry=1010.0)
    leave(desk, 4.0)
    assert desk.account["cash"][0] == near(50.0 + 0.04 * 8.0 - 0.04 * 1002.0 * 0.001)
    assert desk.order_record(0)[1][:3] == near([4.0, 4.0, BUY_4])


def test_an_exit_of_one_short_lot_buys() -> None:
    desk = new_desk()
    desk.seat(0, cash=50.0, position=-1.0, entry=1010.0)
    leave(desk, 1.0)
    assert desk.order_record(0)[1][:3] == near([1.0, 1.0, 1001.5])


@pytest.mark.parametrize(("most", "filled"), [(4.0, 4.0), (1.0, 1.0)])
def test_the_rest_of_a_partial_exit_stays_and_waits(most: float, filled: float) -> None:
    desk = new_desk()
    desk.seat(0, cash=50.0, position=7.0, entry=1000.0)
    leave(desk, -7.0, TERMS._replace(most_lots=most))
    assert (desk.account["position"][0], desk.agents.unfilled[0], desk.agents.trades[0]) == (7.0 - filled, 1, 0)
    assert desk.net["impedance"][0, 0] == near32(1.0 - filled / 7.0)
    assert desk.order_record(0)[0] == [1, 100, exchange.EXIT, exchange.FLAG_PARTIAL, 0]


def test_an_exit_without_volume_is_refused() -> None:
    desk = new_desk()
    desk.seat(0, cash=50.0, position=7.0, entry=1000.0)
    leave(desk, -7.0, TERMS._replace(most_lots=0.0))
    assert (desk.account["position"][0], desk.agents.unfilled[0], desk.account["cash"][0]) == (7.0, 1, 50.0)
    ids, values = desk.order_record(0)
    assert ids == [1, 100, exchange.EXIT, 3, 0]
    assert values == [-7.0, 0.0, 0.0, 995.0, 0.0, 0.0, 0.0, 7.0]


@pytest.mark.parametrize(
    ("position", "lots", "price", "rate", "left", "trades", "wins"),
    [
        (4.0, 3.0, 1010.0, 0.001, 1.0, 0, 0),  # part of a long: no round trip yet
        (-4.0, 3.0, 990.0, 0.001, -1.0, 0, 0),
        (1.0, 1.0, 1003.0, 0.001, 0.0, 1, 1),  # 0.03 earned, 0.02003 of fees
        (1.0, 1.0, 1001.5, 0.001, 0.0, 1, 0),  # 0.015 earned: more than one fee of 0.01, less than both
        (-2.0, 2.0, 990.0, 0.001, 0.0, 1, 1),
        (-1.0, 1.0, 1010.0, 0.001, 0.0, 1, 0),
        (1.0, 1.0, 1000.0, 0.0, 0.0, 1, 0),  # earning exactly the fees is no win
    ],
)
def test_closing_books_profit_fee_and_the_round_trip(
    position: float, lots: float, price: float, rate: float, left: float, trades: int, wins: int
) -> None:
    desk = new_desk()
    desk.seat(0, 50.0, position, 1000.0)
    desk.agents.unfilled[0] = 3
    realised = exchange.close_position(desk.agents, desk.books, 0, lots, price, rate, LOT)
    side = position / abs(position)
    profit, fee = side * lots * 0.01 * (price - 1000.0), lots * 0.01 * price * rate
    assert realised == near(profit)
    assert desk.account["cash"][0] == near(50.0 + profit - fee)
    assert desk.agents.costs[:, 0].tolist() == near([fee, 0.0, 0.0])
    assert (desk.books.money[capital.REALISED], desk.books.money[capital.FEES]) == near((profit, fee))
    assert desk.account["position"][0] == left
    assert copysign(1.0, desk.account["position"][0]) == copysign(1.0, left)  # flat is +0, after a short too
    assert (desk.agents.trades[0], desk.agents.wins[0]) == (trades, wins)
    assert desk.books.tally[capital.ROUND_TRIPS] == trades
    assert desk.agents.unfilled[0] == (0 if trades else 3)


def test_an_average_starts_at_its_first_sample_and_then_moves_by_alpha() -> None:
    desk = new_desk()
    desk.net["impedance"][:, 0] = (0.0, 0.0, 0.3, 0.2)  # a delay of 0 says that there was no sample yet
    exchange.note_fill(desk.agents, 0, 0.5, 0.25, 0.01, 0.002, 0.25)
    assert desk.net["impedance"][:, 0].tolist() == near32([0.5, 0.25, 0.01, 0.002])
    exchange.note_fill(desk.agents, 0, 0.1, 0.75, 0.03, 0.006, 0.25)
    # A quarter of the way from the average to the sample.
    assert desk.net["impedance"][:, 0].tolist() == near32([0.4, 0.375, 0.015, 0.003])


def test_the_dying_are_listed_in_order() -> None:
    desk = new_desk()
    exchange.add_death(desk.books, desk.scratch, 7, exchange.DEAD_LIQUIDATION)
    exchange.add_death(desk.books, desk.scratch, 4, exchange.DEAD_DEPLETED)
    assert desk.dying == [(7, 2), (4, 1)]


@pytest.mark.parametrize(
    ("keep_one_in", "flags", "numbers"),
    [(1, 0, [0, 1, 2, 3, 4]), (2, 0, [0, 2, 4]), (0, 0, []), (2, 1, [0, 1, 2, 3, 4])],
)
def test_the_log_keeps_the_eventful_and_a_sample_of_the_rest(keep_one_in: int, flags: int, numbers: list[int]) -> None:
    desk = new_desk(keep_one_in)
    for _ in range(5):
        exchange.log_order(desk.log, desk.books, 6, 42, 3, flags, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    assert desk.books.tally[capital.ORDERS] == 5
    kept = desk.log.state[0]
    assert desk.log.ids[:kept].tolist() == [[6, 42, 3, flags, number] for number in numbers]
    assert desk.log.values[:kept].tolist() == [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]] * len(numbers)


def test_orders_of_a_close_fill_at_the_next_open_and_the_depleted_die() -> None:
    market = bars((900, 999, 890, 995, 3.0), (1000, 1010, 990, 1001, 0.5))
    desk = new_desk()
    desk.seat(0, cash=100.0, order=4.0)
    desk.seat(1, cash=2.0)  # withdrew its order: nothing happens to it
    desk.seat(2, cash=5.5, position=1.0, entry=1000.0, order=-1.0)  # flat afterwards, with 5.475 USDT: one lot
    desk.seat(3, cash=5.0, order=1.0)  # cannot margin a lot
    desk.seat(4, cash=2.0, position=9.0, entry=1000.0, order=-9.0)  # five lots leave; still in the market
    desk.scratch.side[:] = 9.0
    desk.scratch.ordering[:5] = (0, 1, 2, 3, 4)
    desk.books.tally[capital.OPEN_ORDERS] = 5
    exchange.fill_orders(
        1, market, known([0.02, 0.9], [4.0, 9.0], [2.0, 9.0]), *desk[:2], desk.log, desk.scratch, CONFIG
    )
    assert desk.account["position"][:5].tolist() == [4.0, 0.0, 0.0, 0.0, 4.0]
    assert desk.account["order"][:5].tolist() == [0.0] * 5
    assert desk.account["cash"][2] == near(5.5 + 0.01 * (998.5 - 1000.0) - 0.01 * 998.5 * 0.001)
    assert desk.fence(fences.CAPITAL_DEPLETED) == (2, 1, 1)  # two were flat, one of them is depleted
    assert desk.dying == [(3, exchange.DEAD_DEPLETED)]
    assert desk.scratch.side[:5].tolist() == [9.0, 9.0, 9.0, 0.0, 9.0]
