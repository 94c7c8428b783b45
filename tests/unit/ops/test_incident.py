"""An incident's bundle: everything it must hold, named where it lacks, the same bytes twice, never over another."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from attrs import evolve

from prometheus.cli.operate.incident_command import bundle as bundle_command
from prometheus.v10.base.errors import EvidenceError, HostError, UsageError
from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.names import Artifact, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger import Ledger, iter_entries
from prometheus.v10.evidence.records.codec import from_json_bytes
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.manifest import RunManifest
from prometheus.v10.evidence.writing.rundir import RunDirectory
from prometheus.v10.ops.incident.incident_close import find_run, make_incident
from prometheus.v10.ops.incident.incident_record import IncidentRecord, Severity
from tests.callbacks import never
from tests.faulty import Fault, FaultyFiles

GOLDENS = Path(__file__).parent.parent / "evidence" / "goldens"
RUN_ID = "HF_20260102T030405Z_0123456_0000"
FULL_ID = "AUDIT_20260102T030405Z_0123456_0000"


@pytest.fixture
def said():
    return []


@pytest.fixture
def journal(said, notify_socket):
    def send(message, **fields):
        said.append((message, fields))

    return Journal(
        instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=RUN_ID, sender=send, socket=notify_socket.path
    )


@pytest.fixture
def make(layout: Layout, fake_clock, journal):
    def incident(run_id=RUN_ID, label="stop_ignored", **more):
        return make_incident(layout, run_id, label, clock=fake_clock, journal=journal, **more)

    return incident


def begun(layout: Layout, run_id: str, tier: Tier) -> RunDirectory:
    """A run's directory with its artifacts, not yet sealed."""
    run = RunDirectory.create(layout, tier, run_id)
    for artifact in (Artifact.SUMMARY, Artifact.FINGERPRINT, Artifact.TELEMETRY):
        data = (GOLDENS / artifact).read_bytes().replace(RUN_ID.encode(), run_id.encode())
        run.write_bytes(artifact, data)
    manifest = from_json_bytes((GOLDENS / "run_manifest.completed.json").read_bytes(), RunManifest, where="golden")
    run.write_manifest(evolve(manifest, run_id=run_id))
    return run


@pytest.fixture
def run(layout: Layout, fake_clock) -> Path:
    ledger = Ledger(layout.ledger, clock=fake_clock, instance="HF", on_torn=never)
    with begun(layout, RUN_ID, Tier.TIER1_HF) as directory:
        directory.seal(ledger, status="completed")
    return directory.path


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive.getmembers()}


def test_a_bundle_holds_the_run_and_what_is_said_of_it(run: Path, make, layout: Layout, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run.iterdir()}
    made = make(severity=Severity.HIGH, detail="STOP did not stop it")
    assert made.path == layout.lib / "incidents" / f"IEB_{RUN_ID}_stop_ignored_20260102_030405.tar.gz"
    top = made.path.name.removesuffix(".tar.gz")
    inside = unpacked(made.path)
    names = {name.removeprefix(f"{top}/") for name in inside}
    assert names >= {
        "run/run_manifest.json", "run/multiple_experiments_summary.json", "run/execution_fingerprint.json",
        "run/gating_telemetry.json", "run/death_events.jsonl", "run/collapse_events.jsonl", "run/FILELIST.ls.txt",
        "run/SHA256SUMS.txt", "incident.json", "stop_ignored.report.txt", "verification.json", "ledger_entries.jsonl",
        "SHA256SUMS.txt",
    }  # fmt: skip
    assert inside[f"{top}/run/run_manifest.json"] == (run / "run_manifest.json").read_bytes()
    assert inside[f"{top}/stop_ignored.report.txt"] == made.report_path.read_bytes()
    record = from_json_bytes(inside[f"{top}/incident.json"], IncidentRecord, where="incident")
    assert record == made.record
    assert (record.packaging, record.missing_required_files_count, record.severity) == ("complete", 0, "high")
    assert (record.context["mode"], record.context["results_dir"][-1:] != "") == ("offline", True)
    assert record.context["self_trade_prevention.self_trade_policy"] == "forbid"
    assert record.null_reasons["diff_log"] == "offline: no interface"
    assert b"run_sealed" in inside[f"{top}/ledger_entries.jsonl"]
    assert {path: path.read_bytes() for path in run.iterdir()} == before

    with tarfile.open(made.path) as archive:
        archive.extractall(tmp_path, filter="data")
    for place, sums in ((tmp_path / top, "SHA256SUMS.txt"), (made.path.parent, made.sha256_path.name)):
        subprocess.run(["sha256sum", "--quiet", "--strict", "-c", sums], cwd=place, check=True)


