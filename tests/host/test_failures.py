"""Whatever is killed, full or restarted: the service is back or has cleanly failed, and the evidence verifies.

What cannot happen on this host: its clock is that of the machine and cannot be stepped, and it has no memory or task
limits; `test_limits.py` shows those in a virtual machine.
"""

from __future__ import annotations

import time

import pytest
from lab.host import SERVICE_USER
from lab.stage import PROFILES, STATE, Stage, passes_the_audit, wait_until

MANY_STARTS = "[Unit]\nStartLimitBurst=200\n[Service]\nRestartSec=500ms\n"


@pytest.fixture
def stage(host):
    with Stage.long(host).settings(MANY_STARTS) as stage:
        yield stage


@pytest.fixture(autouse=True)
def the_evidence_verifies(host):
    """After each of these: the audit passes."""
    yield
    host.ask("systemctl", "stop", "prometheus-stage*@*.service")
    passes_the_audit(host)


# ---- killed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("victim", ["python3", "conmon"])
def test_whoever_is_killed_the_service_comes_back(stage, host, victim, repeats, figures):
    took = figures.setdefault(f"SIGKILL of {victim} to READY again, s", [])
    stage.start()
    for _ in range(max(1, repeats // 4)):
        runs = stage.own_runs()
        restarts, cut_off = int(stage.show("NRestarts")), runs[-1]
        host.do("kill", "-KILL", str(stage.processes()[victim]))
        began = time.monotonic()
        stage.wait_for("NRestarts", str(restarts + 1))
        stage.wait_for("ActiveState", "active")
        took.append(time.monotonic() - began)
        assert stage.show("SubState") == "running"
        stage.wait_until_closed(cut_off)
        stage.wait_for_run(len(runs))


@pytest.mark.full
def test_nothing_of_podman_stays_that_could_be_killed(stage):
    stage.start()
    wait_until("the payload is alone with conmon", lambda: set(stage.processes()) == {"conmon", "python3"}, seconds=10)


@pytest.mark.full
def test_podman_killed_while_it_starts_the_container(stage, host):
    host.do("systemctl", "start", "--no-block", stage.unit)
    starting = "podman .* run -d .*name=prometheus-stage1-LONG"
    killed = host.shell(
        f"for i in $(seq 400); do p=$(pgrep -u {SERVICE_USER} -f '{starting}' | head -1);"
        ' if [ -n "$p" ]; then kill -KILL "$p" && echo killed && exit; fi; sleep 0.01; done; echo never seen'
    )
    assert killed.strip() == "killed"
    stage.wait_for("ActiveState", "active", seconds=60)
    assert stage.show("SubState") == "running"


@pytest.mark.full
def test_the_pause_process_killed_with_the_payload(stage, host):
    """Podman's user namespace goes with it; the unit that every start pulls in makes a new one."""
    stage.start()
    restarts = int(stage.show("NRestarts"))
    host.shell(f"pkill -KILL -u {SERVICE_USER} -x 'podman pause|catatonit' || pkill -KILL -u {SERVICE_USER} podman")
    host.do("kill", "-KILL", str(stage.processes()["python3"]))
    stage.wait_for("NRestarts", str(restarts + 1))
    stage.wait_for("ActiveState", "active")


def test_a_kill_that_nobody_restarts_is_closed_by_the_recorder(host):
    stage = Stage.long(host)
    with stage.settings("[Service]\nRestart=no\n"):
        stage.start()
        run = stage.own_runs()[-1]
        host.do("kill", "-KILL", str(stage.processes()["python3"]))
        stage.wait_until_gone()
        stage.wait_until_closed(run)
        assert "killed" in stage.journal("PROMETHEUS_EVENT=incident")[-1]["MESSAGE"]
        heard = host.do("journalctl", "-o", "cat", "--no-pager", "PROMETHEUS_EVENT=run_interrupted_closed",
                        f"PROMETHEUS_RUN_ID={run.name}")  # fmt: skip
        assert run.name in heard


@pytest.mark.full
def test_a_crash_loop_ends_and_leaves_nothing_open(host):
    stage = Stage.long(host)
    with stage.settings("[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=120\n[Service]\nRestartSec=100ms\n"):
        stage.start()
        first = len(stage.own_runs()) - 1
        while stage.show("ActiveState") == "active":
            host.do("kill", "-KILL", str(stage.processes()["python3"]))
            stage.wait_for("SubState", "running", "failed", seconds=20)
            time.sleep(0.3)
            stage.wait_for("SubState", "running", "failed", seconds=20)
        assert stage.show("ActiveState") == "failed"
        ours = stage.own_runs()[first:]
        assert len(ours) == 3
        for run in ours:
            stage.wait_until_closed(run)


# ---- the manager and the journal -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "says", "hint"),
    [
        ("release.env", "error: no release is in force on this host", "prometheus-quant release load"),
        ("profiles/LONG.toml", "error: /etc/prometheus-quant/profiles/LONG.toml: ", "names its mode"),
    ],
)
def test_what_no_start_can_mend_is_refused_once_and_says_what_to_do(host, missing, says, hint):
    """No release, or no profile: nothing tries again, and nothing of the stage fails in its wake."""
    stage, place = Stage.long(host), f"/etc/prometheus-quant/{missing}"
    preflight = "prometheus-preflight@LONG.service"
    with stage.settings("[Service]\nRestartSec=100ms\n"):
        since = host.do("date", "+%s").strip()
        host.do("mv", place, f"{place}.away")
        try:
            assert host.ask("systemctl", "start", stage.unit).returncode != 0
            assert stage.show("NRestarts") == "0"
            host.do("journalctl", "--sync")
            said = host.do("journalctl", "-u", preflight, "-o", "cat", "--no-pager", f"--since=@{since}").splitlines()
            (number,) = [at for at, line in enumerate(said) if line.startswith(says)]
            assert hint in said[number + 1]
            failed = host.do("systemctl", "list-units", "--failed", "--plain", "--no-legend", "prometheus-*")
            assert [line.split()[0] for line in failed.splitlines()] == [preflight]
        finally:
            host.do("mv", f"{place}.away", place)


@pytest.mark.full
def test_reload_and_reexec_of_systemd_disturb_nothing(stage, host):
    stage.start()
    main, status = stage.show("MainPID"), stage.show("StatusText")
    for _ in range(5):
        host.do("systemctl", "daemon-reload")
    host.do("systemctl", "daemon-reexec")
    assert stage.show("MainPID") == main
    until = time.monotonic() + 20
    while stage.show("StatusText") == status:
        assert time.monotonic() < until, "STATUS advances"
        time.sleep(0.1)
    run = stage.own_runs()[-1]
    stage.stop()
    assert stage.show("Result") == "success"
    assert stage.is_sealed(run)


def test_no_entry_is_lost_while_journald_is_restarted(stage, host):
    stage.start()
    run = stage.own_runs()[-1]
    for _ in range(3):
        host.do("systemctl", "restart", "systemd-journald.service")
        time.sleep(0.5)
    assert stage.show("ActiveState") == "active"
    stage.stop()
    stage.witnesses_agree(run)


# ---- side by side ----------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_two_instances_leave_each_other_alone(stage, host):
    with Stage(host, "DEMO").settings(MANY_STARTS) as other:
        stage.start()
        other.start()
        main, cut_off = other.show("MainPID"), stage.own_runs()[-1]
        restarts = int(stage.show("NRestarts"))
        host.do("kill", "-KILL", str(stage.processes()["python3"]))
        stage.wait_for("NRestarts", str(restarts + 1))
        stage.wait_for("ActiveState", "active")
        stage.wait_until_closed(cut_off)
        stage.stop()
        assert (other.show("MainPID"), other.show("ActiveState")) == (main, "active")
        run = other.own_runs()[-1]
        other.stop()
        assert other.is_sealed(run)
        assert other.seals(run) == ["run_sealed"]


@pytest.mark.full
def test_stage_2_beside_stage_1(stage, host):
    if not host.inside(f"{PROFILES}/STAGE2.toml").is_file():
        pytest.skip("this version ships no profile of stage 2")
    stage.start()
    until = time.monotonic() + 60
    while not (host.inside(f"{STATE}/pools/stage1/pool.jsonl").is_file() and stage.processes()):
        assert time.monotonic() < until
        time.sleep(0.2)
    host.do("systemctl", "start", "prometheus-snapshot.service")
    with Stage(host, "STAGE2", stage=2).settings(MANY_STARTS) as second:
        second.start()
        main = stage.show("MainPID")
        assert second.show("ActiveState") == "active"
        run = second.own_runs()[-1]
        second.stop()
        assert second.show("Result") == "success"
        assert second.is_sealed(run)
        assert stage.show("MainPID") == main


# ---- a full disk -----------------------------------------------------------------------------------------------------


def wait_for_status(stage: Stage, word: str, seconds: float = 60.0) -> None:
    """Wait until STATUS has a word in it."""
    until = time.monotonic() + seconds
    while word not in (said := stage.show("StatusText")):
        assert time.monotonic() < until, said
        time.sleep(0.1)


def test_a_full_var_ends_the_run_and_room_lets_it_go_on(host):
    """A small file system in the place of the evidence, filled by somebody else while a run works."""
    stage = Stage.long(host, keep_free_bytes=8 << 20, pause_seconds=1)
    host.shell(f"mount -t tmpfs -o size=256m,mode=755 tmpfs {STATE} && chown {SERVICE_USER}: {STATE}")
    try:
        host.do("systemd-tmpfiles", "--create", "prometheus-quant.conf")
        with stage.settings(MANY_STARTS):
            stage.start()
            host.ask("dd", "if=/dev/zero", f"of={STATE}/somebody-elses", "bs=1M")
            wait_for_status(stage, "room")
            assert "manifest" in host.do("ls", "-R", f"{STATE}/runs_hf")
            host.do("rm", f"{STATE}/somebody-elses")
            wait_for_status(stage, "experiment")
            stage.stop()
            assert stage.show("Result") == "success"
            found = passes_the_audit(host)
            assert found["reports"][0]["facts"]["runs"] >= 2
        assert stage.journal("PROMETHEUS_EVENT=disk_budget")
    finally:
        host.ask("umount", STATE)


# ---- the host itself -------------------------------------------------------------------------------------------------


@pytest.fixture
def enabled(host):
    """An instance that the next boot starts."""
    stage = Stage.long(host)
    host.do("systemctl", "enable", "prometheus.target", stage.unit)
    yield stage
    host.do("systemctl", "disable", "prometheus.target", stage.unit)


def test_a_reboot_seals_what_runs_and_starts_what_is_enabled(enabled, host, repeats):
    enabled.start()
    for _ in range(max(1, repeats // 10)):
        run = enabled.own_runs()[-1]
        host.reboot()
        enabled.wait_for("ActiveState", "active", seconds=60)
        assert enabled.is_sealed(run)
        assert enabled.seals(run) == ["run_sealed"]
        assert enabled.show("NRestarts") == "0"


@pytest.mark.full
def test_a_power_cut_is_closed_by_the_next_boot(enabled, host, repeats):
    enabled.start()
    for _ in range(max(1, repeats // 10)):
        run = enabled.own_runs()[-1]
        host.pull_the_plug()
        host.up()
        enabled.wait_for("ActiveState", "active", seconds=60)
        enabled.wait_until_closed(run)


@pytest.mark.full
def test_a_boot_with_the_kill_switch_pulled_is_a_good_boot_and_starts_nothing(enabled, host):
    host.inside("/etc/prometheus-quant/STOP").touch()
    host.reboot()
    assert host.ask("systemctl", "is-system-running").stdout.strip() == "running"
    assert enabled.show("ActiveState") == "inactive"
