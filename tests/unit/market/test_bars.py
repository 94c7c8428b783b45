"""The bar schema: read-only columns, a hash over declared bytes, a file that reads back to the same bars."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError, EvidenceError
from prometheus.v10.market.bars import COLUMNS, Bars, bar_time, from_npy, funding_boundaries

HOUR = 3600


def few(count: int = 4, **changes: object) -> Bars:
    base = np.arange(count, dtype=np.float64)
    columns: dict[str, object] = {
        "open_time": np.arange(count, dtype=np.int64) * HOUR,
        "open": 100.0 + base,
        "high": 102.0 + base,
        "low": 99.0 + base,
        "close": 101.0 + base,
        "volume": 5.0 + base,
        "funding": np.zeros(count),
        "symbol": "X",
        "timeframe_s": HOUR,
        "source": "test",
        **changes,
    }
    return Bars(**columns)  # type: ignore[arg-type]


def read_back(path: Path, bars: Bars) -> Bars:
    return from_npy(
        path, symbol=bars.symbol, timeframe_s=bars.timeframe_s, source="file", null_reasons=bars.null_reasons
    )


def test_the_hash_is_over_declared_bytes_and_never_changes_by_itself() -> None:
    assert few().canonical_header() == (
        b'{"columns":[["open_time","<i8"],["open","<f8"],["high","<f8"],["low","<f8"],["close","<f8"],'
        b'["volume","<f8"],["funding","<f8"]],"rows":4,"schema":"prometheus.bars/1","symbol":"X","timeframe_s":3600}\n'
    )
    assert few().sha256() == "a50ea15d4f2ee5ab22af23c227c803ee42f8c9cc22b7aacab9771da9785664e6"


def test_every_column_and_name_is_under_the_hash_and_the_source_is_not() -> None:
    digest = few().sha256()
    for name, _ in COLUMNS:
        changed = getattr(few(), name).copy()
        changed[-1] += 1
        assert few(**{name: changed}).sha256() != digest, name
    assert few(symbol="Y").sha256() != digest
    assert few(timeframe_s=60).sha256() != digest
    assert few(source="elsewhere").sha256() == digest


def test_one_nan_and_one_zero() -> None:
    odd_nan = np.array([0x7FF8_0000_0000_0001, 0xFFF8_0000_0000_0000], dtype=np.uint64).view(np.float64)
    why = {"funding": "because"}
    odd = few(2, funding=odd_nan, null_reasons=why)
    assert odd.sha256() == few(2, funding=[np.nan, np.nan], null_reasons=why).sha256()
    assert few(2, funding=[-0.0, 0.0]).sha256() == few(2).sha256()


def test_columns_cannot_be_written_and_do_not_follow_the_callers_array() -> None:
    mine = np.full(4, 103.0)
    bars = few(high=mine)
    mine[0] = 1e9
    assert bars.high[0] == 103.0
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0] = 1.0
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        bars.symbol = "Z"  # type: ignore[misc]


def test_a_slice_is_a_view_of_the_same_rows() -> None:
    bars = few(10)
    part = bars.slice(3, 4)
    assert len(part) == 4
    assert part.first_open == 3 * HOUR
    assert part.last_open == 6 * HOUR
    assert np.shares_memory(part.close, bars.close)
    for start, length in ((-1, 2), (8, 3), (0, 11)):
        with pytest.raises(ConfigError, match="outside the 10 bars"):
            bars.slice(start, length)


def test_a_null_has_a_reason_and_a_reason_has_a_null() -> None:
    with pytest.raises(ConfigError, match="no reason is given"):
        few(2, funding=[np.nan, 0.0])
    with pytest.raises(ConfigError, match="yet a reason"):
        few(2, null_reasons={"funding": "why"})
    bars = few(4, funding=[np.nan, 0.0, 0.0, 0.0], null_reasons={"funding": "why"})
    assert bars.slice(0, 2).null_reasons == {"funding": "why"}
    assert bars.slice(1, 3).null_reasons == {}
    assert bars.identity().funding == "unknown in 1 of 4 bars: why"
    assert few().identity().funding == "known"


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ConfigError, match="different shapes"):
        few(4, volume=np.zeros(3))
    with pytest.raises(ConfigError, match="timeframe 0 s"):
        few(4, timeframe_s=0)


@given(values=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30))
def test_a_file_reads_back_to_the_same_bars(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("npy") / "bars.npy"
    reasons = {"funding": "why"} if np.isnan(values).any() else {}
    bars = few(len(values), funding=values, null_reasons=reasons)
    path.write_bytes(bars.to_npy())
    assert read_back(path, bars).sha256() == bars.sha256()
    assert np.load(path, allow_pickle=False).dtype.names == tuple(name for name, _ in COLUMNS)


@pytest.mark.parametrize("damage", ["cut", "other dtype", "text", "pickle", "absent"])
def test_a_file_that_holds_no_bars_is_damaged_evidence(tmp_path: Path, damage: str) -> None:
    path, bars = tmp_path / "bars.npy", few()
    if damage == "cut":
        path.write_bytes(bars.to_npy()[:-9])
    elif damage == "other dtype":
        np.save(path, np.zeros(4))
    elif damage == "text":
        path.write_text("hello")
    elif damage == "pickle":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(EvidenceError, match=r"bars\.npy"):
        read_back(path, bars)


@given(first=st.integers(0, 10**9), timeframe_s=st.integers(1, 200_000))
def test_boundaries_are_counted_as_the_clock_counts_them(first: int, timeframe_s: int) -> None:
    counted = funding_boundaries(np.array([first], dtype=np.int64), timeframe_s)[0]
    assert counted == sum(
        1
        for k in range(first // 28_800, (first + timeframe_s) // 28_800 + 1)
        if first <= k * 28_800 < first + timeframe_s
    )


def test_a_bar_that_opens_on_a_boundary_books_it() -> None:
    opens = np.array([0, 300, 28_500, 28_800], dtype=np.int64)
    assert funding_boundaries(opens, 300).tolist() == [1, 0, 0, 1]
    assert funding_boundaries(opens[:1], 86_400).tolist() == [3]


def test_times_read_as_times() -> None:
    assert bar_time(1_646_092_800) == "2022-03-01 00:00:00Z"
    assert bar_time(10**17) == f"{10**17} s"
