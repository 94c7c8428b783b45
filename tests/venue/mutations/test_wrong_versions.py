"""Every wrong version can still be made: its text is there once, and what it becomes is Python."""

from __future__ import annotations

import pytest

from tests.venue.mutations.versions import PACKAGE, mutations


def test_there_are_forty_and_no_two_are_the_same():
    every = mutations()
    assert len(every) >= 40
    assert len({one.name for one in every}) == len({(one.file, one.old, one.new) for one in every}) == len(every)


@pytest.mark.parametrize("mutation", mutations(), ids=lambda one: one.name)
def test_a_wrong_version_is_python_and_differs(mutation):
    source = (PACKAGE / "venue" / mutation.file).read_text(encoding="utf-8")
    wrong = mutation.applied(source)
    assert wrong != source
    compile(wrong, mutation.file, "exec")
