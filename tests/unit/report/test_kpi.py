"""`kpi` over runs that the product wrote; what a manifest says beside is changed in memory alone."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from prometheus.cli import main as cli
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import RunPlace, artifact_of, manifest_of, runs
from prometheus.v10.evidence.pools.descent import Line
from prometheus.v10.report import eras, strata
from prometheus.v10.report.lifetimes import Life
from prometheus.v10.report.strata import Census, lives_of, read_census

PROFILE = """
mode = "offline"
workers = 1
[market]
timeframe_s = 300
seed = 7
bars = 400
[experiments]
count = 8
seed = {seed}
[world]
founders = {founders}
review_ticks = 60
"""
Said = dict[str, Any]


@frozen
class Seen(RunPlace):
    """A place that is taken for one of many runs."""

    number: int

    @property
    def run_id(self) -> str:
        return f"{self.path.name}_{self.number}"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A run whose populations of three collapse, the same again, and one of 60 founders that live longer."""
    root = tmp_path_factory.mktemp("kpi") / "root"
    root.mkdir()
    for name, founders in (("few", 3), ("few", 3), ("many", 60)):
        (root / f"{name}.toml").write_text(PROFILE.format(seed=1, founders=founders))
        assert cli.main(["run", "--root", str(root), "--profile", str(root / f"{name}.toml")]) == 0
        time.sleep(1 - time.time() % 1)  # names of runs of one second have no order
    return root


@pytest.fixture(scope="module")
def places(root) -> list[RunPlace]:
    """Its runs, the oldest first."""
    return list(reversed(list(runs(Layout.under(root), Tier.TIER1_HF))))


@pytest.fixture
def place(places) -> RunPlace:
    return places[0]


def summary_of(place: RunPlace) -> Said:
    return artifact_of(place.path, Artifact.SUMMARY)


def rows_of(place: RunPlace) -> list[Said]:
    return summary_of(place)["all_stats"]


@pytest.fixture
def told(root, place, monkeypatch) -> Callable[[Sequence[Said]], None]:
    """Let the reader see the oldest run again and again, each time with other keys in its manifest and its rows."""

    def tell(changes: Sequence[Said]) -> None:
        seen, rows = [dict(change) for change in changes], [change.get("rows", {}) for change in changes]
        manifests, summaries = iter(seen), iter(rows)
        monkeypatch.setattr(
            eras, "runs", lambda _layout, *_tiers: [Seen(place.path, place.tier, n) for n in range(len(seen))]
        )
        monkeypatch.setattr(eras, "manifest_of", lambda path: manifest_of(path) | next(manifests))

        def changed(path: Path, artifact: Artifact) -> Said:
            summary = artifact_of(path, artifact)
            change = next(summaries)
            summary["all_stats"] = [row | change.get(row["experiment"], {}) for row in summary["all_stats"]]
            return summary

        monkeypatch.setattr(strata, "artifact_of", changed)

    return tell


def era(number: int, lines: Sequence[str], **more: object) -> Said:
    return {"era": {"number": number, "policy": "walk"}, "lines": list(lines), **more}


@pytest.fixture
def ask(capsys) -> Callable[..., tuple[int, str, str]]:
    def asked(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["kpi", *map(str, words)])
        return code, *capsys.readouterr()

    return asked


# ---- what a run tells ------------------------------------------------------------------------------------------------


def test_lives_are_what_the_rows_say(place):
    found = lives_of(place.run_id, manifest_of(place.path), summary_of(place))
    rows = rows_of(place)
    assert [life for _, _, life in found] == [
        Life(place.run_id, row["experiment"], row["ticks"], row["collapse"]["detected"]) for row in rows
    ]
    assert any(row["collapse"]["detected"] for row in rows)
    assert len({stratum for stratum, _, _ in found}) == 1
    assert len({origin for _, origin, _ in found}) == len(rows)


def test_profiles_are_never_mixed_and_a_repetition_counts_once(root, places):
    """The defect of the ledger of intervals: it adds the ticks of different profiles."""
    census = read_census(Layout.under(root))
    assert [[life.run for life in lives.values()] for lives in census.strata.values()] == [
        [places[0].run_id] * 8, [places[2].run_id] * 8
    ]  # fmt: skip
    assert [(one.run_id, one.why) for one in census.left_out["local"]] == [(places[1].run_id, strata.REPEATS)]
    assert rows_of(places[0]) == rows_of(places[1])


