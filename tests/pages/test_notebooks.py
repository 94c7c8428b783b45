"""The notebooks of docs/notebooks, executed over runs that the product made: what they show is what the run says."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.pages.documents import DOCS, REPOSITORY, environment_or_skip

NOTEBOOKS = sorted((REPOSITORY / "docs/notebooks").glob("*.ipynb"))


def results(name: str, run: Path, place: Path) -> list[Any]:
    """What the cells of a notebook show over a run, those that are plain values."""
    environment_or_skip()
    out = place / f"{name}.ipynb"
    ended = subprocess.run(
        [DOCS.python, REPOSITORY / "packaging/docs/execute.py", REPOSITORY / f"docs/notebooks/{name}.ipynb", out],
        capture_output=True, text=True, check=False, cwd=place,
        env={"PATH": os.environ["PATH"], "HOME": str(place), "RUN": str(run)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    shown = [output["data"]["text/plain"] for cell in json.loads(out.read_text())["cells"]
             for output in cell.get("outputs", ()) if "data" in output]  # fmt: skip
    texts = ["".join(one) for one in shown]
    return [ast.literal_eval(text) for text in texts if not text.startswith("array")]


def files(run: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in run.iterdir()}


def test_the_notebook_of_a_tier_1_run_shows_what_the_run_says(kinds, tmp_path):
    """Over plain event files, and over compressed ones as a host has them."""
    run = kinds["plain"]
    before, packed = files(run), Path(shutil.copytree(run, tmp_path / run.name))
    subprocess.run(["zstd", "-q", "--rm", packed / "death_events.jsonl"], check=True)
    deaths = [json.loads(line) for line in (run / "death_events.jsonl").read_text().splitlines()]
    for one in (run, packed):
        manifest, rows, (reasons, _) = results("tier1", one, tmp_path)
        assert manifest["run_id"] == run.name
        assert sum(row[2] for row in rows) == len(deaths) > 0
        assert reasons == Counter(death["death_reason"] for death in deaths)
    assert files(run) == before


def test_the_notebook_of_a_tier_2_run_shows_what_the_run_says(kinds, tmp_path):
    run = kinds["tier 2"]
    before = files(run)
    (count, shape, _), (alive, oldest), _ = results("tier2", run, tmp_path)
    lives = json.loads((run / f"behaviors_run_{run.name}.json").read_text())
    assert (count, shape) == (len(lives), (len(lives), 342))
    assert alive == sum(one["is_alive"] for one in lives)
    assert oldest[0][1] == max(one["age_ticks"] for one in lives)
    assert files(run) == before


def test_a_notebook_ends_in_an_error_over_a_run_that_was_changed(kinds, tmp_path):
    run = Path(shutil.copytree(kinds["tier 2"], tmp_path / kinds["tier 2"].name))
    place = run / f"genomes_run_{run.name}.npy"
    data = bytearray(place.read_bytes())
    data[-1] ^= 1
    place.write_bytes(data)
    with pytest.raises(AssertionError, match="AssertionError"):
        results("tier2", run, tmp_path)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda place: place.name)
def test_a_notebook_is_kept_without_what_came_out(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
