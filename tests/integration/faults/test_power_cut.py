"""The power goes while evidence is written: what was acknowledged is on the device, whatever was still in memory."""

from __future__ import annotations

import pytest

from tests.integration.faults.mounts import in_namespace
from tests.integration.faults.support import how_many

CUTS = how_many("POWER_CUTS", 12)


@pytest.mark.parametrize("part", ["pool", "ledger", "snapshot"])
def test_what_was_acknowledged_before_a_power_cut_is_on_the_device(tmp_path, record_property, part):
    done = in_namespace("power_cut", part, "--cuts", str(CUTS), "--scratch", str(tmp_path), needs=("mkfs.ext4",))
    assert done["lost"] == 0
    said = f"{done['cuts']} cuts in {done['seconds']} s, {done['acknowledged']} acknowledgements, 0 lost"
    record_property("figure", f"power cut, {part}: {said}")
    assert done["acknowledged"] > 0


def test_without_its_syncs_the_same_writer_loses_acknowledged_records(tmp_path, record_property):
    """The rig can fail: if this loses nothing, the test above proves nothing."""
    done = in_namespace("power_cut", "pool", "--lying", "--cuts", "6", "--scratch", str(tmp_path), needs=("mkfs.ext4",))
    record_property(
        "figure", f"power cut without syncs: {done['lost']} of {done['cuts']} cuts lost something: {done['kinds']}"
    )
    assert done["lost"] >= 3