@pytest.mark.parametrize(
    "change",
    [{"instance": "other"}, {"stage": "other"}, {"config_hash": "c" * 64}, {"core_hash": "d" * 64},
     {"rows": {n: {"arm": "B2_shuffle_returns"} for n in range(8)}}],
    ids=["instance", "stage", "config", "core", "arm"],
)  # fmt: skip
def test_what_differs_is_another_stratum(root, told, change):
    told([{}, change])
    census = read_census(Layout.under(root))
    assert [len(lives) for lives in census.strata.values()] == [8, 8]


def test_other_bars_are_another_stratum(root, place, told):
    market = manifest_of(place.path)["market"]
    told([{}, {"market": market | {"sha256": "e" * 64}}])
    assert len(read_census(Layout.under(root)).strata) == 2


def test_eras_of_one_line_are_one_stratum_whatever_their_bars(root, place, told):
    market, lines = manifest_of(place.path)["market"], ["inherit"] * 4 + ["fresh"] * 2 + ["null"] * 2
    told([era(n, lines, market=market | {"sha256": f"{n}" * 64, "source": f"synthetic/1 seed={n}"}) for n in range(3)])
    census = read_census(Layout.under(root))
    assert {stratum.line: len(lives) for stratum, lives in census.strata.items()} == {
        Line.INHERIT: 12, Line.FRESH: 6, Line.NULL: 6
    }  # fmt: skip
    assert {(stratum.bars, stratum.policy) for stratum in census.strata} == {(None, "walk")}


ERAS = """
[window]
name = "W"
start = 0
len = 130
policy = "walk"
[founding]
policy = "inherit"
fresh = 2
null = 2
"""


def test_eras_that_the_product_wrote_are_a_stratum_for_each_line(tmp_path, ask):
    profile = tmp_path / "eras.toml"
    profile.write_text(PROFILE.format(seed=1, founders=6) + ERAS)
    for _ in range(3):
        assert cli.main(["run", "--root", str(tmp_path), "--profile", str(profile)]) == 0
    code, out, _ = ask("--root", tmp_path, "--json")
    said = json.loads(out)
    assert code == 0
    assert [(one["line"], one["arm"], one["policy"], one["runs"], one["experiments"]) for one in said["strata"]] == [
        ("inherit", "A_real", "walk", 3, 12),
        ("fresh", "A_real", "walk", 3, 6),
        ("null", "B2_shuffle_returns", "walk", 3, 6),
    ]
    assert said["left_out"] == {"local": []}


def test_an_era_that_a_stop_cut_and_that_was_done_again_counts_once(root, place, told):
    lines = ["inherit"] * 8
    cut = {7: {"completed": False, "ticks": 3, "collapse": {"detected": False, "tick": None}}}
    told([era(0, lines, status="interrupted", rows=cut), era(0, lines)])
    (lives,) = read_census(Layout.under(root)).strata.values()
    assert len(lives) == 8
    assert not any(life.cut for life in lives.values())
    told([era(0, lines), era(0, lines, status="interrupted", rows=cut)])
    (lives,) = read_census(Layout.under(root)).strata.values()
    assert not any(life.cut for life in lives.values())


def test_what_a_stop_cut_is_censored_where_it_was_cut(root, told, ask):
    cut = {7: {"completed": False, "ticks": 3, "collapse": {"detected": False, "tick": None}}}
    told([{"status": "interrupted", "rows": cut}])
    (lives,) = read_census(Layout.under(root)).strata.values()
    assert [(life.ticks, life.collapsed) for life in lives.values() if life.cut] == [(3, False)]
    told([{"status": "interrupted", "rows": cut}])
    assert "experiments that a stop cut, counted as far as they lived: 1 of stratum 1" in ask("--root", root)[1]


