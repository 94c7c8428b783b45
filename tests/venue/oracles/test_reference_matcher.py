"""The reference matcher against examples that can be redone by hand, and against itself over random streams."""

from __future__ import annotations

import pytest

from tests.venue.oracles.order_streams import Amend, Cancel, Place, stream
from tests.venue.oracles.reference_matcher import BUY, SELL, Order, ReferenceMatcher, Trade


def matcher_with(*orders: Order) -> ReferenceMatcher:
    matcher = ReferenceMatcher()
    for order in orders:
        matcher.place(order)
    return matcher


def sold(identity: int, price: int, size: int, owner: int = 0) -> Order:
    return Order(identity, owner, SELL, "limit", price, size)


def test_the_better_price_is_served_first_then_the_earlier_order():
    matcher = matcher_with(sold(1, 101, 2), sold(2, 100, 2), sold(3, 100, 2), Order(4, 1, BUY, "limit", 101, 5))
    assert matcher.trades == [Trade(2, 4, 100, 2), Trade(3, 4, 100, 2), Trade(1, 4, 101, 1)]
    assert matcher.orders[1].state == "partially_filled"
    assert matcher.orders[4].state == "filled"


def test_what_an_immediate_order_leaves_is_cancelled():
    matcher = matcher_with(sold(1, 100, 2), Order(2, 1, BUY, "ioc", 100, 5))
    assert (matcher.orders[2].filled, matcher.orders[2].state, matcher.orders[2].source) == (2, "canceled", "14")
    assert matcher.resting == []


def test_fill_or_kill_touches_nobody_unless_it_fills_whole():
    matcher = matcher_with(sold(1, 100, 2), sold(2, 101, 2), Order(3, 1, BUY, "fok", 100, 3))
    assert matcher.trades == []
    assert matcher.orders[3].source == "13"
    matcher.place(Order(4, 1, BUY, "fok", 101, 3))
    assert [trade.size for trade in matcher.trades] == [2, 1]


def test_a_post_only_order_that_would_take_is_cancelled():
    matcher = matcher_with(sold(1, 100, 2), Order(2, 1, BUY, "post_only", 100, 1), Order(3, 1, BUY, "post_only", 99, 1))
    assert matcher.orders[2].source == "31"
    assert matcher.best(BUY).identity == 3


@pytest.mark.parametrize(
    ("mode", "maker", "taker", "sizes"),
    [
        ("cancel_maker", "canceled", "filled", [1, 2]),
        ("cancel_taker", "live", "canceled", [1]),
        ("cancel_both", "canceled", "canceled", [1]),
    ],
)
def test_self_trades_are_prevented_as_the_taker_says(mode, maker, taker, sizes):
    """Order 2 is the taker's own; 1 stands before it and 3 behind it."""
    taking = Order(4, 1, BUY, "limit", 102, 3, mode)
    matcher = matcher_with(sold(1, 100, 1), sold(2, 101, 1, owner=1), sold(3, 102, 5), taking)
    assert (matcher.orders[2].state, taking.state) == (maker, taker)
    assert [trade.size for trade in matcher.trades] == sizes
    assert taking.source == ("" if taker == "filled" else "32")


def test_only_makers_that_are_reached_are_cancelled():
    matcher = matcher_with(sold(1, 100, 5), sold(2, 100, 1, owner=1), Order(3, 1, BUY, "limit", 100, 5))
    assert matcher.orders[2].state == "live"


def test_a_smaller_size_keeps_the_place_and_a_larger_one_loses_it():
    matcher = matcher_with(sold(1, 100, 5), sold(2, 100, 5))
    matcher.amend(1, 2, 100)
    assert matcher.best(SELL).identity == 1
    matcher.amend(1, 6, 100)
    assert matcher.best(SELL).identity == 2


def test_streams_meet_every_rule_and_conserve():
    sources, trades, cancelled, amended = set(), 0, 0, 0
    for seed in range(40):
        matcher = ReferenceMatcher()
        for step in stream(seed):
            match step:
                case Place(order):
                    matcher.place(order)
                case Cancel(identity):
                    cancelled += matcher.cancel(identity)
                case Amend(identity, size, price):
                    amended += matcher.amend(identity, size, price)
            assert matcher.conserved()
        trades += len(matcher.trades)
        sources |= {order.source for order in matcher.orders.values()}
    assert sources == {"", "1", "13", "14", "31", "32"}
    assert min(trades, cancelled, amended) > 50
