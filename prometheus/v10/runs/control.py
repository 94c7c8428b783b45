"""What a run tells its surroundings while it works, and how its surroundings ask it to stop.

The service and the command line hand a `RunControl` down; the run polls `stop_requested` at least once a second and
reports `Progress` whenever the tick loops moved. Nothing here reaches the world: a stop is honoured between ticks.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from attrs import frozen


class StopReason(StrEnum):
    """Why a run ended before its work was done."""

    STOP_FILE = "stop_file"
    SIGTERM = "sigterm"
    SIGINT = "sigint"
    SIGHUP = "sighup"
    DISK_BUDGET = "disk_budget"


@frozen
class Progress:
    """One look at a run's work.

    Attributes:
        agent_ticks: agent-ticks evolved so far in this run; grows only when a tick loop moved.
        tick: ticks done by the experiment that is furthest behind among those running.
        alive: agents alive in the experiments that are running, summed.
        last_collapse: the last collapse seen in this run, as a short sentence, or None.
        answered: calls that an exchange answered; between two bars it is what shows that a run lives.
    """

    run_id: str
    experiments_total: int
    experiments_done: int
    tick: int
    ticks_total: int
    agent_ticks: int
    alive: int
    deaths: int
    births: int
    seconds: float
    last_collapse: str | None
    answered: int = 0


class StoppedError(Exception):
    """A stop came before there was a run: nothing was opened, nothing is to be sealed."""


class RunControl(Protocol):
    """What a run needs from whoever started it."""

    def preparing(self, what: str) -> None:
        """Something that may take a while happens before there is a run: a sentence for whoever waits."""
        ...

    def able(self) -> None:
        """World, bars, market and compiled code are loaded: what is left before a run is evidence to be checked."""
        ...

    def checked(self, nbytes: int) -> None:
        """So many more bytes of evidence were looked at, before there is a run: work that moves.

        Raises:
            StoppedError: when there is to be no run after all.
        """
        ...

    def run_opened(self, run_id: str, path: Path) -> None:
        """The run directory and its manifest exist: the moment for READY=1."""
        ...

    def progress(self, progress: Progress) -> None:
        """Called a few times a second while the run works."""
        ...

    def sealing(self) -> None:
        """The run stopped evolving and is being sealed: the moment for STOPPING=1 or an extension."""
        ...

    def stop_requested(self) -> StopReason | None:
        """Whether to stop now, and why."""
        ...


class Undisturbed:
    """A `RunControl` for work that nobody stops and no manager hears of; Ctrl-C ends the command itself."""

    def preparing(self, what: str) -> None:
        """Nothing happens."""

    def able(self) -> None:
        """Nothing happens."""

    def checked(self, nbytes: int) -> None:
        """Nothing happens."""

    def run_opened(self, run_id: str, path: Path) -> None:
        """Nothing happens."""

    def progress(self, progress: Progress) -> None:
        """Nothing happens."""

    def sealing(self) -> None:
        """Nothing happens."""

    def stop_requested(self) -> StopReason | None:
        """Nobody asks."""
        return None


@frozen
class RunOutcome:
    """How a run ended.

    Attributes:
        collapses: internal collapses in this run (experiments that went extinct or ran out of reserve).
        lived: ticks that each experiment lived, by its number.
    """

    run_id: str
    path: Path
    status: str
    stop_reason: StopReason | None
    experiments: int
    collapses: int
    agent_ticks: int
    seconds: float
    lived: Mapping[int, int]
