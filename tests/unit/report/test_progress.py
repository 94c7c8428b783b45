"""`progress` over runs that the product wrote. The two keys of an era are added to their manifests in memory alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from prometheus.cli import main as cli
from prometheus.cli.research import progress_command
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import RunPlace, artifact_of, manifest_of, runs
from prometheus.v10.evidence.pools.descent import Line
from prometheus.v10.report import eras
from prometheus.v10.report.cliff import cliffs_delta
from prometheus.v10.report.eras import era_results, read_histories

PROFILE = """
mode = "offline"
workers = 1
[market]
timeframe_s = 300
seed = 7
bars = 600
[experiments]
count = 6
[world]
founders = 30
review_ticks = 200
"""
LINES = ["inherit", "fresh", "null"]
Said = dict[str, Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two small runs of the instance ``local``, with six experiments each."""
    root = tmp_path_factory.mktemp("progress") / "root"
    root.mkdir()
    (root / "small.toml").write_text(PROFILE)
    for _ in range(2):
        assert cli.main(["run", "--root", str(root), "--profile", str(root / "small.toml")]) == 0
    return root


@pytest.fixture
def place(root) -> RunPlace:
    return next(runs(Layout.under(root), Tier.TIER1_HF))


def summary_of(place: RunPlace) -> Said:
    return artifact_of(place.path, Artifact.SUMMARY)


def returns_of(place: RunPlace) -> list[float]:
    return [row["system_roi"] for row in summary_of(place)["all_stats"]]


def ranked(place: RunPlace, first: str, last: str) -> list[str]:
    """Lines by which the three experiments that returned most are ``first``, the others ``last``."""
    returned = returns_of(place)
    middle = sorted(returned)[3]
    return [first if value >= middle else last for value in returned]


@pytest.fixture
def told(root, monkeypatch) -> Callable[[Sequence[Said]], None]:
    """Let the reader see the newest run again and again, each time with other keys in its manifest."""
    place = next(runs(Layout.under(root), Tier.TIER1_HF))

    def tell(changes: Sequence[Said]) -> None:
        seen = iter(changes)
        # the reader turns the order round: the newest run comes first
        monkeypatch.setattr(eras, "runs", lambda _layout, _tier: [place] * len(changes))
        monkeypatch.setattr(eras, "manifest_of", lambda path: manifest_of(path) | next(seen))

    return tell


def era(number: object, lines: object, **more: object) -> Said:
    return {"era": {"number": number}, "lines": lines, **more}


# ---- one run ---------------------------------------------------------------------------------------------------------


def test_returns_are_read_by_line(place):
    returned = returns_of(place)
    found = era_results(manifest_of(place.path) | era(0, LINES * 2), summary_of(place))
    assert found == {line: (returned[n], returned[n + 3]) for n, line in enumerate(Line)}
    assert len(set(returned)) > 1


def test_an_experiment_that_a_stop_cut_does_not_count(place):
    summary = summary_of(place)
    summary["all_stats"][0]["completed"] = False
    found = era_results(era(0, LINES * 2), summary)
    assert [len(found[line]) for line in Line] == [1, 2, 2]


@pytest.mark.parametrize("lines", [None, "inherit", ["inherit"] * 5, ["inherit"] * 7, ["other"] * 6, [["null"]] * 6])
def test_lines_that_do_not_fit_are_damage(place, lines):
    with pytest.raises(EvidenceError, match="lines"):
        era_results(era(0, lines), summary_of(place))


@pytest.mark.parametrize(
    "change", [{"system_roi": None}, {"system_roi": "1"}, {"system_roi": float("inf")}, {"completed": 1}]
)
def test_a_summary_without_returns_is_damage(place, change):
    summary = summary_of(place)
    summary["all_stats"][2] |= change
    with pytest.raises(EvidenceError, match="no return"):
        era_results(era(0, LINES * 2), summary)


@pytest.mark.parametrize("summary", [None, {}, {"all_stats": 3}, {"all_stats": [1]}, {"all_stats": []}])
def test_a_summary_of_another_form_is_damage(place, summary):
    with pytest.raises(EvidenceError, match="summary"):
        era_results(era(0, LINES * 2), summary)


