"""One way to do many jobs at once: `concurrent.futures`, by processes of this machine or by a Dask cluster.

1. A job is a plain value and a function that a module names: both can be sent anywhere, and the result is a function of
   them alone. So neither the number of workers nor their place changes a result.
2. Results come back in the jobs' order, and no more than a bounded number of jobs is under way or waiting to be handed
   over: memory is flat however many jobs there are. Jobs are taken from an iterator as they are needed.
3. A worker that is lost (killed, out of memory, machine gone) costs time only: what it had is begun again elsewhere. A
   job whose worker is lost every time is given up by name.
4. The caller alone hears signals, and a worker whose caller is gone goes too. Whoever asks for a stop gets what is
   finished; a job under way on this machine is waited for, so jobs are made to last about a second.
5. On a cluster every worker must have this core, byte for byte; nothing is begun otherwise.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from concurrent.futures.process import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait as wait_for_process
from typing import Any, TypeVar

from attrs import define

from prometheus.v10.base.errors import ConfigError, HostError, PrometheusError
from prometheus.v10.base.extras import hint_for
from prometheus.v10.runs.workers.fork_server import PRELOAD, end_unused_server, start_fork_server
from prometheus.v10.runs.workers.invariance import check_core

POLL_SECONDS = 0.1
CONNECT_SECONDS = 10

J = TypeVar("J")
R = TypeVar("R")


def begin_worker() -> None:
    """Set up a worker process: the caller alone hears signals, and a worker whose caller is gone goes too.

    A service manager and a terminal signal a whole group at once; a worker that died of it would take its work along.
    But a pool that lost one worker ends the others by SIGTERM and waits for them: from the caller it is obeyed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # threads that begin later inherit it
    threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    threading.Thread(target=_obey, args=(parent.pid,), daemon=True).start()


def _follow(sentinel: int) -> None:
    wait_for_process([sentinel])
    os._exit(1)


def _obey(caller: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != caller:
        pass
    os._exit(1)


class Here(Executor):
    """One worker: the caller itself; a job is done when it is submitted."""

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """See `Executor.submit`."""
        future: Future[R] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (a future carries any)
            future.set_exception(error)
        return future


class Processes(Executor):
    """Worker processes of this machine; when one is lost, those that remain are replaced as well."""

    def __init__(self, workers: int, preload: Sequence[str]) -> None:
        self._workers, self._preload = workers, list(preload)
        self._pool = self._open()

    def _open(self) -> ProcessPoolExecutor:
        context = start_fork_server(self._preload)
        return ProcessPoolExecutor(self._workers, mp_context=context, initializer=begin_worker)

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """See `Executor.submit`; a pool that lost a worker is opened anew first."""
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenExecutor:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = self._open()
            return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  (its shape)
        """See `Executor.shutdown`."""
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)


@contextmanager
def open_executor(workers: int, cluster: str | None = None, *, preload: Sequence[str] = PRELOAD) -> Iterator[Executor]:
    """Workers for as long as the block lasts.

    Args:
        workers: processes of this machine (0: one a processor that this process may use); 1 works in the caller.
        cluster: address of a Dask scheduler, ``tcp://host:port``; its workers are used instead.
        preload: modules that local workers are born with.

    Raises:
        ConfigError: when the extra for clusters is missing, or a worker of the cluster has another core.
        HostError: when the cluster does not answer, or has no worker.
    """
    if cluster is not None:
        with _dask(cluster) as executor:
            yield executor
        return
    count = workers or len(os.sched_getaffinity(0))
    if count == 1:
        end_unused_server()
    local = Here() if count == 1 else Processes(count, preload)
    try:
        yield local
    finally:
        local.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        distributed: Any = importlib.import_module("distributed")  # an extra
    except ImportError as error:
        raise ConfigError(
            f"--cluster {address} needs dask.distributed",
            hint=hint_for("dask", "an image has no network, and works without --cluster"),
        ) from error
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise HostError(
            f"no Dask scheduler answers at {address}: {str(error) or type(error).__name__}",
            hint="start one with `dask scheduler`, and workers with `dask worker ADDRESS`",
        ) from error
    with client:
        _same_core(client, address)
        executor = client.get_executor(pure=False)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)


