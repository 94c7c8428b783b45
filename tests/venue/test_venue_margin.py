"""Section 4: what positions are worth, margin, leverage, tiers, liquidation, auto-deleveraging, funding, bills."""

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


def test_notional_and_upl_follow_the_mark(one):
    client = one.client()
    client.placed("buy", "5")
    row = client.position()
    mark = number(row, "markPx")
    assert number(row, "notionalUsd") == 5 * Decimal("0.01") * mark
    assert number(row, "upl") == (mark - number(row, "avgPx")) * 5 * Decimal("0.01")


def test_a_short_position_is_negative_in_net_mode(one):
    client = one.client()
    client.placed("sell", "5")
    row = client.position()
    assert (row["pos"], row["posSide"]) == ("-5", "net")
    assert number(row, "upl") == -(number(row, "markPx") - number(row, "avgPx")) * 5 * Decimal("0.01")


def test_initial_margin_is_notional_over_leverage(one):
    client = one.client()
    assert lever(client, "10") == "0"
    client.placed("buy", "5")
    row = client.position()
    assert number(row, "imr") == number(row, "notionalUsd") / 10


def test_equity_is_cash_and_unrealised_result(one):
    client = one.client()
    client.placed("buy", "5")
    (total,) = client.rows("account/balance")
    detail, row = total["details"][0], client.position()
    assert number(detail, "eq") == number(detail, "cashBal") + number(row, "upl") == number(total, "totalEq")


def test_isolated_margin_lies_outside_of_cash(one):
    client = one.client()
    client.placed("buy", "5", tdMode="isolated")
    detail, row = client.rows("account/balance")[0]["details"][0], client.position()
    assert number(row, "margin") > 0
    assert number(detail, "cashBal") + number(row, "margin") - number(row, "fee") == 100_000
    assert number(detail, "isoEq") == number(row, "margin") + number(row, "upl")


def test_an_order_beyond_the_free_money_is_51008(one):
    client = one.client()
    assert client.refused("buy", "700", "50000") == "51008"
    client.placed("buy", "300", "49900")
    assert client.refused("buy", "400", "49900") == "51008"


def test_pending_orders_bind_margin(one):
    client = one.client()
    client.placed("buy", "30", "49000")
    detail = client.rows("account/balance")[0]["details"][0]
    notional = Decimal(30) * Decimal("0.01") * 49_000
    assert number(detail, "ordFrozen") == pytest.approx(
        notional / 3 + notional * Decimal("0.0005"), abs=Decimal("1e-9")
    )


def test_an_order_against_the_position_binds_nothing(one):
    client = one.client()
    client.placed("buy", "5")
    client.placed("sell", "5", "50500")
    assert client.rows("account/balance")[0]["details"][0]["ordFrozen"] == "0"
    client.placed("sell", "5", "50500")
    assert client.rows("account/balance")[0]["details"][0]["ordFrozen"] != "0"


def test_tiers_limit_the_position_at_a_leverage(one):
    client = one.client()
    assert lever(client, "100") == "0"
    assert client.refused("buy", "1000.01", "49000") == "51004"
    assert lever(client, "75") == "0"
    assert client.order("buy", "1000.01", "49000")["sCode"] == "0"


def test_leverage_is_read_back(one):
    client = one.client()
    assert lever(client, "12.5", "isolated") == "0"
    rows = client.rows("account/leverage-info", instId=BTC, mgnMode="isolated")
    assert [(row["lever"], row["posSide"]) for row in rows] == [("12.5", "net")]
    assert client.rows("account/leverage-info", instId=BTC, mgnMode="cross")[0]["lever"] == "3"


@pytest.mark.parametrize(("value", "code"), [("101", "59102"), ("0.5", "59105"), ("x", "51000"), ("1", "0")])
def test_leverage_has_bounds(one, value, code):
    assert lever(one.client(), value) == code


def test_leverage_does_not_change_under_pending_orders(one):
    client = one.client()
    client.placed("buy", "1", "49000")
    assert lever(client, "5") == "59107"
    assert lever(client, "5", "isolated") == "0"


