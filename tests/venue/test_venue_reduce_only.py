"""Section 3: reduce-only orders, closing orders of long/short mode, closing a position, cancel-all-after."""

from __future__ import annotations

import pytest

from tests.venue.desk import BTC, desk, flat, walk


@pytest.fixture
def one():
    return desk()


def reduce(client, side, sz, px=None, **more):
    return client.order(side, sz, px, reduceOnly=True, **more)["sCode"]


def test_reduce_only_without_a_position_is_51169(one):
    assert reduce(one.client(), "sell", "1", "50500") == "51169"


def test_reduce_only_in_the_direction_of_the_position_is_51170(one):
    client = one.client()
    client.placed("buy", "5")
    assert reduce(client, "buy", "1", "49000") == "51170"


def test_reduce_only_that_others_would_make_flip_is_51148(one):
    client = one.client()
    client.placed("buy", "5")
    client.placed("sell", "4", "50500")
    assert reduce(client, "sell", "2", "50600") == "51148"
    assert reduce(client, "sell", "1", "50600") == "0"


def test_reduce_only_larger_than_the_position_is_cut_to_it(one):
    client = one.client()
    client.placed("buy", "5")
    placed = client.placed("sell", "9", "50500", reduceOnly=True)
    record = client.record(placed)
    assert (record["sz"], record["reduceOnly"], record["state"]) == ("5", "true", "live")


def test_reduce_only_never_flips_a_position(one):
    client = one.client()
    client.placed("buy", "5")
    client.placed("sell", "9", reduceOnly=True)
    assert client.rows("account/positions") == []


def test_the_sum_of_reduce_only_orders_is_at_most_the_position_by_priority(one):
    client = one.client()
    client.placed("buy", "5")
    far = client.placed("sell", "3", "50600", reduceOnly=True)
    near = client.placed("sell", "3", "50500", reduceOnly=True)
    assert (client.record(near)["sz"], client.record(far)["sz"]) == ("3", "2")
    nearest = client.placed("sell", "5", "50400", reduceOnly=True)
    assert client.state(nearest)[0] == "live"
    assert client.state(near) == ("canceled", "22")
    assert client.state(far) == ("canceled", "22")


def test_a_reduce_only_order_without_room_is_accepted_and_cancelled(one):
    client = one.client()
    client.placed("buy", "5")
    client.placed("sell", "5", "50500", reduceOnly=True)
    assert client.state(client.placed("sell", "1", "50600", reduceOnly=True)) == ("canceled", "23")


def test_reduce_only_orders_shrink_with_the_position(one):
    client = one.client()
    client.placed("buy", "5")
    placed = client.placed("sell", "5", "50500", reduceOnly=True)
    client.placed("sell", "2")
    assert client.record(placed)["sz"] == "3"
    client.placed("sell", "3")
    assert client.state(placed) == ("canceled", "17")


def test_reduce_only_cannot_carry_take_profit_or_stop_loss(one):
    client = one.client()
    client.placed("buy", "5")
    assert reduce(client, "sell", "1", "50500", attachAlgoOrds=[{"tpTriggerPx": "51000"}]) == "51100"


def test_reduce_only_binds_no_margin(one):
    client = one.client()
    client.placed("buy", "5")
    free = client.rows("account/balance")[0]["details"][0]["availEq"]
    client.placed("sell", "5", "50500", reduceOnly=True)
    assert client.rows("account/balance")[0]["details"][0]["availEq"] == free


# ---- long/short mode -------------------------------------------------------------------------------------------------


@pytest.fixture
def sided(one):
    client = one.client()
    assert client.post("account/set-position-mode", {"posMode": "long_short_mode"})["code"] == "0"
    return client


@pytest.mark.parametrize("said", [{}, {"posSide": "net"}])
def test_long_short_mode_needs_pos_side(sided, said):
    result = sided.order("buy", "1", "49000", **said)
    assert (result["sCode"], "posSide" in result["sMsg"]) == ("51000", True)


def test_long_short_mode_keeps_a_record_for_each_side_and_both_are_positive(sided):
    sided.placed("buy", "2", posSide="long")
    sided.placed("sell", "3", posSide="short")
    rows = sided.rows("account/positions")
    assert {(row["posSide"], row["pos"]) for row in rows} == {("long", "2"), ("short", "3")}


def test_a_closing_order_is_at_most_the_position(sided):
    sided.placed("buy", "2", posSide="long")
    assert sided.refused("sell", "3", "50500", posSide="long") == "51112"
    sided.placed("sell", "1.5", "50500", posSide="long")
    assert sided.refused("sell", "1", "50500", posSide="long") == "51112"
    assert sided.position()["availPos"] == "0.5"


def test_a_closing_order_without_a_position_is_51169(sided):
    assert sided.refused("buy", "1", "49000", posSide="short") == "51169"


def test_closing_realises_the_result(sided, one):
    sided.placed("buy", "2", posSide="long")
    sided.placed("sell", "2", posSide="long")
    fills = sided.rows("trade/fills")
    gain = (float(fills[0]["fillPx"]) - float(fills[1]["fillPx"])) * 0.02
    assert float(fills[0]["fillPnl"]) == pytest.approx(gain)
    assert [fill["subType"] for fill in fills] == ["5", "3"]


