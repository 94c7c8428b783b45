"""Runs and pages that the tests of this folder share; none of them changes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.kinds import make


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make(tmp_path_factory.mktemp("kinds"))
