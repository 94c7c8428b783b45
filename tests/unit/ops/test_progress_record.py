"""The record of progress: replaced whole, at most once a second, and believed only in its form."""

from __future__ import annotations

import json
import os

import pytest
from attrs import evolve

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.records.canonical import canonical_line
from prometheus.v10.ops.instance.progress_record import (
    MOST_BYTES,
    PROGRESS_FILE,
    ProgressFile,
    ProgressRecord,
    read_progress,
)
from prometheus.v10.runs.control import Progress
from tests.faulty import Fault, FaultyFiles

RUN = "HF_20260102T030405Z_0123456_0000"


def look(**changes):
    figures = {
        "run_id": RUN, "experiments_total": 24, "experiments_done": 3, "tick": 5000, "ticks_total": 8064,
        "agent_ticks": 123_456_789, "alive": 187, "births": 1200, "deaths": 1313, "last_collapse": None,
        "seconds": 10.0,
    }  # fmt: skip
    return Progress(**{**figures, **changes})


@pytest.fixture
def place(layout):
    (layout.state / "HF").mkdir()
    return layout.state / "HF" / PROGRESS_FILE


@pytest.fixture
def writer(layout, place, fake_clock):
    return ProgressFile(layout, "HF", fake_clock)


@pytest.fixture
def good(writer):
    """The record as plain values."""
    return writer.record(look()).plain()


# ---- what is in it ---------------------------------------------------------------------------------------------------


def test_a_record_says_how_far_the_run_is(writer, fake_clock):
    assert writer.record(look(last_collapse="extinction in experiment 3 at tick 17")).plain() == {
        "schema": "progress/1", "instance": "HF", "ts_utc": fake_clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "run_id": RUN, "experiment": 4, "experiments": 24, "tick": 5000, "ticks": 8064, "alive": 187,
        "agent_ticks_per_second": 12_345_679, "births": 1200, "deaths": 1313,
        "last_collapse": "extinction in experiment 3 at tick 17",
    }  # fmt: skip


def test_the_last_experiment_is_not_counted_beyond_and_no_time_is_no_rate(writer):
    record = writer.record(look(experiments_done=24, seconds=0.0))
    assert (record.experiment, record.agent_ticks_per_second, record.last_collapse) == (24, 0, "none")


# ---- writing ---------------------------------------------------------------------------------------------------------


def test_it_is_replaced_whole_and_at_most_once_a_second(layout, writer, place, fake_clock):
    writer.write(writer.record(look(tick=1)))
    first = place.stat().st_ino
    fake_clock.advance(0.9)
    writer.write(writer.record(look(tick=2)))
    assert (read_progress(layout, "HF").tick, place.stat().st_ino) == (1, first)
    fake_clock.advance(0.1)
    writer.write(writer.record(look(tick=3)))
    assert read_progress(layout, "HF").tick == 3
    assert place.stat().st_ino != first
    assert place.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in place.parent.iterdir()] == [PROGRESS_FILE]


def test_nothing_of_it_is_synced(layout, place, fake_clock):
    files = FaultyFiles()
    writer = ProgressFile(layout, "HF", fake_clock, files)
    writer.write(writer.record(look()))
    assert files.trace == ["open", "fchmod", "write", "close", "rename"]


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.ENOSPC])
@pytest.mark.parametrize("call", range(5))
def test_a_disk_that_refuses_it_harms_nothing(layout, writer, fake_clock, fault, call):
    writer.write(writer.record(look(tick=1)))
    fake_clock.advance(1.0)
    writer._files = FaultyFiles(fault, call)
    writer.write(writer.record(look(tick=2)))
    assert writer.failed == 1
    assert read_progress(layout, "HF").tick == 1
    fake_clock.advance(1.0)
    writer.write(writer.record(look(tick=3)))
    assert read_progress(layout, "HF").tick == 3


def test_a_new_process_begins_without_a_record_and_so_does_the_end_of_a_run(layout, writer, place, fake_clock):
    writer.write(writer.record(look()))
    later = ProgressFile(layout, "HF", fake_clock)
    assert read_progress(layout, "HF") is None
    later.write(later.record(look()))
    later.clear()
    later.clear()
    assert not place.exists()
    later.write(later.record(look()))  # the next run need not wait for its first record
    assert place.exists()


