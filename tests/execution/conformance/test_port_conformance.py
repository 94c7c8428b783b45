"""One suite for every adapter: what a port says about the venue on the loopback, and what it proves when calls fail.

It runs for each library that is installed here; `test_through_ccxt` runs it in the environment that has ccxt.
"""

from __future__ import annotations

import itertools
from decimal import Decimal
from importlib import import_module

import pytest

from prometheus.v10.execution.adapters.okx_rest.call_judging import Caller
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import OkxRestPort
from prometheus.v10.execution.adapters.recorded.recorded_transport import RecordedTransport
from prometheus.v10.execution.adapters.senders.signing_credentials import Credentials
from prometheus.v10.execution.ports.call_records import CallOutcome
from prometheus.v10.execution.ports.exchange_errors import (
    AnswerError,
    MisconfiguredError,
    NotSentError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
    UnavailableError,
)
from prometheus.v10.execution.ports.order_terms import MarginMode, OrderType, Side, VenueState
from tests.execution import making
from tests.execution.practice import BTC

CROSS = MarginMode.CROSS
_ticks = itertools.count(1000)


def order(venue, lots=5, **more):
    """An order with an id that no other test uses."""
    return making.request(lots, client_id=making.the_id(next(_ticks)), expire_ms=venue.now_ms() + 60_000, **more)


def sends_of(venue, client_id):
    return [one for one in venue.requests() if client_id in one["body"]]


def exercise(port, venue):
    """Every method once; what it said."""
    found = [port.library.version, port.server_time(), port.status(), port.instrument(BTC), port.top_of_book(BTC)]
    units = port.instruments[BTC]
    found += [port.candles(BTC, 300, 3)]
    found += [port.tiers(units, CROSS), port.account_config(), port.balance("USDT"), port.fee(units)]
    port.set_leverage(BTC, CROSS, Decimal("7"))
    found += [port.leverage(BTC, CROSS)]
    taken, resting = venue
    found += [port.send(port.prepare(taken)), port.order(BTC, taken.client_id)]
    found += [port.send(port.prepare(resting)), port.pending()]
    port.cancel(BTC, found[-1][0].order_id)
    found += [port.order(BTC, resting.client_id), port.order(BTC, "nobody1"), port.history(since_ms=1)]
    fills = port.fills(after_bill=None, since_ms=1)
    found += [fills, port.fills(after_bill=fills[-1].bill_id, since_ms=1), port.positions()]
    bills = port.bills(after_bill=None, since_ms=1)
    return [*found, bills, port.bills(after_bill=bills[0].bill_id, since_ms=1)]


@pytest.fixture(scope="module")
def walked(venue):
    """A library's walk through every method, with its kept calls and the clock's readings."""
    calls, clock = [], []

    def now():
        clock.append(venue.now_ms())
        return clock[-1]

    port = venue.port(sink=calls.append)
    port.caller.now_ms = now
    port.caller.buckets.now_ms = now
    taken = order(venue, 12)
    resting = order(venue, 3, order_type=OrderType.LIMIT, price_ticks=300_000, side=Side.BUY)
    return exercise(port, (taken, resting)), calls, clock, (taken, resting), port.spelling


