"""Preflight and bootstrap: what refuses a start, with which exit code, and that nothing was sent then."""

from __future__ import annotations

import json
from decimal import Decimal
from importlib import metadata

import pytest
from attrs import evolve

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Mode
from prometheus.v10.execution.adapters.library_choice import facts_of_library
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import OkxRestPort
from prometheus.v10.execution.adapters.okx_rest.okx_sites import site_of
from prometheus.v10.execution.adapters.okx_rest.rest_transport import RestAnswer
from prometheus.v10.execution.adapters.senders.signing_credentials import Credentials
from prometheus.v10.execution.opening.account_plan import allotment
from prometheus.v10.execution.opening.preflight import preflight
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError
from prometheus.v10.execution.ports.order_terms import OrderType
from prometheus.v10.runs.request.exchange_table import LIBRARIES
from tests.execution import making
from tests.execution.practice import BTC
from tests.execution.session import Session, plan


@pytest.fixture
def session(venue, tmp_path, fake_clock, request):
    made = Session(venue, tmp_path, fake_clock, f"HF_{request.node.name}")
    yield made
    made.end()


def posts(session):
    return [one for one in session.calls if one.method == "POST"]


def refused(session, code, match, *, port=None, **more):
    """A start that must be refused with one line, before anything was sent."""
    opener = session.opener()
    opener.port = port or opener.port
    opener.plan = evolve(opener.plan, **more)
    with pytest.raises(PrometheusError, match=match) as wrong:
        opener.open()
    assert (wrong.value.exit_code, "\n" in wrong.value.message) == (code, False)
    assert posts(session) == []
    return wrong.value


def test_an_account_is_brought_to_nothing(session, venue):
    before = Session(venue, session.folder, session.clock, "HF_before")
    driver = before.driver()
    driver.trade(1, 30)
    resting = making.request(2, client_id=making.the_id(77), order_type=OrderType.LIMIT, price_ticks=300_000,
                             expire_ms=venue.now_ms() + 5000)  # fmt: skip
    driver.port.send(driver.port.prepare(resting))
    before.end()
    (session.folder / "order_chain.jsonl").rename(session.folder / "earlier.jsonl")
    opened = session.opener().open()
    assert [one.client_id for one in opened.facts.before.pending] == [resting.client_id]
    assert [one.lots for one in opened.facts.before.positions] == [30]
    assert (opened.after.pending, opened.after.positions) == ((), ())
    assert session.chain.states.opening["cash"] == format(opened.after.balance.cash, "f")
    closing = list(session.chain.states.orders.values())
    assert [json.loads(one.intent["body"])["reduceOnly"] for one in closing] == [True]
    assert session.chain.states.position(BTC) == 0
    assert venue.port().leverage(BTC, session.plan.margin_mode).leverage == Decimal(3)


def test_leverage_is_set_and_read_back(session, venue):
    session.plan = plan(leverage=Decimal("4"))
    session.opener().open()
    assert venue.port().leverage(BTC, session.plan.margin_mode).leverage == Decimal(4)


def test_the_arithmetic_of_the_record():
    shares = allotment(Decimal("115411.43"), plan())
    assert (shares.agents, shares.allotted, shares.reserve) == (92, Decimal(92_000), Decimal("23411.43"))
    assert allotment(Decimal("115411.43"), plan(most_agents=50)).agents == 50


def test_too_little_money_founds_no_population(session):
    opener = session.opener()
    opener.plan = evolve(opener.plan, least_agents=1000)
    with pytest.raises(MisconfiguredError, match="founds"):
        opener.open()


# ---- what refuses ----------------------------------------------------------------------------------------------------


def test_a_key_of_the_other_environment(session, venue):
    refused(session, 78, "50101|50119", port=venue.port(who="live main", sink=session.calls.append))


