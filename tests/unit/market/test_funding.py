"""A funding series laid over bars: sums at the right bars, and unknown where the series is silent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.sources.funding import lay_funding

EIGHT = 28_800
SOURCE = Path("funding.feather")


def lay(opens: list[int], step: int, booked: list[int], rates: list[float]) -> tuple[list[float], str | None]:
    funding, reason = lay_funding(
        np.array(opens, dtype=np.int64), step, np.array(booked, dtype=np.int64), np.array(rates), SOURCE
    )
    return funding.tolist(), reason


def test_a_rate_goes_to_the_bar_in_which_its_boundary_lies() -> None:
    funding, reason = lay([0, 14_400, 28_800, 43_200], 14_400, [0, 28_800], [1e-4, 2e-4])
    assert funding == [1e-4, 0.0, 2e-4, 0.0]
    assert reason is None


def test_a_day_bar_sums_its_three_bookings() -> None:
    funding, reason = lay([0, 86_400], 86_400, [k * EIGHT for k in range(6)], [1e-4, 2e-4, 3e-4, -1e-4, 0.0, 0.0])
    assert funding == [1e-4 + 2e-4 + 3e-4, -1e-4]
    assert reason is None


def test_a_day_bar_with_a_booking_missing_is_unknown() -> None:
    funding, reason = lay([0, 86_400], 86_400, [k * EIGHT for k in (0, 2, 3, 4, 5)], [1e-4] * 5)
    assert np.isnan(funding[0])
    assert funding[1] == pytest.approx(3e-4)
    assert reason is not None
    assert "1 of 2 bars" in reason


def test_outside_the_series_nothing_is_known() -> None:
    opens = list(range(0, 5 * EIGHT, 3600))
    funding, reason = lay(opens, 3600, [EIGHT, 2 * EIGHT], [1e-4, 1e-4])
    known = [o for o, f in zip(opens, funding, strict=True) if not np.isnan(f)]
    assert known == list(range(EIGHT, 3 * EIGHT, 3600))
    assert reason is not None


def test_a_booking_stamped_a_little_late_belongs_to_its_boundary() -> None:
    funding, _ = lay([0, 3600], 3600, [2], [1e-4])
    assert funding == [1e-4, 0.0]


@pytest.mark.parametrize(
    ("booked", "rates", "what"),
    [
        ([], [], "no funding rate"),
        ([3600], [1e-4], r"row 1 .* not on an 8 h boundary"),
        ([0, 0], [1e-4, 1e-4], "row 2 .* repeats"),
        ([EIGHT, 0], [1e-4, 1e-4], "row 2 .* precedes"),
        ([0, EIGHT], [1e-4, np.nan], "row 2 .* no number"),
        ([0], [1.0], "row 1 .* beyond 10 %"),
    ],
)
def test_a_series_that_cannot_be_one_is_refused(booked: list[int], rates: list[float], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        lay([0], 3600, booked, rates)


@given(
    first=st.integers(0, 50).map(lambda k: k * 3600),
    count=st.integers(1, 60),
    step=st.sampled_from([3600, 14_400, 28_800, 43_200, 86_400]),
    booked=st.sets(st.integers(0, 60), min_size=1),
)
def test_nothing_known_is_lost_and_nothing_unknown_is_made_up(
    first: int, count: int, step: int, booked: set[int]
) -> None:
    opens = [first // step * step + k * step for k in range(count)]
    bookings = sorted(b * EIGHT for b in booked)
    funding, _ = lay(opens, step, bookings, [1e-4 * (k + 1) / 100 for k in range(len(bookings))])
    rate = dict(zip(bookings, [1e-4 * (k + 1) / 100 for k in range(len(bookings))], strict=True))
    for open_time, found in zip(opens, funding, strict=True):
        wanted = range(-(-open_time // EIGHT) * EIGHT, open_time + step, EIGHT)
        if wanted and all(t in rate for t in wanted):
            assert found == pytest.approx(sum(rate[t] for t in wanted))
        elif wanted:
            assert np.isnan(found)
        else:
            assert found == 0.0 or np.isnan(found)
