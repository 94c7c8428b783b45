"""The market as it is played: bars come back exactly, the mark keeps apart, and the mark liquidates."""

from __future__ import annotations

from decimal import Decimal

import pytest

from prometheus.venue.quanta import RATE
from tests.venue.oracles.conftest import WARM_UP, minutes, opened


def test_recorded_bars_come_back_exactly(one, venue):
    """Prices to the tick, volume to the lot."""
    played = 45
    venue.step(60 * played)
    candles = one.client.get("market/history-candles", instId=one.instrument, limit=played).data
    bars = minutes()
    assert len(candles) == played
    for back, candle in enumerate(candles, 1):
        at = WARM_UP + played - back
        said = [Decimal(text) for text in candle[1:6]]
        recorded = [Decimal(str(column[at])) for column in (bars.open, bars.high, bars.low, bars.close)]
        assert [abs(a - b) <= one.tick / 2 for a, b in zip(said, recorded, strict=False)] == [True] * 4, at
        assert abs(said[4] * one.contract - Decimal(str(bars.volume[at]))) <= one.lot * one.contract, at
        assert int(candle[0]) == int(bars.open_time[at]) * 1000


def test_every_trade_of_the_path_is_within_its_bar(one, venue):
    for _ in range(90):
        venue.step(1)
        (ticker,) = one.client.get("market/ticker", instId=one.instrument).data
        (candle,) = one.client.get("market/candles", instId=one.instrument, limit=1).data
        assert Decimal(candle[3]) <= Decimal(ticker["last"]) <= Decimal(candle[2])
        assert Decimal(ticker["bidPx"]) < Decimal(ticker["askPx"])
        assert Decimal(ticker["last"]) in {Decimal(ticker["bidPx"]), Decimal(ticker["askPx"])}


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_the_mark_liquidates_and_the_records_say_so(mode):
    venue = opened(deposit=2_000)
    one = venue.trader("demo", "sub1")
    asked = {"lever": "50", "mgnMode": mode, "instId": one.instrument}
    assert one.client.post("account/set-leverage", asked).code == "0"
    most = Decimal(one.client.get("account/max-size", instId=one.instrument, tdMode=mode).data[0]["maxBuy"])
    cash = Decimal(one.usdt()["cashBal"])
    bought = one.place("buy", "optimal_limit_ioc", str(most // 2 // one.lot * one.lot), tdMode=mode)
    resting = one.place("buy", "post_only", 1, one.far_below(), tdMode=mode)
    before = one.position()
    assert before == Decimal(one.order(bought)["accFillSz"]) > 0
    venue.world.environments["demo"].markets[one.instrument].reference.mark_shift = -RATE // 10
    venue.step(2)
    assert one.position() < before / 2
    record = one.order(resting)
    assert (record["state"], record["cancelSource"]) == ("canceled", "3")
    history = one.client.get("trade/orders-history", instType="SWAP").data
    forced = [order for order in history if order["category"] != "normal"]
    assert {order["category"] for order in forced} & {"full_liquidation", "partial_liquidation"}
    assert {order["clOrdId"] for order in forced} == {""}
    bills = one.client.get("account/bills", type="5").data
    assert bills
    assert {bill["subType"] for bill in bills} <= {"102", "103", "106", "107", "111"}
    (row, *_) = one.client.get("account/positions-history", instType="SWAP").data
    assert row["type"] in {"3", "4"}
    assert row["triggerPx"]
    assert 0 <= Decimal(one.client.get("account/bills", limit=1).data[0]["bal"]) < cash
