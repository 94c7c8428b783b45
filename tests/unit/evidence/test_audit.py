"""The audit: an installation in order passes; whatever was rewritten, deleted or never sealed is named."""

from __future__ import annotations

import json
import shutil

import pytest

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing import audit as audit_module
from prometheus.v10.evidence.auditing.audit import audit, audit_bytes
from prometheus.v10.evidence.auditing.audit_witness import Witnesses
from prometheus.v10.evidence.auditing.budget import Budget
from prometheus.v10.evidence.chains.ledger import tombstone_payload
from prometheus.v10.evidence.pools.snapshot import create_snapshot
from prometheus.v10.evidence.records.canonical import pretty_bytes
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.witnesses.checkpoint import take_checkpoint
from prometheus.v10.evidence.writing.seal import read_seal, seal_run


@pytest.fixture
def house(layout, sealed_run, make_pool, ledger, clock):
    """A run, a pool, a snapshot, all in the ledger."""
    run_dir = sealed_run()
    pool = make_pool(5, layout.pool(Stage.STAGE1))
    info = create_snapshot(pool, layout.snapshots(Stage.STAGE1), clock=clock, git_commit=None)
    ledger.append(LedgerEntryType.SNAPSHOT, info.ledger_payload())
    make_pool(3, pool)
    return layout, run_dir, pool, info


def test_a_house_in_order_passes(house):
    layout, *_ = house
    seen = []
    report = audit(layout, progress=seen.append)
    assert report.exit_code == 0, report.lines()
    assert report.facts == {"runs": 1, "pools": 1, "snapshots": 1, "ledger_entries": 2}
    assert report.plain()["verdict"] == "PASS"
    assert 0 < sum(seen) <= 2 * audit_bytes(layout)


def edit(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.chmod(0o644)
    path.write_bytes(data.replace(old, new, 1))


def reseal(run_dir):
    edit(run_dir / "gating_telemetry.json", b'"mode"', b'"note": "x",\n  "mode"')
    (run_dir / "SHA256SUMS.txt").unlink()
    seal_run(run_dir)


def drop_line(path, number):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))


def cut_pool(pool):
    pool.write_bytes(b"".join(pool.read_bytes().splitlines(keepends=True)[:3]))


