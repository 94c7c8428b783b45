"""scipy is out of numba's sight until an analysis asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADS = """
import sys
from prometheus.v10.base.extras import analysis_module, hide_scipy
hide_scipy()
from prometheus.v10.runs.workers.known_answer import require_known_answer
require_known_answer()
print(sorted(name for name in sys.modules if name.startswith("scipy.")))
print(analysis_module("scipy.stats", "a test").norm.cdf(0.0))
"""


def said_by(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    return done.stdout.splitlines()


def test_the_world_gives_the_known_answer_without_scipy_and_an_analysis_finds_it():
    pytest.importorskip("scipy")
    assert said_by(LOADS) == ["[]", "0.5"]


def test_numba_would_load_it():
    """The reason for hiding it; once this fails, nothing has to be hidden."""
    pytest.importorskip("scipy")
    loaded, _ = said_by(LOADS.replace("hide_scipy()\nfrom", "from"))
    assert "'scipy.linalg'" in loaded
