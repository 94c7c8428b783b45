"""Real processes over real trees: the service and the command line as an operator starts them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger import iter_entries
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import scan

PATIENCE = 60.0  # seconds until a test gives up waiting; no assertion depends on it

SMALL = """
mode = "offline"
evidence.compress = false
workers = {workers}
[market]
timeframe_s = 300
seed = 7
bars = {bars}
[experiments]
count = {count}
[world]
review_ticks = 500
death_roi = -0.05
[service]
pause_seconds = {pause}
[disk]
keep_free_bytes = {keep_free}
"""


def small_profile(*, workers=2, bars=3000, count=8, pause=0.05, keep_free=1 << 20, extra=""):
    """A profile whose runs take a fraction of a second."""
    return SMALL.format(workers=workers, bars=bars, count=count, pause=pause, keep_free=keep_free) + extra


class Tree:
    """An installation under a temporary root, and what must hold of it."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout.under(root)
        self.root = self.layout.lib
        self.layout.prepare()
        self.write_profile(small_profile())

    def write_profile(self, text: str, name: str = "HF") -> Path:
        place = self.layout.profiles / f"{name}.toml"
        place.write_text(text)
        return place

    def runs(self) -> list[Path]:
        return sorted(path for tier in Tier for path in self.layout.runs(tier).iterdir())

    def manifest(self, run: Path) -> dict:
        return json.loads((run / "run_manifest.json").read_text())

    def pool_bytes(self) -> bytes:
        """What the pool holds now, up to its last whole line."""
        pool = self.layout.pool(Stage.STAGE1)
        data = pool.read_bytes() if pool.exists() else b""
        return data[: data.rfind(b"\n") + 1]

    def assert_in_order(self) -> None:
        """Every run sealed and in the ledger, the pool whole, and every record that a manifest claims in it."""
        sealed = {
            e.payload["run_id"]: e.payload["seal"] for e in iter_entries(self.layout.ledger) if "seal" in e.payload
        }
        for run in self.runs():
            sums = (run / "SHA256SUMS.txt").read_bytes()
            assert sealed[run.name] == hashlib.sha256(sums).hexdigest()
            checked = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS.txt"], cwd=run, check=False)
            assert checked.returncode == 0
            if not (run / "interrupted.json").exists():
                assert self.manifest(run)["status"] != "running"
        assert set(sealed) == {run.name for run in self.runs()}
        owners: list[str] = []
        pool = self.layout.pool(Stage.STAGE1)
        if pool.exists():
            found = scan(
                pool, POOL_LINE, close=True, each=lambda line: owners.append(json.loads(line)["source"]["run_id"])
            )
            assert (found.damages, found.tail) == ([], None)
        for run in self.runs():
            appended = None if (run / "interrupted.json").exists() else self.manifest(run)["pool_appends"]
            if appended is not None and appended["first_n"] is not None:
                claimed = range(appended["first_n"], appended["last_n"] + 1)
                assert {owners[n] for n in claimed} == {run.name}


class Service:
    """One service process and what it says."""

    def __init__(self, tree: Tree, *arguments: str, environ: dict[str, str] | None = None) -> None:
        base = {name: value for name, value in os.environ.items() if name not in {"NOTIFY_SOCKET", "WATCHDOG_USEC"}}
        self.tree = tree
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prometheus.v10.ops.run_v10_service", *arguments],
            env={**base, **(environ or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait_until(self, holds, what: str) -> None:
        """Wait until ``holds()``; fails when the process ends before."""
        until = time.monotonic() + PATIENCE
        while not holds():
            if self.process.poll() is not None:
                pytest.fail(
                    f"the service ended {self.process.returncode} before {what}: {self.process.communicate()[1]}"
                )
            if time.monotonic() > until:
                pytest.fail(f"waited in vain for: {what}")
            time.sleep(0.01)

    def wait_for_run(self, number: int = 1) -> None:
        """Wait until the n-th run of the tree has its manifest."""
        self.wait_until(lambda: sum((r / "run_manifest.json").exists() for r in self.tree.runs()) >= number, "a run")

    def end(self) -> tuple[int, str]:
        """Wait for the end: exit code and what was said on standard error."""
        try:
            _, said = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"the service did not end; it said: {self.process.communicate()[1]}")
        return self.process.returncode, said

    def children(self) -> list[int]:
        """Every process below the service, found by parentage."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except (FileNotFoundError, ProcessLookupError):
                    continue
        found, frontier = [], {self.process.pid}
        while frontier:
            frontier = {pid for pid, parent in parents.items() if parent in frontier}
            found += frontier
        return found


@pytest.fixture
def tree(tmp_path) -> Tree:
    return Tree(tmp_path / "root")


@pytest.fixture
def start(tree):
    """Start the service for instance HF over the tree; whatever is still alive at the end is killed."""
    started = []

    def begin(*more: str, environ: dict[str, str] | None = None) -> Service:
        arguments = ("--mode", "offline", "--stage", "stage1", "--instance", "HF", "--root", str(tree.root), *more)
        started.append(Service(tree, *arguments, environ=environ))
        return started[-1]

    yield begin
    for service in started:
        if service.process.poll() is None:
            service.signal(signal.SIGKILL)
        service.process.communicate()


def times(name: str, default: int) -> int:
    """How often a random test repeats; ``PQ_TEST_<NAME>`` overrides it."""
    return int(os.environ.get(f"PQ_TEST_{name}", str(default)))


@pytest.fixture(name="times")
def times_fixture():
    return times
