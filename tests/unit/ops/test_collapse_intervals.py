"""The survival curve across runs and restarts, and what a cut or a flipped byte does to it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.chains.chain import line_hash
from prometheus.v10.evidence.records.canonical import canonical_line
from prometheus.v10.evidence.verify.verify_curve import verify_curve
from prometheus.v10.ops.instance.collapse_intervals import (
    CLOCK_WENT_BACK,
    FIRST,
    CollapseIntervals,
    CollapseLine,
    CollapseSeen,
    read_lines,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "collapse_intervals.jsonl"


def opened(path, clock, torn=None):
    def nothing_is_torn(tail):
        pytest.fail(f"unexpected torn tail: {tail}")

    return CollapseIntervals(path, "HF", clock, nothing_is_torn if torn is None else torn.append)


def collapses(path):
    return [line for line in read_lines(path) if isinstance(line, CollapseLine)]


def two_runs(path, clock):
    """Run A: experiment 0 lives 100 ticks, 1 collapses at 40. Run B, 50 s later: 0 collapses at 30."""
    with opened(path, clock) as ledger:
        ledger.record_opened("A")
        ledger.record_run("A", "completed", [CollapseSeen(1, "extinction", 40)], {0: 100, 1: 41}, {0: "s", 1: "s"})
        clock.advance(20)
        ledger.record_opened("B")
        clock.advance(30)
        ledger.record_run("B", "completed", [CollapseSeen(0, "both", 30)], {0: 31}, {0: "s"})


def test_intervals_are_counted_across_runs_and_restarts(path, fake_clock):
    two_runs(path, fake_clock)
    with opened(path, fake_clock) as ledger:
        first, second = collapses(path)
        assert (first.ticks_total, first.ticks_since_previous, first.seconds_since_previous) == (141, None, None)
        assert first.null_reasons == {"ticks_since_previous": FIRST, "seconds_since_previous": FIRST}
        assert (second.ticks_total, second.ticks_since_previous, second.seconds_since_previous) == (172, 31, 50.0)
        lines = list(read_lines(path))
        assert [line.type for line in lines] == ["collapse", "run", "reboot", "collapse", "run"]
        assert lines[2].restart_time_seconds == 20.0
        assert (lines[2].run_id, lines[2].after_run_id) == ("B", "A")
        figures = ledger.figures()
        assert (figures.runs, figures.collapses, figures.ticks_total) == (2, 2, 172)
        assert (figures.stratum, figures.stratum_ticks, figures.median_interval_ticks) == ("s", 172, 31)
        assert (figures.last_reason, figures.last_restart_seconds) == ("both", 20.0)


def test_intervals_of_two_strata_never_mix(path, fake_clock):
    collapsed = [CollapseSeen(0, "both", 9), CollapseSeen(1, "both", 4)]
    with opened(path, fake_clock) as ledger:
        ledger.record_run("A", "completed", collapsed, {0: 10, 1: 5}, {0: "a", 1: "b"})
        ledger.record_run("B", "completed", collapsed, {0: 10, 1: 5}, {0: "a", 1: "b"})
        ledger.record_run("C", "completed", [], {0: 7}, {0: "b"})
        figures = ledger.figures()
    assert [line.ticks_since_previous for line in collapses(path)] == [None, 5, 10, 5]
    assert [line.extra for line in collapses(path)] == [
        {"stratum": "a", "stratum_ticks": 10},
        {"stratum": "b", "stratum_ticks": 5},
        {"stratum": "a", "stratum_ticks": 20, "stratum_ticks_since_previous": 10},
        {"stratum": "b", "stratum_ticks": 10, "stratum_ticks_since_previous": 5},
    ]
    assert [line.extra for line in read_lines(path) if line.type == "run"] == [
        {"stratum": "a", "strata": {"a": 10, "b": 5}},
        {"stratum": "a", "strata": {"a": 20, "b": 10}},
        {"stratum": "b", "strata": {"b": 17}},
    ]
    assert (figures.stratum, figures.stratum_ticks, figures.median_interval_ticks) == ("b", 17, 5)
    assert verify_curve(path).findings == []
    with opened(path, fake_clock) as again:
        assert again.figures() == figures


def test_lines_of_the_version_before_say_nothing_of_strata(path, fake_clock):
    with opened(path, fake_clock) as ledger:
        for name in ("A", "B"):
            ledger.record_run(name, "completed", [CollapseSeen(0, "both", 9)], {0: 10})
        figures = ledger.figures()
    assert (figures.collapses, figures.stratum, figures.stratum_ticks) == (2, None, None)
    assert figures.median_interval_ticks is None
    assert verify_curve(path).findings == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"stratum_ticks":172', '"stratum_ticks":171'),
        ('"stratum_ticks_since_previous":31', '"stratum_ticks_since_previous":32'),
        (',"stratum_ticks_since_previous":31', ""),
        ('"strata":{"s":172}', '"strata":{"s":150}'),
        ('"strata":{"s":172}', '"strata":{"t":172}'),
        ('"strata":{"s":172}', '"strata":{"s":-1}'),
        ('"stratum":"s","stratum_ticks":172,', '"stratum_ticks":172,'),
    ],
)
def test_ticks_of_strata_that_do_not_add_up_are_found(path, fake_clock, old, new):
    two_runs(path, fake_clock)
    text = path.read_text()
    assert old in text
    lines, prev = text.replace(old, new).splitlines(), "0" * 64
    for number, line in enumerate(lines):
        lines[number] = canonical_line({**json.loads(line), "prev": prev}).decode().rstrip("\n")
        prev = line_hash(lines[number].encode() + b"\n")
    path.write_text("".join(f"{line}\n" for line in lines))
    assert [one.what for one in verify_curve(path).findings if one.level.value == "fail"]


def test_a_run_without_collapse_still_carries_the_ticks_on(path, fake_clock):
    with opened(path, fake_clock) as ledger:
        ledger.record_run("A", "completed", [], {0: 100})
        ledger.record_run("B", "completed", [CollapseSeen(0, "financial", 7)], {0: 8})
        assert ledger.record_opened("C") is not None
        assert ledger.record_opened("D") is None  # one reboot for one collapse
        assert collapses(path)[0].ticks_total == 108


def test_a_run_is_recorded_once(path, fake_clock):
    with opened(path, fake_clock) as ledger:
        assert len(ledger.record_run("A", "completed", [CollapseSeen(0, "extinction", 7)], {0: 8})) == 1
        size = path.stat().st_size
        assert ledger.record_run("A", "completed", [CollapseSeen(0, "extinction", 7)], {0: 8}) == []
        assert path.stat().st_size == size


def test_a_run_that_was_cut_off_says_that_its_ticks_are_unknown(path, fake_clock):
    with opened(path, fake_clock) as ledger:
        ledger.record_run("A", "interrupted", [CollapseSeen(3, "extinction", 7)], None)
        line = list(read_lines(path))[-1]
        assert (line.ticks, line.ticks_total) == (None, 8)
        assert set(line.null_reasons) == {"ticks"}


def test_a_clock_that_steps_back_gives_null_and_says_why(path, fake_clock):
    two_runs(path, fake_clock)
    fake_clock.advance(-1000)
    with opened(path, fake_clock) as ledger:
        reboot = ledger.record_opened("C")
        assert reboot.restart_time_seconds is None
        assert reboot.null_reasons == {"restart_time_seconds": CLOCK_WENT_BACK}
        (line,) = ledger.record_run("C", "completed", [CollapseSeen(0, "extinction", 5)], {0: 6})
        assert line.seconds_since_previous is None
        assert line.ticks_since_previous == 6


def test_every_line_is_canonical_and_carries_its_schema(path, fake_clock):
    two_runs(path, fake_clock)
    for line in path.read_bytes().splitlines(keepends=True):
        tree = json.loads(line)
        assert json.dumps(tree, sort_keys=True, separators=(",", ":")).encode() + b"\n" == line
        assert tree["schema"] == "collapse_interval/1"
        assert tree["instance"] == "HF"


def test_cut_at_every_byte_it_opens_again_and_keeps_what_it_cut(path, fake_clock):
    two_runs(path, fake_clock)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        moved = []
        with opened(path, fake_clock, moved):
            assert len(list(read_lines(path))) == sum(end <= cut for end in ends)
            kept = max((end for end in ends if end <= cut), default=0)
            assert path.read_bytes() == whole[:kept]
            assert len(moved) == (kept < cut)
            for tail in moved:
                assert tail.moved_to.read_bytes() == whole[kept:cut]
                assert (tail.offset, tail.length) == (kept, cut - kept)
                tail.moved_to.unlink()


def test_after_a_cut_the_run_is_recorded_again_without_repeating_its_collapses(path, fake_clock):
    two_runs(path, fake_clock)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:10])  # collapse of B is there, its run line is torn
    with opened(path, fake_clock, []) as ledger:
        assert not ledger.has_run("B")
        assert ledger.record_run("B", "completed", [CollapseSeen(0, "both", 30)], {0: 31}) == []
        assert [line.type for line in read_lines(path)] == ["collapse", "run", "reboot", "collapse", "run"]
        assert ledger.ticks_total == 172


def test_a_zeroed_tail_is_a_torn_tail(path, fake_clock):
    two_runs(path, fake_clock)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 4096)
    moved = []
    with opened(path, fake_clock, moved):
        assert [(tail.length, tail.zeroed) for tail in moved] == [(4096, True)]
    assert path.read_bytes() == whole


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_before_the_last_line_is_refused(tmp_path_factory, data):
    from tests.conftest import FakeClock

    path = tmp_path_factory.mktemp("flip") / "collapse_intervals.jsonl"
    two_runs(path, FakeClock())
    whole = path.read_bytes()
    position = data.draw(st.integers(0, whole[:-1].rfind(b"\n")))
    bit = data.draw(st.integers(0, 7))
    path.write_bytes(whole[:position] + bytes([whole[position] ^ (1 << bit)]) + whole[position + 1 :])
    with pytest.raises(EvidenceError, match="byte"):
        opened(path, FakeClock())
