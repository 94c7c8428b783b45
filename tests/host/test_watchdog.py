"""A loop that hangs: killed and restarted by systemd, its stack in the journal, its run closed, and no storm."""

from __future__ import annotations

import pytest
from lab.stage import Stage, passes_the_audit

MOST_LINES = 60
"""Of the journal for one hang: the stack (every thread of it), what systemd says, the end and the next start."""

SETTINGS = "[Unit]\nStartLimitBurst=200\n[Service]\nWatchdogSec=5\nRestartSec=500ms\nTimeoutStopSec=3\n"
HANGS = """\
#!/usr/local/bin/python3
import sys, time
from prometheus.v10.ops import run_v10_service
from prometheus.v10.ops.service import service_control as control

working = control.ServiceControl.progress


def hung_on_purpose():
    while True:
        time.sleep(1.0)


def hanging(self, progress):
    working(self, progress)
    if progress.seconds > 0.3:
        hung_on_purpose()


control.ServiceControl.progress = hanging
if __name__ == "__main__":
    sys.exit(run_v10_service.main())
"""


def test_a_hang_is_killed_and_restarted_again_and_again(host, repeats):
    """Half as often as other drills: ten times in a row where those are done twenty times."""
    stage = Stage.long(host)
    turns = max(1, repeats // 2)
    with stage.program(HANGS, SETTINGS):
        stage.start()
        before = len(stage.own_runs()) - 1
        main = stage.show("MainPID")
        for turn in range(1, turns + 1):
            stage.wait_for("NRestarts", str(turn), seconds=60)
            stage.wait_for("ActiveState", "active", seconds=30)
            assert stage.show("MainPID") != main
            main = stage.show("MainPID")
        hung = stage.own_runs()[before : before + turns]
        entries = stage.journal()
    for run in hung:
        stage.wait_until_closed(run)
    first = next(at for at, entry in enumerate(entries) if entry.get("PROMETHEUS_RUN_ID") == hung[0].name)
    ours = entries[first:]
    kinds = [entry.get("PROMETHEUS_EVENT") for entry in ours]
    for kind in ("incident", "watchdog_stall", "run_interrupted_closed"):
        assert kinds.count(kind) == turns, kind
    plain = [str(entry["MESSAGE"]) for entry in ours if "PROMETHEUS_EVENT" not in entry]
    assert sum("hung_on_purpose" in line for line in plain) >= turns, "the stack of each hang"
    assert not any("goroutine" in line for line in plain)
    assert len(plain) <= MOST_LINES * (turns + 1), "no storm"


@pytest.mark.full
def test_a_payload_that_is_stopped_altogether_is_replaced_too(host, repeats):
    stage = Stage.long(host)
    with stage.settings(SETTINGS):
        for _ in range(max(1, repeats // 4)):
            stage.start()
            before, hung, restarts = stage.show("MainPID"), stage.own_runs()[-1], int(stage.show("NRestarts"))
            host.do("kill", "-STOP", str(stage.processes()["python3"]))
            stage.wait_for("NRestarts", str(restarts + 1), seconds=40)
            stage.wait_for("ActiveState", "active", seconds=20)
            assert stage.show("MainPID") != before
            stage.wait_until_closed(hung)
            assert "hung" in stage.journal("PROMETHEUS_EVENT=incident")[-1]["MESSAGE"]
            (stall,) = stage.journal("PROMETHEUS_EVENT=watchdog_stall")[-1:]
            assert stall["PROMETHEUS_SECONDS"] == "3s"
            assert hung.name in stall["PROMETHEUS_PROGRESS"]
            stage.stop()


def test_all_of_that_passes_the_audit(host):
    passes_the_audit(host)
