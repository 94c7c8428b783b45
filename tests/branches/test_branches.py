"""The branches that `make coverage` counts are those that a process took, even one that is killed."""

from __future__ import annotations

import marshal
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.branches import collect, run
from tests.test_linters import REPOSITORY

pytestmark = pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="sys.monitoring needs Python 3.12")

WATCHED = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("collect", {collect!r})
collect = module_from_spec(spec)
spec.loader.exec_module(collect)
collect.begin({place!r})
sys.path.insert(0, {root!r})
from prometheus.v10.base.text import printable
{words}
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""
SOURCE = REPOSITORY / "prometheus" / "v10" / "base" / "text.py"


def taken(place: Path, words: str) -> int:
    """Outcomes of the branches of `text.py` that a process takes which does ``words`` and is killed."""
    seen, rooms = run.table([SOURCE])
    (place / collect.TABLE).write_bytes(marshal.dumps(seen))
    (place / collect.OUTCOMES).write_bytes(bytes(2 * len(rooms)))
    script = WATCHED.format(
        collect=str(run.HERE / "collect.py"), place=str(place), root=str(REPOSITORY), words=words
    )  # fmt: skip
    ended = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert set(rooms) == {"base"}
    return sum((place / collect.OUTCOMES).read_bytes())


def test_more_ways_taken_are_more_outcomes(tmp_path):
    nothing = taken(tmp_path, "")
    plain = taken(tmp_path, "printable('plain')")
    both = taken(tmp_path, "printable('plain'); printable('\\x1b'); printable('\\u202e' * 2000)")
    assert nothing == 0
    assert 0 < plain < both <= 2 * len(run.table([SOURCE])[1])


def test_the_table_counts_both_ways_by_room():
    lines = list(run.told(["base", "base", "market"], bytes([1, 1, 1, 0, 0, 0])))
    assert [line.split() for line in lines[1:]] == [
        ["base", "2", "1", "75.0%"],
        ["market", "1", "0", "0.0%"],
        ["all", "rooms", "3", "1", "50.0%"],
    ]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("cli/app.py", "cli"),
        ("v10/evidence/verify/verify_run.py", "evidence/verify"),
        ("v10/runs/stage2/stage2_run.py", "runs"),
        ("__init__.py", "prometheus"),
    ],
)
def test_rooms_are_named_as_the_architecture_names_them(module, name):
    assert run.room(REPOSITORY / "prometheus" / module) == name
