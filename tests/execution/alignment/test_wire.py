"""The relay between a client and a venue, and what is read off the wire: every byte, and no secret."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from prometheus.v10.execution.alignment.aligned_intents import StepSaid
from prometheus.v10.execution.alignment.aligning import wire_text
from prometheus.v10.execution.alignment.wire_differences import heard, wire_differences
from prometheus.v10.execution.alignment.wire_tap import Spoken, WireTap

SECRETS = ("the-key", "the-passphrase", "the-signature")
HEAD = (
    "POST /api/v5/trade/order HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: {agent}\r\nOK-ACCESS-KEY: the-key\r\n"
    "ok-access-passphrase: the-passphrase\r\nOK-ACCESS-SIGN: the-signature\r\nexpTime: {expires}\r\n\r\n"
)
ANSWER = '{"code":"0","data":[{"ordId":"1","uid":"77"}],"inTime":"%s"}'


def spoken(body: str, *, agent: str = "a", port: int = 1, expires: str = "5", answer: str = ANSWER % 1) -> Spoken:
    request = HEAD.format(agent=agent, port=port, expires=expires) + body
    return Spoken(bytearray(request.encode()), bytearray(f"HTTP/1.1 200 OK\r\n\r\n{answer}".encode()))


def step(*said: Spoken, meaning: str = "one") -> StepSaid:
    return StepSaid(name="an order", spoken=list(said), meaning=meaning)


def keys(native: StepSaid, ccxt: StepSaid) -> list[str]:
    return [one.key for one in wire_differences([native], [ccxt])]


@pytest.fixture
def echo():
    """A server that answers each piece with itself in capitals, and ends a connection at a word."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            while True:
                try:
                    one, _ = door.accept()
                except OSError:
                    return
                with one:
                    while (data := one.recv(65_536)) and b"end" not in data:
                        one.sendall(data.upper())

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        door.shutdown(socket.SHUT_RDWR)


def test_every_byte_goes_on_and_is_kept_request_by_request(echo):
    with WireTap(echo) as tap:
        place = ("127.0.0.1", int(tap.address.rpartition(":")[2]))
        with socket.create_connection(place) as client:
            for word in (b"one", b"two" * 50_000):
                client.sendall(word)
                got = b""
                while len(got) < len(word):
                    got += client.recv(65_536)
                assert got == word.upper()
            client.sendall(b"end")
            assert client.recv(10) == b""
        found = tap.take()
        assert b"".join(bytes(one.request) for one in found) == b"one" + b"two" * 50_000 + b"end"
        assert bytes(found[0].request + found[0].answer) == b"oneONE"
        assert (bytes(found[-1].request), bytes(found[-1].answer)) == (b"end", b"")
        assert tap.take() == []


def test_the_same_bytes_differ_in_nothing_but_clocks_and_places():
    ours, theirs = spoken("{}"), spoken("{}", port=2, answer=ANSWER % 2)
    assert keys(step(ours), step(theirs)) == []


@pytest.mark.parametrize(("changed", "key"), [
    (spoken('{"sz":"1","side":"buy"}'), "wire.body-order./api/v5/trade/order"),
    (spoken('{"side":"buy","sz":"2"}'), "wire.body./api/v5/trade/order.sz"),
    (spoken('{"side":"buy"}'), "wire.body./api/v5/trade/order.sz"),
    (spoken('{"side": "buy", "sz": "1"}'), "wire.body-spelling"),
    (spoken('{"side":"buy","sz":"1"}', agent="b"), "wire.header.user-agent.POST"),
    (spoken('{"side":"buy","sz":"1"}', expires="6"), "wire.header.exptime.POST"),
    (spoken('{"side":"buy","sz":"1"}', answer='{"code":"1"}'), "wire.answer.POST /api/v5/trade/order"),
    (spoken('{"side":"buy","sz":"1"}', answer="<html>"), "wire.answer.POST /api/v5/trade/order"),
])  # fmt: skip
def test_whatever_differs_is_told(changed, key):
    assert key in keys(step(spoken('{"side":"buy","sz":"1"}')), step(changed))


def test_a_second_request_and_another_meaning_must_not_be():
    one = spoken("{}")
    found = {one.key: one for one in wire_differences([step(one)], [step(one, one, meaning="another")])}
    assert found.keys() == {"meaning.an order", "wire.requests.an order"}
    assert {one.severity for one in found.values()} == {"S3"}


def test_no_secret_and_nobodys_name_is_in_what_is_kept():
    found = step(spoken('{"sz":"1"}'))
    text = wire_text([found]).decode() + heard(found.spoken[0]).text()
    text += repr(list(wire_differences([found], [step(spoken('{"sz":"2"}', agent="b"))])))
    assert [one for one in (*SECRETS, "77") if one in text] == []
    assert json.loads(wire_text([found]))[0]["requests"][0]["answer"]["data"][0]["uid"] == "redacted"
