"""Names are one definition each, and the journal catalog says something about every event and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prometheus.v10.base.clock import new_run_id
from prometheus.v10.base.modes import RunPrefix, Tier
from prometheus.v10.base.names import (
    EVENT_FIELDS,
    EVENT_STREAMS,
    Artifact,
    Event,
    LedgerEntryType,
    Schema,
    is_instance,
    is_run_id,
    required,
    torn_name,
)

ALWAYS_THERE = {"instance", "mode", "stage", "run_id", "event"}


@pytest.fixture(scope="module")
def catalog(repository: Path) -> dict[str, str]:
    """Entries of the catalog file by message id."""
    text = (repository / "packaging" / "prometheus-quant.catalog").read_text(encoding="ascii")
    parts = re.split(r"(?m)^-- ([0-9a-f]{32})$", text)
    ids = parts[1::2]
    assert len(ids) == len(set(ids))
    return dict(zip(ids, parts[2::2], strict=True))


def test_events_have_ids_of_their_own() -> None:
    ids = [event.message_id for event in Event]
    assert len(set(ids)) == len(ids) == len({event.label for event in Event})
    assert all(re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", i) for i in ids)


def test_ids_are_frozen() -> None:
    """Journals of installed hosts carry these: a changed id loses the text of every old entry."""
    assert Event.COLLAPSE.message_id == "506152ce68aa4d549f9453cfb4944c18"
    assert Event.RUN_SEALED.message_id == "d1eb131bb2ac4dde90946122649c746f"
    assert Event.TORN_TAIL.message_id == "29114c42dccf4d4abcd27f9a25a2c67d"


def test_catalog_and_events_agree_one_to_one(catalog: dict[str, str]) -> None:
    assert catalog.keys() == {event.message_id for event in Event}


def test_every_event_declares_its_fields() -> None:
    assert EVENT_FIELDS.keys() == set(Event)


@pytest.mark.parametrize("event", list(Event), ids=str)
def test_catalog_names_only_fields_that_the_entry_carries(event: Event, catalog: dict[str, str]) -> None:
    entry = catalog[event.message_id]
    used = {name.lower() for name in re.findall(r"@PROMETHEUS_([A-Z0-9_]+)@", entry)}
    assert used <= ALWAYS_THERE | set(EVENT_FIELDS[event])
    assert len(re.findall("@", entry)) == 2 * len(re.findall(r"@[A-Z0-9_]+@", entry))
    assert re.search(r"(?m)^Subject: \S", entry)
    assert entry.strip().split("\n\n", 1)[1].strip()


def test_systemd_compiles_the_catalog(repository: Path, tmp_path: Path) -> None:
    journalctl = shutil.which("journalctl")
    if journalctl is None:
        pytest.skip("no journalctl here to compile the catalog")
    for place in ("usr/lib/systemd/catalog", "var/lib/systemd/catalog"):
        (tmp_path / place).mkdir(parents=True)
    shutil.copy(repository / "packaging" / "prometheus-quant.catalog", tmp_path / "usr/lib/systemd/catalog")
    subprocess.run([journalctl, f"--root={tmp_path}", "--update-catalog"], check=True)
    listed = subprocess.run(
        [journalctl, f"--root={tmp_path}", "--list-catalog"], check=True, capture_output=True, text=True
    ).stdout
    assert {line.split()[0] for line in listed.splitlines()} == {event.message_id for event in Event}


def test_artifact_names_are_those_of_the_contract() -> None:
    assert [str(a) for a in required(Tier.TIER1_HF)] == [
        "run_manifest.json",
        "multiple_experiments_summary.json",
        "execution_fingerprint.json",
        "gating_telemetry.json",
        "death_events.jsonl",
        "birth_events.jsonl",
        "survivors.jsonl",
        "collapse_events.jsonl",
    ]
    assert set(required(Tier.TIER1_HF)) < set(required(Tier.TIER2_FULL))
    run_id = "AUDIT_20260102T030405Z_0123456_0000"
    assert Artifact.GENOMES.file_name(run_id=run_id) == f"genomes_run_{run_id}.npy"
    assert Artifact.EXECUTION_RAW.file_name(part=7) == "m_execution_raw_part_0007.json"
    assert Artifact.MANIFEST.file_name() == "run_manifest.json"
    assert all(stream.endswith(".jsonl") for stream in EVENT_STREAMS)


@pytest.mark.parametrize("artifact", [Artifact.GENOMES, Artifact.EXECUTION_RAW])
def test_a_name_with_a_gap_is_not_given_out(artifact: Artifact) -> None:
    with pytest.raises(ValueError, match="needs a run id or a part number"):
        artifact.file_name()


def test_run_ids_are_recognised(fake_clock) -> None:
    for prefix in RunPrefix:
        assert is_run_id(new_run_id(prefix, fake_clock, "0123456789abcdef"))
        assert is_run_id(new_run_id(prefix, fake_clock, None))
    for wrong in ("", "HF_20260102T030405Z_0123456_000g", "XX_20260102T030405Z_0123456_0000", "HF_x/../y"):
        assert not is_run_id(wrong)


@pytest.mark.parametrize(
    ("name", "good"), [("HF", True), ("a_1.b", True), ("", False), ("a-b", False), ("../x", False)]
)
def test_instances_are_what_systemd_leaves_unescaped(name: str, *, good: bool) -> None:
    assert is_instance(name) is good


def test_other_names() -> None:
    assert torn_name("20260102T030405Z") == "pool.jsonl.torn-20260102T030405Z"
    assert all(re.fullmatch(r"[a-z0-9_]+/\d+", schema) for schema in Schema)
    assert len({str(kind) for kind in LedgerEntryType}) == len(LedgerEntryType)


def test_names_need_the_standard_library_only() -> None:
    code = "import sys, prometheus.v10.base.names; print({m.split('.')[0] for m in sys.modules} & {'attrs', 'numpy'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
