"""The page of two runs: it says first what was asked for differently, and its figures are those of the files."""

from __future__ import annotations

import json
import re
import shutil
from itertools import combinations
from pathlib import Path
from statistics import median

import pytest
from attrs import evolve

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.report.pages.diff_page import Side, diff_bytes, diff_page, figure_words, kind_words
from prometheus.v10.report.pages.phrases import Language, Phrases
from prometheus.v10.report.pages.run_read import read_run
from prometheus.v10.report.pages.run_verified import Verified
from prometheus.v10.report.pages.templating import render
from prometheus.v10.report.run_differences import FIRST, PLACES, figures_of_both, kinds_of
from tests.pages.test_run_pages import MOST_BYTES, NAMES, text_of, well_formed

PAIRS = [(first, second) for first, second in combinations(NAMES, 2) if "plain" in {first, second}]
PAIRS += [("cut off", "running"), ("walk", "stage 2")]
SAID = {
    ("plain", "collapse"): "Different: configuration.",
    ("plain", "walk"): "Different: configuration, window, seeds, founding.",
    ("plain", "damaged"): "Nothing was asked for differently",
    ("plain", "no death"): "Different: configuration.",
}


def page(kinds: dict[str, Path], pair: tuple[str, str], language: Language = Language.ENGLISH) -> bytes:
    return diff_bytes(kinds[pair[0]], kinds[pair[1]], language, "0")


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_runs_of_any_two_kinds_have_a_page(kinds: dict[str, Path], pair: tuple[str, str]):
    """The same bytes when it is built again, and every sentence in Chinese."""
    data = page(kinds, pair)
    assert {"differs", "figures", "time", "deaths", "both", "evidence"} <= set(well_formed(data).ids)
    assert len(data) <= MOST_BYTES
    assert all(kinds[name].name.encode() in data for name in pair)
    assert not re.search(rb"Undefined|None|nan|&lt;generator", data)
    assert page(kinds, pair) == data
    chinese = page(kinds, pair, Language.CHINESE)
    well_formed(chinese)
    assert b'lang="zh-Hans"' in chinese


@pytest.mark.parametrize("pair", SAID, ids=" ".join)
def test_it_says_first_what_differs(kinds: dict[str, Path], pair: tuple[str, str]):
    text = text_of(page(kinds, pair))
    before = text.partition("What was asked for differently")[0]
    assert SAID[pair] in before
    for kind in ("configuration", "core", "image", "bars"):
        differs = kind in SAID[pair].partition(":")[2]
        assert f"{kind}: {'different' if differs else 'the same'}" in before


def test_other_bars_are_said_before_any_figure(kinds: dict[str, Path]):
    text = text_of(page(kinds, ("plain", "stage 2")))
    before = text.partition("The median system")[0]
    assert "They ran on different bars: their figures say little of each other." in before
    assert "bars: different" in before


def test_its_figures_are_those_of_the_files(kinds: dict[str, Path]):
    rows = [
        json.loads((kinds[name] / "multiple_experiments_summary.json").read_text())["all_stats"]
        for name in ("plain", "collapse")
    ]
    text = text_of(page(kinds, ("plain", "collapse")))
    returns, deaths = ([[row[name] for row in each] for each in rows] for name in ("system_roi", "deaths"))
    middle = [f"{median(each) * 100:.2f} %".replace("-", "−") for each in returns]
    assert f"returned {middle[0]} in the first and {middle[1]} in the second" in text
    assert f"deaths {median(deaths[0]):.4g} {median(deaths[1]):.4g}" in text
    pairs = [(one, other) for one in deaths[0] for other in deaths[1]]
    delta = sum((one > other) - (one < other) for one, other in pairs) / len(pairs)
    (found,) = re.findall(r" deaths \S+ \S+ \S+ … \S+ \S+ … \S+ (\S+) births", text)
    assert float(found.replace("−", "-")) == pytest.approx(delta, abs=5e-4)
    for each, which in zip(rows, ("first", "second"), strict=True):
        reviewed = sum(row["deaths_by_reason"]["quarterly_review"] for row in each)
        assert re.search(rf"review( \S+ \S+ %)?{' .*' if which == 'second' else ''} {reviewed} ", text)


