"""The loopback server: bytes of clients become requests of the gate, replies of the gate become bytes, as faults want.

It binds to addresses of the loopback only. A client that sends nonsense gets the venue's answer; what is wrong in the
venue itself is answered with 50026 and named on standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
import sys
from email.utils import formatdate
from typing import Any, Final

import orjson
from attrs import define, field

from prometheus.v10.base.errors import UsageError, host_error
from prometheus.venue.error_codes import Refused
from prometheus.venue.gateway.exchange_messages import Asked, Reply, refusal
from prometheus.venue.gateway.http_gate import LARGEST_BODY, Gate
from prometheus.venue.server.need_aiohttp import aiohttp_web
from prometheus.venue.server.stream_server import PATHS, Streams
from prometheus.venue.server.venue_pace import Pace

BODY_TIMEOUT_S: Final = 10.0
BACKLOG: Final = 1024
SILENCE_S: Final = 60.0
LINGER_S: Final = 0.5
"""How long a client may go on sending what is no longer read, and a request may go on when the venue ends."""
TICK_S: Final = 0.02
LARGEST_HEADER: Final = 16_384


def loopback(host: str) -> str:
    """The address to bind to.

    Raises:
        UsageError: when it is not an address of the loopback.
    """
    said = "127.0.0.1" if host == "localhost" else host
    try:
        inside = ipaddress.ip_address(said).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise UsageError(f"--host {host}: the venue binds to the loopback only", hint="leave --host out, or 127.0.0.1")
    return said


@define
class LoopbackServer:
    """Serves a gate on a port of the loopback."""

    gate: Gate
    pace: Pace
    host: str
    port: int
    streams: Streams = field(init=False)
    _runner: Any = field(init=False, default=None)
    _ticking: asyncio.Task[None] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        """Begin without connections."""
        self.streams = Streams(self.gate, self.pace)

    async def start(self) -> int:
        """Listen; returns the port.

        Raises:
            UsageError: for an address outside the loopback.
            ConfigError: without aiohttp.
            HostError: when the port is taken.
        """
        web = aiohttp_web()
        host = loopback(self.host)
        server = web.Server(
            self._handle, access_log=None, max_line_size=LARGEST_HEADER, max_field_size=LARGEST_HEADER,
            handler_cancellation=True, lingering_time=LINGER_S,
        )  # fmt: skip
        self._runner = web.ServerRunner(server, shutdown_timeout=LINGER_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, self.port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise host_error(error, f"cannot listen at {host}:{self.port}") from error
        self.port = int(self._runner.addresses[0][1])
        self._ticking = asyncio.create_task(self._tick(web, site, host))
        return self.port

    async def until(self, stopped: asyncio.Event) -> None:
        """Wait until the venue is told to stop.

        Raises:
            Exception: what ended the venue's clock: then the venue itself is wrong, and must not go on as if it lived.
        """
        waiting = asyncio.create_task(stopped.wait())
        ticking = self._ticking or waiting
        try:
            await asyncio.wait({waiting, ticking}, return_when=asyncio.FIRST_COMPLETED)
            if ticking.done():
                ticking.result()
        finally:
            waiting.cancel()

    async def stop(self) -> None:
        """Close every connection."""
        if self._ticking is not None and not self._ticking.done():
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        if self._runner is not None:
            await self._runner.cleanup()

    async def _tick(self, web: Any, site: Any, host: str) -> None:
        """Follow the pace, and leave the port for as long as a fault wants it."""
        world = self.gate.world
        while True:
            self.pace.follow()
            await asyncio.sleep(TICK_S)
            if world.refusing_s:
                seconds, world.refusing_s = world.refusing_s, 0.0
                await site.stop()
                await asyncio.sleep(seconds)
                site = web.TCPSite(self._runner, host, self.port, backlog=BACKLOG)
                await site.start()

    async def _handle(self, request: Any) -> Any:
        web = aiohttp_web()
        if request.path in PATHS and request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.streams.serve(request)
        body = await self._body(request)
        if isinstance(body, Reply):
            return web.Response(body=body.body, status=body.status, headers={"Content-Type": body.content_type})
        self.pace.follow()
        headers = {name.lower(): value for name, value in request.headers.items()}
        peer = (request.remote or "127.0.0.1").partition("%")[0]
        asked = Asked(method=request.method, target=request.raw_path, headers=headers, body=body, peer=peer)
        try:
            reply = self.gate.handle(asked)
        except Exception as error:  # noqa: BLE001  (a client sees an answer of the venue, whatever is wrong in it)
            sys.stderr.write(f"venue: {asked.method} {asked.path}: {type(error).__name__}: {error}\n")
            reply = refusal(Refused("50026"))
        return await _delivered(web, request, reply, self.gate.world.now)

    @staticmethod
    async def _body(request: Any) -> bytes | Reply:
        """The body; a reply when it is too large or does not come."""
        try:
            said = int(request.headers.get("Content-Length", "0"))
            if said > LARGEST_BODY:
                return Reply(413, orjson.dumps({"code": "413", "msg": "Request Entity Too Large"}))
            found: bytes = await asyncio.wait_for(request.read(), BODY_TIMEOUT_S)
        except TimeoutError:
            return Reply(408, orjson.dumps({"code": "408", "msg": "Request Timeout"}))
        except ValueError:
            return refusal(Refused("50000"))
        except aiohttp_web().HTTPException:
            return Reply(413, orjson.dumps({"code": "413", "msg": "Request Entity Too Large"}))
        return found


async def _delivered(web: Any, request: Any, reply: Reply, now_ms: int) -> Any:
    """Send a reply as its wire says."""
    wire = reply.wire
    if wire.delay_s:
        await asyncio.sleep(wire.delay_s)
    head = {"Content-Type": reply.content_type, "Date": formatdate(now_ms // 1000, usegmt=True)}
    if wire.how == "sent":
        if not wire.slow_s:
            return web.Response(body=reply.body, status=reply.status, headers=head)
        return await _slowly(web, request, reply, head)
    if wire.how == "silent":
        await asyncio.sleep(SILENCE_S)
    elif wire.how in {"cut", "short"}:
        _raw(request, reply, head)
        await asyncio.sleep(0.05)
    _reset(request)
    return web.Response(status=reply.status)


async def _slowly(web: Any, request: Any, reply: Reply, head: dict[str, str]) -> Any:
    response = web.StreamResponse(status=reply.status, headers=head | {"Content-Length": str(len(reply.body))})
    await response.prepare(request)
    size = max(1, len(reply.body) // 16)
    for at in range(0, len(reply.body), size):
        await response.write(reply.body[at : at + size])
        await asyncio.sleep(reply.wire.slow_s)
    await response.write_eof()
    return response


def _raw(request: Any, reply: Reply, head: dict[str, str]) -> None:
    """Write half of the body under its full length (cut), or all of it under two thirds of its length (short)."""
    if request.transport is None:
        return
    cut = reply.wire.how == "cut"
    said = len(reply.body) if cut else len(reply.body) * 2 // 3
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    begin = f"HTTP/1.1 {reply.status} -\r\n{lines}Content-Length: {said}\r\nConnection: close\r\n\r\n".encode()
    request.transport.write(begin + (reply.body[: len(reply.body) // 2] if cut else reply.body))


def _reset(request: Any) -> None:
    """Cut the connection; without anything sent the client sees a reset."""
    transport = request.transport
    if transport is None:
        return
    bare = transport.get_extra_info("socket")
    if bare is not None:
        with contextlib.suppress(OSError):
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
