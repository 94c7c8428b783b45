"""The log of differences only grows: what stands above a section is what stood there when it was appended."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.cli import main as cli
from prometheus.cli.research.practice.align_command import NAME
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.execution.alignment.difference_log import (
    append_section,
    known_keys,
    numbered,
    read_log,
    section,
    sections_of,
    wrong_marks,
)
from prometheus.v10.execution.alignment.differences import Difference, sample
from tests.conftest import REPOSITORY

BY_HAND = b"# Differences\n\nWritten by a person.\n\n| DIFF-20260101-07 | something | a | b | S1 | nothing |\n"


def difference(key: str, what: str = "a header", native: str = "`a | b`") -> Difference:
    return Difference(key=key, what=what, ccxt="none", native=native, severity="S0", done="nothing",
                      samples=("GET /a", "GET /a\nb"))  # fmt: skip


@pytest.fixture
def log(tmp_path) -> Path:
    path = tmp_path / "log.md"
    path.write_bytes(BY_HAND)
    return path


def grow(path: Path, *keys: str, day: str = "20260102") -> dict[str, Difference]:
    before = read_log(path)
    rows = numbered([difference(key) for key in keys], before.decode(), day)
    append_section(path, before, section(f"Aligned: run {keys}", ["a fact"], rows, []))
    return rows


def test_a_section_is_appended_and_what_was_there_stays(log):
    grow(log, "wire.a", "wire.b")
    first = log.read_bytes()
    grow(log, "wire.c")
    assert first.startswith(BY_HAND)
    assert log.read_bytes().startswith(first)
    assert (wrong_marks(log.read_bytes()), sections_of(log.read_bytes())) == ([], 2)
    assert known_keys(log.read_text()) == {
        "wire.a": "DIFF-20260102-01", "wire.b": "DIFF-20260102-02", "wire.c": "DIFF-20260102-03"
    }  # fmt: skip


def test_a_difference_that_is_known_gets_no_second_id_and_a_persons_ids_are_not_given_again(log):
    assert grow(log, "wire.a", day="20260101").keys() == {"DIFF-20260101-08"}
    assert grow(log, "wire.a", "wire.b", day="20260101").keys() == {"DIFF-20260101-09"}
    assert "seen before" in log.read_text()


@given(st.data())
def test_any_byte_that_is_changed_above_a_section_is_found(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("log") / "log.md"
    path.write_bytes(BY_HAND)
    grow(path, "wire.a")
    last = len(path.read_bytes())
    grow(path, "wire.b")
    held = path.read_bytes()
    place = data.draw(st.integers(0, last - 1))
    flipped = held[:place] + bytes([held[place] ^ data.draw(st.integers(1, 255))]) + held[place + 1 :]
    assert wrong_marks(flipped) or sections_of(flipped) < 2


@pytest.mark.parametrize("change", [
    lambda data: data.replace(b"a person", b"nobody"), lambda data: data[5:], lambda data: b"\n" + data,
    lambda data: data.replace(b"wire.a", b"wire.z", 1),
])  # fmt: skip
def test_an_edited_log_is_refused_by_line_and_nothing_is_appended(log, capsys, change):
    grow(log, "wire.a")
    grow(log, "wire.b")
    log.write_bytes(change(log.read_bytes()))
    before = log.read_bytes()
    with pytest.raises(EvidenceError, match=r"line \d+: what stands above"):
        read_log(log)
    assert cli.main(["execution", "log", str(log)]) == 65
    said = capsys.readouterr().err
    assert (said.count("error: "), "Traceback" in said, log.read_bytes()) == (1, False, before)


def test_a_log_that_somebody_else_wrote_to_meanwhile_is_let_be(log):
    before = read_log(log)
    log.write_bytes(before + b"another\n")
    with pytest.raises(EvidenceError, match="changed meanwhile"):
        append_section(log, before, "late")
    assert log.read_bytes() == before + b"another\n"


@pytest.mark.parametrize("made", [Path.exists, lambda path: path.write_bytes(b"\xff\xfe"), Path.mkdir])
def test_what_is_no_log_is_said_in_one_line(tmp_path, capsys, made):
    made(tmp_path / "log.md")
    assert cli.main(["execution", "log", str(tmp_path / "log.md")]) in {65, 74}
    said = capsys.readouterr().err
    assert (said.count("error: "), "Traceback" in said) == (1, False)


def test_a_cell_and_a_sample_break_neither_table_nor_block():
    text = section("t", [], {"DIFF-20260102-01": difference("k", what="a\nb|c")}, [])
    row = next(line for line in text.splitlines() if line.startswith("| DIFF"))
    assert row.replace("\\|", "").count("|") == 7
    assert "`" * 3 not in sample("`" * 3 + "\x1b[0m")
    assert "\x1b" not in sample("\x1b")
    assert len(sample("x" * 10_000)) < 600


def test_the_log_of_this_repository_was_only_appended_to():
    """As it is now, and against each version that the repository holds."""
    now = (REPOSITORY / NAME).read_bytes()
    assert (wrong_marks(now), sections_of(now) > 0) == ([], True)
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("no repository is here")

    def git(*words: str) -> bytes:
        return subprocess.run(["git", "-C", str(REPOSITORY), *words], capture_output=True, check=True).stdout

    commits = git("log", "--format=%H", "--", NAME).decode().split()
    assert commits
    for commit in commits:
        held = git("show", f"{commit}:{NAME}")
        assert now.startswith(held), f"what {commit[:12]} has in it is not the beginning of what is here"