# ---- all runs of an installation -------------------------------------------------------------------------------------


def test_runs_of_today_are_no_eras(root):
    found = read_histories(Layout.under(root))
    assert (found.by_instance["local"].eras, found.by_instance["local"].without, found.unknown) == ([], 2, [])


def test_eras_stand_in_their_order_and_the_first_of_a_number_counts(root, place, told):
    told([era(2, LINES * 2), era(0, LINES * 2), {}, era(0, LINES[:2] * 3), era(1, ["inherit", "fresh"] * 3)])
    history = read_histories(Layout.under(root)).by_instance["local"]
    assert [one.number for one in history.eras] == [0, 1, 2]
    assert set(history.eras[0].returns) == set(Line)
    assert [(one.era, one.why) for one in history.left_out] == [(0, eras.REPEATED)]
    assert history.without == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"status": "running"}, "has not ended"),
        ({"status": "interrupted"}, "ended as interrupted"),
        ({"status": "failed"}, "ended as failed"),
        ({"era": {"number": -1}}, "cannot be read: its manifest has an era without a number"),
        ({"era": {"number": True}}, "cannot be read: its manifest has an era without a number"),
        ({"era": 3}, "cannot be read: its manifest has an era without a number"),
        ({"lines": None}, "cannot be read: its lines are not all of inherit, fresh, null"),
    ],
)
def test_what_does_not_count_is_left_out_with_its_reason(root, told, change, why):
    told([era(0, LINES * 2) | change, era(0, LINES * 2)])
    history = read_histories(Layout.under(root)).by_instance["local"]
    assert [one.why for one in history.left_out] == [why]
    assert [one.number for one in history.eras] == [0]


def test_a_run_that_is_not_sealed_yet_is_left_out(root, place, told, tmp_path, monkeypatch):
    told([era(0, LINES * 2)])
    monkeypatch.setattr(eras, "runs", lambda _layout, _tier: [RunPlace(tmp_path, Tier.TIER1_HF)])
    monkeypatch.setattr(eras, "manifest_of", lambda _path: manifest_of(place.path) | era(0, LINES * 2))
    history = read_histories(Layout.under(root)).by_instance["local"]
    assert [one.why for one in history.left_out] == [eras.NOT_SEALED]


@pytest.mark.parametrize(
    ("data", "why"), [(None, "there is no manifest"), (b"{", "not strict JSON"), (b"{}", "names no instance")]
)
def test_a_damaged_manifest_is_said_and_left_out(tmp_path, ask, data, why):
    run = tmp_path / "runs_hf" / "HF_20260102T030405Z_0123456_0000"
    run.mkdir(parents=True)
    if data is not None:
        (run / "run_manifest.json").write_bytes(data)
    code, out, err = ask("--root", tmp_path)
    assert (code, err) == (0, "")
    assert "left out, cannot be read: " in out
    assert why in out
    assert run.name in out


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def ask(capsys) -> Callable[..., tuple[int, str, str]]:
    def asked(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["progress", *map(str, words)])
        return code, *capsys.readouterr()

    return asked


def words_of(out: str, title: str) -> str:
    """What is said of a comparison."""
    return re.search(rf"^{title}: (.+)$", out, re.MULTILINE)[1]


INHERITED, REAL = "inherited against random founders", "real against shuffled bars"


def test_seven_eras_that_inheritance_wins_whole_are_a_gain(root, place, told, ask):
    lines = ranked(place, "inherit", "fresh")
    told([era(n, lines) for n in range(7)])
    code, out, _ = ask("local", "--root", root)
    assert code == 0
    assert words_of(out, INHERITED) == "inheritance gains; founders from survivors return more than random ones"
    assert words_of(out, REAL) == "no era to compare"
    told([era(n, lines) for n in range(6)])
    assert words_of(ask("local", "--root", root)[1], INHERITED) == "nothing shown yet"


def test_an_era_without_a_line_counts_for_the_other_comparison_only(root, place, told, ask):
    both, one = LINES * 2, ["inherit", "fresh"] * 3
    told([era(n, both if n == 3 else one) for n in range(8)])
    out = ask("--root", root)[1]
    assert "real against shuffled bars, without a completed experiment of both: era 0, era 1, era 2, era 4" in out
    assert ", era 5 and 2 more\n" in out
    told([era(n, both if n == 3 else one) for n in range(8)])
    said = json.loads(ask("--root", root, "--json")[1])["instances"][0]["comparisons"]
    assert [(one["eras"], one["missing"]) for one in said] == [(8, []), (1, [0, 1, 2, 4, 5, 6, 7])]


