"""What others vouch for of a pool: cut-off and rewritten pools that are good in themselves are found all the same."""

from __future__ import annotations

import json

import pytest

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.evidence import shards
from prometheus.v10.evidence.anchors import Anchor, pool_anchors, pool_state
from prometheus.v10.evidence.audit import audit
from prometheus.v10.evidence.chain import GENESIS, line_hash
from prometheus.v10.evidence.pool_line import POOL_LINE
from prometheus.v10.evidence.scan import scan
from prometheus.v10.evidence.verify_chain import verify_pool


@pytest.fixture
def pool(make_pool, layout):
    return make_pool(12, layout.pool(Stage.STAGE1))


def heads_of(pool):
    return [GENESIS, *(line_hash(line) for line in pool.read_bytes().splitlines(keepends=True))]


def test_a_close_pass_gives_the_heads_that_are_asked_for(pool):
    heads = heads_of(pool)
    found = scan(pool, POOL_LINE, close=True, heads_at={1, 5, 12, 13})
    assert found.heads == {1: heads[1], 5: heads[5], 12: heads[12]}


def test_pieces_give_the_same_heads_as_one_pass(pool, monkeypatch):
    monkeypatch.setattr(shards, "LARGE", 1)
    monkeypatch.setattr(shards, "PIECE", 6000)
    monkeypatch.setattr(shards.os, "sched_getaffinity", lambda _: {0, 1})
    wanted = frozenset(range(1, 13))
    assert shards.scan_close(pool, POOL_LINE, heads_at=wanted).heads == dict(enumerate(heads_of(pool)[1:], 1))


@pytest.mark.parametrize("records", [1, 7, 12])
def test_an_anchor_that_holds_says_nothing(pool, records):
    anchor = Anchor("somebody", records, heads_of(pool)[records])
    assert verify_pool(pool, anchors=[anchor]).findings == []


@pytest.mark.parametrize(
    ("records", "head", "says"),
    [(13, None, "holds 12 records, and somebody says that it held 13"), (7, "0" * 64, "its first 7 records are not")],
)
def test_an_anchor_that_does_not_hold_fails(pool, records, head, says):
    report = verify_pool(pool, anchors=[Anchor("somebody", records, head)])
    assert report.exit_code == 1
    assert says in report.findings[0].what


def test_anchors_come_from_seals_snapshots_and_manifests(layout):
    state = pool_state(layout, Stage.STAGE1, 9, "a" * 64)
    seals = {
        "R1": [{"pool": state}], "R2": [{"pool": pool_state(layout, Stage.STAGE2, 1, "b")}], "R3": [{"pool": {}}, {}],
    }  # fmt: skip
    snapshots = [
        {"id": "S", "pool_path": f"anywhere/{stage}/pool.jsonl", "count": 5, "head_hash": stage}
        for stage in ("stage1", "stage2")
    ]
    for number, said in enumerate([{"pool": state["path"], "last_n": 6}, {"pool": "x", "last_n": 50}, None, 7]):
        run = layout.runs(Tier.TIER1_HF) / f"R{number}"
        run.mkdir()
        (run / "run_manifest.json").write_text(json.dumps({"pool_appends": said}))
    (layout.runs(Tier.TIER1_HF) / "R2" / "run_manifest.json").write_text("no json")
    found = pool_anchors(layout, Stage.STAGE1, seals, snapshots)
    assert [(anchor.records, anchor.head) for anchor in found] == [(5, "stage1"), (7, None), (9, "a" * 64)]
    assert [anchor.who for anchor in found] == [
        "the ledger's snapshot S", "the manifest of R0", "the seal of R1 in the ledger",
    ]  # fmt: skip


def test_the_audit_finds_a_tail_with_a_chain_of_its_own(layout, make_pool, ledger, sealed_run):
    """The last record of another history in the place of ours: the chain holds, and the seal's head does not."""
    run = sealed_run()
    pool = make_pool(12, layout.pool(Stage.STAGE1))
    state = pool_state(layout, Stage.STAGE1, 12, heads_of(pool)[12])
    payload = {"run_id": run.name, "run_dir": str(run.relative_to(layout.lib)), "pool": state}
    sums = (run / "SHA256SUMS.txt").read_bytes()
    ledger.append(LedgerEntryType.RUN_SEALED, {**payload, "seal": line_hash(sums)})
    assert audit(layout).exit_code == 0, audit(layout).lines()
    pool.write_bytes(b"".join(pool.read_bytes().splitlines(keepends=True)[:11]))
    assert any("records are missing" in finding.what for finding in audit(layout).findings)
    make_pool(1, pool)  # its first record again: good in itself
    assert verify_pool(pool).exit_code == 0
    report = audit(layout)
    assert report.exit_code == 1
    assert any("the pool was rewritten" in finding.what for finding in report.findings)


def test_the_audit_finds_a_pool_that_is_gone(layout, make_pool, ledger):
    pool = make_pool(3, layout.pool(Stage.STAGE1))
    state = pool_state(layout, Stage.STAGE1, 3, heads_of(pool)[3])
    ledger.append(LedgerEntryType.RUN_INTERRUPTED, {"run_id": "R", "run_dir": "runs_hf/R", "pool": state})
    pool.unlink()
    found = {finding.where: finding.what for finding in audit(layout).findings}
    assert "it is gone; the seal of R in the ledger says that it held 3 records" in found[str(pool)]
