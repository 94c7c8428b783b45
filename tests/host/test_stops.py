"""The stop drill: systemctl, the kill switch, both at once, and a seal that takes longer than systemd would wait."""

from __future__ import annotations

import json
import random
import threading
import time

import pytest
from lab.stage import STATE, STOP_FILE, Stage, allowed, passes_the_audit, wait_until

STOP_SECONDS = 3.0
MANY_STARTS = "[Unit]\nStartLimitBurst=200\n[Service]\nRestartSec=500ms\n"
QUICK_STOP = "[Service]\nTimeoutStopSec=3\nWatchdogSec=0\n"

SLOW_SEAL = """\
#!/usr/local/bin/python3
import sys, time
from prometheus.v10.ops import control, liveness, run_v10_service

liveness.EXTEND_SECONDS = 4.0
liveness.EXTEND_CAP_SECONDS = @MOST@
quick = control.ServiceControl.sealing


def slow(self):
    quick(self)
    if self._stop.reason is not None:
        time.sleep(0.8)


control.ServiceControl.sealing = slow
if __name__ == "__main__":
    sys.exit(run_v10_service.main())
"""

SLOW_CHECK = """\
#!/usr/local/bin/python3
import sys, time
from prometheus.v10.evidence import scan
from prometheus.v10.ops import control, liveness, run_v10_service

scan.PROGRESS_EVERY = 1
liveness.EXTEND_SECONDS = 2.0
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
QUICK_START = "[Unit]\nStartLimitBurst=200\n[Service]\nTimeoutStartSec=4\nRestart=no\n"


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


def test_a_seal_that_takes_longer_gets_the_time_it_asks_for(host, figures):
    """EXTEND_TIMEOUT_USEC reaches systemd: conmon would drop it, so the service has systemd's own socket."""
    stage = Stage.long(host)
    with stage.program(SLOW_SEAL.replace("@MOST@", "120.0"), QUICK_STOP):
        stage.start()
        run = stage.own_runs()[-1]
        time.sleep(1.0)
        took = stage.stop()
        assert stage.show("Result") == "success"
    figures["a stop whose seal was slowed down (3 s allowed), s"] = [took]
    assert took > 3.5
    assert stage.is_sealed(run)
    assert stage.manifest(run)["stop_reason"] == "sigterm"


@pytest.mark.full
def test_it_gets_no_more_than_the_cap_and_its_run_is_closed_all_the_same(host):
    stage = Stage.long(host)
    with stage.program(SLOW_SEAL.replace("@MOST@", "4.0"), QUICK_STOP):
        stage.start()
        run = stage.own_runs()[-1]
        time.sleep(1.0)
        host.ask("systemctl", "stop", stage.unit)
        assert stage.show("Result") == "timeout"
        assert "did not start or stop in time" in stage.journal("PROMETHEUS_EVENT=incident")[-1]["MESSAGE"]
        stage.wait_until_closed(run)


@pytest.fixture
def with_a_pool(host):
    """An instance, and a pool that takes a while when each line does."""
    stage = Stage.long(host)
    stage.start()
    place = host.inside(f"{STATE}/pools/stage1/pool.jsonl")
    wait_until("700 records", lambda: place.exists() and place.read_bytes().count(b"\n") > 700)
    stage.stop()
    return stage


def test_a_start_that_checks_a_large_pool_gets_the_time_it_asks_for(with_a_pool):
    """Evidence that is checked moves on, and systemd hears of it: the start is not given up."""
    stage = with_a_pool
    with stage.program(SLOW_CHECK.replace("@SECONDS@", "7.0"), QUICK_START):
        assert stage.start() > 6.0
        assert stage.show("Result") == "success"


def test_a_stop_while_a_large_pool_is_checked_is_heard(with_a_pool, host):
    stage = with_a_pool
    runs = len(stage.own_runs())
    with stage.program(SLOW_CHECK.replace("@SECONDS@", "60.0"), QUICK_START):
        host.do("systemctl", "start", "--no-block", stage.unit)
        stage.wait_for("ActiveState", "activating")
        time.sleep(2.0)
        assert stage.stop() < allowed(STOP_SECONDS)
        assert stage.show("Result") == "success"
    assert len(stage.own_runs()) == runs


def test_all_of_that_passes_the_audit(host):
    passes_the_audit(host)
