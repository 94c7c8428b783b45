"""Section 11: a journal is done again, line for line; one that was edited, or of another market, is not."""

from __future__ import annotations

import json

import pytest

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.market.synthetic import synthetic
from prometheus.venue.faults.injections import Target
from prometheus.venue.journal_replay import opening_of, replay
from prometheus.venue.venue_journal import verify_file
from tests.venue.desk import BTC, desk, flat
from tests.venue.test_venue_market import storm
from tests.venue.test_venue_streams import Line

MARKET = synthetic(4, 400, 60)


@pytest.fixture
def journal(tmp_path):
    """The journal of a stormy hour: faults of every kind that acts, a jump, a deposit, orders over both ways."""
    place = tmp_path / "venue.jsonl"
    one = desk(MARKET, seed=4, limits=True)
    with place.open("wb") as stream:
        for line in one.world.journal.tail:
            stream.write(line)
        one.world.journal.stream = stream
        client = one.client()
        one.inject("load.50013", target=Target(chance=0.1))
        one.inject("accepted.502", target=Target(path="trade/order", chance=0.1))
        one.inject("lie.positions_stale")
        one.inject("venue.second_writer", target=Target(path="account/balance", count=3))
        storm(one, 4, 80)
        one.inject("time.jump", ms=45_500)
        one.inject("market.gap", percent="-3")
        one.mischief.clear(1)
        storm(one, 5, 60)
        state = one.demo
        state.books.deposit(client.account, one.world.now, 5 * 10**12)
        state.note("deposit", uid=client.key.uid, amount=5 * 10**12)
        over = Line(one)
        over.login()
        over.say("order", {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}, id="1")
        client.raw("GET", "/api/v5/account/balance", ok_access_sign="AAAA")
        client.raw("POST", "/api/v5/trade/order", b"\xff{")
        client.raw("GET", "/api/v5/nowhere")
        client.late_ms = 60_000
        client.get("account/balance")
        client.late_ms = 0
        body = json.dumps({"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}).encode()
        client.raw("POST", "/api/v5/trade/order", body, exptime="1")
        one.pass_time(3600)
        client.get("account/positions")
        one.client(environment="live").placed("buy", "1")
    return place


def test_a_journal_comes_out_again_line_for_line(journal):
    found = verify_file(journal)
    assert {"opened", "request", "fault", "order", "match", "cancel", "deposit"} <= found.kinds.keys()
    assert opening_of(journal).rows == (400,)
    assert replay(journal, [MARKET]) == found.entries > 300


def test_another_market_is_refused(journal):
    with pytest.raises(EvidenceError, match="other bars"):
        replay(journal, [flat()])


def test_a_journal_that_is_edited_with_all_its_hashes_does_not_come_out_again(journal):
    """Whoever edits a line and hashes everything anew passes the chain, and not the replay."""
    import hashlib

    before, made = "0" * 64, []
    for line in journal.read_bytes().splitlines():
        entry = json.loads(line)
        del entry["hash"]
        if entry["kind"] == "match" and not any(b'"edited"' in each for each in made):
            entry["data"]["px"] += 10
            entry["data"]["edited"] = 1
        entry["prev"] = before
        text = json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()
        before = hashlib.sha256(text).hexdigest()
        made.append(text[:-1] + f',"hash":"{before}"}}'.encode() + b"\n")
    journal.write_bytes(b"".join(made))
    assert verify_file(journal).entries == len(made)
    with pytest.raises(EvidenceError, match="comes out otherwise"):
        replay(journal, [MARKET])


def test_a_journal_that_is_cut_at_its_end_is_a_shorter_one(journal):
    lines = journal.read_bytes().splitlines(keepends=True)
    while json.loads(lines[-1])["kind"] != "request":
        lines.pop()
    journal.write_bytes(b"".join(lines))
    assert replay(journal, [MARKET]) == len(lines)


def test_what_is_no_journal_is_refused(tmp_path):
    place = tmp_path / "a"
    place.write_text('{"kind":"request"}\n')
    with pytest.raises(EvidenceError, match="opens no venue"):
        opening_of(place)
