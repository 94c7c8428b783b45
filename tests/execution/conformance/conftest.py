"""A venue for each library that is installed here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prometheus.v10.execution.adapters.library_choice import facts_of_library
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError
from prometheus.v10.runs.request.exchange_table import LIBRARIES
from tests.execution.practice import PracticeVenue


def is_here(library: str) -> bool:
    try:
        return bool(facts_of_library(library).sha256)
    except MisconfiguredError:
        return False


@pytest.fixture(scope="module", params=[one for one in LIBRARIES if is_here(one)])
def venue(request, tmp_path_factory) -> Iterator[PracticeVenue]:
    made = PracticeVenue(tmp_path_factory.mktemp("venue"))
    made.library = request.param
    yield made
    made.close()
