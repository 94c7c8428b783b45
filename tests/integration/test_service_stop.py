"""However and whenever the service is stopped, everything is sealed and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time

import pytest

from prometheus.v10.base import custody
from prometheus.v10.base.modes import Stage

SEED = 20260101


def random_pause(chance: random.Random, longest: float = 1.2) -> None:
    time.sleep(chance.uniform(0.0, longest))


def test_it_runs_as_often_as_asked_with_new_seeds_each_time(tree, start):
    assert start("--max-runs", "3").end() == (0, "")
    assert len(tree.runs()) == 3
    tree.assert_in_order()
    seeds = [seed for run in tree.runs() for seed in tree.manifest(run)["seeds"]]
    assert len(set(seeds)) == len(seeds) == 24
    assert start("--max-runs", "1").end() == (0, "")
    after = {tuple(tree.manifest(run)["seeds"]) for run in tree.runs()}
    assert len(after) == 4


SLOW_CHECK = """
import sys, time
from prometheus.v10.evidence.chains import scan
from prometheus.v10.ops import run_v10_service
from prometheus.v10.ops.service import service_control as control

scan.PROGRESS_EVERY = 1
checked = control.ServiceControl.checked

def slowly(self, nbytes):
    print(nbytes, flush=True)
    time.sleep(0.2)
    checked(self, nbytes)

