"""What a service manager hears from the real process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from prometheus.v10.base.modes import Stage
from prometheus.v10.ops.instance.progress_record import ProgressRecord, read_progress
from prometheus.v10.ops.service.liveness import status_sentence
from tests.integration.conftest import small_profile


def listen(socket, service, until, patience=60.0):
    """Datagrams of ``service`` until ``until(heard)`` holds."""
    heard = []
    end = time.monotonic() + patience
    while not until(heard):
        assert time.monotonic() < end, f"waited in vain; heard {heard[-5:]}"
        found = socket.read(0.1)
        assert {pid for _text, pid in found} <= {service.process.pid}  # never a worker
        heard += [text for text, _pid in found]
    return heard


def watched(socket, seconds):
    return {"NOTIFY_SOCKET": str(socket.path), "WATCHDOG_USEC": str(int(seconds * 1e6))}


def test_ready_after_the_manifest_then_status_and_pings_then_stopping(tree, start, notify_socket):
    tree.write_profile(small_profile(count=400, bars=8000))
    service = start(environ=watched(notify_socket, 2.0))
    heard = listen(notify_socket, service, lambda h: "READY=1" in h)
    assert len([run for run in tree.runs() if (run / "run_manifest.json").exists()]) == 1
    heard += listen(notify_socket, service, lambda h: h.count("WATCHDOG=1") >= 4)
    service.signal(signal.SIGTERM)
    heard += listen(notify_socket, service, lambda h: any("sealed" in text for text in h))
    assert service.end()[0] == 0
    heard += notify_socket.datagrams()
    assert all(re.fullmatch(r"(READY|WATCHDOG|STOPPING)=1|STATUS=[^=\n]+|EXTEND_TIMEOUT_USEC=\d+", h) for h in heard)
    names = [text.partition("=")[0] for text in heard]
    assert names.count("READY") == names.count("STOPPING") == 1
    assert names.index("READY") < names.index("WATCHDOG") < names.index("STOPPING")
    assert "WATCHDOG" not in names[names.index("STOPPING") :]
    assert "EXTEND_TIMEOUT_USEC" in names[names.index("STOPPING") :]
    (run,) = tree.runs()
    sentence = rf"STATUS={run.name}: experiment \d+ of 400, tick \d+ of 8000, \d+ alive, [\d,]+ agent-ticks/s, "
    assert any(re.match(sentence, text) for text in heard)


def test_the_sentence_and_status_say_what_the_record_of_progress_says(tree, start, notify_socket):
    tree.write_profile(small_profile(count=4000, bars=8000))
    service = start(environ=watched(notify_socket, 10.0))
    heard = listen(notify_socket, service, lambda h: any(": experiment " in text for text in h))
    service.wait_until(lambda: read_progress(tree.layout, "HF") is not None, "the record of progress")
    command = [sys.executable, "-m", "prometheus.cli", "status", "--json", "--root", str(tree.root)]
    (shown,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["instances"]
    (run,) = tree.runs()
    said, record = shown["progress"], read_progress(tree.layout, "HF")
    assert (said["run_id"], said["experiments"], said["ticks"]) == (run.name, 4000, 8000)
    assert said.keys() == record.plain().keys()
    assert (said["agent_ticks_per_second"] > 0, said["tick"] <= 8000) == (True, True)
    sentences = [text.removeprefix("STATUS=") for text in heard if ": experiment " in text]
    seen = record.plain() | {"last_collapse": "none"}
    form = re.sub(r"\d[\d,]*", "N", status_sentence(ProgressRecord(**seen)).partition(":")[2].partition(", last")[0])
    assert re.sub(r"\d[\d,]*", "N", sentences[0].partition(":")[2].partition(", last")[0]) == form
    service.signal(signal.SIGTERM)
    assert service.end()[0] == 0
    assert read_progress(tree.layout, "HF") is None  # no run evolves any more


def test_pings_go_on_between_runs(tree, start, notify_socket):
    tree.write_profile(small_profile(count=1, bars=1000, pause=600))
    service = start(environ=watched(notify_socket, 2.0))
    listen(notify_socket, service, lambda h: any("pausing" in text for text in h))
    assert listen(notify_socket, service, lambda h: h.count("WATCHDOG=1") >= 2)
    service.signal(signal.SIGTERM)
    assert service.end() == (0, "")


def test_workers_that_stand_still_end_the_pings_and_leave_a_stack(tree, start, notify_socket):
    tree.write_profile(small_profile(count=400, bars=8000))
    service = start(environ=watched(notify_socket, 1.5))
    listen(notify_socket, service, lambda h: h.count("WATCHDOG=1") >= 2)
    service.wait_until(lambda: len(service.children()) >= 3, "worker processes")
    halted = service.children()
    for pid in halted:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(0.8)  # what moved before the halt may still be told
    notify_socket.read()
    time.sleep(1.5)
    silent = [text for text in notify_socket.datagrams() if text == "WATCHDOG=1"]
    for pid in halted:
        os.kill(pid, signal.SIGCONT)
    assert silent == []
    listen(notify_socket, service, lambda h: "WATCHDOG=1" in h)  # work moves again, and so do the pings
    service.signal(signal.SIGTERM)
    code, said = service.end()
    assert code == 0
    assert "Timeout" in said
    assert "run_v10_service.py" in said


HELD_CHECK = """
import sys, time
from pathlib import Path
from prometheus.v10.evidence.chains import scan
from prometheus.v10.ops import run_v10_service
from prometheus.v10.ops.service import service_control as control

