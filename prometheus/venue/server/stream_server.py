"""WebSocket connections of the loopback server: /ws/v5/public, /ws/v5/private and /ws/v5/business."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import Any, Final

from attrs import define, field

from prometheus.venue.accounts.holdings import Fill
from prometheus.venue.accounts.tickets import Order
from prometheus.venue.gateway.http_gate import Gate
from prometheus.venue.gateway.stream_session import Session
from prometheus.venue.server.need_aiohttp import aiohttp_web
from prometheus.venue.server.venue_pace import Pace

PATHS: Final = frozenset({"/ws/v5/public", "/ws/v5/private", "/ws/v5/business"})
SILENT_S: Final = 30.0
PUMP_S: Final = 0.1
LARGEST_TEXT: Final = 1 << 16


@define
class Streams:
    """All connections of a venue."""

    gate: Gate
    pace: Pace
    sessions: dict[int, Session] = field(factory=dict)
    _count: int = 0

    def __attrs_post_init__(self) -> None:
        """Hear of orders in both environments."""
        for state in self.gate.world.environments.values():
            state.heard = self._heard

    def _heard(self, order: Order, fill: Fill | None) -> None:
        for one in self.sessions.values():
            one.hear(order, fill)

    async def serve(self, request: Any) -> Any:
        """Serve one connection until it ends; 4004 after 30 s in which neither side said anything."""
        web = aiohttp_web()
        socket = web.WebSocketResponse(max_msg_size=LARGEST_TEXT)
        await socket.prepare(request)
        demo = request.query.get("brokerId") == "9999" or request.headers.get("x-simulated-trading") == "1"
        self._count += 1
        session = Session(self.gate, demo, request.path.endswith("private"), self._count)
        self.sessions[self._count] = session
        number, heard = self._count, time.monotonic()
        try:
            while not socket.closed:
                said = await self._next(socket)
                if said is not None:
                    heard = time.monotonic()
                    self.pace.follow()
                _work(session, said, request.path)
                while session.outbox:
                    heard = time.monotonic()
                    await socket.send_str(session.outbox.popleft().decode())
                if session.ended == 1006:
                    request.transport.abort()
                    break
                if session.ended or time.monotonic() - heard > SILENT_S:
                    silence = b"" if session.ended else b"No data received in 30s."
                    await socket.close(code=session.ended or 4004, message=silence)
        except ConnectionError:
            pass
        finally:
            del self.sessions[number]
        return socket

    @staticmethod
    async def _next(socket: Any) -> str | None:
        """The client's next text; None when nothing came for a tenth of a second."""
        with contextlib.suppress(TimeoutError):
            message = await socket.receive(timeout=PUMP_S)
            if message.type.name == "TEXT":
                return str(message.data)
            if message.type.name in {"CLOSE", "CLOSING", "CLOSED", "ERROR"}:
                await socket.close()
            elif message.type.name == "BINARY":
                await socket.close(code=4002, message=b"Invalid request")
            await asyncio.sleep(0)
        return None


def _work(session: Session, said: str | None, path: str) -> None:
    """Take a text of the client, where there is one, and push what changed; what fails is one line, and an answer."""
    try:
        if said is not None:
            session.receive(said)
        session.pump()
    except Exception as error:  # noqa: BLE001  (a client sees an answer of the venue, whatever is wrong in it)
        sys.stderr.write(f"venue: WS {path}: {type(error).__name__}: {error}\n")
        session.fail()
