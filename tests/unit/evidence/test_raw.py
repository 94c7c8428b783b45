"""Raw execution evidence: parts, an index of just them, and a budget that never costs an event record."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import EvidenceError, HostError
from prometheus.v10.base.files import Files
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.records.codec import from_json_bytes
from prometheus.v10.evidence.records.raw import RawIndex, RawPolicy, RawWriter, Rotation
from prometheus.v10.evidence.records.raw_lines import RawBlock, RawBlocks, encode_orders
from prometheus.v10.evidence.verify.verify_raw import check_raw
from tests.faulty import CutOffError, Fault, FaultyFiles
from tests.unit.evidence.raw_orders import CLOSES, RUN_ID, context, log

START = "2026-01-02T03:04:05.000000Z"
INDEX = Artifact.EXECUTION_RAW_INDEX.value


# ---- parts, index, budget -------------------------------------------------------------------------------------------


def block(label: str, first: int, count: int) -> RawBlock:
    """Lines of one class, real enough for the checker."""
    flags, filled = (2, 0.0) if label == "event" else (0, 5.0)
    orders = [(agent % 100, agent, 0, flags, 5.0, filled) for agent in range(first, first + count)]
    blocks = encode_orders(context(sample_one_in=0), *log(*orders), CLOSES)
    return blocks.events if label == "event" else blocks.samples


def given_blocks(events: int, samples: int, number: itertools.count) -> RawBlocks:
    return RawBlocks(
        events=block("event", next(number) * 1000, events),
        samples=block("sample", next(number) * 1000, samples),
        crossing=None,
    )


class Peak(Files):
    """The real file layer without syncs; notes the most bytes that the parts took together at any moment."""

    def __init__(self, place: Path) -> None:
        self.place, self.peak = place, 0

    def look(self) -> None:
        self.peak = max(self.peak, sum(path.stat().st_size for path in parts_in(self.place)))

    def link(self, source: Path, target: Path) -> None:
        super().link(source, target)
        self.look()

    def fsync(self, fd: int) -> None:
        pass

    def fsync_dir(self, path: Path) -> None:
        pass


def parts_in(place: Path) -> list[Path]:
    return sorted(place.glob("m_execution_raw_part_*.json"))


def open_writer(
    place: Path, budget: int, *, threshold: int = 200, one_in: int = 1000, files=None, heard=None
) -> RawWriter:
    place.mkdir(exist_ok=True)
    return RawWriter(
        place,
        run_id=RUN_ID,
        created_at=START,
        policy=RawPolicy(threshold=threshold, sample_one_in=one_in, budget_bytes=budget),
        on_rotation=(heard if heard is not None else []).append,
        files=files or Peak(place),
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / RUN_ID


def index_of(place: Path) -> RawIndex:
    return from_json_bytes((place / INDEX).read_bytes(), RawIndex, where="index")


def said(place: Path, **how) -> list[str]:
    return [finding.line() for finding in check_raw(place, **how)]


def test_parts_hold_two_hundred_records_one_a_line(place: Path) -> None:
    writer = open_writer(place, 10**9)
    number = itertools.count()
    writer.add(0, given_blocks(0, 450, number))
    assert [len(json.loads(path.read_bytes())) for path in parts_in(place)] == [200, 200]
    before = {path: path.read_bytes() for path in parts_in(place)}
    assert writer.records == 400
    writer.add(1, given_blocks(3, 10, number))
    writer.finish()
    index = index_of(place)
    assert [(part.kind, part.records_count, part.event_records) for part in index.shards] == [
        ("samples", 200, 0), ("samples", 200, 0), ("events", 3, 3), ("samples", 60, 0),
    ]  # fmt: skip
    assert {path: path.read_bytes() for path in before} == before
    assert (writer.records, index.total_records, index.total_shards, index.total_event_records) == (463, 463, 4, 3)
    assert (index.shards[3].start_experiment, index.shards[3].end_experiment) == (0, 1)
    assert index.shards[0].sha256.startswith(index.shards[0].sha256_16)
    assert index.created_at == START
    assert index.policy.sample_one_in == 1000
    assert not index.self_trade.complete
    assert index.null_reasons["self_trade.crossed_lots"].startswith("one plain order in 1000")
    assert said(place) == []
    text = before[parts_in(place)[0]].split(b"\n")
    assert (text[0], text[-2:]) == (b"[", [b"]", b""])
    assert json.loads(text[1].removesuffix(b","))["order"] == 0


def test_event_records_are_on_the_disk_when_their_experiment_is_handed_over(place: Path) -> None:
    writer = open_writer(place, 10**9)
    writer.add(0, given_blocks(1, 5, itertools.count()))
    assert index_of(place).total_event_records == 1
    assert said(place) == []


def test_a_run_without_an_order_has_an_index_that_says_so(place: Path) -> None:
    writer = open_writer(place, 10**9, one_in=1)
    assert index_of(place).shards == []
    writer.finish()
    index = index_of(place)
    assert (index.total_records, index.self_trade.crossed_lots, index.self_trade.complete) == (0, 0.0, True)
    assert said(place) == []


def test_self_trades_are_summed_where_every_order_was_kept(place: Path) -> None:
    writer = open_writer(place, 10**9, one_in=1)
    ids, values = log((7, 0, 0, 0, 5.0, 5.0), (7, 1, 1, 0, -3.0, -3.0))
    for experiment in range(2):
        writer.add(experiment, encode_orders(context(), ids, values, CLOSES))
    writer.finish()
    found = index_of(place).self_trade
    assert (found.moments, found.gross_lots, found.net_lots, found.crossed_lots) == (2, 16.0, 4.0, 6.0)
    assert said(place) == []


experiments = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 25)), min_size=1, max_size=8)


@given(experiments, st.integers(0, 30_000), st.integers(1, 7))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_budget_never_costs_an_event_record_and_the_index_is_what_there_is(
    given_, budget: int, threshold: int
) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        place, number, heard = root / RUN_ID, itertools.count(), []
        files = Peak(place)
        writer = open_writer(place, budget, threshold=threshold, files=files, heard=heard)
        handed = [given_blocks(events, samples, number) for events, samples in given_]
        for experiment, blocks in enumerate(handed):
            writer.add(experiment, blocks)
            assert said(place) == []
        writer.finish()
        index = index_of(place)
        assert said(place) == []
        assert {path.name for path in place.iterdir()} == {INDEX, *(part.filename for part in index.shards)}
        kept = [record for part in index.shards for record in json.loads((place / part.filename).read_bytes())]
        events = [line for blocks in handed for line in blocks.events.lines]
        assert [r["agent_id"] for r in kept if r["flags"]] == [json.loads(line)["agent_id"] for line in events]
        plain = [json.loads(line)["agent_id"] for blocks in handed for line in blocks.samples.lines]
        newest = [r["agent_id"] for r in kept if not r["flags"]]
        assert sorted(newest) == newest
        assert set(newest) <= set(plain)
        assert len(newest) + index.dropped_records == len(plain)
        size_of_events = sum(part.bytes for part in index.shards if part.event_records)
        assert files.peak <= max(budget, size_of_events)
        assert sum(len(one.dropped) for one in heard) == len(index.dropped)  # type: ignore[misc]
        assert writer.records == len(kept)
    finally:
        shutil.rmtree(root)


def test_rotation_takes_the_oldest_plain_part_and_logs_it(place: Path) -> None:
    heard: list[Rotation] = []
    number = itertools.count()
    one = given_blocks(0, 10, number)
    size = len(b"".join(one.samples.lines)) + 23
    writer = open_writer(place, 3 * size, threshold=10, heard=heard)
    for experiment in range(5):
        writer.add(experiment, given_blocks(0, 10, number))
    index = index_of(place)
    assert [part.filename[-9:-5] for part in index.shards] == ["0003", "0004", "0005"]
    assert [(part.filename[-9:-5], part.records_count) for part in index.dropped] == [("0001", 10), ("0002", 10)]
    assert all("budget" in part.reason for part in index.dropped)
    assert [rotation.dropped[0].filename[-9:-5] for rotation in heard] == ["0001", "0002"]
    assert len(parts_in(place)) == 3
    assert not (place / index.dropped[0].filename).exists()


def test_event_records_beyond_the_budget_are_kept_and_said(place: Path) -> None:
    heard: list[Rotation] = []
    writer = open_writer(place, 100, heard=heard)
    writer.add(0, given_blocks(4, 4, itertools.count()))
    writer.finish()
    index = index_of(place)
    assert (index.total_event_records, index.total_records, index.dropped_records) == (4, 4, 4)
    assert index.over_budget_bytes == index.total_bytes - 100 > 0
    assert heard[0].over_budget_bytes == index.over_budget_bytes
    assert "left no room" in index.dropped[0].reason
    assert said(place) == []


def test_the_bytes_are_a_function_of_the_run(tmp_path: Path) -> None:
    found = []
    for copy in "ab":
        (tmp_path / copy).mkdir()
        place, number = tmp_path / copy / RUN_ID, itertools.count()
        writer = open_writer(place, 9000, threshold=4)
        for experiment in range(4):
            writer.add(experiment, given_blocks(experiment, 7, number))
        writer.finish()
        found.append({path.name: path.read_bytes() for path in place.iterdir()})
    assert found[0] == found[1]


def test_a_part_that_is_there_already_is_not_written_over(place: Path) -> None:
    writer = open_writer(place, 10**9)
    (place / "m_execution_raw_part_0001.json").write_bytes(b"mine")
    with pytest.raises(EvidenceError, match="exists already"):
        writer.add(0, given_blocks(1, 0, itertools.count()))
    assert (place / "m_execution_raw_part_0001.json").read_bytes() == b"mine"


# ---- a disk that refuses, a process that ends -----------------------------------------------------------------------


def write_some(place: Path, files: Files) -> None:
    number = itertools.count()
    writer = open_writer(place, 9000, threshold=4, files=files)
    for experiment in range(4):
        writer.add(experiment, given_blocks(experiment % 2, 6, number))
    writer.finish()


def calls(tmp_path: Path) -> int:
    files = FaultyFiles()
    write_some(tmp_path / "count" / RUN_ID, files)
    assert "unlink" in files.trace
    return len(files.trace)


@pytest.mark.parametrize("fault", [Fault.ENOSPC, Fault.EIO, Fault.SHORT_WRITE])
def test_a_disk_that_refuses_leaves_an_index_of_what_there_is(fault: Fault, tmp_path: Path) -> None:
    (tmp_path / "count").mkdir()
    refused = 0
    for at in range(calls(tmp_path)):
        place = tmp_path / f"{at}" / RUN_ID
        place.parent.mkdir()
        try:
            write_some(place, FaultyFiles(fault, at))
        except HostError:
            refused += 1
        assert [line for line in said(place) if not line.startswith("NOTE")] == [], at
    assert fault is Fault.SHORT_WRITE or refused > 50


def test_a_process_that_ends_anywhere_leaves_evidence_that_verifies(tmp_path: Path) -> None:
    (tmp_path / "count").mkdir()
    for at in range(calls(tmp_path)):
        place = tmp_path / f"{at}" / RUN_ID
        place.parent.mkdir()
        with pytest.raises(CutOffError):
            write_some(place, FaultyFiles(Fault.CUT_OFF, at))
        assert [line for line in said(place, cut_off=True) if not line.startswith("NOTE")] == [], at


# ---- tampering ------------------------------------------------------------------------------------------------------


def edit_index(place: Path, edit) -> None:
    index = json.loads((place / INDEX).read_bytes())
    edit(index)
    (place / INDEX).write_text(json.dumps(index))


def tamperings() -> Iterator[tuple[str, object, str]]:
    def part(n: int) -> str:
        return f"m_execution_raw_part_{n:04d}.json"

    def flip(place: Path) -> None:
        data = bytearray((place / part(2)).read_bytes())
        data[50] ^= 1
        (place / part(2)).write_bytes(data)

    def relabel(place: Path) -> None:
        edit_index(place, lambda index: index["shards"][0].update(event_records=0))

    def forged(place: Path) -> None:
        """A part and its hashes rewritten together: a record of another run."""
        data = (place / part(2)).read_bytes().replace(RUN_ID.encode(), b"HF_20260102T030405Z_0123456_000f", 1)
        (place / part(2)).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        edit_index(place, lambda index: index["shards"][1].update(sha256=digest, sha256_16=digest[:16]))

    yield "a byte of a part", flip, "not those of its index"
    yield "a part deleted", lambda place: (place / part(1)).unlink(), "which is not there"
    yield "a part added", lambda place: (place / part(99)).write_bytes(b"[\n]\n"), "not in m_execution_raw_index"
    yield "the index deleted", lambda place: (place / INDEX).unlink(), "missing, and there are"
    yield "the index no JSON", lambda place: (place / INDEX).write_text("{"), "not an index"
    yield "an entry dropped", lambda place: edit_index(place, lambda i: i["shards"].pop(0)), "not in m_execution_raw"
    yield "a total", lambda place: edit_index(place, lambda i: i.update(total_records=1)), "total_records is 1"
    yield "an event relabelled", relabel, "event record among plain ones"
    yield "a forged record", forged, "of 'HF_20260102T030405Z_0123456_000f'"
    yield "a budget", lambda place: edit_index(place, lambda i: i["policy"].update(budget_bytes=9)), "beyond the budget"
    yield (
        "an entry twice",
        lambda place: edit_index(place, lambda i: i["shards"].append(i["shards"][0])),
        "listed twice",
    )


@pytest.mark.parametrize(("how", "what"), [t[1:] for t in tamperings()], ids=[t[0] for t in tamperings()])
def test_tampering_is_found(how, what: str, place: Path) -> None:
    writer = open_writer(place, 10**9, threshold=4)
    writer.add(0, given_blocks(2, 9, itertools.count()))
    writer.finish()
    assert said(place) == []
    how(place)
    assert any(what in line for line in said(place)), said(place)


def test_what_retention_explains_is_no_finding(place: Path) -> None:
    writer = open_writer(place, 10**9, threshold=4)
    writer.add(0, given_blocks(0, 9, itertools.count()))
    writer.finish()
    name = parts_in(place)[0].name
    (place / name).unlink()
    assert said(place) != []
    assert said(place, explained={name}) == []
