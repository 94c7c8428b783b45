"""Limits of memory, tasks and disk, and a clock that is stepped, in a virtual machine (``make host-test-limits``).

systemd-nspawn has neither controllers nor quotas nor a clock of its own. So the host's tree is booted under User-Mode
Linux: the same package, the same image, the same units. It takes some minutes, and the session's host with it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lab import uml
from lab.host import SERVICE_USER

SECONDS = 1500.0
HOME = f"/var/lib/{SERVICE_USER}-podman"

HUNGRY = """\
#!/usr/local/bin/python3
import pathlib, sys, time
from prometheus.v10.ops import run_v10_service
from prometheus.v10.ops.service import service_control as control

ate = pathlib.Path("/var/log/prometheus-quant/ate")
working = control.ServiceControl.progress
kept = []


def eating(self, progress):
    working(self, progress)
    if not ate.exists():
        ate.touch()
        while True:
            kept.append(b"x" * (10 << 20))
            time.sleep(0.01)


control.ServiceControl.progress = eating
if __name__ == "__main__":
    sys.exit(run_v10_service.main())
"""

CROWDED = """\
#!/usr/local/bin/python3
import pathlib, sys, threading, time
from prometheus.v10.ops import run_v10_service
from prometheus.v10.ops.service import service_control as control

working = control.ServiceControl.progress
counted = pathlib.Path("/var/log/prometheus-quant/threads")


def crowding(self, progress):
    working(self, progress)
    if not counted.exists():
        number = 0
        try:
            while number < 500:
                threading.Thread(target=time.sleep, args=(5.0,), daemon=True).start()
                number += 1
        except RuntimeError as error:
            counted.write_text(f"{number} {error}")
        else:
            counted.write_text(f"{number} and no end")


control.ServiceControl.progress = crowding
if __name__ == "__main__":
    sys.exit(run_v10_service.main())
