"""The test host is a real one: systemd is PID 1, the journal writes, Podman runs for an ordinary user."""

from __future__ import annotations

import pytest
from lab.host import SERVICE_USER


def test_the_host_boots_and_no_unit_failed(bare_host):
    assert bare_host.ask("systemctl", "is-system-running").stdout.strip() == "running"
    assert bare_host.do("systemctl", "list-units", "--failed", "--no-legend") == ""


def test_systemd_is_its_first_process(bare_host):
    assert bare_host.do("cat", "/proc/1/comm") == "systemd\n"


def test_provisioning_twice_changes_nothing(installed):
    before = installed.shell("cat /etc/passwd /etc/group /etc/subuid /etc/subgid; ls -lR /var/lib/prometheus-quant")
    installed.do("/usr/lib/prometheus-quant/provision-host")
    after = installed.shell("cat /etc/passwd /etc/group /etc/subuid /etc/subgid; ls -lR /var/lib/prometheus-quant")
    assert after == before
    assert installed.inside("/etc/subuid").read_text().count(SERVICE_USER) == 1


def test_the_units_know_where_the_user_has_its_runtime_directory(installed):
    uid = installed.user_id(SERVICE_USER)
    shown = installed.do("systemctl", "show", "prometheus-stage1@HF.service", "-p", "Environment", "-p", "After")
    assert f"XDG_RUNTIME_DIR=/run/user/{uid}" in shown
    assert f"user@{uid}.service" in shown


def test_the_nightly_audit_of_a_host_where_nothing_ever_ran_ends_well_and_says_so(installed):
    """By hand the same root is still an error: whoever types it means a place where something is."""
    assert not installed.inside("/var/lib/prometheus-quant/state/ledger.jsonl").exists()
    installed.do("systemctl", "start", "prometheus-audit.service")
    said = installed.do("journalctl", "-u", "prometheus-audit.service", "-o", "cat", "--no-pager")
    assert "nothing ever ran here: there is nothing to audit" in said
    assert installed.ask("/usr/bin/prometheus-quant", "audit").returncode == 2


BEGINS = "from prometheus.v10.base.isolation import isolate; isolate('')\n"
"""What every program of ours does first; in the image it chooses the machine code."""


def in_image(host, reference: str, code: str, *env: str) -> str:
    """What a program prints that runs in our image as a stage does: no network, no privilege, nothing to write to."""
    return host.do(
        "podman", "run", "--rm", "--network=none", "--read-only", "--cap-drop=all", "--log-driver=none", "--pull=never",
        "--security-opt=no-new-privileges", "--userns=keep-id:uid=1000,gid=1000",
        "--tmpfs=/opt/prometheus-quant/numba:rw,size=64m", *(f"--env={one}" for one in env), "--entrypoint=python3",
        reference, "-I", "-c", BEGINS + code,
        user=SERVICE_USER,
    )  # fmt: skip


@pytest.fixture(scope="module")
def reference(image_facts) -> str:
    return image_facts["images"]["stage1_sandbox"]["reference"]


def test_our_image_runs_for_the_service_user_without_any_privilege(host, reference):
    code = "import os, json; print(json.dumps([os.getuid(), os.access('/usr', os.W_OK), os.access('/', os.W_OK)]))"
    assert in_image(host, reference, code).strip() == "[1000, false, false]"


def test_our_image_knows_its_commit(host, reference, image_facts):
    code = (
        "from prometheus.v10.evidence.writing.environment import probe; p = probe(); print(p.git_commit, p.git_dirty)"
    )
    assert in_image(host, reference, code).split() == [str(image_facts["git_commit"]), str(image_facts["git_dirty"])]


COMPILES = """
import contextlib, io, os, pathlib
from prometheus.cli.main import main
cache = pathlib.Path(os.environ["NUMBA_CACHE_DIR"])
before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.nb?")}
assert len(before) > 50, len(before)
with contextlib.redirect_stdout(io.StringIO()):
    assert main(["run", "--root", "/tmp/var", "--profile", "HF", "--experiments", "1", "--workers", "1", "--json"]) == 0
after = {path: path.stat().st_mtime_ns for path in cache.rglob("*.nb?")}
print(sorted(path.name for path in after if after[path] != before.get(path)))
"""


@pytest.mark.parametrize("level", ["generic", "x86-64-v3", None])
def test_a_run_compiles_nothing_that_the_image_does_not_hold(host, reference, level):
    """The known answer is computed before and after it, so each level's code gives the same bits."""
    assert (
        in_image(host, reference, COMPILES, *(() if level is None else (f"PQ_MACHINE_CODE={level}",))).strip() == "[]"
    )


def test_a_manifest_says_which_machine_code_ran(host, reference):
    code = (
        "from prometheus.v10.evidence.writing.environment import probe\n"
        "from prometheus.v10.base.isolation import *\n"
        "print(probe().host.extra['machine_code'], runs_on(X86_64_V3, processor_flags()))"
    )
    assert in_image(host, reference, code).split() in (["x86-64-v3", "True"], ["generic", "False"])
    assert in_image(host, reference, code, "PQ_MACHINE_CODE=generic").split()[0] == "generic"


COMPARES = """
import json, os, pathlib
from prometheus.v10.runs.workers.machine_code import SUMS, check_machine_code
cache = pathlib.Path(os.environ["NUMBA_CACHE_DIR"]).parent
print(len(json.loads(SUMS.read_bytes())), check_machine_code(), len([*cache.rglob("*.nb?")]), os.access(SUMS, os.W_OK))
"""


def test_our_image_has_a_list_of_its_compiled_code_and_compares_all_of_it(host, reference):
    listed, compared, there, writable = in_image(host, reference, COMPARES).split()
    assert listed == compared == there
    assert int(listed) > 50
    assert writable == "False"
