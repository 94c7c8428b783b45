"""Who is measured, in processes of its own, one turn after another, so that a noisy moment hits all alike.

A contender's processes start once, prepare once (imports, compilation, work that nobody counts) and then wait. A turn
of one process is measured by that process: its own processor time, and wall time on the clock that all processes of the
machine share. A turn of two begins at the same word and lasts from the first start to the last end.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Protocol, Self

from attrs import frozen

from prometheus.v10.base.errors import HostError

PROCESSES = (1, 2)


@frozen
class Work:
    """What was done: agent-ticks of living agents, and ticks, of all experiments together."""

    agent_ticks: int
    ticks: int


@frozen
class Turn:
    """One measured turn of one or more processes.

    Attributes:
        wall: seconds from the first start to the last end.
        cpu: processor seconds of these processes, all threads; not of their children.
    """

    agent_ticks: int
    ticks: int
    wall: float
    cpu: float


class Contender(Protocol):
    """One way to do the work. Made and used in its own process."""

    def prepare(self, agents: int) -> None:
        """Everything that is not to be measured: imports, compilation, data. Raises ImportError where it cannot run."""
        ...

    def turn(self, agents: int, share: int, shares: int) -> Work:
        """Do part ``share`` of ``shares`` of a turn with ``agents`` agents in every experiment."""
        ...

    def tidy(self) -> None:
        """What is left to do after a turn, unmeasured."""
        ...


@frozen
class _Lap:
    work: Work
    start: float
    end: float
    cpu: float


def _serve(pipe: Connection, make: Callable[[], Contender]) -> None:
    """A contender's process: obeys until its pipe closes; errors go back. Ctrl-C is the parent's to hear."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    contender: Contender | None = None
    while True:
        try:
            order = pipe.recv()
        except EOFError:
            return
        try:
            contender = make() if contender is None else contender
            pipe.send(_obey(contender, *order))
        except Exception as error:  # noqa: BLE001  (the parent raises it)
            pipe.send(error)


def _obey(contender: Contender, agents: int, share: int, shares: int) -> _Lap | None:
    if shares == 0:
        contender.prepare(agents)
        return None
    start, cpu = time.perf_counter(), time.process_time()
    work = contender.turn(agents, share, shares)
    lap = _Lap(work, start, time.perf_counter(), time.process_time() - cpu)
    contender.tidy()
    return lap


class Lane:
    """The processes of one contender.

    Args:
        name: for messages.
        makers: one a process; each makes the contender there, so it must be picklable.
    """

    def __init__(self, name: str, makers: list[Callable[[], Contender]]) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._ends: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []
        for make in makers:
            ours, theirs = context.Pipe()
            # Not a daemon: a contender may have worker processes of its own. It goes when its pipe closes.
            process = context.Process(target=_serve, args=(theirs, make), name=f"bench-{name}")
            process.start()
            theirs.close()
            self._ends.append((process, ours))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process, pipe in self._ends:
            pipe.close()
            if kind is not None:
                process.terminate()  # in the middle of a turn nobody waits for
        for process, _ in self._ends:
            process.join()

    def prepare(self, agents: int) -> None:
        """Let every process prepare, all at once.

        Raises:
            ImportError: when what the contender needs is not installed.
            HostError: when a process died.
        """
        self._ask([(agents, 0, 0)] * len(self._ends))

    def turn(self, agents: int, processes: int) -> Turn:
        """One turn of the first ``processes`` processes; errors as `prepare`."""
        found = self._ask([(agents, share, processes) for share in range(min(processes, len(self._ends)))])
        laps = [lap for lap in found if lap is not None]
        return Turn(
            sum(lap.work.agent_ticks for lap in laps),
            sum(lap.work.ticks for lap in laps),
            max(lap.end for lap in laps) - min(lap.start for lap in laps),
            sum(lap.cpu for lap in laps),
        )

    def _ask(self, orders: list[tuple[int, int, int]]) -> list[_Lap | None]:
        asked = self._ends[: len(orders)]
        try:
            for (_, pipe), order in zip(asked, orders, strict=True):
                pipe.send(order)
            answers = [pipe.recv() for _, pipe in asked]
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            raise HostError(
                f"a process of the benchmark ({self.name}) died", hint="look for the kernel's out-of-memory killer"
            ) from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers
