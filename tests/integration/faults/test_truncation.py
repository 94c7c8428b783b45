"""A pool that was cut anywhere: every whole record is found, nothing else is, and not a byte is thrown away."""

from __future__ import annotations

import os

from prometheus.v10.evidence.chains.chain import Place
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import Tail, scan
from prometheus.v10.evidence.pools.pool import PoolWriter
from tests.conftest import FakeClock
from tests.integration.faults.support import entry, how_many, lines_of, links_of, offsets_of, reopen, untold

RECORDS = 200


def test_a_pool_cut_at_every_byte_holds_exactly_its_whole_records(scratch, record_property):
    """Every byte of the file is a cut. The scanner starts at the cut record, as it stands after the records before."""
    lines = lines_of(RECORDS)
    links, offsets = links_of(lines), offsets_of(lines)
    path = scratch / "pool.jsonl"
    path.write_bytes(b"".join(lines))
    cuts = 0
    for n in range(RECORDS - 1, -1, -1):
        for cut in range(offsets[n + 1] - 1, offsets[n] - 1, -how_many("CUT_STEP", 1)):
            os.truncate(path, cut)
            found = scan(path, POOL_LINE, close=False, start=Place(offsets[n], links[n]))
            expected = Tail(offsets[n], cut - offsets[n], zeroed=False) if cut > offsets[n] else None
            assert (found.good, found.link, found.damages, found.tail) == (offsets[n], links[n], [], expected), cut
            cuts += 1
        os.truncate(path, offsets[n])
        whole = scan(path, POOL_LINE, close=False)  # ... and from the first byte on, once a record
        assert (whole.good, whole.link, whole.damages, whole.tail) == (offsets[n], links[n], [], None)
    record_property(
        "figure", f"truncation: {cuts} cuts of a pool of {RECORDS} records, {offsets[-1]} bytes: every one as expected"
    )
    assert cuts == offsets[-1] or how_many("CUT_STEP", 1) > 1


def test_opening_a_cut_pool_keeps_every_whole_record_and_moves_the_rest_aside(scratch):
    """The writer itself: at each record's first, second, middle and last bytes, and all through the last."""
    lines = lines_of(RECORDS)
    offsets, whole = offsets_of(lines), b"".join(lines)
    path = scratch / "pool.jsonl"
    for n, line in enumerate(lines):
        inside = range(0, len(line), 7) if n == RECORDS - 1 else (0, 1, len(line) // 2, len(line) - 2, len(line) - 1)
        for cut in (offsets[n] + byte for byte in inside):
            path.write_bytes(whole[:cut])
            count, torn = reopen(path)
            assert (count, path.read_bytes()) == (n, whole[: offsets[n]])
            kept = [tail.moved_to.read_bytes() for tail in torn]
            assert kept == ([whole[offsets[n] : cut]] if cut > offsets[n] else [])
            for tail in torn:
                tail.moved_to.unlink()


def test_a_cut_pool_goes_on_as_if_the_cut_record_had_never_been_begun(scratch):
    lines = lines_of(RECORDS)
    path = scratch / "pool.jsonl"
    path.write_bytes(b"".join(lines)[:-1])
    with PoolWriter(path, clock=FakeClock(), on_torn=untold) as writer:
        assert writer.append([entry(RECORDS - 1)]) == [RECORDS - 1]
    assert path.read_bytes() == b"".join(lines)
