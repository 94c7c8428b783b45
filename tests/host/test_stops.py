"""The stop drill: systemctl, the kill switch, both at once, and a payload that will not go."""

from __future__ import annotations

import json
import random
import threading
import time

import pytest
from lab.host import SERVICE_USER
from lab.stage import STATE, STOP_FILE, Stage, allowed, passes_the_audit, wait_until

STOP_SECONDS = 3.0
MANY_STARTS = "[Unit]\nStartLimitBurst=200\n[Service]\nRestartSec=500ms\n"

UNWILLING_SECONDS = 15.0

UNWILLING = """\
#!/usr/local/bin/python3
import os, signal, socket, sys, threading, time
from prometheus.v10.ops import run_v10_service
from prometheus.v10.ops.service import service_control as control

LIES = (
    b"READY=1", b"WATCHDOG=1", b"EXTEND_TIMEOUT_USEC=600000000", b"STATUS=everything is fine", b"MAINPID=1", @MORE@
    b"READY=1\\nEXTEND_TIMEOUT_USEC=600000000", b"EXTEND_TIMEOUT_USEC=600000000\\nWATCHDOG=1",
)
opened = control.ServiceControl.run_opened


def lie():
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            for text in LIES:
                for place in (os.environ["NOTIFY_SOCKET"], "/run/systemd/notify"):
                    try:
                        to.sendto(text, place)
                    except OSError:
                        pass
        time.sleep(0.2)


def unwilling(self, run_id, path):
    opened(self, run_id, path)
    if os.fork() == 0:  # a child that leaves the session and the group of its parent
        os.setsid()
        while True:
            time.sleep(1.0)
    threading.Thread(target=lie, daemon=True).start()
    while True:
        time.sleep(1.0)


for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
signal.signal = signal.pthread_sigmask = lambda *words: None
control.ServiceControl.run_opened = unwilling
if __name__ == "__main__":
    sys.exit(run_v10_service.main())
"""

FORGER = """\
#!/usr/local/bin/python3
import socket, time

FORGED = (b"MESSAGE=stopped, all is sealed\\nPROMETHEUS_EVENT=service_stopped\\nPRIORITY=6\\nUNIT=@UNIT@\\n"
          b"SYSLOG_IDENTIFIER=systemd\\n_PID=1\\n_UID=0\\n_COMM=systemd\\n_SYSTEMD_UNIT=init.scope\\n")
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
    to.sendto(FORGED, "/run/systemd/journal/socket")
    time.sleep(2.0)  # the journal looks up who it was
"""

SLOW_CHECK = """\
#!/usr/local/bin/python3
import sys, time
from prometheus.v10.evidence.chains import scan
from prometheus.v10.ops import run_v10_service
from prometheus.v10.ops.service import service_control as control

scan.PROGRESS_EVERY = 1
quick = control.ServiceControl.checked
until = time.monotonic() + @SECONDS@


def slow(self, nbytes):
    if time.monotonic() < until:
        time.sleep(0.1)
    quick(self, nbytes)


control.ServiceControl.checked = slow
if __name__ == "__main__":
    sys.exit(run_v10_service.main())
"""
ONE_START = "[Unit]\nStartLimitBurst=200\n[Service]\nRestart=no\n"


@pytest.fixture
def stage(host):
    with Stage.long(host).settings(MANY_STARTS) as stage:
        yield stage


@pytest.fixture
def pause():
    """A random moment of a run, the same in every session."""
    moments = random.Random(20260101)
    return lambda: time.sleep(moments.uniform(0.0, 2.5))


@pytest.fixture
def released(host):
    """Releases the kill switch and waits until its guard has seen it."""

    def release():
        host.inside(STOP_FILE).unlink()
        host.wait_until("the kill switch", ("systemctl", "is-active", "prometheus-stop.service"), "inactive", 10)

    return release


