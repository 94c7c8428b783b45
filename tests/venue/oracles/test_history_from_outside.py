"""What is kept, for how long, and how it is paged; candles; and the shape of every answer."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from tests.venue.oracles.shapes import forms, misfits, recorded

HOUR = 3600


def test_pages_join_without_a_hole(one):
    made = [one.place("buy", "post_only", 1, one.far_below()) for _ in range(7)]
    newest_first = made[::-1]

    def ids(**query: str | int) -> list[str]:
        answer = one.client.get("trade/orders-pending", instType="SWAP", **query)
        return [record["ordId"] for record in answer.data]

    assert ids() == newest_first
    assert ids(limit=3) == newest_first[:3]
    assert ids(limit=3, after=made[4]) == newest_first[3:6]
    assert ids(after=made[0]) == []
    assert ids(before=made[4]) == newest_first[:2]
    paged = [r["ordId"] for r in one.client.pages("trade/orders-pending", "ordId", instType="SWAP", limit=2)]
    assert paged == newest_first


def test_a_page_has_at_most_a_hundred(one):
    answer = one.client.get("account/bills", limit=101)
    assert answer.code != "0" or len(answer.data) <= 100


def test_fills_are_paged_by_bill(one):
    for _ in range(3):
        one.place("buy", "optimal_limit_ioc", 2)
    every = one.client.get("trade/fills", instType="SWAP").data
    bills = [int(fill["billId"]) for fill in every]
    assert bills == sorted(bills, reverse=True)
    second = one.client.get("trade/fills", instType="SWAP", after=every[0]["billId"], limit=1).data
    assert [fill["billId"] for fill in second] == [every[1]["billId"]]


def test_a_cancelled_order_without_a_fill_is_kept_two_hours(one, venue):
    cancelled = one.place("buy", "limit", 1, one.far_below())
    one.cancel(cancelled)
    filled = one.place("buy", "optimal_limit_ioc", 1)

    def kept() -> set[str]:
        records = one.client.get("trade/orders-history", instType="SWAP").data
        return {record["ordId"] for record in records} & {cancelled, filled}

    venue.step(HOUR)
    assert kept() == {cancelled, filled}
    venue.step(1.1 * HOUR)
    assert kept() == {filled}
    assert one.client.get("trade/order", instId=one.instrument, ordId=cancelled).code == "51603"


def test_fills_are_kept_three_days(one, venue):
    one.place("buy", "optimal_limit_ioc", 1)
    venue.step(2.9 * 24 * HOUR)
    assert one.client.get("trade/fills", instType="SWAP").data
    venue.step(0.2 * 24 * HOUR)
    assert one.client.get("trade/fills", instType="SWAP").data == []
    assert one.client.get("trade/fills-history", instType="SWAP").data


def test_candles_are_newest_first_and_only_the_last_is_forming(one, venue):
    venue.step(30)
    candles = one.client.get("market/candles", instId=one.instrument, bar="1m", limit=10).data
    times = [int(candle[0]) for candle in candles]
    assert times == sorted(times, reverse=True)
    assert {later - earlier for later, earlier in pairwise(times)} == {60_000}
    assert [candle[8] for candle in candles] == ["0"] + ["1"] * (len(candles) - 1)
    for _, opened, high, low, closed, *volumes, _ in candles:
        assert (
            Decimal(low)
            <= min(Decimal(opened), Decimal(closed))
            <= max(Decimal(opened), Decimal(closed))
            <= Decimal(high)
        )
        assert all(isinstance(volume, str) for volume in volumes)


def test_complete_candles_are_walked_one_by_one(one, venue):
    venue.step(630)
    asked = {"instId": one.instrument, "bar": "1m"}
    newest = one.client.get("market/history-candles", **asked, limit=1).data
    older = one.client.get("market/history-candles", **asked, limit=1, after=newest[0][0]).data
    assert [*newest, *older] == one.client.get("market/history-candles", **asked, limit=2).data
    assert {candle[8] for candle in [*newest, *older]} == {"1"}


def test_the_index_and_the_mark_are_not_the_last_price(one, venue):
    apart = 0
    for _ in range(5):
        venue.step(60)
        (mark,) = one.client.get("public/mark-price", instType="SWAP", instId=one.instrument).data
        (ticker,) = one.client.get("market/ticker", instId=one.instrument).data
        apart += mark["markPx"] != ticker["last"]
        assert abs(Decimal(mark["markPx"]) / Decimal(ticker["last"]) - 1) < Decimal("0.05")
    assert apart


READS: dict[str, dict[str, str]] = {
    "public/time": {},
    "public/instruments": {"instType": "SWAP"},
    "public/price-limit": {"instId": "BTC-USDT-SWAP"},
    "public/mark-price": {"instType": "SWAP", "instId": "BTC-USDT-SWAP"},
    "public/funding-rate": {"instId": "BTC-USDT-SWAP"},
    "public/funding-rate-history": {"instId": "BTC-USDT-SWAP"},
    "public/position-tiers": {"instType": "SWAP", "tdMode": "cross", "instFamily": "BTC-USDT"},
    "market/ticker": {"instId": "BTC-USDT-SWAP"},
    "market/books": {"instId": "BTC-USDT-SWAP", "sz": "5"},
    "account/config": {},
    "account/balance": {},
    "account/positions": {"instType": "SWAP"},
    "account/positions-history": {"instType": "SWAP"},
    "account/bills": {},
    "account/leverage-info": {"instId": "BTC-USDT-SWAP", "mgnMode": "cross"},
    "account/max-size": {"instId": "BTC-USDT-SWAP", "tdMode": "cross"},
    "account/trade-fee": {"instType": "SWAP"},
    "trade/orders-pending": {"instType": "SWAP"},
    "trade/orders-history": {"instType": "SWAP"},
    "trade/fills": {"instType": "SWAP"},
    "trade/account-rate-limit": {},
    "account/instruments": {"instType": "SWAP"},
    "market/tickers": {"instType": "SWAP"},
    "account/bills-archive": {},
    "trade/orders-history-archive": {"instType": "SWAP"},
    "trade/fills-history": {"instType": "SWAP"},
    "public/open-interest": {"instType": "SWAP"},
    "market/index-tickers": {"instId": "BTC-USDT"},
    "market/trades": {"instId": "BTC-USDT-SWAP"},
    "account/account-position-risk": {},
    "account/max-avail-size": {"instId": "BTC-USDT-SWAP", "tdMode": "cross"},
}
"""A question to each call whose records are recorded; trade/order is asked with an order of the test's own."""


