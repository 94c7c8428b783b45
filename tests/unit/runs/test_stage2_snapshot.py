"""Stage 2 reads a whole, known snapshot and never a live pool, by whatever way it is offered one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from prometheus.v10.base.errors import EvidenceError, PrometheusError, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.pools.frozen import mounted_from, refuse_live_pool
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo
from prometheus.v10.runs.stage2.stage2_snapshot import batches, choose_snapshot

from .stage2_house import do_judge, judge, with_snapshot


@pytest.fixture
def frozen(layout: Layout) -> SnapshotInfo:
    return with_snapshot(layout)[1]


def refused(layout: Layout, kind: type[PrometheusError], said: str, wanted: str = "") -> None:
    """The same refusal from the choice and from a run, with nothing written."""
    before = {place: place.stat().st_mtime_ns for place in layout.lib.rglob("*")}
    with pytest.raises(kind, match=said) as caught:
        choose_snapshot(layout, wanted)
    assert "\n" not in caught.value.message
    with pytest.raises(kind, match=said):
        do_judge(layout, judge(stage2={"snapshot": wanted}))
    assert {place: place.stat().st_mtime_ns for place in layout.lib.rglob("*")} == before


def rewrite(place: Path, data: bytes) -> None:
    place.chmod(0o644)
    place.write_bytes(data)
    place.chmod(0o444)


def test_the_newest_is_taken_or_the_one_that_is_named(layout: Layout, frozen: SnapshotInfo) -> None:
    _, newer = with_snapshot(layout)
    assert choose_snapshot(layout).id == newer.id
    assert choose_snapshot(layout, frozen.id).id == frozen.id
    assert newer.count > frozen.count
    parts = list(batches(frozen, 10))
    assert [record.n for part in parts for record in part] == list(range(frozen.count))
    assert {len(part) for part in parts[:-1]} == {10}


def test_an_unknown_snapshot_is_refused(layout: Layout, frozen: SnapshotInfo) -> None:
    refused(layout, UsageError, "no snapshot 000000000001-0123abcd", "000000000001-0123abcd")


@pytest.mark.parametrize("name", ["pools/stage1/pool.jsonl", "pool.jsonl", "../pool"])
def test_a_pools_path_is_no_snapshot(layout: Layout, frozen: SnapshotInfo, name: str) -> None:
    refused(layout, UsageError, "not a snapshot's id", name)


def test_a_changed_byte_is_found(layout: Layout, frozen: SnapshotInfo) -> None:
    data = bytearray(frozen.path.read_bytes())
    at = data.index(b'"trades":') + len(b'"trades":')
    data[at : at + 1] = b"7" if data[at : at + 1] != b"7" else b"8"
    rewrite(frozen.path, bytes(data))
    refused(layout, EvidenceError, "is not what its index says")


def test_a_snapshot_that_the_ledger_does_not_know_is_refused(layout: Layout, frozen: SnapshotInfo) -> None:
    lines = layout.ledger.read_bytes().splitlines(keepends=True)
    layout.ledger.write_bytes(b"".join(line for line in lines if b'"type":"snapshot"' not in line))
    refused(layout, EvidenceError, "the ledger does not know it")


def test_an_index_of_an_older_schema_is_refused(layout: Layout, frozen: SnapshotInfo) -> None:
    said = json.loads(frozen.index_path.read_bytes())
    rewrite(frozen.index_path, json.dumps({**said, "schema": "pool_snapshot/0"}).encode())
    refused(layout, EvidenceError, "schema is 'pool_snapshot/0'")


def test_records_of_an_older_schema_are_refused(layout: Layout, frozen: SnapshotInfo) -> None:
    rewrite(frozen.path, frozen.path.read_bytes().replace(b'"schema":"pool_record/1"', b'"schema":"pool_record/0"'))
    refused(layout, EvidenceError, "is not what its index says")


def test_the_live_pool_is_refused_by_its_path(layout: Layout, frozen: SnapshotInfo) -> None:
    with pytest.raises(UsageError, match="live pool by its path"):
        refuse_live_pool(layout.pool(Stage.STAGE1), layout)


def test_the_live_pool_is_refused_through_a_link(layout: Layout, frozen: SnapshotInfo) -> None:
    frozen.path.unlink()
    frozen.path.symlink_to(layout.pool(Stage.STAGE1))
    with pytest.raises(UsageError, match="symbolic link"):
        choose_snapshot(layout)


def test_the_live_pool_is_refused_by_its_inode(layout: Layout, frozen: SnapshotInfo) -> None:
    """A hard link has another name and the same bytes, so that everything else would be in order."""
    frozen.path.unlink()
    os.link(layout.pool(Stage.STAGE1), frozen.path)
    refused(layout, UsageError, "the same inode")


def test_the_live_pool_is_refused_by_its_mount(layout: Layout, frozen: SnapshotInfo, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    point = str(frozen.path).replace(" ", "\\040")
    line = "36 35 98:0 {root} {point} ro,noatime - ext4 /dev/root rw\n"
    table.write_text(line.format(root="/lib/pools/stage1/pool.jsonl", point=point))
    assert mounted_from(frozen.path, table) == Path("/lib/pools/stage1/pool.jsonl")
    with pytest.raises(UsageError, match="live pool by its mount"):
        refuse_live_pool(frozen.path, layout, table)
    table.write_text(line.format(root=f"/lib/{frozen.path.name}", point=point))
    refuse_live_pool(frozen.path, layout, table)
    table.write_text(line.format(root="/lib/pools/stage1/pool.jsonl", point="/elsewhere"))
    refuse_live_pool(frozen.path, layout, table)
