"""The pool: what was acknowledged stays, what was torn is moved aside, everything else refuses."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import EvidenceError, ExitCode, HostError, LockHeldError, UsageError
from prometheus.v10.base.files import FILES
from prometheus.v10.evidence.chains.chain import GENESIS, Link
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import Tail, scan
from prometheus.v10.evidence.pools.pool import PoolWriter, iter_records
from prometheus.v10.evidence.pools.pool_record import PoolEntry, PoolSource, genome_bytes
from prometheus.v10.evidence.records.canonical import canonical_line
from tests.faulty import Fault, FaultyFiles


def reopen(path, clock, files=FILES):
    """Open and close a pool; returns (count, torn tails moved)."""
    torn = []
    with PoolWriter(path, clock=clock, on_torn=torn.append, files=files) as writer:
        return writer.link.n, torn


def test_a_line_is_canonical_and_carries_the_contracts_fields(make_pool):
    path = make_pool(3)
    lines = path.read_bytes().splitlines(keepends=True)
    previous = GENESIS
    for n, line in enumerate(lines):
        record = json.loads(line)
        assert canonical_line(record) == line
        assert " ".join(record) == (
            "created_at fingerprint_ref genome_sha256 genome_vector_342 id metrics_summary n null_reasons "
            "prev schema source"
        )
        assert (record["n"], record["prev"]) == (n, previous)
        previous = hashlib.sha256(line).hexdigest()


def test_records_come_back_as_they_were_given(make_pool, entry):
    records = list(iter_records(make_pool(12)))
    assert [record.n for record in records] == list(range(12))
    for i, record in enumerate(records):
        given_entry = entry(i)
        assert record.genome().tobytes() == given_entry.genome
        assert record.metrics_summary == given_entry.metrics_summary
        assert record.source == given_entry.source.plain()
        assert record.id == given_entry.id


def test_numbers_are_returned_in_order_and_go_on_after_reopening(tmp_path, clock, no_torn, entry):
    path = tmp_path / "pool.jsonl"
    with PoolWriter(path, clock=clock, on_torn=no_torn) as writer:
        assert writer.append([entry(0), entry(1)]) == [0, 1]
        assert writer.append([]) == []
        assert writer.append([entry(2)]) == [2]
    with PoolWriter(path, clock=clock, on_torn=no_torn) as writer:
        assert list(writer.append_groups([[entry(3)], [], [entry(4), entry(5)]])) == [[3], [4, 5]]
    assert scan(path, POOL_LINE, close=True).link.n == 6


def test_a_group_is_one_write_and_one_sync_before_it_is_acknowledged(tmp_path, clock, no_torn, entry):
    files = FaultyFiles()
    with PoolWriter(tmp_path / "pool.jsonl", clock=clock, on_torn=no_torn, files=files) as writer:
        before = len(files.trace)
        writer.append([entry(i) for i in range(20)])
        assert files.trace[before:] == ["size", "write", "fdatasync"]
    assert files.trace.index("fsync_dir") < before, (
        "a created pool's directory entry is durable before the first append"
    )


def test_two_writers_at_once_one_is_refused_by_name(make_pool, clock, no_torn):
    path = make_pool(2)
    with PoolWriter(path, clock=clock, on_torn=no_torn):
        with pytest.raises(LockHeldError, match=rf"a pool writer, pid {os.getpid()}") as refused:
            PoolWriter(path, clock=clock, on_torn=no_torn).__enter__()
        assert refused.value.exit_code is ExitCode.TRY_AGAIN
    assert reopen(path, clock) == (2, [])


def test_a_forked_child_does_not_keep_the_lock(make_pool, clock, no_torn):
    path = make_pool(1)
    context = multiprocessing.get_context("fork")
    done = context.Event()
    with PoolWriter(path, clock=clock, on_torn=no_torn):
        child = context.Process(target=done.wait, args=(30,))
        child.start()
    try:
        assert reopen(path, clock) == (1, [])
    finally:
        done.set()
        child.join()


def test_a_pool_cut_at_every_byte_recovers_every_whole_record(make_pool, clock, tmp_path, unsynced):
    whole = make_pool(2).read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    path = tmp_path / "cut" / "pool.jsonl"
    path.parent.mkdir()
    for cut in range(len(whole), -1, -1):
        path.write_bytes(whole[:cut])
        good = max([end for end in ends if end <= cut], default=0)
        found = scan(path, POOL_LINE, close=False)
        assert (found.damages, found.good, found.link.n) == ([], good, sum(end <= cut for end in ends))
        assert found.tail == (None if cut == good else Tail(good, cut - good, zeroed=False))
        if cut % 25 and cut - good > 3 and len(whole) - cut > 3:
            continue  # what opening does with such a tail need not be seen at every byte
        count, torn = reopen(path, clock, unsynced)
        assert count == found.link.n
        assert path.read_bytes() == whole[:good]
        if cut > good:
            assert (torn[0].offset, torn[0].length) == (good, cut - good)
            assert torn[0].moved_to.read_bytes() == whole[good:cut]
            torn[0].moved_to.unlink()


@pytest.mark.parametrize("change", [0x01, 0x20, 0x80, 0xFF])
def test_every_flipped_byte_refuses_and_nothing_is_repaired(make_pool, clock, tmp_path, change):
    whole = make_pool(3).read_bytes()
    path = tmp_path / "pool.jsonl"
    for at in range(change % 3, len(whole), 3):
        damaged = bytearray(whole)
        damaged[at] ^= change
        path.write_bytes(damaged)
        with pytest.raises(EvidenceError, match=r"damaged at byte \d+"):
            reopen(path, clock)
        assert path.read_bytes() == damaged
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pool.jsonl", "pool.jsonl.lock"]


def test_the_last_newline_turned_into_any_other_byte_refuses(make_pool, clock, tmp_path):
    path = make_pool(2)
    whole = path.read_bytes()
    for byte in range(256):
        if byte == 10:
            continue
        path.write_bytes(whole[:-1] + bytes([byte]))
        with pytest.raises(EvidenceError, match="newline of the last record"):
            reopen(path, clock)


@pytest.mark.parametrize("back", [2, 511, 512, 1000, 4096])
def test_a_zeroed_tail_is_moved_aside(make_pool, clock, back):
    path = make_pool(5)
    whole = path.read_bytes()
    data = whole[:-back] + b"\0" * back
    path.write_bytes(data)
    good = whole.rfind(b"\n", 0, len(whole) - back) + 1
    count, (torn,) = reopen(path, clock)
    assert path.read_bytes() == whole[:good]
    assert count == whole[:good].count(b"\n")
    assert torn.zeroed
    assert torn.sha256 == hashlib.sha256(data[good:]).hexdigest()


def test_zeros_after_the_last_record_and_a_long_run_of_them(make_pool, clock):
    path = make_pool(2)
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.truncate(len(whole) + 40_000_000)
    count, (torn,) = reopen(path, clock)
    assert (count, torn.length, path.read_bytes()) == (2, 40_000_000, whole)


def test_zeros_with_records_after_them_refuse(make_pool, clock):
    path = make_pool(6)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    start = len(lines[0])
    path.write_bytes(whole[:start] + b"\0" * len(lines[1]) + whole[start + len(lines[1]) :])
    with pytest.raises(EvidenceError, match=f"damaged at byte {start} "):
        reopen(path, clock)


def tamper_edit(lines):
    return [lines[0], lines[1].replace(b'"alive":false', b'"alive":true'), *lines[2:]]


TAMPERING = {
    "edit": tamper_edit,
    "delete": lambda lines: [lines[0], *lines[2:]],
    "delete the first": lambda lines: lines[1:],
    "reorder": lambda lines: [lines[1], lines[0], *lines[2:]],
    "insert": lambda lines: [lines[0], lines[0], *lines[1:]],
    "empty line": lambda lines: [lines[0], b"\n", *lines[1:]],
    "edit the last": lambda lines: [*lines[:-1], lines[-1].replace(b"W1", b"W2")],
    "spaces": lambda lines: [*lines[:-1], lines[-1].replace(b'":', b'": ', 1)],
    "a key twice": lambda lines: [*lines[:-1], lines[-1].replace(b'"schema":', b'"schema":"x","schema":')],
    "not a record": lambda lines: [*lines, b"{}\n"],
    "replace a genome": lambda lines: [lines[0], lines[1].replace(lines[1][400:800], lines[2][400:800]), *lines[2:]],
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_refused_at_open_and_by_readers(make_pool, clock, name):
    path = make_pool(6)
    lines = path.read_bytes().splitlines(keepends=True)
    data = b"".join(TAMPERING[name](lines))
    assert data != path.read_bytes()
    path.write_bytes(data)
    with pytest.raises(EvidenceError) as refused:
        reopen(path, clock)
    assert refused.value.exit_code is ExitCode.EVIDENCE_DAMAGED
    assert path.read_bytes() == data
    with pytest.raises(EvidenceError):
        list(iter_records(path))
    assert scan(path, POOL_LINE, close=True).damages


def test_one_edit_is_one_or_two_findings_not_a_flood(make_pool):
    path = make_pool(30)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(tamper_edit(lines)))
    damages = scan(path, POOL_LINE, close=True).damages
    assert [damage.line for damage in damages] == [1, 2]
    assert damages[0].offset == len(lines[0])
    path.write_bytes(b"".join(lines[:10] + lines[11:]))
    assert [damage.line for damage in scan(path, POOL_LINE, close=True).damages] == [10]


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.ENOSPC, Fault.SHORT_WRITE])
def test_a_fault_at_every_call_loses_nothing_acknowledged(tmp_path, clock, entry, fault):
    for at in range(200):
        path = tmp_path / f"{at}" / "pool.jsonl"
        path.parent.mkdir()
        files = FaultyFiles(fault, at)
        acknowledged = []
        try:
            with PoolWriter(path, clock=clock, on_torn=print, files=files) as writer:
                acknowledged += writer.append([entry(0), entry(1)])
                acknowledged += writer.append([entry(2)])
        except HostError:
            pass
        if path.exists():
            count, _ = reopen(path, clock)
            assert count >= len(acknowledged)
            assert [record.n for record in iter_records(path)] == list(range(count))
        if len(files.trace) <= at:
            assert acknowledged == [0, 1, 2]
            return
    pytest.fail("the fault never came late enough")


def test_after_a_full_disk_the_same_writer_goes_on(tmp_path, clock, no_torn, entry):
    path = tmp_path / "pool.jsonl"
    files = FaultyFiles(Fault.SHORT_WRITE)
    with PoolWriter(path, clock=clock, on_torn=no_torn, files=files) as writer:
        writer.append([entry(0)])
        files._at = len(files.trace) + 1
        with pytest.raises(HostError, match="cannot append"):
            writer.append([entry(1)])
        assert writer.append([entry(1)]) == [1]
    assert reopen(path, clock) == (2, [])


def test_after_a_failed_sync_the_writer_refuses(tmp_path, clock, no_torn, entry):
    path = tmp_path / "pool.jsonl"
    files = FaultyFiles(Fault.EIO)
    with PoolWriter(path, clock=clock, on_torn=no_torn, files=files) as writer:
        writer.append([entry(0)])
        files._at = len(files.trace) + 2
        for _ in range(2):
            with pytest.raises(HostError):
                writer.append([entry(1)])
    assert reopen(path, clock) == (1, [])


def test_somebody_else_writing_is_noticed(make_pool, clock, no_torn, entry):
    path = make_pool(1)
    with PoolWriter(path, clock=clock, on_torn=no_torn) as writer:
        with path.open("ab") as other:
            other.write(b"x")
        with pytest.raises(EvidenceError, match="changed under its writer"):
            writer.append([entry(1)])


def test_readers_see_whole_records_while_a_writer_appends(tmp_path, clock, no_torn, entry):
    path = tmp_path / "pool.jsonl"
    entries = [entry(i) for i in range(40)]
    stop = threading.Event()
    counts: list[int] = []

    def read():
        while not stop.is_set():
            counts.append(sum(1 for _ in iter_records(path)))

    with PoolWriter(path, clock=clock, on_torn=no_torn) as writer:
        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(10):
            for start in range(0, 40, 8):
                writer.append(entries[start : start + 8])
        stop.set()
        reader.join()
    assert counts == sorted(counts)
    assert sum(1 for _ in iter_records(path)) == 400


def test_a_closed_writer_refuses(make_pool, clock, no_torn, entry):
    path = make_pool(1)
    with PoolWriter(path, clock=clock, on_torn=no_torn) as writer:
        pass
    with pytest.raises(UsageError):
        writer.append([entry(1)])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"genome": b"x" * 1364}, "1368 bytes"),
        ({"genome": np.full(342, np.nan, "<f4").tobytes()}, "not finite"),
        ({"metrics_summary": {"fees": float("nan")}}, "JSON"),
        ({"metrics_summary": {"fees": None}}, "metrics_summary.fees is null without a reason"),
        ({"fingerprint_ref": None}, "fingerprint_ref is null without a reason"),
        ({"null_reasons": {}}, "null without a reason"),
        ({"metrics_summary": {"alive": {1, 2}}}, "pool entry"),
    ],
)
def test_a_wrong_entry_never_reaches_the_pool(entry, change, said):
    with pytest.raises(EvidenceError, match=said):
        attrs.evolve(entry(0), **change)


def test_a_genome_is_never_converted_silently():
    with pytest.raises(EvidenceError, match="float64"):
        genome_bytes(np.zeros(342))  # type: ignore[arg-type]
    with pytest.raises(EvidenceError, match="not finite"):
        genome_bytes(np.full(342, np.inf, np.float32))


SOURCE = PoolSource(
    git_commit="c" * 40,
    docker_image=None,
    run_id="r",
    seed=1,
    mode="offline",
    window={"name": "W1"},
    ablation=None,
    experiment=0,
    genome_index=0,
    arm="A_real",
)
names = st.text().filter(lambda name: name != "null_reasons")
"""Names of figures; that one is taken: it explains the nulls beside it."""
json_values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(metrics=st.dictionaries(names, json_values, max_size=6), n=st.integers(0, 2**40))
def test_any_metrics_give_a_line_that_every_check_accepts(metrics, n):
    entry = PoolEntry(
        genome=bytes(1368),
        created_at="2025-03-01T12:00:00.000000Z",
        source=SOURCE,
        metrics_summary={key: value for key, value in metrics.items() if key != "null_reasons"},
        fingerprint_ref="x",
        null_reasons={"source.docker_image": "x", "source.ablation": "x"},
    )
    link = Link(n, "ab" * 32)
    line = entry.encoded.line(*link)
    assert POOL_LINE.problem(line, link) is None
    assert POOL_LINE.links(line, link)
    assert canonical_line(json.loads(line)) == line
