"""The catalogue: what is there, newest first, in one form; what cannot be read is one error, whoever asks."""

from __future__ import annotations

import json
import os

import pytest

from prometheus.v10.base.errors import EvidenceError, HostError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import Artifact, LedgerEntryType
from prometheus.v10.evidence import catalog
from prometheus.v10.evidence.chains.ledger import Ledger
from prometheus.v10.evidence.writing.manifest import read_manifest

OLD = "HF_20260101T000000Z_0123456_0000"
NEW = "HF_20260103T000000Z_0123456_0000"
FULL = "PROMOTE_20260102T000000Z_0123456_0000"
SEALED, SNAPSHOT = LedgerEntryType.RUN_SEALED, LedgerEntryType.SNAPSHOT


@pytest.fixture
def tree(layout):
    for tier, name in ((Tier.TIER1_HF, OLD), (Tier.TIER1_HF, NEW), (Tier.TIER2_FULL, FULL)):
        (layout.runs(tier) / name).mkdir()
    return layout


@pytest.fixture
def run(tree):
    return tree.runs(Tier.TIER1_HF) / OLD


@pytest.fixture
def book(layout, fake_clock):
    made = Ledger(layout.ledger, clock=fake_clock, instance="HF", on_torn=lambda tail: pytest.fail(str(tail)))
    for number in range(3):
        made.append(SEALED, {"run_id": f"r{number}"})
        made.append(SNAPSHOT, {"run_id": "r1", "number": number})
    return made


# ---- runs ------------------------------------------------------------------------------------------------------------


def test_runs_of_all_tiers_come_newest_first(tree):
    assert [run.run_id for run in catalog.runs(tree)] == [NEW, FULL, OLD]
    assert [run.run_id for run in catalog.runs(tree, Tier.TIER1_HF)] == [NEW, OLD]
    assert [run.tier for run in catalog.runs(tree, Tier.TIER2_FULL)] == [Tier.TIER2_FULL]


def test_runs_of_one_second_come_by_the_moment_that_their_manifests_name(tree):
    folder, moments = tree.runs(Tier.TIER1_HF), {"aaaa": 7, "bbbb": 3, "cccc": 9}
    for tail, moment in moments.items():
        (run := folder / f"HF_20260104T000000Z_0123456_{tail}").mkdir()
        (run / Artifact.MANIFEST).write_text(json.dumps({"start_time": f"2026-01-04T00:00:00.00000{moment}Z"}))
    (folder / "HF_20260104T000000Z_0123456_dddd").mkdir()  # its manifest is not written yet
    assert [run.run_id[-4:] for run in catalog.runs(tree, Tier.TIER1_HF)][:4] == ["cccc", "aaaa", "bbbb", "dddd"]


def test_only_real_directories_with_the_name_of_a_run_are_runs(tree, tmp_path):
    folder = tree.runs(Tier.TIER1_HF)
    (folder / "notes").mkdir()
    (folder / "HF_20260104T000000Z_0123456_0000").write_text("a file")
    (tmp_path / "elsewhere").mkdir()
    link = "HF_20260105T000000Z_0123456_0000"
    (folder / link).symlink_to(tmp_path / "elsewhere")
    assert [run.run_id for run in catalog.runs(tree, Tier.TIER1_HF)] == [NEW, OLD]
    assert catalog.find_run(tree, link) is None


def test_a_tree_without_runs_has_none_and_one_that_cannot_be_listed_says_so(layout):
    layout.runs(Tier.TIER1_HF).rmdir()
    assert list(catalog.runs(layout)) == []
    layout.runs(Tier.TIER1_HF).write_text("no directory")
    with pytest.raises(HostError, match="cannot list"):
        list(catalog.runs(layout))


def test_a_run_is_found_by_its_id_in_either_tier(tree):
    found = catalog.find_run(tree, FULL)
    assert (found.path, found.tier) == (tree.runs(Tier.TIER2_FULL) / FULL, Tier.TIER2_FULL)
    for other in ("HF_20260109T000000Z_0123456_0000", "", "..", f"../runs/{FULL}", "HF"):
        assert catalog.find_run(tree, other) is None


# ---- artifacts -------------------------------------------------------------------------------------------------------


