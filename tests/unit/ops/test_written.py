"""How much a day brings, and when the budget would be full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus.v10.ops.storage.written import RECORD_BYTES, bytes_of_run, full_at, written_a_day

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def test_the_last_day_is_what_counts():
    assert written_a_day([(ago(30), 700), (ago(20), 30), (ago(1), 12)], NOW) == 42


def test_runs_that_reach_less_than_a_day_back_are_scaled_to_one():
    assert written_a_day([(ago(6), 30), (ago(1), 12)], NOW) == 42 * 4


def test_a_first_run_a_minute_ago_is_not_taken_for_a_pace_of_its_own():
    assert written_a_day([(ago(1 / 60), 10)], NOW) == 240


def test_where_nothing_ran_lately_nothing_is_written():
    assert written_a_day([(ago(50), 700)], NOW) == 0
    assert written_a_day([], NOW) is None


def test_a_run_from_the_future_tells_nothing():
    assert written_a_day([(ago(-5), 700)], NOW) is None


def test_the_budget_is_full_when_the_rest_is_written():
    assert full_at(100, 1000, 300, NOW) == NOW + timedelta(days=3)
    assert full_at(1000, 1000, 0, NOW) == NOW
    assert full_at(100, 1000, 0, NOW) is None
    assert full_at(0, 10**15, 1, NOW) is None


def test_a_run_left_its_files_and_its_records(tmp_path):
    (tmp_path / "one").write_bytes(b"abc")
    (tmp_path / "other").write_bytes(b"de")
    assert bytes_of_run(tmp_path, {"evidence": {"bytes": 99}, "pool_appends": {"appended": 2}}) == 5 + 2 * RECORD_BYTES
    assert bytes_of_run(tmp_path, {"pool_appends": None}) == 5