def test_every_method_says_what_the_venue_has(walked):
    said, _, _, (taken, resting), _ = walked
    book, candles, tiers, config, balance, fee, leverage = said[4:11]
    assert (book.ask_ticks > book.bid_ticks, tiers[0].tier, config.position_mode) == (True, 1, "net_mode")
    assert [one.low <= one.close <= one.high and one.open_ms % 300_000 == 0 for one in candles] == [True] * 3
    assert (balance.cash, fee.taker, leverage.leverage) == (Decimal(100_000), Decimal("-0.0005"), Decimal(7))
    ack, filled, _, pending, cancelled, nobody, history, fills, later, positions, bills, newer = said[11:]
    assert (ack.client_id, ack.order_id) == (taken.client_id, filled.order_id)
    assert (filled.state, filled.filled_lots, filled.stp_mode) == (VenueState.FILLED, 12, "cancel_maker")
    assert [one.client_id for one in pending] == [resting.client_id]
    assert (cancelled.state, cancelled.cancel_source, cancelled.filled_lots) == (VenueState.CANCELED, "1", 0)
    assert (cancelled.average_price, nobody) == (None, None)
    assert [one.order_id for one in history] == [cancelled.order_id, filled.order_id]
    assert sum(one.lots for one in fills) == 12
    assert later == ()
    fees = sum(one.fee for one in fills)
    notional = sum(one.lots * one.price_ticks for one in fills) * Decimal("0.00001")
    assert fees == -notional * Decimal("0.0005")
    assert [(one.lots, one.inst_id) for one in positions] == [(12, BTC)]
    assert sum(one.balance_change for one in bills) == Decimal(100_000) + fees
    assert newer == bills[1:]


def test_kept_calls_replay_to_the_same_words(walked):
    said, calls, clock, orders, spelling = walked
    transport, heard = RecordedTransport.of(calls), []
    replayed = exercise(OkxRestPort(Caller(transport, iter(clock).__next__, heard.append), spelling), orders)
    assert replayed[1:] == said[1:]
    assert transport.left == 0
    assert [one.outcome for one in heard] == [one.outcome for one in calls]


def test_a_replay_refuses_another_question(walked):
    calls = walked[1]
    port = OkxRestPort(Caller(RecordedTransport.of(calls), lambda: 1, lambda _: None))
    with pytest.raises(AnswerError, match="kept is GET"):
        port.balance("USDT")


# ---- what is proved when an order's call fails -----------------------------------------------------------------------

CLIENTS = {"okx_sdk": "okx_sdk.sdk_client", "ccxt": "ccxt.ccxt_client"}
FACES = ["reset", "timeout", "50004", "502", "504", "empty", "cut", "length"]


def client_of(library):
    return import_module(f"prometheus.v10.execution.adapters.{CLIENTS[library]}")


@pytest.fixture
def hasty(venue, monkeypatch):
    """Time-outs of a second: a test of one need not take eight."""
    monkeypatch.setattr(client_of(venue.library), "READ_S", 1.0)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("done", ["accepted", "refused"])
def test_a_lost_answer_is_an_unknown_outcome_whatever_happened(venue, hasty, done, face):
    calls = []
    port, asked = venue.port(sink=calls.append), order(venue)
    prepared = port.prepare(asked)
    venue.inject(f"{done}.{face}", "/api/v5/trade/order", count=1)
    with pytest.raises(OutcomeUnknownError):
        port.send(prepared)
    venue.clear()
    found = port.order(BTC, asked.client_id)
    assert (found is not None) == (done == "accepted")
    assert len(sends_of(venue, asked.client_id)) == 1
    assert [one.outcome for one in calls if one.method == "POST"] == [CallOutcome.UNKNOWN]


@pytest.mark.parametrize(("fault", "again"), [("load.50011", True), ("load.50011_200", True), ("load.50061", True),
                                              ("time.expired", True), ("time.50102", True)])  # fmt: skip
def test_a_refusal_with_a_code_is_proof_and_the_order_may_be_planned_anew(venue, fault, again):
    port, asked = venue.port(), order(venue)
    prepared = port.prepare(asked)
    venue.inject(fault, "/api/v5/trade/order", count=1)
    with pytest.raises(OrderRefusedError) as refused:
        port.send(prepared)
    assert (refused.value.again, refused.value.halts) == (again, False)
    venue.clear()
    assert port.order(BTC, asked.client_id) is None


@pytest.mark.parametrize("fault", ["load.50013", "load.50026", "load.50001"])
def test_a_busy_venue_proves_nothing_about_an_order(venue, fault):
    port, asked = venue.port(), order(venue)
    prepared = port.prepare(asked)
    venue.inject(fault, "/api/v5/trade/order", count=1)
    with pytest.raises(OutcomeUnknownError):
        port.send(prepared)


