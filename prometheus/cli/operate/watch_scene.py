"""What ``watch`` looks at: `status` now and then, the records of progress each time, and the journal of a host.

It only reads. The walk over the whole tree, which `status` does for the disk, is taken once in `FULL_SECONDS`.
"""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import define, field, frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.ops.host.runner import Runner, run_command
from prometheus.v10.ops.host.status import Look
from prometheus.v10.ops.host.systemd import Systemd
from prometheus.v10.ops.instance.progress_record import ProgressRecord, read_progress
from prometheus.v10.report.site.run_lines import RunLine, run_lines

FULL_SECONDS = 20.0
LAST_RUNS = 60
KEPT = 40
JOURNAL_LINES = 6
PRIORITIES = {0: "emergency", 1: "alert", 2: "critical", 3: "error", 4: "warning", 5: "notice", 6: "info"}


@frozen(kw_only=True)
class Said:
    """An entry of the journal: when, how grave, and its text."""

    at: datetime | None
    priority: int
    text: str


@frozen(kw_only=True)
class Scene:
    """One look.

    Attributes:
        status: what ``status --json`` says, at most `FULL_SECONDS` old.
        progress: of each instance that evolves now.
        history: how many were alive at the last looks, by instance, the oldest first.
        runs: the newest runs, the newest first.
        journal: the last entries of a host, the newest first; None where there is no journal to ask.
        blind: what could not be seen.
    """

    now: datetime
    host: str
    root: str
    status: Mapping[str, Any]
    progress: Mapping[str, ProgressRecord]
    history: Mapping[str, tuple[int, ...]]
    runs: tuple[RunLine, ...]
    journal: tuple[Said, ...] | None
    blind: tuple[str, ...]


@define
class Watcher:
    """Looks at an installation again and again."""

    layout: Layout
    systemd: Systemd | None
    clock: Clock
    runner: Runner = run_command
    _status: Mapping[str, Any] = field(factory=dict, init=False)
    _runs: tuple[RunLine, ...] = field(factory=tuple, init=False)
    _looked: float | None = field(default=None, init=False)
    _history: dict[str, deque[int]] = field(factory=dict, init=False)

    def look(self) -> Scene:
        """What is to be seen now."""
        blind: list[str] = []
        moment = self.clock.monotonic()
        if self._looked is None or moment - self._looked >= FULL_SECONDS:
            self._looked = moment
            self._status = Look(self.layout, self.systemd, self.clock).whole()
            self._look_at_runs(blind)
        blind += self._status.get("cannot_see", [])
        progress = {}
        for one in self._status.get("instances", []):
            record = self._progress(one["instance"], blind)
            if record is not None:
                progress[record.instance] = record
                self._history.setdefault(record.instance, deque(maxlen=KEPT)).append(record.alive)
        return Scene(
            now=self.clock.now(),
            host=socket.gethostname(),
            root=str(self.layout.lib),
            status=self._status,
            progress=progress,
            history={name: tuple(values) for name, values in self._history.items()},
            runs=self._runs,
            journal=self._journal(blind),
            blind=tuple(blind),
        )

    def _look_at_runs(self, blind: list[str]) -> None:
        try:
            self._runs = tuple(run_lines(self.layout, LAST_RUNS))
        except PrometheusError as error:
            blind.append(f"runs: {error.message}")

    def _progress(self, instance: str, blind: list[str]) -> ProgressRecord | None:
        try:
            return read_progress(self.layout, instance)
        except PrometheusError as error:
            blind.append(f"progress of {instance}: {error.message}")
            return None

    def _journal(self, blind: list[str]) -> tuple[Said, ...] | None:
        if self.systemd is None:
            return None
        ended = self.runner(
            ("journalctl", "--quiet", "--no-pager", "--output=json", f"--lines={JOURNAL_LINES}", "--unit=prometheus-*")
        )
        if not ended.ok:
            blind.append(f"journal: {ended.complaint()}")
            return ()
        return tuple(said for line in reversed(ended.out.splitlines()) if (said := said_of(line)) is not None)


def said_of(line: str) -> Said | None:
    """An entry as ``journalctl -o json`` prints it; None where it has no text."""
    try:
        entry = json.loads(line)
        text, priority = entry.get("MESSAGE"), int(entry.get("PRIORITY", 6))
        moment = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6).astimezone()
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError):
        return None
    return Said(at=moment, priority=priority, text=printable(text, longest=400)) if isinstance(text, str) else None