def test_stops_at_random_moments_seal_within_three_seconds(stage, pause, figures, repeats):
    took = figures.setdefault("systemctl stop to gone, s", [])
    ready = figures.setdefault("start to READY, s", [])
    for _ in range(repeats):
        ready.append(stage.start())
        run = stage.own_runs()[-1]
        pause()
        took.append(stage.stop())
        assert stage.show("Result") == "success"
        assert stage.is_sealed(run)
        assert stage.manifest(run)["stop_reason"] == "sigterm"
    assert max(took) < allowed(STOP_SECONDS)


def test_the_kill_switch_at_random_moments_seals_within_three_seconds(stage, host, pause, released, figures, repeats):
    took = figures.setdefault("STOP file to gone, s", [])
    for _ in range(repeats):
        stage.start()
        run = stage.own_runs()[-1]
        pause()
        began = time.monotonic()
        host.inside(STOP_FILE).touch()
        stage.wait_until_gone()
        took.append(time.monotonic() - began)
        assert stage.is_sealed(run)
        released()
    assert max(took) < allowed(STOP_SECONDS)


def test_both_at_once_seal_once(stage, host, pause, released, repeats):
    for _ in range(max(1, repeats // 4)):
        stage.start()
        run = stage.own_runs()[-1]
        pause()
        term = threading.Thread(target=stage.stop)
        term.start()
        host.inside(STOP_FILE).touch()
        term.join()
        stage.wait_until_gone()
        assert stage.show("Result") == "success"
        assert stage.is_sealed(run)
        assert stage.seals(run) == ["run_sealed"]
        assert stage.manifest(run)["stop_reason"] in {"sigterm", "stop_file"}
        released()


def test_three_signals_seal_once(stage, host):
    stage.start()
    run = stage.own_runs()[-1]
    pid = str(stage.processes()["python3"])
    for _ in range(3):
        host.ask("kill", "-TERM", pid)
    stage.wait_until_gone()
    assert stage.show("Result") == "success"
    assert stage.seals(run) == ["run_sealed"]


def test_while_the_switch_is_pulled_nothing_starts_and_it_says_why(stage, host, released):
    stage.start()
    host.inside(STOP_FILE).touch()
    stage.wait_until_gone()
    refused = host.ask("systemctl", "start", stage.unit)
    assert refused.returncode != 0
    assert "ssertion" in refused.stderr
    said = host.do("journalctl", "-u", "prometheus-stop.service", "-o", "cat", "-n", "20", "--no-pager")
    assert f"{STOP_FILE} exists: every instance is stopped, none is started" in said
    host.ask("systemctl", "start", "prometheus.target")
    assert host.ask("systemctl", "is-active", "prometheus.target").stdout.strip() == "inactive"
    assert stage.show("ActiveState") == "inactive"
    found = json.loads(host.do("prometheus-quant", "status", "--json"))
    assert found["stop"]["pulled"] is True
    released()
    stage.start()
    assert stage.show("ActiveState") == "active"


def still_there(host, pids) -> list[int]:
    """Those of them that live on."""
    return [pid for pid in pids if host.ask("test", "-d", f"/proc/{pid}").returncode == 0]


def test_nobody_outwaits_a_stop(host, released, figures, repeats):
    """The payload ignores every signal, asks for more time, and says what it likes: the unit's own time-out ends it."""
    by_systemctl = figures.setdefault("systemctl stop of an unwilling payload to gone, s", [])
    by_the_file = figures.setdefault("STOP file to an unwilling payload gone, s", [])
    stage = Stage.long(host)
    with stage.program(UNWILLING.replace("@MORE@", ""), MANY_STARTS):
        for turn in range(repeats):
            stage.start()
            run = stage.own_runs()[-1]
            time.sleep(1.0)
            everyone = stage.every_process()
            assert [name for _, name in everyone].count("program") >= 2, "the child that left the group counts too"
            assert stage.show("StatusText") == "everything is fine"
            assert int(stage.show("MainPID")) == stage.processes()["conmon"]
            began = time.monotonic()
            if turn % 2:
                host.inside(STOP_FILE).touch()
                stage.wait_until_gone()
            else:
                host.ask("systemctl", "stop", stage.unit)
            (by_the_file if turn % 2 else by_systemctl).append(time.monotonic() - began)
            assert stage.show("Result") == "timeout"
            assert still_there(host, [pid for pid, _ in everyone]) == []
            stage.wait_until_closed(run)
            if turn % 2:
                released()
    assert max(by_systemctl + by_the_file) < allowed(UNWILLING_SECONDS)


@pytest.mark.full
def test_a_payload_that_says_it_stops_is_held_to_it(host):
    """STOPPING=1 starts the time-out of a stop, nothing else: what does not end by itself is killed."""
    stage = Stage.long(host)
    with stage.program(UNWILLING.replace("@MORE@", 'b"STOPPING=1",'), MANY_STARTS + "Restart=no\n"):
        host.ask("systemctl", "start", stage.unit)
        run, everyone = stage.own_runs()[-1], stage.every_process()
        assert stage.wait_until_gone() < allowed(UNWILLING_SECONDS)
        assert stage.show("Result") == "timeout"
        assert still_there(host, [pid for pid, _ in everyone]) == []
        stage.wait_until_closed(run)


def test_what_the_payload_writes_to_the_journal_bears_its_own_name(host):
    """Whoever reads the journal can tell: systemd's own entries and the host's carry other trusted fields."""
    stage = Stage.long(host)
    program = FORGER.replace("@UNIT@", stage.unit)
    with stage.program(program, "[Service]\nType=exec\nRestart=no\nWatchdogSec=0\n"):
        stage.start()
        stage.wait_until_gone()
    (entry,) = stage.journal("MESSAGE=stopped, all is sealed")
    assert entry["_PID"] != "1"
    assert entry["_UID"] == str(host.user_id(SERVICE_USER))
    assert entry["_SYSTEMD_UNIT"] == stage.unit
    # its own group, which the container cannot leave; what runs for the host after its end is not in it
    assert "/libpod-payload-" in entry["_SYSTEMD_CGROUP"]


@pytest.fixture
def with_a_pool(host):
    """An instance, and a pool that takes a while when each line does."""
    stage = Stage.long(host)
    stage.start()
    place = host.inside(f"{STATE}/pools/stage1/pool.jsonl")
    wait_until("700 records", lambda: place.exists() and place.read_bytes().count(b"\n") > 700)
    stage.stop()
    return stage


def test_a_stop_while_a_large_pool_is_checked_is_heard(with_a_pool, host):
    stage = with_a_pool
    runs = len(stage.own_runs())
    with stage.program(SLOW_CHECK.replace("@SECONDS@", "60.0"), ONE_START):
        host.do("systemctl", "start", "--no-block", stage.unit)
        wait_until("the pool is being checked", lambda: "checking" in stage.show("StatusText"))
        assert stage.stop() < allowed(STOP_SECONDS)
        assert stage.show("Result") == "success"
    assert len(stage.own_runs()) == runs


UNTIL_IT_IS_MADE = """\
seen() {{ pgrep -u {user} -f 'podman .* run -d .*name={name} ' >/dev/null; }}
for i in $(seq 2000); do seen && break; sleep 0.005; done
seen && sleep {more}
"""


def test_a_stop_while_podman_makes_the_container_is_heard(stage, host, repeats):
    """From the first moment that Podman is there on, and a little later each time."""
    for count in range(2 * repeats):
        began = len(stage.own_runs())
        host.do("systemctl", "start", "--no-block", stage.unit)
        host.shell(UNTIL_IT_IS_MADE.format(user=SERVICE_USER, name=stage.container, more=0.05 * (count % 6)))
        assert stage.stop() < allowed(STOP_SECONDS), count
        assert stage.show("Result") == "success", count
        assert stage.show("ControlGroup") == ""
        for run in stage.own_runs()[began:]:
            assert stage.is_sealed(run)


def test_all_of_that_passes_the_audit(host):
    passes_the_audit(host)
