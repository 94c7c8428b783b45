"""Sections 1 to 3: requests of real clients, by mistake or at an edge: each has an answer, and nothing is half done."""

from __future__ import annotations

import json

import pytest

from tests.venue.desk import BTC, bars, desk, flat

ITEM = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "49000"}


@pytest.fixture
def one():
    return desk()


def pending(client):
    return [row["clOrdId"] or row["ordId"] for row in client.rows("trade/orders-pending")]


# ---- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "item"), [
    ("trade/batch-orders", ITEM | {"clOrdId": "b"}),
    ("trade/amend-batch-orders", {"instId": BTC, "clOrdId": "a", "newSz": "2"}),
    ("trade/cancel-batch-orders", {"instId": BTC, "clOrdId": "a"}),
])  # fmt: skip
@pytest.mark.parametrize("odd", [3, None, "x", [], True])
def test_a_batch_that_is_refused_as_a_whole_does_nothing(one, path, item, odd):
    client = one.client()
    client.placed("buy", "1", "49000", clOrdId="a")
    assert client.post(path, [item, odd])["code"] == "50002"
    assert pending(client) == ["a"]
    assert client.rows("trade/order", instId=BTC, clOrdId="a")[0]["sz"] == "1"


def test_each_item_of_a_batch_fails_by_itself_and_keeps_its_names(one):
    items = [
        ITEM | {"clOrdId": "a", "tag": "t"}, ITEM | {"clOrdId": "a"}, ITEM | {"clOrdId": 7, "px": "x"},
        ITEM | {"instId": "NONE-USDT-SWAP"}, ITEM | {"clOrdId": 8}, {},
    ]  # fmt: skip
    answer = one.client().post("trade/batch-orders", items)
    assert answer["code"] == "2"
    assert [(row["clOrdId"], row["tag"], row["sCode"]) for row in answer["data"]] == [
        ("a", "t", "0"), ("a", "", "51016"), ("7", "", "51000"), ("", "", "51001"), ("8", "", "0"), ("", "", "50014"),
    ]  # fmt: skip


# ---- numbers and names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sz", "px"), [(1, 49000), (1.0, 49000.1), ("1.", "49000.10"), (" 1 ", "+49000")])
def test_a_number_is_taken_as_its_text(one, sz, px):
    assert one.client().placed("buy", sz, px)


@pytest.mark.parametrize("sz", [True, [1], {"sz": 1}, "1e2", "--1", "0x1", "NaN", "1,5", "\u0661", "1" * 41, 1e300])
def test_what_is_no_decimal_number_is_51000(one, sz):
    assert one.client().refused("buy", sz, "49000") == "51000"


def test_the_last_of_doubled_keys_holds(one):
    client = one.client()
    body = json.dumps(ITEM)[:-1] + ', "side": "sell", "px": "50900", "sz": "2"}'
    client.raw("POST", "/api/v5/trade/order", body.encode())
    (row,) = client.rows("trade/orders-pending")
    assert (row["side"], row["px"], row["sz"]) == ("sell", "50900", "2")


@pytest.mark.parametrize(("path", "query"), [
    ("trade/orders-pending", {}), ("trade/orders-history", {}), ("trade/orders-history-archive", {}),
    ("trade/fills", {}), ("trade/fills-history", {}), ("account/bills", {}), ("account/bills-archive", {}),
    ("account/positions", {}), ("account/positions-history", {}), ("public/instruments", {}), ("market/tickers", {}),
    ("public/mark-price", {}), ("public/position-tiers", {"tdMode": "cross"}),
])  # fmt: skip
def test_a_type_that_is_none_is_51000_and_another_type_has_no_rows(one, path, query):
    client = one.client()
    client.placed("buy", "2")
    client.placed("sell", "1")
    client.placed("buy", "1", "49000")
    assert client.rows(path, instType="SWAP", **query)
    assert client.rows(path, instType="SPOT", **query) == []
    assert client.get(path, instType="swap", **query)["code"] == "51000"


# ---- amending and closing --------------------------------------------------------------------------------------------


def test_px_amend_type_1_moves_an_amended_price_to_the_limit(one):
    client = one.alone().client()
    placed = client.placed("buy", "1", "49000")
    body = {"instId": BTC, "ordId": placed, "newPx": "60000"}
    assert client.post("trade/amend-order", body | {"pxAmendType": "0"})["data"][0]["sCode"] == "51006"
    assert client.post("trade/amend-order", body | {"pxAmendType": "2"})["data"][0]["sCode"] == "51000"
    assert client.post("trade/amend-order", body | {"pxAmendType": "1"})["code"] == "0"
    assert client.record(placed)["px"] == client.rows("public/price-limit", instId=BTC)[0]["buyLmt"]


