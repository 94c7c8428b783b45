"""Every state in which a run can be cut off, closed by the next start: nothing of it changed, everything said."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.chains.ledger import iter_entries
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.rundir import RunDirectory
from prometheus.v10.ops.instance.collapse_intervals import read_lines
from prometheus.v10.ops.instance.instance_lock import Instance
from prometheus.v10.ops.instance.interrupted import close_interrupted
from tests.beginnings import enter_beginning
from tests.callbacks import never

RUN = "HF_20260102T030405Z_abcdef0_{:04x}"


@pytest.fixture
def said():
    return []


@pytest.fixture
def journal(said, notify_socket):
    def send(message, **fields):
        said.append((message, fields))

    return Journal(
        instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None, sender=send, socket=notify_socket.path
    )


@pytest.fixture
def close(layout, fake_clock, journal):
    """Start the instance as the service does; returns what it closed."""

    def start(name="HF"):
        with Instance(layout, name, fake_clock, never) as instance:
            return close_interrupted(layout, instance, fake_clock, journal, never)

    return start


def begun(layout, number=0, *, instance="HF", status="running", collapses=()):
    """A run directory as a killed process leaves it: event files, perhaps a manifest."""
    enter_beginning(layout, RUN.format(number), instance=instance or "HF")
    with RunDirectory.create(layout, Tier.TIER1_HF, RUN.format(number)) as run:
        for experiment, tick in collapses:
            event = {"experiment": experiment, "reason": "extinction", "tick": tick}
            run.append(Artifact.COLLAPSES, json.dumps(event).encode() + b"\n")
    if instance is not None:
        manifest = {"instance": instance, "status": status, "internal_collapses": []}
        (run.path / Artifact.MANIFEST).write_text(json.dumps(manifest))
    return run.path


def hashes(path):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.iterdir()}


def test_a_cut_off_run_is_closed_and_its_own_bytes_stay(layout, close, said):
    run = begun(layout)
    (run / Artifact.DEATHS).write_bytes(b'{"a":1}\n{"a":2}\n{"a"')
    before = hashes(run)
    (closed,) = close()
    after = hashes(run)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {Artifact.INTERRUPTED, Artifact.FILELIST, Artifact.SHA256SUMS}
    sidecar = json.loads((run / Artifact.INTERRUPTED).read_text())
    assert sidecar["missing"] == [Artifact.SUMMARY, Artifact.FINGERPRINT, Artifact.TELEMETRY] == closed.missing
    assert (sidecar["manifest_status"], sidecar["instance"], sidecar["closed_by_instance"]) == ("running", "HF", "HF")
    deaths = next(f for f in sidecar["found"] if f["name"] == Artifact.DEATHS)
    assert (deaths["bytes"], deaths["lines"], deaths["unterminated_bytes"]) == (20, 2, 4)
    assert {f["name"] for f in sidecar["found"]} == set(before)
    checked = subprocess.run(["sha256sum", "--quiet", "-c", Artifact.SHA256SUMS], cwd=run, check=False)
    assert checked.returncode == 0
    *_, entry = iter_entries(layout.ledger)
    assert (entry.type, entry.payload["run_id"], entry.payload["status"]) == (
        "run_interrupted",
        run.name,
        "interrupted",
    )
    assert entry.payload["run_dir"] == f"runs_hf/{run.name}"
    (message, fields), *_ = said
    assert run.name in message
    assert fields["PROMETHEUS_RUN_ID"] == run.name
    assert Artifact.SUMMARY in fields["PROMETHEUS_MISSING"]


def test_the_second_start_finds_nothing_to_do(layout, close, said):
    run = begun(layout)
    close()
    before, told = hashes(run), len(said)
    assert close() == []
    assert hashes(run) == before
    assert len(said) == told
    assert [entry.type for entry in iter_entries(layout.ledger)] == ["installation", "run_started", "run_interrupted"]


def test_runs_of_others_are_left_alone(layout, close):
    run = begun(layout, instance="OTHER")
    before = hashes(run)
    assert close() == []
    assert hashes(run) == before
    assert [closed.run_id for closed in close("OTHER")] == [run.name]


def test_a_directory_without_a_manifest_is_whose_beginning_the_ledger_has(layout, close):
    run = begun(layout, instance=None)
    assert close("OTHER") == []
    assert [closed.run_id for closed in close()] == [run.name]
    sidecar = json.loads((run / Artifact.INTERRUPTED).read_text())
    assert (sidecar["instance"], sidecar["manifest_status"]) == (None, None)
    assert set(sidecar["null_reasons"]) >= {"instance", "manifest_status"}
    assert Artifact.MANIFEST in sidecar["missing"]


def test_a_manifest_that_was_cut_off_is_no_manifest(layout, close):
    run = begun(layout)
    (run / Artifact.MANIFEST).write_text('{"instance":"HF","st')
    (closed,) = close()
    assert closed.run_id == run.name


def test_a_run_that_was_finished_but_not_sealed_is_closed_too(layout, close):
    run = begun(layout, status="completed")
    (closed,) = close()
    assert json.loads((run / Artifact.INTERRUPTED).read_text())["manifest_status"] == "completed"
    assert closed.seal.run_id == run.name


def test_cut_off_while_closing_the_first_finding_stands(layout, close, fake_clock):
    run = begun(layout)
    close()
    first = (run / Artifact.INTERRUPTED).read_bytes()
    (run / Artifact.SHA256SUMS).unlink()
    entries = layout.ledger.read_bytes().splitlines(keepends=True)
    layout.ledger.write_bytes(b"".join(entries[:-1]))
    fake_clock.advance(100)
    close()
    assert (run / Artifact.INTERRUPTED).read_bytes() == first
    *_, entry = iter_entries(layout.ledger)
    assert entry.type == "run_interrupted"


def test_the_survival_curve_counts_what_cut_off_runs_saw(layout, close):
    begun(layout, 2, collapses=[(0, 99), (3, 49)])
    begun(layout, 1)
    close()
    lines = list(read_lines(layout.state / "HF" / "collapse_intervals.jsonl"))
    assert [(line.type, line.run_id[-4:]) for line in lines] == [
        ("run", "0001"),
        ("collapse", "0002"),
        ("collapse", "0002"),
        ("run", "0002"),
    ]
    assert [line.status for line in lines if line.type == "run"] == ["interrupted", "interrupted"]
    assert lines[-1].ticks_total == 150


def test_a_run_sealed_but_not_yet_recorded_is_recorded_at_the_next_start(layout, close):
    begun(layout, collapses=[(0, 9)])
    close()
    ledger = layout.state / "HF" / "collapse_intervals.jsonl"
    ledger.unlink()
    assert close() == []
    assert [line.type for line in read_lines(ledger)] == ["collapse", "run"]


def test_what_is_no_run_is_not_touched(layout, close, tmp_path):
    enter_beginning(layout, RUN.format(7))
    (layout.runs(Tier.TIER1_HF) / "notes").mkdir()
    (layout.runs(Tier.TIER1_HF) / RUN.format(7)).symlink_to(tmp_path)
    assert close() == []
