"""Snapshots: immutable prefixes, never partial, never over another, also while the writer appends."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import stat
import threading

import pytest

from prometheus.v10.base.errors import EvidenceError, ExitCode, HostError, UsageError
from prometheus.v10.evidence.pools.pool import PoolWriter, iter_records
from prometheus.v10.evidence.pools.snapshot import (
    added_lines,
    create_snapshot,
    diff_snapshots,
    list_snapshots,
    newest_snapshot,
    read_index,
    snapshot_id,
)
from prometheus.v10.evidence.verify.verify_chain import verify_snapshot
from tests.faulty import CutOffError, Fault, FaultyFiles


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "snapshots"
    place.mkdir()
    return place


def take(pool, folder, clock, **more):
    return create_snapshot(pool, folder, clock=clock, git_commit="c" * 40, **more)


def test_a_snapshot_is_the_pools_bytes_with_its_index(make_pool, folder, clock):
    pool = make_pool(7)
    info = take(pool, folder, clock)
    lines = pool.read_bytes().splitlines(keepends=True)
    head = hashlib.sha256(lines[-1]).hexdigest()
    assert info.id == f"000000000007-{head[:8]}" == snapshot_id(7, head)
    assert info.path.name == f"snapshot_{info.id}.jsonl"
    assert info.path.read_bytes() == pool.read_bytes()
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    index = json.loads(info.index_path.read_bytes())
    assert index["sha256"] == hashlib.sha256(pool.read_bytes()).hexdigest()
    assert (index["count"], index["head_hash"], index["git_commit"]) == (7, head, "c" * 40)
    assert verify_snapshot(info.path).exit_code is ExitCode.DONE
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("name", ["count", "bytes"])
@pytest.mark.parametrize("value", ["1e999", "-1", "1.0", "true", '"7"', "null", "[7]", "1" + "0" * 5000])
def test_an_index_whose_numbers_are_no_counts_is_refused(make_pool, folder, clock, name, value):
    index = take(make_pool(7), folder, clock).index_path
    index.chmod(0o644)
    index.write_text(re.sub(rf'"{name}": \d+', f'"{name}": {value}', index.read_text()))
    with pytest.raises(EvidenceError, match="is not a snapshot's index"):
        read_index(index)


def test_the_same_content_is_already_there(make_pool, folder, clock):
    pool = make_pool(2)
    first = take(pool, folder, clock)
    clock.step(60)
    again = take(pool, folder, clock)
    assert (first.already_there, again.already_there) == (False, True)
    assert again.created_at == first.created_at
    assert len(list(folder.iterdir())) == 2


def test_an_empty_or_missing_pool_is_refused(tmp_path, folder, clock):
    (tmp_path / "pool.jsonl").write_bytes(b"")
    with pytest.raises(EvidenceError, match="holds no record"):
        take(tmp_path / "pool.jsonl", folder, clock)
    with pytest.raises(HostError, match="cannot read"):
        take(tmp_path / "none.jsonl", folder, clock)
    assert list(folder.iterdir()) == []
    with pytest.raises(UsageError):
        newest_snapshot(folder)


def test_a_damaged_pool_is_not_copied(make_pool, folder, clock):
    pool = make_pool(3)
    data = bytearray(pool.read_bytes())
    data[-100] ^= 1
    pool.write_bytes(data)
    with pytest.raises(EvidenceError, match="damaged at byte"):
        take(pool, folder, clock)
    assert list(folder.iterdir()) == []


def test_an_unterminated_tail_is_left_out(make_pool, folder, clock):
    pool = make_pool(3)
    whole = pool.read_bytes()
    pool.write_bytes(whole + b'{"created_at":"2025')
    assert take(pool, folder, clock).path.read_bytes() == whole


def test_other_bytes_under_the_same_id_are_never_overwritten(make_pool, folder, clock):
    pool = make_pool(2)
    info = take(pool, folder, clock)
    info.path.chmod(0o644)
    info.path.write_bytes(b"other")
    with pytest.raises(EvidenceError, match="holds other bytes"):
        take(pool, folder, clock)
    assert info.path.read_bytes() == b"other"


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_every_call_never_shows_a_partial_snapshot(make_pool, tmp_path, clock, fault):
    pool = make_pool(3)
    for at in range(100):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        files = FaultyFiles(fault, at)
        with contextlib.suppress(HostError, CutOffError):
            take(pool, folder, clock, files=files)
        for path in folder.glob("snapshot_*.jsonl"):
            assert path.read_bytes() == pool.read_bytes()
        for info in list_snapshots(folder):
            assert verify_snapshot(info.path).exit_code is ExitCode.DONE
        take(pool, folder, clock)
        assert len(list_snapshots(folder)) == 1, "the next attempt completes it"
        if len(files.trace) <= at:
            return
    pytest.fail("the fault never came late enough")


def test_the_pool_is_synced_before_it_is_copied(make_pool, folder, clock):
    files = FaultyFiles()
    take(make_pool(1), folder, clock, files=files)
    assert files.trace.index("fdatasync") < files.trace.index("write") < files.trace.index("link")
    assert files.trace.index("fsync") < files.trace.index("link")
    assert files.trace[-1] == "fsync_dir"


def test_snapshots_while_a_writer_appends_are_prefixes_of_each_other(tmp_path, folder, clock, no_torn, entry):
    pool = tmp_path / "pool.jsonl"
    entries = [entry(i) for i in range(10)]
    stop = threading.Event()

    def write():
        with PoolWriter(pool, clock=clock, on_torn=no_torn) as writer:
            while not stop.wait(0.002):  # where a sync costs nothing, an unbridled writer fills the disk
                writer.append(entries)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = []
        while len(taken) < 5:
            try:
                taken.append(take(pool, folder, clock))
            except (EvidenceError, HostError):
                assert not pool.exists() or not taken
    finally:
        stop.set()
        writer.join()
    whole = pool.read_bytes()
    for info in taken:
        assert info.count % 10 == 0, "a group is acknowledged as a whole"
        assert whole.startswith(info.path.read_bytes())
        assert verify_snapshot(info.path).exit_code is ExitCode.DONE


def test_the_difference_of_two_snapshots(make_pool, folder, clock, tmp_path):
    pool = make_pool(3)
    first = take(pool, folder, clock)
    make_pool(2, pool)
    second = take(pool, folder, clock)
    diff = diff_snapshots(second, first)
    assert (diff.earlier.id, diff.first_n, diff.added) == (first.id, 3, 2)
    assert diff.added_bytes == second.bytes - first.bytes
    assert list(added_lines(diff)) == pool.read_bytes().splitlines(keepends=True)[3:]
    assert [info.id for info in list_snapshots(folder)] == [first.id, second.id]
    assert newest_snapshot(folder).id == second.id
    assert [record.n for record in iter_records(second.path)] == list(range(5))
    elsewhere = make_pool(4, tmp_path / "other.jsonl")
    elsewhere.write_bytes(elsewhere.read_bytes().replace(b"HF_", b"HG_"))
    elsewhere.replace(first.path)
    with pytest.raises(EvidenceError, match="is not a prefix of"):
        diff_snapshots(first, second)


def spoil(path, data):
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


TAMPERING = {
    "edit": lambda i: spoil(i.path, i.path.read_bytes().replace(b"W1", b"W2", 1)),
    "delete a line": lambda i: spoil(i.path, b"".join(i.path.read_bytes().splitlines(keepends=True)[:-1])),
    "reorder": lambda i: spoil(i.path, b"".join(reversed(i.path.read_bytes().splitlines(keepends=True)))),
    "insert": lambda i: spoil(i.path, i.path.read_bytes() + b"{}\n"),
    "truncate": lambda i: spoil(i.path, i.path.read_bytes()[:-10]),
    "empty": lambda i: spoil(i.path, b""),
    "index count": lambda i: spoil(i.index_path, i.index_path.read_bytes().replace(b'"count": 3', b'"count": 2')),
    "index sha": lambda i: spoil(i.index_path, i.index_path.read_bytes().replace(i.sha256.encode(), b"0" * 64)),
    "no index": lambda i: i.index_path.unlink(),
    "rename": lambda i: i.path.rename(i.path.with_name("snapshot_000000000003-00000000.jsonl")),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_with_a_snapshot_is_found(make_pool, folder, clock, name):
    info = take(make_pool(3), folder, clock)
    TAMPERING[name](info)
    reports = [verify_snapshot(path) for path in folder.iterdir()]
    assert any(report.exit_code for report in reports)