TAMPERING = {
    "rewritten and sealed again": (lambda h: reseal(h[1]), "rewritten"),
    "edited run": (lambda h: edit(h[1] / "death_events.jsonl", b"quarterly_review", b"unknown"), "its sha256"),
    "deleted run": (lambda h: shutil.rmtree(h[1]), "gone without a tombstone"),
    "unsealed run": (lambda h: (h[1] / "SHA256SUMS.txt").unlink(), "not sealed"),
    "copied run": (
        lambda h: shutil.copytree(h[1], h[1].with_name(h[1].name[:-1] + "1")),
        "does not know this run's seal",
    ),
    "run turned into a running one": (
        lambda h: (edit(h[1] / "run_manifest.json", b"completed", b"running"), (h[1] / "SHA256SUMS.txt").unlink()),
        "not sealed",
    ),
    "edited ledger": (lambda h: edit(h[0].ledger, b'"bytes":', b'"bites":'), "ledger.jsonl: byte 0"),
    "first ledger line deleted": (lambda h: drop_line(h[0].ledger, 0), "ledger.jsonl: byte 0"),
    "last ledger line deleted": (lambda h: drop_line(h[0].ledger, 1), "the ledger does not know this snapshot"),
    "ledger deleted": (lambda h: h[0].ledger.unlink(), "and no ledger: somebody took it away"),
    "edited pool": (lambda h: edit(h[2], b'"alive":true', b'"alive":false'), "pool.jsonl: byte 0"),
    "pool shorter than its snapshot": (lambda h: cut_pool(h[2]), "is not a prefix of"),
    "pool deleted": (lambda h: h[2].unlink(), "is not a prefix of"),
    "snapshot deleted": (lambda h: (h[3].path.unlink(), h[3].index_path.unlink()), "gone without a tombstone"),
    "snapshot's file deleted": (lambda h: h[3].path.unlink(), "an index without its snapshot"),
    "snapshot edited": (lambda h: edit(h[3].path, b"W1", b"W2"), "line 1"),
    "snapshot's index edited": (lambda h: edit(h[3].index_path, h[3].sha256.encode(), b"0" * 64), "is not that of its"),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_found_and_named(house, name):
    tamper, said = TAMPERING[name]
    tamper(house)
    report = audit(house[0])
    assert report.exit_code == 1
    assert said in "\n".join(report.lines())


def bury(ledger, run_dir, seal):
    payload = tombstone_payload(
        kind="run",
        run_id=run_dir.name,
        path=f"runs_hf/{run_dir.name}",
        sha256=seal,
        size=1,
        reason="older than its policy allows",
        policy="tier1_days=30",
    )
    ledger.append(LedgerEntryType.RETENTION_DELETION, payload)


def test_a_tombstone_excuses_no_tier_1_run(house, ledger):
    layout, run_dir, *_ = house
    bury(ledger, run_dir, read_seal(run_dir).sha256)
    shutil.rmtree(run_dir)
    assert "no policy may delete it: only whole Tier-2 runs may go" in "\n".join(audit(layout).lines())


def test_a_tombstone_of_another_seal_fails(house, ledger):
    layout, run_dir, *_ = house
    bury(ledger, run_dir, "0" * 64)
    shutil.rmtree(run_dir)
    assert "its tombstone names the seal" in "\n".join(audit(layout).lines())


def test_a_running_run_is_told_from_one_that_was_cut_off(house, write_run):
    layout, *_ = house
    run_dir = layout.runs(Tier.TIER1_HF) / "HF_20260102T030405Z_0123456_0002"
    write_run(run_dir)
    manifest = json.loads((run_dir / "run_manifest.json").read_bytes()) | {"status": "running"}
    (run_dir / "run_manifest.json").write_bytes(pretty_bytes(manifest))
    assert audit(layout).exit_code == 0
    assert audit(layout, is_alive=lambda instance: instance == manifest["instance"]).exit_code == 0
    assert audit(layout, is_alive=lambda _: False).exit_code == 1


def test_of_an_empty_house_nothing_could_be_audited(layout):
    report = audit(layout)
    assert report.exit_code == 2
    assert "nothing was audited" in "\n".join(report.lines())


def test_a_house_that_is_not_there_could_not_be_audited(layout):
    shutil.rmtree(layout.lib)
    report = audit(layout)
    assert report.exit_code == 2
    assert "no such directory" in "\n".join(report.lines())


# ---- a budget of time ------------------------------------------------------------------------------------------------


class Steps:
    """A clock that goes on by so many seconds each time it is looked at."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def test_an_audit_within_its_budget_finds_what_it_finds_without(house):
    layout, run_dir, *_ = house
    reseal(run_dir)
    without, within = audit(layout), audit(layout, budget=Budget(60.0))
    assert sorted(within.lines()) == sorted(without.lines())
    assert within.exit_code == 1


def test_what_an_audit_does_not_come_to_is_told_and_never_passes(house):
    layout, *_ = house
    report = audit(layout, budget=Budget(1.0, clock=Steps(1.0)))
    assert report.exit_code == 2
    assert [one.what for one in report.findings] == ["1 of 1 runs were not looked at: the 1 s are over"]
    assert report.facts["runs"] == 0
    assert report.facts["pools"] == 1, "the ledger and the pools come first"


def test_one_run_does_not_take_the_time_of_all_others(house):
    layout, *_ = house
    report = audit(layout, budget=Budget(1000.0, clock=Steps(240.0)))
    (found,) = report.findings
    assert (found.level.value, found.what) == (
        "error", "it was not looked at whole: the time for one run was over",
    )  # fmt: skip


def test_runs_under_a_budget_come_in_another_order_each_time():
    """No run is always the one that is left out."""
    names = list(range(50))
    seen = [Budget(1.0).mixed(names) for _ in range(3)]
    assert all(sorted(one) == names for one in seen)
    assert len({tuple(one) for one in seen}) > 1


def test_a_run_with_very_many_findings_tells_so_many_and_how_many_more(house):
    layout, run_dir, *_ = house
    for number in range(audit_module.MOST_TOLD + 23):
        (run_dir / f"stranger_{number:04d}").touch()
    report = audit(layout)
    assert report.exit_code == 1
    assert len(report.findings) == audit_module.MOST_TOLD + 1
    more = len(verify_run(run_dir).findings) - audit_module.MOST_TOLD
    assert more >= 23
    assert report.findings[-1].what == f"and {more} more; prometheus-quant verify names them all"


# ---- where nothing ever ran ------------------------------------------------------------------------------------------


def test_an_unused_tree_passes_for_whoever_allows_it_and_for_nobody_else(layout):
    report = audit(layout, unused_ok=True)
    assert report.exit_code == 0
    assert [one.what for one in report.findings] == ["nothing ever ran here: there is nothing to audit"]
    assert audit(layout).exit_code == 2


@pytest.mark.parametrize("place", ["no such place", "an empty directory"])
def test_a_place_that_nobody_laid_out_is_no_unused_tree(tmp_path, place):
    """A disk that is not mounted."""
    root = tmp_path / "root"
    if place == "an empty directory":
        root.mkdir()
    assert audit(Layout.under(root), unused_ok=True).exit_code == 2


def test_evidence_without_its_ledger_is_no_unused_tree(house):
    layout, *_ = house
    layout.ledger.unlink()
    assert audit(layout, unused_ok=True).exit_code == 1


def test_a_tree_of_which_a_witness_remembers_a_ledger_is_not_unused(house, tmp_path):
    layout, *_ = house
    kept = tmp_path / "1.checkpoint"
    kept.write_text(take_checkpoint(layout.ledger, origin="somewhere").text())
    empty = Layout.under(tmp_path / "empty")
    empty.prepare()
    report = audit(empty, unused_ok=True, witnesses=Witnesses([(kept, ())]))
    assert report.exit_code == 1
    assert any("there is no ledger" in one.what for one in report.findings)
    assert not any("nothing ever ran" in one.what for one in report.findings)