@pytest.mark.parametrize("part", ["key", "secret", "passphrase"])
def test_a_wrong_credential(session, venue, part):
    right = venue.credentials()
    parts = {"key": right.key, "secret": right.secret, "passphrase": right.passphrase, part: "0" * 32}
    wrong = refused(session, 78, "5011|5010", port=venue.port(credentials=Credentials(**parts)))
    assert not any(value in wrong.message for value in (right.key, right.secret, right.passphrase))


def test_a_key_that_may_only_read(session, venue):
    refused(session, 78, "may not trade", port=venue.port(who="demo main-read", sink=session.calls.append))


def test_a_clock_that_is_off(session, venue):
    venue.inject("time.skew", "/", ms=60_000)
    try:
        refused(session, 75, "60000 ms")
    finally:
        venue.inject("time.skew", "/", ms=0)


def test_a_maintenance(session, venue):
    venue.inject("venue.maintenance", "/", minutes=10, on=True)
    try:
        refused(session, 75, "maintenance")
    finally:
        venue.inject("venue.maintenance", "/", on=False)


def test_a_suspended_instrument(session, venue):
    venue.inject("venue.state", "/", state="suspend")
    try:
        refused(session, 75, "suspend, not live")
    finally:
        venue.inject("venue.state", "/", state="live")


def test_an_order_of_another_tool(session, venue):
    other = venue.port()
    foreign = making.request(2, client_id="othertool1", order_type=OrderType.LIMIT, price_ticks=300_000,
                             expire_ms=venue.now_ms() + 5000)  # fmt: skip
    ack = other.send(other.prepare(foreign))
    refused(session, 78, "FOREIGN_ACTIVITY.*nothing was changed")
    assert [one.order_id for one in other.pending()] == [ack.order_id], "never cancelled silently"
    other.cancel(BTC, ack.order_id)


def test_a_position_that_the_profile_does_not_let_be_closed(session, venue):
    other = venue.port()
    other.send(other.prepare(making.request(3, client_id="othertool2", expire_ms=venue.now_ms() + 5000)))
    refused(session, 78, "FOREIGN_ACTIVITY", flatten_at_start=False)
    assert [one.lots for one in other.positions()] == [3]


@pytest.mark.parametrize(("more", "code", "match"), [
    ({"leverage": Decimal(500)}, 78, "not between 1 and"), ({"currency": "USDC"}, 78, "settles in USDT"),
    ({"mode": Mode.OKX_LIVE}, 78, "bound to no address"),
])  # fmt: skip
def test_a_plan_that_cannot_be(session, more, code, match):
    refused(session, code, match, **more)


class Altered:
    """A transport that changes what one path answers: an exchange that does not say, or does not do."""

    def __init__(self, inner, path, change):
        self.inner, self.path, self.change = inner, path, change
        self.library, self.redacted, self.close = inner.library, inner.redacted, inner.close

    def exchange(self, asked):
        answer = self.inner.exchange(asked)
        if not asked.path.endswith(self.path):
            return answer
        said = json.loads(answer.body)
        self.change(said["data"][0])
        return RestAnswer(status=answer.status, content_type=answer.content_type, body=json.dumps(said).encode())


def altered(session, venue, path, change) -> OkxRestPort:
    port = venue.port(sink=session.calls.append)
    port.caller.transport = Altered(port.caller.transport, path, change)
    return port


@pytest.mark.parametrize(("path", "change", "match"), [
    ("account/balance", lambda row: row["details"][0].update(eq="", cashBal=""), "eq is empty"),
    ("account/trade-fee", lambda row: row.update(feeGroup=[]), "no group 2"),
    ("account/trade-fee", lambda row: [one.update(taker="") for one in row["feeGroup"]], "taker is empty"),
    ("public/instruments", lambda row: row.update(lotSz=""), "lotSz is empty"),
    ("public/instruments", lambda row: row.update(ctVal=0.01), "ctVal is 0.01, not text"),
    ("public/instruments", lambda row: row.update(minSz="0.015"), "no multiple of 0.01"),
    ("account/config", lambda row: row.update(acctLv=""), "acctLv is empty"),
])  # fmt: skip
def test_what_the_exchange_does_not_say_is_not_zero(session, venue, path, change, match):
    refused(session, 69, match, port=altered(session, venue, path, change))


