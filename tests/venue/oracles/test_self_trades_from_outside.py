"""Self-trade prevention across the sub-accounts of one master, in the three modes, as the record says it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.venue.oracles.trader import Trader


def own_offer(maker: Trader) -> tuple[str, Decimal, Decimal]:
    """An offer of ten lots at the best ask: its ordId, the price, and all that is shown at that price."""
    _, ask = maker.top()
    identity = maker.place("sell", "post_only", 10, ask)
    shown = dict(maker.levels("asks", 3))[ask]
    return identity, ask, shown


@pytest.mark.parametrize(
    ("mode", "maker_state", "taker_source"),
    [("cancel_maker", "canceled", "14"), ("cancel_taker", "live", "32"), ("cancel_both", "canceled", "32")],
)
def test_two_sub_accounts_never_trade_with_each_other(one, two, mode, maker_state, taker_source):
    offered, price, shown = own_offer(one)
    taken = two.place("buy", "ioc", str(shown + two.lot * 5), price, stpMode=mode)
    maker, taker = one.order(offered), two.order(taken)
    assert (maker["state"], maker["accFillSz"]) == (maker_state, "0")
    assert maker["cancelSource"] == ("32" if maker_state == "canceled" else "")
    assert (taker["state"], taker["cancelSource"], taker["stpMode"]) == ("canceled", taker_source, mode)
    assert Decimal(taker["accFillSz"]) == shown - one.lot * 10
    assert one.fills(offered) == []


def test_the_account_s_mode_stands_where_an_order_says_none(one, two):
    (config,) = two.client.get("account/config").data
    assert config["acctStpMode"] == "cancel_maker"
    offered, price, shown = own_offer(one)
    taken = two.place("buy", "ioc", str(shown), price)
    assert (one.order(offered)["state"], two.order(taken)["stpMode"]) == ("canceled", "cancel_maker")


def test_an_own_offer_that_is_not_reached_stays(one, two):
    offered, price, shown = own_offer(one)
    two.place("buy", "ioc", str(shown - one.lot * 10), price)
    assert one.order(offered)["state"] == "live"


def test_cancel_both_and_fill_or_kill_do_not_go_together(one):
    _, ask = one.top()
    assert one.refusal("buy", "fok", 1, ask, stpMode="cancel_both")


def test_a_fill_or_kill_order_that_meets_its_own_is_cancelled_whole(one, two):
    offered, price, shown = own_offer(one)
    taken = two.place("buy", "fok", str(shown), price, stpMode="cancel_taker")
    record = two.order(taken)
    assert (record["state"], record["accFillSz"]) == ("canceled", "0")
    assert one.order(offered)["state"] == "live"
