"""What a stage's process can and cannot do, asked from inside, with the unit's whole sandbox around it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab.host import SERVICE_USER
from lab.stage import STATE, Stage

PROBE = """\
#!/usr/local/bin/python3
import json, mmap, os, socket, sys
from pathlib import Path
from prometheus.v10.base.custody import CustodianFiles
from prometheus.v10.base.kernel import Files

def works(act, *given):
    try:
        act(*given)
        return True
    except OSError:
        return False

def write(place):
    open(place + "/probe", "w").close()
    os.unlink(place + "/probe")

def reach(address):
    socket.create_connection((address, 80), 1).close()

def of_kind(name):
    socket.socket(getattr(socket, name), socket.SOCK_DGRAM).close()

def changes(files):
    # what of the evidence can be changed: each file and directory, in each way that there is
    found = []
    for folder, _, names in os.walk("LIB"):
        ways = {"mkdir": lambda: files.mkdir(Path(folder, "probe"))}
        for name in names:
            place = Path(folder, name)
            ways |= {
                "open " + name: lambda place=place: files.close(files.open(place, os.O_WRONLY)),
                "rename " + name: lambda place=place: files.rename(place, place.with_name("probe")),
                "link " + name: lambda place=place: files.link(place, place.with_name("probe")),
                "unlink " + name: lambda place=place: files.unlink(place),
            }
        found += [folder + ": " + what for what, way in ways.items() if works(way)]
    return found

status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
places = ("/", "/usr", "/etc/prometheus-quant", "/opt", "/tmp", "/var/log/prometheus-quant", "LIB", "LIB/runs_hf",
          "LIB/pools/stage1", "LIB/pools/stage1/snapshots", "LIB/pools/stage2")
