"""An operator starts stage 1, reads its journal, stops it; it is hung and killed, and comes back."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import time
from collections import Counter

import pytest
from lab.stage import STOP_FILE, Stage

STOP_SECONDS = 3.0
READY_SECONDS = 3.0
QUICK = r"[Unit]\nStartLimitBurst=100\n[Service]\nWatchdogSec=6\nRestartSec=500ms\n"
REPEATS = int(os.environ.get("PROMETHEUS_REPEATS", "20"))
DROP_INS = "/run/systemd/system/prometheus-stage1@.service.d"
TOLD_BY_THE_SERVICE = {"service_ready", "reboot"}  # about a run, but not by it: no manifest counts them


def allowed(seconds: float) -> float:
    """A promised time on this machine: whoever shares its processors takes as much from us as the load says."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.fixture
def stage(host):
    return Stage(host)


@pytest.fixture
def quick_restarts(host):
    """A watchdog and restarts that a test can wait for, and as many starts as it likes."""
    host.shell(f"mkdir -p {DROP_INS} && printf '{QUICK}' >{DROP_INS}/quick.conf && systemctl daemon-reload")
    yield
    host.shell(f"rm {DROP_INS}/quick.conf && systemctl daemon-reload")


def test_it_starts_says_ready_and_leaves_a_sealed_run(stage, image_facts, figures):
    figures["first start of an image, s"] = [stage.start()]  # copies its layers for the user
    stage.stop()
    seconds = stage.start()
    figures["start to READY, s"] = [seconds]
    assert stage.show("ActiveState") == "active"
    assert seconds < allowed(READY_SECONDS)
    run = stage.wait_for_sealed_run()
    assert subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS.txt"], cwd=run, check=False).returncode == 0
    manifest = stage.manifest(run)
    assert manifest["image_digest"] == image_facts["images"]["stage1_sandbox"]["digest"]
    assert manifest["git_commit"] == image_facts["git_commit"]
    assert manifest["mode"] == "offline"


def test_its_status_is_a_sentence(stage):
    stage.start()
    for _ in range(100):
        said = stage.show("StatusText")
        if re.match(r"HF_\w+: experiment \d+ of \d+, tick \d+ of \d+, \d+ alive, ", said):
            return
        time.sleep(0.05)
    pytest.fail(f"no such sentence, but: {said}")


def test_the_journal_holds_exactly_what_the_manifest_says_was_sent(stage):
    stage.start()
    run = stage.wait_for_sealed_run()
    run = stage.runs()[-1]
    stage.stop()
    sent = stage.manifest(run)["journal"]["sent"]
    assert sum(sent.values()) > 0
    entries = stage.journal(f"PROMETHEUS_RUN_ID={run.name}")
    found = Counter(entry["PROMETHEUS_EVENT"] for entry in entries)
    found.pop("run_sealed")  # sent when the manifest was final
    assert {event: n for event, n in found.items() if event not in TOLD_BY_THE_SERVICE} == sent


def test_systemctl_stop_seals_the_run_within_three_seconds(stage):
    stage.start()
    time.sleep(0.5)
    assert stage.stop() < allowed(STOP_SECONDS)
    assert stage.show("Result") == "success"
    manifest = stage.manifest(stage.runs()[-1])
    assert manifest["stop_reason"] == "sigterm"
    assert (stage.runs()[-1] / "SHA256SUMS.txt").is_file()


def test_the_stop_file_ends_it_within_three_seconds_and_nothing_starts_while_it_lies_there(stage, host):
    stage.start()
    began = time.monotonic()
    host.inside(STOP_FILE).touch()
    stage.wait_until_gone()
    assert time.monotonic() - began < allowed(STOP_SECONDS)
    assert (stage.runs()[-1] / "SHA256SUMS.txt").is_file()
    refused = host.ask("systemctl", "start", stage.unit)
    assert refused.returncode != 0
    assert "ssertion" in refused.stderr
    assert stage.show("ActiveState") == "inactive"
    host.inside(STOP_FILE).unlink()
    stage.start()
    assert stage.show("ActiveState") == "active"


