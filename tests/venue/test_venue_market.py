"""Section 11: a path gives every bar back; nothing is lost; the same inputs give the same bytes at any speed."""

from __future__ import annotations

import hashlib
import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError, EvidenceError
from prometheus.v10.market.synthetic import synthetic
from prometheus.venue.exchange_world import WorldPlan, open_world
from prometheus.venue.floor.conservation import check, imbalance
from prometheus.venue.market.bar_path import Bar, path_of
from prometheus.venue.venue_journal import verify_lines
from tests.venue.desk import BTC, bars, desk, flat

TICK, LOT = 10, 10


@st.composite
def recorded(draw):
    low = draw(st.integers(1, 10**6))
    high = low + draw(st.one_of(st.integers(0, 3), st.integers(0, 10**4)))
    opened, close = draw(st.integers(low, high)), draw(st.integers(low, high))
    volume = draw(st.one_of(st.integers(0, 100), st.integers(0, 10**8)))
    return Bar(0, opened * TICK, high * TICK, low * TICK, close * TICK, volume * LOT)


@given(bar=recorded(), seed=st.integers(0, 2**64 - 1), steps=st.sampled_from([4, 5, 60]))
@settings(max_examples=400)
def test_a_path_gives_open_high_low_close_and_volume_back(bar, seed, steps):
    path = path_of(bar, steps, TICK, LOT, seed)
    prices, volumes = [px for px, _ in path], [sz for _, sz in path]
    assert len(path) == steps
    assert (prices[0], max(prices), min(prices), prices[-1]) == (bar.open, bar.high, bar.low, bar.close)
    assert sum(volumes) == bar.volume
    assert all(px % TICK == 0 for px in prices)
    assert all(sz >= 0 and sz % LOT == 0 for sz in volumes)


def test_the_nearer_extreme_comes_first_and_a_rising_bar_falls_first():
    near_low = path_of(Bar(0, 1000, 2000, 900, 1500, 0), 60, TICK, LOT, 1)
    prices = [px for px, _ in near_low]
    assert prices.index(900) < prices.index(2000)
    rising = [px for px, _ in path_of(Bar(0, 1000, 1100, 900, 1050, 0), 60, TICK, LOT, 1)]
    assert rising.index(900) < rising.index(1100)
    falling = [px for px, _ in path_of(Bar(0, 1000, 1100, 900, 950, 0), 60, TICK, LOT, 1)]
    assert falling.index(1100) < falling.index(900)


def test_volume_follows_the_moves():
    path = path_of(Bar(0, 100_000, 101_000, 100_000, 100_000, 6_000_000), 60, TICK, LOT, 5)
    moves = [abs(px - before) for (px, _), (before, _) in zip(path[1:], path, strict=False)]
    loud = [sz for move, (_, sz) in zip(moves, path[1:], strict=True) if move > 100]
    quiet = [sz for move, (_, sz) in zip(moves, path[1:], strict=True) if move == 0]
    assert loud
    assert not quiet or sum(loud) / len(loud) > sum(quiet) / len(quiet)


def test_the_end_of_the_bars_is_a_price_that_stands_still():
    one = desk(flat(4))
    one.pass_time(3600)
    assert one.client().rows("market/ticker", instId=BTC)[0]["last"] == "50000"


def test_a_market_that_is_no_market_is_refused():
    with pytest.raises(ConfigError, match="is no bar"):
        desk(bars([(50_000, 49_000, 50_000, 50_000, 1.0)] * 3))
    with pytest.raises(ConfigError, match="at least two bars"):
        desk(flat(1))
    with pytest.raises(ConfigError, match="one timeframe"):
        open_world(WorldPlan(bars=[flat(3), flat(3, start=1_704_067_260)]))


# ---- conservation ----------------------------------------------------------------------------------------------------


