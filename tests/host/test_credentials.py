"""A credential reaches the process that needs it, as a file, and is seen nowhere else."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest
from lab.host import SERVICE_USER
from lab.stage import PROFILES, STATE, Stage

UNITS = Path(__file__).resolve().parents[2] / "units"
PLACE = "/etc/prometheus-quant/credentials/okx.json"


@pytest.fixture(scope="module")
def secret(host):
    """A key of an exchange, as an operator puts it there."""
    key = secrets.token_hex(16)
    host.write(PLACE, json.dumps({"apiKey": key}), 0o600)
    yield key
    host.inside(PLACE).unlink()


@pytest.fixture(scope="module")
def stage(host, secret):
    """An instance with the drop-in of those that talk to an exchange; what it runs is offline."""
    host.inside(f"{PROFILES}/NETWORKED.toml").write_bytes(host.inside(f"{PROFILES}/DEMO.toml").read_bytes())
    stage = Stage(host, "NETWORKED")
    with stage.settings((UNITS / "networked.conf").read_text()):
        stage.start()
        yield stage
    host.inside(f"{PROFILES}/NETWORKED.toml").unlink()


def test_the_process_reads_it_and_cannot_write_it(stage, host, secret):
    stage.start()
    pid = stage.processes()["python3"]
    seen = f"/proc/{pid}/root" + "/run/credentials/okx.json"
    assert secret in host.do("cat", seen)
    assert host.ask("nsenter", "-t", str(pid), "-m", "touch", "/run/credentials/okx.json").returncode != 0


def test_no_environment_and_no_command_line_shows_it(stage, host, secret):
    stage.start()
    host.write("/srv/sought", secret)  # in a file: the command line that seeks it would be found
    found = host.ask("bash", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | grep -acFf /srv/sought")
    host.inside("/srv/sought").unlink()
    assert found.stdout == "0\n"


@pytest.mark.parametrize(
    "words",
    [
        ("podman", "inspect", "prometheus-stage1-NETWORKED"),
        ("systemctl", "show", "prometheus-stage1@NETWORKED.service"),
        ("systemctl", "cat", "prometheus-stage1@NETWORKED.service"),
        ("systemctl", "status", "-l", "--no-pager", "prometheus-stage1@NETWORKED.service"),
        ("prometheus-quant", "status", "--json"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_nobody_who_asks_is_shown_it(stage, host, secret, words):
    stage.start()
    said = host.do(*words, user=SERVICE_USER if words[0] == "podman" else None)
    assert "NETWORKED" in said
    assert secret not in said


def test_neither_journal_nor_evidence_nor_store_holds_it(stage, host, secret):
    stage.start()
    run = stage.own_runs()[-1]
    stage.stop()
    assert secret not in json.dumps(stage.manifest(run))
    assert secret not in host.do("journalctl", "-o", "export", "--no-pager")
    places = [STATE, "/var/log", "/var/tmp", "/tmp", "/run", f"/var/lib/{SERVICE_USER}-podman"]
    found = host.ask("grep", "-rlsa", "--exclude-dir=root", secret, *places, timeout=600).stdout
    assert found == ""


def test_it_is_gone_with_the_unit(stage, host):
    stage.start()
    there = f"/run/credentials/{stage.unit}"
    assert host.ask("ls", there).stdout == "okx.json\n"
    stage.stop()
    assert host.ask("ls", there).returncode != 0


def test_no_other_user_reads_it(stage, host):
    stage.start()
    refused = host.ask("cat", f"/run/credentials/{stage.unit}/okx.json", user="nobody")
    assert refused.returncode != 0
