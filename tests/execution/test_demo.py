"""A day of practice by one command: what it prints, what it leaves, and what a stranger finds in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.execution.compare_records import differences

pytest.importorskip("aiohttp")
pytest.importorskip("okx")
BARS = 6


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> dict:
    root = tmp_path_factory.mktemp("practice")
    ended = subprocess.run(
        [sys.executable, "-m", "prometheus.cli", "demo", "--root", str(root), "--bars", str(BARS), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_a_day_ends_flat_with_everything_explained(day):
    assert (day["wrong"], day["state"], day["bars"]) == ([], "ACTIVE", BARS)
    assert day["agents"] == 80  # the venue's account has 100,000 USDT
    assert day["orders"] > 0
    assert float(day["equity_before"]) > float(day["equity_after"])  # fees are real


def test_the_exchanges_own_journal_agrees_with_what_was_kept(day):
    folder = Path(day["directory"])
    assert differences(folder / "venue.jsonl", folder) == []


def test_nothing_of_it_is_in_the_evidence_of_the_installation(day):
    folder = Path(day["directory"])
    assert folder.parent.name == "practice"
    assert not (folder.parents[1] / "state").exists()