def test_losses_and_both_are_told_apart(root, place, told, ask):
    wins, loses = (ranked(place, *names) for names in (("inherit", "null"), ("null", "inherit")))
    told([era(n, loses) for n in range(8)])
    out = ask("--root", root)[1]
    assert words_of(out, REAL) == "the line on real bars returns less than the line on shuffled bars"
    told([era(n, wins if n < 8 else loses) for n in range(40)])
    assert words_of(ask("--root", root)[1], REAL) == "a gain was shown and a loss as well, in different eras"


def test_a_gain_that_was_shown_stays_shown(root, place, told, ask):
    wins, loses = (ranked(place, *names) for names in (("inherit", "fresh"), ("fresh", "inherit")))
    told([era(n, wins if n < 7 else loses) for n in range(11)])
    code, out, _ = ask("--root", root, "--json")
    one = json.loads(out)["instances"][0]["comparisons"][0]
    assert (code, one["verdict"], one["reached_threshold_at_era"]) == (0, "gains", 6)
    assert one["e_value"] < 20 <= one["largest_e_value"]
    assert one["lower"] < 0.0


def test_json_has_the_way_there(root, place, told, ask):
    lines = LINES * 2
    told([era(n, lines) for n in (4, 5)] + [era(6, lines, status="interrupted"), {}])
    code, out, _ = ask("local", "--root", root, "--json")
    said = json.loads(out)
    (instance,) = said["instances"]
    returned = returns_of(place)
    effect = cliffs_delta(returned[::3], returned[1::3])
    one = instance["comparisons"][0]
    assert code == 0
    assert (said["threshold"], said["false_alarm"], instance["eras"], instance["runs_without_era"]) == (
        20,
        0.05,
        [4, 5],
        1,
    )
    assert [left["why"] for left in instance["left_out"]] == ["ended as interrupted"]
    assert [(point["era"], point["effect"]) for point in one["path"]] == [(4, effect), (5, effect)]
    assert (one["mean_effect"], one["verdict"]) == (effect, "nothing shown yet")
    assert one["path"][-1].items() >= {name: one[name] for name in progress_command._POINT}.items()


def test_an_e_value_beyond_a_float_is_a_number(root, place, told, ask):
    lines = ranked(place, "inherit", "fresh")
    told([era(n, lines) for n in range(1100)])
    out = ask("--root", root, "--json")[1]
    one = json.loads(out)["instances"][0]["comparisons"][0]
    assert one["e_value"] == pytest.approx(1e300)
    assert one["log10_e_value"] > 320
    told([era(n, lines) for n in range(1100)])
    assert "1e+324" in ask("--root", root)[1]


def test_no_era_yet_is_a_sentence_and_no_fault(root, tmp_path, ask):
    code, out, err = ask("--root", root)
    assert (code, out, err) == (0, f"no era in {root} yet (runs that are no eras: 2)\n", "")
    assert ask("local", "--root", root)[:2] == (0, f"no era of local in {root} yet (runs that are no eras: 2)\n")
    empty = tmp_path / "empty"
    assert ask("HF", "--root", empty)[0] == 64
    assert not empty.exists()
    Layout.under(empty).state.mkdir(parents=True)
    assert ask("HF", "--root", empty)[:2] == (0, f"no era of HF in {empty} yet\n")
    assert [one.name for one in empty.iterdir()] == ["state"]


def test_an_unknown_instance_is_refused_by_the_names_there_are(root, ask):
    for name in ("HF", "", "..", "../runs_hf", "x\x1b[2J", "n" * 3000):
        code, out, err = ask(name, "--root", root)
        assert (code, out) == (64, "")
        assert "hint: there are: local" in err
        assert "\x1b" not in err


