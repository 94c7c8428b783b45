"""``phylogeny``: pandas reads it, and what it says of descent and of the living is what the run says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd  # type: ignore[import-untyped]
import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.files import write_new
from prometheus.v10.report.phylogeny import COLUMNS, phylogeny_csv
from tests.forger.house import KINDS, do_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return do_run(tmp_path_factory.mktemp("phylogeny"), KINDS["liquidations"][0])


def table(run: Path, place: Path, *words: str) -> pd.DataFrame:
    assert cli.main(["phylogeny", str(run), "--out", str(place), *words]) == ExitCode.DONE
    return pd.read_csv(place)


def rows_of(run: Path) -> list[dict]:
    return json.loads((run / "multiple_experiments_summary.json").read_text())["all_stats"]


def test_it_has_the_columns_of_the_standard_in_its_forms(run: Path, tmp_path: Path):
    found = table(run, tmp_path / "p.csv")
    assert list(found.columns) == list(COLUMNS)
    assert list(found["id"]) == list(range(len(found)))
    assert found["ancestor_list"].str.fullmatch(r"\[(none|\d+)\]").all()
    assert found["origin_time"].dtype.kind == "i"
    assert found["destruction_time"].astype(str).str.fullmatch(r"none|\d+").all()
    assert len(found) == sum(row["total_agents_ever"] for row in rows_of(run))


def test_descent_read_by_others_is_the_run_s(run: Path, tmp_path: Path):
    found = table(run, tmp_path / "p.csv")
    ancestor = found["ancestor_list"].str.strip("[]").replace("none", None)
    parents = {int(i): None if pd.isna(p) else int(p) for i, p in zip(found["id"], ancestor, strict=True)}
    roots = {}
    for i, parent in parents.items():
        assert parent is None or parent < i
        roots[i] = i if parent is None else roots[parent]
    end = pd.to_numeric(found["destruction_time"], errors="coerce")
    series = [json.loads(line) for line in (run / "population_series.jsonl").read_text().splitlines()]
    for row, said in zip(rows_of(run), series, strict=True):
        own = found[found["experiment"] == row["experiment"]]
        assert (own["ancestor_list"] == "[none]").sum() == row["founders"]
        extant = own[end[own.index].isna()]
        assert len(extant) == row["alive_agents"]
        assert len({roots[i] for i in extant["id"]}) == row["lineages_alive"]
        assert (own["death_reason"] == "liquidation").sum() == row["deaths_by_reason"]["liquidation"]
        for tick, alive in zip(said["ticks"], said["alive"], strict=True):
            born = (own["ancestor_list"] == "[none]") | (own["origin_time"] < tick)
            dead = end[own.index] < tick
            assert (born & ~dead).sum() == alive
        for root, name in zip((roots[i] for i in own["id"]), own["founder_id"], strict=True):
            assert found["agent_id"][root] == name


def test_one_experiment_is_the_part_of_all(run: Path, tmp_path: Path):
    every = table(run, tmp_path / "all.csv")
    one = table(run, tmp_path / "one.csv", "--experiment", "1")
    part = every[every["experiment"] == 1]
    assert list(one["agent_id"]) == list(part["agent_id"])
    assert list(one["genome_sha256"]) == list(part["genome_sha256"])
    assert one["id"].min() == 0


def test_what_cannot_be_written_is_said(run: Path, tmp_path: Path, capsys):
    place = tmp_path / "p.csv"
    write_new(place, b"mine")
    for words in (
        ["phylogeny", str(run), "--out", str(place)],
        ["phylogeny", str(run), "--out", str(run / "p.csv")],
        ["phylogeny", str(run), "--out", str(tmp_path / "x.csv"), "--experiment", "99"],
        ["phylogeny", str(tmp_path), "--out", str(tmp_path / "y.csv")],
    ):
        assert cli.main(words) == ExitCode.USAGE
    assert place.read_bytes() == b"mine"
    assert not (run / "p.csv").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_a_child_of_nobody_is_damage(run: Path, tmp_path: Path, capsys):
    copy = Path(shutil.copytree(run, tmp_path / run.name))
    place = copy / "birth_events.jsonl"
    first, *rest = place.read_text().splitlines(keepends=True)
    event = json.loads(first)
    for wrong in ("e0000a009999", "nobody", event["agent_id"]):
        place.write_text(json.dumps({**event, "parent_id": wrong}) + "\n" + "".join(rest))
        assert cli.main(["phylogeny", str(copy), "--out", str(tmp_path / "x.csv")]) == ExitCode.EVIDENCE_DAMAGED
        assert not (tmp_path / "x.csv").exists()
    assert "verify the run" in capsys.readouterr().err


def test_the_same_run_gives_the_same_bytes(run: Path):
    assert phylogeny_csv(run) == phylogeny_csv(run)
