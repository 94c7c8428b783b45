"""What ccxt would do by itself, and what of it is refused before anything is sent. Runs where ccxt is installed."""

from __future__ import annotations

import json
from importlib import import_module

import pytest
from attrs import evolve

from prometheus.v10.base.modes import Mode
from prometheus.v10.execution.adapters.okx_rest.okx_sites import SITES, site_of
from prometheus.v10.execution.adapters.okx_rest.rest_transport import RestRequest, TransportError
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError, NotSentError
from prometheus.v10.execution.ports.order_terms import OrderType
from tests.execution import making
from tests.execution.practice import BTC, PracticeVenue

pytest.importorskip("ccxt")

ccxt_client = import_module("prometheus.v10.execution.adapters.ccxt.ccxt_client")
NOBODY = "127.0.0.1:9"


@pytest.fixture
def client():
    site = site_of(Mode.OKX_DEMO, "global", practice=f"http://{NOBODY}")
    made = ccxt_client.PolicedClient(site, "key", "secret", "pass", lambda: 1_767_323_045_678)
    yield made
    made.close()


def asked(path="/api/v5/trade/order", body=b"", query="", method="POST") -> RestRequest:
    return RestRequest(method=method, path=path, query=query, body=body, expire_ms=None, signed=True)


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    made = PracticeVenue(tmp_path_factory.mktemp("venue"))
    made.library = "ccxt"
    yield made
    made.close()


@pytest.fixture
def units(venue):
    return venue.port().instrument(BTC)


@pytest.fixture
def row(venue):
    calls = []
    venue.port(sink=calls.append).instrument(BTC)
    return json.loads(calls[-1].response)["data"][0]


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize("mode", [Mode.OKX_DEMO, Mode.OKX_LIVE])
def test_it_knows_one_host_and_says_demo_in_demo_alone(name, mode):
    site = site_of(mode, name)
    made = ccxt_client.PolicedClient(site, "key", "secret", "pass", lambda: 1)
    request = made._signed(asked("/api/v5/account/config", method="GET"))
    assert request.url == f"{SITES[name]}/api/v5/account/config"
    assert request.headers.get("x-simulated-trading") == ("1" if site.demo else None)
    assert {part["rest"] for part in made._ccxt.urls.values()} == {SITES[name]}
    made.close()


def test_the_moment_that_is_signed_is_the_exchanges(client):
    request = client._signed(asked("/api/v5/account/config", method="GET"))
    assert request.headers["OK-ACCESS-TIMESTAMP"] == "2026-01-02T03:04:05.678Z"


def test_an_order_without_an_id_gets_none_of_a_broker(client, row, units):
    client.learn(row, units)
    made = client.order_of({"instId": BTC, "side": "buy", "ordType": "optimal_limit_ioc", "sz": "1", "tdMode": "cross"})
    assert made.keys() == {"instId", "side", "ordType", "sz", "tdMode"}


@pytest.mark.parametrize("request_", [
    asked(body=b'{"instId": "BTC-USDT-SWAP", "clOrdId": "a"}'),
    asked("/api/v5/account/bills", query="after=a+b", method="GET"),
])  # fmt: skip
def test_bytes_that_ccxt_would_spell_otherwise_are_not_sent(client, request_):
    with pytest.raises(TransportError) as refused:
        client.exchange(request_)
    assert not refused.value.sent


def test_nothing_of_an_answer_is_kept_for_the_next_request(client):
    client._http.cookies.set("session", "1")
    request = client._signed(asked("/api/v5/account/config", method="GET"))
    client._http.cookies.clear()
    assert "Cookie" in request.headers  # so a cookie that stayed would be sent
    assert all(one.max_retries.total == 0 for one in client._http.adapters.values())


@pytest.mark.parametrize("kind", OrderType)
def test_every_order_that_can_be_asked_for_is_spelt_as_it_was_asked(venue, kind):
    port = venue.port()
    for lots in (1, 7, 10, 123, 35_000, 1_234_567):
        for reduce_only, tag in ((True, ""), (False, "tag1")):
            request = making.request(
                lots, order_type=kind, price_ticks=300_001 if kind.has_price else None, reduce_only=reduce_only, tag=tag
            )
            said = json.loads(port.prepare(request).body)
            assert said["sz"] == f"{lots / 100:.2f}".rstrip("0").rstrip(".")
            assert (said["reduceOnly"], said.get("tag", ""), said.get("px")) == (
                reduce_only, tag, "30000.1" if kind.has_price else None
            )  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [("sz", "0.01"), ("tdMode", "isolated"), ("clOrdId", "broker"),
                                              ("reduceOnly", None), ("ordType", "market")])  # fmt: skip
def test_an_order_that_ccxt_would_change_is_refused_before_it_is_chained(venue, monkeypatch, field, value):
    port = venue.port()
    port.instrument(BTC)
    own = port.spelling._ccxt.create_order_request

    def changed(*given):
        return {**own(*given), field: value}

    monkeypatch.setattr(port.spelling._ccxt, "create_order_request", changed)
    before = len(venue.requests())
    with pytest.raises(MisconfiguredError, match=rf"^ccxt would send {field} {value!r} for") as refused:
        port.prepare(making.request(5))
    assert (refused.value.exit_code, len(venue.requests())) == (78, before)


def test_an_instrument_that_ccxt_reads_in_other_units_is_refused(venue, monkeypatch):
    port = venue.port()
    own = port.spelling._ccxt.parse_market
    monkeypatch.setattr(port.spelling._ccxt, "parse_market", lambda row: {**own(row), "contractSize": 1.0})
    with pytest.raises(MisconfiguredError, match=r"ccxt reads ctVal '1' for '0\.01'"):
        port.instrument(BTC)


@pytest.mark.parametrize("missing", ["uly", "lotSz", "ctVal", "settleCcy"])
def test_an_instrument_that_ccxt_cannot_read_is_refused_in_one_line(client, row, units, missing):
    with pytest.raises(MisconfiguredError) as refused:
        client.learn({**row, missing: ""}, units)
    assert "\n" not in str(refused.value)


def test_an_order_whose_bytes_were_changed_since_is_not_sent(venue):
    port = venue.port()
    prepared = port.prepare(making.request(5, client_id="changed1"))
    before = len(venue.requests())
    with pytest.raises(NotSentError):
        port.send(evolve(prepared, body=prepared.body.replace(b'"', b' "', 1)))
    assert len(venue.requests()) == before


def test_an_error_that_nothing_is_known_of_may_have_left():
    import requests

    assert ccxt_client.fate_of(requests.ConnectionError("anything")) == ("ReadError", True)
    assert ccxt_client.fate_of(requests.exceptions.SSLError("anything")) == ("ReadError", True)
