"""Every shape that people download is read as pandas reads it, to the last bar, or refused in one line."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.sources.importers import Imported, read_source
from prometheus.v10.market.sources.tables import Reading
from tests.unit.market.shapes import NAMES, SHAPES, Shape, drawn, klines, pairs, zipped

IDS = [shape.number for shape in SHAPES]


@pytest.fixture(scope="session")
def handed() -> Path:
    """Files as they were handed over: ``$PROMETHEUS_CASES``, or beside the checkout; skips where there are none."""
    beside = Path(__file__).parents[4] / "shared" / "reference" / "market_cases"
    place = Path(os.environ.get("PROMETHEUS_CASES") or beside)
    if not place.is_dir():
        pytest.skip(f"no handed files of bars: {place} is absent (set PROMETHEUS_CASES)")
    return place


def hold(shape: Shape, path: Path, reading: Reading) -> Imported | None:
    """Read a file and hold it against what its shape wants."""
    if shape.want is None:
        message, hint = shape.refused or ("", "")
        with pytest.raises(ConfigError, match=message) as refused:
            read_source(path, reading)
        assert hint in (refused.value.hint or "")
        assert "\n" not in refused.value.message
        assert path.name in refused.value.message
        return None
    read, wanted = read_source(path, reading), shape.want(path)
    bars = read.bars
    assert len(bars) == len(wanted)
    assert bars.open_time.tolist() == wanted.t.tolist()
    for name in NAMES:
        assert getattr(bars, name).tolist() == wanted[name].tolist(), name
    assert bars.timeframe_s == shape.step
    said = "\n".join(read.decisions)
    for words in shape.says:
        assert words in said
    return read


@pytest.mark.parametrize("shape", SHAPES, ids=IDS)
def test_a_shape_is_read_as_pandas_reads_it_or_refused(shape: Shape, tmp_path: Path) -> None:
    content, path = shape.make(), tmp_path / shape.name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    read = hold(shape, path, Reading(**shape.reading))
    assert read is None or read.bars.symbol == shape.symbol


@pytest.mark.parametrize("shape", SHAPES, ids=IDS)
def test_a_handed_file_is_read_as_pandas_reads_it_or_refused(shape: Shape, handed: Path) -> None:
    found = sorted(handed.glob(f"{shape.number[:2]}_*"))
    if not found:
        pytest.skip(f"{shape.number} was not handed over")
    if shape.number == "02b":
        pytest.skip("02 is the shape that was handed over")
    if shape.number.startswith("13") and found[0].suffix != Path(shape.name).suffix:
        pytest.skip("it was handed over as JSON alone")
    reading = Reading(**shape.reading)
    hold(shape, found[0], reading)


def test_a_published_checksum_is_held_against_the_file(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1h-2024-01.zip"
    path.write_bytes(zipped("BTCUSDT-1h-2024-01.csv", klines(drawn())))
    beside = tmp_path / f"{path.name}.CHECKSUM"
    beside.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    assert any("the sha256 is the one of" in said for said in read_source(path).decisions)
    beside.write_text(f"{'0' * 64}  {path.name}\n")
    with pytest.raises(ConfigError, match=r"its sha256 is [0-9a-f]{64}, BTCUSDT-1h-2024-01.zip.CHECKSUM says 0{64}"):
        read_source(path)


def test_a_zip_file_of_two_files_is_refused(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", klines(drawn()))
        archive.writestr("b.csv", klines(drawn()))
    with pytest.raises(ConfigError, match=r"a\.zip: holds 2 files: a\.csv, b\.csv"):
        read_source(path)


@pytest.mark.parametrize("pack", ["gzip", "zstd", "zip"])
def test_a_packed_file_that_was_cut_off_is_refused(tmp_path: Path, pack: str) -> None:
    import gzip

    import zstandard

    text = klines(drawn(3_000))
    packed = {
        "gzip": lambda: gzip.compress(text.encode()),
        "zstd": lambda: zstandard.ZstdCompressor().compress(text.encode()),
        "zip": lambda: zipped("a.csv", text),
    }[pack]()
    path = tmp_path / "a"
    path.write_bytes(packed)
    assert len(read_source(path, Reading(symbol="X")).bars) == 3_000
    for size in (len(packed) - 9, len(packed) // 2, 40):
        path.write_bytes(packed[:size])
        with pytest.raises(ConfigError, match="damaged or was cut off"):
            read_source(path, Reading(symbol="X"))


def test_a_zstd_file_of_many_frames_is_read_to_its_end(tmp_path: Path) -> None:
    import zstandard

    text = klines(drawn(300)).encode()
    path = tmp_path / "a.zst"
    path.write_bytes(
        b"".join(zstandard.ZstdCompressor().compress(text[k : k + 5_000]) for k in range(0, len(text), 5_000))
    )
    assert len(read_source(path, Reading(symbol="X")).bars) == 300


OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a format that is none": ({"format": "nope"}, "there is no such format"),
    "the format of another file": ({"format": "okx"}, "the header is none of --format okx: it is of binance"),
    "a zone that is none": ({"timezone": "Mars/Olympus"}, "no such time zone"),
    "a zone for unix stamps": ({"timezone": "+08:00"}, "--timezone is for dates without a zone"),
    "the close of what is named the open": ({"stamp": "close"}, "is named as the open"),
    "another step than the name says": ({"timeframe_s": 60}, "bars are missing"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_that_contradicts_the_file_is_refused(tmp_path: Path, case: str) -> None:
    options, what = OPTIONS[case]
    path = tmp_path / "BTCUSDT-1h-2024-01.csv"
    path.write_text(klines(drawn()))
    with pytest.raises(ConfigError, match=what):
        read_source(path, Reading(**options))


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-5m-2024-01.csv"
    path.write_text(klines(drawn()))
    with pytest.raises(ConfigError, match="its name says bars of 300 s, most rows lie 3600 s apart"):
        read_source(path)


def test_times_of_the_close_are_moved_to_the_open_when_that_is_said(tmp_path: Path) -> None:
    frame, path = drawn(), tmp_path / "a.csv"
    for step in (0, 1):  # the last second of the bar, or the first one behind it
        lines = [f"{one.t + 3600 - step},{one.o},{one.h},{one.l},{one.c},{one.v}" for one in frame.itertuples()]
        path.write_text("\n".join(["close_time,open,high,low,close,volume", *lines, ""]))
        with pytest.raises(ConfigError, match="its only time, 'close_time', is named as the close") as refused:
            read_source(path, Reading(symbol="X"))
        assert "--stamp close" in (refused.value.hint or "")
        read = read_source(path, Reading(symbol="X", stamp="close"))
        assert read.bars.open_time.tolist() == frame.t.tolist()
        assert any("names the close of the bar, as asked for" in said for said in read.decisions)


def test_a_local_hour_that_the_clock_has_twice_is_refused(tmp_path: Path) -> None:
    hours = ["2024-10-27 00:00", "2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 03:00"]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["date,open,high,low,close,volume", *(f"{hour},1,2,1,2,3" for hour in hours), ""]))
    with pytest.raises(
        ConfigError, match="line 4, column date: '2024-10-27 02:00' happens twice or never by the clock"
    ):
        read_source(path, Reading(symbol="X", timezone="Europe/Berlin"))
    assert read_source(path, Reading(symbol="X", timezone="+01:00")).bars.first_open == 1_729_983_600


def test_a_volume_that_is_quote_volume_by_every_row_is_not_taken_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1h-2024-01.csv"
    path.write_text(klines(drawn()))
    said = read_source(path, Reading(base_volume="quote_volume")).decisions
    assert "volume: by the numbers 'volume' is base volume and 'quote_volume' is its quote volume" in said


def test_bars_without_any_volume_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1h-2024-01.csv"
    path.write_text(klines(drawn().assign(v=0.0, q=0.0)))
    with pytest.raises(ConfigError, match="every bar has volume 0: mark or index prices"):
        read_source(path)


def test_the_newest_bar_is_left_out_when_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(pairs(drawn()))
    read = read_source(path, Reading(symbol="X", drop_last=True))
    assert len(read.bars) == 59
    assert "dropped: the newest bar (2024-01-03 11:00:00Z), as asked for" in read.decisions


def test_piece_by_piece_and_cell_by_cell_are_one_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way the rows take, their bits are the same."""
    from prometheus.v10.market.sources.reading import csv_source

    path = tmp_path / "BTCUSDT-1m-2024-01.csv"
    path.write_text(klines(drawn(5_000, 60)))
    whole = read_source(path).bars.sha256()
    monkeypatch.setattr(csv_source, "PIECE", 777)
    assert read_source(path).bars.sha256() == whole

    def refuses(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(np, "loadtxt", refuses)
    assert read_source(path).bars.sha256() == whole


def test_one_row_whose_newest_bar_is_left_out_is_no_market(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1h-2024-01.csv"
    path.write_text(
        klines(drawn())[: len(klines(drawn()).partition("\n")[0]) + 1] + klines(drawn()).splitlines()[1] + "\n"
    )
    assert len(read_source(path).bars) == 1
    with pytest.raises(ConfigError, match="holds no bar"):
        read_source(path, Reading(drop_last=True))