scan.PROGRESS_EVERY = 1
gate, words = Path(sys.argv[1]), sys.argv[2:]
able, checked = control.ServiceControl.able, control.ServiceControl.checked
loaded = []

def loading(self):
    loaded.append(True)
    able(self)

def held(self, nbytes):
    checked(self, nbytes)
    while loaded and not gate.exists():
        time.sleep(0.05)
        checked(self, 1)

control.ServiceControl.able, control.ServiceControl.checked = loading, held
sys.exit(run_v10_service.main(words))
"""
"""A pool of many GB: its check goes on, and does not end before a file is there."""


class HeldService:
    """The service with such a pool; `open` lets the check end."""

    def __init__(self, tree, gate, environ):
        self.gate = gate
        words = ["--mode", "offline", "--stage", "stage1", "--instance", "HF", "--root", str(tree.root)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", HELD_CHECK, str(gate), *words, "--max-runs", "1"],
            env={**os.environ, **environ}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def open(self):
        self.gate.touch()

    def end(self):
        said = self.process.communicate(timeout=120)[1]
        return self.process.returncode, said


@pytest.fixture
def held(tree, start, tmp_path, notify_socket):
    """A pool with the records of one run, and the service that checks it for ever."""
    assert start("--max-runs", "1").end() == (0, "")
    assert tree.pool_bytes()
    made = []

    def begin():
        made.append(HeldService(tree, tmp_path / "gate", watched(notify_socket, 12.0)))
        return made[-1]

    yield begin
    for service in made:
        service.process.kill()
        service.process.communicate()


def test_ready_does_not_wait_for_the_check_of_the_pool(tree, held, notify_socket):
    """Lock, profile, market and compiled code are there; the rest of the check is watched as work is."""
    service = held()
    heard = listen(notify_socket, service, lambda h: h.count("WATCHDOG=1") >= 2)
    assert heard.count("READY=1") == 1
    assert len(tree.runs()) == 1, "no run is begun before its pool was checked"
    assert any("STATUS=checking evidence before a run" in text for text in heard)
    service.open()
    assert service.end() == (0, "")
    assert "READY=1" not in notify_socket.datagrams()
    assert len(tree.runs()) == 2
    tree.assert_in_order()


def test_a_stop_that_comes_after_ready_and_before_the_run_begins_nothing(tree, held, notify_socket):
    service = held()
    listen(notify_socket, service, lambda h: "READY=1" in h)
    service.process.send_signal(signal.SIGTERM)
    assert service.end() == (0, "")
    assert "STOPPING=1" in notify_socket.datagrams()
    assert len(tree.runs()) == 1
    tree.assert_in_order()


def test_a_pool_found_damaged_after_ready_ends_65_with_one_line_and_begins_nothing(tree, held, notify_socket):
    pool = tree.layout.pool(Stage.STAGE1)
    data = bytearray(pool.read_bytes())
    data[len(data) * 3 // 4] ^= 0x01
    pool.write_bytes(data)
    ledger = tree.layout.ledger.read_bytes()
    service = held()
    listen(notify_socket, service, lambda h: "READY=1" in h)
    service.open()
    code, said = service.end()
    assert code == 65
    assert re.fullmatch(r"error: \S+pool\.jsonl: damaged at byte \d+ \(line \d+\): [^\n]+\nhint: [^\n]+\n", said)
    assert pool.read_bytes() == data
    assert tree.layout.ledger.read_bytes() == ledger
    assert len(tree.runs()) == 1
