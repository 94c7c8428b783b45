"""Section 4: what positions are worth, margin, leverage, tiers, fees."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.venue.desk import BTC, desk


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


def test_a_lower_leverage_of_an_isolated_position_asks_for_more_margin(one):
    client = one.client()
    lever(client, "10", "isolated")
    client.placed("buy", "5", tdMode="isolated")
    before = number(client.position(), "margin")
    assert lever(client, "5", "isolated") == "0"
    assert number(client.position(), "margin") == 2 * before
    (bill,) = client.rows("account/bills", type="6")
    assert (bill["subType"], number(bill, "balChg"), number(bill, "posBalChg")) == ("160", -before, before)
    assert lever(client, "50", "isolated") == "0"
    assert number(client.position(), "margin") == 2 * before


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
