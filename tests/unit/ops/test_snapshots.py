"""A snapshot is in the ledger once, whoever takes it and however often, also when the one before died half-way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger import iter_entries
from prometheus.v10.evidence.pools.pool import PoolWriter
from prometheus.v10.evidence.pools.pool_record import PoolEntry, PoolSource, genome_bytes
from prometheus.v10.evidence.pools.snapshot import create_snapshot
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.service.snapshotting import take_snapshot
from tests.beginnings import enter_beginning


def entries(layout: Layout) -> list[Any]:
    return [entry for entry in iter_entries(layout.ledger) if entry.type == LedgerEntryType.SNAPSHOT.value]


def take(layout: Layout) -> Any:
    journal = Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    return take_snapshot(layout, Stage.STAGE1, instance="T", clock=SystemClock(), journal=journal)


@pytest.fixture
def filled(layout: Layout) -> Layout:
    source = PoolSource(
        git_commit="c" * 40, docker_image="i", run_id="HF_20260101T000000Z_nocommit_0000", seed=1, mode="offline",
        window={"name": "W"}, ablation={"name": "none"}, experiment=0, genome_index=0, arm="A_real",
    )  # fmt: skip
    genome = genome_bytes(np.ones(342, dtype=np.float32))
    entry = PoolEntry(
        genome=genome, created_at="2026-01-01T00:00:00.000000Z", source=source, metrics_summary={"survived": True},
        fingerprint_ref="x",
    )  # fmt: skip
    enter_beginning(layout, source.run_id)
    with PoolWriter(layout.pool(Stage.STAGE1), clock=SystemClock(), on_torn=lambda _: None) as pool:
        pool.append([entry])
    return layout


def test_taking_it_twice_enters_it_once(filled: Layout) -> None:
    first, second = take(filled), take(filled)
    assert first.id == second.id
    assert second.already_there
    assert [entry.payload["id"] for entry in entries(filled)] == [first.id]


def test_a_snapshot_that_missed_the_ledger_is_entered_by_the_next_one(filled: Layout) -> None:
    create_snapshot(
        filled.pool(Stage.STAGE1), filled.snapshots(Stage.STAGE1), clock=SystemClock(), git_commit=None
    )  # the machine died before the ledger heard of it
    assert entries(filled) == []
    assert take(filled).already_there
    assert len(entries(filled)) == 1
