"""The exchange on the loopback as a process of its own: started, stepped and ended. Nothing here looks into it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prometheus.v10.base.errors import HostError, UsageError, host_error
from prometheus.v10.base.modes import Mode
from prometheus.v10.execution.adapters.library_choice import port_through
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import OkxRestPort
from prometheus.v10.execution.adapters.okx_rest.okx_sites import site_of
from prometheus.v10.execution.adapters.senders.signing_credentials import Credentials
from prometheus.v10.execution.exchange_run.exchange_means import Means
from prometheus.v10.execution.ports.call_records import CallRecord, CallSink
from prometheus.v10.runs.request.exchange_table import LIBRARIES

MAIN = "demo main"
PRACTICE = "practice"
PATIENCE_S = 60.0
A_DAY_S = 86_400.0


def nobody(_: CallRecord) -> None:
    """A sink that keeps nothing."""


class VenueLine:
    """A venue that is there, and whose time stands still unless it is stepped.

    Attributes:
        said: what it printed: its address, and its keys by name.
        socket: its admin socket.
        library: through which it is reached where nothing else is said.
    """

    library: str = LIBRARIES[0]

    def __init__(self, said: Mapping[str, Any], place: Path) -> None:
        self.said, self.socket = said, place

    def now_ms(self) -> int:
        """The venue's clock, Unix ms."""
        return int(self.admin(do="state")["now_ms"])

    def pause(self, seconds: float) -> None:
        """Let so much of the venue's time pass."""
        self.admin(do="step", ms=max(1, int(seconds * 1000)))

    def credentials(self, who: str = MAIN) -> Credentials:
        """The key of one of its accounts."""
        key = self.said["keys"][who]
        return Credentials(key=key["key"], secret=key["secret"], passphrase=key["passphrase"])

    def port(
        self, sink: CallSink = nobody, *, who: str = MAIN, mode: Mode = Mode.OKX_DEMO,
        credentials: Credentials | None = None, library: str | None = None, address: str | None = None,
    ) -> OkxRestPort:  # fmt: skip
        """One of its accounts; ``sink`` hears of every call, ``address`` stands for its own where another listens."""
        site = site_of(mode, "global", practice=address or self.said["address"])
        return port_through(
            library or self.library, site, credentials or self.credentials(who), now_ms=self.now_ms, sink=sink
        )

    def means(self, library: str | None = None) -> Means:
        """How a run reaches it: a pause of any length is one step of its clock."""
        return Means(
            port=lambda sink: self.port(sink, library=library), now_ms=self.now_ms, pause=self.pause, site=PRACTICE,
            step_seconds=A_DAY_S,
        )  # fmt: skip

    def admin(self, **asked: object) -> dict[str, Any]:
        """One request to its admin socket.

        Raises:
            HostError: when it refuses, or is not there.
        """
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE_S)
                client.connect(str(self.socket))
                client.sendall(json.dumps(asked).encode() + b"\n")
                answer: dict[str, Any] = json.loads(client.makefile("rb").readline())
        except OSError as error:
            raise host_error(error, f"no venue listens at {self.socket}") from error
        if "error" in answer:
            raise HostError(f"the venue refuses {asked['do']}: {answer['error']}")
        return answer


def venue_in(place: Path) -> VenueLine:
    """The venue of a file that holds what ``venue serve --step --admin SOCKET --json`` printed.

    Raises:
        UsageError: when the file holds nothing of the kind.
        HostError: when it cannot be read.
    """
    hint = "prometheus-quant venue serve --step --admin SOCKET --json > FILE"
    try:
        said = json.loads(place.read_bytes())
        found = VenueLine(said, Path(said["admin"]))
        site_of(Mode.OKX_DEMO, "global", practice=said["address"])
        found.credentials()
    except OSError as error:
        raise host_error(error, f"cannot read {place}") from error
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{place} does not say where a venue is and how it is stepped", hint=hint) from None
    return found


class VenueProcess(VenueLine):
    """A venue that this process starts, and ends; it ends by itself when this process is gone, however it ended.

    The pipe that is its standard input is held by this process alone, so that it closes with it: a signal of the kernel
    would come when the thread that started the venue ends. What ends a terminal's programs does not end the venue: a
    session that is stopped has still to trade on it.

    Args:
        folder: where its journal and its admin socket lie.
        options: further ones of ``venue serve``, e.g. ``--seed 7``.

    Raises:
        HostError: when it does not start.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.journal, place = folder / "venue.jsonl", folder / "admin"
        command = [sys.executable, "-m", "prometheus.cli", "venue", "serve", "--step", "--days", "1", "--json",
                   "--journal", str(self.journal), "--admin", str(place), "--until-eof", *options]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = self._process.stdout.readline()
        if not line:
            raise HostError("the venue did not start", hint="prometheus-quant venue serve says why")
        super().__init__(json.loads(line), place)

    def close(self) -> None:
        """End it, once; its journal is whole then."""
        if self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.close()
