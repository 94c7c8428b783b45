"""Section 3: self-trade prevention over a master account and its sub-accounts, by the mode of the taker."""

from __future__ import annotations

import pytest

from tests.venue.desk import desk


@pytest.fixture
def one():
    return desk().alone()


def test_the_default_is_cancel_maker(one):
    client = one.client()
    assert client.rows("account/config")[0]["acctStpMode"] == "cancel_maker"
    assert client.record(client.placed("buy", "1", "49000"))["stpMode"] == "cancel_maker"


def test_cancel_maker_cancels_the_own_maker_and_goes_on(one):
    client, stranger = one.client(), one.client("other")
    own = client.placed("sell", "1", "50000")
    other = stranger.placed("sell", "1", "50001")
    taker = client.placed("buy", "1", "50002")
    assert client.state(own) == ("canceled", "32")
    assert client.state(taker) == ("filled", "")
    assert stranger.state(other)[0] == "filled"


def test_cancel_taker_keeps_the_maker_and_ends_the_taker(one):
    client, stranger = one.client(), one.client("other")
    stranger.placed("sell", "1", "49999")
    own = client.placed("sell", "1", "50000")
    taker = client.placed("buy", "3", "50002", stpMode="cancel_taker")
    assert client.state(own) == ("live", "")
    assert client.state(taker) == ("canceled", "32")
    assert client.record(taker)["accFillSz"] == "1"


def test_cancel_both_cancels_the_first_maker_and_the_taker(one):
    client = one.client()
    first, second = client.placed("sell", "1", "50000"), client.placed("sell", "1", "50001")
    taker = client.placed("buy", "3", "50002", stpMode="cancel_both")
    assert client.state(first) == client.state(taker) == ("canceled", "32")
    assert client.state(second)[0] == "live"


def test_it_acts_across_sub_accounts(one):
    first, second = one.client("sub1"), one.client("sub2")
    own = first.placed("sell", "1", "50000")
    taker = second.placed("buy", "1", "50000")
    assert first.state(own) == ("canceled", "32")
    assert second.state(taker)[0] == "live"


def test_it_does_not_act_between_masters(one):
    first, second = one.client("main"), one.client("other")
    own = first.placed("sell", "1", "50000")
    second.placed("buy", "1", "50000")
    assert first.state(own)[0] == "filled"


def test_only_a_maker_that_is_reached_is_cancelled(one):
    client, stranger = one.client(), one.client("other")
    stranger.placed("sell", "1", "50000")
    own = client.placed("sell", "1", "50000")
    client.placed("buy", "1", "50000")
    assert client.state(own)[0] == "live"


def test_the_mode_of_the_taker_decides_not_that_of_the_maker(one):
    client = one.client()
    own = client.placed("sell", "1", "50000", stpMode="cancel_taker")
    client.placed("buy", "1", "50000", stpMode="cancel_maker")
    assert client.state(own) == ("canceled", "32")


def test_fok_with_cancel_taker_that_reaches_an_own_order_is_cancelled_whole(one):
    client, stranger = one.client(), one.client("other")
    stranger.placed("sell", "1", "49999")
    own = client.placed("sell", "1", "50000")
    taker = client.placed("buy", "2", "50002", ordType="fok", stpMode="cancel_taker")
    assert client.state(taker) == ("canceled", "32")
    assert client.record(taker)["accFillSz"] == "0"
    assert client.state(own)[0] == "live"


def test_fok_with_cancel_maker_does_not_count_own_orders(one):
    client, stranger = one.client(), one.client("other")
    client.placed("sell", "1", "50000")
    stranger.placed("sell", "1", "50001")
    assert client.state(client.placed("buy", "2", "50002", ordType="fok")) == ("canceled", "13")
    assert client.state(client.placed("buy", "1", "50002", ordType="fok"))[0] == "filled"


def test_fok_with_cancel_both_is_refused(one):
    assert one.client().refused("buy", "1", "50000", ordType="fok", stpMode="cancel_both") == "51000"


def test_stp_id_is_there_and_empty(one):
    client = one.client()
    assert client.record(client.placed("buy", "1", "49000"))["stpId"] == ""


def test_nobody_ever_trades_with_itself():
    """A thousand random orders of one master and one stranger: no trade has two sides of one master."""
    from random import Random

    one = desk().alone()
    random = Random(3)
    clients = [one.client(label) for label in ("main", "sub1", "sub2", "other")]
    for _ in range(1000):
        client = random.choice(clients)
        client.order(random.choice(["buy", "sell"]), "0.01", str(49_990 + random.randrange(20)),
                     stpMode=random.choice(["cancel_maker", "cancel_taker", "cancel_both"]))  # fmt: skip
    sides: dict[str, list[str]] = {}
    for account in one.demo.accounts.values():
        for fill in account.fills:
            sides.setdefault(str(fill.done.trade_id), []).append(account.main_uid)
    assert len(sides) > 50
    assert all(len(masters) == len(set(masters)) == 2 for masters in sides.values())
