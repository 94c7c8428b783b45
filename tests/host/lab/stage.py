"""One instance of a stage on the test host, as an operator handles it: systemctl, journalctl, the files it leaves."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .host import SERVICE_USER, Host, HostError

STOP_FILE = "/etc/prometheus-quant/STOP"
STATE = "/var/lib/prometheus-quant"
GONE = "inactive", "failed"
PROFILES = "/etc/prometheus-quant/profiles"
PATIENCE = 300.0
PROCESS_SECONDS = 0.018


def allowed(seconds: float) -> float:
    """What a promised time is on this machine at this moment.

    The documents print the times of one machine. These times are made of processes that start, so a slower or busier
    machine is allowed as many times more as it takes longer to start one: `PROCESS_SECONDS` on that one, when quiet.
    """
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1), _process_seconds() / PROCESS_SECONDS)


def _process_seconds() -> float:
    """What starting an interpreter and waiting for its end takes now: the median of 15."""
    return statistics.median(_seconds_of([sys.executable, "-I", "-S", "-c", "pass"]) for _ in range(15))


def _seconds_of(words: list[str]) -> float:
    before = time.monotonic()
    subprocess.run(words, check=True)
    return time.monotonic() - before


def wait_until(what: str, true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Look until it is true.

    Raises:
        TimeoutError: with what was waited for.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.2)


def audit(host: Host) -> dict[str, Any]:
    """What the host's own ``prometheus-quant audit`` finds in all evidence of the host."""
    return dict(json.loads(host.ask("prometheus-quant", "audit", "--json").stdout))


def passes_the_audit(host: Host) -> dict[str, Any]:
    """Fail, with the findings, unless everything on the host verifies; what the audit says.

    Whoever failed at the end leaves a run that a unit of its own closes: that is waited for.
    """

    def closing() -> str:
        units = host.do("systemctl", "list-units", "--plain", "--no-legend", "--state=activating", "prometheus-close@*")
        return units + host.do("systemctl", "list-jobs", "--plain", "--no-legend", "prometheus-close@*")

    wait_until("what was cut off is closed", lambda: not closing().strip())
    found = audit(host)
    assert found["exit_code"] == 0, found["reports"]
    return found