def test_rows_that_a_stop_kept_from_beginning_are_missed_by_nobody(place):
    summary, manifest = summary_of(place), manifest_of(place.path)
    summary["all_stats"] = summary["all_stats"][:5]
    told = manifest | era(0, ["inherit"] * 8, status="interrupted")
    assert len(lives_of(place.run_id, told, summary)) == 5
    with pytest.raises(EvidenceError, match="8 experiments that its lines name"):
        lives_of(place.run_id, told | {"status": "completed"}, summary)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"status": "running"}, strata.CUT_OFF),  # sealed, and its manifest never heard of an end
        ({"status": "failed"}, "ended as failed"),
        ({"status": ["x"]}, "ended as ['x']"),
        ({"stage": "stage2"}, strata.JUDGES),
        ({"core_hash": None}, "cannot be read: its manifest has no core_hash"),
        ({"market": 3}, "cannot be read: its manifest has no market"),
        ({"window": {"start": [1], "len": 2}}, "cannot be read: its manifest has a window without start or length"),
        ({"era": 3}, "cannot be read: its manifest has an era without a number"),
        ({"era": {"number": 1}, "lines": ["null"] * 8}, "cannot be read: its manifest has no policy"),
        ({"era": {"number": 1}, "lines": None}, "cannot be read: its lines are not all of inherit, fresh, null"),
        ({"rows": {2: {"ticks": True}}}, "cannot be read: an experiment of its summary does not say how long it lived"),
        ({"rows": {2: {"ticks": -1}}}, "cannot be read: an experiment of its summary does not say how long it lived"),
        ({"rows": {2: {"collapse": 1}}}, "cannot be read: an experiment of its summary does not say how long it lived"),
        ({"rows": {2: {"seed": "1"}}}, "cannot be read: an experiment of its summary has no arm or no seed"),
        ({"rows": {2: {"experiment": 9}}}, "cannot be read: its summary does not have the 8 experiments"),
        (
            {"rows": {2: {"ticks": 99, "completed": True, "collapse": {"detected": True, "tick": 3}}}},
            "cannot be read: an experiment of its summary lived on after its collapse",
        ),
    ],
)
def test_what_does_not_count_is_left_out_with_its_reason(root, told, ask, change, why):
    told([change])
    census = read_census(Layout.under(root))
    assert census.strata == {}
    (one,) = census.left_out["local"]
    assert one.why.startswith(why)
    told([change])
    code, out, err = ask("--root", root)
    assert (code, err) == (0, "")
    assert f"left out, {why}" in out


def test_runs_that_are_not_sealed_or_have_no_summary_are_left_out(place, tmp_path):
    census, manifest = Census(), manifest_of(place.path)
    census.take(RunPlace(tmp_path, Tier.TIER1_HF), "local", manifest)
    census.take(RunPlace(tmp_path, Tier.TIER1_HF), "local", manifest | {"status": "running"})
    (tmp_path / Artifact.SHA256SUMS).write_text("")
    census.take(RunPlace(tmp_path, Tier.TIER1_HF), "local", manifest)
    assert [one.why for one in census.left_out["local"]] == [
        eras.NOT_SEALED, eras.NOT_ENDED, "cannot be read: its summary has no experiments"
    ]  # fmt: skip


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_rows(root, places, ask):
    code, out, _ = ask("local", "--root", root, "--json")
    said = json.loads(out)
    assert (code, said["confidence"], said["unknown"]) == (0, 0.95, [])
    for one, place in zip(said["strata"], (places[0], places[2]), strict=True):
        rows, manifest = rows_of(place), manifest_of(place.path)
        assert (one["experiments"], one["ticks"]) == (8, sum(row["ticks"] for row in rows))
        assert one["collapses"] == len(one["times"]) == sum(row["collapse"]["detected"] for row in rows)
        assert [one[name] for name in ("config_hash", "core_hash", "instance", "stage")] == [
            manifest[name] for name in ("config_hash", "core_hash", "instance", "stage")
        ]
        assert (one["bars"], one["line"], one["runs"]) == (manifest["market"]["sha256"], None, 1)
    assert "seconds" not in out


def test_a_person_gets_the_same(root, places, ask):
    code, out, _ = ask("--root", root)
    rows = rows_of(places[0])
    collapses, ticks = sum(row["collapse"]["detected"] for row in rows), sum(row["ticks"] for row in rows)
    assert code == 0
    assert re.search(rf"^ +1 +8 +{collapses} +{ticks:,} ", out, re.MULTILINE)
    assert len(re.findall(r"^stratum \d: local, stage1, A_real; 1 run$", out, re.MULTILINE)) == 2
    assert f"left out, repeats experiments that are there already: {places[1].run_id}" in out


def test_it_changes_nothing(root, ask):
    def everything() -> dict[Path, str]:
        files = (place for place in root.rglob("*") if place.is_file())
        return {place: hashlib.sha256(place.read_bytes()).hexdigest() for place in files}

    before = everything()
    assert ask("--root", root)[0] == 0
    assert everything() == before


@pytest.mark.parametrize("width", [80, 100])
def test_tables_fit_the_terminal(root, place, told, ask, monkeypatch, width):
    monkeypatch.setattr("prometheus.cli.app.PIPE_WIDTH", width)
    long = {n: {"ticks": 30_000_000 + n, "completed": True, "collapse": {"detected": True, "tick": 29_999_999 + n}}
            for n in range(7)}  # fmt: skip
    told([{"rows": long}, *(era(n, ["inherit"] * 8) for n in range(40))])
    out = ask("--root", root)[1]
    assert [line for line in out.splitlines() if len(line) > width] == []
    assert "…" not in out
    for title in ("collapses per 1,000,000 ticks lived", "ticks to a collapse", "whether the intervals lengthen"):
        assert re.search(rf"^{title}\n +stratum ", out, re.MULTILINE)


