"""The venue's journal and a session's own records, compared by a program that imports neither."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from prometheus.v10.execution.kept.call_keeper import CallKeeper
from tests.execution.practice import PracticeVenue
from tests.execution.session import Session

PROGRAM = Path(__file__).with_name("compare_records.py")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A journal and a folder of a session that met three faults."""
    from tests.conftest import FakeClock

    folder, place = tmp_path_factory.mktemp("session"), tmp_path_factory.mktemp("venue")
    venue = PracticeVenue(place)
    session = Session(venue, folder, FakeClock(), "HF_compared")
    driver = session.driver()
    bars = [(9, ""), (-4, "accepted.cut"), (6, "refused.502"), (6, "load.50061"), (0, "")]
    for tick, (target, fault) in enumerate(bars):
        if fault:
            venue.inject(fault, "/api/v5/trade/order", count=1)
        driver.trade(tick, target)
        venue.clear()
        venue.pause(10)
    session.end()
    keeper = CallKeeper(folder, "HF_compared", "2026-01-02T03:04:05.000000Z")
    for one in session.calls:
        keeper(one)
    keeper.flush()
    venue.close()
    return venue.journal, folder


def compared(journal, folder):
    command = [sys.executable, "-I", str(PROGRAM), str(journal), str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def test_the_program_imports_neither_side():
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_both_sides_agree(recorded):
    assert compared(*recorded) == (0, "no difference\n")


@pytest.mark.parametrize(("name", "old", "new", "said"), [
    ("order_chain.jsonl", '"lots":9,"order_id"', '"lots":8,"order_id"', "at the venue"),
    ("order_chain.jsonl", '"kind":"SENT"', '"kind":"SEMT"', "not sent"),
    ("order_chain.jsonl", '"kind":"INTENT"', '"kind":"NOTHING"', "without an intent"),
    ("m_execution_raw_part_0001.json", '"path":"/api/v5/trade/order"', '"path":"/api/v5/trade/other"', "the venue had"),
])  # fmt: skip
def test_a_changed_record_is_a_difference(recorded, tmp_path, name, old, new, said):
    journal, folder = recorded
    for place in folder.iterdir():
        (tmp_path / place.name).write_bytes(place.read_bytes())
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    code, words = compared(journal, tmp_path)
    assert (code, said in words) == (1, True), words


def test_an_order_that_was_sent_twice_is_a_difference(recorded, tmp_path):
    journal, folder = recorded
    rows = journal.read_bytes().splitlines(keepends=True)
    again = next(row for row in rows if json.loads(row)["kind"] == "request" and b"clOrdId" in row and b'"POST"' in row)
    twice = tmp_path / "journal"
    twice.write_bytes(b"".join([*rows, again]))
    code, words = compared(twice, folder)
    assert (code, "2 times at the venue" in words) == (1, True)
