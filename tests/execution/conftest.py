"""A venue for each module of tests, on the loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.execution.practice import PracticeVenue

pytest.importorskip("aiohttp")
pytest.importorskip("okx")


@pytest.fixture(scope="module")
def venue(tmp_path_factory) -> Iterator[PracticeVenue]:
    made = PracticeVenue(tmp_path_factory.mktemp("venue"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _undisturbed(request):
    yield
    if "venue" in request.fixturenames:
        request.getfixturevalue("venue").clear()
        request.getfixturevalue("venue").hang_up()
        request.getfixturevalue("venue").pause(6)  # a new port has new buckets; those of the venue go on