def test_isolated_leverage_of_long_short_mode_has_a_side(one):
    client = one.client()
    client.post("account/set-position-mode", {"posMode": "long_short_mode"})
    assert lever(client, "5", "isolated") == "51000"
    assert lever(client, "5", "isolated", posSide="long") == "0"
    rows = client.rows("account/leverage-info", instId=BTC, mgnMode="isolated")
    assert {(row["posSide"], row["lever"]) for row in rows} == {("long", "5"), ("short", "3")}


def test_max_size_is_what_can_be_opened(one):
    client = one.client()
    (row,) = client.rows("account/max-size", instId=BTC, tdMode="cross", px="50000")
    assert client.refused("buy", str(Decimal(row["maxBuy"]) + Decimal("0.01")), "50000") == "51008"
    assert client.order("buy", row["maxBuy"], "50000")["sCode"] == "0"


def test_an_average_price_is_that_of_what_is_open(one):
    one.alone()
    client, other = one.client(), one.client("other")
    for px, sz in (("50000", "1"), ("50030", "2")):
        other.placed("sell", sz, px)
        client.placed("buy", sz, px)
    assert client.position()["avgPx"] == "50020"
    other.placed("buy", "1", "50050")
    client.placed("sell", "1", "50050")
    row = client.position()
    assert (row["avgPx"], row["pos"]) == ("50020", "2")
    assert number(row, "pnl") == Decimal("0.3")


def test_realised_is_pnl_fee_funding_and_penalty(one):
    client = one.client()
    client.placed("buy", "5")
    client.placed("sell", "2")
    row = client.position()
    total = sum(number(row, name) for name in ("pnl", "fee", "fundingFee", "liqPenalty"))
    assert number(row, "realizedPnl") == total != 0


def test_net_mode_flips_through_flat(one):
    client = one.client()
    client.placed("buy", "5")
    client.placed("sell", "8")
    assert client.position()["pos"] == "-3"
    (closed,) = client.rows("account/positions-history")
    assert (closed["closeTotalPos"], closed["direction"], closed["type"]) == ("5", "long", "2")


def test_positions_history_tells_part_and_whole(one):
    client = one.client()
    client.placed("buy", "5")
    client.placed("sell", "2")
    assert client.rows("account/positions-history")[0]["type"] == "1"
    client.placed("sell", "3")
    (row,) = client.rows("account/positions-history")
    assert (row["type"], row["closeTotalPos"], row["openMaxPos"]) == ("2", "5", "5")


def test_a_flat_position_is_shown_only_to_who_names_it(one):
    client = one.client()
    assert client.rows("account/positions", instId=BTC) == []
    client.placed("buy", "5")
    pos_id = client.position()["posId"]
    client.placed("sell", "5")
    assert client.rows("account/positions") == []
    (row,) = client.rows("account/positions", instId=BTC)
    assert (row["pos"], row["posId"]) == ("0", pos_id)


# ---- fees ------------------------------------------------------------------------------------------------------------


def test_fees_are_negative_and_follow_the_role(one):
    one.alone()
    client, other = one.client(), one.client("other")
    other.placed("sell", "1", "50000")
    client.placed("buy", "1", "50000")
    taken, made = client.rows("trade/fills")[0], other.rows("trade/fills")[0]
    assert (taken["execType"], taken["fee"], taken["feeCcy"]) == ("T", "-0.25", "USDT")
    assert (made["execType"], made["fee"]) == ("M", "-0.1")


def test_fees_are_by_group_and_the_flat_fields_are_empty(one):
    (row,) = one.client().rows("account/trade-fee", instType="SWAP", groupId="2")
    assert row["feeGroup"] == [
        {"groupId": "2", "taker": "-0.0005", "maker": "-0.0002", "elpMaker": "-0.0002", "rpiMaker": "-0.0002"}
    ]
    assert (row["taker"], row["maker"], row["takerU"], row["makerU"]) == ("", "", "", "")
    assert one.market.instrument.group_id == "2"


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
