"""Real files read as they are; a broken one is refused in one line that names the place."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from prometheus.v10.base.errors import ConfigError, PrometheusError, UsageError
from prometheus.v10.market.sources.importers import read_source
from prometheus.v10.market.sources.tables import Reading

HEADER = "unix,date,symbol,open,high,low,close,volume,Volume USD\n"


def line(hour: int, *, volumes: str = "2.0,201.0", prices: str = "100,102,99,101", stamp: str | None = None) -> str:
    unix = 1_577_836_800 + hour * 3600
    day, clock = 1 + hour // 24, hour % 24
    return f"{stamp or unix},2020-01-{day:02d} {clock:02d}:00:00,BTC/USD,{prices},{volumes}\n"


def write(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text(header + "".join(lines))
    return path


def test_the_spot_file_reads_whole_with_its_volumes_put_right(spot_1h: Path) -> None:
    read = read_source(spot_1h)
    bars = read.bars
    assert (len(bars), bars.timeframe_s, bars.symbol) == (33_259, 3600, "BTC/USD")
    assert (np.diff(bars.open_time) == 3600).all()
    assert bars.volume.max() < 25_000  # BTC an hour; the quote volumes run to hundreds of millions
    assert np.isnan(bars.funding).all()
    assert "funding" in bars.null_reasons
    said = " ".join(read.decisions)
    for sentence in (
        "20143 rows from 'volume usd'",
        "13111 rows from 'volume'",
        "5 rows from 'neither",
        "newest first",
        "33259 stamps in seconds",
    ):
        assert sentence in said
    lines = spot_1h.read_text().splitlines()
    for number in (1, 2, 12_113, 25_257, 33_259):  # on either side of the swaps
        cells = lines[number].split(",")
        row = len(bars) - number
        assert bars.open_time[row] == int(cells[0])
        assert bars.close[row] == float(cells[6])
        assert bars.volume[row] == min(float(cells[7]), float(cells[8]))


def test_the_perpetuals_read_with_the_funding_beside_them(okx_5m: Path, binance_5m: Path) -> None:
    okx, binance = read_source(okx_5m), read_source(binance_5m)
    assert (len(okx.bars), len(binance.bars)) == (70_499, 10_906)
    assert binance.bars.symbol == "BTC/USDT:USDT"
    known = ~np.isnan(binance.bars.funding)
    assert known.sum() == 10_906 - 66
    assert binance.bars.funding[known & (binance.bars.open_time % 28_800 == 0)].mean() == pytest.approx(
        0.3e-4, abs=0.4e-4
    )
    assert (binance.bars.funding[known & (binance.bars.open_time % 28_800 != 0)] == 0).all()
    assert np.isnan(okx.bars.funding).all()  # its series is of other years, and says so
    assert "70499 of 70499 bars" in okx.bars.null_reasons["funding"]


def test_the_minute_bars_read(okx_5m: Path, binance_5m: Path) -> None:
    assert len(read_source(okx_5m.with_name("BTC_USDT_USDT-1m-futures.feather")).bars) == 22_078
    assert len(read_source(binance_5m.with_name("BTC_USDT_USDT-1m-futures.feather")).bars) == 43_199


def test_files_that_are_not_bars_are_refused(okx_5m: Path) -> None:
    with pytest.raises(ConfigError, match="is a funding series"):
        read_source(okx_5m.with_name("BTC_USDT_USDT-1h-funding_rate.feather"))
    with pytest.raises(ConfigError, match=r"row 1 .*column volume: nan is not a number \(367 findings"):
        read_source(okx_5m.with_name("BTC_USDT_USDT-1h-mark.feather"))


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_stamps_of_any_unit_mean_the_same(tmp_path: Path, unit: int) -> None:
    rows = [line(k, stamp=str((1_577_836_800 + k * 3600) * unit)) for k in range(3)]
    assert read_source(write(tmp_path / "a.csv", *rows)).bars.open_time.tolist() == [
        1_577_836_800 + k * 3600 for k in range(3)
    ]


def test_stamps_may_be_dates(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "open_time,open,high,low,close,volume\n2020-01-01T00:00:00Z,100,102,99,101,7\n2020-01-01T01:00:00Z,101,103,99,102,8\n"
    )
    read = read_source(path, Reading(symbol="BTC/USD"))
    assert read.bars.open_time.tolist() == [1_577_836_800, 1_577_840_400]
    assert "time: 2 stamps in dates" in read.decisions


def test_stamps_may_change_their_unit_within_a_file(tmp_path: Path) -> None:
    read = read_source(write(tmp_path / "a.csv", line(0), line(1, stamp=str((1_577_836_800 + 3600) * 1000)), line(2)))
    assert read.decisions[1:4] == [
        "time: 1 stamps in milliseconds",
        "time: 2 stamps in seconds",
        "time: the form changes within the file, at line 3 to milliseconds",
    ]


def test_a_vendors_address_above_the_header_and_dates_alone_do(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "www.example.org\nDate,Open,High,Low,Close,Volume\n2020-01-01,100,102,99,101,7\n2020-01-02,101,103,99,102,8\n"
    )
    read = read_source(path, Reading(symbol="BTC/USD"))
    assert read.bars.timeframe_s == 86_400
    assert read.bars.volume.tolist() == [7.0, 8.0]
    assert any("on the header's word" in said for said in read.decisions)


BAD_ROWS = {
    "nan bar": (
        [line(0), line(1, prices="100,nan,99,101"), line(2)],
        r"a\.csv: line 3 \(2020-01-01 01:00:00Z\), column high: nan",
    ),
    "empty cell": ([line(0), line(1, prices="100,,99,101"), line(2)], r"line 3 .*column high"),
    "word": ([line(0), line(1, prices="100,x,99,101")], "line 3, column high: 'x' is not a number"),
    "negative": ([line(0), line(1, prices="100,102,-99,101")], "line 3"),
    "crossed": ([line(0), line(1, prices="100,98,99,101")], "line 3"),
    "gap": ([line(0), line(1), line(4), line(5)], r"line 4 .*2 bars are missing"),
    "two bars of one time": (
        [line(0), line(1), line(1, prices="100,102,99,101.5"), line(2)],
        r"line 3 and line 4 are both of 2020-01-01 01:00:00Z and differ: close 101\.0 and 101\.5",
    ),
    "unordered": (
        [line(0), line(1), line(2), line(4), line(3), line(5)],
        r"line 6 .*is earlier than the bar before it \(steps back: 1",
    ),
    "stamp": ([line(0), line(1, stamp="soon")], "line 3, column unix: 'soon' is no time"),
    "stamp and date": ([line(0), line(1, stamp="1577836800")], "line 3: unix stamp .* disagree"),
    "date": ([line(0).replace("2020-01-01", "yesterday")], "line 2, column date: 'yesterday 00:00:00' is no date"),
    "local date": (
        [line(0).replace("00:00:00", "00:00:00+02:00")],
        "line 2: unix stamp 1577836800 and date 2020-01-01 00:00:00\\+02:00 disagree",
    ),
    "half second": ([line(0), line(1, stamp="1577840400500")], "line 3, column unix: .*not a whole second"),
    "cells": ([line(0), "1,2,3\n"], "line 3: 3 cells where the header has 9"),
    "volumes": ([line(0), line(1, volumes="2.0,3.0")], "line 3: neither column can be base volume"),
    "one zero": ([line(0), line(1, volumes="0,9000.0")], "line 3: neither column"),
    "two symbols": ([line(0), line(1).replace("BTC/USD", "ETH/USD")], "several instruments"),
    "no row": ([], "no row"),
    "one row": ([line(0)], "timeframe cannot be told"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_one_clear_line(tmp_path: Path, case: str) -> None:
    rows, what = BAD_ROWS[case]
    with pytest.raises(ConfigError, match=what) as refused:
        read_source(write(tmp_path / "a.csv", *rows))
    assert "\n" not in refused.value.message
    assert refused.value.exit_code == 78


def test_newest_first_files_name_the_line_of_the_file(tmp_path: Path) -> None:
    rows = [line(3), line(2, prices="100,nan,99,101"), line(1), line(0)]
    with pytest.raises(ConfigError, match=r"line 3 \(2020-01-01 02:00:00Z\), column high"):
        read_source(write(tmp_path / "a.csv", *rows))


def test_gaps_pass_when_allowed_and_are_recorded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", line(0), line(1), line(4), line(5))
    read = read_source(path, Reading(allow_gaps=True))
    assert [(gap.row, gap.detail) for gap in read.gaps] == [(4, "2 bars are missing before it")]
    assert "gaps: 1 allowed; nothing was filled in" in read.decisions


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.csv", b"a,b\n1,2\n", "names the columns open and close"),
        ("a.csv", b"date,open,close\n", "lacks high, low, volume"),
        ("a.csv", b"open,high,low,close,volume\n", "lacks a time"),
        ("a.csv", b"\xff\xfe\x00open", "not CSV text|names the columns"),
        ("a.csv", b"date,open,high,low,close,volume,volume a,volume b,volume c\n", "4 volume columns"),
        ("a.feather", b"ARROW1 and nothing", "is not a feather file"),
        ("a.txt", b"", "names the columns open and close"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PrometheusError, match=what) as refused:
        read_source(tmp_path / name)
    assert refused.value.exit_code in {64, 78}


def test_a_feather_file_with_a_column_name_that_is_no_utf8_is_refused_in_one_line(tmp_path: Path) -> None:
    from pyarrow import feather, table

    path = tmp_path / "a.feather"
    columns = {name: [100.0] for name in ("open", "high", "low", "close", "volume")}
    feather.write_feather(table({"date": [1_577_836_800_000], **columns}), path, compression="uncompressed")
    path.write_bytes(path.read_bytes().replace(b"high", b"hi\xd6h"))
    with pytest.raises(ConfigError, match=r"a\.feather: .*(types|not a feather file)") as caught:
        read_source(path)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["no.csv", "no.feather", "bars.npy"])
def test_an_absent_file_is_said_to_be_absent(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no such"):
        read_source(tmp_path / name)


def test_without_pyarrow_a_feather_file_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.feather").write_bytes(b"ARROW1")
    with pytest.raises(UsageError, match="needs pyarrow") as refused:
        read_source(tmp_path / "a.feather")
    assert "prometheus-quant[arrow]" in (refused.value.hint or "")


def test_a_file_that_does_not_name_its_instrument_asks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("date,open,high,low,close,volume\n2020-01-01,100,102,99,101,7\n2020-01-02,101,103,99,102,8\n")
    with pytest.raises(ConfigError, match="which instrument"):
        read_source(path)
