"""Section 3 of the specification: sizes, prices, order types, states, client ids, amendments, cancellations."""

from __future__ import annotations

import pytest

from tests.venue.desk import BTC, desk, flat, walk


@pytest.fixture
def one():
    return desk()


def test_a_size_is_a_multiple_of_the_lot(one):
    assert one.client().refused("buy", "0.015", "49000") == "51121"
    assert one.client().refused("buy", "0.0100001", "49000") == "51121"


def test_a_size_reaches_the_minimum(one):
    one.market.instrument.min_sz = 100
    assert one.client().refused("buy", "0.05", "49000") == "51020"


def test_a_market_order_is_at_most_max_mkt_sz(one):
    one.market.instrument.max_mkt_sz = 1000
    assert one.client().refused("buy", "1.01") == "51202"
    assert one.client().placed("buy", "1")


def test_a_limit_order_is_at_most_max_lmt_sz(one):
    one.market.instrument.max_lmt_sz = 1000
    assert one.client().refused("buy", "1.01", "49000") == "51101"


def test_a_limit_order_is_worth_at_most_max_lmt_amt(one):
    one.market.instrument.max_lmt_usdt = 10_000
    assert one.client().refused("buy", "21", "49000") == "51005"


def test_a_price_is_a_multiple_of_the_tick(one):
    assert one.client().refused("buy", "1", "49000.05") == "51000"
    assert one.client().refused("buy", "1", "49000.001") == "51000"


def test_a_price_beyond_the_limit_is_refused(one):
    limits = one.client().rows("public/price-limit", instId=BTC)[0]
    assert one.client().refused("buy", "1", str(float(limits["buyLmt"]) + 1)) == "51006"
    assert one.client().refused("sell", "1", str(float(limits["sellLmt"]) - 1)) == "51006"


def test_px_amend_type_1_moves_the_price_to_the_limit(one):
    limits = one.client().rows("public/price-limit", instId=BTC)[0]
    placed = one.client().placed("buy", "1", str(float(limits["buyLmt"]) + 1), pxAmendType="1")
    assert one.client().record(placed)["px"] == limits["buyLmt"]


def test_price_limits_are_the_index_and_y_plus_premium_within_z(one):
    reference = one.market.reference
    high, low = reference.limits()
    index = reference.index
    assert index * 1.02 - 10 <= high <= index * 1.02
    assert index * 0.98 <= low <= index * 0.98 + 10
    reference._premium = index * 4096 // 10
    assert reference.limits()[0] <= index * 1.05 < reference.limits()[0] + 10
    assert reference.limits()[1] >= index


@pytest.mark.parametrize("sz", ["", "x", "-1", "0", "1e3", None, True, [], "1" * 50])
def test_a_size_that_is_no_number_is_a_parameter_error(one, sz):
    assert one.client().order("buy", sz, "49000")["sCode"] in {"51000", "50014"}


@pytest.mark.parametrize(("name", "value"), [
    ("side", "hold"), ("ordType", "stop"), ("tdMode", "cash"), ("posSide", "long"), ("clOrdId", "a-b"),
    ("clOrdId", "x" * 33), ("tag", "t" * 17), ("stpMode", "none"), ("reduceOnly", "perhaps"),
])  # fmt: skip
def test_a_wrong_parameter_is_named(one, name, value):
    body = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "49000", name: value}
    result = one.client().post("trade/order", body)["data"][0]
    assert result["sCode"] == "51000"
    assert name in result["sMsg"]


@pytest.mark.parametrize("name", ["instId", "tdMode", "side", "ordType", "sz", "px"])
def test_a_missing_parameter_is_named(one, name):
    body = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "49000"}
    del body[name]
    result = one.client().post("trade/order", body)["data"][0]
    assert result["sCode"] == "50014"
    assert name in result["sMsg"]


def test_an_unknown_instrument_is_51001(one):
    assert one.client().refused("buy", "1", "49000", instId="DOGE-USDT-SWAP") == "51001"


def test_a_limit_order_rests_and_is_live(one):
    client = one.client()
    record = client.record(client.placed("buy", "1", "49990"))
    assert (record["state"], record["accFillSz"], record["avgPx"], record["tradeId"]) == ("live", "0", "", "")


def test_a_limit_order_takes_what_crosses_it_and_rests_for_the_remainder(one):
    client = one.client()
    shown = client.rows("market/books", instId=BTC, sz=1)[0]["asks"][0]
    record = client.record(client.placed("buy", str(round(float(shown[1]) + 5, 2)), shown[0], clOrdId="x"))
    assert record["state"] == "partially_filled"
    assert record["accFillSz"] == shown[1]
    assert client.rows("trade/fills")[0]["execType"] == "T"


