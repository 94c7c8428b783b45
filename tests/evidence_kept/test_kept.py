"""What earlier commits wrote is verified, audited and replayed by the code of today, to the same bytes (README.md)."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit

from . import keep

HERE = Path(__file__).parent
KEPT = sorted(place.parent.name for place in HERE.glob("*/root.tar.xz"))
PATIENCE = 120.0  # seconds until a test gives up waiting; no assertion depends on it
WRITTEN = {"HF": 2, "STAGE2": 1, "PROMOTE": 1}
"""Runs by instance that `keep.write` writes."""


@pytest.fixture(scope="module", params=KEPT)
def root(request, tmp_path_factory) -> Path:
    """One installation, unpacked. Tests that write into it do so in a copy."""
    return unpacked(request.param, tmp_path_factory.mktemp("kept") / "root")


def unpacked(commit: str, root: Path) -> Path:
    with tarfile.open(HERE / commit / "root.tar.xz") as packed:
        packed.extractall(root, filter="data")
    return root


def ask(*words: str, module: str = "prometheus.cli") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *words], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def runs_of(root: Path) -> list[Path]:
    return sorted(place.parent for place in root.glob(f"runs*/*/{Artifact.MANIFEST.value}"))


def test_the_last_commit_before_the_rooms_were_rearranged_is_kept():
    assert "6017366" in KEPT
    assert sum(place.stat().st_size for place in HERE.glob("*/root.tar.xz")) < 400_000 * len(KEPT)


def test_each_sample_was_written_by_the_commit_whose_name_it_has(root, request):
    commit = request.node.callspec.params["root"]
    manifests = [json.loads((run / Artifact.MANIFEST.value).read_bytes()) for run in runs_of(root)]
    assert {(m["git_commit"][: len(commit)], m["git_dirty"]) for m in manifests} == {(commit, False)}
    by_instance = [m["instance"] for m in manifests]
    assert {name: by_instance.count(name) for name in by_instance} == WRITTEN


def test_each_run_verifies(root):
    for run in runs_of(root):
        ended = ask("verify", str(run))
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_gate_verifies_and_its_experiments_come_out_the_same(root):
    verified = ask("verify", str(root / "gates" / "g"))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    again = ask("gate", "replay", "g", "--root", str(root), "--sample", "5", "--json")
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads(again.stdout)["compared"] == 5


def test_everything_audits(root):
    report = audit(Layout.under(root))
    assert report.exit_code == 0, [found.line() for found in report.findings]
    counted = report.facts
    assert (counted["runs"], counted["pools"], counted["snapshots"], counted["gates"]) == (4, 2, 1, 1)


def test_each_run_is_replayed_to_the_same_bytes(root):
    for run in runs_of(root):
        ended = ask("replay", str(run), "--root", str(root), "--json")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        compared = json.loads(ended.stdout)
        assert compared["identical"] is True


def test_a_changed_digit_is_noticed(root, tmp_path):
    copy = tmp_path / "root"
    subprocess.run(["cp", "-a", str(root), str(copy)], check=True)
    deaths = next(run for run in runs_of(copy) if run.name.startswith("HF_")) / Artifact.DEATHS.value
    data = deaths.read_bytes()
    at = next(i for i, byte in enumerate(data) if byte in b"12345678")
    deaths.write_bytes(data[:at] + bytes([data[at] + 1]) + data[at + 1 :])
    assert audit(Layout.under(copy)).exit_code == 1


def test_a_service_of_today_goes_on_in_it(root, tmp_path):
    copy = tmp_path / "root"
    subprocess.run(["cp", "-a", str(root), str(copy)], check=True)
    ended = ask(
        "--mode", "offline", "--root", str(copy), "--max-runs", "1", "--stage", "stage1", "--instance", "HF",
        module="prometheus.v10.ops.run_v10_service",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert len(runs_of(copy)) == sum(WRITTEN.values()) + 1
    report = audit(Layout.under(copy))
    assert report.exit_code == 0, [found.line() for found in report.findings]


def test_a_sample_is_packed_without_what_is_no_evidence(tmp_path):
    (tmp_path / "state" / "HF").mkdir(parents=True)
    (tmp_path / "state" / "HF" / "reserve.bin").write_bytes(b"\0")
    (tmp_path / "state" / "ledger.jsonl").write_bytes(b"{}\n")
    keep.pack(tmp_path, tmp_path / "out" / "root.tar.xz")
    with tarfile.open(tmp_path / "out" / "root.tar.xz") as packed:
        names = set(packed.getnames())
    assert "./state/ledger.jsonl" in names
    assert "./state/HF/reserve.bin" not in names
