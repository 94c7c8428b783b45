"""The server that worker processes are forked from, and its early start. Imports neither numba nor numpy.

A program that will evolve starts the server before it imports anything heavy itself: two processors then load the
world's code at the same time, and the first tick waits for one of the two loads, not for both.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from typing import Any

from prometheus.v10.base.early import HEARD
from prometheus.v10.base.errors import HostError

PRELOAD = ("prometheus.v10.runs.workers.preload", "prometheus.v10.runs.workers.executor")
"""Modules that the fork server imports once, so that workers are born with the world's compiled code."""
OURS = "prometheus."

_unused = False
"""Whether the server was started early, and nobody has needed it yet."""


def to_preload(modules: Sequence[str] = PRELOAD) -> list[str]:
    """What the fork server imports: ``modules``, and all of ours that this process has.

    A worker imports the caller's main module again; what that needs is there then, and not loaded by every worker of
    every run.
    """
    return [*modules, *sorted(name for name in sys.modules if name.startswith(OURS))]


def start_fork_server(preload: Sequence[str]) -> BaseContext:
    """The context whose workers are forked from a server that is deaf to the signals that stop a program.

    A terminal, a supervisor or ``timeout`` signals the whole process group, at any moment. The server, and every worker
    from its first instruction on, inherits a mask in which those signals wait; the caller alone decides. A server that
    runs already is kept.

    Raises:
        HostError: when the machine refuses: no more processes or files, no directory to work in, a path too long.
    """
    global _unused  # noqa: PLW0603  (one a process, like the server itself)
    _unused = False
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(to_preload(preload))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    try:
        resource_tracker.ensure_running()  # it lets some of these signals through again once it has started
        signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
        forkserver.ensure_running()
    except OSError as error:
        raise HostError(
            f"cannot start worker processes: {error.strerror or error}",
            hint="look at ulimit -n and -u, at TMPDIR (its path must be short), and whether the working directory is "
            "still there; or set workers = 1",
        ) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def start_early(program: str) -> None:
    """Start the server, if there is a processor for it, while this process imports the module ``program``.

    What stands in the way is left to whoever needs workers: they start the server again and say why it cannot be. A
    server that nobody came to need ends with the program: a mistyped command leaves nothing at work behind it.
    """
    global _unused  # noqa: PLW0603  (see `start_fork_server`)
    if len(os.sched_getaffinity(0)) > 1:
        with suppress(HostError):
            start_fork_server((*PRELOAD, program))
            _unused = True
            atexit.register(end_unused_server)


def end_unused_server() -> None:
    """End a server that was started early and has no worker; a run with one worker works in its own process."""
    global _unused  # noqa: PLW0603  (see `start_fork_server`)
    if not _unused:
        return
    _unused = False
    server: Any = forkserver.__dict__["_forkserver"]
    with suppress(OSError):
        # It may be loading code for a long time yet, deaf to all other signals; nobody depends on it.
        os.kill(server._forkserver_pid, signal.SIGKILL)  # noqa: SLF001  (the standard library has no public name for it)
        server._stop()  # noqa: SLF001  (likewise)