def test_a_taker_walks_the_levels_at_their_prices_with_a_fill_each(one):
    client = one.client()
    asks = client.rows("market/books", instId=BTC, sz=3)[0]["asks"]
    total = sum(round(float(level[1]) * 100) for level in asks)
    record = client.record(client.placed("buy", str(total / 100)))
    fills = client.rows("trade/fills", ordId=record["ordId"])
    assert [(fill["fillPx"], fill["fillSz"]) for fill in reversed(fills)] == [(px, sz) for px, sz, *_ in asks]
    assert len({fill["tradeId"] for fill in fills}) == 3
    assert record["fillSz"] == asks[-1][1]
    paid = sum(float(px) * float(sz) for px, sz, *_ in asks)
    assert float(record["avgPx"]) == pytest.approx(paid / (total / 100), abs=1e-4)


def test_what_a_taker_ate_comes_back_with_time(one):
    client = one.client()
    px, sz, *_ = client.rows("market/books", instId=BTC, sz=1)[0]["asks"][0]
    client.placed("buy", sz, px)
    assert client.rows("market/books", instId=BTC, sz=1)[0]["asks"][0][0] != px
    one.pass_time(11)
    assert client.rows("market/books", instId=BTC, sz=1)[0]["asks"][0][0] == px


def test_a_market_order_goes_to_the_price_limit_and_its_rest_can_rest():
    one = desk().alone()
    client, other = one.client(), one.client("other")
    other.placed("sell", "1", "50010")
    record = client.record(client.placed("buy", "3", ordType="market"))
    assert (record["state"], record["accFillSz"], record["px"]) == ("partially_filled", "1", "")
    best = client.rows("market/books", instId=BTC, sz=1)[0]["bids"][0]
    assert best[:2] == [client.rows("public/price-limit", instId=BTC)[0]["buyLmt"], "2"]


def test_optimal_limit_ioc_never_rests():
    one = desk().alone()
    client = one.client()
    one.client("other").placed("sell", "1", "50010")
    record = client.record(client.placed("buy", "3"))
    assert (record["state"], record["accFillSz"], record["cancelSource"]) == ("canceled", "1", "14")


def test_an_ioc_order_takes_what_is_there_and_cancels_the_rest():
    one = desk().alone()
    client = one.client()
    one.client("other").placed("sell", "1", "50000")
    record = client.record(client.placed("buy", "3", "50000", ordType="ioc"))
    assert (record["state"], record["accFillSz"], record["cancelSource"]) == ("canceled", "1", "14")


def test_a_fok_order_fills_whole_or_not_at_all():
    one = desk().alone()
    client = one.client()
    one.client("other").placed("sell", "2", "50000")
    assert client.state(client.placed("buy", "3", "50000", ordType="fok")) == ("canceled", "13")
    assert client.state(client.placed("buy", "2", "50000", ordType="fok")) == ("filled", "")


def test_a_post_only_order_that_would_take_is_accepted_then_cancelled(one):
    client = one.client()
    assert client.state(client.placed("buy", "1", "50010", ordType="post_only")) == ("canceled", "31")
    assert client.state(client.placed("buy", "1", "49990", ordType="post_only")) == ("live", "")


def test_rpi_and_elp_are_passive(one):
    client = one.client()
    for kind in ("rpi", "elp"):
        assert client.state(client.placed("buy", "1", "50010", ordType=kind)) == ("canceled", "31")


def test_orders_trade_by_price_then_by_time():
    one = desk().alone()
    main, sub, buyer = one.client("main"), one.client("sub1"), one.client("other")
    dear = main.placed("sell", "1", "50001")
    cheap_first = sub.placed("sell", "1", "50000")
    cheap_second = main.placed("sell", "1", "50000")
    buyer.placed("buy", "1.5", "50002")
    assert (sub.state(cheap_first)[0], main.state(cheap_second)[0], main.state(dear)[0]) == (
        "filled", "partially_filled", "live")  # fmt: skip
    buyer.placed("buy", "1", "50002")
    assert (main.state(cheap_second)[0], main.state(dear)[0]) == ("filled", "partially_filled")


def test_a_resting_order_waits_behind_what_was_shown_before_it():
    one = desk(flat(volume=600))
    client = one.client()
    best = client.rows("market/books", instId=BTC, sz=1)[0]["bids"][0]
    placed = client.placed("buy", "1", best[0])
    assert client.account.pending[int(placed)].ahead == round(float(best[1]) * 1000)