@pytest.mark.parametrize(("change", "match"), [
    (lambda row: row.update(perm="read_only,trade,withdraw"), "may withdraw"),
    (lambda row: row.update(acctLv="1"), "account level 1"),
])  # fmt: skip
def test_an_account_that_must_not_be_used(session, venue, change, match):
    refused(session, 78, match, port=altered(session, venue, "account/config", change))


def test_leverage_that_does_not_take(session, venue):
    opener = session.opener()
    opener.port = altered(session, venue, "leverage-info", lambda row: row.update(lever="9"))
    with pytest.raises(MisconfiguredError, match="leverage of BTC-USDT-SWAP stays 9"):
        opener.open()
    assert session.chain.states.opening is None


def test_a_position_mode_that_does_not_take(session, venue):
    opener = session.opener()
    opener.port = altered(session, venue, "account/config", lambda row: row.update(posMode="long_short_mode"))
    with pytest.raises(MisconfiguredError, match="position mode stays long_short_mode"):
        opener.open()


def test_preflight_changes_nothing(session, venue):
    port = venue.port(sink=session.calls.append)
    facts = preflight(port, session.plan, now_ms=venue.now_ms, pause=venue.pause)
    assert (facts.clock_offset_ms, posts(session)) == (0, [])
    assert (facts.fee.taker, facts.tiers[0].max_contracts) == (Decimal("-0.0005"), Decimal(1000))


# ---- hosts and the library -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [
    "http://localhost:8000", "http://192.168.1.5:80", "https://www.okx.com", "http://127.0.0.1", "http://127.0.0.1:0",
    "http://127.0.0.1:99999", "http://127.0.0.1.evil.example:80", "http://127.0.0.1:80@evil.example", "http://[::2]:80",
    "http://127.0.0.1:80/x", "file:///etc/passwd", "",
])  # fmt: skip
def test_practice_is_the_loopback_and_nothing_else(place):
    with pytest.raises(MisconfiguredError):
        site_of(Mode.OKX_DEMO, "global", practice=place)


@pytest.mark.parametrize(("mode", "name"), [(Mode.OFFLINE, "global"), (Mode.OKX_DEMO, "www.okx.com"),
                                            (Mode.OKX_DEMO, "")])  # fmt: skip
def test_hosts_come_from_a_closed_table(mode, name):
    with pytest.raises(MisconfiguredError):
        site_of(mode, name)


def test_demo_and_live_are_sites_of_one_table():
    assert site_of(Mode.OKX_DEMO, "eea").demo
    assert not site_of(Mode.OKX_LIVE, "eea").demo


DISTRIBUTIONS = {"okx_sdk": ("okx", "python-okx"), "ccxt": ("ccxt", "ccxt")}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("others", [[], ["another"]])
def test_a_library_owns_its_name_alone_or_is_refused_in_one_line(monkeypatch, library, others):
    package, distribution = DISTRIBUTIONS[library]
    owners = {package: [*others, distribution]} if others else {}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: owners)
    with pytest.raises(MisconfiguredError, match=distribution) as wrong:
        facts_of_library(library)
    assert (wrong.value.exit_code, wrong.value.hint is not None, "\n" in str(wrong.value)) == (78, True, False)


def test_a_changed_library_is_refused(monkeypatch):
    from pathlib import Path

    true, read = facts_of_library("okx_sdk"), Path.read_bytes
    assert len(true.sha256) == 64
    monkeypatch.setattr(Path, "read_bytes", lambda at: read(at) + (b"#" if at.name == "utils.py" else b""))
    with pytest.raises(MisconfiguredError, match=r"okx/utils\.py of python-okx is not as it was installed"):
        facts_of_library("okx_sdk")
