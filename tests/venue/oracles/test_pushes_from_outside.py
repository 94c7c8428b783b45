"""What is pushed over a connection has every recorded key of its channel, of the same type, and says whose it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prometheus.venue.faults.injections import Target
from prometheus.venue.faults.mischief_maker import MischiefMaker
from prometheus.venue.gateway.stream_session import Session
from tests.venue.oracles.shapes import forms, misfits, recorded
from tests.venue.oracles.signing import sign
from tests.venue.oracles.trader import INSTRUMENT

OWN = ("orders", "positions", "account", "balance_and_position")
ASKED: dict[str, dict[str, str]] = {
    "orders": {"instType": "SWAP"}, "positions": {"instType": "ANY"}, "account": {}, "balance_and_position": {},
    "status": {}, "instruments": {"instType": "SWAP"}, "index-tickers": {"instId": "BTC-USDT"},
    **{name: {"instId": INSTRUMENT} for name in (
        "tickers", "trades", "mark-price", "price-limit", "funding-rate", "books", "bbo-tbt", "candle1m")},
}  # fmt: skip


def said(session: Session) -> list[dict[str, Any]]:
    """What the connection was sent since it was last asked."""
    session.pump()
    found = [json.loads(text) for text in session.outbox]
    session.outbox.clear()
    return found


@pytest.fixture
def session(venue, one) -> Session:
    """A connection of the first sub-account, logged in, that hears every channel."""
    made = Session(venue.gate, demo=True, private=True, number=1)
    venue.world.environments["demo"].heard = made.hear
    client, moment = one.client, str(venue.world.now // 1000)
    key = {"apiKey": client.key, "passphrase": client.passphrase, "timestamp": moment}
    login = key | {"sign": sign(client.secret, moment, "GET", "/users/self/verify", "")}
    made.receive(json.dumps({"op": "login", "args": [login]}))
    (answer,) = said(made)
    assert answer["code"] == "0"
    return made


@pytest.fixture
def pushes(venue, one, session) -> list[dict[str, Any]]:
    """Every push of a minute in which the account traded and the venue announced a maintenance."""
    session.receive(json.dumps({"op": "subscribe", "args": [{"channel": name, **arg} for name, arg in ASKED.items()]}))
    heard = said(session)
    one.place("buy", "optimal_limit_ioc", 3)
    resting = one.place("buy", "limit", 1, one.far_below())
    heard += said(session)
    one.cancel(resting)
    MischiefMaker(venue.world).inject("venue.maintenance", Target(), {"minutes": 1})
    for _ in range(6):
        venue.step(10)
        heard += said(session)
    assert {one["event"] for one in heard if "event" in one} == {"subscribe"}
    return [one for one in heard if "data" in one]


def test_every_recorded_key_of_a_push_is_there_with_its_type(pushes):
    wrong: list[str] = []
    for push in pushes:
        wrong += misfits(f"WS {push['arg']['channel']}", push) + [f"{push['arg']}{line}" for line in forms(push)]
    assert wrong == []
    channels = {push["arg"]["channel"] for push in pushes if push["data"]}
    assert channels == set(ASKED)
    assert {f"WS {name}" for name in channels - {"candle1m"}} == {call for call, _ in recorded() if call[:3] == "WS "}


def test_pushes_of_an_account_say_whose_they_are_and_public_ones_do_not(pushes, one):
    uid = one.client.get("account/config").data[0]["uid"]
    for push in pushes:
        channel = push["arg"]["channel"]
        assert push["arg"] == {"channel": channel, **ASKED[channel], **({"uid": uid} if channel in OWN else {})}


def test_a_candle_is_nine_texts(pushes):
    rows = [row for push in pushes if push["arg"]["channel"] == "candle1m" for row in push["data"]]
    assert {len(row) for row in rows} == {9}
    assert {type(value) for row in rows for value in row} == {str}