def test_volume_at_the_price_serves_the_queue_and_then_the_order():
    one = desk(flat(volume=600, price=50_000))
    client = one.client()
    side, px = ("sell", "50000") if one.market.tape.quote.up else ("buy", "50000")
    placed = client.placed(side, "1", px)
    ahead = client.account.pending[int(placed)].ahead
    assert ahead > 0
    one.pass_time(1)
    assert client.record(placed)["accFillSz"] == "0"
    assert client.account.pending[int(placed)].ahead < ahead
    one.pass_time(60)
    record = client.record(placed)
    assert (record["state"], record["avgPx"]) == ("filled", "50000")
    assert client.rows("trade/fills", ordId=placed)[0]["execType"] == "M"


def test_an_order_that_the_path_passes_is_filled_whole_at_its_own_price():
    one = desk(walk([50_000, 49_900, 49_900]))
    client = one.client()
    placed = client.placed("buy", "5", "49950")
    one.pass_time(120)
    record = client.record(placed)
    assert (record["state"], record["avgPx"], record["accFillSz"]) == ("filled", "49950", "5")


def test_more_than_a_thousand_makers_end_a_taker(monkeypatch):
    from prometheus.venue.matching import execution_steps

    monkeypatch.setattr(execution_steps, "MOST_MAKERS", 3)
    one = desk().alone()
    other = one.client("other")
    for _ in range(5):
        other.placed("sell", "0.01", "50000")
    record = one.client().record(one.client().placed("buy", "1"))
    assert (record["accFillSz"], record["cancelSource"]) == ("0.03", "33")


def test_a_client_id_is_unique_among_pending_orders_only(one):
    client = one.client()
    client.placed("buy", "1", "49000", clOrdId="a")
    assert client.refused("buy", "1", "49000", clOrdId="a") == "51016"
    client.post("trade/cancel-order", {"instId": BTC, "clOrdId": "a"})
    assert client.placed("buy", "1", "49000", clOrdId="a")


def test_the_same_body_after_a_terminal_order_is_a_new_order(one):
    client = one.client()
    first, second = (client.placed("buy", "1", clOrdId="same") for _ in range(2))
    assert first != second
    assert client.position()["pos"] == "2"


def test_client_ids_are_case_sensitive(one):
    client = one.client()
    client.placed("buy", "1", "49000", clOrdId="a")
    assert client.placed("buy", "1", "49000", clOrdId="A")


def test_of_orders_with_one_client_id_the_latest_is_reported(one):
    client = one.client()
    client.placed("buy", "1", clOrdId="same")
    latest = client.placed("buy", "1", clOrdId="same")
    assert client.rows("trade/order", instId=BTC, clOrdId="same")[0]["ordId"] == latest


def test_the_order_id_wins_over_the_client_id(one):
    client = one.client()
    first = client.placed("buy", "1", "49000", clOrdId="a")
    client.placed("buy", "1", "49000", clOrdId="b")
    assert client.rows("trade/order", instId=BTC, ordId=first, clOrdId="b")[0]["ordId"] == first


def test_one_of_the_two_ids_is_needed(one):
    assert one.client().get("trade/order", instId=BTC)["code"] == "51003"
    assert one.client().post("trade/cancel-order", {"instId": BTC})["data"][0]["sCode"] == "51003"


def test_an_unknown_order_is_51603(one):
    assert one.client().get("trade/order", instId=BTC, ordId="1")["code"] == "51603"
    assert one.client().get("trade/order", instId=BTC, clOrdId="nobody")["code"] == "51603"


