"""Money and contracts: fees, bills that add up, positions, reduce-only, leverage, position mode, funding."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from tests.venue.oracles.trader import Trader

CENT = Decimal("0.0001")


def fee_rates(who: Trader) -> tuple[Decimal, Decimal]:
    """Taker and maker rate of the instrument's group; negative where charged."""
    (fees,) = who.client.get("account/trade-fee", instType="SWAP").data
    (group,) = [group for group in fees["feeGroup"] if group["groupId"] == who.facts["groupId"]]
    return Decimal(group["taker"]), Decimal(group["maker"])


def test_a_taker_pays_the_taker_s_rate(one):
    identity = one.place("buy", "optimal_limit_ioc", 7)
    taker, maker = fee_rates(one)
    assert taker < maker < 0
    for fill in one.fills(identity):
        value = Decimal(fill["fillPx"]) * Decimal(fill["fillSz"]) * one.contract
        assert abs(Decimal(fill["fee"]) - value * taker) < CENT / 100
        assert (fill["feeCcy"], fill["side"], fill["execType"]) == ("USDT", "buy", "T")
    charged = sum(Decimal(fill["fee"]) for fill in one.fills(identity))
    assert Decimal(one.order(identity)["fee"]) == charged < 0


def test_a_maker_pays_the_maker_s_rate(one, venue):
    bid, ask = one.top()
    buy = one.place("buy", "post_only", 5, bid)
    sell = one.place("sell", "post_only", 5, ask)
    for _ in range(30):
        venue.step(60)
        filled = [identity for identity in (buy, sell) if one.fills(identity)]
        if filled:
            break
    assert filled, "half an hour of market passed without a fill at the best prices"
    _, maker = fee_rates(one)
    for fill in one.fills(filled[0]):
        value = Decimal(fill["fillPx"]) * Decimal(fill["fillSz"]) * one.contract
        assert fill["execType"] == "M"
        assert Decimal(fill["fillPx"]) == (bid if filled[0] == buy else ask)
        assert abs(Decimal(fill["fee"]) - value * maker) < CENT / 100


def test_bills_add_up_to_the_balance(one):
    before = list(one.client.pages("account/bills", "billId"))
    cash = Decimal(one.usdt()["cashBal"])
    one.place("buy", "optimal_limit_ioc", 9)
    one.place("sell", "optimal_limit_ioc", 4, reduceOnly=True)
    bills = list(one.client.pages("account/bills", "billId"))
    new = bills[: len(bills) - len(before)]
    assert {bill["type"] for bill in new} == {"2"}
    for later, earlier in pairwise(bills):
        assert Decimal(later["bal"]) == Decimal(earlier["bal"]) + Decimal(later["balChg"])
        assert int(later["billId"]) > int(earlier["billId"])
    for bill in new:
        assert Decimal(bill["balChg"]) == Decimal(bill["pnl"]) + Decimal(bill["fee"])
    assert (
        Decimal(one.usdt()["cashBal"])
        == cash + sum(Decimal(bill["balChg"]) for bill in new)
        == Decimal(bills[0]["bal"])
    )


def test_profit_is_the_difference_of_the_prices(one):
    buy = one.place("buy", "optimal_limit_ioc", 10)
    (held,) = one.client.get("account/positions", instType="SWAP", instId=one.instrument).data
    bought = Decimal(one.order(buy)["avgPx"])
    assert abs(Decimal(held["avgPx"]) - bought) < CENT
    unrealised = (Decimal(held["markPx"]) - Decimal(held["avgPx"])) * Decimal(held["pos"]) * one.contract
    assert abs(Decimal(held["upl"]) - unrealised) < CENT
    sell = one.place("sell", "optimal_limit_ioc", 10, reduceOnly=True)
    record = one.order(sell)
    assert abs(Decimal(record["pnl"]) - (Decimal(record["avgPx"]) - bought) * one.lot * 10 * one.contract) < CENT
    assert one.position() == 0


def test_a_short_position_is_negative_and_gains_when_the_price_falls(one):
    one.place("sell", "optimal_limit_ioc", 6)
    (held,) = one.client.get("account/positions", instType="SWAP", instId=one.instrument).data
    assert (Decimal(held["pos"]), held["posSide"]) == (-6 * one.lot, "net")
    unrealised = (Decimal(held["avgPx"]) - Decimal(held["markPx"])) * 6 * one.lot * one.contract
    assert abs(Decimal(held["upl"]) - unrealised) < CENT


def test_adding_to_a_position_weighs_the_prices(one, venue):
    first = one.order(one.place("buy", "optimal_limit_ioc", 10))
    venue.step(300)
    second = one.order(one.place("buy", "optimal_limit_ioc", 30))
    (held,) = one.client.get("account/positions", instType="SWAP", instId=one.instrument).data
    weighted = (Decimal(first["avgPx"]) + 3 * Decimal(second["avgPx"])) / 4
    assert abs(Decimal(held["avgPx"]) - weighted) < Decimal("0.01")


def test_equity_is_cash_and_what_is_not_realised(one):
    one.place("buy", "optimal_limit_ioc", 10)
    record = one.usdt()
    assert abs(Decimal(record["eq"]) - Decimal(record["cashBal"]) - Decimal(record["upl"])) < CENT
    assert Decimal(record["availEq"]) < Decimal(record["eq"])


