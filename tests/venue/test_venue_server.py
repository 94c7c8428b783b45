"""Section 11 and 5: the venue on a socket: bad clients, faults on the wire, the admin socket, and the command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from prometheus.v10.base.errors import ConfigError, EvidenceError, UsageError
from prometheus.venue.gateway.http_gate import Gate
from prometheus.venue.server.admin_server import Admin, serve_admin
from prometheus.venue.server.loopback_server import LARGEST_HEADER, LoopbackServer, loopback
from prometheus.venue.server.need_aiohttp import aiohttp_web
from prometheus.venue.server.venue_pace import Pace
from prometheus.venue.venue_journal import verify_file
from tests.callbacks import apart
from tests.venue.desk import BTC, Desk, desk

pytest.importorskip("aiohttp")


class Served:
    """A venue that listens in a thread of its own."""

    def __init__(self, made: Desk, admin: Path) -> None:
        self.desk = made
        self.place = admin
        self.pace = Pace(made.world, 0.0)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))
        self._thread.start()
        assert self._ready.wait(30)

    async def _run(self) -> None:
        server = LoopbackServer(self.desk.gate, self.pace, "127.0.0.1", 0)
        self.port = await server.start()
        admin = await serve_admin(Admin(self.desk.gate, self.desk.mischief, self.pace, self._stop.set), self.place)
        self._ready.set()
        await self._stop.wait()
        admin.close()
        await server.stop()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()

    def talk(self, sent: bytes, *, wait: float = 30.0, half_close: bool = False) -> bytes:
        """Send bytes on a new connection and read until the venue is silent for good or closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as client:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(sent)
            if half_close:
                client.shutdown(socket.SHUT_WR)
            found = b""
            with contextlib.suppress(ConnectionResetError, TimeoutError):
                while piece := client.recv(65536):
                    found += piece
            return found

    def admin(self, **asked: object) -> dict:
        """One command on the admin socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.place))
            client.sendall(json.dumps(asked).encode() + b"\n")
            return json.loads(client.makefile("rb").readline())


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    made = Served(desk(), tmp_path / "admin")
    yield made
    made.close()


def request(path: str, *more: str, body: bytes = b"", method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: venue", "Connection: close", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


TIME = request("/api/v5/public/time")


def signed(served: Served, method: str, path: str, body: bytes = b"") -> bytes:
    """A signed request as bytes, made by a client that hands its headers over instead of sending them."""
    client = served.desk.client()
    kept = {}

    class Catch:
        world = served.desk.world

        def handle(self, asked):
            kept.update(asked.headers)
            raise KeyboardInterrupt

    client.gate = cast("Gate", Catch())
    with contextlib.suppress(KeyboardInterrupt):
        client.raw(method, path, body)
    lines = [f"{name}: {value}" for name, value in kept.items()]
    return request(path, *lines, f"Content-Length: {len(body)}", body=body, method=method)


def test_an_answer_has_a_length_a_type_and_the_venues_date(served):
    head, _, body = served.talk(TIME).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"Content-Type: application/json" in head
    assert b"Date: Mon, 01 Jan 2024 00:02:01 GMT" in head
    assert json.loads(body)["data"] == [{"ts": str(served.desk.world.now)}]


def test_a_signed_request_over_the_socket_is_byte_exact(served):
    answer = served.talk(signed(served, "GET", "/api/v5/account/positions?instId=BTC-USDT-SWAP&instType=SWAP&x=%2C,"))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "0"


@pytest.mark.parametrize("sent", [
    request("/api/v5/trade/order", "Content-Type: application/json", "Content-Length: 5", body=b"{nope", method="POST"),
    request("/api/v5/trade/order", "Content-Length: x", method="POST"),
    request("/api/v5/public/time", "X-Large: " + "a" * (1 << 20)),
    request("/api/v5/public/time?" + "a" * LARGEST_HEADER * 2),
    request("/api/v5/nowhere/%00/../x"),
    b"nonsense\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n",
    request("/api/v5/trade/order", "Transfer-Encoding: chunked", body=b"zz\r\n", method="POST"),
    request("/api/v5/trade/order", "Content-Type: application/json", f"Content-Length: {2 << 20}", method="POST"),
], ids=["json", "length", "header", "target", "path", "nonsense", "version", "tls", "chunk", "large"])  # fmt: skip
def test_a_bad_client_gets_an_answer_of_the_venue_and_the_next_is_served(served, sent, capfd):
    answer = served.talk(sent)
    assert answer.startswith(b"HTTP/1.")
    assert 400 <= int(answer.split()[1]) < 500
    assert b"Traceback" not in answer
    assert b".py" not in answer
    assert served.talk(TIME).startswith(b"HTTP/1.1 200")
    assert "Traceback" not in capfd.readouterr().err


HALF = request(
    "/api/v5/trade/order", "Content-Type: application/json", "Content-Length: 100", body=b'{"a', method="POST"
)  # fmt: skip


def test_half_a_body_does_no_harm(served, capfd):
    served.talk(
        HALF,
        half_close=True,
    )  # fmt: skip
    assert served.talk(TIME).startswith(b"HTTP/1.1 200")
    assert "Traceback" not in capfd.readouterr().err


def test_a_body_that_does_not_come_is_given_up(served, monkeypatch):
    from prometheus.venue.server import loopback_server

    monkeypatch.setattr(loopback_server, "BODY_TIMEOUT_S", 0.2)
    answer = served.talk(
        HALF
    )  # fmt: skip
    assert answer.startswith(b"HTTP/1.1 408")


def test_ten_thousand_connections_one_after_the_other_leave_nothing_behind(served, capfd):
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    served.talk(TIME)
    before = open_files()
    for at in range(10_000):
        if at % 10 == 0:
            assert served.talk(TIME).startswith(b"HTTP/1.1 200")
            continue
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert served.talk(TIME).startswith(b"HTTP/1.1 200")
    assert open_files() <= before + 10
    assert capfd.readouterr().err == ""


def test_what_is_wrong_in_the_venue_is_50026_and_one_line(served, monkeypatch, capfd):
    monkeypatch.setattr(type(served.desk.gate), "handle", lambda *_: 1 / 0)
    answer = served.talk(TIME)
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"50026" in answer
    assert capfd.readouterr().err == "venue: GET /api/v5/public/time: ZeroDivisionError: division by zero\n"


def test_a_venue_whose_clock_fails_does_not_go_on(monkeypatch):
    one = desk()
    pace = Pace(one.world, 1.0)
    monkeypatch.setattr(type(one.world), "advance", lambda *_: 1 / 0)

    async def run():
        server = LoopbackServer(one.gate, pace, "127.0.0.1", 0)
        await server.start()
        try:
            await server.until(asyncio.Event())
        finally:
            await server.stop()

    with pytest.raises(ZeroDivisionError):
        apart(run())


# ---- faults on the wire ----------------------------------------------------------------------------------------------

ORDER = json.dumps({"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "49000",
                    "clOrdId": "w"}).encode()  # fmt: skip


@pytest.mark.parametrize("face", ["reset", "cut", "length", "502", "empty"])
def test_a_fault_reaches_the_wire_and_the_order_stands(served, face):
    served.desk.inject(f"accepted.{face}")
    answer = served.talk(signed(served, "POST", "/api/v5/trade/order", ORDER))
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), None)
    if face == "reset":
        assert answer == b""
    elif face == "cut":
        assert 0 < len(body) < length
    elif face == "length":
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(body[:length])
    elif face == "502":
        assert (answer.split()[1], b"text/html" in head) == (b"502", True)
    else:
        assert (answer.split()[1], body) == (b"200", b"")
    assert served.desk.client().account.by_client["w"].state == "live"


def test_a_silent_venue_keeps_the_connection_and_says_nothing(served):
    served.desk.inject("accepted.timeout")
    assert served.talk(signed(served, "POST", "/api/v5/trade/order", ORDER), wait=0.5) == b""
    assert served.desk.client().account.by_client["w"].state == "live"


def test_connections_are_refused_while_nobody_listens(served):
    served.admin(do="inject", fault="load.refused", arguments={"seconds": 0.5})
    refused = 0
    for _ in range(3000):
        try:
            with socket.create_connection(("127.0.0.1", served.port), timeout=30):
                if refused:
                    break
        except ConnectionRefusedError:
            refused += 1
        threading.Event().wait(0.005)
    assert refused > 0
    assert served.talk(TIME).startswith(b"HTTP/1.1 200")


def test_a_slow_body_arrives_whole(served):
    served.desk.inject("load.slow_body", pause_s=0.01)
    answer = served.talk(signed(served, "GET", "/api/v5/account/balance"))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "0"


# ---- the admin socket ------------------------------------------------------------------------------------------------


def test_the_admin_socket_steps_the_clock(served):
    before = served.desk.world.now
    assert served.admin(do="step", ms=1500)["now_ms"] == before + 1500
    assert served.admin(do="state")["now_ms"] == before + 1500
    assert served.desk.client().rows("public/time")[0]["ts"] == str(before + 1500)


def test_the_admin_socket_injects_and_clears(served):
    made = served.admin(do="inject", fault="load.50013", target={"path": "balance", "count": 1})
    assert served.admin(do="state")["faults"] == ["load.50013"]
    assert served.desk.client().get("account/balance")["code"] == "50013"
    assert served.admin(do="clear", number=made["number"]) == {"cleared": 1}


def test_the_admin_socket_deposits_and_dumps(served):
    uid = served.desk.client().key.uid
    assert served.admin(do="deposit", uid=uid, usdt="-500.5")["cash"] == "99499.5"
    assert served.admin(do="dump")["accounts"]["demo"][uid]["cash"] == "99499.5"
    assert served.admin(do="journal", count=1)["entries"]
    assert len(served.admin(do="faults")["faults"]) > 50


@pytest.mark.parametrize("asked", [
    {}, {"do": 3}, {"do": "dance"}, {"do": "step", "ms": -1}, {"do": "step", "ms": "x"}, {"do": "speed", "speed": -1},
    {"do": "inject", "fault": "none"}, {"do": "inject", "fault": "market.gap", "target": {"who": 1}},
    {"do": "inject", "fault": "market.gap", "arguments": {"percent": "x"}}, {"do": "deposit", "usdt": "much"},
    {"do": "deposit", "uid": "nobody", "usdt": "1"}, {"do": "clear", "number": "x"},
])  # fmt: skip
def test_the_admin_socket_says_what_is_wrong(served, asked):
    assert served.admin(**asked).keys() == {"error", "hint"}


def test_the_admin_socket_is_for_its_owner_alone(served):
    assert served.place.stat().st_mode & 0o777 == 0o600


def test_the_speed_changes(served):
    assert served.admin(do="speed", speed=1000)["speed"] == 1000
    before = served.desk.world.now
    for _ in range(200):
        if served.admin(do="state")["now_ms"] > before + 5_000:
            break
    assert served.desk.world.now > before + 5_000
    assert served.admin(do="speed", speed=0)["speed"] == 0


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.org", ""])  # noqa: S104
def test_the_venue_binds_to_the_loopback_only(host):
    with pytest.raises(UsageError, match="loopback"):
        loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_every_address_of_the_loopback_is_taken(host):
    assert loopback(host)


def test_aiohttp_is_missed_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp.web", None)
    with pytest.raises(ConfigError, match="needs aiohttp") as missed:
        aiohttp_web()
    assert "prometheus-quant[venue]" in missed.value.hint


def command(*arguments: str, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "prometheus.cli", "venue", *arguments], capture_output=True, text=True,
                          check=False, timeout=120, **more)  # fmt: skip


def test_the_command_refuses_another_address():
    ended = command("serve", "--host", "0.0.0.0")  # noqa: S104
    assert (ended.returncode, "loopback" in ended.stderr) == (64, True)


def test_the_command_lists_the_faults():
    ended = command("faults", "--json")
    assert ended.returncode == 0
    assert any(fault["id"] == "accepted.reset" for fault in json.loads(ended.stdout)["faults"])


def test_the_command_serves_prints_keys_and_leaves_a_journal_that_verifies(tmp_path):
    journal = tmp_path / "venue.jsonl"
    arguments = ["serve", "--step", "--days", "1", "--json", "--journal", str(journal), "--admin", str(tmp_path / "a")]
    running = subprocess.Popen([sys.executable, "-m", "prometheus.cli", "venue", *arguments], stdout=subprocess.PIPE,
                               text=True)  # fmt: skip
    try:
        said = json.loads(running.stdout.readline())
        host, port = said["address"].removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(TIME)
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
        running.stdout.close()
    assert {"demo main", "live main", "demo sub1"} <= said["keys"].keys()
    assert said["keys"]["demo main"]["header"] == "x-simulated-trading: 1"
    assert said["book"][BTC]["bid"] < said["book"][BTC]["ask"]
    assert verify_file(journal).kinds["request"] == 1
    ended = command("journal", "verify", str(journal))
    assert (ended.returncode, "the chain holds" in ended.stdout) == (0, True)
    journal.write_bytes(journal.read_bytes().replace(b"public/time", b"public/tame"))
    with pytest.raises(EvidenceError):
        verify_file(journal)
    assert command("journal", "verify", str(journal)).returncode == 65


def test_an_existing_journal_is_not_overwritten(tmp_path):
    journal = tmp_path / "venue.jsonl"
    journal.write_text("kept")
    assert command("serve", "--step", "--days", "1", "--journal", str(journal)).returncode == 74
    assert journal.read_text() == "kept"