class Stage:
    """``prometheus-stage<N>@<INSTANCE>.service`` on ``host``."""

    def __init__(self, host: Host, instance: str = "HF", stage: int = 1) -> None:
        self.host, self.instance = host, instance
        self.unit = f"prometheus-stage{stage}@{instance}.service"
        self.container = f"prometheus-stage{stage}-{instance}"

    def start(self) -> float:
        """``systemctl start``; returns the seconds until READY.

        Raises:
            HostError: when it does not come to that, with the end of the journal.
        """
        before, began = len(self.own_runs()), time.monotonic()
        ended = self.host.ask("systemctl", "start", self.unit)
        if ended.returncode != 0:
            raise HostError(f"{ended.stderr}{self.host.do('journalctl', '-n', '40', '-o', 'short', '--no-pager')}")
        seconds = time.monotonic() - began
        self.wait_for_run(before)
        return seconds

    def wait_for_run(self, before: int, seconds: float = 15.0) -> None:
        """Wait until there are more runs than ``before``: with a large pool READY comes before the run is open.

        An instance that has nothing to do, or checks its pool for longer, opens none: that is no error here.
        """
        until = time.monotonic() + seconds
        while len(self.own_runs()) <= before and time.monotonic() < until:
            if "nothing waits" in self.show("StatusText"):
                return
            time.sleep(0.1)

    def stop(self) -> float:
        """``systemctl stop``; returns the seconds until it is gone."""
        began = time.monotonic()
        self.host.do("systemctl", "stop", self.unit)
        return time.monotonic() - began

    def show(self, name: str) -> str:
        """One property of the unit."""
        return self.host.do("systemctl", "show", self.unit, "-p", name, "--value").strip()

    def wait_for(self, name: str, *wanted: str, seconds: float = 30.0) -> float:
        """Wait until a property has one of the values; returns the seconds it took.

        Raises:
            TimeoutError: with the value it has.
        """
        began = time.monotonic()
        while (found := self.show(name)) not in wanted:
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"{self.unit}: {name} is {found!r}, not {wanted}, after {seconds:g} s")
            time.sleep(0.02)
        return time.monotonic() - began

    def wait_until_gone(self, seconds: float = 30.0) -> float:
        """Wait until nothing of it runs; returns the seconds it took."""
        return self.wait_for("ActiveState", *GONE, seconds=seconds)

    def every_process(self) -> list[tuple[int, str]]:
        """Pid and name of each process of it, as the host numbers them, the lowest first."""
        group = self.show("ControlGroup")
        listed = self.host.shell(
            f"cd '/sys/fs/cgroup{group}' && for p in $(find . -name cgroup.procs -exec cat {{}} +); do"
            ' echo "$p $(cat /proc/$p/comm)"; done | sort -n'
        )
        return [(int(pid), name) for pid, name in (line.split(" ", 1) for line in listed.splitlines())]

    def processes(self) -> dict[str, int]:
        """Its processes by what they are (``conmon``, ``python3``): the first pid of each, inside the host."""
        return {name: pid for pid, name in reversed(self.every_process())}

    @contextmanager
    def settings(self, text: str):
        """A drop-in for this instance while the block lasts; what it starts is stopped at the end."""
        place = f"/run/systemd/system/{self.unit}.d"
        self.host.shell(f"mkdir -p {place}; cat >{place}/test.conf <<'EOT'\n{text}\nEOT\nsystemctl daemon-reload")
        try:
            yield self
        finally:
            self.host.ask("systemctl", "stop", self.unit)
            self.host.shell(f"rm -r {place}; systemctl daemon-reload; systemctl reset-failed")

    @contextmanager
    def program(self, text: str, settings: str = ""):
        """Another program in the service's place, with the unit's whole sandbox around it, while the block lasts.

        Like the service it has its evidence written by the custodian, before it imports anything else.
        """
        first, _, rest = text.partition("\n")
        entrust = "import sys; from prometheus.v10.base.custody import entrust; entrust(sys.argv[1:])"
        text = f"{first}\n{entrust}\n{rest}"
        place = f"/var/lib/{SERVICE_USER}-podman/program-{self.instance}"
        self.host.write(place, text, 0o755)
        extra = f'Environment="PQ_PODMAN_EXTRA=--volume={place}:/program:ro --entrypoint=/program"'
        with self.settings(f"{settings}\n[Service]\n{extra}"):
            yield self
        self.host.inside(place).unlink()

    def profile(self, text: str) -> None:
        """Write the instance's profile."""
        self.host.write(f"{PROFILES}/{self.instance}.toml", text)

    def run_once(self) -> Path:
        """Start it, wait until a run of its own is sealed, and stop it; that run."""
        self.start()
        run = self.own_runs()[-1]
        wait_until("a run of its own to its end", lambda: self.is_sealed(run))
        self.stop()
        return run

    @classmethod
    def long(cls, host: Host, **keys: int) -> Stage:
        """An instance whose run takes minutes, so that whatever is done to it is done in the middle of one.

        Args:
            host: where.
            keys: further keys of HF's profile that get another value.
        """
        text = host.inside(f"{PROFILES}/HF.toml").read_text()
        for key, value in {"count": 2000, "bytes_a_day": 10**12, **keys}.items():  # and it does not rest for hours
            text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
            assert found == 1, key
        made = cls(host, "LONG")
        made.profile(text)
        return made

    def memory(self) -> float:
        """MiB that its processes take, what they share counted once."""
        group = self.show("ControlGroup")
        said = self.host.shell(
            f"cd '/sys/fs/cgroup{group}' && for p in $(find . -name cgroup.procs -exec cat {{}} +); do"
            " grep ^Pss: /proc/$p/smaps_rollup; done | awk '{ kib += $2 } END { print kib / 1024 }'"
        )
        return float(said)

    # ---- what it leaves --------------------------------------------------------------------------------------------

    def runs(self) -> list[Path]:
        """Its run directories, the oldest first, as paths of this machine."""
        places = [self.host.inside(f"{STATE}/{tier}") for tier in ("runs_hf", "runs")]
        found = [run for place in places if place.is_dir() for run in place.iterdir()]
        return sorted(found, key=lambda run: run.name.split("_")[1:])

    def own_runs(self) -> list[Path]:
        """Those that say they are this instance's."""
        return [
            run for run in self.runs()
            if (run / "run_manifest.json").is_file() and self.manifest(run)["instance"] == self.instance
        ]  # fmt: skip

    def is_sealed(self, run: Path) -> bool:
        """Whether a run has its seal, and ``sha256sum`` agrees with it."""
        words = ["sha256sum", "--quiet", "--ignore-missing", "-c", "SHA256SUMS.txt"]
        return (run / "SHA256SUMS.txt").is_file() and subprocess.run(words, cwd=run, check=False).returncode == 0

    def seals(self, run: Path) -> list[str]:
        """How the ledger says that a run ended: the types of its lines after the one that began it."""
        lines = self.host.inside(f"{STATE}/state/ledger.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        began, *ended = [entry["type"] for entry in entries if entry["payload"].get("run_id") == run.name]
        assert began == "run_started"
        return ended

    def wait_until_closed(self, run: Path, seconds: float = 60.0) -> None:
        """Wait until a run that was cut off is sealed as interrupted and stands in the ledger.

        Raises:
            TimeoutError: with what the directory holds.
        """
        until = time.monotonic() + seconds
        while self.seals(run) != ["run_interrupted"]:
            if time.monotonic() > until:
                raise TimeoutError(f"{run.name}: {self.seals(run)}, {sorted(p.name for p in run.iterdir())}")
            time.sleep(0.1)
        assert (run / "interrupted.json").is_file()
        assert self.is_sealed(run)

    def witnesses_agree(self, run: Path) -> None:
        """Fail unless journalctl has of a run exactly what its manifest says was sent, and what can only follow it.

        The seal covers the manifest, and the ledger of collapses follows the seal: those two come later.
        """
        manifest = self.manifest(run)
        sent = manifest["journal"]["sent"]
        assert sum(sent.values()) > 0
        assert manifest["journal"]["failed"] == {}
        entries = self.journal(f"PROMETHEUS_RUN_ID={run.name}")
        found = Counter(entry["PROMETHEUS_EVENT"] for entry in entries)
        assert found.pop("run_sealed") == 1
        assert found.pop("collapse_interval", 0) == len(manifest["internal_collapses"])
        assert found == sent

    def manifest(self, run: Path) -> dict[str, Any]:
        return dict(json.loads((run / "run_manifest.json").read_text()))

    def wait_for_sealed_run(self, seconds: float = 120.0) -> Path:
        """The first run that is sealed.

        Raises:
            TimeoutError: when there is none in time, with what the journal has.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for run in self.runs():
                if (run / "SHA256SUMS.txt").is_file():
                    return run
            time.sleep(0.1)
        raise TimeoutError("\n".join(str(entry.get("MESSAGE")) for entry in self.journal()[-20:]))

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """``journalctl -u UNIT -o json`` with further matches, as entries."""
        self.host.do("journalctl", "--sync")
        said = self.host.do("journalctl", "-u", self.unit, "-o", "json", "--no-pager", "-q", *matches)
        return [json.loads(line) for line in said.splitlines()]