def test_the_report_counts_what_is_missing_and_leaves_the_causes_to_people(run: Path, make) -> None:
    (run / "gating_telemetry.json").unlink()
    made = make()
    report = made.report_path.read_text()
    assert made.record.missing_required_files == ["gating_telemetry.json"]
    assert "packaging                     incomplete" in report
    assert "missing_required_files_count  1\n  missing                     gating_telemetry.json\n" in report
    assert "verification                  FAIL" in report
    assert "gating_telemetry.json: sealed, and not there" in report
    assert "severity                      not known (nobody has judged it yet)" in report
    assert report.endswith("  1.\n  2.\n  3.\n\nStop action taken:\nOwner:\n")


def test_ledger_and_journal_hear_of_it(run: Path, make, layout: Layout, said) -> None:
    made = make()
    last = list(iter_entries(layout.ledger))[-1]
    assert last.type == LedgerEntryType.INCIDENT
    assert last.payload["sha256"] == hashlib.sha256(made.path.read_bytes()).hexdigest() == made.sha256
    assert last.payload["bundle"] == f"incidents/{made.path.name}"
    ((_, fields),) = said
    assert fields["PROMETHEUS_EVENT"] == "incident"
    assert fields["PROMETHEUS_BUNDLE"] == str(made.path)
    assert fields["PROMETHEUS_SEVERITY"] == "not judged"


def test_a_full_evidence_run_owes_more_and_its_shards_are_counted(layout: Layout, make) -> None:
    with begun(layout, FULL_ID, Tier.TIER2_FULL) as directory:
        shards = []
        for number, events in ((1, 3), (2, 0), (3, 2)):
            name = Artifact.EXECUTION_RAW.file_name(part=number)
            (directory.path / name).write_bytes(b"[]\n" * number)
            shards.append({"filename": name, "event_records": events})
        (directory.path / Artifact.EXECUTION_RAW_INDEX).write_text(json.dumps({"shards": shards}))
    made = make(FULL_ID, "reconcile")
    assert made.record.missing_required_files == [
        "positions_snapshot.json", "positions_reconstruction_raw_index.json", "alignment_report.json",
    ]  # fmt: skip
    (one,) = made.record.shards
    assert (one.index, one.listed, one.there, one.bundled) == ("m_execution_raw_index.json", 3, 3, 2)
    assert made.record.left_out == ["m_execution_raw_part_0002.json"]
    names = {Path(name).name for name in unpacked(made.path)}
    assert {"m_execution_raw_part_0001.json", "m_execution_raw_part_0003.json"} <= names
    assert "m_execution_raw_part_0002.json" not in names


def test_a_run_that_is_still_running_or_has_no_manifest_gets_its_bundle(layout: Layout, make) -> None:
    with begun(layout, RUN_ID, Tier.TIER1_HF) as directory:
        (directory.path / "run_manifest.json").unlink()
        made = make()
    assert made.record.missing_required_files == ["run_manifest.json"]
    assert made.record.context["git_commit"] is None
    assert made.record.null_reasons["context.git_commit"] == "the run has no manifest"
    assert made.record.verification == "FAIL"
    assert made.record.ledger_entries is None


def test_a_compressed_event_file_goes_as_it_lies(run: Path, make) -> None:
    (run / "death_events.jsonl").rename(run / "death_events.jsonl.zst")
    made = make()
    assert made.record.missing_required_files == []
    assert any(one.name == "run/death_events.jsonl.zst" for one in made.record.files)


