"""The words of the project: spelt as they should be, and none of those that docs/style.md asks us to leave out."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.test_linters import REPOSITORY, needs, our_files

READ = {".md", ".py", ".toml", ".sh", ".service", ".timer", ".socket", ".path", ".mk", ".catalog", ".1", ".7"}
OURS = "passt,zar,wit,experimets"
"""Right here: a program, a currency, and a misspelt key of a profile that a test is about."""
LEFT_OUT = re.compile(
    r"\b(?:utili[sz]\w*|facilitat\w*|in order to|it should be noted|simply|obviously|of course|seamless\w*|blazing"
    r"|sanity checks?|whitelist\w*|blacklist\w*|master (?:and|/) slave|cutting[- ]edge|state[- ]of[- ]the[- ]art"
    r"|world[- ]class|rock[- ]solid|bulletproof|magic(?:al)?(?:ly)?)\b",
    re.IGNORECASE,
)
STYLE = REPOSITORY / "docs" / "style.md"


def texts():
    return [place for place in our_files() if place.suffix in READ and ".zh-CN" not in place.name]


def test_no_word_is_misspelt():
    command = [needs("codespell"), f"--ignore-words-list={OURS}", *map(str, texts())]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.stdout == ""
    assert ended.returncode == 0


def test_no_word_is_there_that_the_style_leaves_out():
    said = [
        f"{place.relative_to(REPOSITORY)}:{number}: {found.group()}"
        for place in texts()
        if place not in {STYLE, REPOSITORY / "tests" / "test_words.py"}
        for number, line in enumerate(place.read_text(encoding="utf-8").splitlines(), 1)
        for found in LEFT_OUT.finditer(line)
    ]
    assert said == []


@pytest.mark.parametrize("phrase", ["in order to", "simply", "whitelist", "sanity check"])
def test_the_check_finds_what_the_style_names(phrase):
    assert phrase in STYLE.read_text()
    assert LEFT_OUT.search(f"a sentence with {phrase} in it")
