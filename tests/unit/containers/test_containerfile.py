"""The Containerfile by its text: a base that can be replaced, no mode, no root, no package but from the lock."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
CONTAINERS = REPOSITORY / "containers"


@pytest.fixture(scope="module")
def instructions() -> list[str]:
    """Every instruction on one line, comments left out."""
    text = re.sub(r"^#.*\n", "", (CONTAINERS / "Containerfile").read_text(), flags=re.MULTILINE)
    return [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def test_there_are_two_targets_on_one_suite_and_the_base_is_an_argument(instructions):
    assert [line for line in instructions if line.startswith("FROM")] == [
        "FROM ${BASE_IMAGE} AS suite",
        "FROM ${SUITE} AS stage1_sandbox",
        "FROM ${SUITE} AS stage2_sandbox",
    ]
    assert instructions[0] == "ARG BASE_IMAGE=docker.io/library/python:3.12-slim-trixie"


def test_the_pinned_base_has_the_tag_of_the_containerfile(instructions):
    pinned = dict(
        line.split("=", 1) for line in (CONTAINERS / "base.env").read_text().splitlines() if re.match(r"\w+=", line)
    )
    assert instructions[0] == f"ARG BASE_IMAGE={pinned['BASE_TAG']}"
    assert re.fullmatch(r"(sha256:[0-9a-f]{64})?", pinned["BASE_DIGEST"])


def test_it_runs_as_nobody_special_through_the_services_own_entry(instructions):
    assert "USER 1000:1000" in instructions
    assert 'ENTRYPOINT ["python3", "-I", "-m", "prometheus.v10.ops.run_v10_service"]' in instructions
    assert not [line for line in instructions if line.startswith("CMD")]


def test_it_knows_no_mode(instructions):
    assert not [line for line in instructions if re.search(r"--mode|\bMODE\b|okx|offline", line)]


def test_packages_come_from_hashed_wheels_of_the_context_alone(instructions):
    (install,) = [line for line in instructions if "pip install" in line]
    assert {"--no-index", "--require-hashes", "--no-deps"} <= set(install.split())
    assert not [line for line in instructions if re.search(r"\b(apt|apt-get|curl|wget)\b", line)]


def test_the_image_gets_the_journal_and_not_the_arrow_reader():
    said = subprocess.run(
        [sys.executable, str(REPOSITORY / "packaging/requirements.py"), "--extra", "journal"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    names = {line.partition("==")[0] for line in said.splitlines()}
    assert {"systemd-python", "sdnotify", "numba", "numpy"} <= names
    assert not {"pyarrow", "pytest", "ruff", "mypy"} & names
    assert all("--hash=sha256:" in line for line in said.splitlines())
