"""The service rests so that a day's evidence is what the profile allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.ops.service.pace import DAY_SECONDS, Pace, bytes_of


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def pace(bytes_a_day: int | None, least: float = 1.0) -> tuple[Pace, Hand]:
    clock: Any = Hand()
    return Pace(clock, bytes_a_day, least), clock


def test_without_a_pace_the_pause_is_the_profiles():
    own, _ = pace(None, 7.0)
    own.begin()
    assert own.rest(10**9) == 7.0
    assert own.why(7.0) == "pausing"


def test_a_run_pays_for_its_bytes_with_time_from_its_beginning_on():
    own, clock = pace(86_400)
    own.begin()
    clock.now += 20.0
    assert own.rest(100) == 80.0
    assert own.why(80.0) == "resting 80 s to keep to 0 MB of evidence a day"


def test_a_run_that_took_longer_than_its_bytes_is_followed_by_the_least_pause():
    own, clock = pace(86_400, 3.0)
    own.begin()
    clock.now += 200.0
    assert own.rest(100) == 3.0
    assert own.why(3.0) == "pausing"


@given(
    st.integers(1, 10**7), st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.0, 500.0)), min_size=1, max_size=60)
)
def test_no_day_brings_more_than_a_days_bytes_and_one_run(bytes_a_day, runs):
    own, clock = pace(bytes_a_day, 0.0)
    began: list[tuple[float, int]] = []
    for size, lasts in runs:
        own.begin()
        began.append((clock.now, size))
        clock.now += lasts
        clock.now += own.rest(size)
    for first, _ in began:
        within = [size for at, size in began if first <= at < first + DAY_SECONDS]
        assert sum(within[:-1]) <= bytes_a_day * (1 + 1e-6) + 1


@pytest.mark.parametrize("before", [0, 40, 100])
def test_what_a_run_left_is_its_directory_and_what_the_pool_grew_by(tmp_path: Path, before: int):
    run, pool = tmp_path / "run", tmp_path / "pool.jsonl"
    run.mkdir()
    (run / "a").write_bytes(b"x" * 30)
    (run / "b").write_bytes(b"x" * 5)
    assert bytes_of(run, pool, 0) == 35
    pool.write_bytes(b"x" * 60)
    assert bytes_of(run, pool, before) == 35 + max(0, 60 - before)
