"""Debian 12 (systemd 252, Podman 4.3): the package installs, evidence verifies, and what cannot be ``doctor`` says.

Podman 4.3 moves itself into a scope of the user's own manager, so systemd takes no notification from it: a stage never
becomes READY there. This module takes the session's host away and boots one of the older suite.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from lab import rootfs
from lab.stage import STATE, Stage

pytestmark = pytest.mark.full

COMMAND = "prometheus-quant"


@pytest.fixture(scope="module")
def old(bare_host, package):
    bare_host.destroy()
    bare_host.suite = rootfs.OLD_SUITE
    try:
        bare_host.up()
        bare_host.put(package, "/srv/prometheus-quant.deb", 0o644)
        bare_host.do("dpkg", "--install", "/srv/prometheus-quant.deb")
        yield bare_host
    finally:
        bare_host.destroy()
        bare_host.suite = rootfs.SUITE


def test_the_package_installs_and_no_unit_fails(old):
    assert old.do("systemctl", "--failed", "--plain", "--no-legend").strip() == ""
    assert old.do("systemctl", "is-active", "prometheus-stop.path").strip() == "active"


def test_the_doctor_says_what_cannot_be_and_why(old):
    ended = old.ask(COMMAND, "doctor", "--json")
    assert ended.returncode == 1
    by_check = {found["check"]: found for found in json.loads(ended.stdout)["findings"]}
    assert by_check["podman"]["level"] == "fail"
    assert "never hears READY" in by_check["podman"]["why"]
    assert "Debian 13" in by_check["podman"]["mend"]
    assert {by_check[name]["level"] for name in ("systemd", "conmon")} == {"warn"}


def test_a_stage_fails_cleanly_and_leaves_nothing_behind(old, images):
    old.put(images / "prometheus-quant.oci.tar", "/srv/prometheus-quant.oci.tar", 0o600)
    release = json.loads(old.do(COMMAND, "release", "load", "/srv/prometheus-quant.oci.tar", "--json"))["id"]
    old.do(COMMAND, "release", "use", release)
    stage = Stage(old)
    with stage.settings("[Service]\nRestart=no\n"):
        assert old.ask("systemctl", "start", stage.unit).returncode != 0
        stage.wait_until_gone()
        assert old.ask("pgrep", "-u", "prometheus-quant", "-f", "run_v10_service").returncode == 1
    assert old.shell(f"ls {STATE}/runs_hf {STATE}/runs").split() == [f"{STATE}/runs:", f"{STATE}/runs_hf:"]


def test_evidence_can_be_verified_there(old, tmp_path):
    """Evidence that was made elsewhere: nothing there makes any."""
    made = [sys.executable, "-I", "-m", "prometheus.cli", "run", "--root", str(tmp_path / "copy"), "--profile", "HF"]
    subprocess.run([*made, "--experiments", "1", "--workers", "1", "--json"], stdout=subprocess.DEVNULL, check=True)
    old.put(tmp_path / "copy", "/srv/copy")
    (run,) = old.inside("/srv/copy/runs_hf").iterdir()
    assert old.ask(COMMAND, "verify", f"/srv/copy/runs_hf/{run.name}").returncode == 0
    assert json.loads(old.do(COMMAND, "audit", "--root", "/srv/copy", "--json"))["exit_code"] == 0
    assert old.ask(COMMAND, "audit").returncode == 2  # the host itself has nothing that could be audited
