"""A long piece of research in the foreground: workers, the kill switch, and a bar."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.service.stop import CLEAR_HINT, StopWatch, stop_file_present
from prometheus.v10.runs.workers.cluster import open_executor
from prometheus.v10.runs.workers.fork_server import PRELOAD
from prometheus.v10.runs.workers.hands import Hands, Progress

AHEAD = 3  # jobs a worker
AHEAD_OF_CLUSTER = 96  # jobs: enough for a few dozen workers, and some tens of megabytes

Workers = Annotated[int, typer.Option(help="Number of processes (0: one for each processor); no result depends on it.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="tcp://HOST:PORT", help="Address of a Dask scheduler, used instead of processes."
    ),
]


def refuse_if_stopped(layout: Layout) -> None:
    """Nothing is begun while the kill switch is pulled.

    Raises:
        UsageError: when it is.
    """
    if stop_file_present(layout.stop_file):
        raise UsageError(
            f"{layout.stop_file} exists, so nothing is started",
            hint=CLEAR_HINT,
        )


@contextmanager
def hands(
    layout: Layout, workers: int, cluster: str | None, clock: Clock, console: Console, *, preload: Sequence[str] = ()
) -> Iterator[tuple[Hands, StopWatch]]:
    """Workers, the reasons to stop, and a bar, for as long as the block lasts.

    Args:
        layout: where the kill switch is.
        workers: processes (0: one a processor).
        cluster: address of a Dask scheduler; None works here.
        clock: for the rate that the bar shows.
        console: where the bar is drawn, if it is a terminal.
        preload: modules that workers are born with, beside those of every worker.

    Raises:
        UsageError: for a number of workers that cannot be; else as `open_executor`.
    """
    if workers < 0:
        raise UsageError(f"--workers {workers}: expected at least 0")
    count = workers or len(os.sched_getaffinity(0))
    bar = ProgressBar(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    task = bar.add_task("opening", total=None, rate="")
    begun = clock.monotonic()

    def told(progress: Progress) -> None:
        seconds = clock.monotonic() - begun
        rate = f"{progress.agent_ticks / seconds / 1e6:.1f} M agent-ticks/s" if seconds > 0 else ""
        bar.update(task, description=progress.what, total=progress.total, completed=progress.done, rate=rate)

    with (
        StopWatch(layout.stop_file, clock) as stop,
        open_executor(count, cluster, preload=(*PRELOAD, *preload)) as executor,
        bar,
    ):
        ahead = AHEAD_OF_CLUSTER if cluster else AHEAD * count
        yield Hands(executor=executor, ahead=ahead, stop=partial(_stopped, stop), told=told), stop


def _stopped(stop: StopWatch) -> bool:
    return stop.stop_requested() is not None
