"""Signals to stop that arrive before the service can heed them. Standard library only.

The first process of a container has no default action: the kernel drops a SIGTERM for which it has no handler. So the
service listens from its first instruction on, long before numba and numpy are imported, and `StopWatch` asks what came.
"""

from __future__ import annotations

import signal
from types import FrameType

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks a process to stop: a service manager, Ctrl-C, a terminal that went away."""

_came: list[int] = []


def listen() -> None:
    """Note every signal to stop from now on, until somebody else takes the handlers over."""
    for number in HEARD:
        signal.signal(number, _note)


def came() -> signal.Signals | None:
    """The first signal that was noted; None when none came."""
    return signal.Signals(_came[0]) if _came else None


def _note(number: int, _frame: FrameType | None) -> None:
    _came.append(number)
