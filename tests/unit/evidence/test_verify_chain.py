"""Verification of pools: the quick ways (memory of sources, several processes) never say other than the close look."""

from __future__ import annotations

import pytest

from prometheus.v10.evidence.chains import shards
from prometheus.v10.evidence.chains.chain import Link, after
from prometheus.v10.evidence.chains.pool_line import POOL_LINE, PoolLine
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.chains.shards import scan_close
from prometheus.v10.evidence.verify import verify_chain
from prometheus.v10.evidence.verify.verify_chain import verify_pool


def test_a_pool_passes_and_its_figures_are_told(make_pool):
    path = make_pool(9)
    report = verify_pool(path)
    assert report.findings == []
    assert report.facts["records"] == 9
    assert report.facts["bytes"] == path.stat().st_size
    assert report.facts["head"] == scan(path, POOL_LINE, close=False).link.prev


def test_findings_name_byte_and_line(make_pool):
    path = make_pool(6)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"W1", b"W2")
    path.write_bytes(b"".join(lines))
    report = verify_pool(path)
    assert report.exit_code == 1
    assert f"byte {len(lines[0]) + len(lines[1])}, line 3: its id is not that of its content" in report.lines()[0]


def test_a_torn_tail_fails_and_a_growing_pool_does_not(make_pool, monkeypatch):
    path = make_pool(2)
    with path.open("ab") as file:
        file.write(b'{"created')
    assert "an interrupted append" in verify_pool(path).lines()[0]

    def and_then_it_grows(*args, **more):
        found = scan_close(*args, **more)
        with path.open("ab") as file:
            file.write(b"_at")
        return found

    monkeypatch.setattr(verify_chain, "scan_close", and_then_it_grows)
    report = verify_pool(path)
    assert report.exit_code == 0
    assert "a writer is appending" in report.lines()[0]


def test_a_missing_pool_could_not_be_checked(tmp_path):
    assert verify_pool(tmp_path / "pool.jsonl").exit_code == 2


def test_what_the_memory_accepts_the_close_look_accepts_and_damage_is_never_accepted(make_pool):
    lines = make_pool(4).read_bytes().splitlines(keepends=True)
    form, link = PoolLine(), Link()
    for line in lines[:3]:
        assert form.problem(line, link) is None
        link = after(line, link.n)
    target = lines[3]
    assert form.problem(target, link) is None
    vector = range(target.index(b'"genome_vector_342":"') + 100, target.index(b'","id":"') - 100)
    for at in range(len(target)):
        if at in vector:
            continue
        for change in (0x01, 0x10, 0x80):
            damaged = bytearray(target)
            damaged[at] ^= change
            assert form.problem(bytes(damaged), link) is not None, (at, change)
            assert PoolLine().problem(bytes(damaged), link) is not None


def test_a_line_of_another_place_is_refused_although_its_source_is_known(make_pool):
    first, second = make_pool(2).read_bytes().splitlines(keepends=True)
    form = PoolLine()
    link = Link()
    assert form.problem(first, link) is None
    assert form.problem(first, after(first, 0)) is not None
    assert form.problem(second, Link(1, "0" * 64)) is not None


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(shards, "LARGE", 1)
    monkeypatch.setattr(shards, "PIECE", 20_000)


def test_several_processes_say_what_one_says(make_pool, small_pieces):
    path = make_pool(40)
    seen = []
    found = scan_close(path, POOL_LINE, progress=seen.append)
    alone = scan(path, POOL_LINE, close=True)
    assert (found.link, found.good, found.size) == (alone.link, alone.good, alone.size)
    assert sum(seen) == path.stat().st_size
    with path.open("ab") as file:
        file.write(b"{half")
    assert scan_close(path, POOL_LINE).tail == scan(path, POOL_LINE, close=True).tail


def test_several_processes_find_a_line_that_is_missing_where_they_cut(make_pool, small_pieces):
    path = make_pool(40)
    lines = path.read_bytes().splitlines(keepends=True)
    for gone in (6, 7, 8):
        path.write_bytes(b"".join(lines[:gone] + lines[gone + 1 :]))
        assert [damage.line for damage in scan_close(path, POOL_LINE).damages] == [gone]