def storm(one, seed, rounds, advance=True):
    """Random clients do random things; the venue checks its own balance after each of them."""
    random = Random(seed)
    clients = [one.client(label) for label in ("main", "sub1", "sub2", "other")]
    for client in clients[::2]:
        client.post("account/set-leverage", {"instId": BTC, "lever": "50", "mgnMode": "cross"})
        client.post("account/set-leverage", {"instId": BTC, "lever": "50", "mgnMode": "isolated"})
    last = one.market.tape.quote
    for _ in range(rounds):
        client = random.choice(clients)
        what = random.randrange(12)
        mode = random.choice(["cross", "isolated"])
        side = random.choice(["buy", "sell"])
        px = str((last.last // 10 + random.randrange(-60, 60)) / 10)
        if what < 7:
            kind = random.choice(["limit", "post_only", "ioc", "fok", "market", "optimal_limit_ioc"])
            client.order(side, str(random.randrange(1, 3000) / 100), px, ordType=kind, tdMode=mode,
                         reduceOnly=random.random() < 0.2, clOrdId=f"c{random.randrange(40)}")  # fmt: skip
        elif what < 9:
            body = {"instId": BTC, "clOrdId": f"c{random.randrange(40)}"}
            client.post("trade/amend-order", body | {"newPx": px, "newSz": str(random.randrange(1, 900) / 100)})
        elif what == 9:
            client.post("trade/cancel-order", {"instId": BTC, "clOrdId": f"c{random.randrange(40)}"})
        elif what == 10:
            client.post("trade/close-position", {"instId": BTC, "mgnMode": mode, "autoCxl": True})
        elif advance:
            one.pass_time(random.choice([0.5, 1, 5, 30]))


@pytest.mark.parametrize("seed", range(3))
def test_money_and_contracts_are_conserved_in_a_storm(seed):
    one = desk(synthetic(seed, 400, 60), seed=seed)
    storm(one, seed, 400)
    assert imbalance(one.demo) == {}
    assert sum(len(account.fills) for account in one.demo.accounts.values()) > 100


def test_money_is_conserved_through_liquidations_and_funding():
    one = desk(synthetic(9, 1200, 60), seed=9)
    storm(one, 9, 60)
    for percent in ("-4", "6", "-9"):
        one.inject("market.gap", percent=percent)
        one.pass_time(120)
        storm(one, 10, 40)
    one.pass_time(9 * 3600)
    kinds = {bill.kind for account in one.demo.accounts.values() for bill in account.bills}
    assert {"1", "2", "5", "8"} <= kinds
    assert imbalance(one.demo) == {}


@pytest.mark.parametrize("spoil", [
    lambda one: one.demo.books.other.pos.update({BTC: one.demo.books.other.pos[BTC] + 10}),
    lambda one: setattr(one.demo.books.other, "fees", one.demo.books.other.fees + 1),
    lambda one: setattr(one.client().account, "cash", one.client().account.cash + 1),
])  # fmt: skip
def test_what_is_out_of_balance_is_found(spoil):
    one = desk()
    one.client().placed("buy", "1")
    spoil(one)
    with pytest.raises(AssertionError, match="out of balance"):
        check(one.demo)


# ---- determinism -----------------------------------------------------------------------------------------------------


def told(seed, cut):
    """What a venue answers to one sequence of requests, with the clock moved in pieces of ``cut`` ms."""
    one = desk(synthetic(5, 400, 60), seed=seed)
    client, digest = one.client(), hashlib.sha256()
    placed = ""
    for at in range(60):
        until = one.world.now + 2_500
        while one.world.now < until:
            one.world.advance(min(until, one.world.now + cut))
        px = str(one.market.depth.best(1) / 100)
        body = {"instId": BTC, "tdMode": "cross", "side": "buy" if at % 3 else "sell", "ordType": "limit", "sz": "1.5",
                "px": px, "clOrdId": f"c{at}"}  # fmt: skip
        for method, target, sent in (
            ("POST", "/api/v5/trade/order", body), ("GET", f"/api/v5/market/books?instId={BTC}&sz=40", None),
            ("GET", "/api/v5/account/balance", None), ("GET", "/api/v5/account/positions", None),
            ("POST", "/api/v5/trade/cancel-order", {"instId": BTC, "clOrdId": f"c{at - 5}"}),
        ):  # fmt: skip
            reply = client.raw(method, target, b"" if sent is None else json.dumps(sent).encode())
            digest.update(reply.body)
        placed = placed or client.key.key
    return digest.hexdigest(), one.world.journal.last, one.world.journal.count


def test_the_same_inputs_give_the_same_bytes_and_journal_at_any_speed():
    assert told(1, 2_500) == told(1, 2_500) == told(1, 170) == told(1, 999)


def test_another_seed_is_another_market():
    assert told(1, 2_500)[0] != told(2, 2_500)[0]


def test_the_market_of_a_seed_is_the_same_on_any_machine():
    """Golden: path, book, mark and candles of an hour. A change here moves every run that names a seed."""
    one = desk(synthetic(5, 400, 60), seed=1)
    client, digest = one.client(), hashlib.sha256()
    for _ in range(60):
        one.pass_time(60)
        for target in (f"market/books?instId={BTC}&sz=400", "public/mark-price?instType=SWAP",
                       f"market/candles?instId={BTC}"):  # fmt: skip
            digest.update(json.dumps(json.loads(client.raw("GET", f"/api/v5/{target}").body)["data"]).encode())
    assert digest.hexdigest()[:32] == MARKET_OF_SEED_1


MARKET_OF_SEED_1 = "a0cc1d0a6a8f7dac6fddb800518770f4"


# ---- the journal -----------------------------------------------------------------------------------------------------


def lines():
    one = desk()
    one.client().placed("buy", "1")
    one.inject("market.gap", percent="-1")
    return list(one.world.journal.tail)


def test_the_journal_holds_requests_orders_trades_and_faults():
    found = verify_lines(lines(), "here")
    assert {"request", "order", "match", "fault"} <= found.kinds.keys()
    assert found.entries == sum(found.kinds.values())


def test_no_secret_is_in_the_journal():
    one = desk()
    client = one.client()
    client.placed("buy", "1")
    text = b"".join(one.world.journal.tail)
    assert client.key.secret.encode() not in text
    assert client.key.passphrase.encode() not in text
    assert client.key.key.encode() not in text


@pytest.mark.parametrize("spoil", [
    lambda found: found[:1] + found[2:],
    lambda found: [found[0].replace(b'"kind"', b'"sort"'), *found[1:]],
    lambda found: [*found[:-1], found[-1].replace(b'"ts":1', b'"ts":2', 1)],
    lambda found: [found[1], found[0], *found[2:]],
    lambda found: [*found, b"nonsense\n"],
    lambda found: [*found[:-1], found[-1][:40]],
])  # fmt: skip
def test_a_journal_that_was_changed_is_found(spoil):
    with pytest.raises(EvidenceError, match="line"):
        verify_lines(spoil(lines()), "here")
