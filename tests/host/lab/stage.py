"""One instance of a stage on the test host, as an operator handles it: systemctl, journalctl, the files it leaves."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from .host import SERVICE_USER, Host, HostError

STOP_FILE = "/etc/prometheus-quant/STOP"
STATE = "/var/lib/prometheus-quant"
GONE = "inactive", "failed"


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
        began = time.monotonic()
        ended = self.host.ask("systemctl", "start", self.unit)
        if ended.returncode != 0:
            raise HostError(f"{ended.stderr}{self.host.do('journalctl', '-n', '40', '-o', 'short', '--no-pager')}")
        return time.monotonic() - began

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

    def processes(self) -> dict[str, int]:
        """Its processes by what they are (``conmon``, ``python3``): the first pid of each, inside the host."""
        group = self.show("ControlGroup")
        listed = self.host.shell(
            f"cd '/sys/fs/cgroup{group}' && for p in $(find . -name cgroup.procs -exec cat {{}} +); do"
            ' echo "$p $(cat /proc/$p/comm)"; done | sort -n'
        )
        found: dict[str, int] = {}
        for line in listed.splitlines():
            pid, name = line.split(" ", 1)
            found.setdefault(name, int(pid))
        return found

    # ---- what it leaves --------------------------------------------------------------------------------------------

    def runs(self) -> list[Path]:
        """Its run directories, the oldest first, as paths of this machine."""
        return sorted(self.host.inside(f"{STATE}/runs_hf").iterdir())

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

    def python(self, *words: str, image: str) -> str:
        """Run the suite's own command on the host's evidence, in its container; returns what it printed."""
        return self.host.do(
            "podman", "run", "--rm", "--network=none", "--cgroups=disabled", "--log-driver=none", "--pull=never",
            "--userns=keep-id:uid=1000,gid=1000", "--tmpfs=/opt/prometheus-quant/numba:rw,size=64m",
            f"--volume={STATE}:{STATE}:ro", "--entrypoint=python3", image, "-m", "prometheus.cli", *words,
            user=SERVICE_USER,
        )  # fmt: skip
