"""A clean Debian host, the package, a release and a broken one: from the bare machine to the rollback.

Release a is the suite's own image; b is the same under another commit, and c the same with a command that never says
READY. This module comes late because it takes the session's host away and boots a fresh one.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from lab.host import SERVICE_USER
from lab.releases import another
from lab.stage import STOP_FILE, Stage, allowed

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = "prometheus-quant"
UNIT = "prometheus-stage1@HF.service"
STATE = "/var/lib/prometheus-quant"
ROLLBACK_SECONDS = 5.0

NEVER_READY = ["python3", "-c", "import signal; signal.signal(15, lambda *_: exit()); signal.pause()"]


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
    quick = "[Unit]\nStartLimitBurst=100\n[Service]\nTimeoutStartSec=20\nLogFilterPatterns=~<nwarn>\n"
    clean.write("/etc/systemd/system/prometheus-stage1@.service.d/lab.conf", quick)
    clean.do("systemctl", "daemon-reload")
    return clean


@pytest.fixture(scope="module")
def archives(packaged, images) -> dict[str, str]:
    """Releases a and b, which become READY, and c, which never does: OCI archives inside the host."""
    built = images / "prometheus-quant.oci.tar"
    places = {letter: f"/srv/{letter}.oci.tar" for letter in "abc"}
    for letter, place in places.items():
        if letter == "a":
            packaged.put(built, place)
        else:
            another(built, packaged.inside(place), letter, NEVER_READY if letter == "c" else None)
        packaged.inside(place).chmod(0o600)  # as root's own files are
    return places


def state_of(packaged) -> str:
    """What a failing test wants to know."""
    return packaged.ask("systemctl", "status", "--no-pager", "-n", "30", UNIT).stdout


def runs_on(packaged) -> str:
    """The release that the newest run says it runs on; it was READY, so the run is open."""
    newest = Stage(packaged).own_runs()[-1]
    digest = json.loads((newest / "run_manifest.json").read_text())["image_digest"]
    return digest.removeprefix("sha256:")[:12]


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
    for unit in ("prometheus-stop.path", "prometheus-checkpoint.timer"):
        assert packaged.do("systemctl", "is-active", unit).strip() == "active"
        assert packaged.do("systemctl", "is-enabled", unit).strip() == "enabled"


def test_the_doctor_finds_nothing_but_the_missing_release(packaged):
    ended = packaged.ask(COMMAND, "doctor", "--json")
    found = json.loads(ended.stdout)["findings"]
    assert [one["check"] for one in found if one["level"] == "fail"] == ["release"]
    assert ended.returncode == 1


def test_status_says_that_nothing_ever_ran(packaged):
    found = ask(packaged, "status")
    assert (found["instances"], found["release"], found["stop"]["pulled"]) == ([], None, False)
    said = packaged.ask(COMMAND, "audit")
    assert said.returncode == 2  # an audit of nothing is no audit that passed
    assert "nothing was audited" in said.stdout + said.stderr


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
    assert runs_on(packaged) == loaded["a"]


def test_another_release_takes_over_what_runs(packaged, loaded):
    done = ask(packaged, "release", "use", loaded["b"])
    assert done["restarted"] == [UNIT], state_of(packaged)
    assert runs_on(packaged) == loaded["b"]


def test_one_command_goes_back_within_five_seconds(packaged, loaded, figures, repeats):
    for letter in "ab" * max(1, repeats // 4):
        before = time.monotonic()
        done = ask(packaged, "release", "rollback")
        figures.setdefault("release rollback, s", []).append(time.monotonic() - before)
        assert done["in_force"]["id"] == loaded[letter]
        assert runs_on(packaged) == loaded[letter]
    assert min(figures["release rollback, s"]) < allowed(ROLLBACK_SECONDS)


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
    assert "HF_" in packaged.do("systemctl", "status", "--no-pager", UNIT)
    found = ask(packaged, "status")
    (one,) = found["instances"]
    assert (one["unit"], one["state"]) == (UNIT, "active (running)")
    assert one["status"].startswith("HF_")
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


def evidence(packaged) -> set[str]:
    """Every sealed run's files and the records of releases, each with its hash: what nobody may ever change."""
    listed = packaged.shell(
        f"cd {STATE}; for seal in runs_hf/*/SHA256SUMS.txt; do find ${{seal%/*}} -type f; done | sort | xargs sha256sum"
        "; sha256sum state/releases.jsonl state/stops.jsonl"
    )
    return set(listed.splitlines())


@pytest.mark.full
def test_an_upgrade_begins_a_witness_and_keeps_an_operators_no(packaged):
    def is_enabled() -> str:
        return packaged.ask("systemctl", "is-enabled", "prometheus-checkpoint.timer").stdout.strip()

    packaged.do("systemctl", "disable", "--quiet", "--now", "prometheus-checkpoint.timer")
    packaged.do("dpkg", "--install", "/srv/prometheus-quant.deb")
    assert is_enabled() == "disabled"
    packaged.do("rm", "-r", f"{STATE}-witness")  # as a version left it that had none
    packaged.do("dpkg", "--install", "/srv/prometheus-quant.deb")
    assert is_enabled() == "enabled"
    assert packaged.inside(f"{STATE}-witness").stat().st_uid == packaged.user_id("prometheus-witness")


def test_upgrade_remove_and_purge_never_touch_evidence(packaged, package):
    packaged.do("systemctl", "start", UNIT)
    run = Stage(packaged).own_runs()[-1]
    pid = packaged.do("systemctl", "show", UNIT, "-p", "MainPID", "--value")
    before = evidence(packaged)
    assert len(before) > 10
    packaged.do("dpkg", "--install", "/srv/prometheus-quant.deb")
    assert packaged.do("systemctl", "show", UNIT, "-p", "MainPID", "--value") == pid  # an upgrade stops nothing
    packaged.do("dpkg", "--remove", "prometheus-quant")
    assert packaged.ask("systemctl", "is-active", UNIT).stdout.strip() in {"inactive", "unknown", "failed"}
    assert Stage(packaged).is_sealed(run)  # removing stops, and so seals
    assert packaged.inside("/etc/prometheus-quant/profiles/HF.toml").is_file()
    packaged.do("dpkg", "--install", "/srv/prometheus-quant.deb")
    for unit in ("prometheus-stop.path", "prometheus-checkpoint.timer"):
        assert packaged.do("systemctl", "is-enabled", unit).strip() == "enabled"
    packaged.do("dpkg", "--purge", "prometheus-quant")
    assert not packaged.inside("/etc/prometheus-quant/profiles/HF.toml").exists()
    assert [p.name for p in packaged.inside("/usr/lib").glob("prometheus-quant*")] == []
    assert before <= evidence(packaged)
