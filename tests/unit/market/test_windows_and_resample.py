"""Windows cut what is there and say when it is not; aggregation keeps what a longer bar would have seen."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.resample import resample
from prometheus.v10.market.synthetic import synthetic
from prometheus.v10.market.validate import validate
from prometheus.v10.market.windows import Window, cut, whole


def test_a_window_is_rows_of_the_market() -> None:
    bars = synthetic(1, 100, 300)
    part = cut(bars, Window("W1", 10, 50))
    assert part.sha256() == bars.slice(10, 50).sha256()
    assert cut(bars, whole(bars)).sha256() == bars.sha256()
    assert len(cut(bars, Window("end", 50, 50))) == 50


@pytest.mark.parametrize(("start", "length"), [(51, 50), (100, 1), (0, 101), (10**12, 10**12)])
def test_a_window_past_the_data_says_how_many_bars_there_are(start: int, length: int) -> None:
    with pytest.raises(
        ConfigError, match=r"window 'W1'.*has 100 bars of 300 s \(2024-01-01 00:00:00Z to 2024-01-01 08:15:00Z\)"
    ):
        cut(synthetic(1, 100, 300), Window("W1", start, length))


@pytest.mark.parametrize(("start", "length"), [(-1, 10), (0, 0), (5, -1)])
def test_a_window_without_bars_is_refused(start: int, length: int) -> None:
    with pytest.raises(ConfigError, match="name no bars"):
        cut(synthetic(1, 100, 300), Window("W1", start, length))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    offset=st.integers(0, 40),
    count=st.integers(60, 400),
    target=st.sampled_from([300, 900, 1800, 3600]),
)
def test_aggregation_agrees_with_a_loop_over_the_clock(seed: int, offset: int, count: int, target: int) -> None:
    bars = synthetic(seed, offset + count, 300).slice(offset, count)
    done = resample(bars, target)
    groups: dict[int, list[int]] = {}
    for row, open_time in enumerate(bars.open_time.tolist()):
        groups.setdefault(open_time // target, []).append(row)
    complete = {g: rows for g, rows in groups.items() if len(rows) == target // 300}
    assert done.bars.open_time.tolist() == [g * target for g in complete]
    for k, rows in enumerate(complete.values()):
        assert done.bars.open[k] == bars.open[rows[0]]
        assert done.bars.close[k] == bars.close[rows[-1]]
        assert done.bars.high[k] == max(bars.high[rows])
        assert done.bars.low[k] == min(bars.low[rows])
        assert done.bars.volume[k] == reduce(add, bars.volume[rows].tolist())  # sum() compensates, we do not
        assert done.bars.funding[k] == reduce(add, bars.funding[rows].tolist())
    assert done.dropped_leading + done.dropped_trailing + len(done.bars) * (target // 300) == count
    assert validate(done.bars) == []


def test_aggregating_twice_is_aggregating_once() -> None:
    bars = synthetic(3, 5000, 300)
    twice = resample(resample(bars, 900).bars, 3600).bars
    once = resample(bars, 3600).bars
    np.testing.assert_allclose(twice.volume, once.volume, rtol=1e-12)
    assert twice.with_columns({"volume": once.volume, "funding": once.funding}).sha256() == once.sha256()


def test_a_day_sums_three_fundings_and_unknown_stays_unknown() -> None:
    bars = synthetic(3, 24 * 12 * 2, 300)
    day = resample(bars, 86_400).bars
    for k in (0, 1):
        rates = bars.funding[k * 288 : (k + 1) * 288]
        assert day.funding[k] == reduce(add, rates[rates != 0].tolist())
    funding = bars.funding.copy()
    funding[5] = np.nan
    holed = resample(bars.with_columns({"funding": funding}, null_reasons={"funding": "why"}), 86_400).bars
    assert np.isnan(holed.funding).tolist() == [True, False]
    assert holed.null_reasons == {"funding": "why"}


def test_a_bar_with_a_hole_is_refused_unless_gaps_are_allowed() -> None:
    bars = synthetic(3, 60, 300)
    keep = np.delete(np.arange(60), 30)
    holed = bars.with_columns(
        {n: getattr(bars, n)[keep] for n in ("open_time", "open", "high", "low", "close", "volume", "funding")}
    )
    with pytest.raises(ConfigError, match=r"3600 s bar at 2024-01-01 02:00:00Z has 11 of 12 bars \(1 such"):
        resample(holed, 3600)
    done = resample(holed, 3600, allow_gaps=True)
    assert (len(done.bars), done.dropped_inside) == (4, 11)


@pytest.mark.parametrize(
    ("target", "what"), [(450, "not a multiple"), (60, "not a multiple"), (86_400, "no whole 86400 s bar")]
)
def test_a_target_that_cannot_be_is_refused(target: int, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        resample(synthetic(1, 50, 300), target)