def test_a_link_in_the_run_is_not_followed(run: Path, make, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (run / "execution_fingerprint.json").unlink()
    (run / "execution_fingerprint.json").symlink_to(secret)
    made = make()
    assert made.record.missing_required_files == ["execution_fingerprint.json"]
    assert all(data != b"secret" for data in unpacked(made.path).values())


def test_the_same_incident_gives_the_same_bytes(run: Path, make, layout: Layout) -> None:
    first = make().path.read_bytes()
    for path in (layout.lib / "incidents").iterdir():
        path.unlink()
    layout.ledger.write_bytes(layout.ledger.read_bytes().splitlines(keepends=True)[0])
    assert make().path.read_bytes() == first
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.uid, entry.gid, entry.uname, entry.gname, entry.mode) for entry in entries} == {
        (0, 0, "", "", 0o644)
    }
    assert first[4:8] == b"\0\0\0\0"  # no time in the compression's header


def test_no_bundle_is_ever_overwritten(run: Path, make, fake_clock) -> None:
    first = make()
    before = first.path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        make()
    assert first.path.read_bytes() == before
    fake_clock.advance(1.0)
    assert make().path != first.path


@pytest.mark.parametrize(
    "label", ["", ".", "..", "../x", "a/b", "-rf", "a b", "a\nb", "a.b", "x" * 49, "\u00e4", "$(id)", "a\n"]
)
def test_a_hostile_label_is_refused(label: str, run: Path, make, layout: Layout) -> None:
    with pytest.raises(UsageError, match="cannot label an incident"):
        make(label=label)
    assert not (layout.lib / "incidents").exists()


@pytest.mark.parametrize("detail", ["two\nlines", "\u00e4", "\x1b[31m"])
def test_a_hostile_detail_is_refused(detail: str, run: Path, make) -> None:
    with pytest.raises(UsageError, match="one line of ASCII"):
        make(detail=detail)


def test_an_unknown_run_is_refused_with_the_places_looked_at(make, layout: Layout) -> None:
    with pytest.raises(UsageError, match=rf"no run {RUN_ID} in .*/runs_hf or .*/runs$") as caught:
        make()
    assert caught.value.exit_code == 64
    for hostile in ("../../etc", "", "HF_x", f"{RUN_ID}/", f"{RUN_ID}\n"):
        with pytest.raises(UsageError, match="is not a run id"):
            find_run(layout, hostile)


def test_a_link_in_place_of_the_folder_is_refused(run: Path, make, layout: Layout, tmp_path: Path) -> None:
    (layout.lib / "incidents").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="is a symbolic link"):
        make()


def test_a_damaged_ledger_is_said_in_the_bundle_and_then_refused(run: Path, make, layout: Layout) -> None:
    layout.ledger.write_bytes(layout.ledger.read_bytes().replace(b"run_sealed", b"run_sealeb"))
    with pytest.raises(EvidenceError):
        make()
    (report,) = (layout.lib / "incidents").glob("*.report.txt")
    assert "ledger_entries                not known (the ledger cannot be believed:" in report.read_text()


@pytest.mark.parametrize("fault", [Fault.ENOSPC, Fault.EIO])
def test_a_disk_that_refuses_leaves_no_half_bundle(fault: Fault, run: Path, make, layout: Layout, fake_clock) -> None:
    counted = FaultyFiles()
    make(files=counted)
    for at in range(len(counted.trace)):
        fake_clock.advance(1.0)
        try:
            made = make(files=FaultyFiles(fault, at))
        except HostError:
            continue
        assert made.path.exists()
    for path in (layout.lib / "incidents").glob("IEB_*.tar.gz"):
        inside = {name.split("/", 1)[1]: data for name, data in unpacked(path).items()}
        sums = inside.pop("SHA256SUMS.txt").decode().splitlines()
        assert sorted(sums) == sorted(f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in inside.items())


def test_the_command_prints_where_it_lies(run: Path, layout: Layout, fake_clock) -> None:
    report = bundle_command(
        layout, RUN_ID, "drill", severity=None, detail=None, instance="local", clock=fake_clock
    )  # fmt: skip
    assert Path(report.data["bundle"]).is_file()
    assert report.data["incident"]["run_id"] == RUN_ID
    assert json.dumps(report.data)
