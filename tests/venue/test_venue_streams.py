"""Section 6: WebSocket: heartbeat, login, subscriptions, pushes of orders, positions, account and books, orders."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest

from prometheus.venue.faults.injections import Target
from prometheus.venue.gateway.signatures import signature
from prometheus.venue.gateway.stream_session import Session
from prometheus.venue.server.loopback_server import LoopbackServer
from prometheus.venue.server.stream_server import Streams
from prometheus.venue.server.venue_pace import Pace
from tests.callbacks import apart
from tests.venue.desk import BTC, desk, flat, walk


class Line:
    """A connection without a socket."""

    def __init__(self, one, label="main", environment="demo"):
        self.one = one
        self.client = one.client(label, environment)
        streams = Streams(one.gate, Pace(one.world, 0.0))
        self.session = Session(one.gate, demo=True, private=True, number=1)
        streams.sessions[1] = self.session

    def heard(self):
        self.session.pump()
        found = [text if text == b"pong" else json.loads(text) for text in self.session.outbox]
        self.session.outbox.clear()
        return found

    def say(self, op, *args, **more):
        self.session.receive(json.dumps({"op": op, "args": list(args), **more}))
        return self.heard()

    def login(self, **changed):
        stamp = str(self.one.world.now / 1000)
        key = self.client.key
        arg = {"apiKey": key.key, "passphrase": key.passphrase, "timestamp": stamp,
               "sign": signature(key.secret, stamp, "GET", "/users/self/verify", b"")}  # fmt: skip
        return self.say("login", arg | changed)

    def subscribe(self, channel, **arg):
        return self.say("subscribe", {"channel": channel, **arg})


@pytest.fixture
def one():
    return desk()


@pytest.fixture
def line(one):
    made = Line(one)
    assert made.login()[0]["code"] == "0"
    return made


def test_ping_is_answered_by_pong(one):
    line = Line(one)
    line.session.receive("ping")
    assert line.heard() == [b"pong"]


def test_a_login_is_signed_over_seconds_and_the_verify_path(one):
    (answer,) = Line(one).login()
    assert (answer["event"], answer["code"], "connId" in answer) == ("login", "0", True)


@pytest.mark.parametrize(("changed", "code"), [
    ({"apiKey": "nobody"}, "60005"), ({"sign": "AAAA"}, "60007"), ({"passphrase": "wrong"}, "60024"),
    ({"timestamp": "1704067100"}, "60006"), ({"timestamp": "x"}, "60004"),
])  # fmt: skip
def test_a_wrong_login_is_refused(one, changed, code):
    (answer,) = Line(one).login(**changed)
    assert (answer["event"], answer["code"]) == ("error", code)


def test_a_second_login_is_refused(line):
    assert line.login()[0]["code"] == "60031"


def test_private_channels_need_a_login(one):
    assert [Line(one).subscribe(channel)[0]["code"] for channel in ("orders", "positions", "account")] == ["60011"] * 3


@pytest.mark.parametrize("said", ["{", "[]", "3", '{"op":"subscribe"}', '{"op":"dance","args":[{}]}',
                                  '{"op":"subscribe","args":[3]}'])  # fmt: skip
def test_nonsense_is_60012(one, said):
    line = Line(one)
    line.session.receive(said)
    assert [answer["code"] for answer in line.heard()] == ["60012"]


def test_an_unknown_channel_or_instrument_is_60018(line):
    assert line.subscribe("weather")[0]["code"] == "60018"
    assert line.subscribe("books", instId="NOPE")[0]["code"] == "60018"


@pytest.mark.parametrize("arg", [
    {"channel": "candleX", "instId": BTC}, {"channel": "candle", "instId": BTC}, {"channel": "tickers"},
    {"channel": "candle1m"}, {"channel": "books"}, {"channel": "price-limit", "instId": "X"}, {"channel": 5}, {},
])  # fmt: skip
def test_a_channel_that_could_never_push_is_60018(line, arg):
    (event,) = line.say("subscribe", arg)
    assert (event["event"], event["code"]) == ("error", "60018")
    assert line.session.subscriptions == {}


def test_the_fills_channel_is_closed_below_vip_4(line):
    assert line.subscribe("fills")[0]["code"] == "64003"


def test_a_subscription_is_echoed_with_its_id(line):
    (answer,) = line.say("subscribe", {"channel": "orders", "instType": "SWAP"}, id="7")
    assert (answer["event"], answer["arg"]["channel"], answer["id"]) == ("subscribe", "orders", "7")


def test_more_than_480_requests_an_hour_are_too_many(line, one):
    for _ in range(479):
        line.say("unsubscribe", {"channel": "orders"})
    assert line.say("unsubscribe", {"channel": "orders"})[0]["code"] == "60014"
    one.pass_time(3601)
    assert line.say("unsubscribe", {"channel": "orders"})[0]["event"] == "unsubscribe"


# ---- orders ----------------------------------------------------------------------------------------------------------


def test_nothing_is_pushed_at_subscription_of_orders(line):
    line.client.placed("buy", "1", "49000")
    assert [answer.get("event") for answer in line.subscribe("orders", instType="ANY")] == ["subscribe"]


def test_an_order_is_pushed_live_and_then_cancelled(line):
    line.subscribe("orders", instType="SWAP")
    placed = line.client.placed("buy", "1", "49000")
    line.client.post("trade/cancel-order", {"instId": BTC, "ordId": placed})
    rows = [push["data"][0] for push in line.heard()]
    assert [(row["ordId"], row["state"], row["avgPx"], row["cancelSource"]) for row in rows] == [
        (placed, "live", "0", ""), (placed, "canceled", "0", "1")]  # fmt: skip


def test_each_fill_is_an_increment_with_its_fee(line):
    line.subscribe("orders", instType="SWAP")
    asks = line.client.rows("market/books", instId=BTC, sz=2)[0]["asks"]
    total = (round(float(asks[0][1]) * 100) + round(float(asks[1][1]) * 100)) / 100
    line.client.placed("buy", str(total))
    rows = [push["data"][0] for push in line.heard()]
    assert [row["state"] for row in rows] == ["live", "partially_filled", "filled"]
    assert [row["fillSz"] for row in rows] == ["0", asks[0][1], asks[1][1]]
    fills = line.client.rows("trade/fills")[::-1]
    assert [row["fillFee"] for row in rows[1:]] == [fill["fee"] for fill in fills]
    assert [row["execType"] for row in rows[1:]] == ["T", "T"]


def test_a_post_only_order_that_would_take_is_pushed_cancelled_only(line):
    line.subscribe("orders", instType="SWAP")
    line.client.placed("buy", "1", "50010", ordType="post_only")
    assert [push["data"][0]["state"] for push in line.heard()] == ["canceled"]


def test_a_maker_hears_of_its_fill():
    one = desk(walk([50_000, 49_900, 49_900]))
    line = Line(one)
    line.login()
    line.subscribe("orders", instType="SWAP")
    line.client.placed("buy", "1", "49950")
    one.pass_time(120)
    assert [push["data"][0]["execType"] for push in line.heard()] == ["", "M"]


def test_a_forced_order_is_pushed_with_its_category(line, one):
    line.client.placed("buy", "5", tdMode="isolated")
    line.subscribe("orders", instType="SWAP")
    one.inject("market.liquidation")
    (push,) = line.heard()
    assert push["data"][0]["category"] == "full_liquidation"


def test_orders_of_other_accounts_are_not_heard(line, one):
    line.subscribe("orders", instType="SWAP")
    one.client("sub1").placed("buy", "1", "49000")
    assert line.heard() == []


def test_an_amendment_is_pushed_with_its_result(line):
    placed = line.client.placed("buy", "1", "49000")
    line.subscribe("orders", instType="SWAP")
    line.client.post("trade/amend-order", {"instId": BTC, "ordId": placed, "newSz": "2"})
    (push,) = line.heard()
    assert (push["data"][0]["sz"], push["data"][0]["amendResult"], push["data"][0]["amendSource"]) == ("2", "0", "1")


def test_orders_are_placed_amended_and_cancelled_over_the_connection(line):
    arg = {"instIdCode": line.client.rows("public/instruments", instType="SWAP")[0]["instIdCode"], "tdMode": "cross",
           "side": "buy", "ordType": "limit", "sz": "1", "px": "49000", "clOrdId": "w"}  # fmt: skip
    (placed,) = line.say("order", arg, id="1")
    assert (placed["id"], placed["op"], placed["code"], placed["data"][0]["sCode"]) == ("1", "order", "0", "0")
    (amended,) = line.say("amend-order", {"instId": BTC, "clOrdId": "w", "newSz": "2"}, id="2")
    assert amended["data"][0]["sCode"] == "0"
    (cancelled,) = line.say(
        "batch-cancel-orders", {"instId": BTC, "clOrdId": "w"}, {"instId": BTC, "clOrdId": "v"}, id="3"
    )
    assert [row["sCode"] for row in cancelled["data"]] == ["0", "51400"]
    (late,) = line.say("order", arg, id="4", expTime="1")
    assert late["code"] == "50036"


@pytest.mark.parametrize(("expires", "code"), [
    ("\u00b2", "51000"), ("x", "51000"), (1.5, "51000"), ("9" * 5000, "51000"), (5, "50036"), ("5", "50036"),
])  # fmt: skip
def test_exp_time_over_the_connection_is_that_of_a_request(line, one, expires, code):
    body = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "49000"}
    placed = line.client.placed("buy", "1", "49000")
    assert line.say("order", body, id="1", expTime=expires)[-1]["code"] == code
    assert line.say("order", body, id="2", expTime=str(one.world.now))[-1]["code"] == "0"
    assert line.say("cancel-order", {"instId": BTC, "ordId": placed}, id="3", expTime=expires)[-1]["code"] == "0"


def test_orders_over_both_ways_share_their_bucket():
    one = desk(limits=True)
    line = Line(one)
    line.login()
    arg = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "0.001", "px": "49000"}
    for _ in range(60):
        line.client.post("trade/order", arg)
    assert line.say("order", arg, id="1")[0]["code"] == "50011"


# ---- account and positions -------------------------------------------------------------------------------------------


def test_positions_come_as_a_snapshot_then_by_event_and_every_five_seconds(line, one):
    line.client.placed("buy", "1")
    snapshot = line.subscribe("positions", instType="ANY")[1]
    assert (snapshot["eventType"], snapshot["curPage"], snapshot["lastPage"]) == ("snapshot", 1, True)
    assert snapshot["data"][0]["pos"] == "1"
    assert "pTime" in snapshot["data"][0]
    line.client.placed("buy", "1")
    (event,) = line.heard()
    assert (event["eventType"], event["data"][0]["pos"]) == ("event_update", "2")
    one.pass_time(4)
    assert line.heard() == []
    one.pass_time(2)
    assert line.heard()[0]["eventType"] == "snapshot"


def test_a_position_that_became_flat_is_pushed_once(line):
    line.client.placed("buy", "1")
    line.subscribe("positions", instType="ANY")
    line.client.placed("sell", "1")
    assert [row["pos"] for push in line.heard() for row in push["data"]] == ["0"]


def test_the_account_is_pushed_with_its_balance(line):
    snapshot = line.subscribe("account")[1]
    assert snapshot["data"][0]["totalEq"] == "100000"
    line.client.placed("buy", "1")
    (event,) = line.heard()
    assert event["eventType"] == "event_update"
    assert event["data"][0]["details"][0]["cashBal"] == line.client.rows("account/balance")[0]["details"][0]["cashBal"]


def test_balance_and_position_carry_the_trade(line):
    line.subscribe("balance_and_position")
    line.client.placed("buy", "1")
    (push,) = line.heard()
    assert push["data"][0]["trades"][0]["tradeId"] == line.client.rows("trade/fills")[0]["tradeId"]


# ---- books -----------------------------------------------------------------------------------------------------------


def applied(pushes):
    """A book as a client builds it from pushes; its chain of sequence numbers must join."""
    sides = {"asks": {}, "bids": {}}
    last = None
    for push in pushes:
        (row,) = push["data"]
        if push["action"] == "snapshot":
            sides = {"asks": {}, "bids": {}}
            assert row["prevSeqId"] == -1
        else:
            assert row["prevSeqId"] == last
        last = row["seqId"]
        for name, levels in sides.items():
            for level in row[name]:
                levels[level[0]] = level
                if level[1] == "0":
                    del levels[level[0]]
    return sides, last


def test_a_book_is_a_snapshot_and_updates_whose_numbers_join(line, one):
    pushes = line.subscribe("books", instId=BTC)[1:]
    for at in range(6):
        line.client.placed("buy", "1", str(49_990 - at))
        one.pass_time(1)
        pushes += line.heard()
    assert [push["action"] for push in pushes] == ["snapshot"] + ["update"] * 6
    assert {push["data"][0]["checksum"] for push in pushes} == {0}
    sides, last = applied(pushes)
    (now,) = line.client.rows("market/books", instId=BTC, sz=400)
    assert last == now["seqId"]
    for name, levels in sides.items():
        assert sorted(levels.values()) == sorted(now[name])


def test_a_quiet_book_is_pushed_empty_after_a_minute(line, monkeypatch, one):
    line.subscribe("books", instId=BTC)
    one.world.next_step += 10**9
    one.pass_time(59)
    assert line.heard() == []
    one.pass_time(2)
    (push,) = line.heard()
    row = push["data"][0]
    assert (row["asks"], row["bids"], row["seqId"]) == ([], [], row["prevSeqId"])


@pytest.mark.parametrize(("channel", "count"), [("books5", 5), ("bbo-tbt", 1)])
def test_small_books_are_pushed_whole(line, one, channel, count):
    pushes = line.subscribe(channel, instId=BTC)[1:]
    one.pass_time(1)
    pushes += line.heard()
    assert len(pushes) == 2
    assert {len(push["data"][0]["asks"]) for push in pushes} == {count}


@pytest.mark.parametrize("channel", ["tickers", "mark-price", "price-limit", "funding-rate", "candle1m", "instruments"])
def test_public_channels_push_at_once(line, channel):
    pushes = line.subscribe(channel, instId=BTC, **({"instType": "SWAP"} if channel == "instruments" else {}))
    assert pushes[1]["arg"]["channel"] == channel
    assert pushes[1]["data"]


# ---- faults ----------------------------------------------------------------------------------------------------------


def test_a_push_is_silent_or_doubled(line, one):
    line.subscribe("orders", instType="SWAP")
    silent = one.inject("stream.silence")
    line.client.placed("buy", "1", "49000")
    assert line.heard() == []
    one.mischief.clear(silent.number)
    one.inject("stream.twice", target=Target(count=1))
    line.client.placed("buy", "1", "49000")
    first, second = line.heard()
    assert first == second


def test_a_gap_breaks_the_chain_of_a_book(line, one):
    pushes = line.subscribe("books", instId=BTC)[1:]
    one.inject("stream.gap", target=Target(path="stream/books", count=1))
    for _ in range(3):
        one.pass_time(1)
        pushes += line.heard()
    with pytest.raises(AssertionError):
        applied(pushes)


def test_a_snapshot_lacks_a_page_and_its_numbers_say_so(line, one):
    line.client.placed("buy", "1")
    one.inject("stream.page_missing", target=Target(path="stream/positions", count=1))
    (push,) = [said for said in line.subscribe("positions", instType="SWAP") if "data" in said]
    assert (push["eventType"], push["curPage"], push["lastPage"], push["data"]) == ("snapshot", 2, True, [])
    line.client.placed("buy", "1")
    (whole,) = line.heard()
    assert (whole["curPage"], whole["lastPage"], whole["data"][0]["pos"]) == (1, True, "2")


@pytest.mark.parametrize(("fault", "code"), [("stream.cut", 1006), ("stream.notice", 1000)])
def test_a_connection_is_cut_or_ends_with_a_notice(line, one, fault, code):
    line.subscribe("orders", instType="SWAP")
    one.inject(fault)
    line.client.placed("buy", "1", "49000")
    heard = line.heard()
    assert line.session.ended == code
    assert [push.get("code") for push in heard if push.get("event") == "notice"] == (["64008"] if code == 1000 else [])


# ---- the socket ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def a_socket():
    """A client of a venue that is served on the loopback, on its public socket."""
    import aiohttp

    one = desk(flat())
    server = LoopbackServer(one.gate, Pace(one.world, 0.0), "127.0.0.1", 0)
    port = await server.start()
    try:
        async with aiohttp.ClientSession() as http, http.ws_connect(f"ws://127.0.0.1:{port}/ws/v5/public") as socket:
            yield socket
    finally:
        await server.stop()


def test_a_socket_speaks_and_is_closed_after_thirty_silent_seconds(monkeypatch):
    pytest.importorskip("aiohttp")
    from prometheus.venue.server import stream_server

    monkeypatch.setattr(stream_server, "SILENT_S", 0.5)

    async def talk():
        async with a_socket() as socket:
            await socket.send_str("ping")
            pong = await socket.receive_str()
            await socket.send_json({"op": "subscribe", "args": [{"channel": "tickers", "instId": BTC}]})
            event, push = await socket.receive_json(), await socket.receive_json()
            end = await socket.receive()
            return pong, event["event"], push["data"][0]["last"], end.type.name, socket.close_code

    assert apart(talk()) == ("pong", "subscribe", "50000", "CLOSE", 4004)


def test_what_is_wrong_in_the_venue_is_63999_one_line_and_the_end(monkeypatch, capfd):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(Session, "receive", lambda *_: 1 / 0)

    async def talk():
        async with a_socket() as socket:
            await socket.send_str("hello")
            said, end = await socket.receive_json(), await socket.receive()
            return said["code"], end.type.name, socket.close_code

    assert apart(talk()) == ("63999", "CLOSE", 4006)
    assert capfd.readouterr().err == "venue: WS /ws/v5/public: ZeroDivisionError: division by zero\n"
