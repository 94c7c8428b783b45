"""A clean Debian host, the package, a release and a broken one: from the bare machine to the rollback.

The images here are stand-ins of a few lines (one says READY, one never does): releases are about which image runs, not
about what it does. This module comes last because it takes the session's host away and boots a fresh one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab.host import SERVICE_USER
from lab.stage import STOP_FILE

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = "prometheus-quant"
UNIT = "prometheus-stage1@HF.service"
STATE = "/var/lib/prometheus-quant"
ROLLBACK_SECONDS = 5.0

PAYLOAD = """
import os, signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if {ready}:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.sendto(b"STATUS=stand-in {letter} is ready", os.environ["NOTIFY_SOCKET"])
while True:
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("deb")
    subprocess.run([str(REPOSITORY / "packaging/deb/build-deb.sh"), str(out)], check=True, capture_output=True)
    (built,) = out.glob("*.deb")
    return built


@pytest.fixture(scope="module")
def clean(bare_host):
    """A fresh host, whatever tests before did to the session's one."""
    bare_host.destroy()
    bare_host.up()
    return bare_host


@pytest.fixture(scope="module")
def packaged(clean, package):
    """The host with the package installed, without network, and short time-outs."""
    clean.put(package, "/srv/prometheus-quant.deb", 0o644)
    clean.do("dpkg", "--install", "/srv/prometheus-quant.deb")
    quick = "[Unit]\nStartLimitBurst=100\n[Service]\nTimeoutStartSec=8\nWatchdogSec=0\nLogFilterPatterns=~<nwarn>\n"
    clean.write("/etc/systemd/system/prometheus-stage1@.service.d/lab.conf", quick)
    clean.do("systemctl", "daemon-reload")
    return clean


@pytest.fixture(scope="module")
def archives(packaged, tmp_path_factory) -> dict[str, str]:
    """Releases a and b, which become READY, and c, which never does: OCI archives inside the host."""
    base = next(iter(sorted(Path("/var/tmp/prometheus-quant-build").glob("base-*.tar"))), None)
    if base is None:
        pytest.skip("no base image is kept here: make image makes one")
    home = f"/var/lib/{SERVICE_USER}-podman"
    packaged.put(base, f"{home}/base.tar", 0o644)
    packaged.do("podman", "import", "-q", f"{home}/base.tar", "localhost/base:1", user=SERVICE_USER)
    packaged.inside(f"{home}/base.tar").unlink()
    made = {}
    for letter in "abc":
        built = tmp_path_factory.mktemp(letter)
        lines = ["base localhost/base:1 stand-in sha256:0"]
        for target in ("stage1_sandbox", "stage2_sandbox"):
            folder = f"{home}/{letter}-{target}"
            packaged.write(f"{folder}/payload.py", PAYLOAD.format(ready=letter != "c", letter=letter))
            packaged.write(
                f"{folder}/Containerfile",
                "FROM localhost/base:1\nCOPY payload.py /payload.py\nUSER 1000:1000\n"
                f"LABEL io.prometheus-quant.target={target} org.opencontainers.image.revision={letter * 40}\n"
                'ENTRYPOINT ["python3", "/payload.py"]\n',
            )
            packaged.shell(f"chown -R {SERVICE_USER}: {folder}")
            name = f"localhost/drill:{letter}-{target}"
            packaged.do("podman", "build", "-q", "--network=none", "-t", name, folder, user=SERVICE_USER)
            packaged.do("podman", "save", "-q", "--format", "oci-dir", "--uncompressed", "-o", f"{folder}/oci", name,
                    user=SERVICE_USER)  # fmt: skip
            said = packaged.do("podman", "image", "inspect", "--format", "{{.Id}} {{.Size}}", name, user=SERVICE_USER)
            lines.append(f"target {target} {said.strip()}")
            subprocess.run(["cp", "-r", str(packaged.inside(f"{folder}/oci")), str(built / target)], check=True)
            packaged.do("podman", "rmi", "-f", name, user=SERVICE_USER)
        (built / "ids").write_text("\n".join(lines) + "\n")
        (built / "build.env").write_text(
            f"EPOCH=1767225600\nCREATED=2026-01-01T00:00:00Z\nGIT_COMMIT={letter * 40}\nGIT_DIRTY=false\n"
        )
        script = str(REPOSITORY / "containers/archive.py")
        subprocess.run([sys.executable, script, str(built), str(built / "out")], check=True)
        place = f"/srv/{letter}.oci.tar"
        packaged.put(built / "out/prometheus-quant.oci.tar", place, 0o600)  # as root's own files are
        made[letter] = place
    return made


