"""Section 11: what each fault does: lies, time, the venue itself, the market."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from prometheus.v10.base.errors import UsageError
from prometheus.venue.faults.injections import Target
from tests.venue.desk import BTC, desk

ORDER = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "49000", "clOrdId": "f"}


@pytest.fixture
def one():
    return desk()


def journalled(one):
    return [entry["data"] for entry in map(orjson.loads, one.world.journal.tail) if entry["kind"] == "fault"]


def send(client, body=ORDER):
    return client.raw("POST", "/api/v5/trade/order", orjson.dumps(body))


# ---- lies ------------------------------------------------------------------------------------------------------------


def usdt(client):
    return {name: Decimal(value) for name, value in client.rows("account/balance")[0]["details"][0].items()
            if name in {"eq", "eqUsd", "cashBal"}}  # fmt: skip


def test_the_balance_is_off(one):
    one.inject("lie.balance", usdt="250.5")
    assert usdt(one.client())["cashBal"] == Decimal("100250.5")
    assert one.client().account.cash == 100_000 * 10**12


def test_equity_jumps(one):
    one.inject("lie.equity_jump", factor="1.5", target=Target(count=1))
    assert [usdt(one.client())["eq"] for _ in range(2)] == [150_000, 100_000]


def test_usdt_depegs(one):
    one.inject("lie.depeg", usd="0.9")
    assert usdt(one.client()) == {"eq": 100_000, "eqUsd": 90_000, "cashBal": 100_000}


def test_positions_are_empty_or_stale(one):
    client = one.client()
    client.placed("buy", "1")
    empty = one.inject("lie.positions_empty")
    assert client.rows("account/positions") == []
    one.mischief.clear(empty.number)
    one.inject("lie.positions_stale", age_ms=2000)
    seen = []
    for _ in range(4):
        rows = client.rows("account/positions")
        seen.append(rows[0]["pos"] if rows else "")
        client.placed("buy", "1")
        one.pass_time(1)
    assert seen == ["", "", "1", "2"]


def test_an_order_is_unknown_for_the_first_queries(one):
    client = one.client()
    client.placed("buy", "1", "49000", clOrdId="f")
    one.inject("lie.order_unknown", target=Target(count=2))
    assert [client.get("trade/order", instId=BTC, clOrdId="f")["code"] for _ in range(3)] == ["51603", "51603", "0"]


def test_fills_are_late_or_missing_while_the_order_is_filled(one):
    client = one.client()
    one.inject("lie.fills_late", age_ms=5000)
    placed = client.placed("buy", "1")
    assert (client.state(placed)[0], client.rows("trade/fills")) == ("filled", [])
    one.pass_time(6)
    assert len(client.rows("trade/fills")) == 1
    one.inject("order.state_before_fill")
    assert client.rows("trade/fills") == []


def test_fills_carry_another_fee(one):
    client = one.client()
    client.placed("buy", "1")
    true = Decimal(client.rows("trade/fills")[0]["fee"])
    one.inject("lie.fill_fee", factor="1.4")
    assert Decimal(client.rows("trade/fills")[0]["fee"]) == true * Decimal("1.4")


def test_fills_come_twice_with_the_same_or_another_bill(one):
    client = one.client()
    client.placed("buy", "1")
    same = one.inject("double.fill")
    first, second = client.rows("trade/fills")
    assert first == second
    one.mischief.clear(same.number)
    one.inject("double.fill_new_bill")
    first, second = client.rows("trade/fills")
    assert (first["tradeId"], first["billId"] != second["billId"]) == (second["tradeId"], True)


def test_a_terminal_state_comes_twice(one):
    client = one.client()
    client.placed("buy", "1")
    one.inject("double.terminal")
    first, second = client.rows("trade/orders-history", instType="SWAP")
    assert first["ordId"] == second["ordId"]
    assert first["uTime"] != second["uTime"]


def many(one, count=9):
    client = one.client()
    for _ in range(count):
        client.placed("buy", "0.01")
    return client, [row["billId"] for row in client.rows("trade/fills")]


def test_fills_are_out_of_order(one):
    client, ids = many(one)
    one.inject("order.fills_shuffled")
    found = [row["billId"] for row in client.rows("trade/fills")]
    assert found != ids
    assert sorted(found) == sorted(ids)


@pytest.mark.parametrize(("fault", "wanted"), [
    ("page.hole", lambda ids: ids[:4] + ids[5:]), ("page.short", lambda ids: ids[:4]),
])  # fmt: skip
def test_a_page_has_a_hole_or_is_short(one, fault, wanted):
    client, ids = many(one)
    one.inject(fault)
    assert [row["billId"] for row in client.rows("trade/fills")] == wanted(ids)


def test_a_cursor_or_a_limit_is_ignored(one):
    client, ids = many(one)
    one.inject("page.repeated", target=Target(count=1))
    assert [row["billId"] for row in client.rows("trade/fills", after=ids[3])] == ids
    one.inject("page.limit_ignored", target=Target(count=1))
    assert len(client.rows("trade/fills", limit=2)) == 9
    assert len(client.rows("trade/fills", limit=2)) == 2


# ---- time ------------------------------------------------------------------------------------------------------------


def test_the_venues_time_is_off_and_signatures_follow_it(one):
    client = one.client()
    one.inject("time.skew", ms=60_000)
    assert int(client.rows("public/time")[0]["ts"]) == one.world.now + 60_000
    assert client.get("account/balance")["code"] == "50102"
    client.late_ms = 60_000
    assert client.get("account/balance")["code"] == "0"


def test_the_clock_jumps(one):
    before = one.world.now
    one.inject("time.jump", ms=90_000)
    assert one.world.now == before + 90_000


@pytest.mark.parametrize(("fault", "code"), [("time.50102", "50102"), ("time.expired", "50036"),
                                             ("time.expired_later", "50037")])  # fmt: skip
def test_time_is_refused(one, fault, code):
    client = one.client()
    one.inject(fault, target=Target(method="POST", count=1))
    assert orjson.loads(send(client).body)["code"] == code
    assert client.rows("trade/orders-pending") == []


# ---- the venue -------------------------------------------------------------------------------------------------------


def test_a_maintenance_has_a_status_and_refuses_what_is_private(one):
    client = one.client()
    one.inject("venue.maintenance", minutes=5)
    (row,) = client.rows("system/status")
    assert (row["state"], row["serviceType"]) == ("ongoing", "5")
    assert int(row["end"]) - int(row["begin"]) == 300_000
    assert client.get("account/balance")["code"] == "50001"
    assert client.rows("system/status", state="completed") == []
    one.inject("venue.maintenance", on=False)
    assert client.rows("account/balance")


def test_the_instrument_is_suspended(one):
    one.inject("venue.state", state="suspend")
    assert one.client().rows("public/instruments", instType="SWAP")[0]["state"] == "suspend"
    assert one.client().refused("buy", "1", "49000") == "51022"


def test_fees_change(one):
    one.inject("venue.fee", taker="0.001", maker="0.0005")
    client = one.client()
    client.placed("buy", "1")
    fill = client.rows("trade/fills")[0]
    assert Decimal(fill["fee"]) == -Decimal(fill["fillPx"]) * Decimal("0.01") * Decimal("0.001")
    assert client.rows("account/trade-fee", instType="SWAP")[0]["feeGroup"][0]["taker"] == "-0.001"


def test_tiers_change(one):
    one.inject("venue.tiers", factor=3)
    assert one.client().rows("public/position-tiers", instType="SWAP", tdMode="cross")[0]["mmr"] == "0.012"


def test_in_a_cool_off_period_only_reducing_orders_pass(one):
    client = one.client()
    client.placed("buy", "2")
    one.inject("venue.cool_off", minutes=1)
    assert client.refused("buy", "1", "49000") == "54094"
    assert client.placed("sell", "1", reduceOnly=True)
    one.pass_time(61)
    assert client.placed("buy", "1", "49000")


def test_an_account_is_frozen(one):
    one.inject("venue.frozen", code="50022")
    assert one.client().refused("buy", "1", "49000") == "50022"
    one.inject("venue.frozen", code="")
    assert one.client().placed("buy", "1", "49000")


def test_a_key_is_revoked_or_bound_elsewhere(one):
    one.inject("venue.ip_refused", target=Target(uid=one.client("sub1").key.uid))
    assert one.client("sub1").get("account/balance")["code"] == "50110"
    one.inject("venue.key_revoked")
    assert one.client().get("account/balance")["code"] == "50119"


def test_a_person_changes_the_mode_trades_and_closes(one):
    client = one.client()
    one.inject("venue.manual_order", side="sell", sz="3")
    assert client.position()["pos"] == "-3"
    assert client.rows("trade/fills")[0]["clOrdId"] == ""
    with pytest.raises(UsageError, match="has positions"):
        one.inject("venue.pos_mode")
    client.placed("buy", "1", "49000")
    one.inject("venue.manual_close")
    assert client.rows("account/positions") == client.rows("trade/orders-pending") == []
    one.inject("venue.pos_mode")
    assert client.rows("account/config")[0]["posMode"] == "long_short_mode"


def test_a_second_writer_places_orders_beside_the_client(one):
    client = one.client()
    one.inject("venue.second_writer", target=Target(path="account/balance", count=3))
    for _ in range(5):
        client.rows("account/balance")
    assert client.position()["pos"] == "0.03"


# ---- the market ------------------------------------------------------------------------------------------------------


def test_the_price_gaps(one):
    one.inject("market.gap", percent="-5")
    one.pass_time(1)
    assert one.client().rows("market/ticker", instId=BTC)[0]["last"] == "47500"


@pytest.mark.parametrize("percent", [0, 50])
def test_liquidity_is_a_share_of_the_usual(one, percent):
    client = one.client()
    before = sum(Decimal(row[1]) for row in client.rows("market/books", instId=BTC, sz=400)[0]["asks"])
    one.inject("market.liquidity", percent=percent)
    rows = client.rows("market/books", instId=BTC, sz=400)[0]["asks"]
    after = sum(Decimal(row[1]) for row in rows)
    assert abs(float(after) / float(before) - percent / 100) < 0.05
    assert client.state(client.placed("buy", "1"))[0] == ("canceled" if percent == 0 else "filled")


def test_the_price_limit_is_hit(one):
    one.inject("market.limit_hit", percent="6")
    one.pass_time(60)
    client = one.client()
    last = client.rows("market/ticker", instId=BTC)[0]["last"]
    assert Decimal(last) == 53_000
    assert client.refused("buy", "1", last) == "51006"
    assert client.record(client.placed("buy", "1"))["accFillSz"] == "0"


def test_mark_and_index_stand_apart(one):
    one.inject("market.mark_away", percent="3")
    one.inject("market.index_away", percent="1")
    client = one.client()
    mark = Decimal(client.rows("public/mark-price", instType="SWAP")[0]["markPx"])
    index = Decimal(client.rows("market/index-tickers", instId="BTC-USDT")[0]["idxPx"])
    assert abs(index - 50_500) < 5
    assert abs(mark - Decimal("1.03") * 50_500) < 5


def test_an_account_is_liquidated_on_demand(one):
    client = one.client()
    with pytest.raises(UsageError, match="has no position"):
        one.inject("market.liquidation")
    client.placed("buy", "5", tdMode="isolated")
    mark = one.market.reference.mark
    one.inject("market.liquidation")
    assert client.rows("account/positions-history")[0]["type"] == "3"
    assert one.market.reference.mark == mark
