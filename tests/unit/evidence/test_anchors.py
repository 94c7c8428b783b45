"""What others vouch for of a pool: cut-off and rewritten pools that are good in themselves are found all the same."""

from __future__ import annotations

import pytest

from prometheus.v10.base.modes import Stage
from prometheus.v10.evidence.chains import shards
from prometheus.v10.evidence.chains.chain import GENESIS, line_hash
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.pools.anchors import Anchor
from prometheus.v10.evidence.verify.verify_chain import verify_pool


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
    monkeypatch.setattr(shards.os, "sched_getaffinity", lambda _: {0, 1})  # type: ignore[attr-defined]
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
