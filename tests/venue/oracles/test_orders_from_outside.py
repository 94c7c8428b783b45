"""What may be ordered, and what becomes of it: sizes, prices, types, ids, envelopes."""

from __future__ import annotations

from decimal import Decimal

import pytest


def test_an_order_that_rests_is_what_was_asked(one):
    price = one.far_below()
    identity = one.place("buy", "limit", 2, price, clOrdId="restA1", tag="t1")
    record = one.order(identity)
    said = {key: record[key] for key in ("state", "side", "ordType", "clOrdId", "tag", "accFillSz", "avgPx", "tdMode")}
    assert said == {
        "state": "live", "side": "buy", "ordType": "limit", "clOrdId": "restA1", "tag": "t1",
        "accFillSz": "0", "avgPx": "", "tdMode": "cross",
    }  # fmt: skip
    assert (Decimal(record["sz"]), Decimal(record["px"])) == (one.lot * 2, price)
    pending = one.client.get("trade/orders-pending", instType="SWAP").data
    assert [r["ordId"] for r in pending] == [identity]
    assert one.cancel(identity).item["sCode"] == "0"
    record = one.order(identity)
    assert (record["state"], record["cancelSource"]) == ("canceled", "1")


def test_the_envelope_of_one_order_says_how_it_went(one):
    good = one.request("buy", "limit", 1, one.far_below())
    bad = one.request("buy", "limit", "0.0001", one.far_below())
    assert (good.status, good.json["code"], good.item["sCode"]) == (200, "0", "0")
    assert (bad.status, bad.json["code"]) == (200, "1")
    assert bad.item["sCode"] not in {"0", "1", ""}
    assert bad.item["ordId"] == ""
    for answer in (good, bad):
        assert answer.json["inTime"].isdigit()
        assert int(answer.json["outTime"]) >= int(answer.json["inTime"])
        assert len(answer.json["inTime"]) == len(answer.item["ts"]) + 3


@pytest.mark.parametrize(("sizes", "code"), [(("1", "2"), "0"), (("1", "0.0001"), "2"), (("0.0001", "0.0001"), "1")])
def test_the_envelope_of_a_batch_says_all_some_or_none(one, sizes, code):
    price = str(one.far_below())
    order = {"instId": one.instrument, "tdMode": "cross", "side": "buy", "ordType": "post_only", "px": price}
    batch = [order | {"sz": str(one.lot * int(size)) if "." not in size else size} for size in sizes]
    answer = one.client.post("trade/batch-orders", batch)
    assert answer.json["code"] == code
    assert [item["sCode"] == "0" for item in answer.json["data"]] == ["." not in size for size in sizes]


def test_a_batch_of_more_than_twenty_is_refused(one):
    order = {"instId": one.instrument, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "1"}
    assert one.client.post("trade/batch-orders", [order] * 21).json["code"] == "51111"


