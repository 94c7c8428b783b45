"""Worked examples of netting, one a rule, with numbers to redo by hand (`netting_desk` has the units)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from attrs import evolve

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.execution.netting.agent_accounts import AgentAccount
from prometheus.v10.execution.netting.allocation import proportional, tie_break
from prometheus.v10.execution.netting.crossing import Sides, mid_price_counterfactual
from prometheus.v10.execution.netting.net_round import settle_round
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_terms import Contract, Delta, Force, Touch

from .netting_desk import CONTRACT, RUN, TOUCH, lots_of, plan, settled, trade

D, F = Decimal, Fraction


def test_wishes_become_one_order() -> None:
    made = plan((1, 5), (2, -3), (3, 4), (4, 0))
    assert made.sides == Sides(buy=9, sell=3, crossed=3, net=6)
    assert made.order_lots == 6
    assert [delta.agent for delta in made.deltas] == [1, 2, 3]


def test_buyers_pay_the_orders_mean_and_crossed_sellers_get_the_bid() -> None:
    # Bought 6 outside: 4 at 102 and 2 at 105, mean (408 + 210) / 6 = 103.
    found = settled((1, 5), (2, -3), (3, 4), trades=[(4, 102), (2, 105)])
    assert found.prices == (F(103), F(103), F(100))
    assert [share[:3] for share in found.shares] == [(1, 5, 515), (2, -3, 300), (3, 4, 412)]


def test_sellers_get_the_orders_mean_and_crossed_buyers_pay_the_ask() -> None:
    # Sold 2 outside at 99; the crossed buyer pays the ask of 102.
    found = settled((1, 3), (2, -5), trades=[(2, 99)])
    assert found.prices == (F(99), F(102), F(99))
    assert [share[:3] for share in found.shares] == [(1, 3, 306), (2, -5, 495)]


def test_when_all_crosses_buyers_pay_the_ask_and_sellers_get_the_bid() -> None:
    found = settled((1, 4), (2, -4))
    assert found.plan.order_lots == 0
    assert [share[:3] for share in found.shares] == [(1, 4, 408), (2, -4, 400)]
    assert found.spread == 8  # 4 lots x 2 ticks


def test_a_light_side_never_gets_better_than_the_order_did() -> None:
    # The order bought below the bid, at 97: the crossed seller gets 97 too, not the bid of 100.
    assert settled((1, 5), (2, -3), trades=[(2, 97)]).prices == (F(97), F(97), F(97))
    assert settled((1, 3), (2, -5), trades=[(2, 110)]).prices == (F(110), F(110), F(110))


def test_an_order_without_a_fill_leaves_the_crossing_at_the_touch() -> None:
    found = settled((1, 5), (2, -3))
    assert found.prices == (F(102), F(102), F(100))
    assert lots_of(found) == {1: 3, 2: -3}


def test_the_surplus_is_the_crossed_spread_and_the_saved_fees() -> None:
    # Crossed 3 lots between 103 and 100: 9 quanta. Agents' notional 515 + 300 + 412 = 1227 quanta, outside 618: the
    # fees of 609 quanta are saved, 1 % of them is 6.09 quanta. 15.09 quanta of 0.001 USDT.
    found = settled((1, 5), (2, -3), (3, 4), trades=[(4, 102), (2, 105)])
    assert (found.spread, found.rounding) == (9, 0)
    assert (found.fees, found.fee_due, found.fee_paid) == (D("0.01227"), D("0.00618"), D("0.00618"))
    assert found.surplus == D("0.01509")


def test_money_is_rounded_against_the_agent_and_the_rest_is_the_houses() -> None:
    # Mean (101 + 102) / 2 = 101.5: one lot is paid with 102 and received with 101.
    bought = settled((1, 1), (2, 1), trades=[(1, 101), (1, 102)])
    assert [share.notional for share in bought.shares] == [102, 102]
    assert bought.rounding == 204 - 203
    sold = settled((1, -1), (2, -1), trades=[(1, 101), (1, 102)])
    assert [share.notional for share in sold.shares] == [101, 101]
    assert sold.rounding == 203 - 202


def test_a_part_fill_is_shared_in_proportion() -> None:
    # 6 of 12 lots: each gets half.
    assert lots_of(settled((1, 2), (2, 4), (3, 6), trades=[(6, 102)])) == {1: 1, 2: 2, 3: 3}


def test_leftover_lots_go_to_the_largest_remainders() -> None:
    # 5 lots over wishes of 3, 3 and 1: exact shares 15/7 = 2 1/7, 2 1/7 and 5/7. Floors 2, 2, 0; one lot is left.
    assert proportional(5, [(1, 3), (2, 3), (3, 1)], lambda _: b"") == {1: 2, 2: 2, 3: 1}


def test_equal_remainders_are_settled_by_the_hash_of_run_tick_and_agent() -> None:
    first = min((1, 2), key=lambda agent: tie_break(RUN, 7, agent))
    assert lots_of(settled((1, 1), (2, 1), trades=[(1, 102)])) == {first: 1, 3 - first: 0}
    assert {min((1, 2), key=lambda agent: tie_break(RUN, tick, agent)) for tick in range(50)} == {1, 2}


def test_forced_closes_come_first() -> None:
    # 3 of 10 lots: the liquidated agent's 2 are whole, one is left for the other's 8.
    found = settled((1, 0, 8, Force.NONE), (2, -2, 2, Force.LIQUIDATION), trades=[(3, 102)])
    assert lots_of(found) == {1: 1, 2: 2}


def test_forced_closes_share_when_there_is_too_little_for_all_of_them() -> None:
    found = settled((1, 0, 8, Force.NONE), (2, -2, 2, Force.DEATH), (3, -4, 4, Force.STOP), trades=[(3, 102)])
    assert lots_of(found) == {1: 0, 2: 1, 3: 2}


def test_a_net_order_below_the_smallest_is_deferred_and_nothing_crosses() -> None:
    found = settled((1, 5), (2, -3), contract=evolve(CONTRACT, min_lots=3))
    assert found.plan.deferred
    assert (found.plan.order_lots, lots_of(found), found.surplus) == (0, {1: 0, 2: 0}, D(0))


def test_mid_price_crossing_is_a_figure_and_pays_density() -> None:
    made = plan((1, 5), (2, -3), (3, 4))
    trades = [trade("a", 4, 102), trade("b", 2, 105)]
    # Buyers: (3 x 101 + 6 x 103) / 9 = 921 / 9; sellers the middle.
    assert mid_price_counterfactual(made.sides, TOUCH, trades) == (F(103), F(921, 9), F(101))
    assert settle_round(made, trades).prices.buy == 103


@pytest.mark.parametrize(
    ("trades", "said"),
    [
        ([trade("a", 7, 102)], "was filled with 7"),
        ([trade("a", 1, 102), trade("a", 2, 103)], "a trade twice"),
        ([trade("a", 1, 0)], "without lots or price"),
    ],
)
def test_fills_that_cannot_be_the_orders_are_refused(trades: list, said: str) -> None:
    with pytest.raises(ExchangeError, match=said):
        settle_round(plan((1, 5), (2, 1)), trades)


@pytest.mark.parametrize("wish", [(1, 0, 5, Force.DEATH), (1, 3, 5, Force.DEATH), (1, 3, -4, Force.STOP)])
def test_a_forced_wish_closes_what_is_held_and_no_more(wish: tuple) -> None:
    with pytest.raises(ValueError, match="forced"):
        plan(wish)


def test_an_agent_has_one_wish() -> None:
    with pytest.raises(ValueError, match="two wishes"):
        plan((1, 5), (1, -2))


# ---- accounts --------------------------------------------------------------------------------------------------------


def test_entry_price_is_the_average_and_a_reduction_realises_its_share() -> None:
    one = AgentAccount()
    one.trade(2, 200, D(0))
    one.trade(1, 106, D(0))
    assert one.entry_price == F(306, 3)
    assert one.trade(-2, 220, D("0.5")) == 220 - 204
    assert (one.lots, one.basis, one.flow, one.fees) == (1, 102, -86, D("0.5"))
    assert one.agrees


def test_what_a_reduction_rounds_off_the_last_one_takes() -> None:
    one = AgentAccount()
    one.trade(-3, 100, D(0))  # 33 1/3 a lot
    assert [one.trade(1, 30, D(0)) for _ in range(3)] == [3, 3, 4]
    assert (one.lots, one.basis, one.flow, one.entry_price) == (0, 0, 10, None)


def test_a_trade_through_zero_closes_and_opens() -> None:
    one = AgentAccount()
    one.trade(2, 200, D(0))
    assert one.trade(-5, 550, D(0)) == 20  # 2 of 5 lots for 220
    assert (one.lots, one.basis, one.entry_price) == (-3, 330, F(110))
    assert one.agrees


def account(**stakes: str) -> NettedAccount:
    return NettedAccount(RUN, CONTRACT, D(100), {int(name[1:]): D(stake) for name, stake in stakes.items()})


def test_an_unproved_order_lets_nothing_follow_until_it_is_proved() -> None:
    book = account(a1="10", a2="10")
    book.open_round(7, TOUCH, {1: (5, 0), 2: (-3, 0)})
    with pytest.raises(ExchangeError, match="the order of tick 7 is not proved"):
        book.open_round(8, TOUCH, {1: (1, 0)})
    assert all(one.lots == 0 for one in book.accounts.values())
    assert lots_of(book.settle([])) == {1: 3, 2: -3}  # proved not to be placed: what crossed inside stands
    book.open_round(8, TOUCH, {1: (1, 0)})


def test_a_trade_is_booked_once() -> None:
    book = account(a1="10")
    book.open_round(7, TOUCH, {1: (1, 0)})
    book.settle([trade("a", 1, 102)])
    book.open_round(8, TOUCH, {1: (1, 0)})
    with pytest.raises(ExchangeError, match="trade a was booked before"):
        book.settle([trade("a", 1, 102)])
    assert (book.accounts[1].lots, book.venue_lots) == (1, 1)


def test_funding_is_paid_by_lots_and_the_bills_rounding_is_the_houses() -> None:
    book = account(a1="10", a2="10")
    book.open_round(7, TOUCH, {1: (5, 0), 2: (-3, 0)})
    book.settle([trade("a", 2, 102)])
    # 0.001 BTC x 100 USDT x 0.0123 = 0.00123 USDT a lot. Longs pay; the bill of 2 lots says 0.0024 for 0.00246.
    assert book.fund(D(100), D("0.0123"), D("-0.0024")) == {1: D("0.00615"), 2: D("-0.00369")}
    assert book.house.funding_rounding == D("0.00006")


def test_a_close_by_the_exchange_is_shared_over_the_closed_side_and_halts() -> None:
    book = account(a1="10", a2="10", a3="10")
    book.open_round(7, TOUCH, {1: (6, 0), 2: (3, 0), 3: (-3, 0)})
    book.settle([trade("a", 6, 102)])
    # 3 of the longs' 9 lots: 2 and 1, at 90. The penalty of 0.3 USDT: 0.2 and 0.1.
    assert book.venue_closed(8, -3, [trade("liq", 3, 90)._replace(fee=D(0))], D("-0.3"), "liquidation") == {
        1: -2,
        2: -1,
    }
    assert (book.accounts[1].penalty, book.accounts[2].penalty) == (D("0.2"), D("0.1"))
    assert book.halted == "liquidation"
    with pytest.raises(ExchangeError, match="halted: liquidation"):
        book.open_round(9, TOUCH, {3: (-1, 0)})
    book.open_round(9, TOUCH, {3: (3, Force.STOP)})


@pytest.mark.parametrize(("side", "paid"), [(1, 103), (-1, 102)])
def test_a_close_by_the_exchange_is_rounded_against_the_agents(side: int, paid: int) -> None:
    book = account(a1="10", a2="10", a3="10")
    book.open_round(7, TOUCH, dict.fromkeys((1, 2, 3), (-side, 0)))
    book.settle([trade("a", 3, 100)])
    # 3 lots for 307 quanta: 102 1/3 a lot, paid with 103 and received with 102. 1e-7 USDT of penalty in three parts:
    # 3 1/3 units of 1e-8 each, charged as 4.
    before, kept = book.accounts[1].flow, book.house.rounding
    fills = [trade("x", 2, 102)._replace(fee=D(0)), trade("y", 1, 103)._replace(fee=D(0))]
    book.venue_closed(8, 3 * side, fills, D("-0.0000001"), "liquidation")
    assert book.accounts[1].flow - before == -side * paid
    assert book.house.rounding - kept == side * (3 * paid - 307)
    assert book.accounts[1].penalty == D("0.00000004")
    assert book.house.penalty_rounding == D("0.00000002")


def test_what_the_dead_leave_goes_to_the_reserve_and_a_birth_halves() -> None:
    book = account(a1="10", a2="10")
    book.move(1, 9, D("5"))
    assert book.bury(2) == 10
    assert (book.accounts[1].deposits, book.accounts[9].deposits, book.house.deposits) == (D(5), D(5), D(110))
    with pytest.raises(ValueError, match="more than eight decimals"):
        book.move(1, 9, D("0.000000001"))
    book.open_round(7, TOUCH, {1: (1, 0)})
    book.settle([trade("a", 1, 102)])
    with pytest.raises(ValueError, match="cannot be buried"):
        book.bury(1)


def test_the_reserve_is_told_with_and_without_what_netting_saved() -> None:
    book = account(a1="10", a2="10")
    book.open_round(7, TOUCH, {1: (4, 0), 2: (-4, 0)})
    result = book.settle([])
    # 8 quanta of spread and 1 % of 808 quanta of fees.
    assert result.surplus == D("0.008") + D("0.00808")
    assert book.house.reserve(CONTRACT, with_surplus=False) == 100
    assert book.house.reserve(CONTRACT, with_surplus=True) == D("100.01608")


@pytest.mark.parametrize("change", [{"lot_btc": D(0)}, {"tick": D(-1)}, {"min_lots": 0}, {"taker_rate": D(-1)}])
def test_a_contract_has_sense(change: dict) -> None:
    with pytest.raises(ValueError, match=r"positive|at least 1|no negative"):
        evolve(CONTRACT, **change)
    assert Contract(lot_btc=D("0.0001"), tick=D("0.1"), min_lots=1, taker_rate=D(0)).quantum == D("0.00001")
    with pytest.raises(ValueError, match="bid <= ask"):
        Touch(bid=5, ask=4, book_sha256="0" * 64)
    assert Delta(1, 0, 1).force == Force.NONE