def test_a_remembered_client_id_is_perhaps_placed(venue):
    port, asked = venue.port(), order(venue)
    port.send(port.prepare(asked))
    venue.inject("client_id.remembered", "/api/v5/trade/order", count=1)
    with pytest.raises(OutcomeUnknownError) as unknown:
        port.send(port.prepare(asked))
    assert unknown.value.code in {"51016", "50071", "51011"}


def test_an_order_without_margin_is_refused_with_the_items_code(venue):
    port = venue.port()
    port.instrument(BTC)
    with pytest.raises(OrderRefusedError) as refused:
        port.send(port.prepare(order(venue, 3_000_000)))
    assert refused.value.code in {"51008", "51004", "51202"}
    assert not refused.value.again


def test_nothing_is_sent_where_nobody_listens(venue, unused_port):
    port, asked = venue.port(), order(venue)
    prepared = port.prepare(asked)
    alone = venue.port(address=f"http://127.0.0.1:{unused_port}")
    with pytest.raises(NotSentError) as alone_error:
        alone.send(prepared)
    assert alone_error.value.code == "ConnectError"


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# ---- reads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", ["reset", "502", "empty", "cut", "length", "50004"])
def test_a_read_without_an_answer_says_nothing(venue, face):
    port = venue.port()
    venue.inject(f"refused.{face}", "/api/v5/account/positions", count=1)
    with pytest.raises(UnavailableError):
        port.positions()


def test_a_full_bucket_sends_nothing(venue):
    calls = []
    port = venue.port(sink=calls.append)
    for _ in range(8):
        port.server_time()
    with pytest.raises(RateLimitedError) as limited:
        port.server_time()
    assert (len(calls), 0 < limited.value.wait_s <= 2) == (8, True)
    venue.pause(2.1)
    assert port.server_time() == venue.now_ms()


@pytest.mark.parametrize(("who", "part", "code"), [
    ("live main", None, "50101"), ("demo main", "secret", "50113"), ("demo main", "passphrase", "50105"),
    ("demo main", "key", "50111"),
])  # fmt: skip
def test_wrong_keys_are_a_matter_of_configuration(venue, who, part, code):
    right = venue.credentials(who)
    parts = {"key": right.key, "secret": right.secret, "passphrase": right.passphrase}
    if part:
        parts[part] = "0" * len(parts[part])
    with pytest.raises(MisconfiguredError) as wrong:
        venue.port(credentials=Credentials(**parts)).account_config()
    assert wrong.value.code in {code, "50119"}
    assert wrong.value.exit_code == 78


@pytest.mark.parametrize("fault", ["page.repeated", "page.short", "page.limit_ignored", "double.fill_new_bill"])
def test_pages_that_lie_bring_every_fill_once_or_nothing(venue, fault):
    port = venue.port()
    for _ in range(3):
        port.send(port.prepare(order(venue, 2)))
        venue.pause(1)
    true = port.fills(after_bill=None, since_ms=1)
    venue.inject(fault, "/api/v5/trade/fills")
    try:
        found = port.fills(after_bill=None, since_ms=1)
    except AnswerError:
        return
    assert {one.key: (one.lots, one.fee) for one in found} == {one.key: (one.lots, one.fee) for one in true}


def test_no_secret_enters_what_is_kept(venue):
    calls, secret = [], venue.credentials()
    port = venue.port(sink=calls.append)
    port.account_config()
    port.send(port.prepare(order(venue)))
    said = ""
    for one in (secret.key, secret.secret, secret.passphrase):  # a person puts a secret where a name belongs
        try:
            port.order(BTC, one)
        except (MisconfiguredError, UnavailableError) as wrong:
            said += repr(wrong)
    assert sum("clOrdId=<" in call.query for call in calls) == 3
    kept = repr(calls) + repr(port) + said
    for one in (secret.key, secret.secret, secret.passphrase):
        assert one not in kept
