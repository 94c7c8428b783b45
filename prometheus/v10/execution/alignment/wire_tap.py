"""A relay on the loopback that keeps every byte between a client and a venue, in both directions."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from attrs import define, field

LOOPBACK: Final = "127.0.0.1"
PIECE: Final = 65_536
PATIENCE_S: Final = 60.0


@define
class Spoken:
    """One request as it went over the wire, and what came back; ``answer`` is empty where nothing did."""

    request: bytearray = field(factory=bytearray)
    answer: bytearray = field(factory=bytearray)


class WireTap:
    """See the module. A connection carries one request after the other, so a byte of a client begins a new exchange.

    Args:
        address: of the venue: ``http://127.0.0.1:PORT``.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").rpartition(":")
        self._venue = (host, int(port))
        self._spoken: list[Spoken] = []
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._door = socket.create_server((LOOPBACK, 0))
        self.address = f"http://{LOOPBACK}:{self._door.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self) -> list[Spoken]:
        """Exchanges since the last time, in the order in which their requests began."""
        with self._lock:
            found, self._spoken = self._spoken, []
        return found

    def close(self) -> None:
        """End every connection; closing twice is harmless."""
        with self._lock:
            ends, self._open = [self._door, *self._open], []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
                venue = socket.create_connection(self._venue, PATIENCE_S)
            except OSError:
                return
            with self._lock:
                self._open += [client, venue]
            line = _Line(self._spoken_anew)
            threading.Thread(target=_pump, args=(client, venue, line.asked), daemon=True).start()
            threading.Thread(target=_pump, args=(venue, client, line.answered), daemon=True).start()

    def _spoken_anew(self) -> Spoken:
        with self._lock:
            self._spoken.append(made := Spoken())
        return made


class _Line:
    """One connection: whose turn it is."""

    def __init__(self, anew: Callable[[], Spoken]) -> None:
        self._anew = anew
        self._now: Spoken | None = None

    def asked(self, data: bytes) -> None:
        if self._now is None or self._now.answer:
            self._now = self._anew()
        self._now.request += data

    def answered(self, data: bytes) -> None:
        if self._now is not None:
            self._now.answer += data


def _pump(source: socket.socket, target: socket.socket, heard: Callable[[bytes], None]) -> None:
    """Hand on what comes until one end closes; what is heard is kept before it is handed on."""
    with suppress(OSError):
        while data := source.recv(PIECE):
            heard(data)
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
