"""Failures on purpose: each file is named after what fails, each test says what must hold all the same."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def scratch(tmp_path):
    """An empty directory in memory where there is one: a killed process never loses what it wrote, on any file system,
    so only tests that cut the power (or fill the disk) need a disk."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    place = Path(tempfile.mkdtemp(prefix="pq-faults-", dir=MEMORY))
    yield place
    shutil.rmtree(place)
