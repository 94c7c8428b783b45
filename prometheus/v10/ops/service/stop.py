"""Stopping: SIGTERM, SIGINT, the STOP file and a full disk ask for the same thing, a sealed end (contracts, section 7).

- The first reason wins and is remembered with its time; a second SIGTERM changes nothing and is no faster.
- The STOP file is looked at no more often than every 0.2 s and whenever somebody asks after that, so that a run that
  asks once a tick pays nothing.
- A kill switch that cannot be looked at counts as pulled: nothing may run on because a directory became unreadable.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from prometheus.v10.base import early
from prometheus.v10.base.clock import Clock
from prometheus.v10.runs.control import StopReason

POLL_SECONDS = 0.2
CLEAR_HINT = "prometheus-quant clear-stop releases it, and records who did and why"
SIGNALS = {
    signal.SIGTERM: StopReason.SIGTERM,
    signal.SIGINT: StopReason.SIGINT,
    signal.SIGHUP: StopReason.SIGHUP,
}

_Handler = Callable[[int, FrameType | None], object] | int | None


def stop_file_present(stop_file: Path) -> bool:
    """Whether the kill switch is pulled: a file, a directory or a dangling link of that name, or one we may not see."""
    try:
        os.lstat(stop_file)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


class StopWatch:
    """Collects the reasons to stop. Use as a context manager: the signal handlers live as long as the block.

    Attributes:
        reason: the first reason, or None.
        since: when it was noticed (UTC), or None.
        signals: how many signals arrived, heeded or not.
    """

    def __init__(self, stop_file: Path, clock: Clock, *, poll_seconds: float = POLL_SECONDS) -> None:
        self.reason: StopReason | None = None
        self.since: datetime | None = None
        self.signals = 0
        self._stop_file = stop_file
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._looked_at: float | None = None
        self._before: dict[signal.Signals, _Handler] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        if (before := early.came()) is not None:
            self._on_signal(before, None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """The kill switch is the reason where it is pulled: systemd's SIGTERM only carries it here faster."""
        self.signals += 1
        pulled = stop_file_present(self._stop_file)
        self.request(StopReason.STOP_FILE if pulled else SIGNALS[signal.Signals(number)])

    def request(self, reason: StopReason) -> None:
        """Ask to stop; heeded only when nobody asked before."""
        if self.reason is None:
            self.reason, self.since = reason, self._clock.now()

    def stop_requested(self) -> StopReason | None:
        """The first reason to stop, or None. Looks at the STOP file when the last look is 0.2 s old."""
        if self.reason is None:
            moment = self._clock.monotonic()
            if self._looked_at is None or moment - self._looked_at >= self._poll_seconds:
                self._looked_at = moment
                if stop_file_present(self._stop_file):
                    self.request(StopReason.STOP_FILE)
        return self.reason
