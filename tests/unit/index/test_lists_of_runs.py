"""Lists of runs: a span of time is whole with and without an index, and what is left out is counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.modes import Tier
from prometheus.v10.index.index_build import build
from prometheus.v10.index.index_file import folder_of
from prometheus.v10.index.index_read import Asked, find_runs, until
from tests.conftest import FakeClock
from tests.unit.index.many import Many


@pytest.fixture
def house(tmp_path) -> Many:
    return Many(tmp_path / "root")


@pytest.fixture
def ask(capsys):
    def run(*words):
        code = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [
        ("2026-01-01", "2026-01-01", 240), ("2026-01-01T00:10", "2026-01-01T00:19", 20), ("2026", "2026-01", 240),
        ("2026-01-01T01:59:30", None, 1), (None, "2026-01-01T00:00", 2), ("2026-02", None, 0), (None, "2025", 0),
        (None, "2026-01-01T00:59:59Z", 120),
    ],
)  # fmt: skip
def test_a_span_of_time_is_read_whole_with_and_without_an_index(many_runs, ask, first, last, count):
    """Without an index, too, where more runs lie behind the span than are read."""
    words = ["runs", "list", "--root", many_runs.layout.lib, "--json", "--limit", 5]
    words += ["--since", first] if first else []
    words += ["--until", last] if last else []
    said = json.loads(ask(*words)[1])
    assert (said["indexed"], said["matching"], len(said["runs"])) == (False, min(count, 200), min(count, 5))
    if count > 200:
        assert "read from the newest 200 of 240 manifests" in said["as_of"]
    build(many_runs.layout, FakeClock())
    indexed = json.loads(ask(*words)[1])
    assert (indexed["indexed"], indexed["matching"]) == (True, count)
    assert [run["run_id"] for run in indexed["runs"]] == [run["run_id"] for run in said["runs"]]
    for place in folder_of(many_runs.layout).iterdir():
        place.unlink()


@pytest.fixture(scope="module")
def many_runs(tmp_path_factory) -> Many:
    """240 runs, one every 30 seconds of two hours."""
    house = Many(tmp_path_factory.mktemp("many") / "root", experiments=1)
    house.add(240)
    return house


def test_a_list_says_how_many_runs_are_not_in_it(house, ask):
    house.add(7)
    words = ["runs", "list", "--root", house.layout.lib]
    assert "5 of 7 runs are shown; --limit 7 shows all" in ask(*words, "--limit", 5)[1]
    assert "\n7 runs\n" in ask(*words)[1]
    assert "\n1 run\n" in ask(*words, "--until", "2026-01-01T00:00:00")[1]


def test_a_moment_that_cannot_be_meant_is_refused(house, ask):
    for option in ("--since", "--until"):
        for text in ("March", "2026-3", "2026-03-01 10:00", "7x", ""):
            code, _, err = ask("runs", "list", "--root", house.layout.lib, option, text)
            assert code == 64
            assert f"{option} {text}: expected a span or a date" in err
    assert until("999999w", datetime(2026, 1, 1, tzinfo=UTC)) == ""


def test_of_a_run_that_goes_on_nothing_is_counted_yet(house):
    house.begin()
    (row,) = find_runs(house.layout, Asked()).rows
    assert [row[name] for name in ("experiments", "deaths", "births", "collapses")] == [None] * 4


def test_a_run_that_is_read_from_its_files_was_interrupted_where_its_closing_says_so(house):
    run = house.layout.runs(Tier.TIER1_HF) / house.run_id(house.begin())
    (run / "interrupted.json").write_text("{}")
    (row,) = find_runs(house.layout, Asked()).rows
    assert row["status"] == "interrupted"
