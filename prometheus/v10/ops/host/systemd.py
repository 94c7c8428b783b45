"""What systemd knows of our units, and what it is told to do with them. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus.v10.base.errors import HostError
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.host.runner import Runner, run_command

BOOTED = Path("/run/systemd/system")
STAGES = "prometheus-stage*@*.service"
TARGET = "prometheus.target"
GUARD = "prometheus-stop.service"
AT_REST = ("inactive", "failed")
STOP_SECONDS = 200.0  # 30 s, and two minutes that a service that seals may ask for


@dataclass(frozen=True)
class Unit:
    """One stage's instance as systemd lists it."""

    name: str
    active: str
    sub: str

    @property
    def stage(self) -> str:
        """``stage1`` or ``stage2``."""
        return self.name.partition("@")[0].removeprefix("prometheus-")

    @property
    def instance(self) -> str:
        """What stands behind the ``@``."""
        return self.name.partition("@")[2].removesuffix(".service")

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it runs, and nothing is about to."""
        return self.active in AT_REST


class Systemd:
    """The manager of this host, through ``systemctl``."""

    def __init__(self, runner: Runner = run_command) -> None:
        self._runner = runner

    @classmethod
    def of(cls, layout: Layout, runner: Runner = run_command, *, booted: Path = BOOTED) -> Systemd | None:
        """The manager that ``layout``'s units belong to; None for another root, or where systemd is not at work."""
        return cls(runner) if layout == Layout.system() and booted.is_dir() else None

    def stages(self) -> list[Unit]:
        """Every instance of a stage that systemd has loaded, by name.

        Raises:
            HostError: when systemd cannot be asked.
        """
        words = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--full", STAGES)
        ended = self._runner(words)
        if not ended.ok:
            raise HostError(
                f"cannot ask systemd: {ended.complaint()}", hint="check that systemd runs and that this user may ask it"
            )
        rows = [line.split(maxsplit=4) for line in ended.out.splitlines() if line.strip()]
        return sorted((Unit(row[0], row[2], row[3]) for row in rows), key=lambda unit: unit.name)

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit, moments as ``@seconds``; those that systemd does not give are missing.

        Raises:
            HostError: when systemd cannot be asked.
        """
        ended = self._runner(
            ("systemctl", "show", unit, "--no-pager", "--timestamp=unix", *(f"--property={name}" for name in names))
        )
        if not ended.ok:
            raise HostError(f"cannot ask systemd about {unit}: {ended.complaint()}")
        pairs = [line.partition("=") for line in ended.out.splitlines() if "=" in line]
        return {name: value for name, _, value in pairs}

    def stop(self, units: Sequence[str], *, wait: bool) -> str | None:
        """Stop units (patterns are allowed); returns systemd's complaint, or None."""
        waiting = () if wait else ("--no-block",)
        ended = self._runner(("systemctl", "stop", *waiting, *units), timeout=STOP_SECONDS)
        return None if ended.ok else ended.complaint()

    def restart(self, units: Sequence[str], *, seconds: float) -> str | None:
        """Restart units and wait until each said READY; returns systemd's complaint, or None.

        Args:
            units: none is nothing to do.
            seconds: how long READY may take, beside what stopping takes.
        """
        if not units:
            return None
        ended = self._runner(("systemctl", "restart", *units), timeout=seconds + STOP_SECONDS)
        return None if ended.ok else ended.complaint()

    def forget_failures(self, units: Sequence[str]) -> None:
        """``reset-failed``: a unit that reached its start limit may be started again."""
        if units:
            self._runner(("systemctl", "reset-failed", *units))

    def may_command(self) -> bool:
        """Whether this process may start and stop system units."""
        return os.geteuid() == 0
