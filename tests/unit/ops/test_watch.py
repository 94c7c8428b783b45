"""``watch``: a frame at any size, with worst-case values; what it reads; and that it runs in a real terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from rich.cells import cell_len

from prometheus.cli import main as cli
from prometheus.cli.operate.watch_scene import Said, Scene, Watcher, said_of
from prometheus.cli.operate.watch_screen import frame, spark
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.host.runner import Ended
from prometheus.v10.ops.host.systemd import Systemd
from prometheus.v10.ops.instance.progress_record import ProgressRecord
from prometheus.v10.report.site.run_lines import RunLine
from tests.forger.house import do_run

SIZES = [(80, 24), (60, 20), (120, 40), (200, 60), (40, 10), (20, 4)]
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
RUN = "HF_20260301T110000Z_abcdef0_4b53"
PATIENCE = 300.0  # seconds until a test gives up waiting; no assertion depends on it


def utc(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def record(name: str, ago: float = 1.0, **more: Any) -> ProgressRecord:
    said: dict[str, Any] = {
        "instance": name, "ts_utc": utc(ago), "run_id": RUN, "experiment": 17, "experiments": 24, "tick": 6201,
        "ticks": 8064, "alive": 106, "agent_ticks_per_second": 34_100_000, "births": 1204, "deaths": 2561,
        "last_collapse": "none",
    }  # fmt: skip
    return ProgressRecord(**{**said, **more})


def line(number: int, **more: Any) -> RunLine:
    run_id = f"HF_20260301T1100{number:02d}Z_abcdef0_4b53"
    said: dict[str, Any] = {
        "run_id": run_id, "instance": "HF", "stage": "stage1", "status": "completed", "started": utc(60), "alive": 12.0,
        "experiments": 24, "collapses": 0, "deaths": 2000, "roi": -0.046 + number / 1000,
    }  # fmt: skip
    return RunLine(**{**said, **more})


def instance(name: str, **more: Any) -> dict[str, Any]:
    last = {"run_id": RUN, "status": "completed", "end_time": utc(720), "start_time": utc(800)}
    return {
        "instance": name, "stage": "stage1", "state": "active (running)", "working": True, "last_run": last,
        "collapses": {"count": 3, "median_interval_ticks": 4_700_000}, **more,
    }  # fmt: skip


def scene(**more: Any) -> Scene:
    status = {
        "stop": {"pulled": False},
        "release": {"id": "7b991bf8"},
        "instances": [instance("STAGE2", working=False, state="inactive (dead)"), instance("HF")],
        "disk": {"used_bytes": 11_300_000_000, "budget_bytes": 42_900_000_000, "written_a_day": 26_000_000_000,
                 "budget_full_at": (NOW + timedelta(days=1.1)).isoformat().replace("+00:00", "Z"),
                 "free_bytes": 71_000_000_000},
        "last_audit": {"ended_at": utc(19 * 3600), "passed": True},
        "last_snapshot": {"created_at": utc(2400)},
        "last_checkpoint": {"taken_at": utc(120)},
    }  # fmt: skip
    journal = (
        Said(at=NOW, priority=4, text="mass_death_cluster in experiment 2: 82 of 100 alive died by one review"),
        Said(at=NOW, priority=5, text=f"{RUN} is sealed: 16 files"),
    )
    whole: dict[str, Any] = {
        "now": NOW, "host": "vps1", "root": "/var/lib/prometheus-quant", "status": status,
        "progress": {"HF": record("HF")}, "history": {"HF": tuple(range(60, 110))},
        "runs": tuple(line(number) for number in range(30)), "journal": journal, "blind": (),
    }  # fmt: skip
    return Scene(**{**whole, **more})


WORST = scene(
    status={
        **scene().status,
        "stop": {"pulled": True},
        "instances": [
            instance(f"I{place:031d}", state="\x1b[31mactivating (auto-restart)", working=None) for place in range(12)
        ],
        "last_audit": {"ended_at": utc(10**8), "passed": False},
    },
    progress={
        f"I{place:031d}": record(f"I{place:031d}", 9e5, alive=2**40, deaths=2**50, tick=2**40, ticks=2**40,
                                 last_collapse="extinction in experiment 99999 at tick 99999999")
        for place in range(12)
    },
    blind=("progress of HF: \x1b]0;x\x07 it is not canonical JSON " * 5,),
)  # fmt: skip


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("what", [scene(), WORST, scene(status={}, progress={}, runs=(), journal=None)])
def test_a_frame_fits_and_cuts_no_number(what: Scene, width: int, height: int):
    lines = frame(what, width, height)
    assert len(lines) <= height
    assert all(cell_len(one.plain) <= width for one in lines), [one.plain for one in lines]
    assert all("\x1b" not in one.plain for one in lines)
    whole = {word for one in frame(what, 2000, 500) for word in one.plain.split()}
    for one in lines:
        for word in one.plain.split():
            assert not re.search(r"\d", word) or word in whole or f"and {word} more instances" in one.plain, word


def test_the_frame_of_the_smallest_terminal_answers_the_questions():
    text = "\n".join(one.plain for one in frame(scene(), 80, 24))
    for said in (
        "switch not pulled", "exp 17/24", "tick 6,201/8,064", "beat 1 s ago", "alive 106", "deaths 2,561",
        "34.1 M/s", "collapses 3", "audit PASS 19 h ago", "full in 1.1 days", "snapshot 40 min ago",
        "mass_death_cluster", "q quit",
    ):  # fmt: skip
        assert said in text, text


def styles(what: Scene, said: str) -> str:
    for one in frame(what, 200, 60):
        at = one.plain.find(said)
        if at >= 0:
            return " ".join(str(span.style) for span in one.spans if span.start <= at < span.end)
    raise AssertionError(said)


def test_what_is_wrong_is_red_and_says_so():
    stale = scene(progress={"HF": record("HF", 40.0)})
    assert "red" in styles(stale, "beat 40 s ago")
    assert "red" not in styles(scene(), "beat 1 s ago")
    pulled = scene(status={**scene().status, "stop": {"pulled": True}})
    assert "red" in styles(pulled, "switch PULLED")
    assert "red" in styles(WORST, "audit FAIL")
    assert "red" in styles(scene(), "full in 1.1 days")
    lost = scene(runs=(line(1, status="cut off"), line(2)))
    assert "red" in styles(lost, "1 of the last 2 runs lost")


def test_who_works_stands_first():
    text = "\n".join(one.plain for one in frame(scene(), 80, 24))
    assert text.index("HF ") < text.index("STAGE2")


@pytest.mark.parametrize(
    ("values", "drawn"), [((), ""), ((3,), "▁"), ((0, 1), "▁█"), ((5, 5, 5), "▁▁▁"), ((-1.0, 0.0, 1.0), "▁▅█")]
)
def test_a_spark_has_a_bar_for_each_value(values, drawn):
    assert spark(values) == drawn


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{}", '{"MESSAGE": ["a"]}', '{"MESSAGE": "a"}', '{"__REALTIME_TIMESTAMP": "x"}']
)
def test_an_entry_of_any_shape_is_one_or_none(text):
    assert said_of(text) is None


# ---- what it reads ---------------------------------------------------------------------------------------------------


def test_it_reads_progress_each_time_and_the_rest_now_and_then(tmp_path: Path, fake_clock):
    words = ["run", "--root", str(tmp_path), "--experiments", "1", "--instance", "T", "--workers", "1"]
    assert cli.main(words) == ExitCode.DONE
    layout = Layout.under(tmp_path)
    place = layout.state / "T" / "progress.json"
    watcher = Watcher(layout, None, fake_clock)
    first = watcher.look()
    assert [one.instance for one in first.runs] == ["T"]
    assert first.journal is None
    for alive in (5, 7):
        said = record("T", alive=alive).plain()
        place.write_bytes(json.dumps(said, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        fake_clock.advance(1.0)
        seen = watcher.look()
        assert seen.progress["T"].alive == alive
    assert seen.history["T"] == (5, 7)
    assert seen.status is first.status
    fake_clock.advance(30.0)
    assert watcher.look().status is not first.status
    place.write_bytes(b"{")
    assert any("progress of T" in one for one in watcher.look().blind)


def test_it_asks_the_journal_of_a_host_and_only_reads_it(layout: Layout, fake_clock):
    asked: list[tuple[str, ...]] = []

    def run(words, **_more):
        asked.append(tuple(words))
        entry = {"MESSAGE": "a run\x1b[2J is sealed", "PRIORITY": "5", "__REALTIME_TIMESTAMP": "1767323000000000"}
        out = json.dumps(entry) + "\n" if words[0] == "journalctl" else ""
        return Ended(words=tuple(words), code=0, out=out, err="")

    seen = Watcher(layout, Systemd(run), fake_clock, run).look()
    assert seen.journal is not None
    assert seen.journal[0].text == r"a run\x1b[2J is sealed"
    assert {words[0] for words in asked} <= {"journalctl", "systemctl"}
    assert all(words[1] in {"list-units", "show"} for words in asked if words[0] == "systemctl")


# ---- in a terminal ---------------------------------------------------------------------------------------------------


def test_a_wrong_root_and_a_pipe_are_refused(tmp_path, capsys):
    (tmp_path / "state").mkdir()
    assert cli.main(["watch", "--root", str(tmp_path / "typo")]) == ExitCode.USAGE
    assert cli.main(["watch", "--root", str(tmp_path)]) == ExitCode.USAGE
    assert "needs a terminal" in capsys.readouterr().err


def test_one_look_is_printed(tmp_path, capsys):
    do_run(tmp_path, {"experiments": {"count": 1}})
    assert cli.main(["watch", "--root", str(tmp_path), "--once"]) == ExitCode.DONE
    assert "switch not pulled" in capsys.readouterr().out
    assert cli.main(["watch", "--root", str(tmp_path), "--once", "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["status"]["schema"] == "status/1"


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_it_lives_in_a_terminal_until_a_key_ends_it(tmp_path: Path, key: bytes):
    do_run(tmp_path, {"experiments": {"count": 1}})
    before = {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*")}
    pid, fd = pty.fork()
    if not pid:
        words = ["-m", "prometheus.cli", "watch", "--root", str(tmp_path)]
        os.execv(sys.executable, [sys.executable, *words])  # noqa: S606
    try:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        shown = until(fd, b"q quit")
        assert b"\x1b[?1049h" in shown  # the alternate screen
        os.write(fd, b"p")
        until(fd, b"p go on")
        os.write(fd, key)
        rest = until(fd, b"\x1b[?1049l")
        assert b"Traceback" not in rest
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) in {0, -signal.SIGINT, 130}
    finally:
        os.close(fd)
    assert {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*")} == before


def until(fd: int, wanted: bytes) -> bytes:
    seen, end = b"", time.monotonic() + PATIENCE
    while wanted not in seen:
        ready, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
        assert ready, seen[-500:]
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    assert wanted in seen, seen[-500:]
    return seen


def test_it_shows_a_run_at_work(tmp_path: Path):
    profile = tmp_path / "LONG.toml"
    from tests.pages.kinds import LONG

    profile.write_text(LONG)
    root = tmp_path / "root"
    words = [sys.executable, "-m", "prometheus.cli", "run", "--root", str(root), "--profile", str(profile)]
    with subprocess.Popen([*words, "--instance", "T"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + PATIENCE
            while not (root / "state" / "T" / "progress.json").exists():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.02)
            ended = subprocess.run(
                [sys.executable, "-m", "prometheus.cli", "watch", "--root", str(root), "--once"], capture_output=True,
                text=True, timeout=PATIENCE, check=False,
            )  # fmt: skip
        finally:
            process.kill()
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"exp \d+/400", ended.stdout), ended.stdout
    assert re.search(r"alive [\d,]+", ended.stdout)
    assert "beat" in ended.stdout


def test_a_scene_is_not_changed_by_its_frame():
    one = scene()
    frame(one, 80, 24)
    assert one == evolve(one)
