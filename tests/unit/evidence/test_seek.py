"""A line by its number, and what a run appended, without reading the history before it."""

from __future__ import annotations

import os

from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.seek import line_of
from prometheus.v10.evidence.pools.pool_claims import claims_of


def offsets(data: bytes) -> list[int]:
    found = [0]
    for line in data.splitlines(keepends=True):
        found.append(found[-1] + len(line))
    return found


def test_every_line_is_found_by_its_number_and_no_other(make_pool):
    pool = make_pool(33)
    data = pool.read_bytes()
    at = offsets(data)
    for n in range(33):
        assert line_of(pool, POOL_LINE, n) == (at[n], data[at[n] : at[n + 1]])
    assert line_of(pool, POOL_LINE, 33) is None
    assert line_of(pool.with_name("none.jsonl"), POOL_LINE, 0) is None


def test_a_torn_tail_hides_no_line_before_it(make_pool):
    pool = make_pool(5)
    whole = pool.read_bytes()
    pool.write_bytes(whole + whole[:99])
    assert [line_of(pool, POOL_LINE, n) is not None for n in range(6)] == [True] * 5 + [False]


def test_claims_from_a_place_on_are_those_of_the_records_behind_it(make_pool, monkeypatch):
    """Whatever the place; and the bytes before it are not read, whose number grows with the years."""
    pool = make_pool(40)
    read = []
    real = os.pread

    def counting(fd: int, size: int, at: int) -> bytes:
        data = real(fd, size, at)
        read.append((at, len(data)))
        return data

    (whole,) = claims_of(pool).values()
    at = offsets(pool.read_bytes())
    monkeypatch.setattr(os, "pread", counting)
    for first in range(41):
        read.clear()
        found = claims_of(pool, first=first)
        claims = list(found.values())
        assert [claim.appended for claim in claims] == ([40 - first] if first < 40 else [])
        assert [(claim.first, claim.last) for claim in claims] == ([(first, 39)] if first < 40 else [])
        if first < 40:
            assert read[0] == (at[first], at[40] - at[first])
    (again,) = claims_of(pool, first=0).values()
    assert again.records_sha256 == whole.records_sha256


def test_a_damaged_pool_is_looked_at_from_its_first_byte(make_pool):
    """The number that leads to the place cannot be trusted there; nothing of the run may be missed."""
    pool = make_pool(9)
    lines = pool.read_bytes().splitlines(keepends=True)
    pool.write_bytes(b"".join([*lines[:4], b"x" * 50_000 + b"\n", *lines[5:]]))
    (claim,) = claims_of(pool, first=4).values()
    assert claim.appended >= 4