def test_a_link_in_its_place_is_replaced_and_its_target_left_alone(layout, writer, place, tmp_path, fake_clock):
    target = tmp_path / "target"
    target.write_text("others'")
    place.symlink_to(target)
    writer.write(writer.record(look()))
    assert target.read_text() == "others'"
    assert read_progress(layout, "HF").run_id == RUN


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read(layout, writer):
    assert read_progress(layout, "HF") is None
    record = writer.record(look())
    writer.write(record)
    assert read_progress(layout, "HF") == record
    assert evolve(record, tick=0) != record


WRONG: dict[str, dict[str, object]] = {
    "an escape in a text": {"last_collapse": "\x1b[2Jgone"},
    "a line feed in a text": {"last_collapse": "one\ntwo"},
    "a bidirectional control": {"last_collapse": "\u202eabc"},
    "an empty text": {"last_collapse": ""},
    "a long text": {"last_collapse": "x" * 201},
    "no text": {"last_collapse": None},
    "an object for a text": {"last_collapse": {"a": [1]}},
    "a text for a number": {"tick": "5000"},
    "a fraction": {"tick": 1.5},
    "a truth value for a number": {"alive": True},
    "less than none": {"deaths": -1},
    "a number of a thousand digits": {"births": 10**1000},
    "a list for a number": {"births": [[[[1]]]]},
    "a run id that is none": {"run_id": "HF_x/../y"},
    "a run id with an escape": {"run_id": RUN + "\x1b"},
    "a moment that is none": {"ts_utc": "now"},
    "a local moment": {"ts_utc": "2026-01-02T03:04:05.000000+02:00"},
    "another instance": {"instance": "OTHER"},
    "an instance that is none": {"instance": "../HF"},
    "another version": {"schema": "progress/2"},
    "one field more": {"more": 1},
}


def is_refused(layout, secret=None):
    with pytest.raises(EvidenceError, match=r"progress\.json") as caught:
        read_progress(layout, "HF")
    said = caught.value.message
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 400
    assert secret is None or secret not in said


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_hostile_field_is_refused_in_one_line_that_repeats_nothing_of_it(layout, place, good, change):
    place.write_bytes(json.dumps({**good, **change}, sort_keys=True, separators=(",", ":")).encode())
    is_refused(layout, next((text for text in change.values() if isinstance(text, str) and len(text) > 3), None))


@pytest.mark.parametrize("name", ["tick", "schema", "instance", "last_collapse"])
def test_a_field_that_is_missing_is_refused(layout, place, good, name):
    place.write_bytes(canonical_line({key: value for key, value in good.items() if key != name}))
    is_refused(layout)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\x1b[2J", b"\xff\xfe", b"[" * 4000, b'{"a":' * 600 + b"1" + b"}" * 600,
     b" " * (MOST_BYTES + 1), b'{"tick":1,"tick":2}', b'{"tick":NaN}'],
)  # fmt: skip
def test_bytes_that_are_no_record_are_refused(layout, place, data):
    place.write_bytes(data)
    is_refused(layout)


def test_only_the_canonical_spelling_is_a_record(layout, place, good):
    place.write_text(json.dumps(good, indent=1))
    is_refused(layout)
    place.write_bytes(canonical_line(good) + b"\n")
    is_refused(layout)
    place.write_bytes(canonical_line(good))
    assert read_progress(layout, "HF").tick == 5000


def test_a_link_a_pipe_and_a_sparse_giant_are_refused_without_waiting(layout, place, tmp_path, good):
    real = tmp_path / "real.json"
    real.write_bytes(canonical_line(good))
    place.symlink_to(real)
    is_refused(layout)
    place.unlink()
    os.mkfifo(place)
    is_refused(layout)
    place.unlink()
    with place.open("wb") as giant:
        giant.truncate(1 << 40)
    is_refused(layout)


def test_every_field_has_a_form():
    """Of each field some value is refused; a field that is added is a number unless it says otherwise."""
    tried = {name for change in WRONG.values() for name in change}
    same_form = {"experiment", "experiments", "ticks", "agent_ticks_per_second"}
    assert tried - {"more"} | same_form == set(ProgressRecord.__annotations__)
