"""Trials of founding: they live what runs live, and they say of planted truth what is true."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest
from attrs import evolve

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ConfigError, ExitCode
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.schemas.schema_file import SUFFIX, compiled
from prometheus.v10.market.planted import planted
from prometheus.v10.market.resolve import resolve_market
from prometheus.v10.runs.request.eras_table import Parents
from prometheus.v10.runs.request.profile import load_profile
from prometheus.v10.runs.request.setup import market_spec
from prometheus.v10.runs.trial import trial_eras, walk_over
from prometheus.v10.runs.workers.cluster import open_executor
from prometheus.v10.runs.workers.hands import Hands
from prometheus.v10.trials.planted_trials import KINDS, PROFILE, Kind, run_planted_trials
from prometheus.v10.trials.side_by_side import run_side_by_side
from prometheus.v10.trials.trial_history import Job, Planted, Walk, live
from tests.unit.runs.founding.test_eras import PROFILE as ERA

LEARNT = Kind(market="pull", pull=0.05, eras=12, learnable=True)
EMPTY = Kind(market="none", pull=0.0, eras=3, learnable=False)


def run_kinds(*kinds, stop=lambda: False, stop_file="", workers=1, shuffled=None, histories=1):
    with open_executor(workers) as executor:
        hands = Hands(executor=executor, ahead=2, stop=stop, told=lambda _: None)
        return run_planted_trials(histories, 1, hands, stop_file=stop_file, shuffled=shuffled, kinds=kinds)


def test_a_trial_lives_the_eras_of_a_service(tmp_path: Path) -> None:
    profile, root = tmp_path / "ERA.toml", tmp_path / "root"
    profile.write_text(ERA + 'null_founders = "inherit"\nparents = "lexicase"\n')
    words = ["run", "--root", str(root), "--profile", str(profile), "--instance", "T", "--eras", "3"]
    assert cli.main(words) == ExitCode.DONE
    layout = Layout.under(root)
    filed = {}
    for run in layout.lib.glob("runs_hf/HF_*"):
        rows = json.loads((run / "multiple_experiments_summary.json").read_text())["all_stats"]
        number = json.loads((run / "run_manifest.json").read_text())["era"]["number"]
        filed[number] = [(row["seed"], row["arm"], row["system_roi"], row["alive_agents"]) for row in rows]
    asked = load_profile(profile, layout)
    bars = resolve_market(market_spec(asked.market), layout.market)
    lived = [
        [(one.stats.seed, one.stats.arm, one.stats.system_roi, one.stats.alive_agents) for one in era]
        for era in islice(trial_eras(asked, walk_over(asked, bars)), 3)
    ]
    assert lived == [filed[0], filed[1], filed[2]]


def test_what_can_be_learnt_is_shown_and_what_cannot_is_not() -> None:
    learnt, empty = run_kinds(LEARNT, EMPTY)
    assert (learnt.over_random, learnt.over_shuffled, learnt.holds) == (1, 1, True)
    assert learnt.latest is not None
    assert learnt.latest <= LEARNT.eras
    assert (empty.over_shuffled, empty.latest, empty.holds) == (0, None, True)


def test_the_number_of_workers_changes_nothing() -> None:
    kind = evolve(LEARNT, eras=2)
    assert run_kinds(kind, histories=2) == run_kinds(kind, histories=2, workers=2)


def test_a_market_without_structure_does_not_pass_as_one_with_it() -> None:
    (row,) = run_kinds(evolve(LEARNT, pull=0.0, eras=3))
    assert not row.holds


def test_shuffled_bars_go_on_on_another_shuffle_when_they_end() -> None:
    bars = planted(5, 4500, pull=0.02)
    places = [place for _, place in islice(Walk(bars, shuffle=3).eras(PROFILE), 5)]
    assert [(place.number, place.cycle, place.window.start) for place in places] == [
        (0, 0, 0), (1, 0, 2000), (2, 1, 0), (3, 1, 2000), (4, 2, 0),
    ]  # fmt: skip
    paths = [part.close.tolist() for part, _ in islice(Walk(bars, shuffle=3).eras(PROFILE), 3)]
    assert paths[0] == paths[1] != paths[2]
    assert paths[0] != bars.close.tolist()


def test_given_bars_are_one_more_kind() -> None:
    rows = run_kinds(shuffled=("few", planted(5, 4500, pull=0.02)), stop=lambda: True)
    assert [(row.market, row.pull, row.histories, row.holds) for row in rows] == [("few, shuffled", None, 0, False)]


def test_a_history_that_a_stop_cut_counts_for_nothing(tmp_path: Path) -> None:
    flag = tmp_path / "stopped"
    flag.touch()
    lives = live(Job(name="cut", profile=PROFILE, market=Planted(0.0, 2000, 1), most=5, stop_file=str(flag)))
    assert (len(lives.eras), lives.whole) == (1, False)
    (row,) = run_kinds(EMPTY, stop_file=str(flag))
    assert (row.histories, row.holds, row.inherited) == (0, False, None)


def test_the_kinds_are_those_of_the_documents() -> None:
    assert [(kind.pull, kind.eras, kind.learnable, kind.ratio) for kind in KINDS] == [
        (0.05, 40, True, 50.0), (0.02, 60, True, None), (0.0, 200, False, None),
    ]  # fmt: skip


def test_ways_of_founding_stand_side_by_side(tmp_path: Path) -> None:
    profile = tmp_path / "ERA.toml"
    profile.write_text(ERA)
    asked = load_profile(profile, Layout.under(tmp_path))
    bars = resolve_market(market_spec(asked.market), tmp_path)
    with open_executor(1) as executor:
        hands = Hands(executor=executor, ahead=2, stop=lambda: False, told=lambda _: None)
        rows = run_side_by_side(asked, bars, (Parents.TRUNCATION, Parents.NICHES), 2, hands, eras=3, stop_file="")
        with pytest.raises(ConfigError, match="do not inherit"):
            run_side_by_side(evolve(asked, founding=None), bars, (Parents.NICHES,), 1, hands, eras=3, stop_file="")
    assert [(row.parents, row.line, row.histories, row.experiments) for row in rows] == [
        ("truncation", "inherit", 2, 12), (None, "fresh", 2, 6), ("truncation", "null", 2, 12),
        ("niches", "inherit", 2, 12), ("niches", "null", 2, 12),
    ]  # fmt: skip
    for row in rows:
        gains = row.over_random, row.shown_over_random, row.over_shuffled, row.shown_over_shuffled
        assert all((one is None) == (row.line != "inherit") for one in gains)


def test_the_command_gives_what_its_schema_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "ERA.toml"
    profile.write_text(ERA)
    words = ["founding", "compare", "--profile", str(profile), "--runs", "1", "--eras", "2", "--workers", "1"]
    assert cli.main([*words, "--root", str(tmp_path), "--json"]) == ExitCode.DONE
    said = json.loads(capsys.readouterr().out)
    name = "founding_compare"
    schema = json.loads((Path(cli.__file__).with_name("outputs") / f"{name}{SUFFIX}").read_text())
    assert compiled(name, schema).first(said) is None
    assert len(said["rows"]) == 9
    assert cli.main([*words, "--root", str(tmp_path), "--profile", "AUDIT"]) == ExitCode.CONFIG
    assert "do not inherit" in capsys.readouterr().err
