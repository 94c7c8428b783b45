"""No space left: on a real file system that is full after k more pages or files, and at every call by injection."""

from __future__ import annotations

import pytest

from tests.faulty import Fault
from tests.integration.faults.mounts import in_namespace
from tests.integration.faults.parts import PARTS
from tests.integration.faults.test_io_errors import ONCE_AND_ALWAYS, fail_at_every_call


@pytest.mark.parametrize("what", ["pages", "files"])
@pytest.mark.parametrize("part", PARTS)
def test_a_file_system_that_fills_up_at_any_moment_loses_nothing(tmp_path, record_property, part, what):
    """A tmpfs with room for k more, for every k up to what the work needs; then, with room again, it is checked."""
    done = in_namespace("small_disk", part, what, str(tmp_path / "disk"))
    record_property(
        "figure",
        f"full disk, {part}: full after each of 0..{done['room']} more {what} in turn, {done['refused']} refusals",
    )
    assert done["refused"] >= (1 if what == "files" or part == "retention" else 2)  # retention gives room back


@ONCE_AND_ALWAYS
@pytest.mark.parametrize("part", PARTS)
def test_a_write_that_finds_no_space_is_one_clear_error_and_loses_nothing(scratch, record_property, part, sticky):
    tried, calls = fail_at_every_call(part, scratch, Fault.ENOSPC, sticky=sticky)
    record_property(
        "figure", f"ENOSPC {'from then on' if sticky else 'once'}, {part}: {tried} of {calls} calls refused in turn"
    )
    assert tried >= 5
