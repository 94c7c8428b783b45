"""Whatever a client sends, the venue answers in its own words: an envelope, a known status, no failure of its own."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.venue.oracles.trader import INSTRUMENT

ORDER = {
    "instId": INSTRUMENT, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "30000",
    "posSide": "net", "reduceOnly": False, "clOrdId": "odd1", "tag": "t", "stpMode": "cancel_maker", "pxAmendType": "0",
    "tgtCcy": "",
}  # fmt: skip
AMEND = {"instId": INSTRUMENT, "ordId": "1", "newSz": "1", "newPx": "30000", "cxlOnFail": False, "reqId": "r"}
CLOSE = {"instId": INSTRUMENT, "mgnMode": "cross", "posSide": "net", "autoCxl": True, "clOrdId": "odd2"}
BODIES: dict[str, dict[str, object]] = {
    "trade/order": ORDER,
    "trade/amend-order": AMEND,
    "trade/cancel-order": {"instId": INSTRUMENT, "ordId": "1", "clOrdId": "odd1"},
    "trade/close-position": CLOSE,
    "trade/cancel-all-after": {"timeOut": "10", "tag": "t"},
    "account/set-leverage": {"lever": "3", "mgnMode": "cross", "instId": INSTRUMENT, "posSide": ""},
    "account/set-position-mode": {"posMode": "net_mode"},
}
QUERIES: dict[str, list[str]] = {
    "public/instruments": ["instType", "instId", "instFamily"],
    "public/funding-rate-history": ["instId", "after", "before", "limit"],
    "public/position-tiers": ["instType", "tdMode", "instFamily", "tier"],
    "market/candles": ["instId", "bar", "after", "before", "limit"],
    "market/books": ["instId", "sz"],
    "account/balance": ["ccy"],
    "account/positions": ["instType", "instId", "posId"],
    "account/bills": ["type", "subType", "after", "before", "begin", "end", "limit"],
    "account/max-size": ["instId", "tdMode", "px", "leverage"],
    "trade/order": ["instId", "ordId", "clOrdId"],
    "trade/orders-history": ["instType", "state", "category", "after", "begin", "limit"],
    "trade/fills": ["instType", "instId", "ordId", "after", "limit"],
}
ODD_VALUES: list[object] = [
    None, "", " ", [], {}, [[]], {"a": 1}, True, False, 0, -1, 1.5, 10**30, 1e308, "NaN", "1e3", "-1", "+1", "0x10",
    "１", "∞", "9" * 60, "\x00", "' or 1=1", "null",
]  # fmt: skip
STATUSES = {200, 400, 401, 403, 404, 405, 429}


def in_its_own_words(answer) -> None:
    assert answer.status in STATUSES, (answer.status, answer.body[:300])
    assert isinstance(answer.json["code"], str) or answer.status == 404
    assert b"Traceback" not in answer.body
    assert b"Error:" not in answer.body


@pytest.mark.parametrize("call", BODIES)
def test_a_field_of_any_type_is_answered(one, call):
    for name in BODIES[call]:
        for value in ODD_VALUES:
            in_its_own_words(one.client.post(call, BODIES[call] | {name: value}))
        in_its_own_words(one.client.post(call, {key: kept for key, kept in BODIES[call].items() if key != name}))


@pytest.mark.parametrize("call", BODIES)
def test_a_body_of_any_type_is_answered(one, call):
    for body in (None, [], {}, [None], [[]], [{}], 1, "text", True, [1, 2], {"data": []}):
        in_its_own_words(one.client.post(call, body))


@pytest.mark.parametrize("call", ["batch-orders", "amend-batch-orders", "cancel-batch-orders"])
def test_a_batch_of_anything_is_answered(one, call):
    for body in (None, [], {}, [None], [[]], [{}], [ORDER, None], [ORDER, 5, {}], {"orders": []}):
        in_its_own_words(one.client.post(f"trade/{call}", body))


@pytest.mark.parametrize("call", QUERIES)
def test_a_query_of_anything_is_answered(one, call):
    usual = {"instId": INSTRUMENT, "instType": "SWAP", "tdMode": "cross", "instFamily": "BTC-USDT"}
    for name in QUERIES[call]:
        for value in ODD_VALUES:
            asked = {key: usual[key] for key in QUERIES[call] if key in usual}
            in_its_own_words(
                one.client.get(call, **(asked | {name: value if isinstance(value, str) else json.dumps(value)}))
            )


NAMES = st.sampled_from([*ORDER, "ordId", "newSz", "newPx", "lever", "timeOut"])
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        ATOMS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
        max_leaves=12,
    ),
    call=st.sampled_from([*BODIES, "trade/batch-orders", "trade/cancel-batch-orders"]),
)
def test_any_json_is_answered(one, body, call):
    in_its_own_words(one.client.post(call, body))