def test_an_instance_that_has_a_profile_and_no_run_is_known(root, ask, monkeypatch):
    place = Layout.under(root).profiles / "NEW.toml"
    place.write_text(PROFILE)
    assert ask("NEW", "--root", root)[:2] == (0, f"no era of NEW in {root} yet\n")
    place.unlink()


def test_it_never_speaks_of_money(root, place, told, ask):
    for names in (("inherit", "fresh"), ("fresh", "inherit"), ("inherit", "null"), ("null", "inherit")):
        told([era(n, ranked(place, *names)) for n in range(9)])
        assert not re.search(r"profit|money|earn", ask("--root", root)[1])


@pytest.mark.parametrize("count", [3, 12, 40, 1100])
def test_the_table_fits_a_terminal_of_80_columns(root, place, told, ask, monkeypatch, count):
    monkeypatch.setattr("prometheus.cli.app.PIPE_WIDTH", 80)
    lines = ranked(place, "inherit", "fresh")
    told([era(n, lines) for n in range(count)])
    out = ask("--root", root)[1]
    (row,) = re.findall(r"^ over random +(.+?) *$", out, re.MULTILINE)
    assert re.fullmatch(r"\S+ +\S+ +\S+ +\S+ +\+1\.00 +[+-]\d\.\d\d, \+1\.00", row)


# ---- the picture -----------------------------------------------------------------------------------------------------


def test_the_picture_is_drawn_once_and_is_the_same_every_time(root, place, told, ask, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra for analysis is not installed")
    drawn = []
    for name in ("a.png", "b.png"):
        told([era(n, ranked(place, "inherit", "fresh")) for n in range(12)])
        code, out, _ = ask("local", "--root", root, "--plot", tmp_path / name)
        assert (code, out.splitlines()[-1]) == (0, f"picture: {tmp_path / name}")
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith(b"\x89PNG")
    told([era(0, LINES * 2)])
    code, _, err = ask("--root", root, "--plot", tmp_path / "a.png")
    assert (code, "exists" in err) == (64, True)


def test_a_picture_in_a_sealed_run_is_refused(root, place, told, ask, tmp_path):
    (tmp_path / "link").symlink_to(place.path)
    for folder in (place.path, tmp_path / "link"):
        told([era(0, LINES * 2)])
        code, _, err = ask("--root", root, "--plot", folder / "gain.png")
        assert code == 64
        assert "sealed run" in err
        assert not (place.path / "gain.png").exists()


@pytest.mark.parametrize("name", ["no-such-folder/a.png", f"{'n' * 300}.png", f"{'n' * 300}/a.png"])
def test_a_picture_that_cannot_be_written_is_one_line(root, told, ask, tmp_path, name):
    pytest.importorskip("matplotlib", reason="the extra for analysis is not installed")
    told([era(0, LINES * 2)])
    code, out, err = ask("--root", root, "--plot", tmp_path / name)
    assert (code, out) == (74, "")
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1


def test_two_instances_have_a_table_each_and_no_picture_together(root, told, ask, tmp_path):
    both = [era(0, LINES * 2), era(0, LINES * 2, instance="other")]
    told(both)
    assert re.findall(r"^instance (\w+): era 0", ask("--root", root)[1], re.MULTILINE) == ["local", "other"]
    told(both)
    code, _, err = ask("--root", root, "--plot", tmp_path / "a.png")
    assert (code, "name one of local, other" in err) == (64, True)
    told(both)
    assert json.loads(ask("other", "--root", root, "--json")[1])["instances"][0]["eras"] == [0]


def test_a_picture_of_another_kind_is_refused(root, ask):
    code, _, err = ask("--root", root, "--plot", "gain.svg")
    assert (code, "ends in .png" in err) == (64, True)


def test_without_the_extra_the_picture_is_refused_by_its_name(root, told, ask, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    told([era(0, LINES * 2)])
    code, _, err = ask("--root", root, "--plot", tmp_path / "a.png")
    assert code == 78
    assert "--plot needs matplotlib" in err
    assert not (tmp_path / "a.png").exists()


def test_nothing_is_drawn_where_there_is_no_era(root, ask, tmp_path):
    code, out, _ = ask("--root", root, "--plot", tmp_path / "a.png")
    assert (code, out.startswith("no era in")) == (0, True)
    assert not (tmp_path / "a.png").exists()
