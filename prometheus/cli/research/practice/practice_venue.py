"""The exchange on the loopback as a process of its own: started, stepped and ended. Nothing here looks into it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prometheus.v10.base.errors import HostError
from prometheus.v10.base.modes import Mode
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import OkxRestPort
from prometheus.v10.execution.adapters.okx_rest.okx_sites import site_of
from prometheus.v10.execution.adapters.okx_sdk.sdk_transport import Credentials, okx_sdk_port
from prometheus.v10.execution.ports.call_records import CallRecord

MAIN = "demo main"
PATIENCE_S = 60.0


class VenueProcess:
    """A venue whose time stands still unless it is stepped.

    Args:
        folder: where its journal and its admin socket lie.
        seed: of its market, its book and its keys.

    Raises:
        HostError: when it does not start.
    """

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.journal, self._socket = folder / "venue.jsonl", folder / "admin"
        command = [sys.executable, "-m", "prometheus.cli", "venue", "serve", "--step", "--days", "1", "--json",
                   "--seed", str(seed), "--journal", str(self.journal), "--admin", str(self._socket)]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = self._process.stdout.readline()
        if not line:
            raise HostError("the venue did not start", hint="prometheus-quant venue serve says why")
        self._said: dict[str, Any] = json.loads(line)

    def now_ms(self) -> int:
        """The venue's clock, Unix ms."""
        return int(self._admin(do="state")["now_ms"])

    def pause(self, seconds: float) -> None:
        """Let so much of the venue's time pass."""
        self._admin(do="step", ms=max(1, int(seconds * 1000)))

    def port(self, sink: Callable[[CallRecord], None]) -> OkxRestPort:
        """The main demo account, through python-okx; ``sink`` hears of every call."""
        key = self._said["keys"][MAIN]
        credentials = Credentials(key=key["key"], secret=key["secret"], passphrase=key["passphrase"])
        site = site_of(Mode.OKX_DEMO, "global", practice=self._said["address"])
        return okx_sdk_port(site, credentials, now_ms=self.now_ms, sink=sink)

    def _admin(self, **asked: object) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(self._socket))
            client.sendall(json.dumps(asked).encode() + b"\n")
            answer: dict[str, Any] = json.loads(client.makefile("rb").readline())
        if "error" in answer:
            raise HostError(f"the venue refuses {asked['do']}: {answer['error']}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
