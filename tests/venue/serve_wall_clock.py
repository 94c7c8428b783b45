"""A venue for clients that sign with the machine's clock: its clock begins now and goes at speed 1. Ends with stdin.

Prints one JSON object: the address, and by environment and label the keys. The market is the built-in one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from prometheus.venue.exchange_world import WorldPlan, open_world
from prometheus.venue.gateway.http_gate import Gate
from prometheus.venue.server.loopback_server import LoopbackServer
from prometheus.venue.server.venue_pace import Pace

from prometheus.v10.market.synthetic import synthetic

WARM_UP = 1440
HOURS = 6


async def serve() -> None:
    """Serve until stdin is at its end."""
    bars = synthetic(20260902, WARM_UP + HOURS * 60, 60)
    world = open_world(WorldPlan(bars=[bars], seed=23, warm_up=WARM_UP, start_ms=int(time.time() * 1000)))
    world.advance(int(time.time() * 1000))
    server = LoopbackServer(Gate(world), Pace(world, 1.0), "127.0.0.1", 0)
    port = await server.start()
    keys = {
        f"{key.environment} {key.label}": {"key": key.key, "secret": key.secret, "passphrase": key.passphrase}
        for key in world.keys.values()
    }
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "keys": keys}), flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve())
