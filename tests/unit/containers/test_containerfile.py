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


def test_there_are_three_targets_on_one_suite_and_the_base_is_an_argument(instructions):
    assert [line for line in instructions if line.startswith("FROM")] == [
        "FROM ${BASE_IMAGE} AS suite",
        "FROM ${SUITE} AS stage1_sandbox",
        "FROM ${SUITE} AS stage2_sandbox",
        "FROM ${BASE_IMAGE} AS desk_packages",
        "FROM ${SUITE} AS desk",
    ]
    assert instructions[0] == "ARG BASE_IMAGE=docker.io/library/python:3.12-slim-trixie"


def test_the_pinned_base_has_the_tag_of_the_containerfile(instructions):
    pinned = dict(
        line.split("=", 1) for line in (CONTAINERS / "base.env").read_text().splitlines() if re.match(r"\w+=", line)
    )
    assert instructions[0] == f"ARG BASE_IMAGE={pinned['BASE_TAG']}"
    assert re.fullmatch(r"(sha256:[0-9a-f]{64})?", pinned["BASE_DIGEST"])


def test_it_runs_as_nobody_special_through_the_services_own_entry(instructions):
    at = instructions.index("FROM ${SUITE} AS desk")
    for stage, program in (
        (instructions[:at], "prometheus.v10.ops.run_v10_service"),
        (instructions[at:], "prometheus.cli"),
    ):
        assert [line for line in stage if line.startswith("USER")][-1] == "USER 1000:1000"
        (entry,) = [line for line in stage if line.startswith("ENTRYPOINT")]
        assert entry == f'ENTRYPOINT ["python3", "-I", "-m", "{program}"]'
    assert not [line for line in instructions if line.startswith("CMD")]


def test_it_knows_no_mode(instructions):
    assert not [line for line in instructions if re.search(r"--mode|\bMODE\b|okx|offline", line)]


def test_packages_come_from_hashed_wheels_of_the_context_alone(instructions):
    installs = [line for line in instructions if "pip install" in line]
    assert len(installs) == 2
    assert all({"--no-index", "--require-hashes", "--no-deps"} <= set(install.split()) for install in installs)
    assert not [line for line in instructions if re.search(r"\b(apt|apt-get|curl|wget)\b", line)]


def required(*words: str) -> list[str]:
    """Hashed requirements of the lock for these words of the command line."""
    ended = subprocess.run(
        [sys.executable, str(REPOSITORY / "packaging/requirements.py"), *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert all("--hash=sha256:" in line for line in ended.stdout.splitlines())
    return ended.stdout.splitlines()


def extras(name: str) -> list[str]:
    """The extras that the build scripts give an image."""
    (said,) = re.findall(rf"^readonly {name}=\((.*)\)$", (CONTAINERS / "common.sh").read_text(), re.MULTILINE)
    return said.split()


def test_a_stage_gets_the_journal_and_not_the_arrow_reader():
    names = {line.partition("==")[0] for line in required(*extras("STAGE_EXTRAS"))}
    assert {"systemd-python", "sdnotify", "numba", "numpy"} <= names
    assert not {"pyarrow", "scipy", "matplotlib", "pytest", "ruff", "mypy"} & names


def test_the_desk_gets_what_it_has_more_and_nothing_twice(tmp_path):
    stage = required(*extras("STAGE_EXTRAS"))
    (tmp_path / "stage").write_text("\n".join(stage))
    both = [*extras("STAGE_EXTRAS"), *extras("DESK_EXTRAS")]
    more = required(*both, "--beyond", str(tmp_path / "stage"))
    names = {line.partition("==")[0] for line in more}
    assert {"pyarrow", "scipy", "matplotlib", "pillow"} <= names
    assert not names & {line.partition("==")[0] for line in stage}
    assert {line.partition("==")[0] for line in required(*both)} == names | {line.partition("==")[0] for line in stage}
