"""Many files make one market, and a market only grows: what is stored keeps every bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ConfigError, EvidenceError, LockHeldError, UsageError
from prometheus.v10.market.bars import COLUMNS, Bars
from prometheus.v10.market.resolve import MarketSpec, resolve_market
from prometheus.v10.market.sources.importers import read_sources
from prometheus.v10.market.sources.library import (
    add_bars,
    import_bars,
    list_markets,
    load_market,
    load_version,
    load_versions,
)
from prometheus.v10.market.sources.native import MARKET_SCHEMA_1
from prometheus.v10.market.sources.tables import Reading
from tests.unit.market.shapes import HOUR, drawn, klines, zipped

CLOCK = SystemClock()
WHOLE = drawn(200)


def month(place: Path, name: str, first: int, last: int, frame: pd.DataFrame = WHOLE) -> Path:
    """A file of some rows."""
    path = place / f"BTCUSDT-1h-{name}.csv"
    path.write_text(klines(frame[first:last]))
    return path


def same(bars: Bars, frame: pd.DataFrame) -> bool:
    columns = dict(zip(("open", "high", "low", "close", "volume"), "ohlcv", strict=True))
    return bars.open_time.tolist() == frame.t.tolist() and all(
        getattr(bars, name).tolist() == frame[short].tolist() for name, short in columns.items()
    )


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "library"


# ---- many files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_files_in_any_order_and_with_overlaps_make_one_market(tmp_path: Path, order: tuple[int, ...]) -> None:
    files = [
        month(tmp_path, "2024-01", 0, 80),
        month(tmp_path, "2024-02", 70, 150),
        month(tmp_path, "2024-03", 150, 200),
    ]
    files[1] = tmp_path / "BTCUSDT-1h-2024-02.zip"
    files[1].write_bytes(zipped("BTCUSDT-1h-2024-02.csv", klines(WHOLE[70:150], 10**6, None)))
    read = read_sources([files[k] for k in order])
    assert same(read.bars, WHOLE)
    said = "\n".join(read.decisions)
    assert "dropped: rows that repeat another one exactly: 10" in said
    assert "in 2 of 3 files, as in BTCUSDT-1h-2024-0" in said
    assert "in every file, as in BTCUSDT-1h-2024-0" in said
    assert ["time: 80 stamps in microseconds" in file.decisions for file in read.files].count(True) == 1
    assert "files: 3 were joined in order of time" in said
    assert sorted(file.rows for file in read.files) == [50, 80, 80]


def test_files_that_contradict_each_other_are_refused_and_both_places_named(tmp_path: Path) -> None:
    other = WHOLE.assign(c=WHOLE.c + np.where(WHOLE.index == 75, 0.1, 0.0), h=WHOLE.h + 1)
    files = [month(tmp_path, "2024-01", 0, 80), month(tmp_path, "2024-02", 70, 150, other.assign(h=WHOLE.h + 0.1))]
    files[1].write_text(klines(WHOLE[70:150].assign(c=other.c[70:150], h=WHOLE.h[70:150].clip(lower=other.c[70:150]))))
    with pytest.raises(
        ConfigError, match=r"BTCUSDT-1h-2024-01\.csv: line 77 and BTCUSDT-1h-2024-02\.csv: line 7 are both"
    ):
        read_sources(files)


def test_a_gap_between_files_is_named_with_the_file(tmp_path: Path) -> None:
    files = [month(tmp_path, "2024-01", 0, 80), month(tmp_path, "2024-02", 90, 150)]
    with pytest.raises(ConfigError, match=r"BTCUSDT-1h-2024-02\.csv: line 2 .*10 bars are missing before it; missing"):
        read_sources(files)


def test_files_of_two_instruments_or_steps_are_refused(tmp_path: Path) -> None:
    first = month(tmp_path, "2024-01", 0, 80)
    other = tmp_path / "ETHUSDT-1h-2024-02.csv"
    other.write_text(klines(WHOLE[80:100]))
    with pytest.raises(
        ConfigError, match=r"ETHUSDT-1h-2024-02\.csv: holds ETHUSDT, BTCUSDT-1h-2024-01\.csv holds BTCUSDT"
    ):
        read_sources([first, other])
    minutes = tmp_path / "BTCUSDT-1m-2024-02.csv"
    minutes.write_text(klines(drawn(20, 60)))
    with pytest.raises(ConfigError, match="named as bars of 60 s"):
        read_sources([first, minutes])


def test_the_command_takes_folders_and_patterns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "files"
    place.mkdir()
    for name, first, last in (("2024-01", 0, 80), ("2024-02", 80, 200)):
        month(place, name, first, last)
    (place / "BTCUSDT-1h-2024-01.csv.CHECKSUM").unlink(missing_ok=True)
    root = tmp_path / "root"
    for name, words in (("folder", [str(place)]), ("pattern", [str(place / "BTCUSDT-*.csv")])):
        assert cli.main(["market", "import", *words, name, "--root", str(root), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["rows"], len(said["sources"]), said["source_sha256"]) == (200, 2, None)
        assert said["null_reasons"]["source_sha256"] == "several files: sources names each"
    assert cli.main(["market", "import", str(place / "*.zip"), "none", "--root", str(root)]) == 64
    assert "stands for no file" in capsys.readouterr().err


def test_the_commands_add_and_show_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--root", str(tmp_path / "root")]
    files = [str(month(tmp_path, "2024-01", 0, 80)), str(month(tmp_path, "2024-02", 70, 150))]
    assert cli.main(["market", "import", files[0], "btc", *root]) == 0
    for added in (70, 0):  # the second time there is nothing new, which is no error
        capsys.readouterr()
        assert cli.main(["market", "add", "btc", files[1], *root, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["added"] == added
    assert cli.main(["market", "show", "btc", *root, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(one["version"], one["rows"], one["added_rows"]) for one in said["versions"]] == [(1, 80, 80), (2, 150, 70)]
    assert cli.main(["market", "add", "none", files[1], *root]) == 78
    assert "no such market" in capsys.readouterr().err


# ---- growing ---------------------------------------------------------------------------------------------------------


def test_a_market_grows_by_what_is_later_and_keeps_its_first_bytes(tmp_path: Path, library: Path) -> None:
    import_bars(month(tmp_path, "2024-01", 0, 80), "btc", library, clock=CLOCK)
    kept = {path: path.read_bytes() for path in (library / "btc").iterdir()}
    meta, growth = add_bars([month(tmp_path, "2024-02", 60, 150)], "btc", library, clock=CLOCK)
    assert (meta.version, meta.rows, meta.added_rows, growth.overlap) == (2, 150, 70, 20)
    meta, _ = add_bars([month(tmp_path, "2024-03", 150, 200)], "btc", library, clock=CLOCK)
    assert (meta.version, meta.rows, meta.added_rows) == (3, 200, 50)
    assert {path: path.read_bytes() for path in kept} == kept
    assert same(load_market("btc", library), WHOLE)
    for version, rows in ((1, 80), (2, 150), (3, 200)):
        bars = load_version("btc", library, version)
        assert same(bars, WHOLE[:rows])
        assert bars.sha256() == load_versions("btc", library)[version - 1].bars_sha256
    assert [one.version for one in list_markets(library)] == [3]
    whole = import_bars(month(tmp_path, "2024-04", 0, 200), "whole", library, clock=CLOCK)
    assert whole.bars_sha256 == meta.bars_sha256  # the same bars have one name, however they came
    record = json.loads((library / "btc" / "grown" / "0003" / "market.json").read_bytes())
    assert record["previous_sha256"] == load_versions("btc", library)[1].bars_sha256
    assert [file["file"] for file in record["sources"]] == ["BTCUSDT-1h-2024-03.csv"]
    assert {k for k, v in record.items() if v is None} == set(record["null_reasons"])


def test_what_is_stored_already_adds_nothing(tmp_path: Path, library: Path) -> None:
    import_bars(month(tmp_path, "2024-01", 0, 80), "btc", library, clock=CLOCK)
    meta, growth = add_bars([month(tmp_path, "2024-02", 30, 80)], "btc", library, clock=CLOCK)
    assert (meta.version, growth.added, growth.overlap) == (1, None, 50)
    assert sorted(path.name for path in (library / "btc").iterdir()) == ["bars.npy", "market.json"]


REFUSED = {
    "another volume": (
        WHOLE.assign(v=WHOLE.v + (WHOLE.index == 70) * 1e-5),
        60,
        150,
        r"line 12 .*column volume.*bar 71 of",
    ),
    "a gap behind the end": (WHOLE, 90, 150, "bars are missing between the market and the files: 10 bars"),
    "bars before the first": (WHOLE.assign(t=WHOLE.t - 100 * HOUR), 60, 200, "has no such bar before its end"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_a_market_is_refused_and_nothing_is_stored(tmp_path: Path, library: Path, case: str) -> None:
    frame, first, last, what = REFUSED[case]
    import_bars(month(tmp_path, "2024-01", 0, 80), "btc", library, clock=CLOCK)
    with pytest.raises(ConfigError, match=what):
        add_bars([month(tmp_path, "2024-02", first, last, frame)], "btc", library, clock=CLOCK)
    assert sorted(path.name for path in (library / "btc").iterdir()) == ["bars.npy", "market.json"]
    assert same(load_market("btc", library), WHOLE[:80])


def test_files_of_another_instrument_are_not_added(tmp_path: Path, library: Path) -> None:
    import_bars(month(tmp_path, "2024-01", 0, 80), "btc", library, clock=CLOCK)
    other = tmp_path / "ETHUSDT-1h-2024-02.csv"
    other.write_text(klines(WHOLE[80:100]))
    with pytest.raises(ConfigError, match="holds ETHUSDT, market 'btc' holds BTCUSDT"):
        add_bars([other], "btc", library, clock=CLOCK)


def test_a_bar_for_a_gap_that_is_stored_is_refused(tmp_path: Path, library: Path) -> None:
    holed = WHOLE.drop(index=[40]).reset_index(drop=True)
    import_bars(month(tmp_path, "2024-01", 0, 80, holed), "btc", library, clock=CLOCK, reading=Reading(allow_gaps=True))
    with pytest.raises(
        ConfigError, match=r"line 12 .*market 'btc' has no such bar before its end, and it never changes"
    ):
        add_bars([month(tmp_path, "2024-02", 30, 150)], "btc", library, clock=CLOCK)


def test_a_gap_at_the_seam_may_be_allowed_and_is_recorded(tmp_path: Path, library: Path) -> None:
    import_bars(month(tmp_path, "2024-01", 0, 80), "btc", library, clock=CLOCK)
    meta, _ = add_bars(
        [month(tmp_path, "2024-02", 90, 150)], "btc", library, clock=CLOCK, reading=Reading(allow_gaps=True)
    )
    assert [(gap.row, gap.detail) for gap in meta.findings] == [(81, "10 bars are missing before it")]
    assert len(load_market("btc", library)) == 140


def test_funding_of_stored_bars_stays_and_the_new_ones_have_theirs(tmp_path: Path, library: Path) -> None:
    import_bars(month(tmp_path, "2024-01", 0, 80), "btc", library, clock=CLOCK)
    series = tmp_path / "BTCUSDT-fundingRate-2024-01.csv"
    rows = [f"{(WHOLE.t[0] + 8 * HOUR * k) * 1000 + 7},8,0.0001{k:02d}" for k in range(25)]
    series.write_text("\n".join(["calc_time,funding_interval_hours,last_funding_rate", *rows, ""]))
    files = [month(tmp_path, "2024-02", 60, 200)]
    meta, _ = add_bars(files, "btc", library, clock=CLOCK, reading=Reading(funding=series))
    bars = load_market("btc", library)
    assert np.isnan(bars.funding[:80]).all()
    assert not np.isnan(bars.funding[80:]).any()
    assert bars.funding[80] == 0.000110
    assert (meta.funding_file, meta.funding_unknown_rows) == (series.name, 80)


@pytest.mark.parametrize(
    "harm", ["a byte of the new bars", "a record that skips one", "a version that is gone", "another record"]
)
def test_harm_to_a_version_is_damaged_evidence(tmp_path: Path, library: Path, harm: str) -> None:
    import_bars(month(tmp_path, "2024-01", 0, 80), "btc", library, clock=CLOCK)
    for name, first, last in (("2024-02", 80, 120), ("2024-03", 120, 200)):
        add_bars([month(tmp_path, name, first, last)], "btc", library, clock=CLOCK)
    grown = library / "btc" / "grown"
    if harm == "a byte of the new bars":
        path = grown / "0003" / "bars.npy"
        path.chmod(0o644)
        content = bytearray(path.read_bytes())
        content[-9] ^= 1
        path.write_bytes(content)
    elif harm == "a record that skips one":
        (grown / "0003").rename(grown / "0004")
    elif harm == "a version that is gone":
        shutil.rmtree(grown / "0002")
    else:
        record = grown / "0002" / "market.json"
        record.chmod(0o644)
        record.write_text(record.read_text().replace('"rows": 120', '"rows": 121'))
    with pytest.raises(EvidenceError):
        load_market("btc", library)


def test_versions_behind_a_link_are_no_evidence(tmp_path: Path, library: Path) -> None:
    import_bars(month(tmp_path, "2024-01", 0, 80), "btc", library, clock=CLOCK)
    (tmp_path / "elsewhere").mkdir()
    (library / "btc" / "grown").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EvidenceError, match="symbolic link"):
        add_bars([month(tmp_path, "2024-02", 80, 150)], "btc", library, clock=CLOCK)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_name_like_a_files_is_refused_now_and_read_where_an_earlier_version_took_it(
    tmp_path: Path, library: Path
) -> None:
    source = month(tmp_path, "2024-01", 0, 80)
    with pytest.raises(UsageError, match="cannot be used"):
        import_bars(source, "btc.zip", library, clock=CLOCK)
    import_bars(source, "btc", library, clock=CLOCK)
    (library / "btc").rename(library / "btc.zip")
    assert len(load_market("btc.zip", library)) == 80
    assert len(resolve_market(MarketSpec(source="btc.zip"), library)) == 80


def test_of_two_who_add_at_once_one_wins(tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prometheus.v10.market.sources import growing
    from prometheus.v10.market.sources import library as module

    import_bars(month(tmp_path, "2024-01", 0, 80), "btc", library, clock=CLOCK)
    files, first = [month(tmp_path, "2024-02", 80, 150)], growing.growth_of

    def overtaken(*words, **more):
        monkeypatch.setattr(module, "growth_of", first)
        add_bars(files, "btc", library, clock=CLOCK)
        return first(*words, **more)

    monkeypatch.setattr(module, "growth_of", overtaken)
    with pytest.raises(LockHeldError, match="has grown meanwhile"):
        add_bars(files, "btc", library, clock=CLOCK)
    assert sorted(path.name for path in (library / "btc" / "grown").iterdir()) == ["0002"]
    assert len(load_market("btc", library)) == 150


def test_a_record_of_the_first_schema_is_read_and_its_market_grows(tmp_path: Path, library: Path) -> None:
    meta = import_bars(month(tmp_path, "2024-01", 0, 80), "btc", library, clock=CLOCK)
    record = json.loads((library / "btc" / "market.json").read_bytes())
    for name in ("version", "added_rows", "grid_offset_s", "zero_volume_rows", "previous_sha256", "sources"):
        del record[name]
    del record["null_reasons"]["previous_sha256"]
    path = library / "btc" / "market.json"
    path.chmod(0o644)
    path.write_text(json.dumps(record | {"schema": MARKET_SCHEMA_1}))
    (old,) = list_markets(library)
    assert (old.schema, old.version, old.rows) == (MARKET_SCHEMA_1, 1, 80)
    assert [(file.file, file.sha256, file.rows) for file in old.sources] == [
        (file.file, file.sha256, file.rows) for file in meta.sources
    ]
    assert {k for k in ("grid_offset_s", "zero_volume_rows", "previous_sha256") if getattr(old, k) is None} <= set(
        old.null_reasons
    )
    assert add_bars([month(tmp_path, "2024-02", 80, 150)], "btc", library, clock=CLOCK)[0].rows == 150


def test_what_a_spec_meant_once_is_found_again(tmp_path: Path, library: Path) -> None:
    import_bars(month(tmp_path, "2024-01", 0, 82), "btc", library, clock=CLOCK)
    specs = [
        MarketSpec(source="btc"),
        MarketSpec(source="btc", timeframe_s=4 * HOUR),
        MarketSpec(source="btc", start=int(WHOLE.t[10])),
        MarketSpec(source="btc", bars=30),
    ]
    before = [resolve_market(spec, library) for spec in specs]
    for name, first, last in (("2024-02", 82, 150), ("2024-03", 150, 200)):
        add_bars([month(tmp_path, name, first, last)], "btc", library, clock=CLOCK)
    for spec, old in zip(specs, before, strict=True):
        again = resolve_market(spec, library, old.sha256(), old.source)
        assert again.identity() == old.identity()
        assert all(np.array_equal(getattr(again, n), getattr(old, n), equal_nan=True) for n, _ in COLUMNS)
    assert len(resolve_market(specs[0], library)) == 200
    assert len(resolve_market(specs[0], library, "0" * 64)) == 200  # no version has it: the caller sees another hash
