"""What the import of a large CSV file takes for each row, in processor time and in memory, whatever else runs.

The whole figure, a million rows in at most 2 s and 200 MB, is what ``python -m bench.csv_import`` prints. Six years of
minutes must fit a small host: bytes that stay a row decide that, and an importer that reads row by row takes five times
as many, and six times the time. A part of what it needs does not grow with the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.csv_import import Cost

FEW, MANY = 2_000, 150_000
MOST_SECONDS_A_ROW, MOST_BYTES_A_ROW = 4e-6, 300
WRITE = "import sys; from bench.csv_import import *; write_klines(Path(sys.argv[1]), int(sys.argv[2]))"
COST = (
    "import json, sys; from attrs import asdict; from bench.csv_import import *; "
    "print(json.dumps(asdict(cost_of_import(Path(sys.argv[1]), Path(sys.argv[2])))))"
)
"""In a process of its own: the largest size of a child begins with that of its parent."""


def own_process(code: str, *words: object) -> str:
    asked = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Cost]:
    place: Path = tmp_path_factory.mktemp("csv")
    found = {}
    for rows in (FEW, MANY):
        own_process(WRITE, place / f"{rows}.csv", rows)
        found[rows] = Cost(**json.loads(own_process(COST, place / f"{rows}.csv", place / f"root{rows}")))
    return found


def test_a_row_takes_little_processor_time(costs: dict[int, Cost]):
    more = costs[MANY].processor - costs[FEW].processor
    assert more / (MANY - FEW) <= MOST_SECONDS_A_ROW


def test_a_row_takes_little_memory(costs: dict[int, Cost]):
    more = costs[MANY].memory - costs[FEW].memory
    assert more / (MANY - FEW) <= MOST_BYTES_A_ROW
