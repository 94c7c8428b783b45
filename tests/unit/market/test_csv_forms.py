"""Forms in which vendors write bars: each is read as meant, or refused with what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.sources.importers import NO_FUNDING, Imported, read_source
from prometheus.v10.market.sources.tables import Reading

FIRST = 1_709_251_200  # 2024-03-01 00:00:00Z
PRICES = "61000.0,61031.2,60923.79,60937.57"


def imported(place: Path, text: str | bytes, **options) -> Imported:
    path = place / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_source(path, Reading(**{"symbol": "BTC/USDT", **options}))


def lines(header: str, *firsts: str, rest: str = f"{PRICES},29.5") -> str:
    return "\n".join([header, *(f"{first},{rest}" for first in firsts), ""])


TIMES = {
    "a date without time": ("timestamp", "2024-03-01", "2024-03-02", 86_400),
    "decimals that are whole": ("timestamp", "1709251200.000000", "1709254800.000000", 3600),
    "powers of ten": ("timestamp", "1.7092512e+12", "1.7092548e+12", 3600),
    "milliseconds in a column of dates": ("date", "1709251200000", "1709254800000", 3600),
    "digits of a day": ("time", "20240301", "20240302", 86_400),
    "digits of an hour": ("unix", "2024030100", "2024030101", 3600),
    "digits of a minute": ("time", "202403010000", "202403010100", 3600),
    "digits of a second": ("time", "20240301000000", "20240301010000", 3600),
    "a date and a time": ("date,time", "2024-03-01,00:00", "2024-03-01,01:00:00", 3600),
    "dots between": ("date,time", "2024.03.01,0:00", "2024.03.01,1:00", 3600),
    "the open beside a close": ("timestamp,open_time", "1709254800,1709251200", "1709258400,1709254800", 3600),
}


@pytest.mark.parametrize("case", TIMES)
def test_a_time_is_read_as_it_is_meant(tmp_path: Path, case: str) -> None:
    columns, first, second, step = TIMES[case]
    bars = imported(tmp_path, lines(f"{columns},open,high,low,close,volume", first, second)).bars
    assert (bars.first_open, bars.timeframe_s, len(bars)) == (FIRST, step, 2)


BAD_TIMES = {
    "day before month": ("date", ("03/01/2024", "03/02/2024"), "must begin with its year"),
    "a year beyond": ("unix", ("32503680000000", "32503683600000"), "1970 to 2200"),
    "a thousand times too long": ("timestamp", ("1709251200000000000000",), "larger than any unix stamp"),
    "a spreadsheet's day numbers": ("time", ("45352", "45353"), "too small for unix seconds"),
    "two stamps that differ": ("unix,timestamp", ("1709251200,1709254800",), "disagree"),
    "the close as the time": ("timestamp,close_time", ("1709254800,1709254800",), "not before its close_time"),
    "calendar months": ("date", ("2024-01-01", "2024-02-01", "2024-03-01"), "calendar months"),
    "digits and stamps": ("time", ("20240301", "1709337600"), "some times are"),
}


@pytest.mark.parametrize("case", BAD_TIMES)
def test_a_time_that_cannot_be_told_is_refused(tmp_path: Path, case: str) -> None:
    columns, firsts, what = BAD_TIMES[case]
    with pytest.raises(ConfigError, match=what):
        imported(tmp_path, lines(f"{columns},open,high,low,close,volume", *firsts))


@pytest.mark.parametrize(
    ("columns", "cells", "name"),
    [
        ("Volume,Volume MA", "29.5,", "volume"),
        ("Volume MA,Volume", "7.0,29.5", "volume"),
        ("VolumeTotal,VolumeBuy,VolumeSell", "29.5,14,15.5", "volumetotal"),
        ("Volume BTC", "29.5", "volume btc"),
    ],
)
def test_the_volume_of_the_bar_is_base_volume(tmp_path: Path, columns: str, cells: str, name: str) -> None:
    text = lines(f"unix,open,high,low,close,{columns}", "1709251200", "1709254800", rest=f"{PRICES},{cells}")
    read = imported(tmp_path, text)
    assert read.bars.volume.tolist() == [29.5, 29.5]
    assert any(f"{name!r} is taken as base volume" in said for said in read.decisions)


@pytest.mark.parametrize("name", ["Volume USDT", "VolumeTo", "volume_quote", "Volume (USDT)"])
def test_quote_volume_alone_is_refused_unless_the_operator_says_so(tmp_path: Path, name: str) -> None:
    text = lines(f"unix,open,high,low,close,{name}", "1709251200", "1709254800")
    with pytest.raises(ConfigError, match="quote volume") as refused:
        imported(tmp_path, text)
    assert "--base-volume" in (refused.value.hint or "")
    assert any("as asked for" in said for said in imported(tmp_path, text, base_volume=name).decisions)


def test_the_base_column_of_stablecoins_can_be_named(tmp_path: Path) -> None:
    text = lines("unix,open,high,low,close,Volume USDC,Volume USDT", "1709251200", "1709254800", rest="1,1,1,1,5,5")
    with pytest.raises(ConfigError, match="both columns"):
        imported(tmp_path, text, symbol="USDC/USDT")
    assert imported(tmp_path, text, symbol="USDC/USDT", base_volume="Volume USDC").bars.volume.tolist() == [5, 5]
    with pytest.raises(ConfigError, match="not exactly one column"):
        imported(tmp_path, text, base_volume="Volume XRP")


@pytest.mark.parametrize(("separator", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_other_separators_are_read_and_said(tmp_path: Path, separator: str, word: str) -> None:
    text = lines("unix,open,high,low,close,volume", "1709251200", "1709254800").replace(",", separator)
    assert any(word in said for said in imported(tmp_path, text).decisions)
    assert imported(tmp_path, text.encode("utf-16")).bars.first_open == FIRST


def test_decimal_commas_and_other_encodings_are_refused_in_words(tmp_path: Path) -> None:
    text = "date;open;high;low;close;volume\n2024-03-01;61000,0;61031,2;60923,7;60937,5;29,1\n"
    with pytest.raises(ConfigError, match="holds a comma"):
        imported(tmp_path, text)
    with pytest.raises(ConfigError, match="UTF-32"):
        imported(tmp_path, text.encode("utf-32"))


def test_a_last_line_without_its_end_is_told(tmp_path: Path) -> None:
    text = lines("unix,open,high,low,close,volume", "1709251200", "1709254800")
    assert not any("cut off" in said for said in imported(tmp_path, text).decisions)
    assert any("cut off" in said for said in imported(tmp_path, text[:-2]).decisions)


def test_weeks_may_begin_on_monday_and_hours_may_not_begin_anywhere(tmp_path: Path) -> None:
    header = "date,open,high,low,close,volume"
    read = imported(tmp_path, lines(header, "2024-01-01", "2024-01-08", "2024-01-15"))
    assert any(said.startswith("grid:") for said in read.decisions)
    with pytest.raises(ConfigError, match="not a multiple"):
        imported(tmp_path, lines(header, "2024-01-01 00:30", "2024-01-01 01:30", "2024-01-01 02:30"))
    with pytest.raises(ConfigError, match="not a multiple"):
        imported(tmp_path, lines(header, "2024-01-01", "2024-01-08", "2024-01-16"), timeframe_s=604_800)


def test_the_symbol_asked_for_must_be_the_files(tmp_path: Path) -> None:
    text = lines("unix,symbol,open,high,low,close,volume", "1709251200,BTC/USDT", "1709254800,BTC/USDT")
    with pytest.raises(ConfigError, match="holds BTC/USDT, not ETH/USD"):
        imported(tmp_path, text, symbol="ETH/USD")
    assert any("symbol:" in said for said in imported(tmp_path, text, symbol="BTCUSDT").decisions)
    with pytest.raises(ConfigError, match=r"\\x1b") as refused:
        imported(tmp_path, text.replace("BTC/USDT", "BTC\x1b[31m"), symbol=None)
    assert "\x1b" not in refused.value.message


def test_numbers_that_differ_are_never_shown_alike(tmp_path: Path) -> None:
    text = lines("unix,open,high,low,close,volume", "1709251200", rest="0.2,0.3,0.1,0.30000000000000004,1")
    with pytest.raises(ConfigError, match=r"0\.30000000000000004 lies outside \[0\.1, 0\.3\]"):
        imported(tmp_path, text, timeframe_s=3600)


def test_a_timeframe_has_a_range(tmp_path: Path) -> None:
    text = lines("unix,open,high,low,close,volume", "1709251200", "1709254800")
    for wrong in (0, -1, 10**20):
        with pytest.raises(ConfigError, match="expected 1 to"):
            imported(tmp_path, text, timeframe_s=wrong)


def _feather(path: Path, **columns) -> Path:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import feather

    feather.write_feather(pa.table(columns), path)
    return path


def test_a_funding_series_that_books_oftener_does_not_block_its_bars(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    stamps = np.array([(FIRST + k * 3600) * 10**9 for k in range(24)], dtype="datetime64[ns]")
    ones = np.ones(24)
    bars = _feather(
        tmp_path / "BTC_USDT-1h-futures.feather", date=stamps, open=ones, high=ones, low=ones, close=ones, volume=ones
    )
    series = tmp_path / "BTC_USDT-1h-funding_rate.feather"
    _feather(series, date=stamps[::4], open=np.full(6, 1e-4))
    with pytest.raises(ConfigError, match="books every 4 h") as refused:
        read_source(bars)
    assert "--funding none" in (refused.value.hint or "")
    assert np.isnan(read_source(bars, Reading(funding=NO_FUNDING)).bars.funding).all()
    _feather(series, date=stamps, open=np.where(np.arange(24) % 8 == 0, 1e-4, 0.0))
    assert np.nansum(read_source(bars).bars.funding) == pytest.approx(3e-4)


def test_foreign_column_types_of_a_feather_file_are_one_clear_line(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from decimal import Decimal

    stamps = pa.array(np.array([(FIRST + k * 3600) * 10**9 for k in range(2)], dtype="datetime64[ns]"))
    prices = {name: pa.array([58800.09, 58800.09]) for name in ("open", "high", "low", "close", "volume")}
    wrong = [
        {"date": pa.array([1.0, 2.0])},
        {"date": pa.array([1, 2], pa.int32())},
        {"volume": pa.array([[1.0], [2.0]])},
        {"volume": pa.array([{"x": 1.0}, {"x": 2.0}])},
        {"close": stamps},
    ]
    for change in wrong:
        path = _feather(tmp_path / "BTC_USDT-1h.feather", **{"date": stamps, **prices, **change})
        with pytest.raises(ConfigError):
            read_source(path, Reading(symbol="BTC/USDT"))
    exact = dict.fromkeys(("open", "high", "low", "close"), pa.array([Decimal("58800.09")] * 2))
    path = _feather(tmp_path / "BTC_USDT-1h.feather", **{"date": stamps, **prices, **exact})
    assert read_source(path, Reading(symbol="BTC/USDT")).bars.close.tolist() == [58800.09, 58800.09]
