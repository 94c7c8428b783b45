"""Sectors that a power cut left as zeros: at the tail they are moved aside, anywhere else they are damage."""

from __future__ import annotations

import pytest

from prometheus.v10.base.errors import EvidenceError, ExitCode
from prometheus.v10.evidence.verify.verify_chain import verify_pool
from tests.integration.faults.support import lines_of, offsets_of, reopen

RECORDS = 40


def zeroed(data: bytes, start: int, end: int) -> bytes:
    return data[:start] + bytes(end - start) + data[end:]


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_tail_of_zeroed_sectors_is_moved_aside_from_the_last_whole_record_on(scratch, sector):
    lines = lines_of(RECORDS)
    offsets, data = offsets_of(lines), b"".join(lines)
    path = scratch / "pool.jsonl"
    last = len(data) // sector
    for first in range(last, last - 24, -1):
        damaged = zeroed(data, first * sector, len(data))
        path.write_bytes(damaged)
        whole = max(n for n, offset in enumerate(offsets) if offset <= first * sector)
        if damaged == data:
            continue
        assert verify_pool(path).exit_code is ExitCode.VERIFY_FAILED
        count, (torn,) = reopen(path)
        assert (count, torn.zeroed, torn.offset) == (whole, True, offsets[whole])
        assert path.read_bytes() == data[: offsets[whole]]
        assert torn.moved_to.read_bytes() == damaged[offsets[whole] :]
        torn.moved_to.unlink()


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_file_that_was_made_longer_by_zeros_loses_only_the_zeros(scratch, sector):
    """What ext4 and XFS leave when the size reached the disk and the data did not."""
    data = b"".join(lines_of(RECORDS))
    path = scratch / "pool.jsonl"
    for sectors in (1, 2, 9):
        size = (len(data) // sector + sectors) * sector
        path.write_bytes(data + bytes(size - len(data)))
        count, (torn,) = reopen(path)
        assert (count, torn.length, path.read_bytes()) == (RECORDS, size - len(data), data)
        torn.moved_to.unlink()


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_zeroed_sector_with_anything_after_it_refuses_and_changes_nothing(scratch, sector):
    """Also when only the end of the last record survives behind it: that is no interrupted append."""
    data = b"".join(lines_of(RECORDS))
    path = scratch / "pool.jsonl"
    for first in range(len(data) // sector):
        damaged = zeroed(data, first * sector, (first + 1) * sector)
        assert damaged != data
        path.write_bytes(damaged)
        with pytest.raises(EvidenceError, match="damaged at byte"):
            reopen(path)
        assert path.read_bytes() == damaged
        report = verify_pool(path)
        assert report.exit_code is ExitCode.VERIFY_FAILED
        named = int(report.findings[0].what.split()[1].rstrip(","))
        assert named <= (first + 1) * sector
    assert sorted(p.name for p in scratch.iterdir()) == ["pool.jsonl", "pool.jsonl.lock"]