def test_every_recorded_key_is_there_with_its_type(one, venue):
    venue.step(60)
    one.place("buy", "optimal_limit_ioc", 3)
    one.place("sell", "optimal_limit_ioc", 3, reduceOnly=True)
    identity = one.place("buy", "optimal_limit_ioc", 3)
    one.place("buy", "post_only", 1, one.far_below())
    wrong, asked = [], set()
    for call, query in READS.items():
        answer = one.client.get(call, **query)
        asked.add(f"GET /api/v5/{call}")
        if call != "public/funding-rate-history":
            assert answer.data, call
        wrong += misfits(f"GET /api/v5/{call}", answer.json) + [f"{call}{line}" for line in forms(answer.json)]
    answer = one.client.get("trade/order", instId=one.instrument, ordId=identity)
    wrong += misfits("GET /api/v5/trade/order", answer.json) + forms(answer.json)
    asked.add("GET /api/v5/trade/order")
    assert wrong == []
    assert asked == {call for call, _ in recorded() if call.startswith("GET")}


def test_every_recorded_key_of_a_result_is_there_with_its_type(one):
    price = str(one.far_below())
    order = {"instId": one.instrument, "tdMode": "cross", "side": "buy", "ordType": "post_only", "px": price}
    order["sz"] = str(one.lot)
    named = {"instId": one.instrument, "clOrdId": "shape1"}
    posts: list[tuple[str, object]] = [
        ("account/set-position-mode", {"posMode": "net_mode"}),
        ("account/set-leverage", {"lever": "5", "mgnMode": "cross", "instId": one.instrument}),
        ("trade/order", order | {"clOrdId": "shape1"}),
        ("trade/batch-orders", [order, order | {"sz": "0.0000001"}]),
        ("trade/amend-order", named | {"newSz": str(one.lot * 2)}),
        ("trade/amend-batch-orders", [named | {"newSz": str(one.lot)}]),
        ("trade/cancel-order", named),
        ("trade/cancel-batch-orders", [named]),
        ("trade/cancel-all-after", {"timeOut": "0"}),
    ]
    wrong: list[str] = []
    for call, body in posts:
        answer = one.client.post(call, body)
        assert answer.json["data"], call
        wrong += misfits(f"POST /api/v5/{call}", answer.json) + forms(answer.json)
    one.place("buy", "optimal_limit_ioc", 1)
    closed = one.client.post("trade/close-position", {"instId": one.instrument, "mgnMode": "cross"})
    wrong += misfits("POST /api/v5/trade/close-position", closed.json) + forms(closed.json)
    assert wrong == []
    asked = {f"POST /api/v5/{call}" for call, _ in posts} | {"POST /api/v5/trade/close-position"}
    assert asked == {call for call, _ in recorded() if call.startswith("POST")}
