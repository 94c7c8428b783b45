"""Section 1, 2 and 5: signing, environments, permissions, envelope, times, HTTP faces, rate limits."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import orjson
import pytest

from prometheus.venue.error_codes import CODES
from prometheus.venue.gateway.endpoint_table import ENDPOINTS
from prometheus.venue.gateway.signatures import WINDOW_MS, moment_ms, signature
from tests.venue.desk import BTC, desk


@pytest.fixture
def one():
    return desk()


def code(reply):
    return reply.status, orjson.loads(reply.body)["code"]


BALANCE = "/api/v5/account/balance"


# ---- signatures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "target", "body", "wanted"), [
    ("GET", "/api/v5/account/balance?ccy=BTC", b"", "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY="),
    ("POST", "/api/v5/trade/order", b'{"instId":"BTC-USDT","sz":"1"}', "TGG9gpeGW3L8JW/02jBsydBRt/UEJ3UzQ80H+KAhLEs="),
])  # fmt: skip
def test_a_signature_covers_time_method_target_and_body(method, target, body, wanted):
    """By OpenSSL: printf %s "$T$METHOD$TARGET$BODY" | openssl dgst -sha256 -hmac "$SECRET" -binary | base64."""
    stamp, secret = "2020-12-08T09:08:57.715Z", "22582BD0CFF14C41EDBF1AB98506286D"
    assert signature(secret, stamp, method, target, body) == wanted
    plain = hmac.new(secret.encode(), f"{stamp}{method}{target}{body.decode()}".encode(), hashlib.sha256)
    assert base64.b64encode(plain.digest()).decode() == wanted


def test_the_query_is_signed_exactly_as_it_is_sent(one):
    client = one.client()
    for target in (f"{BALANCE}?ccy=USDT%2CBTC", f"{BALANCE}?ccy=USDT,BTC", f"{BALANCE}?", f"{BALANCE}?b=1&a=2"):
        assert code(client.raw("GET", target))[1] == "0"
    stolen = client.raw("GET", f"{BALANCE}?ccy=USDT,BTC", ok_access_sign=signature(
        client.key.secret, "2024-01-01T00:02:01.000Z", "GET", f"{BALANCE}?ccy=USDT%2CBTC", b""))  # fmt: skip
    assert code(stolen) == (401, "50113")


def test_the_body_is_signed_exactly_as_it_is_sent(one):
    client = one.client()
    body = b'{ "instId":"BTC-USDT-SWAP","ordId":"1" }'
    assert code(client.raw("POST", "/api/v5/trade/cancel-order", body))[1] == "1"
    stamp = "2024-01-01T00:02:01.000Z"
    sign = signature(client.key.secret, stamp, "POST", "/api/v5/trade/cancel-order", body.replace(b" ", b""))
    assert code(client.raw("POST", "/api/v5/trade/cancel-order", body, ok_access_sign=sign)) == (401, "50113")


@pytest.mark.parametrize(("header", "wanted"), [
    ("ok_access_key", "50103"), ("ok_access_passphrase", "50104"), ("ok_access_sign", "50106"),
    ("ok_access_timestamp", "50107"),
])  # fmt: skip
def test_a_missing_header_is_named(one, header, wanted):
    assert code(one.client().raw("GET", BALANCE, **{header: ""})) == (401, wanted)


@pytest.mark.parametrize(("header", "value", "wanted"), [
    ("ok_access_key", "nobody", "50119"), ("ok_access_passphrase", "wrong", "50105"),
    ("ok_access_sign", "AAAA", "50113"), ("ok_access_sign", "\u00e9", "50113"),
    ("ok_access_timestamp", "1704067321", "50112"), ("ok_access_timestamp", "2024-01-01T00:02:01Z", "50112"),
    ("ok_access_timestamp", "2024-13-01T00:02:01.000Z", "50112"),
])  # fmt: skip
def test_a_wrong_header_is_refused(one, header, value, wanted):
    assert code(one.client().raw("GET", BALANCE, **{header: value})) == (401, wanted)


@pytest.mark.parametrize(("late", "wanted"), [
    (0, "0"), (WINDOW_MS, "0"), (-WINDOW_MS, "0"), (WINDOW_MS + 1, "50102"), (-WINDOW_MS - 1, "50102"),
])  # fmt: skip
def test_a_timestamp_holds_for_thirty_seconds_of_the_venues_clock(one, late, wanted):
    client = one.client()
    client.late_ms = late
    assert code(client.raw("GET", BALANCE))[1] == wanted


def test_a_timestamp_is_iso_with_milliseconds():
    assert moment_ms("2020-12-08T09:08:57.715Z") == 1_607_418_537_715
    assert moment_ms("2020-12-08T09:08:57.715+00:00") is None


@pytest.mark.parametrize(("environment", "header"), [("demo", ""), ("live", "1")])
def test_a_key_of_the_other_environment_is_50101(one, environment, header):
    client = one.client(environment=environment)
    client.demo = False
    assert code(client.raw("GET", BALANCE, x_simulated_trading=header)) == (401, "50101")


def test_demo_and_live_are_two_exchanges(one):
    demo, live = one.client(), one.client(environment="live")
    demo.placed("buy", "5")
    assert live.rows("account/positions") == []
    assert demo.rows("public/instruments", instType="SWAP")[0]["instIdCode"] != live.rows(
        "public/instruments", instType="SWAP")[0]["instIdCode"]  # fmt: skip


def test_a_reading_key_may_read_and_not_trade(one):
    reader = one.client("main-read")
    assert reader.rows("account/balance")
    answer = reader.raw("POST", "/api/v5/trade/order", json.dumps({"instId": BTC}).encode())
    assert code(answer) == (401, "50120")
    assert reader.rows("account/config")[0]["perm"] == "read_only"


@pytest.mark.parametrize("path", ["asset/balances", "asset/currencies"])
def test_functions_that_demo_lacks_are_50038(one, path):
    assert one.client().get(path)["code"] == "50038"
    assert one.client(environment="live").rows(path) == []


def test_a_key_is_bound_to_its_addresses(one):
    client = one.client()
    client.key.ips = ("192.0.2.1",)
    assert code(client.raw("GET", BALANCE)) == (401, "50110")


def test_public_data_needs_no_key(one):
    assert one.client().raw("GET", "/api/v5/public/time", ok_access_key="").status == 200


# ---- envelope --------------------------------------------------------------------------------------------------------


def test_numbers_are_texts_and_booleans_are_real(one):
    client = one.client()
    client.placed("buy", "5")
    client.placed("sell", "1", "50500")
    allowed = {"futureSettlement", "autoLoan", "enabled", "collateralEnabled", "enableSpotBorrow",
               "spotBorrowAutoRepay", "collateralRestrict"}  # fmt: skip

    def look(value, name=""):
        if isinstance(value, dict):
            for key, inner in value.items():
                look(inner, key)
        elif isinstance(value, list):
            for inner in value:
                look(inner, name)
        elif isinstance(value, bool):
            assert name in allowed
        elif not isinstance(value, str):
            assert (name, type(value)) in {("instIdCode", int), ("seqId", int)}

    for path, query in (
        ("public/instruments", {"instType": "SWAP"}), ("public/price-limit", {"instId": BTC}), ("account/config", {}),
        ("account/balance", {}), ("account/positions", {}), ("account/bills", {}), ("trade/fills", {}),
        ("trade/orders-pending", {}), ("public/funding-rate", {"instId": BTC}), ("market/books", {"instId": BTC}),
        ("market/candles", {"instId": BTC}), ("market/ticker", {"instId": BTC}),
    ):  # fmt: skip
        look(client.rows(path, **query))
    assert client.rows("account/config")[0]["autoLoan"] is False
    assert client.rows("trade/orders-pending")[0]["reduceOnly"] == "false"


def test_the_top_code_tells_all_some_or_none(one):
    client = one.client()
    good = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "49000"}
    bad = good | {"sz": "0.001"}
    answers = [client.post("trade/batch-orders", items) for items in ([good, good], [good, bad], [bad, bad])]
    assert [answer["code"] for answer in answers] == ["0", "2", "1"]
    assert [row["sCode"] for row in answers[1]["data"]] == ["0", "51121"]
    assert answers[2]["msg"] == "All operations failed"


def test_an_order_result_has_its_keys_and_the_gateways_times(one):
    body = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "49000"}
    answer = one.client().post("trade/order", body)
    assert answer.keys() == {"code", "msg", "data", "inTime", "outTime"}
    assert answer["data"][0].keys() == {"clOrdId", "ordId", "tag", "ts", "sCode", "sMsg", "subCode"}
    assert answer["inTime"] < answer["outTime"]
    assert len(answer["inTime"]) == 16


def test_a_batch_has_at_most_twenty_items_in_their_order(one):
    client = one.client()
    item = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "49000"}
    answer = client.post("trade/batch-orders", [item | {"clOrdId": f"c{at}"} for at in range(20)])
    assert [row["clOrdId"] for row in answer["data"]] == [f"c{at}" for at in range(20)]
    assert client.post("trade/batch-orders", [item] * 21)["code"] == "51111"
    amends = [{"instId": BTC, "clOrdId": f"c{at}", "newSz": "0.02"} for at in range(20)]
    assert client.post("trade/amend-batch-orders", amends)["code"] == "0"
    assert client.post("trade/amend-batch-orders", [*amends, amends[0]])["code"] == "51501"
    cancels = [{"instId": BTC, "clOrdId": f"c{at}"} for at in range(20)]
    assert client.post("trade/cancel-batch-orders", cancels)["code"] == "0"
    assert client.rows("trade/orders-pending") == []


def test_exp_time_that_is_past_is_50036_and_nothing_is_placed(one):
    client = one.client()
    body = json.dumps({"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "49000"})
    now = one.world.now
    replies = [client.raw("POST", "/api/v5/trade/order", body.encode(), exptime=str(now + ms)) for ms in (-1, 0, 1000)]
    assert [code(reply)[1] for reply in replies] == ["50036", "0", "0"]
    assert len(client.rows("trade/orders-pending")) == 2


def test_exp_time_does_not_hold_for_cancelling(one):
    client = one.client()
    placed = client.placed("buy", "1", "49000")
    body = json.dumps({"instId": BTC, "ordId": placed}).encode()
    assert code(client.raw("POST", "/api/v5/trade/cancel-order", body, exptime="1"))[1] == "0"


@pytest.mark.parametrize(("method", "target", "body", "headers", "wanted"), [
    ("GET", "/api/v5/nowhere", b"", {}, (404, 404)),
    ("POST", BALANCE, b"{}", {}, (405, "50115")),
    ("DELETE", "/api/v5/trade/order", b"", {}, (405, "50115")),
    ("POST", "/api/v5/trade/order", b"", {}, (400, "50000")),
    ("POST", "/api/v5/trade/order", b"{", {}, (400, "50002")),
    ("POST", "/api/v5/trade/order", b"[1", {}, (400, "50002")),
    ("POST", "/api/v5/trade/order", b"\xff\xfe", {}, (400, "50002")),
    ("POST", "/api/v5/trade/order", b"3", {}, (400, "50002")),
    ("POST", "/api/v5/trade/order", b"null", {}, (400, "50002")),
    ("POST", "/api/v5/trade/batch-orders", b"[]", {}, (400, "50000")),
    ("POST", "/api/v5/trade/batch-orders", b"[3]", {}, (400, "50002")),
    ("POST", "/api/v5/trade/order", b"{}", {"content_type": "text/plain"}, (400, "50006")),
    ("GET", "/api/v5/public/instruments", b"", {}, (400, "50014")),
    ("GET", "/api/v5/public/instruments?instType=NOTHING", b"", {}, (400, "51000")),
    ("GET", "/api/v5/market/candles?instId=BTC-USDT-SWAP&bar=7m", b"", {}, (400, "51000")),
    ("GET", "/api/v5/market/candles?instId=BTC-USDT-SWAP&limit=x", b"", {}, (400, "51000")),
    ("GET", "/api/v5/market/books?instId=NOPE", b"", {}, (200, "51001")),
])  # fmt: skip
def test_what_is_no_request_gets_the_venues_answer(one, method, target, body, headers, wanted):
    assert code(one.client().raw(method, target, body, **headers)) == wanted


def test_every_code_that_is_raised_is_in_the_table():
    import re
    from pathlib import Path

    import prometheus.venue as room

    raised = set()
    for place in Path(room.__path__[0]).rglob("*.py"):
        raised |= set(re.findall(r'Refused\("(\d+)"', place.read_text()))
    assert len(raised) > 50
    assert raised <= CODES.keys()


@pytest.mark.parametrize(("number", "status"), [
    ("50011", 429), ("50004", 400), ("50001", 503), ("50013", 429), ("50026", 500), ("50102", 401), ("50101", 401),
    ("50115", 405), ("50005", 410), ("50035", 403), ("51000", 400), ("51054", 500), ("51149", 500), ("51113", 429),
    ("51008", 200), ("51400", 200), ("59000", 200),
])  # fmt: skip
def test_a_code_has_its_http_status(number, status):
    assert CODES[number].status == status


# ---- rates -----------------------------------------------------------------------------------------------------------


def test_every_endpoint_has_a_bucket():
    assert all(each.limit > 0 and each.window_ms in {1000, 2000, 5000} for each in ENDPOINTS)
    assert len({(each.method, each.path) for each in ENDPOINTS}) == len(ENDPOINTS) >= 50


def refused_after(client, call, most=400):
    for count in range(most):
        answer = call(client)
        if answer["code"] not in {"0", "1"}:
            return count, answer["code"]
    return most, ""


@pytest.mark.parametrize(("path", "query", "limit"), [
    ("account/balance", {}, 10), ("account/positions", {}, 10), ("account/config", {}, 5), ("account/bills", {}, 5),
    ("trade/fills", {}, 60), ("trade/orders-pending", {}, 60), ("trade/orders-history", {"instType": "SWAP"}, 40),
    ("public/time", {}, 10), ("market/candles", {"instId": BTC}, 40), ("public/instruments", {"instType": "SWAP"}, 20),
])  # fmt: skip
def test_a_bucket_holds_what_the_table_says(path, query, limit):
    one = desk(limits=True)
    assert refused_after(one.client(), lambda client: client.get(path, **query)) == (limit, "50011")


def test_a_full_bucket_answers_429_and_fills_again():
    one = desk(limits=True)
    client = one.client()
    for _ in range(10):
        client.raw("GET", BALANCE)
    assert code(client.raw("GET", BALANCE)) == (429, "50011")
    one.pass_time(0.2)
    assert client.raw("GET", BALANCE).status == 200
    assert client.raw("GET", BALANCE).status == 429
    one.pass_time(2)
    assert {client.raw("GET", BALANCE).status for _ in range(10)} == {200}


def test_each_account_has_its_own_bucket_and_addresses_share_one():
    one = desk(limits=True)
    for _ in range(10):
        one.client().get("account/balance")
        one.client().get("public/time")
    assert one.client("sub1").get("account/balance")["code"] == "0"
    assert one.client("sub1").get("public/time")["code"] == "50011"


def test_place_amend_and_cancel_have_separate_buckets_and_a_batch_of_one_counts_as_single():
    one = desk(limits=True)
    client = one.client()
    item = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "49000"}
    assert refused_after(client, lambda c: c.post("trade/order", item)) == (60, "50011")
    assert client.post("trade/batch-orders", [item])["code"] == "50011"
    assert client.post("trade/batch-orders", [item, item])["code"] == "0"
    assert client.post("trade/cancel-order", {"instId": BTC, "ordId": "1"})["code"] == "1"
    assert client.post("trade/amend-order", {"instId": BTC, "ordId": "1", "newSz": "1"})["code"] == "1"


def test_a_batch_counts_its_orders():
    one = desk(limits=True)
    item = {"instId": BTC, "ordId": "1"}
    assert refused_after(one.client(), lambda c: c.post("trade/cancel-batch-orders", [item] * 20)) == (15, "50011")


def test_new_and_amended_orders_of_a_sub_account_have_a_rate_of_their_own():
    one = desk(limits=True)
    client = one.client()
    item = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "0.001", "px": "49000"}
    spent = 0
    one.gate.buckets.levels[f"orders {client.key.uid}"] = (50_000, one.world.now)
    answer = client.post("trade/batch-orders", [item] * 20)
    while answer["code"] == "1":
        spent += 20
        answer = client.post("trade/batch-orders", [item] * 20)
    assert (answer["code"], spent) == ("50061", 40)
