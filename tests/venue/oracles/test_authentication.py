"""Who may ask what: the signature byte for byte, the clock's window, the environment of a key, its permissions."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.venue.oracles.plain_client import Answer, PlainClient, stamp
from tests.venue.oracles.signing import sign

BALANCE = "/api/v5/account/balance?ccy=USDT"


def asked(client: PlainClient, *, path: str = BALANCE, signed_path: str | None = None, **headers: str | None) -> Answer:
    """A GET whose headers are as given; None leaves one out."""
    sent = client.signed("GET", signed_path or path, "") | ({"x-simulated-trading": "1"} if client.demo else {})
    return client.raw(
        "GET", path, "", {name: value for name, value in {**sent, **headers}.items() if value is not None}
    )


def refused(answer: Answer, code: str, status: int = 401) -> None:
    assert (answer.status, answer.code) == (status, code), answer.body
    assert not answer.json.get("data")


def test_a_signed_request_is_answered(one):
    assert one.client.get("account/balance", ccy="USDT").data[0]["details"][0]["ccy"] == "USDT"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("OK-ACCESS-KEY", "50103"),
        ("OK-ACCESS-PASSPHRASE", "50104"),
        ("OK-ACCESS-SIGN", "50106"),
        ("OK-ACCESS-TIMESTAMP", "50107"),
    ],
)
def test_each_header_is_needed(one, header, code):
    refused(asked(one.client, **{header: None}), code)


@pytest.mark.parametrize(
    ("header", "value", "codes"),
    [
        ("OK-ACCESS-KEY", "00000000-0000-0000-0000-000000000000", {"50111", "50119"}),
        ("OK-ACCESS-PASSPHRASE", "another", {"50105"}),
        ("OK-ACCESS-SIGN", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", {"50113"}),
        ("OK-ACCESS-TIMESTAMP", "yesterday", {"50112"}),
    ],
)
def test_each_header_is_checked(one, header, value, codes):
    answer = asked(one.client, **{header: value})
    assert (answer.status, answer.code in codes) == (401, True), answer.body


@pytest.mark.parametrize(
    "signed", ["/api/v5/account/balance", "/api/v5/account/balance?ccy=BTC", "/account/balance?ccy=USDT", BALANCE + "&"]
)
def test_the_query_is_signed_exactly_as_sent(one, signed):
    refused(asked(one.client, signed_path=signed), "50113")


def test_an_odd_query_signed_as_sent_is_answered(one):
    """Nobody may put it in order before the signature is checked."""
    for path in (BALANCE + "&", "/api/v5/account/balance?ccy=USDT%2CBTC", "/api/v5/account/balance?ccy=USDT,BTC"):
        assert asked(one.client, path=path).code == "0", path


def test_the_body_is_signed_exactly_as_sent(one):
    client = one.client
    body = json.dumps(
        {"instId": one.instrument, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "1"}
    )
    spaced = body.replace(", ", " ,  ")
    base = {"Content-Type": "application/json", "x-simulated-trading": "1"}
    other = client.raw("POST", "/api/v5/trade/order", body, client.signed("POST", "/api/v5/trade/order", spaced) | base)
    refused(other, "50113")
    same = client.raw(
        "POST", "/api/v5/trade/order", spaced, client.signed("POST", "/api/v5/trade/order", spaced) | base
    )
    assert same.json["code"] != "50113"
    assert same.status == 200


def test_the_method_is_signed(one):
    moment = stamp(one.client.now())
    wrong = sign(one.client.secret, moment, "POST", BALANCE)
    refused(asked(one.client, **{"OK-ACCESS-TIMESTAMP": moment, "OK-ACCESS-SIGN": wrong}), "50113")


@pytest.mark.parametrize(("seconds", "accepted"), [(-60, False), (-31, False), (-25, True), (25, True), (60, False)])
def test_the_clock_s_window_is_thirty_seconds(one, seconds, accepted):
    moment = stamp(one.client.now() + timedelta(seconds=seconds))
    signature = sign(one.client.secret, moment, "GET", BALANCE)
    answer = asked(one.client, **{"OK-ACCESS-TIMESTAMP": moment, "OK-ACCESS-SIGN": signature})
    if accepted:
        assert answer.code == "0", answer.body
    else:
        refused(answer, "50102")


def test_a_key_of_the_demo_is_not_for_production(one):
    refused(asked(one.client, **{"x-simulated-trading": None}), "50101")
    refused(asked(one.client, **{"x-simulated-trading": "0"}), "50101")


def test_a_key_of_production_is_not_for_the_demo(live):
    refused(asked(live.client, **{"x-simulated-trading": "1"}), "50101")
    assert asked(live.client).code == "0"


def test_a_key_that_may_read_may_not_trade(reader):
    assert reader.client.get("account/balance").code == "0"
    answer = reader.request("buy", "limit", 1, reader.far_below())
    assert answer.code == "50120", answer.body
    assert reader.client.get("trade/orders-pending", instType="SWAP").data == []


def test_public_calls_need_no_key(one):
    nobody = PlainClient(one.client.raw)
    assert nobody.get("public/time").data[0]["ts"].isdigit()
    assert nobody.get("account/balance").status == 401
    assert nobody.post("trade/order", {}).status == 401


def test_a_path_that_there_is_not(one):
    assert one.client.get("account/nothing").status == 404


@pytest.mark.parametrize("body", ["", "{", "[1,", "\x00", '{"instId":'])
def test_a_body_that_is_no_json_is_refused_in_one_line(one, body):
    path, client = "/api/v5/trade/order", one.client
    headers = client.signed("POST", path, body) | {"Content-Type": "application/json", "x-simulated-trading": "1"}
    answer = client.raw("POST", path, body, headers)
    assert answer.status == 400
    assert answer.code in {"50000", "50002"}
    assert b"Traceback" not in answer.body
