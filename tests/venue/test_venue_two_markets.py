"""Sections 1, 2 and 4 with two instruments: ids, buckets and prices of each, one margin for both."""

from __future__ import annotations

from decimal import Decimal

import pytest

from prometheus.venue.exchange_world import WorldPlan, open_world
from prometheus.venue.faults.mischief_maker import MischiefMaker
from prometheus.venue.floor.conservation import imbalance
from prometheus.venue.gateway.http_gate import Gate
from tests.venue.desk import BTC, Desk, flat

ETH = "ETH-USDT-SWAP"


def both(*, limits=False):
    world = open_world(WorldPlan(bars=[flat(), flat(price=3_000.0)], seed=7, warm_up=2, limits=limits))
    mischief = MischiefMaker(world)
    made = Desk(world, mischief, Gate(world, mischief))
    made.pass_time()
    return made


@pytest.fixture
def one():
    return both()


def test_each_instrument_has_its_own_price_contract_and_book(one):
    client = one.client()
    rows = {row["instId"]: row for row in client.rows("public/instruments", instType="SWAP")}
    assert (rows[BTC]["ctVal"], rows[ETH]["ctVal"], rows[ETH]["tickSz"]) == ("0.01", "0.1", "0.01")
    assert {row["instId"]: row["last"] for row in client.rows("market/tickers", instType="SWAP")} == {
        BTC: "50000", ETH: "3000"}  # fmt: skip
    assert {row["instId"] for row in client.rows("public/funding-rate", instId="ANY")} == {BTC, ETH}


def test_trade_ids_are_unique_for_each_instrument(one):
    client = one.client()
    client.placed("buy", "1")
    client.placed("buy", "1", instId=ETH)
    fills = client.rows("trade/fills")
    assert [fill["instId"] for fill in fills] == [ETH, BTC]
    assert fills[0]["tradeId"] == fills[1]["tradeId"]
    assert fills[0]["billId"] != fills[1]["billId"]


def test_cross_margin_is_one_for_both(one):
    client = one.client()
    client.placed("buy", "10")
    client.placed("sell", "20", instId=ETH)
    rows = client.rows("account/positions")
    detail = client.rows("account/balance")[0]["details"][0]
    assert Decimal(detail["imr"]) == sum(Decimal(row["imr"]) for row in rows)
    assert Decimal(detail["upl"]) == sum(Decimal(row["upl"]) for row in rows)
    assert {row["mgnRatio"] for row in rows} == {detail["mgnRatio"]}


def test_an_order_is_found_under_its_instrument_only(one):
    client = one.client()
    placed = client.placed("buy", "1", "2990", instId=ETH, clOrdId="e")
    assert client.get("trade/order", instId=BTC, ordId=placed)["code"] == "51603"
    assert client.post("trade/cancel-order", {"instId": BTC, "clOrdId": "e"})["data"][0]["sCode"] == "51400"
    assert client.post("trade/cancel-order", {"instId": ETH, "clOrdId": "e"})["code"] == "0"


def test_order_buckets_are_for_each_instrument():
    one = both(limits=True)
    client = one.client()
    body = {"tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "2900"}
    codes = [client.post("trade/order", body | {"instId": ETH})["code"] for _ in range(61)]
    assert (codes.count("0"), codes[-1]) == (60, "50011")
    assert client.post("trade/order", body | {"instId": BTC, "px": "49000"})["code"] == "0"


def test_a_batch_over_two_instruments_counts_in_the_bucket_of_each():
    client = both(limits=True).client()
    eth, btc = ({"instId": inst_id, "ordId": "1"} for inst_id in (ETH, BTC))
    for _ in range(15):
        assert client.post("trade/cancel-batch-orders", [eth] * 19 + [btc])["code"] == "1"
    assert client.post("trade/cancel-batch-orders", [btc] * 2 + [eth] * 18)["code"] == "50011"
    for _ in range(14):
        assert client.post("trade/cancel-batch-orders", [btc] * 20)["code"] == "1"
    assert client.post("trade/cancel-batch-orders", [btc] * 6)["code"] == "50011"
    assert client.post("trade/cancel-batch-orders", [btc] * 5)["code"] == "1"


def test_a_cross_account_is_liquidated_over_both_and_balances(one):
    client = one.client()
    for inst_id in (BTC, ETH):
        client.post("account/set-leverage", {"instId": inst_id, "lever": "20", "mgnMode": "cross"})
    client.placed("buy", "900")
    client.placed("buy", "900", instId=ETH)
    one.inject("market.mark_away", percent="-25")
    one.pass_time(2)
    assert client.rows("account/positions") == []
    kinds = {row["instId"]: row["type"] for row in client.rows("account/positions-history")}
    assert kinds == {BTC: "3", ETH: "3"}
    assert client.account.cash == 0
    assert imbalance(one.demo) == {}
