"""Signed requests a second, connections one after the other, a day of minutes, and what a million orders weigh.

Run it alone on a quiet machine: ``python -m bench.venue_load``. It judges nothing; it prints figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus.v10.market.synthetic import synthetic
from prometheus.venue.exchange_world import WorldPlan, open_world
from prometheus.venue.gateway.exchange_messages import Asked
from prometheus.venue.gateway.http_gate import Gate
from prometheus.venue.gateway.signatures import signature
from prometheus.venue.key_ring import Key

INST = "BTC-USDT-SWAP"
CONNECTIONS = 8
CONNECTIONS_IN_TURN = 10_000
SECONDS = 5.0


def headers_of(key: dict[str, Any], now_ms: int, method: str, target: str, body: bytes) -> dict[str, str]:
    """The headers of a signed demo request."""
    stamp = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{now_ms % 1000:03d}Z"
    return {
        "ok-access-key": key["key"], "ok-access-passphrase": key["passphrase"], "ok-access-timestamp": stamp,
        "ok-access-sign": signature(key["secret"], stamp, method, target, body), "x-simulated-trading": "1",
        "content-type": "application/json",
    }  # fmt: skip


def wire(key: dict[str, Any], method: str, target: str, body: bytes = b"") -> bytes:
    """A signed request as bytes of HTTP/1.1."""
    now = time.time_ns() // 1_000_000
    lines = [f"{method} {target} HTTP/1.1", "host: venue", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers_of(key, now, method, target, body).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def _client(port: int, requests: list[bytes], until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.monotonic() < until:
        for one in requests:
            writer.write(one)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            count += 1
    writer.close()
    return count


async def _rate(port: int, requests: list[bytes], pid: int) -> tuple[float, float]:
    """Requests a second, and requests for each second of the venue's processor time: the latter on a busy machine."""
    begun, worked = time.monotonic(), _worked(pid)
    counts = await asyncio.gather(*(_client(port, requests, begun + SECONDS) for _ in range(CONNECTIONS)))
    return sum(counts) / (time.monotonic() - begun), sum(counts) / (_worked(pid) - worked)


def _worked(pid: int) -> float:
    """Seconds of processor time of a process, its kernel time included."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one_after_the_other(port: int, pid: int) -> str:
    """So many connections, each of which asks the time, is answered and closed: what became of them, in a line."""
    asked = b"GET /api/v5/public/time HTTP/1.1\r\nhost: venue\r\nconnection: close\r\n\r\n"
    files, answered, begun = _open_files(pid), 0, time.monotonic()
    for _ in range(CONNECTIONS_IN_TURN):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(asked)
            answered += client.makefile("rb").read().startswith(b"HTTP/1.1 200")
    rate = CONNECTIONS_IN_TURN / (time.monotonic() - begun)
    said = f"{CONNECTIONS_IN_TURN:,} connections in turn: {answered:,} answered, {rate:,.0f} a second"
    return f"{said}; open files {files} before, {_open_files(pid)} after"


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def served() -> tuple[dict[str, tuple[float, float]], str]:
    """Signed requests that one process on one core answers, by kind: a second, and a second of its processor time.

    The second is what became of ten thousand connections one after the other.
    """
    command = [sys.executable, "-m", "prometheus.cli", "venue", "serve", "--unlimited", "--json", "--days", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = json.loads(process.stdout.readline() if process.stdout else "")
    os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
    port, key = int(said["address"].rpartition(":")[2]), said["keys"]["demo main"]
    bid = float(said["book"][INST]["bid"])
    order = {"instId": INST, "tdMode": "cross", "side": "buy", "ordType": "post_only", "sz": "0.01",
             "px": f"{bid * 0.99:.1f}", "clOrdId": "load"}  # fmt: skip
    place = wire(key, "POST", "/api/v5/trade/order", json.dumps(order).encode())
    cancel = wire(key, "POST", "/api/v5/trade/cancel-order", json.dumps({"instId": INST, "clOrdId": "load"}).encode())
    kinds = {
        "place and cancel": [place, cancel], "balance": [wire(key, "GET", "/api/v5/account/balance")],
        "book of 400 levels": [wire(key, "GET", f"/api/v5/market/books?instId={INST}&sz=400")],
    }  # fmt: skip
    mixed = [*kinds["place and cancel"] * 2, *kinds["balance"] * 2, *kinds["book of 400 levels"]]
    try:
        asked = (kinds | {"mixed": mixed}).items()
        rates = {name: asyncio.run(_rate(port, requests, process.pid)) for name, requests in asked}
        return rates, one_after_the_other(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def a_day() -> float:
    """Seconds of processor time for a day of minutes, with a position and resting orders, checked after each step."""
    world = open_world(WorldPlan(bars=[synthetic(1, 3000, 60)], limits=False))
    gate, key = Gate(world), _key(world.keys)
    for at in range(20):
        order = {"instId": INST, "tdMode": "cross", "side": "buy" if at % 2 else "sell", "ordType": "limit",
                 "sz": "0.5", "px": str(39_000 + at * 80)}  # fmt: skip
        _ask(gate, key, "POST", "/api/v5/trade/order", json.dumps(order).encode())
    begun = time.process_time()
    world.advance(world.now + 86_400_000)
    return time.process_time() - begun


def a_million(orders: int) -> list[int]:
    """Resident MiB at each tenth of so many orders that are placed and cancelled, sixty in two seconds."""
    world = open_world(WorldPlan(bars=[synthetic(1, 3000, 60)], limits=True, checked=False))
    gate, key = Gate(world), _key(world.keys)
    order = {"instId": INST, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "20000"}
    body, seen = json.dumps(order | {"clOrdId": "m"}).encode(), []
    cancel = json.dumps({"instId": INST, "clOrdId": "m"}).encode()
    for at in range(orders):
        if at % 60 == 0:
            world.next_step += 2000
            world.advance(world.now + 2000)
        _ask(gate, key, "POST", "/api/v5/trade/order", body)
        _ask(gate, key, "POST", "/api/v5/trade/cancel-order", cancel)
        if (at + 1) % (orders // 10) == 0:
            seen.append(_resident())
            print(f"  {at + 1:,} orders: {seen[-1]} MiB resident", flush=True)  # noqa: T201
    return seen


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize() >> 20


def _key(keys: dict[str, Key]) -> dict[str, Any]:
    one = next(one for one in keys.values() if (one.label, one.environment) == ("main", "demo"))
    return {"key": one.key, "secret": one.secret, "passphrase": one.passphrase}


def _ask(gate: Gate, key: dict[str, Any], method: str, target: str, body: bytes) -> None:
    headers = headers_of(key, gate.world.now, method, target, body)
    reply = gate.handle(Asked(method=method, target=target, headers=headers, body=body))
    if reply.status != 200:
        raise AssertionError(reply.body)


def main() -> None:
    """Print the figures."""
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"a day of 1 m bars: {a_day():.1f} s of processor time")  # noqa: T201
    rates, in_turn = served()
    for name, (rate, worked) in rates.items():
        print(f"{name}: {rate:,.0f} signed requests/s on one core, {worked:,.0f} for each processor second")  # noqa: T201
    print(in_turn)  # noqa: T201
    a_million(orders)


if __name__ == "__main__":
    main()
