"""From an exchange to a market: every bar is the one that pandas alone computes, every file says where it is from."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ConfigError, EvidenceError, UsageError
from prometheus.v10.market.download.download_plan import pieces_of
from prometheus.v10.market.sources.funding_series import read_funding
from prometheus.v10.market.sources.importers import read_source, read_sources
from prometheus.v10.market.sources.library import load_market, load_meta
from prometheus.v10.market.sources.received import record_place
from tests.unit.market.download.history_house import House, Reply, rate_at, seconds, zipped
from tests.unit.market.shapes import UM, klines


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict]:
    code = cli.main([*map(str, words), "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out or said.err)


def expected(house: House, first: str, end: str) -> pd.DataFrame:
    """The bars between two days, straight from the numbers that the server was made of."""
    frame = house.bars[(house.bars.t >= seconds(first)) & (house.bars.t < seconds(end))]
    booked = (frame.t % 28_800 == 0).to_numpy()
    rates = np.array([rate_at(int(one)) if at else 0.0 for one, at in zip(frame.t, booked, strict=True)])
    return frame.assign(funding=rates).reset_index(drop=True)


def assert_same(name: str, library: Path, frame: pd.DataFrame, *, funding: bool) -> None:
    bars = load_market(name, library)
    assert bars.open_time.tolist() == frame.t.tolist()
    for column, key in (("open", "o"), ("high", "h"), ("low", "l"), ("close", "c"), ("volume", "v")):
        assert getattr(bars, column).tolist() == frame[key].tolist(), column
    if funding:
        assert bars.funding.tolist() == pytest.approx(frame.funding.tolist(), abs=1e-12)
    else:
        assert np.isnan(bars.funding).all()


CASES = {
    "spot, milliseconds then microseconds": ("binance", [], "spot"),
    "futures with a header, and funding": ("binance", ["--product", "um", "--funding"], "um"),
    "pages, and funding": ("okx", ["--funding"], "BTC-USDT-SWAP"),
    "pages of spot": ("okx", [], "BTC-USDT"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_downloaded_is_imported_to_the_last_bar(case, house, tmp_path, capsys):
    exchange, more, kind = CASES[case]
    root = tmp_path / "root"
    if kind == "spot":
        publish_spot(house)
    elif kind == "um":
        house.publish("um", header=UM)
        house.publish_funding()
    instrument = kind if exchange == "okx" else "BTCUSDT"
    words = ["market", "download", exchange, instrument, "1h", "--from", "2024-12-30", "--to", "2025-02-03", *more]
    code, said = run(capsys, *words, "--address", house.base, "--root", root)
    assert (code, said["bars"], said["fetched"]) == (0, 35 * 24, len(said["files"]) + len(said["funding"]))
    funding = ["--funding", f"{said['folder']}/funding"] if "--funding" in more else []
    code, meta = run(capsys, "market", "import", said["folder"], "BARS", *funding, "--root", root)
    assert (code, meta["symbol"], meta["timeframe_s"]) == (0, instrument, 3600)
    assert_same("BARS", root / "market", expected(house, "2024-12-30", "2025-02-03"), funding=bool(funding))
    for file, source in zip(said["files"], meta["sources"], strict=True):
        assert (file["file"], file["sha256"], file["rows"]) == (source["file"], source["sha256"], source["rows"])
        assert any(one.startswith(f"downloaded: {file['address']}") for one in source["decisions"])


def publish_spot(house: House) -> None:
    """As Binance does: stamps count microseconds from 2025 on."""
    house.publish(unit=1_000)
    moments = pd.to_datetime(house.bars.t, unit="s")
    for often, form in (("monthly", "%Y-%m"), ("daily", "%Y-%m-%d")):
        for name, frame in house.bars.groupby(moments.dt.strftime(form)):
            if str(name) >= "2025":
                house.put("spot", "1h", often, str(name), klines(frame, 1_000_000, None))


@pytest.mark.parametrize("exchange", ["binance", "okx"])
def test_a_market_grows_by_what_is_downloaded_later(exchange, house, tmp_path, capsys):
    publish_spot(house)
    root = tmp_path / "root"
    instrument = {"okx": "BTC-USDT-SWAP", "binance": "BTCUSDT"}[exchange]
    words = ["market", "download", exchange, instrument, "1h", "--from", "2025-01-30", "--address", house.base]
    _, first = run(capsys, *words, "--to", "2025-02-02", "--root", root)
    assert run(capsys, "market", "import", first["folder"], "BARS", "--root", root)[0] == 0
    _, later = run(capsys, *words, "--to", "2025-02-04", "--root", root)
    assert (later["fetched"], later["there"], later["folder"]) == (2, 3, first["folder"])
    code, grown = run(capsys, "market", "add", "BARS", later["folder"], "--root", root)
    assert (code, grown["added"], grown["overlap"], grown["version"]) == (0, 48, 72, 2)
    assert_same("BARS", root / "market", expected(house, "2025-01-30", "2025-02-04"), funding=False)
    assert any("downloaded: " in one for one in load_meta("BARS", root / "market").decisions)


def test_the_same_command_again_asks_nobody_and_changes_nothing(desk, house):
    house.publish()
    first = desk.fetch()
    before = {place: place.read_bytes() for place in desk.folder.rglob("*") if place.is_file()}
    asked = len(house.heard)
    again = desk.fetch()
    assert len(house.heard) == asked
    assert [one.record for one in again.bars] == [one.record for one in first.bars]
    assert not any(one.fetched for one in again.bars)
    assert {place: place.read_bytes() for place in desk.folder.rglob("*") if place.is_file()} == before


def test_a_record_says_where_the_file_is_from_and_what_it_was_held_against(desk, house):
    house.publish()
    house.files = {path: text for path, text in house.files.items() if "2024-12-31.zip.CHECKSUM" not in path}
    by_name = {one.record.file: one for one in desk.fetch().bars}
    got = by_name["BTCUSDT-1h-2025-01-01.zip"]
    address = f"{house.base}/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-01-01.zip"
    content = got.path.read_bytes()
    assert [one.address for one in got.record.answers] == [address, f"{address}.CHECKSUM"]
    assert got.record.published_sha256 == got.record.sha256 == hashlib.sha256(content).hexdigest()
    ended = subprocess.run(["sha256sum", "-c", f"{got.path.name}.CHECKSUM"], cwd=desk.folder, check=False)
    assert ended.returncode == 0
    without = by_name["BTCUSDT-1h-2024-12-31.zip"]
    assert (without.record.published_sha256, set(without.record.null_reasons)) == (None, {"published_sha256"})
    pages = next(one for one in desk_of_okx(desk, house).bars if one.record.file.endswith("2025-01-01.json"))
    assert [one.address.partition("?")[0] for one in pages.record.answers] == [
        f"{house.base}/api/v5/market/history-candles"
    ]
    assert record_place(pages.path).stat().st_mode & 0o777 == 0o444


def desk_of_okx(desk, house):
    desk.folder = desk.folder.with_name("pages")
    return desk.fetch("okx")


@pytest.mark.parametrize("harm", ["file", "record", "seal", "other"])
def test_a_file_that_is_not_what_its_record_says_is_refused_everywhere(harm, desk, house):
    house.publish()
    got = desk.fetch().bars[0]
    place = record_place(got.path)
    place.chmod(0o644)
    if harm == "file":
        got.path.write_bytes(zipped(klines(house.bars[:24], 1_000, None), "BTCUSDT-1h-2024-12-30.csv"))
        got.path.with_name(f"{got.path.name}.CHECKSUM").unlink()
    elif harm == "record":
        place.write_text(place.read_text().replace("127.0.0.1", "127.0.0.2"))
    elif harm == "seal":
        place.write_text("{}")
    else:
        place.write_bytes(record_place(desk.fetch().bars[1].path).read_bytes())
    with pytest.raises(EvidenceError, match=r"2024-12-30\.zip"):
        desk.fetch()
    with pytest.raises(ConfigError, match=r"2024-12-30\.zip"):
        read_source(got.path)


def test_a_file_that_somebody_else_put_there_is_left_alone(desk, house):
    house.publish()
    desk.folder.mkdir()
    mine = desk.folder / "BTCUSDT-1h-2024-12-31.zip"
    mine.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there, and nothing says where it came from"):
        desk.fetch()
    assert mine.read_bytes() == b"mine"


def test_a_file_of_another_archive_under_the_same_name_is_not_taken_for_it(desk, house):
    house.publish()
    house.publish("um", header=UM)
    desk.fetch()
    with pytest.raises(UsageError, match=r"was downloaded from binance \(spot\), and is not what is asked for now"):
        desk.fetch(product="um")


# ---- months and days -------------------------------------------------------------------------------------------------


def test_whole_months_come_as_months_and_every_day_belongs_to_one_piece():
    asked = desk_days("2024-01-30", "2024-04-02")
    assert [one.name for one in asked] == ["2024-01-30", "2024-01-31", "2024-02", "2024-03", "2024-04-01"]
    for first in range(0, 500, 37):
        for length in (1, 27, 28, 31, 60, 400):
            begin = pd.Timestamp("2023-11-28") + pd.Timedelta(days=first)
            end = begin + pd.Timedelta(days=length)
            pieces = desk_days(f"{begin:%Y-%m-%d}", f"{end:%Y-%m-%d}")
            assert (pieces[0].first, pieces[-1].end) == (begin.date(), end.date())
            assert all(one.end == other.first for one, other in pairwise(pieces))


def desk_days(first: str, end: str):
    return list(pieces_of(pd.Timestamp(first).date(), pd.Timestamp(end).date()))


def test_a_month_that_is_not_out_comes_as_its_days_and_stays_them(desk, house):
    house.publish()
    kept = dict(house.files)
    house.files = {path: content for path, content in kept.items() if "1h-2025-01.zip" not in path}
    done = desk.fetch(first="2025-01-01", end="2025-02-01")
    assert [one.record.file for one in done.bars] == [f"BTCUSDT-1h-2025-01-{day:02d}.zip" for day in range(1, 32)]
    house.files = kept
    assert [one.fetched for one in desk.fetch(first="2025-01-01", end="2025-02-01").bars] == [False] * 31


def test_days_of_a_month_that_is_there_are_not_fetched_again(desk, house):
    house.publish()
    desk.fetch(first="2025-01-01", end="2025-02-01")
    asked = len(house.heard)
    done = desk.fetch(first="2025-01-10", end="2025-01-12")
    assert ([one.record.file for one in done.bars], len(house.heard)) == (["BTCUSDT-1h-2025-01.zip"], asked)


def test_a_day_that_is_not_there_by_itself_comes_in_its_month(desk, house):
    house.publish()
    drop(house, "1h-2025-01-1")
    done = desk.fetch(first="2025-01-08", end="2025-01-12")
    names = [one.record.file.removeprefix("BTCUSDT-1h-") for one in done.bars]
    assert names == ["2025-01-08.zip", "2025-01-09.zip", "2025-01.zip"]
    read = read_sources([one.path for one in done.bars])
    assert (len(read.bars), any("repeat another one exactly: 48" in one for one in read.decisions)) == (744, True)


def test_gaps_of_a_month_outside_the_days_that_are_asked_for_are_nobodys(desk, house):
    without(house, "2025-01-20T05:00", "2025-01-20T09:00")
    drop(house, "1h-2025-01-")
    assert [one.record.rows for one in desk.fetch(first="2025-01-08", end="2025-01-12").bars] == [740]


@pytest.mark.parametrize("exchange", ["binance", "okx"])
def test_what_was_before_the_first_bar_of_all_is_not_missing_and_is_said(exchange, desk, house):
    house.bars = house.bars[house.bars.t >= seconds("2024-12-25T05:00")]
    house.publish()
    done = desk.fetch(exchange, first="2024-09-01", end="2025-01-02")
    assert done.said == [f"bars: {exchange} has none before 2024-12-25 05:00:00Z"]
    assert sum(one.record.rows for one in done.bars) == 24 * 8 - 5
    assert len(house.heard) < 100  # months before the first are not looked at day by day


def test_days_that_are_not_out_yet_are_said_and_come_with_the_same_command(desk, house):
    house.publish()
    kept = dict(house.files)
    drop(house, "1h-2025-02-28", "1h-2025-02.zip")
    done = desk.fetch(first="2025-02-26", end=None)
    assert done.said == ["bars: binance has none from 2025-02-28 on; the same command goes on where this one ended"]
    house.files = kept
    done = desk.fetch(first="2025-02-26", end=None)
    assert (done.said, [one.fetched for one in done.bars]) == ([], [False, False, True])


GAPS = {
    "a day of the archive": ("binance", lambda house: drop(house, "1h-2025-01-01", "1h-2025-01.zip")),
    "hours in a file of the archive": ("binance", lambda house: without(house, "2025-01-01T05:00", "2025-01-01T09:00")),
    "hours of the pages": ("okx", lambda house: without(house, "2025-01-01T05:00", "2025-01-01T09:00")),
    "the end of a day of the pages": ("okx", lambda house: without(house, "2025-01-01T20:00", "2025-01-02T00:00")),
}


def drop(house: House, *words: str) -> None:
    house.files = {path: text for path, text in house.files.items() if not any(word in path for word in words)}


def without(house: House, first: str, end: str) -> None:
    house.bars = house.bars[(house.bars.t < seconds(first)) | (house.bars.t >= seconds(end))]
    house.files.clear()
    house.publish()


@pytest.mark.parametrize("case", GAPS)
def test_missing_bars_are_refused_with_their_range_until_they_are_allowed(case, desk, house, tmp_path, capsys):
    exchange, harm = GAPS[case]
    house.publish()
    harm(house)
    with pytest.raises(EvidenceError, match=r"has no bars from 2025-01-01 .* to 2025-01-01 .*\((4|24) bars\)"):
        desk.fetch(exchange)
    assert len(desk.visible()) == 2
    done = desk.fetch(exchange, allow_gaps=True)
    missing = [one for got in done.bars for one in got.record.missing]
    assert len(missing) == 1
    code, said = run(capsys, "market", "import", desk.folder, "GAPS", "--root", tmp_path / "root")
    assert (code, "missing" in said["error"]) == (78, True)
    code, _ = run(capsys, "market", "import", desk.folder, "GAPS", "--allow-gaps", "--root", tmp_path / "root")
    assert code == 0


def test_an_instrument_that_ended_is_told_with_the_day(desk, house):
    house.publish()
    drop(house, "1h-2025-02.zip", *(f"1h-2025-02-{day}" for day in range(10, 29)))
    with pytest.raises(EvidenceError, match="has no bars of BTCUSDT from 2025-02-10 on, and was asked to 2025-02-28"):
        desk.fetch(first="2025-02-08", end="2025-02-28")
    assert desk.visible() == ["BTCUSDT-1h-2025-02-08.zip", "BTCUSDT-1h-2025-02-09.zip"]


# ---- funding ---------------------------------------------------------------------------------------------------------


def test_rates_are_those_that_were_booked_and_not_those_that_were_forecast(desk, house):
    done = desk.fetch("okx", funding=True, first="2025-01-01", end="2025-01-03")
    series = read_funding(done.folder / "funding", "BTC-USDT-SWAP")
    assert series.rates.tolist() == [rate_at(int(one)) for one in series.booked]
    assert len(series.rates) == 6


def test_rates_that_an_exchange_no_longer_has_are_said(desk, house):
    house.twist = lambda path, _: Reply(body=b'{"code":"0","msg":"","data":[]}') if "funding" in path else None
    done = desk.fetch("okx", funding=True)
    assert (done.funding, done.said) == ([], ["funding: okx has no rates of these days any more, or not yet"])


def test_spot_books_no_funding_and_nobody_is_asked(desk, house):
    with pytest.raises(UsageError, match="books no funding"):
        desk.fetch(funding=True)
    assert house.heard == []


def test_files_of_rates_that_contradict_each_other_are_refused(desk, house):
    done = desk.fetch("okx", funding=True, first="2025-01-01", end="2025-01-03")
    one = done.funding[0].path
    (one.parent / "other.json").write_text(
        one.read_text().replace('"realizedRate":"0.0', '"realizedRate":"0.1').replace('"-0.0', '"-0.1')
    )
    with pytest.raises(ConfigError, match="another file has"):
        read_funding(one.parent, "BTC-USDT-SWAP")


# ---- the command line ------------------------------------------------------------------------------------------------

WRONG = {
    "an exchange": (["kraken", "BTCUSDT", "1h"], "expected okx or binance"),
    "a month as a bar": (["binance", "BTCUSDT", "1M"], "has no bars '1M'"),
    "seconds of futures": (["binance", "BTCUSDT", "1s", "--product", "um"], "has no bars '1s'"),
    "a bar": (["okx", "BTC-USDT", "8h"], "has no bars '8h'"),
    "a path as a name": (["binance", "../../x", "1h"], "is no name of an instrument"),
    "a query as a name": (["okx", "BTC-USDT&after=1", "1h"], "is no name of an instrument"),
    "the other exchange's name": (["okx", "BTCUSDT", "1h"], "is no name of an instrument of OKX"),
    "a product of OKX": (["okx", "BTC-USDT", "1h", "--product", "um"], "--product is of binance"),
    "a day": (["binance", "BTCUSDT", "1h", "--to", "2024-02-30"], "is no day"),
    "days that do not rise": (["binance", "BTCUSDT", "1h", "--to", "2024-01-01"], "no whole day between"),
    "the future": (["binance", "BTCUSDT", "1h", "--to", "2999-01-01"], "only whole days"),
    "a site": (["okx", "BTC-USDT", "1h", "--site", "mars"], "has no such site"),
    "a site of Binance": (["binance", "BTCUSDT", "1h", "--site", "eea"], "has no such site"),
    "another host": (["okx", "BTC-USDT", "1h", "--address", "http://10.0.0.1:80"], "is not the loopback"),
    "a name that only looks local": (
        ["okx", "BTC-USDT", "1h", "--address", "http://127.0.0.1.x:80"],
        "not the loopback",
    ),
    "both": (["okx", "BTC-USDT", "1h", "--site", "us", "--address", "http://127.0.0.1:1"], "exclude each other"),
    "funding of spot": (["okx", "BTC-USDT", "1h", "--funding", "--address", "http://127.0.0.1:1"], "books no funding"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_meant_is_one_line_and_64(case, tmp_path, capsys):
    words, told = WRONG[case]
    root = tmp_path / "root"
    code, said = run(capsys, "market", "download", *words, "--from", "2024-01-01", "--root", root)
    assert (code, told in said["error"] or told in (said["hint"] or "")) == (64, True), said
    assert not root.exists()


def test_files_never_go_where_evidence_lies(house, tmp_path, capsys):
    root = tmp_path / "root"
    for place in ("market/x", "runs/x", "state", "pools/x"):
        words = ["market", "download", "okx", "BTC-USDT-SWAP", "1h", "--from", "2025-01-01", "--to", "2025-01-02"]
        code, said = run(capsys, *words, "--into", root / place, "--root", root, "--address", house.base)
        assert (code, "which only the suite writes" in said["error"]) == (64, True)
    (root / "downloads").parent.mkdir(exist_ok=True)
    (root / "downloads").symlink_to(tmp_path)
    code, said = run(capsys, *words, "--root", root, "--address", house.base)
    assert (code, "is a symbolic link" in said["error"]) == (64, True)
    assert house.heard == []


def test_the_command_of_a_host_downloads_without_numpy_and_hands_the_rest_of_market_to_the_image(house, tmp_path):
    words = ["market", "download", "okx", "BTC-USDT-SWAP", "1h", "--from", "2025-01-01", "--to", "2025-01-02"]
    code = (
        "import sys; from prometheus.cli import host\n"
        f"code = host.main({[*words, '--root', str(tmp_path / 'root'), '--address', house.base]!r})\n"
        "print(code, sorted({'numpy', 'numba', 'zstandard', 'cattrs'} & set(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "0 []"
    assert "import it: prometheus-quant market import" in ended.stdout


def test_who_listens_hears_how_far_it_is(desk, house):
    told = []
    desk.fetch("okx", funding=True, tell=told.append)
    assert [one.name for one in told][::4] == [
        "BTC-USDT-SWAP-1h-2024-12-30.json",
        "BTC-USDT-SWAP-fundingRate-2024-12-30.json",
    ]
    assert [(one.done, one.of) for one in told] == [(n, 8) for n in range(8)]


def test_a_terminal_and_systemd_see_how_far_it_is(house, tmp_path, notify_socket):
    words = ["market", "download", "okx", "BTC-USDT-SWAP", "1h", "--from", "2025-01-01", "--to", "2025-01-04"]
    line = [sys.executable, "-m", "prometheus.cli", *words, "--address", house.base, "--root", str(tmp_path)]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "NOTIFY_SOCKET": str(notify_socket.path)}
    screen, terminal = pty.openpty()
    started = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=terminal, env=environ)
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # the terminal is gone when the program is
        while piece := os.read(screen, 4096):
            shown += piece
    os.close(screen)
    assert started.wait(60) == 0
    assert (b"BTC-USDT-SWAP-1h-2025-01-0" in shown, b"/3" in shown) == (True, True)
    assert notify_socket.datagrams()[-1] == ("STATUS=2 of 3 files, 0.0 MiB; next BTC-USDT-SWAP-1h-2025-01-03.json")