def state_of(packaged) -> str:
    """What a failing test wants to know."""
    return packaged.ask("systemctl", "status", "--no-pager", "-n", "30", UNIT).stdout


def ask(packaged, *words: str) -> dict:
    return json.loads(packaged.do(COMMAND, *words, "--json"))


@pytest.fixture(scope="module")
def loaded(packaged, archives) -> dict[str, str]:
    """Ids of the releases, by letter."""
    return {letter: ask(packaged, "release", "load", place)["id"] for letter, place in archives.items()}


# ---- the package -----------------------------------------------------------------------------------------------------


def test_the_package_installs_without_network_and_leaves_nothing_failed(packaged):
    assert packaged.do(COMMAND, "--version").startswith("prometheus-quant ")
    assert packaged.do("systemctl", "list-units", "--failed", "--no-legend") == ""
    assert packaged.do("systemctl", "is-active", "prometheus-stop.path").strip() == "active"


def test_the_doctor_finds_nothing_but_the_missing_release(packaged):
    ended = packaged.ask(COMMAND, "doctor", "--json")
    found = json.loads(ended.stdout)["findings"]
    assert [one["check"] for one in found if one["level"] == "fail"] == ["release"]
    assert ended.returncode == 1


def test_status_says_that_nothing_ever_ran(packaged):
    found = ask(packaged, "status")
    assert (found["instances"], found["release"], found["stop"]["pulled"]) == ([], None, False)
    assert ask(packaged, "audit")["exit_code"] == 0


def test_manual_pages_and_completions_are_there(packaged):
    listed = packaged.do("dpkg", "-L", "prometheus-quant").splitlines()
    for part in ("man1/prometheus-quant.1.gz", "man7/prometheus-quant.7.gz", "completions/prometheus-quant",
                 "vendor-completions/_prometheus-quant", "vendor_completions.d/prometheus-quant.fish"):  # fmt: skip
        assert any(line.endswith(part) for line in listed), part
    completed = packaged.do("env", "COMP_WORDS=prometheus-quant rel", "COMP_CWORD=1",
                        "_PROMETHEUS_QUANT_COMPLETE=complete_bash", COMMAND)  # fmt: skip
    assert completed.split() == ["release"]


def test_journal_entries_are_explained(packaged):
    assert "released" in packaged.do("journalctl", "--dump-catalog", "4a8f6c2e91d74b0fa3c5d8e7b6019f24")


# ---- releases --------------------------------------------------------------------------------------------------------


def test_the_first_release_is_loaded_put_in_force_and_started(packaged, loaded):
    done = ask(packaged, "release", "use", loaded["a"])
    assert (done["in_force"]["id"], done["restarted"], done["previous"]) == (loaded["a"], [], None)
    packaged.do("systemctl", "start", UNIT)
    packaged.wait_until(
        "its status", ("systemctl", "show", UNIT, "-p", "StatusText", "--value"), "stand-in a is ready", 10
    )


def test_another_release_takes_over_what_runs(packaged, loaded):
    done = ask(packaged, "release", "use", loaded["b"])
    assert done["restarted"] == [UNIT], state_of(packaged)
    packaged.wait_until(
        "its status", ("systemctl", "show", UNIT, "-p", "StatusText", "--value"), "stand-in b is ready", 10
    )


def test_one_command_goes_back_within_five_seconds(packaged, loaded, figures):
    for letter in "abababab":
        before = time.monotonic()
        done = ask(packaged, "release", "rollback")
        figures.setdefault("release rollback, s", []).append(time.monotonic() - before)
        assert done["in_force"]["id"] == loaded[letter]
        shown = ("systemctl", "show", UNIT, "-p", "StatusText", "--value")
        packaged.wait_until("its status", shown, f"stand-in {letter} is ready", 10)
    assert min(figures["release rollback, s"]) < ROLLBACK_SECONDS


