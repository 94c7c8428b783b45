"""What root builds on a host belongs to the owner of the evidence, whose programs go on with it."""

from __future__ import annotations

import os

import pytest

from prometheus.v10.index.index_build import build
from prometheus.v10.index.index_file import folder_of
from tests.conftest import FakeClock
from tests.unit.index.many import Many

OTHER = 12345


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_index_that_root_builds_is_given_to_the_owner_of_the_evidence(tmp_path):
    house = Many(tmp_path / "root")
    house.add(1)
    house.put(2)
    os.chown(house.layout.lib, OTHER, OTHER)
    for _ in range(2):
        build(house.layout, FakeClock())
        places = [folder_of(house.layout), *folder_of(house.layout).iterdir()]
        assert len(places) >= 5
        assert {place.stat().st_uid for place in places} == {OTHER}