def test_a_manifest_is_plain_values_or_a_record(run, repository):
    golden = (repository / "tests/unit/evidence/goldens/run_manifest.completed.json").read_bytes()
    assert catalog.manifest_of(run) is None
    assert catalog.manifest_bytes(run) is None
    (run / "run_manifest.json").write_bytes(golden)
    assert catalog.manifest_of(run) == json.loads(golden)
    assert read_manifest(run).run_id == json.loads(golden)["run_id"]


def test_a_manifest_that_is_owed_and_not_there_cannot_be_read(run):
    with pytest.raises(HostError, match=r"cannot read .*run_manifest\.json: No such file"):
        read_manifest(run)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff", b"[" * 100_000, b"1"])
def test_what_is_no_object_is_one_error_for_every_reader(run, data):
    (run / "run_manifest.json").write_bytes(data)
    for read in (catalog.manifest_of, read_manifest):
        with pytest.raises(catalog.DamagedArtifactError, match=r"run_manifest\.json"):
            read(run)
    assert catalog.manifest_bytes(run) == data


def test_an_object_that_is_no_manifest_is_no_record(run):
    (run / "run_manifest.json").write_text("{}")
    assert catalog.manifest_of(run) == {}
    with pytest.raises(EvidenceError, match="run_manifest"):
        read_manifest(run)


def test_no_reader_follows_a_link_waits_at_a_pipe_or_reads_without_an_end(run, tmp_path, monkeypatch):
    place, other = run / "run_manifest.json", tmp_path / "other.json"
    other.write_text('{"a":1}')
    place.symlink_to(other)
    with pytest.raises(EvidenceError, match="is a link"):
        catalog.manifest_of(run)
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(EvidenceError, match="not a regular file"):
        catalog.manifest_of(run)
    place.unlink()
    place.write_text('{"a":1}')
    monkeypatch.setattr(catalog, "LARGE", 6)
    with pytest.raises(EvidenceError, match="more than 6 bytes"):
        catalog.manifest_of(run)


def test_other_artifacts_are_read_in_the_same_way(run):
    assert catalog.artifact_of(run, Artifact.SUMMARY) is None
    (run / Artifact.SUMMARY).write_text('{"all_stats":[]}')
    assert catalog.artifact_of(run, Artifact.SUMMARY) == {"all_stats": []}


def test_whoever_looks_for_names_sees_every_text_damaged_ones_and_oddly_named_ones_too(tree, run):
    (run / "run_manifest.json").write_bytes(b'{"torn": "000000000003-0a1b2c3d\xff')
    odd = tree.runs(Tier.TIER1_HF) / "moved away"
    odd.mkdir()
    (odd / "run_manifest.json").write_text('"text"')
    texts = list(catalog.manifest_texts(tree, Tier.TIER1_HF))
    assert len(texts) == 2
    assert any("000000000003-0a1b2c3d" in text for text in texts)


# ---- the ledger ------------------------------------------------------------------------------------------------------


def test_entries_come_in_order_by_type_and_by_payload(layout, book):
    assert [entry.n for entry in catalog.entries(layout.ledger)] == [0, 1, 2, 3, 4, 5]
    assert [entry.n for entry in catalog.entries(layout.ledger, SNAPSHOT)] == [1, 3, 5]
    own = catalog.entries(layout.ledger, where=lambda payload: payload["run_id"] == "r1")
    assert [(entry.n, entry.type) for entry in own] == [(1, "snapshot"), (2, "run_sealed"), (3, "snapshot"),
                                                         (5, "snapshot")]  # fmt: skip
    two = catalog.entries(layout.ledger, SEALED, SNAPSHOT, where=lambda payload: payload["run_id"] == "r0")
    assert [entry.n for entry in two] == [0]


def test_no_ledger_has_no_entries(layout):
    assert list(catalog.entries(layout.ledger)) == []


def test_nothing_of_a_damaged_ledger_is_handed_out(layout, book):
    data = layout.ledger.read_bytes()
    layout.ledger.write_bytes(data.replace(b'"number":2', b'"number":3'))
    with pytest.raises(EvidenceError, match="byte"):
        next(catalog.entries(layout.ledger, SEALED))


def test_what_comes_after_a_call_is_seen_by_the_next(layout, book):
    before = len(list(catalog.entries(layout.ledger)))
    book.append(SEALED, {"run_id": "later"})
    assert len(list(catalog.entries(layout.ledger))) == before + 1


def test_a_stage_without_a_pool_has_no_snapshots(layout):
    assert catalog.snapshots(layout, Stage.STAGE1) == []