def test_every_kind_of_difference_and_every_figure_has_its_words(kinds: dict[str, Path]):
    words = Phrases(Language.CHINESE)
    assert set(kind_words(words)) == {"config", *(kind for kind, _ in PLACES)}
    rows = read_run(kinds["plain"]).rows
    compared, why = figures_of_both(rows, rows)
    assert why is None
    assert {one.name for one in compared} == set(figure_words(words))
    assert {one.delta for one in compared} == {0.0}
    everything = [(kind, "k", "1", "2") for kind, _ in reversed([("config", ()), *PLACES])]
    assert kinds_of(everything)[:4] == list(FIRST)


def test_nothing_in_a_run_can_act_in_the_page(kinds: dict[str, Path]):
    hostile = "<script>alert(1)</script>\u202e"
    run = read_run(kinds["plain"])
    manifest = {**run.manifest, "market": {**run.manifest["market"], "source": hostile, "symbol": hostile}}
    manifest["config"] = {hostile: hostile}
    side = Side(evolve(run, manifest=manifest, run_id=hostile), Verified(word="FAIL", findings=(hostile,)))
    words = Phrases()
    for sides in ((side, Side(run, Verified(word="PASS"))), (Side(run, Verified(word="PASS")), side)):
        data = render(diff_page(*sides, words), words)
        well_formed(data)
        assert b"<script" not in data
        assert "\u202e".encode() not in data


@pytest.mark.parametrize("wrong", [None, [], 3, "x", {}, [[]], {"a": None}])
def test_a_manifest_or_a_summary_of_any_shape_gives_a_page(kinds: dict[str, Path], tmp_path: Path, wrong: object):
    run = Path(shutil.copytree(kinds["plain"], tmp_path / kinds["plain"].name))
    manifest = json.loads((run / "run_manifest.json").read_text())
    for name in ("config", "market", "window", "seeds", "arm", "counts", "founding"):
        (run / "run_manifest.json").write_text(json.dumps({**manifest, name: wrong}))
        well_formed(diff_bytes(kinds["plain"], run, Language.ENGLISH, "0"))
    (run / "run_manifest.json").write_text(json.dumps(manifest))
    (run / "multiple_experiments_summary.json").write_text(json.dumps({"all_stats": wrong}))
    assert "There are no figures of both" in text_of(diff_bytes(run, kinds["plain"], Language.ENGLISH, "0"))
    assert cli.main(["runs", "diff", str(run), str(kinds["plain"])]) == ExitCode.DONE


def test_it_is_written_once_compared_later_and_never_among_the_evidence(kinds: dict[str, Path], tmp_path: Path, capsys):
    first, second, place = kinds["plain"], kinds["collapse"], tmp_path / "d.html"
    words = ["runs", "diff", str(first), str(second), "--html"]
    assert cli.main([*words, str(place), "--check"]) == ExitCode.USAGE
    assert cli.main([*words, str(place)]) == ExitCode.DONE
    assert cli.main([*words, str(place)]) == ExitCode.USAGE
    assert cli.main([*words, str(place), "--check"]) == ExitCode.DONE
    assert cli.main([*words, str(place), "--check", "--lang", "zh"]) == ExitCode.VERIFY_FAILED
    before = sorted(first.iterdir())
    assert cli.main([*words, str(first / "d.html")]) == ExitCode.USAGE
    assert sorted(first.iterdir()) == before
    capsys.readouterr()
    for wrong, said in (
        (["--check"], "--check and --lang are of a page"),
        (["--lang", "zh"], "--check and --lang are of a page"),
        (["--html", str(tmp_path / "e.html"), "--lang", "fr"], "--lang fr: there are en and zh"),
    ):
        assert cli.main([*words[:-1], *wrong]) == ExitCode.USAGE
        assert said in capsys.readouterr().err
