"""What a long piece of research works with: workers, the reason to stop, and somebody who is told how far it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from attrs import frozen


@frozen(kw_only=True)
class Progress:
    """One look at the work: how much of it is done, and the agent-ticks of what was done now."""

    what: str
    done: int
    total: int
    agent_ticks: int


@frozen(kw_only=True)
class Hands:
    """What it works with.

    Attributes:
        executor: from `runs.workers.cluster.open_executor`.
        ahead: jobs under way or waiting, at most.
        stop: whether to stop now.
        told: hears of progress.
    """

    executor: Executor
    ahead: int
    stop: Callable[[], bool]
    told: Callable[[Progress], None]
