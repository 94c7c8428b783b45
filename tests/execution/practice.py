"""The venue as a process on the loopback, for tests: started, stepped and disturbed over its admin socket."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from prometheus.v10.base.modes import Mode
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import OkxRestPort
from prometheus.v10.execution.adapters.okx_rest.okx_sites import site_of
from prometheus.v10.execution.adapters.okx_sdk.sdk_transport import Credentials, okx_sdk_port
from prometheus.v10.execution.ports.call_records import CallRecord

BTC = "BTC-USDT-SWAP"


class PracticeVenue:
    """A venue whose time stands still unless it is stepped."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.journal = folder / "venue.jsonl"
        self.socket = folder / "admin"
        command = [sys.executable, "-m", "prometheus.cli", "venue", "serve", "--step", "--days", "1", "--json",
                   "--journal", str(self.journal), "--admin", str(self.socket), *options]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.join(json.loads(self._process.stdout.readline()), self.socket)

    def join(self, said: dict, place: Path) -> None:
        """Talk to a venue that is there; ``said`` is what it printed."""
        self.said, self.socket, self.address = said, place, said["address"]
        self._ports: list[OkxRestPort] = []

    def hang_up(self) -> None:
        for port in self._ports:
            port.close()
        self._ports.clear()

    def close(self) -> None:
        self.hang_up()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._process.stdout.close()

    def admin(self, **asked: object) -> dict:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(self.socket))
            client.sendall(json.dumps(asked).encode() + b"\n")
            answer = json.loads(client.makefile("rb").readline())
        assert "error" not in answer, answer
        return answer

    def now_ms(self) -> int:
        return self.admin(do="state")["now_ms"]

    def pause(self, seconds: float) -> None:
        self.admin(do="step", ms=max(1, int(seconds * 1000)))

    def inject(self, fault: str, path: str = "", count: int = 0, **arguments: object) -> int:
        target: dict[str, object] = {"uid": self.uid()} if not path else {"path": path}
        if count:
            target["count"] = count
        return self.admin(do="inject", fault=fault, target=target, arguments=arguments)["number"]

    def clear(self) -> None:
        self.admin(do="clear")

    def uid(self, who: str = "demo main") -> str:
        return self.said["keys"][who]["uid"]

    def requests(self, method: str = "POST", path: str = "trade/order") -> list[dict]:
        """What the tail of the venue's own journal says about requests, bodies included."""
        lines = self.admin(do="journal", count=100_000)["entries"]
        found = [line.get("data", line) for line in lines if line.get("kind") == "request"]
        return [one for one in found if one["method"] == method and one["target"].partition("?")[0].endswith(path)]

    def credentials(self, who: str = "demo main") -> Credentials:
        key = self.said["keys"][who]
        return Credentials(key=key["key"], secret=key["secret"], passphrase=key["passphrase"])

    def port(self, *, who: str = "demo main", sink: Callable[[CallRecord], None] = lambda _: None,
             mode: Mode = Mode.OKX_DEMO, credentials: Credentials | None = None) -> OkxRestPort:  # fmt: skip
        site = site_of(mode, "global", practice=self.address)
        made = okx_sdk_port(site, credentials or self.credentials(who), now_ms=self.now_ms, sink=sink)
        self._ports.append(made)
        return made
