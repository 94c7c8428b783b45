"""GET requests to one place: bounded in size, time and number, paced, tried again a few times, and never led elsewhere.

No proxy of the environment is asked and no redirect is followed. What an answer says is judged by the caller, inside
the loop that tries again. Standard library only.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from attrs import frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import ExchangeError, ExitCode, PrometheusError, host_error
from prometheus.v10.base.files import write_all
from prometheus.v10.base.kernel import FILES, Files
from prometheus.v10.base.text import printable

T = TypeVar("T")
PIECE: Final = 1 << 16
AGAIN: Final = "the same command goes on where this one ended"
TOO_MANY: Final = frozenset({418, 429})
RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
NO_RANGE = re.compile(r"bytes \*/([0-9]{1,15})")


class TryLaterError(PrometheusError):
    """The other side asks to wait, for longer or oftener than one command waits."""

    exit_code = ExitCode.TRY_AGAIN


class AgainError(Exception):
    """One try failed in a way that another one may mend.

    Args:
        why: words for the error in the end.
        busy: the other side asked to wait.
        wait_s: for how long, where it said so.
    """

    def __init__(self, why: str, *, busy: bool = False, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.busy = busy
        self.wait_s = wait_s


@frozen(kw_only=True)
class Patience:
    """How long one place is waited for, and how often it is asked.

    Attributes:
        idle_s: for a connection, and between two pieces of an answer.
        head_s: from the connection to the end of an answer's head; and how long a body may be slow.
        slowest: bytes a second that a body brings on average after that.
        tries: of one request.
        first_pause_s: before the second try; it doubles with each.
        longest_pause_s: what is waited at most, also when the other side asks for more.
    """

    idle_s: float = 20.0
    head_s: float = 30.0
    slowest: float = 2048.0
    tries: int = 5
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0


PATIENCE: Final = Patience()


@frozen(kw_only=True)
class Answer:
    """What came back: the status (200 to 299, or 400 to 499 but for 418 and 429), the body and what it is called."""

    status: int
    body: bytes
    kind: str


class Wire:
    """A connection to one place, kept as long as it works.

    Attributes:
        base: scheme, host and port, as addresses begin with it.
    """

    def __init__(
        self, base: str, *, clock: Clock, pace_s: float, patience: Patience = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        """``base`` is of a closed table or of the loopback; ``pace_s`` is the least time between two requests."""
        self.base = base
        self._clock = clock
        self._pace_s = pace_s
        self._patience = patience
        self._sleep = sleep
        self._next = 0.0
        self._connection: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None

    def close(self) -> None:
        """End the connection; the next request makes another one."""
        response, self._response = self._response, None
        if response is not None:  # where the other side ends the connection, the answer alone holds the socket
            response.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def ask(self, path: str, judge: Callable[[Answer], T], *, most: int) -> T:
        """What ``judge`` makes of the answer to a GET.

        Args:
            path: with its query.
            judge: may raise `AgainError` to have it asked again.
            most: bytes that the body may have.

        Raises:
            ExchangeError: when there is no usable answer after all tries, or a redirect.
            TryLaterError: when the other side asks to wait.
        """

        def once() -> T:
            response = self._answered(path, {})
            body = b"".join(self._pieces(response, most))
            kind = printable(response.getheader("Content-Type") or "no type", longest=60)
            return judge(Answer(status=response.status, body=body, kind=kind))

        return self._tried(path, once)

    def save(self, path: str, part: Path, *, most: int, files: Files = FILES) -> bool:
        """Bring the body of a GET into ``part``, going on behind what it holds; False where there is none (404).

        Raises:
            ExchangeError: as `ask`.
            TryLaterError: as `ask`.
            HostError: when ``part`` cannot be written.
        """

        def once() -> bool:
            have = _size(part)
            response = self._answered(path, {"Range": f"bytes={have}-"} if have else {})
            if response.status == 404:
                self.close()
                return False
            if response.status == 416 and have:
                told = NO_RANGE.fullmatch(response.getheader("Content-Range") or "")
                self.close()
                if told is not None and int(told[1]) == have:
                    return True
            elif response.status == 206 and have:
                told = RANGE.fullmatch(response.getheader("Content-Range") or "")
                if told is not None and int(told[1]) == have:
                    _append(part, self._pieces(response, most - have), have, files)
                    return True
            elif response.status == 200:
                _append(part, self._pieces(response, most), 0, files)
                return True
            else:
                raise refused(f"{self.base}{path}", response.status)
            part.unlink(missing_ok=True)
            raise AgainError("it does not go on where the last try was cut off")

        return self._tried(path, once)

    def _tried(self, path: str, once: Callable[[], T]) -> T:
        """Call ``once`` until it gives something, at most so many times."""
        address = printable(f"{self.base}{path}", longest=300)
        for number in range(1, self._patience.tries + 1):
            self._keep_pace()
            try:
                return once()
            except AgainError as error:
                failed = error
            except (OSError, http.client.HTTPException, ValueError) as error:
                failed = AgainError(_in_words(error))
            except BaseException:
                self.close()  # an answer that was not read to its end
                raise
            self.close()
            doubled = self._patience.first_pause_s * 2 ** (number - 1)
            pause = doubled if failed.wait_s is None else failed.wait_s
            if pause > self._patience.longest_pause_s and failed.busy:
                raise TryLaterError(f"{address}: asks to wait {pause:g} s", hint=f"wait as long; {AGAIN}")
            if number < self._patience.tries:
                self._sleep(min(pause, self._patience.longest_pause_s))
        said = f"{address}: {failed.why} ({self._patience.tries} tries)"
        if failed.busy:
            raise TryLaterError(said, hint=f"wait some minutes; {AGAIN}")
        raise ExchangeError(said, hint=AGAIN)

    def _keep_pace(self) -> None:
        now = self._clock.monotonic()
        if now < self._next:
            self._sleep(self._next - now)
            now = self._next
        self._next = now + self._pace_s

    def _answered(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """The head of an answer that is worth reading on."""
        kept = self._connection is not None
        try:
            response = self._head(path, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not kept:
                raise
            self.close()  # it was closed while nobody asked: no fault of this request
            response = self._head(path, headers)
        status = response.status
        if 300 <= status < 400:
            where = printable(response.getheader("Location") or "nowhere", longest=200)
            raise ExchangeError(
                f"{self.base}{path}: answers {status} and leads to {where}, which is not followed",
                hint="name another site of the exchange, or look at who answers there",
            )
        if status in TOO_MANY:
            raise AgainError(f"answers {status}: too many requests", busy=True, wait_s=_retry_after(response))
        if status >= 500 or status < 200:
            raise AgainError(f"answers {status}", wait_s=_retry_after(response))
        if (response.getheader("Content-Encoding") or "identity").lower() != "identity":
            raise ExchangeError(f"{self.base}{path}: sends its answer packed, which was not asked for", hint=AGAIN)
        return response

    def _head(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = _connection(self.base, self._patience.idle_s)
        connection, late = self._connection, threading.Event()

        def cut() -> None:
            late.set()
            if (sock := connection.sock) is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._patience.head_s, cut)
        timer.daemon = True
        timer.start()
        try:
            said = {"Accept-Encoding": "identity", "User-Agent": "prometheus-quant", **headers}
            connection.request("GET", path, headers=said)
            self._response = response = connection.getresponse()
        except (OSError, http.client.HTTPException):
            if late.is_set():
                raise AgainError(f"no answer within {self._patience.head_s:g} s") from None
            raise
        finally:
            timer.cancel()
        return response

    def _pieces(self, response: http.client.HTTPResponse, most: int) -> Iterator[bytes]:
        """The body, piece by piece."""
        declared = response.length
        if declared is not None and declared > most:
            raise ExchangeError(
                f"{self.base}: declares {declared:,} bytes, and no answer of this kind has more than {most:,}",
                hint="look at who answers there",
            )
        got, begun = 0, self._clock.monotonic()
        while piece := response.read1(PIECE):
            got += len(piece)
            if got > most:
                raise ExchangeError(
                    f"{self.base}: sends more than {most:,} bytes, and no answer of this kind has as many",
                    hint="look at who answers there",
                )
            yield piece
            took = self._clock.monotonic() - begun
            if took > self._patience.head_s and got < took * self._patience.slowest:
                raise AgainError(f"sends {got / took:,.0f} bytes a second, which is too slow")
        if response.length:
            raise AgainError(f"the answer was cut off at {got:,} of {declared:,} bytes")
        response.close()  # read to its end: the connection is free for the next request


def refused(address: str, status: int) -> ExchangeError:
    """The error for a status that another try does not mend."""
    return ExchangeError(
        f"{printable(address, longest=300)}: answers {status}",
        hint="403 and 451 mean that this host or its country is not served; others: look at who answers there",
    )


def _connection(base: str, seconds: float) -> http.client.HTTPConnection:
    parts = urlsplit(base)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, parts.port, timeout=seconds)


def _retry_after(response: http.client.HTTPResponse) -> float | None:
    """Seconds that the answer asks to wait; None where it says nothing in that form."""
    said = (response.getheader("Retry-After") or "").strip()
    return float(said) if said.isascii() and said.isdecimal() and len(said) < 7 else None


def _in_words(error: OSError | http.client.HTTPException | ValueError) -> str:
    """Why a connection failed."""
    for kind, words in (
        (ssl.SSLCertVerificationError, "its certificate is not one that is believed"),
        (ssl.SSLError, "no TLS could be agreed on"),
        (ConnectionRefusedError, "the connection was refused"),
        (socket.gaierror, "its name is not known"),
        (TimeoutError, "no answer in time"),
        (http.client.IncompleteRead, "the answer was cut off"),
        (http.client.RemoteDisconnected, "the connection was closed without an answer"),
    ):
        if isinstance(error, kind):
            return words
    return f"the connection broke ({type(error).__name__})"


def _size(part: Path) -> int:
    try:
        return os.lstat(part).st_size
    except FileNotFoundError:
        return 0


def _append(part: Path, pieces: Iterator[bytes], have: int, files: Files) -> None:
    """Write what comes behind the first ``have`` bytes of ``part``, durable in the end; a fault keeps what is there."""
    what = f"cannot write {part}"
    try:
        fd = files.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise host_error(error, what) from error
    try:
        _disk(lambda: files.ftruncate(fd, have), what)
        for piece in pieces:
            _disk(lambda piece=piece: write_all(files, fd, piece), what)  # type: ignore[misc]
        _disk(lambda: files.fsync(fd), what)
    finally:
        _disk(lambda: files.close(fd), what)


def _disk(call: Callable[[], None], what: str) -> None:
    """A call to the disk, whose errors are not those of the network."""
    try:
        call()
    except OSError as error:
        raise host_error(error, what) from error