def test_a_cancelled_order_says_who_cancelled_it(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    assert client.post("trade/cancel-order", {"instId": BTC, "ordId": placed})["code"] == "0"
    assert client.state(placed) == ("canceled", "1")


def test_what_is_over_cannot_be_cancelled(one):
    client = one.client()
    placed = client.placed("buy", "1")
    answer = client.post("trade/cancel-order", {"instId": BTC, "ordId": placed})
    assert (answer["code"], answer["data"][0]["sCode"]) == ("1", "51400")


def test_an_amended_size_is_the_total_with_what_is_filled():
    one = desk().alone()
    client = one.client()
    placed = client.placed("buy", "3", "50000")
    one.client("other").placed("sell", "1", "50000")
    assert client.post("trade/amend-order", {"instId": BTC, "ordId": placed, "newSz": "2"})["code"] == "0"
    record = client.record(placed)
    assert (record["sz"], record["accFillSz"], record["state"]) == ("2", "1", "partially_filled")


def test_an_amended_size_at_most_what_is_filled_fills_the_order():
    one = desk().alone()
    client = one.client()
    placed = client.placed("buy", "3", "50000")
    one.client("other").placed("sell", "1", "50000")
    client.post("trade/amend-order", {"instId": BTC, "ordId": placed, "newSz": "0.5"})
    assert client.state(placed)[0] == "filled"


def test_an_amended_price_may_trade(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    client.post("trade/amend-order", {"instId": BTC, "ordId": placed, "newPx": "50010"})
    assert client.state(placed)[0] == "filled"


def test_a_smaller_size_keeps_its_place_and_a_larger_one_loses_it():
    one = desk().alone()
    client, other = one.client(), one.client("other")
    first, second = client.placed("buy", "2", "50000"), other.placed("buy", "2", "50000")
    client.post("trade/amend-order", {"instId": BTC, "ordId": first, "newSz": "1"})
    queue = one.market.ladder.sides[1].queues[5_000_000]
    assert [str(order.ord_id) for order in queue] == [first, second]
    client.post("trade/amend-order", {"instId": BTC, "ordId": first, "newSz": "3"})
    assert [str(order.ord_id) for order in one.market.ladder.sides[1].queues[5_000_000]] == [second, first]


def test_a_post_only_order_is_not_amended_into_the_book(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000", ordType="post_only")
    answer = client.post("trade/amend-order", {"instId": BTC, "ordId": placed, "newPx": "50010"})
    assert answer["data"][0]["sCode"] == "51511"
    assert client.state(placed)[0] == "live"


def test_cxl_on_fail_cancels_what_cannot_be_amended(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    body = {"instId": BTC, "ordId": placed, "newPx": "90000", "cxlOnFail": True}
    assert client.post("trade/amend-order", body)["data"][0]["sCode"] == "51006"
    assert client.state(placed) == ("canceled", "1")


def test_the_result_of_an_amendment_carries_req_id(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    body = {"instId": BTC, "ordId": placed, "newSz": "2", "reqId": "r1"}
    assert client.post("trade/amend-order", body)["data"][0]["reqId"] == "r1"


def test_what_is_over_cannot_be_amended(one):
    client = one.client()
    filled, cancelled = client.placed("buy", "1"), client.placed("buy", "1", "49000")
    client.post("trade/cancel-order", {"instId": BTC, "ordId": cancelled})
    codes = [client.post("trade/amend-order", {"instId": BTC, "ordId": each, "newSz": "2"})["data"][0]["sCode"]
             for each in (filled, cancelled, "123")]  # fmt: skip
    assert codes == ["51510", "51509", "51503"]


def test_states_go_forward_only(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    seen = [client.state(placed)[0]]
    client.post("trade/cancel-order", {"instId": BTC, "ordId": placed})
    for _ in range(3):
        one.pass_time(5)
        seen.append(client.state(placed)[0])
    assert seen == ["live", "canceled", "canceled", "canceled"]


@pytest.mark.parametrize(("state", "kind", "code"), [
    ("suspend", "limit", "51022"), ("preopen", "limit", "51021"), ("post_only", "limit", "51124"),
    ("post_only", "post_only", "0"), ("live", "limit", "0"),
])  # fmt: skip
def test_only_a_live_instrument_takes_orders(one, state, kind, code):
    one.market.instrument.state = state
    assert one.client().order("buy", "1", "49000", ordType=kind)["sCode"] == code


def test_too_many_pending_orders_are_refused(one, monkeypatch):
    from prometheus.venue.matching import order_entry

    monkeypatch.setattr(order_entry, "MOST_PENDING", 3)
    client = one.client()
    for _ in range(3):
        client.placed("buy", "0.01", "49000")
    assert client.refused("buy", "0.01", "49000") == "51025"


def test_an_announced_change_takes_effect_at_its_time(one):
    client = one.client()
    one.inject("venue.change", param="minSz", value="0.1", after_ms=30_000)
    (change,) = client.rows("public/instruments", instType="SWAP")[0]["upcChg"]
    assert (change["param"], change["newValue"]) == ("minSz", "0.1")
    assert client.placed("buy", "0.05", "49000")
    one.pass_time(31)
    row = client.rows("public/instruments", instType="SWAP")[0]
    assert (row["minSz"], row["lotSz"], row["upcChg"]) == ("0.1", "0.1", [])
    assert client.refused("buy", "0.05", "49000") == "51121"
