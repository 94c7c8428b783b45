"""The file system turns read-only: writing is refused in one clear sentence, reading and verifying go on."""

from __future__ import annotations

from tests.integration.faults.mounts import in_namespace
from tests.integration.faults.parts import PARTS


def test_on_a_read_only_file_system_every_part_is_refused_and_everything_is_still_readable(tmp_path):
    said = in_namespace("read_only", "remounted", str(tmp_path / "disk"))
    assert said.keys() == PARTS.keys()
    for message, hint, code in said.values():
        assert "\n" not in message
        assert "Read-only file system" in message
        assert "read-only" in hint
        assert code == 74


def test_a_file_system_that_turns_read_only_under_the_writer_ends_its_acknowledgements(tmp_path):
    """ext4 on a loop device, told by the kernel's own test switch that it is damaged."""
    done = in_namespace("read_only", "in_flight", str(tmp_path / "disk"), needs=("mkfs.ext4", "findmnt"))
    assert done["acknowledged"] == 10
    assert len(done["errors"]) == 10
    assert {code for _, _, code in done["errors"]} == {74}
    assert done["survived"] >= done["acknowledged"]