def test_reduce_only_needs_a_position_to_reduce(one):
    assert one.refusal("sell", "optimal_limit_ioc", 1, reduceOnly=True) == "51169"
    one.place("buy", "optimal_limit_ioc", 5)
    assert one.refusal("buy", "optimal_limit_ioc", 1, reduceOnly=True) in {"51170", "51169"}


def test_reduce_only_never_turns_a_position(one):
    one.place("buy", "optimal_limit_ioc", 5)
    answer = one.request("sell", "optimal_limit_ioc", 12, reduceOnly=True)
    assert one.position() >= 0, answer.body


def test_closing_a_position_leaves_none(one):
    one.place("buy", "optimal_limit_ioc", 5)
    closing = {"instId": one.instrument, "mgnMode": "cross", "clOrdId": "closing1"}
    assert one.client.post("account/positions", closing).status in {404, 405}
    assert set(one.client.post("trade/close-position", closing).data[0]) == {"instId", "posSide", "clOrdId", "tag"}
    assert one.position() == 0
    (record,) = one.client.get("trade/order", instId=one.instrument, clOrdId="closing1").data
    assert record["state"] == "filled"
    assert one.client.post("trade/close-position", closing).json["code"] in {"51023", "1"}


def test_a_close_that_is_refused_cancels_nothing(one):
    one.place("buy", "optimal_limit_ioc", 20)
    one.place("buy", "limit", 1, one.far_below(), clOrdId="taken")
    _, ask = one.top()
    waiting = one.place("sell", "limit", 20, ask + 1000 * one.tick)
    close = {"instId": one.instrument, "mgnMode": "cross", "autoCxl": True, "clOrdId": "taken"}
    assert one.client.post("trade/close-position", close).code == "51016"
    assert one.order(waiting)["state"] == "live"
    assert one.position() == 20 * one.lot


def test_more_than_the_margin_bears_is_refused(one):
    most = Decimal(one.client.get("account/max-size", instId=one.instrument, tdMode="cross").data[0]["maxBuy"])
    limit = Decimal(one.facts["maxMktSz"])
    if most >= limit:
        one.client.post("account/set-leverage", {"lever": "1", "mgnMode": "cross", "instId": one.instrument})
        most = Decimal(one.client.get("account/max-size", instId=one.instrument, tdMode="cross").data[0]["maxBuy"])
    wanted = str(((most * 2) // one.lot) * one.lot)
    assert one.refusal("buy", "limit", wanted, one.far_below()) in {"51008", "51119", "51127", "51131", "51004"}


def test_leverage_is_what_was_set_and_moves_the_margin(one):
    asked = {"lever": "4", "mgnMode": "cross", "instId": one.instrument}
    assert one.client.post("account/set-leverage", asked).data[0]["lever"] == "4"
    (said,) = one.client.get("account/leverage-info", instId=one.instrument, mgnMode="cross").data
    assert Decimal(said["lever"]) == 4
    one.place("buy", "optimal_limit_ioc", 20)
    (held,) = one.client.get("account/positions", instType="SWAP", instId=one.instrument).data
    value = Decimal(held["markPx"]) * Decimal(held["pos"]) * one.contract
    assert abs(Decimal(held["imr"]) - value / 4) < value / 100


def test_the_position_mode_changes_only_when_nothing_is_open(one):
    identity = one.place("buy", "limit", 1, one.far_below())
    assert one.client.post("account/set-position-mode", {"posMode": "long_short_mode"}).json["code"] == "59000"
    one.cancel(identity)
    assert one.client.post("account/set-position-mode", {"posMode": "long_short_mode"}).code == "0"
    try:
        assert one.refusal("buy", "optimal_limit_ioc", 1) == "51000"
        one.place("buy", "optimal_limit_ioc", 2, posSide="long")
        one.place("sell", "optimal_limit_ioc", 3, posSide="short")
        held = {r["posSide"]: Decimal(r["pos"]) for r in one.client.get("account/positions", instType="SWAP").data}
        assert held == {"long": one.lot * 2, "short": one.lot * 3}
        one.place("sell", "optimal_limit_ioc", 2, posSide="long")
        one.place("buy", "optimal_limit_ioc", 3, posSide="short")
    finally:
        assert one.client.post("account/set-position-mode", {"posMode": "net_mode"}).code == "0"


def test_funding_is_paid_by_the_side_that_the_rate_says(one, venue):
    one.place("buy", "optimal_limit_ioc", 10)
    (rate,) = one.client.get("public/funding-rate", instId=one.instrument).data
    now = one.client.now().timestamp()
    venue.step(int(rate["fundingTime"]) / 1000 - now + 120)
    bill = next(bill for bill in one.client.get("account/bills", type="8").data)
    (settled,) = one.client.get("public/funding-rate-history", instId=one.instrument, limit=1).data
    realised = Decimal(settled["realizedRate"])
    assert settled["fundingTime"] == rate["fundingTime"]
    cost = 10 * one.lot * one.contract * Decimal(bill["px"]) * realised
    assert abs(Decimal(bill["balChg"]) + cost) < CENT
    assert bill["subType"] == ("173" if cost > 0 else "174")
    (after,) = one.client.get("public/funding-rate", instId=one.instrument).data
    assert after["fundingTime"] == rate["nextFundingTime"]
