"""A disk that really fills up: the service seals with the reserve's help, waits, and goes on; retention makes room."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from prometheus.cli.operate.retention_command import carry_out
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.runs.request.profile import load_profile
from tests.integration.conftest import Service, Tree, small_profile
from tests.unit.ops.retention_house import House

MIB = 1 << 20
JOURNAL = Path("/run/systemd/journal")


class SmallDisk:
    """A small file system of its own, in a mount namespace that nobody else sees; with it goes a journal that listens.

    Attributes:
        root: where it lies inside the namespace.
        tree: the installation on it, as seen from outside.
    """

    def __init__(self, root: Path, mib: int) -> None:
        self.root = root
        script = (
            'mount -t tmpfs -o size="$1" tmpfs "$0" && mkdir -p "$2" && mount -t tmpfs tmpfs "$2" '
            "&& echo mounted && exec sleep 3600"
        )
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, root, f"{mib}m", JOURNAL],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if self.holder.stdout.readline() != "mounted\n":
            pytest.skip(f"no tmpfs in a mount namespace of our own: {self.holder.communicate()[1].strip()}")
        self.outside = Path(f"/proc/{self.holder.pid}/root")
        self.tree = Tree(self.seen(root))
        self.journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.journal.bind(str(self.seen(JOURNAL / "socket")))
        self.entries: list[str] = []
        # Somebody has to listen: who sends to a full socket waits.
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def seen(self, place: Path) -> Path:
        """A place of the namespace, from outside of it."""
        return self.outside / place.relative_to("/")

    def command(self, *arguments: str) -> list[str]:
        return ["nsenter", "--target", str(self.holder.pid), "--mount", sys.executable, *arguments]

    @property
    def free(self) -> int:
        figures = os.statvfs(self.tree.root)
        return figures.f_bavail * figures.f_frsize

    @property
    def reserve(self) -> Path:
        return self.tree.layout.state / "HF" / "reserve.bin"

    def fill(self, *, leave: int) -> Path:
        """Take all but ``leave`` bytes, to the last one when 0; returns what to remove.

        Never the room that a reserve gives back: a service at work may give it up before this is through.
        """
        ballast, had_reserve = self.tree.root / "ballast", self.reserve.exists()
        with ballast.open("ab", buffering=0) as file:
            while (free := self.free) > leave and self.reserve.exists() == had_reserve:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), min(free - leave, 16 * MIB))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
        return ballast

    def _listen(self) -> None:
        while entry := self.journal.recv(1 << 20):
            self.entries.append(entry.decode())

    def told(self, event: str) -> list[str]:
        """Journal entries of one kind, in order."""
        return [text for text in self.entries if f"PROMETHEUS_EVENT={event}\n" in text]

    def assert_verified(self) -> None:
        self.tree.assert_in_order()
        for run in self.tree.runs():
            report = verify_run(run)
            assert report.exit_code == 0, report.lines()
        report = audit(self.tree.layout)
        assert report.exit_code == 0, report.lines()

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", str(self.seen(JOURNAL / "socket")))  # the listener's end
        self.listener.join()
        self.journal.close()
        self.holder.kill()
        self.holder.communicate()


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("unshare and nsenter are not installed")
    root = tmp_path / "small"
    root.mkdir()
    made = SmallDisk(root, 64)
    yield made
    made.close()


class Inside(Service):
    """The service on a small disk."""

    def __init__(self, disk: SmallDisk, notify: Path) -> None:
        self.tree = disk.tree
        base = {name: value for name, value in os.environ.items() if name not in {"NOTIFY_SOCKET", "WATCHDOG_USEC"}}
        arguments = ("--mode", "offline", "--stage", "stage1", "--instance", "HF", "--root", str(disk.root))
        self.process = subprocess.Popen(
            disk.command("-m", "prometheus.v10.ops.run_v10_service", *arguments),
            env={**base, "NOTIFY_SOCKET": str(notify)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture
def start(disk, notify_socket):
    started = []

    def begin():
        started.append(Inside(disk, notify_socket.path))
        return started[-1]

    yield begin
    for service in started:
        if service.process.poll() is None:
            service.signal(signal.SIGKILL)
        service.process.communicate()


def long_runs(*, keep_free, extra=""):
    """Runs that would take minutes, so that nothing but the disk ends them."""
    return small_profile(count=4000, bars=3000, keep_free=keep_free, extra=extra)


def said(notify_socket):
    return "\n".join(notify_socket.datagrams())


def manifest_of(run):
    return json.loads((run / "run_manifest.json").read_text())


def sealed(run):
    return (run / "SHA256SUMS.txt").exists


@pytest.mark.parametrize("keep_free", [24 * MIB, 0], ids=["keep-free is reached", "not one byte is left"])
def test_it_seals_with_the_reserves_help_waits_and_goes_on_by_itself(disk, start, notify_socket, keep_free):
    disk.tree.write_profile(long_runs(keep_free=keep_free))
    service = start()
    service.wait_for_run()
    (run,) = disk.tree.runs()
    service.wait_until(lambda: (run / "death_events.jsonl").stat().st_size > 0, "work that is on the disk")
    assert disk.reserve.stat().st_size == 4 * MIB

    ballast = disk.fill(leave=keep_free // 2)
    service.wait_until(sealed(run), "the seal")
    waiting: list[str] = []

    def is_waiting():
        waiting.append(said(notify_socket))
        return "waiting for room" in waiting[-1]

    service.wait_until(is_waiting, "the sentence that says so")
    assert "READY=1" in "".join(waiting)
    assert "STOPPING=1" not in "".join(waiting)
    assert not disk.reserve.exists()
    manifest = manifest_of(run)
    assert (manifest["status"], manifest["stop_detected"], manifest["stop_reason"]) == (
        "interrupted", True, "disk_budget",
    )  # fmt: skip
    assert manifest["counts"]["deaths"] > 0
    assert disk.tree.runs() == [run]
    assert verify_run(run).exit_code == 0, verify_run(run).lines()

    ballast.unlink()
    service.wait_for_run(2)
    assert disk.reserve.stat().st_size == 4 * MIB
    service.signal(signal.SIGTERM)
    assert service.end() == (0, "")
    _, second = disk.tree.runs()
    assert manifest_of(second)["stop_reason"] == "sigterm"
    disk.assert_verified()


def test_the_journal_hears_of_it_too(disk, start):
    pytest.importorskip("systemd.journal", reason="systemd-python is not installed: there is no journal to tell")
    disk.tree.write_profile(long_runs(keep_free=24 * MIB))
    service = start()
    service.wait_for_run()
    (run,) = disk.tree.runs()
    disk.fill(leave=12 * MIB)
    service.wait_until(sealed(run), "the seal")
    service.wait_until(lambda: len(disk.told("disk_budget")) >= 2, "both entries")
    first, second = disk.told("disk_budget")
    assert "the run stops" in first
    assert "no run is begun" in second
    assert f"PROMETHEUS_BUDGET={24 * MIB}\n" in first


def test_a_disk_without_a_reserve_still_ends_74_and_the_next_start_closes_the_run(disk, start):
    """The last resort: nothing to give up, so the run cannot be sealed; nothing acknowledged is lost all the same."""
    disk.tree.write_profile(long_runs(keep_free=0, extra="reserve_bytes = 0\n"))
    service = start()
    service.wait_for_run()
    (run,) = disk.tree.runs()
    service.wait_until(lambda: (run / "death_events.jsonl").stat().st_size > 0, "work that is on the disk")
    seen = disk.tree.pool_bytes()
    ballast = disk.fill(leave=0)
    code, stderr = service.end()
    assert code == 74, stderr
    assert stderr.splitlines()[0].startswith("error: ")
    ballast.unlink()
    disk.tree.write_profile(small_profile(count=1, bars=600, keep_free=0))
    again = start()
    again.wait_for_run(2)
    again.signal(signal.SIGTERM)
    assert again.end() == (0, "")
    assert disk.tree.pool_bytes().startswith(seen)
    disk.assert_verified()


def run_in_the_foreground(disk):
    code = "import sys; from prometheus.cli.main import main; sys.exit(main(sys.argv[1:]))"
    profile = disk.root / "etc" / "profiles" / "HF.toml"
    return subprocess.Popen(
        disk.command("-c", code, "run", "--root", str(disk.root), "--profile", str(profile), "--instance", "HF"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_in_the_foreground_a_disk_that_is_full_at_the_start_is_74(disk):
    disk.tree.write_profile(small_profile(keep_free=24 * MIB))
    disk.fill(leave=12 * MIB)
    process = run_in_the_foreground(disk)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 74
    first, hint = stderr.splitlines()[:2]
    assert "must stay free" in first
    assert "run retention" in hint
    assert disk.tree.runs() == []


def test_in_the_foreground_a_run_that_the_disk_ends_is_sealed_and_74(disk):
    disk.tree.write_profile(long_runs(keep_free=24 * MIB))
    process = run_in_the_foreground(disk)
    Service.wait_for_run(_Waiting(process, disk.tree))
    disk.fill(leave=12 * MIB)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 74, stderr
    (run,) = disk.tree.runs()
    assert manifest_of(run)["stop_reason"] == "disk_budget"
    disk.assert_verified()


class _Waiting(Service):
    """What of `Service` is about waiting, for a process that was started otherwise."""

    def __init__(self, process: subprocess.Popen[str], tree: Tree) -> None:
        self.process, self.tree = process, tree


def test_retention_makes_room_on_a_disk_without_a_free_byte(disk, fake_clock):
    layout, clock = disk.tree.layout, SystemClock()
    profile_text = 'mode = "offline"\n[disk]\nkeep_free_bytes = {keep}\n[retention]\nraw_days = 1000\n'
    disk.tree.write_profile(profile_text.format(keep=0))
    house = House(layout, fake_clock)
    run = house.run(1, parts=(MIB, MIB))
    carry_out(layout, load_profile("HF", layout), clock, instance="HF", run_id=None, reason=None)
    assert (layout.state / "retention.reserve").exists()
    disk.tree.write_profile(profile_text.format(keep=MIB))
    disk.fill(leave=0)
    assert disk.free == 0
    report = carry_out(layout, load_profile("HF", layout), clock, instance="HF", run_id=None, reason=None)
    assert report.code == 0
    assert not (run / "m_execution_raw_part_0001.json").exists()
    assert [tombstone["policy"] for tombstone in house.tombstones()] == [f"keep_free_bytes={MIB}"]
    assert disk.free >= MIB
    house.assert_in_order()
    assert layout.pool(Stage.STAGE1).exists() is False
    assert layout.runs(Tier.TIER1_HF).is_dir()
