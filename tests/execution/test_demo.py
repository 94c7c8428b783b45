"""A day of practice by one command: what it prints, what it leaves, and what a stranger finds in it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from tests.execution.compare_records import differences

pytest.importorskip("aiohttp")
pytest.importorskip("okx")
BARS = 6


def quant(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "prometheus.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> dict:
    root = tmp_path_factory.mktemp("practice")
    ended = quant("demo", "--root", str(root), "--bars", str(BARS), "--json")
    assert ended.returncode == 0, ended.stderr
    return {**json.loads(ended.stdout), "root": str(root)}


def test_a_day_ends_flat_sealed_and_verified(day):
    assert (day["verified"], day["status"], day["state"], day["bars"]) == (True, "completed", "ACTIVE", BARS)
    assert day["agents"] == 80  # the venue's account has 100,000 USDT
    assert (day["positions"], day["orders"] > 0) == ("flat", True)
    assert float(day["equity_before"]) > float(day["equity_after"])  # fees are real


def test_it_says_through_which_library_and_is_counted_with_no_other(day):
    assert day["library"] == "python-okx"
    counted = json.loads(quant("kpi", "--root", day["root"], "--json").stdout)["strata"]
    assert [(one["library"], one["bars"], one["experiments"]) for one in counted] == [("python-okx", None, 1)]
    shown = quant("kpi", "--root", day["root"]).stdout
    assert "as they come, through python-okx" in shown


def test_the_exchanges_own_journal_agrees_with_what_was_kept(day):
    journal = Path(day["root"]) / "practice" / day["run"] / "venue.jsonl"
    assert differences(journal, Path(day["directory"])) == []


def test_the_installation_knows_the_run_and_its_pool_has_nothing_of_it(day):
    root = Layout.under(Path(day["root"]))
    assert audit(root).exit_code is ExitCode.DONE
    assert (root.lib / "pools/stage1/pool.jsonl").read_bytes() == b""
    assert day["run"] in quant("runs", "list", "--root", day["root"]).stdout


@pytest.mark.parametrize("command", [["report"], ["runs", "show"]])
def test_the_run_can_be_looked_at_as_any_other(day, command):
    ended = quant(*command, day["directory"])
    assert ended.returncode == 0, ended.stderr
    assert "okx_demo" in ended.stdout or command == ["report"]


def test_a_replay_says_that_no_exchange_answers_twice(day):
    ended = quant("replay", day["directory"])
    assert (ended.returncode, ended.stdout) == (64, "")
    assert "an exchange does not give the same answers again" in ended.stderr


@pytest.mark.parametrize("text", ["", "{}", '{"admin": "/nowhere", "address": "http://192.0.2.1:80", "keys": {}}'])
def test_a_file_that_names_no_venue_is_refused(text, tmp_path):
    (tmp_path / "said.json").write_text(text)
    ended = quant("demo", "--venue", str(tmp_path / "said.json"), "--root", str(tmp_path / "root"))
    assert ended.returncode in {64, 78}
    assert (ended.stdout, ended.stderr.count("\n")) == ("", 2)
    assert not (tmp_path / "root").exists()


def started(root: Path) -> tuple[subprocess.Popen[str], int]:
    """A demo in a session of its own that trades, and its venue's process."""
    command = [sys.executable, "-m", "prometheus.cli", "demo", "--root", str(root), "--json"]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children")
    while not list(root.glob("runs/*/netting_rounds.jsonl")):
        assert demo.poll() is None, demo.communicate()[1]
        time.sleep(0.05)
    (venue,) = [
        int(one) for one in children.read_text().split() if b"serve" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]
    return demo, venue


def gone(pid: int) -> bool:
    """Whether a process ends within a minute."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 60)[0])
    finally:
        os.close(watched)


def test_a_demo_that_is_killed_leaves_no_venue_behind(tmp_path):
    demo, venue = started(tmp_path)
    demo.kill()
    assert demo.wait() == -signal.SIGKILL
    assert gone(venue)
    for pipe in (demo.stdout, demo.stderr):
        pipe.close()


def test_ctrl_c_ends_the_session_in_order_and_its_venue_after_it(tmp_path):
    """A terminal sends it to every process of the group."""
    demo, venue = started(tmp_path)
    os.killpg(demo.pid, signal.SIGINT)
    said, complaint = demo.communicate()
    assert (demo.returncode, complaint) == (0, "")
    found = json.loads(said)
    assert (found["verified"], found["status"], found["positions"], found["state"]) == (
        True, "interrupted", "flat", "REDUCING",
    )  # fmt: skip
    assert gone(venue)
