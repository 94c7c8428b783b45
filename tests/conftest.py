"""Fixtures every test may ask for: real bars, a temporary tree, a clock that obeys, a manager that listens."""

from __future__ import annotations

import os
import socket
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis
import pytest
from attrs import define, field

from prometheus.v10.base.paths import Layout
from tests.drills import DRILLS, WHY

REPOSITORY = Path(__file__).resolve().parent.parent
# No test says how long something takes: the machine may be busy.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
# A worker's readline sets both to those of no terminal at all; a pipe is as wide as the command line says.
for size in ("COLUMNS", "LINES"):
    os.environ.pop(size, None)
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "drill: takes its time; runs with PQ_DRILLS=1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not DRILLS and item.get_closest_marker("drill") is not None:
            item.add_marker(pytest.mark.skip(reason=WHY))


@define
class FakeClock:
    """A clock that moves only when told, and gives tokens 0000, 0001, …"""

    moment: datetime = START
    ticks: float = 1000.0
    tokens: int = field(default=0, init=False)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.ticks

    def token(self, n_hex: int) -> str:
        text = f"{self.tokens:0{n_hex}x}"[-n_hex:]
        self.tokens += 1
        return text

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.ticks += seconds


class NotifySocket:
    """A service manager's notification socket that keeps every datagram with its sender's process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(os.fspath(path))

    def read(self, timeout: float = 0.0) -> list[tuple[str, int]]:
        """Every datagram waiting (or the first within ``timeout`` and what waits behind it), with the sender's pid."""
        found = []
        self._socket.settimeout(timeout)
        while True:
            try:
                data, ancillary, _flags, _address = self._socket.recvmsg(4096, socket.CMSG_SPACE(12))
            except (BlockingIOError, TimeoutError):
                return found
            pid = next(struct.unpack("iII", value)[0] for _level, _kind, value in ancillary)
            found.append((data.decode(), pid))
            self._socket.settimeout(0.0)

    def datagrams(self, timeout: float = 0.0) -> list[str]:
        return [text for text, _pid in self.read(timeout)]

    def close(self) -> None:
        self._socket.close()


def pytest_terminal_summary(terminalreporter) -> None:
    """Print what tests measured (``record_property("figure", text)``): they run in workers that cannot print it."""
    reports = [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]
    figures = [text for report in reports for name, text in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        for text in figures:
            terminalreporter.line(text)


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A prepared tree under a temporary root."""
    tree = Layout.under(tmp_path / "root")
    tree.prepare()
    return tree


@pytest.fixture
def notify_socket(tmp_path_factory: pytest.TempPathFactory):
    listening = NotifySocket(tmp_path_factory.mktemp("n") / "s")
    yield listening
    listening.close()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that is being tested."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real market bars: ``$PROMETHEUS_DATA``, or ``shared/data`` beside the checkout; skips where there are none."""
    place = Path(os.environ.get("PROMETHEUS_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (place / "SHA256SUMS").is_file():
        pytest.skip(f"no real bars: {place} has no SHA256SUMS (set PROMETHEUS_DATA to the folder that holds them)")
    return place