def test_nothing_yet_is_a_sentence_and_no_fault(root, tmp_path, ask):
    empty = tmp_path / "empty"
    code, out, err = ask("--root", empty)
    assert (code, out, f"{empty} is no directory" in err) == (64, "", True)
    assert not empty.exists()
    Layout.under(empty).state.mkdir(parents=True)
    assert ask("--root", empty) == (0, f"no experiment of a sealed run in {empty} yet\n", "")
    assert ask("HF", "--root", empty)[:2] == (0, f"no experiment of HF of a sealed run in {empty} yet\n")
    assert [one.name for one in empty.iterdir()] == ["state"]
    place = Layout.under(root).profiles / "NEW.toml"
    place.write_text(PROFILE.format(seed=1, founders=3))
    assert ask("NEW", "--root", root)[:2] == (0, f"no experiment of NEW of a sealed run in {root} yet\n")
    place.unlink()


def test_an_unknown_instance_is_refused_by_the_names_there_are(root, ask):
    for name in ("HF", "", "..", "x\x1b[2J", "n" * 3000):
        code, out, err = ask(name, "--root", root)
        assert (code, out) == (64, "")
        assert "hint: there are: local" in err
        assert "\x1b" not in err


@pytest.mark.parametrize(
    ("name", "data"),
    [("run_manifest.json", b"{"), ("run_manifest.json", None), ("multiple_experiments_summary.json", b"[]"),
     ("multiple_experiments_summary.json", b'{"all_stats": [{"experiment": 0}]}')],
)  # fmt: skip
def test_damage_is_one_line_and_no_fault(place, tmp_path, ask, name, data):
    run = tmp_path / "runs_hf" / place.run_id
    shutil.copytree(place.path, run)
    for one in run.iterdir():
        one.chmod(0o600)
    (run / name).unlink()
    if data is not None:
        (run / name).write_bytes(data)
    code, out, err = ask("--root", tmp_path)
    assert (code, err) == (0, "")
    assert "left out, cannot be read: " in out
    assert place.run_id in out


def test_collapses_that_come_together_are_said(root, place, told, ask):
    dead = {n: {"ticks": 10, "completed": True, "collapse": {"detected": True, "tick": 9}} for n in range(8)}
    alive = {n: {"ticks": 400, "completed": True, "collapse": {"detected": False, "tick": None}} for n in range(8)}
    told([era(n, ["inherit"] * 8, rows=dead if n in {2, 5} else alive) for n in range(9)])
    out = ask("--root", root)[1]
    assert "collapses come together in runs, and the intervals are wider for it: stratum 1\n" in out
    assert "no trend shown" in out


# ---- the picture -----------------------------------------------------------------------------------------------------


def test_the_picture_is_drawn_once_and_is_the_same_every_time(root, ask, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra for analysis is not installed")
    drawn = []
    for name in ("a.png", "b.png"):
        code, out, _ = ask("local", "--root", root, "--plot", tmp_path / name)
        assert (code, out.splitlines()[-1]) == (0, f"picture: {tmp_path / name}")
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith(b"\x89PNG")
    code, _, err = ask("--root", root, "--plot", tmp_path / "a.png")
    assert (code, "exists" in err) == (64, True)


def test_a_picture_that_cannot_be_meant_is_refused(root, place, told, ask, tmp_path):
    for name, said in (("kpi.svg", "ends in .png"), (place.path / "kpi.png", "sealed run")):
        code, out, err = ask("--root", root, "--plot", name)
        assert (code, out) == (64, "")
        assert said in err
    assert not (place.path / "kpi.png").exists()
    told([{}, {"instance": "other"}])
    code, _, err = ask("--root", root, "--plot", tmp_path / "a.png")
    assert (code, "name one of local, other" in err) == (64, True)


def test_a_picture_of_many_strata_shows_the_last(root, told, ask, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra for analysis is not installed")
    told([{"config_hash": f"{n:064x}"} for n in range(13)])
    out = ask("--root", root, "--plot", tmp_path / "a.png")[1]
    assert out.splitlines()[-1] == f"picture: {tmp_path / 'a.png'} (the last 12 strata)"


def test_without_the_extra_the_picture_is_refused_by_its_name(root, ask, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    code, _, err = ask("--root", root, "--plot", tmp_path / "a.png")
    assert code == 78
    assert "--plot needs matplotlib" in err
    assert not (tmp_path / "a.png").exists()
