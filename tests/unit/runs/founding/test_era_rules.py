"""Which bars an era has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.evidence.derive.eras.era_rules import expected_window, lines_of, sampled, share, walked
from prometheus.v10.runs.request.era_place import NoBarsLeftError, era_place
from prometheus.v10.runs.request.eras_table import AtEnd, WindowPolicy, WindowTable


def table(**keys) -> WindowTable:
    return WindowTable(**{"name": "W", "start": 10, "len": 20, "policy": WindowPolicy.WALK, **keys})


def start_of(number: int, rows: int = 100, *, endless: bool = False, **keys) -> tuple[int, int]:
    place = era_place(table(**keys), number, rows, seed=3, endless=endless)
    assert place.window.len == 20
    return place.cycle, place.window.start


def test_a_walk_takes_the_next_bars():
    assert [start_of(number)[1] for number in range(4)] == [10, 30, 50, 70]


def test_a_step_and_an_embargo_set_the_stride():
    assert [start_of(number, step=15, embargo=5)[1] for number in range(4)] == [10, 30, 50, 70]
    assert [start_of(number, step=5)[1] for number in range(3)] == [10, 15, 20]


def test_a_walk_that_has_used_all_bars_says_so():
    with pytest.raises(NoBarsLeftError, match="era 4 needs bars behind the last of 100"):
        start_of(4)
    with pytest.raises(NoBarsLeftError):
        start_of(4, at_end=AtEnd.WAIT)


def test_a_walk_begins_again_where_it_may():
    assert start_of(4, at_end=AtEnd.AGAIN) == (1, 10)
    assert start_of(9, endless=True) == (2, 30)


def test_a_market_too_short_for_one_era_is_refused():
    with pytest.raises(ConfigError, match="one era needs 10 \\+ 20 bars, the market has 29"):
        start_of(0, rows=29)


def test_a_fixed_window_is_the_same_in_every_era():
    assert [start_of(number, policy=WindowPolicy.FIXED) for number in range(3)] == [(0, 10)] * 3


@given(st.integers(0, 10**6), st.integers(30, 10**5), st.integers(0, 2**63 - 1))
def test_a_sample_lies_in_the_market(number, rows, seed):
    assert 10 <= sampled(number, rows, 10, 20, seed) <= rows - 20


def test_samples_reach_every_place():
    assert {sampled(number, 34, 10, 20, 1) for number in range(100)} == {10, 11, 12, 13, 14}


@given(st.integers(0, 10**4), st.integers(1, 50), st.integers(0, 300))
def test_eras_of_a_walk_without_overlap_share_no_bar(number, length, more):
    rows = 10 + length + more
    cycle, start = walked(number, rows, 10, length, length)
    later_cycle, later = walked(number + 1, rows, 10, length, length)
    assert 10 <= start <= rows - length
    assert (later_cycle, later) == (cycle, start + length) or (later_cycle, later) == (cycle + 1, 10)


@given(st.integers(0, 500), st.sampled_from(["walk", "sample", None]), st.integers(30, 500))
def test_verification_computes_the_same_bars_as_a_run(number, policy, rows):
    window = {"name": "W", "start": 10, "len": 20, **({} if policy is None else {"policy": policy})}
    found = expected_window({"window": window, "experiments": {"seed": 3}}, number, rows)
    chosen = None if policy is None else WindowPolicy(policy)
    place = era_place(table(policy=chosen), number, rows, seed=3, endless=True)
    assert found == (place.cycle, {"name": "W", "start": place.window.start, "len": 20})


def test_controls_are_the_last_experiments():
    assert lines_of("inherit", 6, 2, 1) == ["inherit"] * 3 + ["fresh"] * 2 + ["null"]
    assert lines_of("random", 3, 1, 0) == ["fresh"] * 3


def test_a_share_is_rounded_down_and_not_by_a_binary_fraction():
    assert [share(part, 100) for part in (0.25, 0.29, 0.57, 0.999)] == [25, 29, 57, 99]