def test_a_batch_that_is_refused_as_a_whole_does_nothing(one):
    size, price = str(one.lot), str(one.far_below())
    order = {"instId": one.instrument, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": size, "px": price}
    assert one.client.post("trade/batch-orders", [order, "no order"]).code == "50002"
    assert one.client.get("trade/orders-pending").data == []


def test_a_size_between_lots_is_refused(one):
    assert one.refusal("buy", "limit", str(one.lot * 3 / 2), one.far_below()) == "51121"


def test_a_size_below_the_minimum_is_refused(one):
    code = one.refusal("buy", "limit", str(Decimal(one.facts["minSz"]) / 2), one.far_below())
    assert code in {"51020", "51121"}
    assert one.refusal("buy", "limit", "0", one.far_below()) in {"51020", "51000", "51121"}


def test_a_size_above_the_maximum_is_refused(one):
    market, limit = Decimal(one.facts["maxMktSz"]), Decimal(one.facts["maxLmtSz"])
    assert one.refusal("buy", "optimal_limit_ioc", str(market + one.lot)) in {"51202", "51101", "51005"}
    assert one.refusal("buy", "limit", str(limit + one.lot), one.far_below()) in {"51202", "51101", "51005", "51203"}


def test_a_price_between_ticks_is_refused(one):
    answer = one.request("buy", "limit", 1, one.far_below() + one.tick / 2)
    assert answer.item["sCode"] != "0", answer.body


def test_a_price_beyond_the_limit_is_refused_unless_it_may_be_amended(one):
    (limit,) = one.client.get("public/price-limit", instId=one.instrument).data
    above, below = Decimal(limit["buyLmt"]) + one.tick, Decimal(limit["sellLmt"]) - one.tick
    assert one.refusal("buy", "limit", 1, above) == "51006"
    assert one.refusal("sell", "limit", 1, below) == "51006"
    identity = one.place("buy", "ioc", 1, above, pxAmendType="1")
    assert Decimal(one.order(identity)["px"]) <= Decimal(limit["buyLmt"]) * Decimal("1.01")


def test_an_instrument_that_there_is_not(one):
    answer = one.request("buy", "limit", 1, one.far_below(), instId="NOT-USDT-SWAP")
    assert answer.item["sCode"] in {"51001", "51000"}


@pytest.mark.parametrize("name", ["a-b", "x" * 33, "with space", "ünder"])
def test_a_client_id_of_another_form_is_refused(one, name):
    answer = one.request("buy", "limit", 1, one.far_below(), clOrdId=name)
    assert "51000" in {answer.json["code"], *(item["sCode"] for item in answer.json["data"])}


def test_a_client_id_is_unique_among_pending_orders_alone(one):
    price = one.far_below()
    first = one.place("buy", "limit", 1, price, clOrdId="again1")
    assert one.refusal("buy", "limit", 1, price, clOrdId="again1") in {"51016", "50071"}
    assert one.request("buy", "limit", 1, price, clOrdId="AGAIN1").item["sCode"] == "0"
    one.cancel(first)
    second = one.place("buy", "limit", 1, price, clOrdId="again1")
    assert second != first
    (latest,) = one.client.get("trade/order", instId=one.instrument, clOrdId="again1").data
    assert latest["ordId"] == second


def test_an_order_that_is_not_there(one):
    answer = one.client.get("trade/order", instId=one.instrument, ordId="1")
    assert answer.code == "51603"
    assert one.cancel("1").item["sCode"] in {"51400", "51603"}


def test_nobody_cancels_the_order_of_another_account(one, two):
    identity = one.place("buy", "limit", 1, one.far_below())
    assert two.cancel(identity).item["sCode"] != "0"
    assert two.client.get("trade/order", instId=two.instrument, ordId=identity).code == "51603"
    assert one.order(identity)["state"] == "live"


def test_an_order_that_came_too_late_is_dropped(one):
    now = int(one.client.now().timestamp() * 1000)
    late = one.request("buy", "limit", 1, one.far_below(), clOrdId="late1", expTime=str(now - 1000))
    codes = {late.json["code"], *(item["sCode"] for item in late.json.get("data", []))}
    assert codes & {"50036", "50037"}, late.body
    assert one.client.get("trade/order", instId=one.instrument, clOrdId="late1").code == "51603"
    assert one.request("buy", "limit", 1, one.far_below(), expTime=str(now + 60_000)).item["sCode"] == "0"


def test_a_post_only_order_that_would_take_is_accepted_then_cancelled(one):
    _, ask = one.top()
    identity = one.place("buy", "post_only", 1, ask)
    record = one.order(identity)
    assert (record["state"], record["cancelSource"], record["accFillSz"]) == ("canceled", "31", "0")


def test_an_immediate_order_takes_what_its_price_reaches_and_leaves_nothing(one):
    (price, size), *_ = one.levels("asks")
    identity = one.place("buy", "ioc", str(size + one.lot * 5), price)
    record = one.order(identity)
    assert (record["state"], record["cancelSource"]) == ("canceled", "14")
    assert 0 < Decimal(record["accFillSz"]) <= size
    assert {fill["fillPx"] for fill in one.fills(identity)} == {str(price)}


def test_an_order_that_fills_whole_or_not_at_all(one):
    (price, size), *_ = one.levels("asks")
    identity = one.place("buy", "fok", str(size + one.lot * 5), price)
    record = one.order(identity)
    assert (record["state"], record["cancelSource"], record["accFillSz"]) == ("canceled", "13", "0")
    identity = one.place("buy", "fok", 1, price)
    assert one.order(identity)["state"] == "filled"


def test_a_taker_walks_the_levels_from_the_best_on_and_pays_the_makers_prices(one):
    levels = one.levels("asks", 4)
    wanted = sum(size for _, size in levels[:3])
    identity = one.place("buy", "ioc", str(wanted), levels[3][0])
    fills = sorted(one.fills(identity), key=lambda fill: int(fill["tradeId"]))
    prices = [Decimal(fill["fillPx"]) for fill in fills]
    assert prices == sorted(prices)
    paid = {price: sum(Decimal(f["fillSz"]) for f in fills if Decimal(f["fillPx"]) == price) for price in prices}
    assert paid == dict(levels[:3])
    record = one.order(identity)
    average = sum(price * size for price, size in levels[:3]) / wanted
    assert abs(Decimal(record["avgPx"]) - average) < one.tick
    assert len({fill["tradeId"] for fill in fills}) == len(fills)
    assert {fill["execType"] for fill in fills} == {"T"}
    assert record["fillSz"] == fills[-1]["fillSz"]
    assert record["tradeId"] == fills[-1]["tradeId"]
    assert Decimal(record["accFillSz"]) == wanted


def test_amending_counts_what_is_filled_already(one):
    identity = one.place("buy", "limit", 3, one.far_below())
    change = {"instId": one.instrument, "ordId": identity, "newSz": str(one.lot * 2), "reqId": "r1"}
    answer = one.client.post("trade/amend-order", change)
    assert (answer.item["sCode"], answer.item["reqId"]) == ("0", "r1")
    assert Decimal(one.order(identity)["sz"]) == one.lot * 2
    one.cancel(identity)
    gone = one.client.post("trade/amend-order", change)
    assert gone.item["sCode"] in {"51503", "51509", "51510", "51400"}
    assert one.cancel(identity).item["sCode"] in {"51400", "51401"}


def test_the_dead_man_s_switch_cancels_what_rests(one, venue):
    one.place("buy", "limit", 1, one.far_below())
    for wrong in ("5", "121"):
        answer = one.client.post("trade/cancel-all-after", {"timeOut": wrong})
        assert answer.json["code"] != "0"
    armed = one.client.post("trade/cancel-all-after", {"timeOut": "10"}).data[0]
    assert int(armed["triggerTime"]) - int(armed["ts"]) in {10, 10_000}
    venue.step(5)
    assert one.client.get("trade/orders-pending", instType="SWAP").data
    venue.step(10)
    assert one.client.get("trade/orders-pending", instType="SWAP").data == []
    (record,) = one.client.get("trade/orders-history", instType="SWAP", limit=1).data
    assert record["cancelSource"] == "20"


def test_requests_beyond_the_rate_are_refused(limited):
    who = limited.trader("demo", "sub2")
    limited.step(3)
    answers = [who.client.get("account/config") for _ in range(8)]
    codes = [answer.json["code"] for answer in answers]
    assert codes == ["0"] * 5 + ["50011"] * 3
    assert {answer.status for answer in answers[5:]} <= {200, 429}
    assert limited.trader("demo", "sub1").client.get("account/config").code == "0", (
        "another account has a bucket of its own"
    )
    limited.step(3)
    assert who.client.get("account/config").code == "0"


def test_new_orders_beyond_the_rate_are_refused_and_not_placed(limited):
    who = limited.trader("demo", "sub2")
    price = who.far_below()
    limited.step(3)
    codes = [who.request("buy", "limit", 1, price).json["code"] for _ in range(63)]
    assert codes == ["0"] * 60 + ["50011"] * 3
    limited.step(3)
    assert len(who.client.get("trade/orders-pending", instType="SWAP").data) == 60


def test_a_size_below_a_minimum_of_several_lots_is_refused(one, venue):
    """An announced change makes the smallest size larger than it was; a lot less is then too little."""
    venue.world.environments["demo"].markets[one.instrument].instrument.min_sz *= 5
    assert one.refusal("buy", "limit", 4, one.far_below()) == "51020"
    assert one.request("buy", "limit", 5, one.far_below()).item["sCode"] == "0"


def test_a_client_id_is_unique_within_one_request(one):
    order = {"instId": one.instrument, "tdMode": "cross", "side": "buy", "ordType": "post_only", "sz": str(one.lot)}
    order |= {"px": str(one.far_below()), "clOrdId": "twice1"}
    answer = one.client.post("trade/batch-orders", [order, order])
    assert answer.json["code"] == "2"
    assert answer.json["data"][0]["sCode"] == "0"
    assert answer.json["data"][1]["sCode"] in {"51016", "50071"}


def test_the_order_id_wins_over_the_client_id(one):
    first = one.place("buy", "limit", 1, one.far_below(), clOrdId="wins1")
    second = one.place("buy", "limit", 1, one.far_below(), clOrdId="wins2")
    (found,) = one.client.get("trade/order", instId=one.instrument, ordId=first, clOrdId="wins2").data
    assert found["ordId"] == first
    one.client.post("trade/cancel-order", {"instId": one.instrument, "ordId": first, "clOrdId": "wins2"})
    assert (one.order(first)["state"], one.order(second)["state"]) == ("canceled", "live")


def test_a_batch_fails_item_by_item_and_keeps_its_order(one):
    order = {"instId": one.instrument, "tdMode": "cross", "side": "buy", "ordType": "post_only", "sz": str(one.lot)}
    price = str(one.far_below())
    batch = [order | {"px": price, "clOrdId": "b1"}, order | {"clOrdId": "b2"}, order | {"px": price, "clOrdId": "b3"}]
    answer = one.client.post("trade/batch-orders", batch)
    assert [item["clOrdId"] for item in answer.json["data"]] == ["b1", "b2", "b3"]
    assert [item["sCode"] == "0" for item in answer.json["data"]] == [True, False, True]
    pending = one.client.get("trade/orders-pending", instType="SWAP").data
    assert {record["clOrdId"] for record in pending} == {"b1", "b3"}


def test_another_s_order_may_be_taken(one, stranger):
    """Two masters trade with each other: a trade has two sides of one size, price and tradeId."""
    _, ask = one.top()
    offered = one.place("sell", "post_only", 10, ask)
    shown = dict(one.levels("asks", 3))[ask]
    taken = stranger.place("buy", "ioc", str(shown), ask)
    made = one.fills(offered)
    assert sum(Decimal(fill["fillSz"]) for fill in made) == one.lot * 10
    assert {fill["execType"] for fill in made} == {"M"}
    others = {fill["tradeId"]: fill for fill in stranger.fills(taken)}
    for fill in made:
        assert (others[fill["tradeId"]]["fillPx"], others[fill["tradeId"]]["fillSz"]) == (
            fill["fillPx"],
            fill["fillSz"],
        )
    assert one.order(offered)["state"] == "filled"
    assert one.position() == -one.lot * 10