def test_a_release_that_never_becomes_ready_is_undone(packaged, loaded):
    before = ask(packaged, "release", "list")
    ended = packaged.ask(COMMAND, "release", "use", loaded["c"])
    assert ended.returncode == 74
    assert "runs again" in ended.stderr
    after = ask(packaged, "release", "list")
    assert (after["in_force"], after["previous"]) == (before["in_force"], before["previous"])
    assert packaged.do("systemctl", "is-active", UNIT).strip() == "active"
    events = packaged.do("journalctl", "PROMETHEUS_EVENT=rollback", "-o", "cat", "--no-pager").splitlines()
    assert any(before["in_force"]["id"] in line for line in events)


def test_every_step_is_on_record_and_belongs_to_the_service_user(packaged):
    place = packaged.inside(f"{STATE}/state/releases.jsonl")
    steps = [json.loads(line)["payload"]["step"] for line in place.read_text().splitlines()]
    assert steps.count("loaded") == 3
    assert steps[-2:] == ["begun", "reverted"]
    assert place.stat().st_uid == packaged.user_id(SERVICE_USER)


def test_status_shows_what_runs_and_on_which_release(packaged, loaded):
    assert "stand-in" in packaged.do("systemctl", "status", "--no-pager", UNIT)
    found = ask(packaged, "status")
    (one,) = found["instances"]
    assert (one["unit"], one["state"]) == (UNIT, "active (running)")
    assert one["status"].startswith("stand-in")
    assert found["release"]["id"] in loaded.values()
    assert found["release"]["since"] is not None


# ---- the kill switch -------------------------------------------------------------------------------------------------


def test_stop_and_clear_stop(packaged, figures):
    before = time.monotonic()
    done = ask(packaged, "stop", "--reason", "a drill")
    figures["prometheus-quant stop, s"] = [time.monotonic() - before]
    assert (done["running"], done["ended"]) == ([], [UNIT])
    refused = packaged.ask("systemctl", "start", UNIT)
    assert refused.returncode != 0
    assert json.loads(packaged.inside(STOP_FILE).read_text())["reason"] == "a drill"
    assert ask(packaged, "clear-stop", "--reason", "over")["cleared"] is True
    packaged.do("systemctl", "start", UNIT)
    heard = packaged.do("journalctl", "-o", "cat", "--no-pager", "PROMETHEUS_EVENT=stop_requested",
                    "PROMETHEUS_EVENT=stop_cleared").splitlines()  # fmt: skip
    assert [line for line in heard if "kill switch" in line][-2:] == [
        "kill switch pulled by root: a drill", "kill switch released by root: over",
    ]  # fmt: skip
    ask(packaged, "stop", "--instance", "HF")
    assert not packaged.inside(STOP_FILE).exists()


# ---- evidence outlives the package -----------------------------------------------------------------------------------


def evidence(packaged) -> str:
    """Every file and its hash; locks are no evidence."""
    return packaged.shell(f"cd {STATE} && find . -type f ! -name '*.lock' -print0 | sort -z | xargs -0 sha256sum")


def test_upgrade_remove_and_purge_never_touch_evidence(packaged, package):
    packaged.write(f"{STATE}/runs_hf/a-run/run_manifest.json", "{}\n")
    packaged.do("systemctl", "start", UNIT)
    pid = packaged.do("systemctl", "show", UNIT, "-p", "MainPID", "--value")
    before = evidence(packaged)
    packaged.do("dpkg", "--install", "/srv/prometheus-quant.deb")
    assert packaged.do("systemctl", "show", UNIT, "-p", "MainPID", "--value") == pid  # an upgrade stops nothing
    assert evidence(packaged) == before
    packaged.do("dpkg", "--remove", "prometheus-quant")
    assert packaged.ask("systemctl", "is-active", UNIT).stdout.strip() in {"inactive", "unknown", "failed"}
    after = evidence(packaged)
    assert [line for line in before.splitlines() if "service_results" not in line and line not in after] == []
    assert packaged.inside("/etc/prometheus-quant/profiles/HF.toml").is_file()
    packaged.do("dpkg", "--purge", "prometheus-quant")
    assert not packaged.inside("/etc/prometheus-quant/profiles/HF.toml").exists()
    assert packaged.inside(f"{STATE}/runs_hf/a-run/run_manifest.json").read_text() == "{}\n"
    assert packaged.inside(f"{STATE}/state/releases.jsonl").is_file()
    assert [p.name for p in packaged.inside("/usr/lib").glob("prometheus-quant*")] == []
