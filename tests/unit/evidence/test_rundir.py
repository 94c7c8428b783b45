"""A run's directory: created once, filled in batches, sealed, and entered into the ledger."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from prometheus.v10.base.errors import EvidenceError, HostError, UsageError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import Artifact, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger import Ledger, iter_entries
from prometheus.v10.evidence.records.codec import from_json_bytes
from prometheus.v10.evidence.records.fingerprint import ExecutionFingerprint, offline_fingerprint
from prometheus.v10.evidence.records.summary import MultipleExperimentsSummary
from prometheus.v10.evidence.records.telemetry import GatingTelemetry
from prometheus.v10.evidence.writing.manifest import RunManifest
from prometheus.v10.evidence.writing.rundir import RunDirectory
from tests.faulty import FaultyFiles

GOLDENS = Path(__file__).parent / "goldens"
RUN_ID = "HF_20260102T030405Z_0123456_0000"


def golden(name: str, cls: type[attrs.AttrsInstance]):
    return from_json_bytes((GOLDENS / name).read_bytes(), cls, where=name)


@pytest.fixture
def running() -> RunManifest:
    return golden("run_manifest.running.json", RunManifest)


@pytest.fixture
def completed() -> RunManifest:
    return golden("run_manifest.completed.json", RunManifest)


@pytest.fixture
def ledger(layout: Layout, fake_clock, no_torn) -> Ledger:
    return Ledger(layout.ledger, clock=fake_clock, instance="HF", on_torn=no_torn)


@pytest.fixture
def run(layout: Layout):
    with RunDirectory.create(layout, Tier.TIER1_HF, RUN_ID) as directory:
        yield directory


def fill(run: RunDirectory) -> None:
    run.write_artifact(Artifact.SUMMARY, golden("multiple_experiments_summary.json", MultipleExperimentsSummary))
    run.write_artifact(Artifact.FINGERPRINT, golden("execution_fingerprint.json", ExecutionFingerprint))
    run.write_artifact(Artifact.TELEMETRY, golden("gating_telemetry.json", GatingTelemetry))


def test_a_new_run_has_empty_event_files(run: RunDirectory, layout: Layout) -> None:
    assert run.path == layout.lib / "runs_hf" / RUN_ID
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == {
        "death_events.jsonl": b"",
        "birth_events.jsonl": b"",
        "survivors.jsonl": b"",
        "collapse_events.jsonl": b"",
        "interesting_deaths.jsonl": b"",
    }


def test_a_run_id_that_is_taken_is_refused_and_its_bytes_stay(run: RunDirectory, layout: Layout) -> None:
    run.append(Artifact.DEATHS, b"{}\n")
    with pytest.raises(EvidenceError, match="exists already"):
        RunDirectory.create(layout, Tier.TIER1_HF, RUN_ID)
    assert (run.path / "death_events.jsonl").read_bytes() == b"{}\n"


def test_a_link_in_the_runs_place_is_refused(layout: Layout, tmp_path: Path) -> None:
    (layout.runs(Tier.TIER1_HF) / RUN_ID).symlink_to(tmp_path)
    with pytest.raises(EvidenceError, match="exists already"):
        RunDirectory.create(layout, Tier.TIER1_HF, RUN_ID)
    assert not (tmp_path / "death_events.jsonl").exists()


def test_the_manifest_is_rewritten_and_artifacts_are_not(
    run: RunDirectory, running: RunManifest, completed: RunManifest
) -> None:
    run.write_manifest(running)
    run.write_manifest(completed)
    assert (run.path / "run_manifest.json").read_bytes() == (GOLDENS / "run_manifest.completed.json").read_bytes()
    run.write_artifact(Artifact.FINGERPRINT, offline_fingerprint(RUN_ID))
    with pytest.raises(EvidenceError, match=r"execution_fingerprint\.json exists already"):
        run.write_artifact(Artifact.FINGERPRINT, offline_fingerprint(RUN_ID))
    with pytest.raises(EvidenceError, match="does not belong"):
        run.write_manifest(attrs.evolve(running, run_id="HF_other"))
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]


def test_lines_are_counted_and_whole(run: RunDirectory) -> None:
    assert run.append(Artifact.DEATHS, b'{"a":1}\n{"a":2}\n') == 2
    assert run.append(Artifact.DEATHS, b"") == 0
    assert run.append(Artifact.DECISION_TRACE, b"{}\n", part=1) == 1
    run.commit()
    assert run.lines["death_events.jsonl"] == 2
    assert (run.path / "decision_trace_part_0001.jsonl").read_bytes() == b"{}\n"
    with pytest.raises(EvidenceError, match="end in a newline"):
        run.append(Artifact.DEATHS, b"{}")
    assert run.size().files == 6
    assert run.size().bytes == 19


def test_an_experiment_is_on_the_disk_when_commit_returns(layout: Layout) -> None:
    files = FaultyFiles()
    with RunDirectory.create(layout, Tier.TIER1_HF, RUN_ID, files=files) as run:
        run.append(Artifact.DEATHS, b"{}\n")
        run.append(Artifact.BIRTHS, b"{}\n")
        before = len(files.trace)
        run.commit()
        run.commit()
        assert files.trace[before:] == ["fdatasync", "fdatasync"]


def test_a_full_disk_is_a_host_error_and_leaves_no_half_line(layout: Layout) -> None:
    """A limit on the size of files cuts a write short as a full disk does."""
    limit = 'ulimit -f 8; trap "" XFSZ; exec "$0" -c "$1" "$2"'
    script = """
