"""Section 5: whatever a signed client sends, the venue answers by its table and stays in balance; it never fails."""

from __future__ import annotations

import json
from functools import cache
from urllib.parse import quote

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.venue.error_codes import CODES
from prometheus.venue.gateway.endpoint_table import ENDPOINTS
from tests.venue.desk import BTC, desk

NAMES = (
    "instId", "instType", "tdMode", "side", "posSide", "ordType", "sz", "px", "clOrdId", "ordId", "tag", "reduceOnly",
    "stpMode", "newSz", "newPx", "cxlOnFail", "mgnMode", "lever", "posMode", "timeOut", "after", "before", "limit",
    "begin", "end", "bar", "type", "subType", "ccy", "posId", "state", "category", "instFamily", "tier", "autoCxl",
    "pxAmendType", "leverage", "attachAlgoOrds", "instIdCode", "expTime", "tgtCcy", "reqId", "groupId",
)  # fmt: skip
GOOD = st.sampled_from([
    BTC, "SWAP", "cross", "isolated", "buy", "sell", "limit", "market", "post_only", "fok", "ioc", "net", "long", "1",
    "0.01", "49990", "50010", "a", "cancel_both", "0", "10", "300", "1m", "1Dutc", "2", "USDT", "net_mode", "BTC-USDT",
    "100", "long_short_mode", "live",
])  # fmt: skip
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12), st.just("9" * 39),
    st.just("-0"), st.just("NaN"), st.just("\u0661"), st.just("1" + "0" * 24), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
PARAMETERS = st.dictionaries(st.sampled_from(NAMES), st.one_of(GOOD, GOOD, GOOD, ODD), max_size=12)


@cache
def one():
    """One venue for all examples: a fixture would be printed whole with each failure."""
    made = desk()
    made.client().placed("buy", "1")
    made.client().placed("buy", "1", "49000", clOrdId="a")
    return made


def sent(client, endpoint, parameters, *, many):
    if endpoint.method == "GET":
        query = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
        return client.raw("GET", f"{endpoint.path}?{query}")
    body = [parameters, parameters] if many else parameters
    return client.raw("POST", endpoint.path, json.dumps(body).encode())


@given(endpoint=st.sampled_from(ENDPOINTS), parameters=PARAMETERS, many=st.booleans())
@settings(max_examples=1500)
def test_any_parameters_get_an_answer_of_the_table(endpoint, parameters, many):
    reply = sent(one().client(), endpoint, parameters, many=many)
    answer = orjson.loads(reply.body)
    assert answer["code"] in CODES
    assert reply.status == (200 if answer["code"] in {"0", "1", "2"} else CODES[answer["code"]].status)
    for row in answer.get("data", []):
        if isinstance(row, dict) and "sCode" in row:
            assert row["sCode"] in CODES


@given(body=st.binary(max_size=60))
@settings(max_examples=200)
def test_any_bytes_get_an_answer_of_the_table(body):
    reply = one().client().raw("POST", "/api/v5/trade/order", body)
    assert orjson.loads(reply.body)["code"] in CODES


@given(target=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
@settings(max_examples=200)
def test_any_target_gets_an_answer(target):
    reply = one().client().raw("GET", f"/api/v5/{target}")
    assert reply.status in {200, 400, 401, 404, 405}


STREAM_OPS = st.sampled_from(["login", "subscribe", "unsubscribe", "order", "amend-order", "batch-orders"])
STREAM_VALUES = st.sampled_from(["orders", "books", "candle1m", "candle9z", "account", BTC])


@given(said=st.one_of(
    st.text(max_size=40),
    st.fixed_dictionaries({
        "op": st.one_of(STREAM_OPS, ODD),
        "args": st.one_of(ODD, st.lists(st.one_of(ODD, st.dictionaries(
            st.sampled_from(["channel", "instId", "instType", "apiKey", "timestamp", "sign", *NAMES]),
            st.one_of(STREAM_VALUES, GOOD, ODD), max_size=6,
        )), max_size=3)),
    }).map(json.dumps),
))  # fmt: skip
@settings(max_examples=600)
def test_any_text_over_a_stream_gets_an_answer(said):
    from tests.venue.test_venue_streams import Line

    line = Line(one())
    line.login()
    line.session.receive(said)
    one().pass_time(0.001)
    for answer in line.heard():
        assert answer == b"pong" or answer.keys() & {"event", "data", "code"}
    for state in one().world.environments.values():
        state.heard = lambda *_: None
