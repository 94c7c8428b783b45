"""A venue as an operator serves it, in a process of its own, inside a network namespace."""

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

PACKAGE = Path(prometheus.__file__).resolve().parents[1]
"""Where this process has the package from: the venue runs from there too."""
PROGRAM = "import sys; from prometheus.cli.main import main; sys.exit(main())"
"""The command line without the isolated start, which would forget where the package is from."""


@define(frozen=True)
class Served:
    """A venue that listens; its clock is the machine's."""

    url: str
    keys: dict[str, dict[str, str]]
    loopback: Loopback
    journal: Path

    def key(self, environment: str, label: str) -> dict[str, str]:
        """Key, secret and passphrase."""
        said = self.keys[f"{environment} {label}"]
        return {name: said[name] for name in ("key", "secret", "passphrase")}

    def client(self, environment: str, label: str) -> PlainClient:
        """A plain client that asks from inside the namespace."""
        raw, said = over_http(self.url, self.loopback.run), self.key(environment, label)
        return PlainClient(raw, said["key"], said["secret"], said["passphrase"], environment == "demo")


@contextmanager
def serving(place: Path, loopback: Loopback) -> Iterator[Served]:
    """Serve for as long as the context lasts; fails where the venue complained of itself or did not end as asked."""
    journal, complaints = place / "venue.jsonl", place / "venue.stderr"
    options = ["venue", "serve", "--root", str(place / "root"), "--json", "--journal", str(journal)]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    with complaints.open("wb") as errors:
        venue = subprocess.Popen(
            loopback.command([sys.executable, "-P", "-c", PROGRAM, *options]),
            stdout=subprocess.PIPE, stderr=errors, env=environment, text=True,
        )  # fmt: skip
        try:
            assert venue.stdout is not None
            line = venue.stdout.readline()
            assert line, complaints.read_text()
            said = json.loads(line)
            yield Served(said["address"], said["keys"], loopback, journal)
            venue.terminate()
            venue.communicate(timeout=60)
        finally:
            venue.kill()
            venue.communicate()
    assert (venue.returncode, complaints.read_text()) == (0, "")
