"""Downloads that are cut off anywhere: the same command goes on, nothing is torn, nothing is fetched twice."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from prometheus.v10.base.errors import HostError, LockHeldError, PrometheusError
from prometheus.v10.base.files import Lock
from prometheus.v10.market.download.download_run import LOCK
from tests.faulty import CutOffError, Fault, FaultyFiles
from tests.unit.market.download.history_house import House, Reply

DAYS = {"first": "2024-12-31", "end": "2025-01-02"}
DAY = {"first": "2025-01-01", "end": "2025-01-02"}


def command(house: House, root: Path, *words: str) -> list[str]:
    return [
        sys.executable, "-m", "prometheus.cli", "market", "download", *words, "--address", house.base,
        "--root", str(root), "--json",
    ]  # fmt: skip


def stalls(house: House, word: str, at: int, text: bytes = b"") -> threading.Event:
    """The answer to request number ``at`` whose path has ``word`` stays away after ``text``; says when it was asked."""
    there, seen = threading.Event(), itertools.count(1)

    def play(handler) -> None:
        handler.wfile.write(text)
        there.set()
        time.sleep(60)

    house.twist = lambda path, _: Reply(play=play) if word in path and next(seen) == at else None
    return there


def killed(words: list[str], there: threading.Event) -> None:
    started = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert there.wait(120)
    finally:
        started.send_signal(signal.SIGKILL)
        assert started.wait(60) == -signal.SIGKILL


def test_a_killed_walk_through_pages_goes_on_behind_the_last_page(house, tmp_path):
    words = command(house, tmp_path, "okx", "BTC-USDT-SWAP", "1h", "--from", "2025-01-01", "--to", "2025-02-01")
    killed(words, stalls(house, "history-candles", 5))
    folder = tmp_path / "downloads/okx-swap-BTC-USDT-SWAP-1h"
    assert [place.name for place in folder.iterdir() if not place.name.startswith(".")] == []
    before, house.twist = list(house.heard), lambda _path, _number: None
    said = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    assert set(house.heard[5:]) & set(before[:4]) == set()
    assert len(house.heard) == 5 + 4
    rows = json.loads((folder / said["files"][0]["file"]).read_text())
    assert rows == [row for row in house.candles() if 1735689600000 <= int(row[0]) < 1738368000000]
    assert sorted(place.name for place in folder.glob(".*")) == [".download.lock"]


def test_a_killed_transfer_of_a_file_goes_on_in_its_middle(house, tmp_path):
    house.publish()
    name = "BTCUSDT-1h-2025-01.zip"
    whole = next(content for path, content in house.files.items() if path.endswith(name))
    words = command(house, tmp_path, "binance", "BTCUSDT", "1h", "--from", "2025-01-01", "--to", "2025-02-01")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole)
    there = stalls(house, name, 1, head + whole[:20_000])
    part = tmp_path / f"downloads/binance-spot-BTCUSDT-1h/.{name}.part"
    started = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert there.wait(120)
    while not part.exists() or part.stat().st_size < 20_000:
        assert started.poll() is None
        time.sleep(0.02)
    started.kill()
    assert started.wait(60) == -signal.SIGKILL
    house.twist = lambda _path, _number: None
    subprocess.run(words, capture_output=True, check=True)
    assert part.with_name(name).read_bytes() == whole
    assert [headers.get("Range") for headers in house.headers] == [None, "bytes=20000-", None]


def test_a_part_of_another_version_is_thrown_away_and_fetched_whole(desk, house):
    house.publish()
    desk.folder.mkdir()
    part = desk.folder / ".BTCUSDT-1h-2024-12-31.zip.part"
    part.write_bytes(b"PK\x03\x04 of yesterday")
    assert [one.record.rows for one in desk.fetch(**DAYS).bars] == [24, 24]
    part.write_bytes(b"x" * 10_000_000)  # longer than the file
    for place in desk.folder.glob("BTCUSDT-1h-2024-12-31*"):
        place.unlink()
    assert [one.fetched for one in desk.fetch(**DAYS).bars] == [True, False]
    assert len(desk.visible()) == 2


@pytest.mark.parametrize("harm", ["torn", "foreign", "empty"])
def test_kept_pages_that_are_none_are_asked_for_again(harm, desk, house):
    stop = Reply(500)
    house.twist = lambda _path, number: stop if number > 3 else None
    with pytest.raises(PrometheusError):
        desk.fetch("okx", first="2025-01-01", end="2025-02-01")
    pages = desk.folder / ".BTC-USDT-SWAP-1h-2025-01.json.pages"
    content = pages.read_bytes()
    assert content.count(b"\n") == 3
    pages.write_bytes({"torn": content[:-100], "foreign": content.replace(b"after", b"later"), "empty": b""}[harm])
    house.twist = lambda _path, _number: None
    house.heard.clear()
    assert [one.record.rows for one in desk.fetch("okx", first="2025-01-01", end="2025-02-01").bars] == [744]
    assert len(house.heard) == {"torn": 6, "foreign": 8, "empty": 8}[harm]
    assert len(desk.visible()) == 1


def calls_of(desk, exchange: str) -> int:
    counting = FaultyFiles()
    desk.files, desk.folder = counting, desk.folder.with_name("counted")
    desk.fetch(exchange, **DAY)
    return len(counting.trace)


@pytest.mark.parametrize("fault", [Fault.CUT_OFF, Fault.ENOSPC])
@pytest.mark.parametrize("exchange", ["binance", "okx"])
def test_a_fault_at_every_call_to_the_disk_leaves_whole_files_and_the_next_command_goes_on(
    exchange, fault, desk, house
):
    house.publish()
    calls = calls_of(desk, exchange)
    assert calls > 20
    for at in range(calls):
        desk.folder = desk.folder.with_name(f"{fault.value}-{at}".replace(" ", "-"))
        desk.files = FaultyFiles(fault, at)
        with contextlib.suppress(CutOffError, HostError):
            desk.fetch(exchange, **DAY)
        if desk.folder.exists():
            desk.visible()  # each with its record, and as it says
        desk.files = FaultyFiles()
        assert [one.record.rows for one in desk.fetch(exchange, **DAY).bars] == [24]
        assert len(desk.visible()) == 1
        assert sorted(place.name for place in desk.folder.glob(".*")) == [".download.lock"]


def test_a_disk_that_is_full_is_74_and_the_command_goes_on_when_there_is_room(desk, house):
    house.publish()
    desk.files = FaultyFiles(Fault.ENOSPC, 12, sticky=True)
    with pytest.raises(HostError, match="No space left on device") as met:
        desk.fetch()
    assert "free disk space" in str(met.value.hint)
    desk.files = FaultyFiles()
    assert len(desk.fetch().bars) == 4


def test_two_downloads_into_one_folder_take_turns(desk, house):
    desk.folder.mkdir()
    with Lock(desk.folder / LOCK, who="another download"), pytest.raises(LockHeldError, match="another download"):
        desk.fetch("okx")
    assert house.heard == []


def test_a_stop_by_hand_is_one_line_and_75(house, tmp_path):
    there = stalls(house, "history-candles", 2)
    words = command(house, tmp_path, "okx", "BTC-USDT-SWAP", "1h", "--from", "2025-01-01", "--to", "2025-02-01")
    started = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0)
    assert there.wait(120)
    os.killpg(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (75, b"")
    assert json.loads(err)["error"] == "the download was stopped"