def _same_core(client: Any, address: str) -> None:
    """Every worker must have our core."""
    ours = check_core()
    try:
        found = client.run(check_core)
    except PrometheusError as error:
        raise ConfigError(f"a worker of {address}: {error.message}", hint=error.hint) from error
    except ImportError as error:
        raise ConfigError(
            f"a worker of {address} has no prometheus-quant: {error}", hint="install the same commit on every worker"
        ) from error
    if not found:
        raise HostError(f"{address} has no worker", hint=f"start some: dask worker {address}")
    for worker, core in sorted(found.items()):
        if core != ours:
            raise ConfigError(
                f"worker {worker} has core {core}, this one is {ours}", hint="install the same commit on every worker"
            )


# ---- results in order ------------------------------------------------------------------------------------------------


@define
class _Place:
    """A job's place in the order: how often it was begun, and what it came to."""

    number: int
    job: Any
    future: Future[Any]
    begun: int = 1


def in_order(
    executor: Executor,
    function: Callable[[J], R],
    jobs: Iterable[J],
    *,
    ahead: int,
    retries: int = 3,
    stop: Callable[[], bool] | None = None,
) -> Iterator[R]:
    """Do all jobs; yield their results in the jobs' order, each as soon as it and all before it are there.

    Args:
        executor: from `open_executor`.
        function: what to do; a function of a module.
        jobs: what to do it with; taken one by one. A ``name`` of a job stands in errors.
        ahead: jobs under way or waiting to be yielded, at most; two or three a worker keep all of them busy.
        retries: how often a job whose worker was lost is begun again.
        stop: asked at least every tenth of a second (with one worker, between jobs); once it says so nothing more is
            begun, and no result follows that was not there.

    Raises:
        HostError: for a job whose worker was lost too often.
        Exception: what ``function`` raised, with the job's name as a note.
    """
    stopped = stop or (lambda: False)
    waiting = enumerate(iter(jobs))
    window: deque[_Place] = deque()
    more = True
    try:
        while True:
            while more and len(window) < max(ahead, 1) and not (window and window[0].future.done()) and not stopped():
                number, job = next(waiting, (-1, None))
                if more := number >= 0:
                    window.append(_Place(number, job, executor.submit(function, job)))  # type: ignore[arg-type]
            _begin_lost_again(executor, function, window, retries)
            while window and window[0].future.done() and not _lost(window[0].future):
                yield _result(window.popleft())
            if stopped():
                return
            if not window and not more:
                return
            if running := [place.future for place in window if not place.future.done()]:
                wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
    finally:
        for place in window:
            with suppress(Exception):  # a cluster that is gone cannot be told
                place.future.cancel()


def _lost(future: Future[Any]) -> bool:
    if future.cancelled():
        return True
    error = future.exception()
    return isinstance(error, BrokenExecutor | CancelledError) or _killed(error)


def _killed(error: BaseException | None) -> bool:
    """Whether a cluster says that workers died of a job, by the name of its error: the extra may not be there."""
    return any(kind.__name__ in {"KilledWorker", "FutureCancelledError"} for kind in type(error).__mro__)


def _begin_lost_again(executor: Executor, function: Callable[[Any], Any], window: deque[_Place], retries: int) -> None:
    for place in window:
        if not place.future.done() or not _lost(place.future):
            continue
        if place.begun > retries:
            raise HostError(
                f"{_name(place)} lost its worker {place.begun} times",
                hint="look for the kernel's out-of-memory killer on the machine that did it; ask for less at a time",
            )
        place.begun += 1
        place.future = executor.submit(function, place.job)


def _result(place: _Place) -> Any:
    error = place.future.exception()
    if error is not None:
        error.add_note(f"in {_name(place)}")
        raise error
    return place.future.result()


def _name(place: _Place) -> str:
    return f"job {place.number} ({getattr(place.job, 'name', None) or type(place.job).__name__})"
