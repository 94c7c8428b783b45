"""Section 4: funding, liquidation, auto-deleveraging, and the bills that tell of them."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from prometheus.venue.quanta import USDT
from tests.venue.desk import BTC, bars, desk, flat, walk


@pytest.fixture
def one():
    return desk()


def number(row, name):
    return Decimal(row[name])


def lever(client, value, mode="cross", **more):
    return client.post("account/set-leverage", {"instId": BTC, "lever": value, "mgnMode": mode, **more})["code"]


# ---- funding ---------------------------------------------------------------------------------------------------------


def funded(rate=0.0001, side="buy"):
    """A position over the settlement of 08:00."""
    start = 1_704_067_200 + 7 * 3600 + 3300
    one = desk(bars([(50_000,) * 4 + (6.0,)] * 20, funding=rate, start=start))
    client = one.client()
    client.placed(side, "5")
    one.pass_time(4 * 60)
    return one, client


@pytest.mark.parametrize(("side", "sub_type", "sign"), [("buy", "173", -1), ("sell", "174", 1)])
def test_funding_is_position_value_times_rate_and_longs_pay_a_positive_rate(side, sub_type, sign):
    _, client = funded(side=side)
    (bill,) = client.rows("account/bills", type="8")
    value = 5 * Decimal("0.01") * number(bill, "px") * Decimal("0.0001")
    assert bill["subType"] == sub_type
    assert number(bill, "pnl") == number(bill, "balChg") == sign * value
    assert number(client.position(), "fundingFee") == sign * value
    assert bill["ordId"] == ""


def test_the_history_has_the_forecast_and_the_realised_rate():
    _, client = funded()
    (row,) = client.rows("public/funding-rate-history", instId=BTC)
    assert row["realizedRate"] == "0.0001"
    assert abs(Decimal(row["fundingRate"]) - Decimal("0.0001")) <= Decimal("0.000001")
    assert int(row["fundingTime"]) % 28_800_000 == 0


def test_orders_are_refused_while_funding_settles():
    start = 1_704_067_200 + 7 * 3600 + 3300
    one = desk(bars([(50_000,) * 4 + (6.0,)] * 20, start=start))
    client = one.client()
    due = one.market.reference.funding_ms
    one.world.advance(due)
    assert client.rows("public/funding-rate", instId=BTC)[0]["settState"] == "processing"
    assert client.refused("buy", "1", "49000") == "51030"
    one.pass_time(1)
    assert client.rows("public/funding-rate", instId=BTC)[0]["settState"] == "settled"
    assert client.placed("buy", "1", "49000")


def test_the_funding_interval_is_the_distance_of_two_times_and_may_change(one):
    client = one.client()
    before = client.rows("public/funding-rate", instId=BTC)[0]
    assert int(before["nextFundingTime"]) - int(before["fundingTime"]) == 8 * 3_600_000
    one.inject("venue.funding_interval", hours=4)
    after = client.rows("public/funding-rate", instId=BTC)[0]
    assert int(after["nextFundingTime"]) - int(after["fundingTime"]) == 4 * 3_600_000
    assert after["fundingTime"] == before["fundingTime"]
    one.pass_time(8 * 3600)
    later = client.rows("public/funding-rate", instId=BTC)[0]
    assert later["fundingTime"] == after["nextFundingTime"]


def test_orders_are_cancelled_when_funding_leaves_too_little():
    start = 1_704_067_200 + 7 * 3600 + 3300
    one = desk(bars([(50_000,) * 4 + (6.0,)] * 20, funding=0.003, start=start), deposit=1_000 * USDT)
    client = one.client()
    lever(client, "10")
    client.placed("buy", "10")
    placed = client.placed("buy", "9.7", "49900")
    shrinking = client.placed("sell", "1", "50900", reduceOnly=True)
    one.pass_time(4 * 60)
    assert client.state(placed) == ("canceled", "9")
    assert client.state(shrinking)[0] == "live"


# ---- forced trades ---------------------------------------------------------------------------------------------------


def crashed(mode, side="buy", to=40_000):
    one = desk(walk([50_000, to, to]), deposit=1_000 * USDT)
    client = one.client()
    lever(client, "10", mode)
    client.placed(side, "15" if mode == "cross" else "5", tdMode=mode)
    one.pass_time(240)
    return one, client


@pytest.mark.parametrize(("mode", "side", "to"), [
    ("isolated", "buy", 40_000), ("isolated", "sell", 60_000), ("cross", "buy", 40_000), ("cross", "sell", 60_000),
])  # fmt: skip
def test_a_position_is_liquidated_when_the_margin_ratio_falls_to_one(mode, side, to):
    _, client = crashed(mode, side, to)
    assert client.rows("account/positions") == []
    (row,) = client.rows("account/positions-history")
    assert (row["type"], row["direction"]) == ("3", "long" if side == "buy" else "short")
    assert Decimal(row["triggerPx"]) > 0
    order = client.rows("trade/orders-history", instType="SWAP", category="full_liquidation")[0]
    assert (order["clOrdId"], order["state"], order["sz"]) == ("", "filled", row["openMaxPos"])
    bills = client.rows("account/bills", type="5")
    assert {bill["subType"] for bill in bills} <= {"106", "107", "111"}


def test_a_liquidated_account_owes_nothing():
    for mode in ("isolated", "cross"):
        _, client = crashed(mode)
        cash = client.account.cash
        assert cash >= 0
        assert (cash < 10**10) == (mode == "cross")


def test_isolated_liquidation_takes_its_margin_only():
    _, client = crashed("isolated")
    row = client.rows("account/positions-history")[0]
    margin = Decimal("0.05") * Decimal(row["openAvgPx"]) / 10
    lost = 1_000 - number(client.rows("account/balance")[0]["details"][0], "cashBal")
    assert lost == pytest.approx(margin - number(client.rows("trade/fills")[-1], "fee"), abs=Decimal("0.01"))


def test_liquidation_cancels_pending_orders_first():
    one = desk(walk([50_000, 40_000, 40_000]), deposit=1_000 * USDT)
    client = one.client()
    lever(client, "10")
    client.placed("buy", "15")
    placed = client.placed("sell", "1", "50900", reduceOnly=True)
    one.pass_time(240)
    assert client.state(placed) == ("canceled", "3")


def test_the_mark_liquidates_not_the_last_price():
    one = desk(flat(), deposit=1_000 * USDT)
    client = one.client()
    lever(client, "10", "isolated")
    client.placed("buy", "5", tdMode="isolated")
    one.inject("market.mark_away", percent="-12")
    one.pass_time(2)
    assert client.rows("market/ticker", instId=BTC)[0]["last"] == "50000"
    assert client.rows("account/positions-history")[0]["type"] == "3"


def test_the_liquidation_price_is_where_it_happens():
    one = desk(flat(), deposit=1_000 * USDT)
    client = one.client()
    lever(client, "10", "isolated")
    client.placed("buy", "5", tdMode="isolated")
    row = client.position()
    away = Decimal(row["liqPx"]) / Decimal(row["markPx"]) - 1
    one.inject("market.mark_away", percent=f"{away * 100 + Decimal('0.01'):.6f}")
    one.pass_time(1)
    assert client.position()["pos"] == "5"
    one.inject("market.mark_away", percent=f"{away * 100 - Decimal('0.01'):.6f}")
    one.pass_time(1)
    assert client.rows("account/positions") == []


def test_from_tier_three_on_two_tiers_are_taken_at_a_time():
    one = desk(flat(volume=60_000), deposit=4_000_000 * USDT)
    client = one.client()
    lever(client, "20")
    for _ in range(3):
        client.placed("buy", "3900", "50050", ordType="ioc")
    row = client.position()
    assert Decimal(row["pos"]) > 10_000
    away = Decimal(row["liqPx"]) / Decimal(row["markPx"]) - 1
    one.inject("market.mark_away", percent=f"{away * 100 - Decimal('0.01'):.6f}")
    one.pass_time(1)
    assert client.rows("trade/orders-history", instType="SWAP", category="partial_liquidation")
    assert client.position()["pos"] == "5000"
    assert client.rows("account/positions-history")[0]["type"] == "4"
    assert Decimal(client.position()["liqPenalty"]) < 0
    assert {bill["subType"] for bill in client.rows("account/bills", type="5")} == {"103", "111"}


def test_adl_has_its_category_its_bills_and_cancels_orders(one):
    client = one.client()
    client.placed("buy", "5")
    placed = client.placed("buy", "1", "49000")
    one.inject("market.adl", sz="2")
    assert client.state(placed) == ("canceled", "6")
    assert client.position()["pos"] == "3"
    order = client.rows("trade/orders-history", instType="SWAP", category="adl")[0]
    assert (order["side"], order["sz"], order["clOrdId"]) == ("sell", "2", "")
    (bill,) = client.rows("account/bills", type="9")
    assert bill["subType"] == "128"
    assert client.rows("account/positions-history")[0]["type"] == "5"


# ---- bills -----------------------------------------------------------------------------------------------------------


def test_bills_add_up_to_the_cash():
    _, client = crashed("isolated")
    client.placed("buy", "1", tdMode="isolated")
    client.placed("sell", "1", tdMode="isolated")
    rows = client.rows("account/bills")
    assert sum(number(row, "balChg") for row in rows) == Decimal(client.account.cash) / USDT
    for newer, older in pairwise(rows):
        assert number(newer, "bal") == number(older, "bal") + number(newer, "balChg")


def test_bills_are_chosen_by_type_sub_type_instrument_and_mode():
    one, client = funded()
    client.placed("sell", "1", tdMode="isolated")
    assert {row["type"] for row in client.rows("account/bills", instId=BTC)} == {"2", "8"}
    assert [row["subType"] for row in client.rows("account/bills", type="2", subType="2")] == ["2"]
    assert {row["mgnMode"] for row in client.rows("account/bills", mgnMode="isolated")} == {"isolated"}
    assert [row["type"] for row in client.rows("account/bills-archive", type="1")] == ["1"]
    assert client.rows("account/bills", ccy="BTC") == []
    kinds = {
        row["type"]: {each["subType"] for each in row["subTypeDetails"]} for row in client.rows("account/subtypes")
    }
    assert all(row["subType"] in kinds[row["type"]] for row in client.rows("account/bills"))
    assert one.demo.books.other.funding != 0


def test_every_fill_has_its_bill(one):
    client = one.client()
    client.placed("buy", "300")
    client.placed("sell", "300")
    fills = {row["billId"]: row for row in client.rows("trade/fills")}
    bills = {row["billId"]: row for row in client.rows("account/bills", type="2")}
    assert fills.keys() == bills.keys()
    for bill_id, fill in fills.items():
        assert (fill["tradeId"], fill["fee"], fill["fillPnl"]) == tuple(
            bills[bill_id][name] for name in ("tradeId", "fee", "pnl")
        )


def test_ids_have_nineteen_digits_and_rise(one):
    client = one.client()
    ids = [client.placed("buy", "0.01") for _ in range(5)]
    assert ids == sorted(ids, key=int)
    assert {len(each) for each in ids} == {19}
    bills = [row["billId"] for row in client.rows("account/bills")]
    assert bills == sorted(bills, key=int, reverse=True)
    assert len(set(bills)) == len(bills)
