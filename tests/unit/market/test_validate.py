"""Every fault is named with its row, time and column; nothing is mended."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import Bars
from prometheus.v10.market.synthetic import synthetic
from prometheus.v10.market.validate import Fault, require_valid, validate

STEP = 300


def spoilt(column: str, row: int, value: float) -> Bars:
    bars = synthetic(1, 50, STEP)
    values = getattr(bars, column).copy()
    values[row] = value
    return bars.with_columns({column: values})


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("open", np.nan, Fault.NOT_FINITE),
        ("high", np.inf, Fault.NOT_FINITE),
        ("low", -np.inf, Fault.NOT_FINITE),
        ("close", np.nan, Fault.NOT_FINITE),
        ("volume", np.nan, Fault.NOT_FINITE),
        ("funding", np.inf, Fault.NOT_FINITE),
        ("low", 0.0, Fault.NOT_POSITIVE),
        ("low", -1.0, Fault.NOT_POSITIVE),
        ("volume", -0.001, Fault.NEGATIVE_VOLUME),
        ("high", 1.0, Fault.HIGH_BELOW_LOW),
        ("open", 1e9, Fault.OUTSIDE_RANGE),
        ("close", 1.0, Fault.OUTSIDE_RANGE),
    ],
)
def test_a_spoilt_number_is_named_with_row_time_and_column(column: str, value: float, fault: Fault) -> None:
    found = validate(spoilt(column, 7, value))
    assert [(f.row, f.column, f.fault, f.time) for f in found if f.fault is fault] == [
        (8, column, fault, "2024-01-01 00:35:00Z")
    ]
    with pytest.raises(ConfigError, match=r"row 8 \(2024-01-01 00:35:00Z\), column"):
        require_valid(spoilt(column, 7, value))


@pytest.mark.parametrize(
    ("times", "faults"),
    [
        ([0, 300, 300, 600], [(3, Fault.DUPLICATE)]),
        ([0, 300, 1200, 1500], [(3, Fault.GAP)]),
        ([0, 600, 300, 900], [(2, Fault.GAP), (3, Fault.ORDER), (4, Fault.GAP)]),
        ([0, 300, 450, 600], [(3, Fault.MISALIGNED), (3, Fault.ORDER), (4, Fault.ORDER)]),
        ([900, 600, 300, 0], [(2, Fault.ORDER), (3, Fault.ORDER), (4, Fault.ORDER)]),
    ],
)
def test_time_that_stumbles_is_named(times: list[int], faults: list[tuple[int, Fault]]) -> None:
    bars = synthetic(1, 4, STEP).with_columns({"open_time": np.array(times, dtype=np.int64)})
    assert [(f.row, f.fault) for f in validate(bars)] == faults
    assert all(f.column == "open_time" for f in validate(bars))


def test_a_gap_says_how_many_bars_are_missing_and_may_be_allowed() -> None:
    bars = synthetic(1, 4, STEP).with_columns({"open_time": np.array([0, 300, 1200, 1500], dtype=np.int64)})
    with pytest.raises(ConfigError, match="2 bars are missing before it") as refused:
        require_valid(bars)
    assert "allow gaps" in (refused.value.hint or "")
    allowed = require_valid(bars, allow_gaps=True)
    assert [f.row for f in allowed] == [3]


def test_allowing_gaps_allows_nothing_else() -> None:
    bars = synthetic(1, 4, STEP).with_columns(
        {"open_time": np.array([0, 300, 1200, 1500], dtype=np.int64), "volume": np.array([1.0, 1.0, 1.0, -1.0])}
    )
    with pytest.raises(ConfigError, match=r"row 4 .* column volume"):
        require_valid(bars, allow_gaps=True)


def test_the_first_finding_speaks_for_all_and_counts_them() -> None:
    bars = spoilt("volume", 7, -1.0)
    volume = bars.volume.copy()
    volume[3] = np.nan
    with pytest.raises(ConfigError, match=r"row 4 .*\(2 findings in all\)"):
        require_valid(bars.with_columns({"volume": volume}))


def test_rows_are_reported_under_the_sources_own_numbers() -> None:
    bars = spoilt("volume", 1, -1.0)
    with pytest.raises(ConfigError, match="line 900 "):
        require_valid(bars, rows=np.arange(50, dtype=np.int64) * 100 + 800, row_word="line")


def test_no_bar_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="no bar"):
        require_valid(synthetic(1, 4, STEP).slice(0, 0))
    assert validate(synthetic(1, 4, STEP).slice(0, 0)) == []
