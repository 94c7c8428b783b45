"""Subjects of commits read ``room: verb object`` in at most 72 characters (CONTRIBUTING.md, rule 6).

Held to it is every commit that builds on the one which brought this file. Where there is no git checkout, the test is
skipped and says so.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.test_linters import REPOSITORY

LONGEST = 72
ROOM = re.compile(r"[a-z0-9][a-z0-9 ,/._-]*: (\S+) \S")
NO_VERBS = frozenset(
    ["a", "all", "an", "and", "as", "at", "by", "each", "every", "everything", "everyone", "for", "from", "how", "if",
     "in", "it", "no", "nobody", "nothing", "of", "on", "one", "only", "the", "they", "this", "to", "two", "we", "what",
     "when", "where", "which", "who", "why", "with"]
)  # fmt: skip
"""Words that begin a statement or a title, not an order."""


def git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.strip()  # fmt: skip


def faults(subject: str) -> list[str]:
    """What is wrong with a subject."""
    found = ROOM.match(subject)
    if found is None:
        return [f"is not 'room: verb object': {subject}"]
    wrong = []
    if found[1].lower() in NO_VERBS:
        wrong.append(f"has {found[1]!r} where the verb belongs: {subject}")
    if len(subject) > LONGEST:
        wrong.append(f"has {len(subject)} characters: {subject}")
    if subject.endswith("."):
        wrong.append(f"ends with a full stop: {subject}")
    return wrong


def test_subjects_of_commits_since_this_rule_are_as_it_asks():
    if not (REPOSITORY / ".git").exists():
        pytest.skip("no git checkout: the subjects of its commits cannot be read")
    brought = git("log", "--diff-filter=A", "--format=%H", "--", "tests/test_commits.py").split()
    wrong = []
    for first in brought[-1:]:
        since = git("log", "--no-merges", "--ancestry-path", "--format=%h %s", f"{first}..HEAD").splitlines()
        for line in [git("log", "-1", "--format=%h %s", first), *since]:
            short, _, subject = line.partition(" ")
            wrong += [f"{short} {fault}" for fault in faults(subject)]
    assert wrong == []


@pytest.mark.parametrize("subject", ["cli: name the subject in every help", "tests, docs: keep evidence of 6017366"])
def test_a_good_subject_passes(subject):
    assert faults(subject) == []


@pytest.mark.parametrize(
    ("subject", "fault"),
    [
        ("An audit of a place that is not there could not be made", "is not 'room: verb object'"),
        ("custodian: the queues are named in one place", "where the verb belongs"),
        ("custodian: " + "say it before a lock is given back " * 2, "characters"),
        ("verify: read what a line asserts.", "full stop"),
        ("Merge of two branches", "is not 'room: verb object'"),
    ],
)
def test_a_bad_subject_is_found(subject, fault):
    assert any(fault in found for found in faults(subject))