def test_the_mode_changes_only_without_positions_and_orders(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    assert client.post("account/set-position-mode", {"posMode": "long_short_mode"})["code"] == "59000"
    client.post("trade/cancel-order", {"instId": BTC, "ordId": placed})
    client.placed("buy", "1")
    assert client.post("account/set-position-mode", {"posMode": "long_short_mode"})["code"] == "59000"
    client.placed("sell", "1")
    assert client.post("account/set-position-mode", {"posMode": "long_short_mode"})["code"] == "0"
    assert client.rows("account/config")[0]["posMode"] == "long_short_mode"


# ---- close-position --------------------------------------------------------------------------------------------------


def test_close_position_answers_without_an_order_id(one):
    client = one.client()
    client.placed("buy", "5")
    (row,) = client.post("trade/close-position", {"instId": BTC, "mgnMode": "cross", "clOrdId": "c1"})["data"]
    assert row == {"instId": BTC, "posSide": "net", "clOrdId": "c1", "tag": ""}
    assert client.rows("trade/order", instId=BTC, clOrdId="c1")[0]["state"] == "filled"
    assert client.rows("account/positions") == []


def test_close_position_without_a_position_is_51023(one):
    assert one.client().post("trade/close-position", {"instId": BTC, "mgnMode": "cross"})["code"] == "51023"


def test_close_position_asks_to_cancel_pending_orders_first(one):
    client = one.client()
    client.placed("buy", "5")
    pending = client.placed("sell", "5", "50500", reduceOnly=True)
    body = {"instId": BTC, "mgnMode": "cross"}
    assert client.post("trade/close-position", body)["code"] == "51115"
    assert client.post("trade/close-position", body | {"autoCxl": True})["code"] == "0"
    assert client.state(pending) == ("canceled", "1")


def test_a_position_too_large_for_a_market_order_is_51108(one):
    client = one.client()
    client.placed("buy", "5")
    one.market.instrument.max_mkt_sz = 1000
    assert client.post("trade/close-position", {"instId": BTC, "mgnMode": "cross"})["code"] == "51108"


# ---- cancel-all-after ------------------------------------------------------------------------------------------------


def arm(client, seconds, **more):
    return client.post("trade/cancel-all-after", {"timeOut": seconds, **more})


def test_cancel_all_after_cancels_everything_at_its_time(one):
    client = one.client()
    first, second = client.placed("buy", "1", "49000"), client.placed("sell", "1", "50500", tag="t")
    due = int(arm(client, "10")["data"][0]["triggerTime"])
    one.pass_time((due - one.world.now) / 1000 - 0.001)
    assert client.state(first)[0] == "live"
    one.pass_time(0.001)
    assert client.state(first) == client.state(second) == ("canceled", "20")
    assert client.record(first)["uTime"] == str(due)


def test_cancel_all_after_is_put_off_by_a_beat_and_ended_by_zero(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    arm(client, "10")
    one.pass_time(9)
    arm(client, "10")
    one.pass_time(9)
    assert client.state(placed)[0] == "live"
    assert arm(client, "0")["data"][0]["triggerTime"] == "0"
    one.pass_time(60)
    assert client.state(placed)[0] == "live"


def test_cancel_all_after_of_a_tag_leaves_the_others(one):
    client = one.client()
    tagged, other = client.placed("buy", "1", "49000", tag="t"), client.placed("buy", "1", "49000")
    arm(client, 10, tag="t")
    one.pass_time(11)
    assert (client.state(tagged)[1], client.state(other)[0]) == ("20", "live")


@pytest.mark.parametrize("seconds", ["5", "121", "x", "-1", "10.5"])
def test_cancel_all_after_takes_0_or_10_to_120_seconds(one, seconds):
    assert arm(one.client(), seconds)["code"] == "51000"


def test_at_most_twenty_tags_are_armed(one):
    client = one.client()
    assert {arm(client, "60", tag=f"t{at}")["code"] for at in range(20)} == {"0"}
    assert arm(client, "60", tag="one")["code"] == "51071"
    assert arm(client, "60", tag="t3")["code"] == "0"


def test_cancel_all_after_touches_its_own_account_only(one):
    client, sub = one.client(), one.client("sub1")
    mine, theirs = client.placed("buy", "1", "49000"), sub.placed("buy", "1", "49000")
    arm(client, "10")
    one.pass_time(11)
    assert (client.state(mine)[1], sub.state(theirs)[0]) == ("20", "live")


def test_reduce_only_orders_that_the_path_reaches_close_the_position():
    one = desk(walk([50_000, 50_200, 50_200]))
    client = one.client()
    client.placed("buy", "5")
    first = client.placed("sell", "3", "50100", reduceOnly=True)
    second = client.placed("sell", "2", "50150", reduceOnly=True)
    one.pass_time(200)
    assert (client.state(first)[0], client.state(second)[0]) == ("filled", "filled")
    assert client.rows("account/positions") == []


def test_a_step_that_reaches_a_plain_and_a_reduce_only_order_does_not_flip_the_position():
    one = desk(walk([50_000, 50_200, 50_200]))
    client = one.client()
    client.placed("buy", "5")
    shrinking = client.placed("sell", "5", "50150", reduceOnly=True)
    client.placed("sell", "3", "50100")
    one.market.tape.shift = 10**6
    one.pass_time(1)
    assert client.record(shrinking)["accFillSz"] == "2"
    assert client.rows("account/positions") == []


def test_a_taker_that_reaches_a_plain_and_a_reduce_only_order_does_not_flip_the_position():
    one = desk()
    client = one.client()
    client.placed("buy", "5")
    one.alone()
    shrinking = client.placed("sell", "5", "50020", reduceOnly=True)
    client.placed("sell", "5", "50010")
    taker = one.client("other").placed("buy", "9", "50030")
    assert client.state(shrinking) == ("canceled", "17")
    assert client.rows("account/positions") == []
    assert one.client("other").record(taker)["accFillSz"] == "5"


def test_the_path_does_not_fill_a_quiet_market():
    one = desk(flat(volume=0))
    client = one.client()
    placed = client.placed("buy", "1", "49999")
    one.pass_time(600)
    assert client.state(placed)[0] == "live"
