"""Jobs in parallel: the same results in the same order for any workers, lost workers included; bounded memory."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from attrs import frozen

from prometheus.v10.base.errors import ConfigError, HostError
from prometheus.v10.runs.workers import cluster
from prometheus.v10.runs.workers.cluster import in_order, open_executor


@frozen
class Sum:
    """A job: a digest of a number; ``fatal`` names a file, and whoever does the job while it exists dies."""

    number: int
    fatal: str | None = None
    for_ever: bool = False

    @property
    def name(self) -> str:
        return f"sum {self.number}"


def digest(job: Sum) -> str:
    if job.fatal is not None and Path(job.fatal).exists():
        if not job.for_ever:
            Path(job.fatal).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return hashlib.sha256(str(job.number).encode()).hexdigest()


def refuse(job: Sum) -> str:
    if job.number == 3:
        raise ConfigError("three is no good", hint="leave it out")
    return digest(job)


JOBS = [Sum(number) for number in range(40)]
EXPECTED = [digest(job) for job in JOBS]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_and_their_order_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    with open_executor(workers, preload=()) as executor:
        assert list(in_order(executor, digest, JOBS, ahead=2 * workers)) == EXPECTED


def test_a_killed_worker_costs_time_only(tmp_path: Path) -> None:
    fatal = tmp_path / "fatal"
    fatal.touch()
    jobs = [Sum(number, str(fatal) if number == 20 else None) for number in range(40)]
    with open_executor(2, preload=()) as executor:
        assert list(in_order(executor, digest, jobs, ahead=4)) == EXPECTED
    assert not fatal.exists()


def test_a_job_that_kills_every_worker_is_given_up_by_name(tmp_path: Path) -> None:
    fatal = tmp_path / "fatal"
    fatal.touch()
    with open_executor(2, preload=()) as executor, pytest.raises(HostError, match=r"job 0 \(sum 7\) lost its worker 3"):
        list(in_order(executor, digest, [Sum(7, str(fatal), for_ever=True)], ahead=4, retries=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_job_raises_arrives_as_it_was_with_the_jobs_name(workers: int) -> None:
    seen: list[str] = []
    with open_executor(workers, preload=()) as executor, pytest.raises(ConfigError, match="three is no good") as caught:
        seen.extend(in_order(executor, refuse, JOBS, ahead=4))
    assert seen == EXPECTED[:3]
    assert caught.value.hint == "leave it out"
    assert caught.value.__notes__ == ["in job 3 (sum 3)"]


class Slow(cluster.Here):
    """Counts what is under way: futures that nobody has taken the result of."""

    def __init__(self) -> None:
        self.given: list[Future[str]] = []

    def submit(self, fn, /, *args, **kwargs):  # noqa: ARG002
        future: Future[str] = Future()
        self.given.append(future)
        return future


def test_jobs_are_taken_as_they_are_needed_and_never_more_than_ahead() -> None:
    executor, taken = Slow(), 0

    def jobs() -> Iterator[Sum]:
        nonlocal taken
        for job in JOBS:
            taken += 1
            yield job

    def release() -> bool:
        """Finish the youngest first: the oldest holds back all results."""
        open_ones = [future for future in executor.given if not future.done()]
        if len(open_ones) >= 5 or taken == len(JOBS):
            for future in reversed(open_ones):
                future.set_result("done")
        return False

    yielded = 0
    for _ in in_order(executor, digest, jobs(), ahead=5, stop=release):
        yielded += 1
        assert taken - yielded <= 5
    assert yielded == len(JOBS)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_begins_nothing_more(workers: int) -> None:
    taken: list[str] = []
    with open_executor(workers, preload=()) as executor:
        for result in in_order(executor, digest, JOBS, ahead=2, stop=lambda: len(taken) >= 5):
            taken.append(result)  # noqa: PERF402  (the stop looks at it between two results)
    assert 5 <= len(taken) <= 7
    assert taken == EXPECTED[: len(taken)]


def test_workers_go_when_their_caller_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "caller.py"
    script.write_text(
        "import os, time\n"
        "from prometheus.v10.runs.workers.cluster import open_executor\n"
        "if __name__ == '__main__':\n"
        "    with open_executor(2, preload=()) as executor:\n"
        "        print(executor.submit(os.getpid).result(), flush=True)\n"
        "        time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        worker = int(caller.stdout.readline())
        descriptor = os.pidfd_open(worker)
        caller.kill()
        caller.wait()
        assert cluster.wait_for_process([descriptor], timeout=20) == [descriptor]  # type: ignore[attr-defined]
        os.close(descriptor)


def test_a_signal_to_the_whole_group_is_for_the_caller_alone() -> None:
    with open_executor(2, preload=()) as executor:
        worker = executor.submit(os.getpid).result()
        subprocess.run([sys.executable, "-c", f"import os; os.kill({worker}, 15); os.kill({worker}, 2)"], check=True)
        assert list(in_order(executor, digest, JOBS, ahead=4)) == EXPECTED


CLUSTER = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")
from distributed import Client, LocalCluster
sys.path.insert(0, {folder!r})
from cluster_jobs import JOBS, digest
from prometheus.v10.runs.workers.cluster import in_order, open_executor

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as local:
        with Client(local) as client, open_executor(0, local.scheduler_address) as executor:
            client.run(sys.path.insert, 0, {folder!r})
            for place, result in enumerate(in_order(executor, digest, JOBS, ahead=6)):
                if place == 10:
                    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
                print(result, flush=True)
"""
CLUSTER_JOBS = """
import hashlib, time
JOBS = list(range(40))
def digest(job):
    time.sleep(0.02)
    return hashlib.sha256(str(job).encode()).hexdigest()
"""


