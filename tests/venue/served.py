"""A venue in a process of its own, at the pace of the machine's clock, in a network namespace where one is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define

import prometheus
from tests.venue.oracles.plain_client import PlainClient, over_http
from tests.venue.outsiders.loopback import Loopback

PROGRAM = Path(__file__).resolve().parent / "serve_wall_clock.py"
PACKAGE = Path(prometheus.__file__).resolve().parents[1]
"""Where this process has the package from: the venue runs from there too."""


@define(frozen=True)
class Served:
    """A venue that listens."""

    url: str
    keys: dict[str, dict[str, str]]
    loopback: Loopback

    def key(self, environment: str, label: str) -> dict[str, str]:
        """The texts of a key."""
        return self.keys[f"{environment} {label}"]

    def client(self, environment: str, label: str) -> PlainClient:
        """A plain client that asks from inside the namespace."""
        return PlainClient(
            over_http(self.url, self.loopback.run), **self.key(environment, label), demo=environment == "demo"
        )


@contextmanager
def serving(place: Path, loopback: Loopback) -> Iterator[Served]:
    """Serve inside the namespace for as long as the context lasts; what the venue says of itself goes to ``place``."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    complaints = place / "venue.stderr"
    with complaints.open("wb") as errors:
        venue = subprocess.Popen(
            loopback.command([sys.executable, str(PROGRAM)]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True,
        )  # fmt: skip
        try:
            assert venue.stdout is not None
            line = venue.stdout.readline()
            assert line, complaints.read_text()
            said = json.loads(line)
            yield Served(said["url"], said["keys"], loopback)
        finally:
            venue.kill()
            venue.communicate()
    assert complaints.read_text() == "", "the venue complained of itself"