import signal, sys
from pathlib import Path
from prometheus.v10.base.errors import HostError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.rundir import RunDirectory
run = RunDirectory.create(Layout.under(Path(sys.argv[1])), Tier.TIER1_HF, "HF_full")
line = b'{"x":"' + b"x" * 990 + b'"}' + bytes([10])
try:
    for _ in range(100):
        run.append(Artifact.DEATHS, line)
except HostError as error:
    assert error.exit_code == 74
    data = (run.path / "death_events.jsonl").read_bytes()
    assert data and data == line * (len(data) // len(line)), len(data)
    sys.exit(7)
"""
    done = subprocess.run(
        ["bash", "-c", limit, sys.executable, script, str(layout.lib)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr


def test_a_directory_that_cannot_be_made_is_a_host_error(layout: Layout) -> None:
    shutil.rmtree(layout.runs(Tier.TIER1_HF))
    with pytest.raises(HostError, match="cannot create"):
        RunDirectory.create(layout, Tier.TIER1_HF, RUN_ID)


def test_a_sealed_run_passes_sha256sum_and_is_in_the_ledger(
    run: RunDirectory, running: RunManifest, completed: RunManifest, ledger: Ledger, layout: Layout
) -> None:
    run.write_manifest(running)
    run.append(Artifact.DEATHS, (GOLDENS / "death_events.jsonl").read_bytes())
    fill(run)
    run.write_manifest(completed)
    seal = run.seal(ledger, status="completed")
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS.txt"], cwd=run.path, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    (entry,) = iter_entries(layout.ledger)
    assert entry.type == LedgerEntryType.RUN_SEALED
    assert entry.payload["run_dir"] == f"runs_hf/{RUN_ID}"
    assert entry.payload["seal"] == seal.sha256
    assert (entry.payload["status"], entry.payload["tier"]) == ("completed", "tier1_hf")
    with pytest.raises(UsageError, match="is closed"):
        run.append(Artifact.DEATHS, b"{}\n")
    with pytest.raises(UsageError, match="is closed"):
        run.write_manifest(completed)


def test_a_run_that_owes_a_file_is_not_sealed_as_complete(
    run: RunDirectory, completed: RunManifest, ledger: Ledger
) -> None:
    run.write_manifest(completed)
    with pytest.raises(EvidenceError, match=r"lacks multiple_experiments_summary\.json, execution_fingerprint\.json"):
        run.seal(ledger)
    assert not (run.path / "SHA256SUMS.txt").exists()
    assert run.seal(ledger, complete=False, status="failed").files == 7


def test_a_run_that_still_says_running_is_not_sealed(run: RunDirectory, running: RunManifest, ledger: Ledger) -> None:
    run.write_manifest(running)
    with pytest.raises(EvidenceError, match="still says running"):
        run.seal(ledger, complete=False)
    assert not (run.path / "SHA256SUMS.txt").exists()
