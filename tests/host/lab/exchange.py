"""Our own exchange on the test host's loopback, as a program of this machine, and the instance that trades there."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from prometheus.cli.research.practice.practice_venue import VenueLine

from .host import Host
from .stage import PROFILES, STATE, Stage

PORT = 8765
INSTANCE = "OKX_DEMO"
CREDENTIAL = "/etc/prometheus-quant/credentials/okx.json"
MINUTE_MS = 60_000


class HostedVenue(VenueLine):
    """A venue whose clock goes as the machine's does, from the second of a minute that `start_at` says."""

    def __init__(self, host: Host, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pq-"))
        self.journal, place = self.folder / "venue.jsonl", self.folder / "admin"
        command = host.on_its_network(
            sys.executable, "-m", "prometheus.cli", "venue", "serve", "--step", "--days", "1", "--port", str(PORT),
            "--journal", str(self.journal), "--admin", str(place), "--until-eof", "--json", *options,
        )  # fmt: skip
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        super().__init__(json.loads(self.process.stdout.readline()), place)

    def start_at(self, second: int) -> None:
        """Let time go on to that second of a minute, and then with the clock."""
        self.admin(do="speed", speed=0)
        ahead = (second * 1000 - self.now_ms()) % MINUTE_MS
        self.admin(do="step", ms=ahead or MINUTE_MS)
        self.admin(do="speed", speed=1)

    def freeze(self) -> None:
        """It accepts connections, for the kernel does, and never answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self.process.send_signal(signal.SIGCONT)

    def uid(self) -> str:
        return str(self.said["keys"]["demo main"]["uid"])

    def inject(self, fault: str, **arguments: object) -> None:
        self.admin(do="inject", fault=fault, target={"uid": self.uid()}, arguments=arguments)

    def positions(self) -> dict[str, str]:
        """What its demo account holds."""
        return dict(self.admin(do="dump")["accounts"]["demo"][self.uid()]["positions"])

    def requests(self) -> list[dict[str, Any]]:
        """Every request that it heard, the oldest first."""
        lines = [json.loads(line) for line in self.journal.read_bytes().splitlines()]
        return [line["data"] for line in lines if line["kind"] == "request"]

    def close(self) -> None:
        """End it, and remove what it wrote."""
        self.thaw()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()
        shutil.rmtree(self.folder)


class Trader(Stage):
    """``prometheus-stage1@OKX_DEMO`` with the shipped drop-in, on the venue instead of the exchange."""

    SETTINGS = f"[Service]\nEnvironment=PQ_NETWORK=pasta:-T,{PORT}\nIPAddressAllow=localhost\n"
    """What an operator allows: the venue, which is at the loopback of the host and of the container."""

    def __init__(self, host: Host, venue: HostedVenue) -> None:
        super().__init__(host, INSTANCE)
        self.venue = venue
        self.shipped = host.inside(f"{PROFILES}/{INSTANCE}.toml").read_text()
        text = self.shipped.replace('site = "global"', 'site = "practice"')
        for key, value in (("timeframe_s", 60), ("bars", 90), ("look_seconds", 2.0)):
            text = "\n".join(f"{key} = {value}" if line.startswith(f"{key} =") else line for line in text.splitlines())
        self.profile(text + "\n")
        key = venue.said["keys"]["demo main"]
        said = {name: key[name] for name in ("key", "secret", "passphrase")}
        host.write(CREDENTIAL, json.dumps({**said, "address": venue.said["address"]}), 0o600)

    def chain(self, run: Path) -> list[dict[str, Any]]:
        """The order chain of a run, as far as it is written."""
        return [json.loads(line) for line in (run / "order_chain.jsonl").read_bytes().splitlines()]

    def verifies(self, run: Path) -> bool:
        """Whether a run verifies by the host's own command.

        Raises:
            AssertionError: with what it found, when not.
        """
        ended = self.host.ask("prometheus-quant", "verify", f"{STATE}/runs/{run.name}")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return True

    def tidy(self) -> None:
        """The shipped profile again, and no credential."""
        self.profile(self.shipped)
        self.host.inside(CREDENTIAL).unlink(missing_ok=True)