def test_an_amended_size_of_nothing_is_refused(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    for size in ("0", "-1", "0.0"):
        body = {"instId": BTC, "ordId": placed, "newSz": size}
        assert client.post("trade/amend-order", body)["data"][0]["sCode"] == "51000"
    assert client.state(placed)[0] == "live"


def test_a_close_that_is_refused_cancels_nothing(one):
    client = one.client()
    client.placed("buy", "5")
    mine, closing = client.placed("buy", "1", "49000", clOrdId="a"), client.placed("sell", "5", "50500", clOrdId="b")
    body = {"instId": BTC, "mgnMode": "cross", "autoCxl": True}
    assert client.post("trade/close-position", body | {"clOrdId": "a"})["code"] == "51016"
    one.market.instrument.state = "suspend"
    assert client.post("trade/close-position", body)["code"] == "51022"
    one.market.instrument.state = "live"
    assert (client.state(mine)[0], client.state(closing)[0]) == ("live", "live")
    assert client.post("trade/close-position", body | {"clOrdId": "b"})["code"] == "0"
    assert client.rows("account/positions") == []


@pytest.mark.parametrize("mode", ["cancel_maker", "cancel_taker", "cancel_both"])
@pytest.mark.parametrize(("maker", "taker"), [("sub1", "sub2"), ("main", "sub1"), ("sub2", "main")])
def test_every_mode_of_self_trade_prevention_acts_across_the_masters_accounts(one, mode, maker, taker):
    own, takes, stranger = one.alone().client(maker), one.client(taker), one.client("other")
    first, theirs, second = (who.placed("buy", "1", px) for who, px in (
        (own, "50000"), (stranger, "49990"), (own, "49980")))  # fmt: skip
    placed = takes.placed("sell", "3", "49970", stpMode=mode)
    seen = [own.state(first), stranger.state(theirs), own.state(second), takes.state(placed)]
    live, gone = ("live", ""), ("canceled", "32")
    assert (
        seen
        == {
            "cancel_maker": [gone, ("filled", ""), gone, ("partially_filled", "")],
            "cancel_taker": [live, live, live, gone],
            "cancel_both": [gone, live, live, gone],
        }[mode]
    )


# ---- pages -----------------------------------------------------------------------------------------------------------


def test_before_and_after_together_are_what_lies_between_newest_first(one):
    client = one.client()
    ids = [client.placed("buy", "0.01", str(49_000 + at)) for at in range(10)]

    def between(**query):
        return [ids.index(row["ordId"]) for row in client.rows("trade/orders-pending", **query)]

    assert between(after=ids[7], before=ids[2]) == [6, 5, 4, 3]
    assert between(after=ids[7], before=ids[2], limit=2) == [6, 5]
    assert between(after=ids[2], before=ids[7]) == []
    assert between(after=ids[3], before=ids[2]) == []


@pytest.mark.parametrize("path", ["market/history-candles", "market/history-mark-price-candles"])
def test_a_page_of_complete_candles_is_full_whatever_is_forming(path):
    one = desk()
    one.pass_time(300)
    client, seen, cursor = one.client(), [], {}
    while rows := client.rows(path, instId=BTC, limit=1, **cursor):
        seen += rows
        cursor = {"after": rows[-1][0]}
    assert [row[0] for row in seen] == [row[0] for row in client.rows(path, instId=BTC)]
    assert {row[-1] for row in seen} == {"1"}
    assert int(seen[0][0]) + 60_000 <= one.world.now < int(seen[0][0]) + 120_000


def test_the_oldest_candle_that_can_be_had_is_a_whole_one():
    minutes = [(price, price + 2, price - 2, price, 6.0) for price in range(40_000, 40_000 + 4400)]
    one = desk(bars(minutes), warm_up=4390)
    client, seen, cursor = one.client(), [], {}
    while rows := client.rows("market/candles", instId=BTC, bar="3m", limit=300, **cursor):
        seen += rows
        cursor = {"after": rows[-1][0]}
    assert len(seen) == 1440
    ((_, opened, high, low, closed, *_),) = seen[-1:]
    assert (float(high), float(low), float(closed)) == (float(opened) + 4, float(opened) - 2, float(opened) + 2)


# ---- rates -----------------------------------------------------------------------------------------------------------


def test_an_instrument_has_one_bucket_whatever_it_is_called():
    one = desk(limits=True)
    client, code = one.client(), one.market.instrument.code
    named, coded = ITEM | {"sz": "0.001"}, {**ITEM, "sz": "0.001", "instIdCode": code}
    del coded["instId"]
    codes = [client.post("trade/order", item)["code"] for item in [named, coded] * 30]
    assert set(codes) == {"1"}
    assert client.post("trade/order", coded)["code"] == "50011"
    assert client.post("trade/order", named)["code"] == "50011"


def test_flat_markets_take_these_too():
    assert desk(flat(volume=0)).client().post("trade/batch-orders", [ITEM] * 20)["code"] == "0"