def test_a_hang_is_killed_restarted_and_its_run_closed_as_interrupted(stage, host, quick_restarts):
    stage.start()
    before, hung = stage.show("MainPID"), stage.runs()[-1]
    restarts = int(stage.show("NRestarts"))
    host.do("kill", "-STOP", str(stage.processes()["python3"]))
    stage.wait_for("NRestarts", str(restarts + 1), seconds=40)
    stage.wait_for("ActiveState", "active", seconds=20)
    assert stage.show("MainPID") != before
    assert (hung / "interrupted.json").is_file()
    ends = [entry["MESSAGE"] for entry in stage.journal("PROMETHEUS_EVENT=incident")]
    assert "hung" in ends[-1]


@pytest.mark.parametrize("victim", ["conmon", "python3"])
def test_whoever_is_killed_the_service_comes_back(stage, host, quick_restarts, victim):
    stage.start()
    restarts = int(stage.show("NRestarts"))
    host.do("kill", "-KILL", str(stage.processes()[victim]))
    stage.wait_for("NRestarts", str(restarts + 1))
    stage.wait_for("ActiveState", "active")
    assert stage.show("SubState") == "running"


# ---- the stop drill --------------------------------------------------------------------------------------------------


@pytest.fixture
def pause():
    """A random moment of a run, the same in every session."""
    moments = random.Random(20260101)
    return lambda: time.sleep(moments.uniform(0.0, 2.5))


def test_twenty_stops_at_random_moments(stage, quick_restarts, pause, figures):
    took = figures.setdefault("systemctl stop to gone, s", [])
    ready = figures.setdefault("start to READY, s", [])
    for _ in range(REPEATS):
        ready.append(stage.start())
        pause()
        took.append(stage.stop())
        assert stage.show("Result") == "success"
        assert (stage.runs()[-1] / "SHA256SUMS.txt").is_file()
    assert max(took) < allowed(STOP_SECONDS)


def test_twenty_pulls_of_the_kill_switch_at_random_moments(stage, host, quick_restarts, pause, figures):
    took = figures.setdefault("STOP file to gone, s", [])
    for _ in range(REPEATS):
        stage.start()
        pause()
        began = time.monotonic()
        host.inside(STOP_FILE).touch()
        stage.wait_until_gone()
        took.append(time.monotonic() - began)
        assert (stage.runs()[-1] / "SHA256SUMS.txt").is_file()
        host.inside(STOP_FILE).unlink()
        host.wait_until("the kill switch", ("systemctl", "is-active", "prometheus-stop.service"), "inactive", 10)
    assert max(took) < allowed(STOP_SECONDS)


def test_the_evidence_of_all_that_passes_the_audit(stage, image_facts):
    reference = image_facts["images"]["stage1_sandbox"]["reference"]
    stage.start()  # closes what the kills above cut off
    stage.stop()
    said = stage.python("audit", "--root", "/", "--json", image=reference)
    assert json.loads(said)["exit_code"] == 0


# ---- the mode --------------------------------------------------------------------------------------------------------


def test_an_environment_variable_never_decides_the_mode(stage, host):
    """The pitfall of the mission document, section 9.1: one mode in the profile, another in the environment's MODE."""
    host.do("systemctl", "set-environment", "MODE=okx_live")
    try:
        stage.start()
        run = stage.runs()[-1]
        stage.stop()
    finally:
        host.do("systemctl", "unset-environment", "MODE")
    assert stage.manifest(run)["mode"] == "offline"


def test_a_profile_without_a_mode_does_not_start(host):
    host.write("/etc/prometheus-quant/profiles/NOMODE.toml", 'stage = "stage1"\n')
    refused = host.ask("systemctl", "start", "prometheus-stage1@NOMODE")
    assert refused.returncode != 0
    said = host.do("journalctl", "-u", "prometheus-stage1@NOMODE", "-o", "cat", "--no-pager")
    assert "mode is None" in said
    assert Stage(host, "NOMODE").show("NRestarts") == "0"