def test_a_local_cluster_with_a_worker_killed_in_the_middle_gives_the_same(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra for clusters is not installed")
    (tmp_path / "cluster_jobs.py").write_text(CLUSTER_JOBS)
    script = tmp_path / "script.py"
    script.write_text(CLUSTER.format(folder=str(tmp_path)))
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False, env=environ
    )
    assert said.stdout.split() == EXPECTED, said.stderr


def test_no_scheduler_at_the_address_is_said_in_one_line() -> None:
    pytest.importorskip("distributed", reason="the extra for clusters is not installed")
    script = (
        "from prometheus.v10.runs.workers import cluster\n"
        "from prometheus.v10.base.errors import HostError\n"
        "cluster.CONNECT_SECONDS = 1\n"
        "try:\n"
        "    with cluster.open_executor(0, 'tcp://127.0.0.1:9'):\n"
        "        pass\n"
        "except HostError as error:\n"
        "    print(error.message)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.startswith("no Dask scheduler answers at tcp://127.0.0.1:9")


def test_without_the_extra_a_cluster_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match="needs dask") as caught, open_executor(0, "tcp://127.0.0.1:9"):
        pass
    assert "[dask]" in str(caught.value.hint)


PLACES = {
    "a path too long for a socket": 'mkdir -p "$1/{long}" && export TMPDIR="$1/{long}" && cd "$1"'.format(
        long="t" * 120
    ),
    "no working directory": 'mkdir "$1/gone" && cd "$1/gone" && rmdir "$1/gone"',
    "no more files": 'cd "$1" && ulimit -n 16',
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_machine_that_refuses_worker_processes_ends_in_one_line_and_74(tmp_path, place):
    profile = tmp_path / "P.toml"
    profile.write_text('mode = "offline"\nworkers = 2\n[market]\nbars = 600\n[experiments]\ncount = 2\n')
    command = f'{place} && exec "$2" -m prometheus.cli run --root "$1/root" --profile "$1/P.toml"'
    ended = subprocess.run(
        ["sh", "-ec", command, "sh", str(tmp_path), sys.executable], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 74, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("error: ") == 1
