"""A whole set-up into a new environment: every file that pip fetches is held to a hash (a minute or two, network)."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif("PQ_SETUP_TEST" not in os.environ, reason="make setup-test runs it; needs a network")


# From an index, or from a directory that an index names; with its version and the form of a wheel or a source archive.
FETCHED = re.compile(r" (?:Downloading|Processing) (?:\S*/)?([A-Za-z0-9_.]+(?:-[a-z]+)?)-\d[^/ ]*\.(?:whl|tar\.gz)")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_nothing_is_fetched_that_no_hash_holds(tmp_path):
    log = tmp_path / "pip.log"
    environment = {**os.environ, "PQ_VENV": str(tmp_path / "venv"), "PIP_LOG": str(log), "PIP_NO_CACHE_DIR": "1"}
    ended = subprocess.run(
        [REPOSITORY / "packaging/setup.sh"], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    said = log.read_text()
    held = {
        normal(name) for name in re.findall(r"Checked \d+ links for project '([^']+)' against [1-9]\d* hashes", said)
    }
    fetched = {normal(name) for name in FETCHED.findall(said)}
    assert {"setuptools", "poetry-core", "numpy"} <= fetched
    assert fetched <= held
    assert "Installing build dependencies" not in said
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-I", "-c", "import prometheus, numpy, sdnotify"], check=True, cwd=tmp_path)
