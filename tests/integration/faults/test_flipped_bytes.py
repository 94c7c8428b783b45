"""Any byte of a pool turned into any other: found every time, blamed on the right record, and never repaired.

A flip in record n is looked at by the scanners from record n on, as they stand after the records before it, over as
many records as it takes to meet the hash of what was changed. ``PQ_FLIP_MASKS`` asks for more than one flip a byte.
"""

from __future__ import annotations

import multiprocessing
import os
import random
from pathlib import Path

import pytest

from prometheus.v10.base.errors import EvidenceError, ExitCode
from prometheus.v10.evidence.chains.chain import Link, Place
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.verify.verify_chain import verify_pool
from tests.integration.faults.support import how_many, lines_of, links_of, offsets_of, reopen

RECORDS = 25
ALL_BITS = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF)


def masks_for(at: int) -> list[int]:
    """What the byte at ``at`` is changed by: one bit, another for each byte; then the other bits; then all of them."""
    wanted = how_many("FLIP_MASKS", 1)
    return [ALL_BITS[(at + k) % 8] if k < 8 else 0xFF for k in range(min(wanted, len(ALL_BITS)))]


def flip_records(path: Path, records: list[int], lines: list[bytes]) -> tuple[int, list[str]]:
    """Flip every byte of these records in a file of one's own; how many flips, and which were missed or misjudged."""
    links, offsets = links_of(lines), offsets_of(lines)
    wrong, flips = [], 0
    with path.open("r+b", buffering=0) as file:
        for n in records:
            ends = (offsets[min(n + 2, len(lines))], offsets[n + 1])
            for at in range(offsets[n], offsets[n + 1]):
                original = lines[n][at - offsets[n]]
                for mask in masks_for(at):
                    os.pwrite(file.fileno(), bytes([original ^ mask]), at)
                    wrong += look(path, n, at, ends, offsets[n], links[n])
                    flips += 1
                os.pwrite(file.fileno(), bytes([original]), at)
    return flips, wrong


def look(path: Path, n: int, at: int, ends: tuple[int, int], start: int, link: Link) -> list[str]:
    """What opening and verifying say of a flip at ``at``; nothing when both refuse and name record n or its successor.

    Opening compares hashes, so it needs the next record; verifying needs no other than the one that was changed.
    """
    wrong = []
    for close, end in zip((False, True), ends, strict=True):
        found = scan(path, POOL_LINE, close=close, start=Place(start, link), end=end)
        if not found.damages:
            wrong.append(f"byte {at}, record {n}: missed (close={close}, tail={found.tail})")
        elif found.damages[0].line not in {n, n + 1} or found.damages[0].offset < start:
            wrong.append(f"byte {at}, record {n}: blamed on {found.damages[0]}")
    return wrong


def test_every_flipped_byte_is_found_by_opening_and_by_verifying(scratch, record_property):
    lines = lines_of(RECORDS)
    data = b"".join(lines)
    workers = 2
    jobs = []
    for k in range(workers):
        (scratch / f"pool-{k}.jsonl").write_bytes(data)
        jobs.append((scratch / f"pool-{k}.jsonl", list(range(k, RECORDS, workers)), lines))
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        results = pool.starmap(flip_records, jobs)
    flips, wrong = sum(count for count, _ in results), [line for _, found in results for line in found]
    record_property("figure", f"flipped bytes: {flips} flips over {len(data)} bytes, {len(wrong)} missed or misjudged")
    assert flips == len(data) * len(masks_for(0))
    assert wrong == []
    assert [(scratch / f"pool-{k}.jsonl").read_bytes() == data for k in range(workers)] == [True] * workers


def test_opening_a_pool_with_a_flipped_byte_refuses_and_repairs_nothing(scratch, record_property):
    """The writer and the verifier themselves, over the whole file: every byte of the last record, random others."""
    lines = lines_of(RECORDS)
    offsets, data = offsets_of(lines), b"".join(lines)
    path = scratch / "pool.jsonl"
    chance = random.Random(1)
    places = [*range(offsets[-2], offsets[-1]), *chance.sample(range(offsets[-2]), how_many("FLIP_OPENS", 500))]
    repaired = 0
    for at in places:
        damaged = bytearray(data)
        damaged[at] ^= chance.choice(ALL_BITS)
        path.write_bytes(damaged)
        with pytest.raises(EvidenceError, match=r"damaged at byte \d+ \(line \d+\)") as refused:
            reopen(path)
        assert refused.value.exit_code is ExitCode.EVIDENCE_DAMAGED
        repaired += path.read_bytes() != damaged
    assert repaired == 0
    assert sorted(p.name for p in scratch.iterdir()) == ["pool.jsonl", "pool.jsonl.lock"]
    assert verify_pool(path).exit_code is ExitCode.VERIFY_FAILED
    record_property("figure", f"flipped bytes: {len(places)} openings of the whole pool, {repaired} repaired")