control.ServiceControl.checked = slowly
sys.exit(run_v10_service.main(sys.argv[1:]))
"""


def test_a_stop_while_the_pool_is_being_checked_begins_nothing(tree, start):
    """A pool of many GB takes minutes to check; nobody waits for that with a stop."""
    assert start("--max-runs", "1").end() == (0, "")
    pool = tree.layout.pool(Stage.STAGE1)
    assert pool.read_bytes().count(b"\n") > 50, "long enough that the stop comes first"
    words = ["--mode", "offline", "--stage", "stage1", "--instance", "HF", "--root", str(tree.root)]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_CHECK, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as service:
        assert int(service.stdout.readline()) > 0
        service.send_signal(signal.SIGTERM)
        out, said = service.communicate(timeout=120)
    assert (service.returncode, said) == (0, "")
    assert out.count("\n") < 20
    assert len(tree.runs()) == 1
    tree.assert_in_order()
    assert start("--max-runs", "1").end() == (0, "")
    tree.assert_in_order()


def test_a_stop_while_no_custodian_answers_ends_0_and_writes_nothing(tree, tmp_path):
    """systemd starts no custodian for a payload whose unit it stops: its socket takes the connection, no more."""
    before = sorted(tree.root.rglob("*"))
    place = tmp_path / "socket"
    words = ["--mode", "offline", "--stage", "stage1", "--instance", "HF", "--root", str(tree.root)]
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        with subprocess.Popen(
            [sys.executable, "-m", "prometheus.v10.ops.run_v10_service", *words, "--custodian", str(place)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as service:  # fmt: skip
            peer, _ = listening.accept()
            assert custody.receive(peer) == ({"call": "root", "arguments": [], "bytes": 0}, b"")
            service.send_signal(signal.SIGTERM)
            _, said = service.communicate(timeout=120)
            peer.close()
    assert service.returncode == 0
    assert said == "stopped before the custodian of the evidence answered; nothing was written\n"
    assert sorted(tree.root.rglob("*")) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_seals_the_run_and_ends_0(tree, start, number):
    tree.write_profile(tree_profile_that_takes_long())
    service = start()
    service.wait_for_run()
    service.signal(number)
    assert service.end() == (0, "")
    (run,) = tree.runs()
    manifest = tree.manifest(run)
    assert (manifest["stop_detected"], manifest["stop_reason"]) == (True, signal.Signals(number).name.lower())
    tree.assert_in_order()


def tree_profile_that_takes_long():
    from tests.integration.conftest import small_profile

    return small_profile(count=400, bars=8000)


def test_sigterm_at_random_moments(tree, start, times):
    chance = random.Random(SEED)
    for _ in range(times("SIGTERM", 3)):
        service = start()
        service.wait_for_run(len(tree.runs()) + 1)
        random_pause(chance)
        service.signal(signal.SIGTERM)
        if chance.random() < 0.5:
            service.signal(signal.SIGTERM)  # twice is not faster, and never leaves an unsealed run
        assert service.end() == (0, "")
        tree.assert_in_order()
        assert not any((run / "interrupted.json").exists() for run in tree.runs())


def test_the_stop_file_at_random_moments(tree, start, times):
    """As often as asked, and on until one came in the middle of a run; on a busy machine it may come after it."""
    chance = random.Random(SEED + 1)
    stops, reasons = times("STOP", 3), set()
    for count in range(stops + 30):
        if count >= stops and "stop_file" in reasons:
            break
        service = start()
        service.wait_for_run(len(tree.runs()) + 1)
        random_pause(chance)
        tree.layout.stop_file.touch()
        assert service.end() == (0, "")
        tree.assert_in_order()
        tree.layout.stop_file.unlink()
        reasons = {tree.manifest(run)["stop_reason"] for run in tree.runs()}
    assert "stop_file" in reasons


def test_both_at_once_seal_once(tree, start):
    tree.write_profile(tree_profile_that_takes_long())
    service = start()
    service.wait_for_run()
    tree.layout.stop_file.touch()
    service.signal(signal.SIGTERM)
    assert service.end() == (0, "")
    tree.assert_in_order()


def test_while_stop_exists_nothing_starts_and_it_says_why(tree, start):
    tree.layout.stop_file.touch()
    code, said = start().end()
    assert code == 0
    assert str(tree.layout.stop_file) in said
    assert tree.runs() == []


def test_kill_9_at_random_moments_loses_nothing(tree, start, times):
    """What a reader saw in the pool is there afterwards, and each run is sealed or closed by the next."""
    chance = random.Random(SEED + 2)
    kills = times("KILLS", 6)
    for _ in range(kills):
        service = start()
        service.wait_for_run(len(tree.runs()) + 1)
        random_pause(chance, 0.7)
        seen = tree.pool_bytes()
        service.signal(signal.SIGKILL)
        service.end()
        assert tree.pool_bytes().startswith(seen)
    assert start("--max-runs", "1").end() == (0, "")
    tree.assert_in_order()
    closed = [run for run in tree.runs() if (run / "interrupted.json").exists()]
    assert len(closed) > kills // 3
    assert len({run.name for run in tree.runs()}) >= kills


def test_kill_9_leaves_no_worker_behind(tree, start):
    tree.write_profile(tree_profile_that_takes_long())
    service = start()
    service.wait_for_run()
    service.wait_until(lambda: len(service.children()) >= 3, "worker processes")
    workers = service.children()
    service.signal(signal.SIGKILL)
    service.end()
    until = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}/task") for pid in workers):  # noqa: PTH110  (a race, not a path)
        assert time.monotonic() < until, "workers outlive their service"
        time.sleep(0.05)


def test_a_second_process_for_the_same_instance_is_refused(tree, start):
    tree.write_profile(tree_profile_that_takes_long())
    first = start()
    first.wait_for_run()
    code, said = start().end()
    assert code == 75
    assert said.startswith("error: ")
    assert "service.lock is held by instance HF" in said
    first.signal(signal.SIGTERM)
    assert first.end() == (0, "")
    assert len(tree.runs()) == 1


def test_the_survival_curve_goes_on_across_processes(tree, start):
    from prometheus.v10.ops.instance.collapse_intervals import read_lines
    from tests.integration.conftest import small_profile

    everyone_dies = small_profile(bars=3000, count=3).replace("death_roi = -0.05", "death_roi = 9.0\nbreed_roi = 10.0")
    tree.write_profile(everyone_dies)
    for _ in range(2):
        assert start("--max-runs", "1").end() == (0, "")
    lines = list(read_lines(tree.layout.state / "HF" / "collapse_intervals.jsonl"))
    kinds = [line.type for line in lines]
    assert kinds == ["collapse"] * 3 + ["run", "reboot"] + ["collapse"] * 3 + ["run"]
    assert lines[4].restart_time_seconds > 0
    first, second = tree.runs()
    assert lines[4].after_run_id == first.name
    manifest = tree.manifest(second)
    assert manifest["previous_run_id"] == first.name
    assert 0 < manifest["restart_time_seconds"] <= lines[4].restart_time_seconds
    assert lines[0].ticks_since_previous is None
    assert all(line.ticks_since_previous > 0 for line in lines[5:8])