print("PROBE " + json.dumps({
    "uid": os.getuid(),
    "no_new_privileges": int(status["NoNewPrivs"]),
    "capabilities": [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "seccomp": int(status["Seccomp"]),
    "environment": sorted(os.environ),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "reaches": [address for address in ("1.1.1.1", "127.0.0.1", "169.254.1.2") if works(reach, address)],
    "writes": [place for place in places if works(write, place)],
    "sees": {place: sorted(os.listdir(place)) for place in places if place.startswith("LIB/pools")},
    "files": sum(len(names) for _, _, names in os.walk("LIB")),
    "changes": changes(Files()),
    "changes_through_its_custodian": changes(CustodianFiles(Path(sys.argv[sys.argv.index("--custodian") + 1]))),
    "reads_credentials": works(os.listdir, "/etc/prometheus-quant/credentials"),
    "sockets": [name for name in ("AF_INET", "AF_PACKET", "AF_VSOCK") if works(of_kind, name)],
    "reads_shadow": works(open, "/etc/shadow"),
    "writes_code": works(mmap.mmap, -1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
                         mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "mounts": sorted(place for place, how in (line.split()[4:6] for line in open("/proc/self/mountinfo"))
                     if "rw" in how.split(",") and not place.startswith(("/proc", "/sys", "/dev"))),
}), flush=True)
""".replace("LIB", STATE)


def ask_inside(host, stage: int) -> dict[str, Any]:
    """Start the stage's own unit with the probe instead of the service; returns what the probe saw."""
    program = f"/var/lib/{SERVICE_USER}-podman/probe"
    host.write(program, PROBE, 0o755)
    host.write("/etc/prometheus-quant/profiles/PROBE.toml", f'mode = "offline"\nstage = "stage{stage}"\n')
    host.write(
        f"/etc/systemd/system/prometheus-stage{stage}@PROBE.service.d/probe.conf",
        "[Service]\nType=exec\nRestart=no\nWatchdogSec=0\n"
        f'Environment="PQ_PODMAN_EXTRA=--volume={program}:/probe:ro --entrypoint=/probe"\n',
    )
    host.do("systemctl", "daemon-reload")
    unit = Stage(host, "PROBE", stage)
    host.do("systemctl", "start", unit.unit)
    unit.wait_until_gone()
    said = [str(entry["MESSAGE"]) for entry in unit.journal()]
    found = [line.removeprefix("PROBE ") for line in said if line.startswith("PROBE ")]
    assert found, said[-20:]
    return dict(json.loads(found[-1]))


@pytest.fixture(scope="module")
def pools(host):
    """Live pools and a snapshot for the stages to look for; those that are there already are left alone."""
    stage = Stage(host)
    stage.start()
    stage.wait_for_sealed_run()
    stage.stop()
    made = []
    for stage in ("stage1", "stage2"):
        for name in ("pool.jsonl", "snapshots/snapshot_a.jsonl"):
            if not host.inside(place := f"{STATE}/pools/{stage}/{name}").exists():
                host.write(place, "x\n")
                made.append(place)
    host.do("chown", "-R", f"{SERVICE_USER}:", f"{STATE}/pools")
    yield
    host.do("rm", *made)


@pytest.fixture(scope="module")
def seen(host, pools):
    return {stage: ask_inside(host, stage) for stage in (1, 2)}


@pytest.mark.parametrize("stage", [1, 2])
def test_it_has_no_privilege_and_can_get_none(seen, stage):
    found = seen[stage]
    assert found["uid"] == 1000
    assert found["capabilities"] == [0, 0, 0, 0]
    assert found["no_new_privileges"] == 1
    assert found["seccomp"] == 2
    assert not found["reads_shadow"]


@pytest.mark.parametrize("stage", [1, 2])
def test_offline_it_has_no_network(seen, stage):
    assert seen[stage]["interfaces"] == ["lo"]
    assert seen[stage]["reaches"] == []
    assert seen[stage]["sockets"] == ["AF_INET"]


@pytest.mark.parametrize("stage", [1, 2])
def test_it_writes_logs_and_scratch_and_nothing_else(seen, stage):
    """What hides the other stage's pools is an empty directory of its own, which goes with it."""
    assert set(seen[stage]["writes"]) == {"/var/log/prometheus-quant", "/tmp", f"{STATE}/pools/stage{3 - stage}"}


@pytest.mark.parametrize("stage", [1, 2])
def test_the_past_is_out_of_its_reach(seen, stage):
    """Runs, pools, snapshots, ledger and state of a host with a past: by its own calls, and through its custodian."""
    assert seen[stage]["files"] > 20
    scratch = f"{STATE}/pools/stage{3 - stage}: mkdir"
    assert seen[stage]["changes"] == [scratch]
    locks = {f"{STATE}/state: open ledger.jsonl.lock", f"{STATE}/pools/stage{stage}: open pool.jsonl.lock"}
    assert set(seen[stage]["changes_through_its_custodian"]) <= locks


@pytest.mark.parametrize("stage", [1, 2])
def test_no_file_system_of_the_host_with_evidence_is_mounted_writable(seen, stage):
    ours = {"/var/log/prometheus-quant", f"{STATE}/pools/stage{3 - stage}"}
    scratch = {"/tmp", "/var/tmp", "/run", "/opt/prometheus-quant/numba"}
    sockets = {"/run/systemd/journal/socket", "/run/notify", "/run/custodian"}
    podmans = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv", "/run/secrets"}
    assert set(seen[stage]["mounts"]) - ours - scratch - sockets - podmans == set()


@pytest.mark.parametrize("stage", [1, 2])
def test_what_was_given_up_is_that_memory_is_written_and_executed(seen, stage):
    """numba needs it: docs/adr/compiled-code-in-the-image.md. If this fails, the directive can be had after all."""
    assert seen[stage]["writes_code"]


@pytest.mark.parametrize("stage", [1, 2])
def test_the_environment_tells_no_mode_and_no_secret(seen, stage):
    assert "MODE" not in seen[stage]["environment"]
    assert not seen[stage]["reads_credentials"]


def test_stage_1_sees_its_own_pool_and_nothing_of_stage_2(seen):
    assert {"pool.jsonl", "snapshots"} <= set(seen[1]["sees"][f"{STATE}/pools/stage1"])
    assert seen[1]["sees"][f"{STATE}/pools/stage2"] == []


def test_stage_2_sees_the_snapshots_of_stage_1_but_never_the_live_pool(seen):
    assert seen[2]["sees"][f"{STATE}/pools/stage1"] == ["snapshots"]
    assert "snapshot_a.jsonl" in seen[2]["sees"][f"{STATE}/pools/stage1/snapshots"]
    assert {"pool.jsonl", "snapshots"} <= set(seen[2]["sees"][f"{STATE}/pools/stage2"])
