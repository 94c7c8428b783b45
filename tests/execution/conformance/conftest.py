"""A venue for each library that is installed here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prometheus.v10.runs.request.exchange_table import LIBRARIES
from tests.execution.practice import PracticeVenue, is_here


@pytest.fixture(scope="module", params=[one for one in LIBRARIES if is_here(one)])
def venue(request, tmp_path_factory) -> Iterator[PracticeVenue]:
    made = PracticeVenue(tmp_path_factory.mktemp("venue"))
    made.library = request.param
    yield made
    made.close()
