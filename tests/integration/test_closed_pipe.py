"""A reader that goes away (``| head -1``) changes no exit code: a verdict does not depend on who reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import Tree, small_profile


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> Tree:
    tree = Tree(tmp_path_factory.mktemp("pipe") / "root")
    tree.write_profile(small_profile(count=2, workers=1, bars=600))
    words = [sys.executable, "-m", "prometheus.cli", "run", "--root", str(tree.root)]
    assert subprocess.run(words, capture_output=True, check=False, timeout=120).returncode == 0
    return tree


def into_a_closed_pipe(*words: str) -> tuple[int, str]:
    """Run a command whose standard output nobody reads; its exit code and what it says on standard error."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=120
        )
    finally:
        os.close(writing)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    "words",
    [("verify", "RUN"), ("verify", "RUN", "--json"), ("audit", "--root", "ROOT"), ("status", "--root", "ROOT"),
     ("report", "RUN"), ("pool", "show", "--root", "ROOT"), ("--help",), ("run", "--help"), ("--version",)],
)  # fmt: skip
def test_a_command_keeps_its_code_when_nobody_reads(lived, words) -> None:
    places = {"RUN": str(lived.runs()[0]), "ROOT": str(lived.root)}
    assert into_a_closed_pipe("-m", "prometheus.cli", *(places.get(word, word) for word in words)) == (0, "")


def test_a_failed_verdict_stays_failed_when_nobody_reads(lived, tmp_path: Path) -> None:
    copy = tmp_path / lived.runs()[0].name
    subprocess.run(["cp", "-a", str(lived.runs()[0]), str(copy)], check=True)
    with (copy / "death_events.jsonl").open("ab") as file:
        file.write(b"{}\n")
    assert into_a_closed_pipe("-m", "prometheus.cli", "verify", str(copy)) == (1, "")


def test_the_stand_alone_verifier_keeps_its_code_when_nobody_reads(lived) -> None:
    assert into_a_closed_pipe("-m", "prometheus.v10.evidence.verify", str(lived.runs()[0])) == (0, "")


def test_a_full_disk_behind_a_redirection_is_said(lived) -> None:
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "prometheus.cli", "verify", str(lived.runs()[0])]
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert ended.returncode == 74
    assert "No space left" in ended.stderr
    assert "Traceback" not in ended.stderr