"""

JOB = f"""\
unit=prometheus-stage1@DEMO.service
say() {{ echo "{uml.MARK}$*"; }}
show() {{ systemctl show $unit -P "$1"; }}
settings() {{
    mkdir -p /run/systemd/system/$unit.d
    printf '%s\\n' '[Unit]' StartLimitBurst=100 '[Service]' TimeoutStartSec=900 WatchdogSec=600 TimeoutStopSec=120 \\
        RestartSec=1 "$@" >/run/systemd/system/$unit.d/test.conf
    systemctl daemon-reload
}}
program() {{ echo "Environment=\\"PQ_PODMAN_EXTRA=--volume={HOME}/$1:/program:ro --entrypoint=/program\\""; }}
until_true() {{ # seconds, words: wait for them
    for _ in $(seq "$1"); do eval "$2" && return 0; sleep 1; done
    return 1
}}
check() {{
    prometheus-quant audit --root / --json >/srv/audit.json
    say "$1: audit $? $(tr -d '\\n' </srv/audit.json | grep -o '"message": "[^"]*"' | head -3 | tr '\\n' ' ')"
}}
say "controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
systemctl start user@$(id -u {SERVICE_USER}).service

settings MemoryMax=700M MemorySwapMax=0 "$(program hungry)"
systemctl start $unit || journalctl -u $unit -n 30 -o cat | sed 's/^/{uml.MARK}start: /'
until_true 240 '[ "$(show NRestarts)" -ge 1 ]'
until_true 240 '[ "$(show ActiveState)" = active ]'
say "memory: restarts $(show NRestarts), now $(show ActiveState)"
results=/var/lib/prometheus-quant/state/DEMO/service_results.jsonl
say "memory: results $(grep -o '"result":"[^"]*"' $results | tr '\\n' ' ')"
say "memory: closed $(ls /var/lib/prometheus-quant/runs_hf/*/interrupted.json | wc -l)"
systemctl stop $unit
say "memory: stopped $(show Result)"
check memory

settings TasksMax=40 "$(program crowded)"
systemctl start $unit
until_true 240 '[ -s /var/log/prometheus-quant/threads ]'
say "tasks: threads $(cat /var/log/prometheus-quant/threads)"
say "tasks: now $(show ActiveState), current $(show TasksCurrent)"
sleep 6
systemctl stop $unit
say "tasks: stopped $(show Result)"
check tasks

settings
systemctl start $unit
before=$(date +%s)
date -s '+1 hour' >/dev/null; sleep 8; date -s '-2 hours' >/dev/null; sleep 8
say "clock: now $(show ActiveState), restarts $(show NRestarts), stepped $(( ($(date +%s) - before) / 60 )) minutes"
systemctl stop $unit
say "clock: stopped $(show Result)"
date -s '+1 hour' >/dev/null
check clock

modprobe quota_v2
ln -sf /dev/ubda /dev/root # as /proc/mounts calls it
mount -o remount,usrquota /
quotacheck -cumF vfsv1 / >/srv/quota.log 2>&1 && quotaon / >>/srv/quota.log 2>&1 ||
    say "quota: off $(tr '\\n' ' ' </srv/quota.log)"
systemctl start $unit # first: a container is made of files, too, and they are not what is to be refused
used=$(repquota -un / | awk -v id="#$(id -u {SERVICE_USER})" '$1 == id {{ print $3 }}')
setquota -u {SERVICE_USER} 0 $((used + 32)) 0 0 /
say "quota: limited to 32 KiB more than $used"
told() {{ journalctl -u $unit -o cat PROMETHEUS_EVENT=disk_budget | grep 'quota exceeded'; }}
until_true 300 'told >/dev/null'
say "quota: said $(told | head -1)"
say "quota: now $(show ActiveState), restarts $(show NRestarts)"
systemctl stop $unit
say "quota: stopped $(show Result)"
open_runs() {{ for run in /var/lib/prometheus-quant/runs_hf/*; do [ -f "$run/SHA256SUMS.txt" ] || echo "$run"; done; }}
say "quota: unsealed $(open_runs | wc -l)"
setquota -u {SERVICE_USER} 0 0 0 0 /
systemctl reset-failed
systemctl start $unit
say "quota: lifted $(show ActiveState)"
systemctl stop $unit
check quota
say "the end"
"""


@pytest.fixture(scope="module")
def said(host):
    """What the job in the virtual machine said."""
    if os.environ.get("PQ_HOST_LIMITS") != "1":
        pytest.skip("takes minutes, and the session's host with it: make host-test-limits runs it (PQ_HOST_LIMITS=1)")
    if reason := uml.why_not():
        pytest.skip(reason)
    for name, text in (("hungry", HUNGRY), ("crowded", CROWDED)):
        host.write(f"{HOME}/{name}", text, 0o755)
    host.power_off()
    host.let_go()  # the virtual machine is no host of this lab: another one may be up beside it
    lines = uml.run(host, JOB, SECONDS)
    Path(host.work.parent, "limits.log").write_text("\n".join([*lines, ""]))
    return lines


def about(said: list[str], what: str) -> dict[str, str]:
    """``memory: restarts 1`` as ``{"restarts": "1"}``."""
    found = [line.removeprefix(f"{what}: ") for line in said if line.startswith(f"{what}: ")]
    return {line.split(" ", 1)[0]: line.split(" ", 1)[1] if " " in line else "" for line in found}


def test_the_machine_has_controllers(said):
    assert {"cpu", "memory", "pids"} <= set(about(said, "controllers")) | set(" ".join(said).split())


def test_memory_beyond_the_limit_kills_and_systemd_restarts(said):
    found = about(said, "memory")
    assert found["restarts"] == "1, now active"
    assert '"result":"oom-kill"' in found["results"]
    assert found["closed"] == "1"
    assert found["stopped"] == "success"
    assert found["audit"].startswith("0")


def test_tasks_beyond_the_limit_are_refused_and_the_service_works_on(said):
    found = about(said, "tasks")
    number = int(found["threads"].split()[0])
    assert 0 < number < 40
    assert found["now"].startswith("active")
    assert found["stopped"] == "success"
    assert found["audit"].startswith("0")


def test_a_clock_that_is_stepped_disturbs_nothing(said):
    found = about(said, "clock")
    assert found["now"].startswith("active, restarts 0")
    assert found["stopped"] == "success"
    assert found["audit"].startswith("0")


def test_at_the_quota_the_run_is_sealed_and_told_and_once_lifted_evolution_goes_on(said):
    found = about(said, "quota")
    assert "Disk quota exceeded" in found["said"]
    assert found["now"] == "active, restarts 0"
    assert found["stopped"] == "success"
    assert found["unsealed"] == "0"
    assert found["lifted"] == "active"
    assert found["audit"].startswith("0")
