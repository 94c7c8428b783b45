"""Large chained files are checked by helpers that know nothing of the program that asks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from prometheus.v10.evidence.chains import shards
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import scan

SCRIPT = """
import sys
from pathlib import Path
sys.stdout.write("began\\n")
sys.stdout.flush()
from prometheus.v10.evidence.chains import shards
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
import os
os.sched_getaffinity = lambda _pid: {0, 1}
shards.LARGE, shards.PIECE = 1, 40_000
found = shards.scan_close(Path(sys.argv[1]), POOL_LINE)
sys.stdout.write(f"{found.link.n} {len(found.damages)}\\n")
"""


@pytest.fixture
def pool(make_pool, tmp_path):
    return make_pool(60, tmp_path / "pool.jsonl")


def test_a_program_without_a_main_guard_runs_once(pool, tmp_path):
    script = tmp_path / "no_guard.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, pool], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "began\n60 0\n", "")


def test_pieces_give_what_one_pass_gives(pool, monkeypatch):
    monkeypatch.setattr(shards, "LARGE", 1)
    monkeypatch.setattr(shards, "PIECE", 40_000)
    monkeypatch.setattr(shards.os, "sched_getaffinity", lambda _pid: {0, 1})  # type: ignore[attr-defined]
    asked = []
    whole = shards._Helpers.piece
    monkeypatch.setattr(shards._Helpers, "piece", lambda self, *a: asked.append(a) or whole(self, *a))
    one = scan(pool, POOL_LINE, close=True, heads_at=frozenset([3, 60]))
    several = shards.scan_close(pool, POOL_LINE, heads_at=frozenset([3, 60]))
    assert len(asked) > 1
    assert (several.link, several.good, several.size, several.heads) == (one.link, one.good, one.size, one.heads)
    with pool.open("ab") as file:
        file.write(b"torn")
    assert shards.scan_close(pool, POOL_LINE).tail == scan(pool, POOL_LINE, close=True).tail


def test_a_helper_that_is_killed_leaves_the_work_to_one_pass(pool, monkeypatch):
    monkeypatch.setattr(shards, "LARGE", 1)
    monkeypatch.setattr(shards, "PIECE", 40_000)
    monkeypatch.setattr(shards, "BOOT", "raise SystemExit(1)")
    assert shards.scan_close(pool, POOL_LINE).link == scan(pool, POOL_LINE, close=True).link
