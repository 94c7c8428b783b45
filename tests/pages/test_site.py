"""The site of an installation: what it says, that it is built once, and that it names what is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from attrs import evolve

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import RunPlace
from prometheus.v10.report.lifetimes import Life, figures_of
from prometheus.v10.report.pages.phrases import Language, Phrases
from prometheus.v10.report.pages.templating import render
from prometheus.v10.report.site import site_build
from prometheus.v10.report.site.deaths_by_time import by_time
from prometheus.v10.report.site.run_lines import RunLine, run_line
from prometheus.v10.report.site.site_place import SYSTEM_SITE, site_place
from prometheus.v10.report.site.survival_page import Named, survival_page
from prometheus.v10.report.strata import Stratum
from tests.pages.test_run_pages import text_of, well_formed

PAGES = (
    "index.html",
    "kpi.html",
    "progress.html",
    "runs/index.html",
    "exchange.html",
    "gates.html",
    "markets.html",
    "evidence.html",
)


def build(root: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    assert cli.main(["site", "build", "--root", str(root), "--json", *words]) == ExitCode.DONE
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def files(place: Path) -> dict[str, bytes]:
    return {str(one.relative_to(place)): one.read_bytes() for one in sorted(place.rglob("*")) if one.is_file()}


@pytest.fixture
def root(kinds: dict[str, Path], tmp_path: Path) -> Path:
    """The eras, in a copy."""
    return Path(shutil.copytree(kinds["walk"].parent.parent, tmp_path / "root"))


def test_a_site_is_built_once_and_its_pages_lead_to_each_other(root: Path, capsys):
    first = build(root, capsys=capsys)
    place = root / "site"
    assert first["site"] == str(place)
    assert set(PAGES) <= set(first["written"])  # type: ignore[call-overload]
    made = files(place)
    for name, data in made.items():
        if not name.endswith(".html"):
            continue
        well_formed(data)
        for target in re.findall(rb'href="([^"#:]+)"', data):
            there = os.path.normpath(place / Path(name).parent / target.decode())
            assert Path(there).is_file(), (name, target)
    again = build(root, capsys=capsys)
    assert (again["unchanged"], again["written"]) == (True, [])
    everything = build(root, "--all", capsys=capsys)
    assert everything["unchanged"] is False
    assert files(place) == made


def test_it_says_what_the_runs_say(root: Path, capsys):
    build(root, capsys=capsys)
    index = text_of((root / "site" / "index.html").read_bytes())
    ids = sorted(one.name for one in (root / "runs_hf").iterdir())
    assert len(ids) == 3
    for run_id in ids:
        assert run_id in index
        page = (root / "site" / "runs" / f"{run_id}.html").read_bytes()
        assert b"../index.html" in page
        summary = json.loads((root / "runs_hf" / run_id / "multiple_experiments_summary.json").read_text())
        roi = summary["summary_stats"]["system_roi"]["median"]
        assert f"{abs(roi) * 100:.2f} %" in index
    progress = text_of((root / "site" / "progress.html").read_bytes())
    assert "inherited against random founders" in progress
    kpi = text_of((root / "site" / "kpi.html").read_bytes())
    assert "ticks lived by 15 experiments" in kpi
    assert "All 3 runs that were verified here pass" in text_of((root / "site" / "evidence.html").read_bytes())


def test_a_flipped_byte_is_named_on_three_pages(root: Path, capsys):
    run = sorted((root / "runs_hf").iterdir())[1]
    place = run / "birth_events.jsonl"
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(bytes(data))
    build(root, capsys=capsys)
    index = text_of((root / "site" / "index.html").read_bytes())
    assert f"Runs that do not verify: {run.name}." in index
    assert run.name in text_of((root / "site" / "evidence.html").read_bytes()).partition("Begun and not sealed")[0]
    assert "verify: FAIL" in text_of((root / "site" / "runs" / f"{run.name}.html").read_bytes())


def test_a_run_that_changes_later_has_its_page_built_again(root: Path, capsys):
    build(root, capsys=capsys)
    run = sorted((root / "runs_hf").iterdir())[0]
    place = run / "death_events.jsonl"
    place.write_bytes(place.read_bytes() + b"{}\n")
    built = build(root, capsys=capsys)
    assert f"runs/{run.name}.html" in built["written"]  # type: ignore[operator]
    assert "index.html" in built["written"]  # type: ignore[operator]


def test_survival_shows_who_lives_on_and_where_another_release_began():
    first, second = (f"HF_20260101T00000{n}Z_{commit}_0000" for n, commit in enumerate(("aaaaaaa", "bbbbbbb")))
    lives = [Life(run, n, 90 + n, n % 2 == 0) for run in (first, second) for n in range(8)]
    stratum = Stratum("HF", "stage1", "A_real", None, "c" * 64, "d" * 64, "BTC", "e" * 64, None)
    later = Life(second, 9, 500, True)
    named = [Named(1, stratum, lives, figures_of(lives)), Named(2, stratum, [later], figures_of([later]))]
    render(survival_page(named, "as of entry 1", Phrases(Language.CHINESE)), Phrases(Language.CHINESE))
    said = text_of(render(survival_page(named, "as of entry 1", Phrases()), Phrases()))
    assert "Share of experiments that live on" in said
    assert "another release began the next stratum" in said
    assert f"each at the tick of its first run: bbbbbbb ({sum(life.ticks for life in lives[:8])})" in said


def newest_run(root: Path) -> str:
    """The run that began last: names end in seconds, and two runs may begin within one."""
    places = (root / "runs_hf").iterdir()
    return max(places, key=lambda run: json.loads((run / "run_manifest.json").read_bytes())["start_time"]).name


def test_a_build_makes_some_pages_and_the_next_ones_the_rest(root: Path, capsys):
    first = build(root, "--runs", "1", capsys=capsys)
    assert first["waiting"] == 2
    newest = newest_run(root)
    assert f"runs/{newest}.html" in first["written"]  # type: ignore[operator]
    second = build(root, "--runs", "1", capsys=capsys)
    assert second["waiting"] == 1
    assert build(root, capsys=capsys)["waiting"] == 0
    assert build(root, capsys=capsys)["unchanged"] is True


def test_what_waits_for_its_verification_is_counted(root: Path, capsys):
    build(root, "--runs", "1", capsys=capsys)
    assert "Not verified here yet: 2;" in text_of((root / "site" / "evidence.html").read_bytes())
    assert "runs verified here 1 of 3" in text_of((root / "site" / "index.html").read_bytes())
    build(root, capsys=capsys)
    assert "Not verified" not in text_of((root / "site" / "evidence.html").read_bytes())
    assert "runs verified here 3 of 3" in text_of((root / "site" / "index.html").read_bytes())


def lines_of(days: int) -> list[RunLine]:
    """A run a day, with as many deaths as its number, and a promoted one that repeats them."""
    made = []
    for n in range(days):
        day = date(2026, 1, 1) + timedelta(days=n)
        plain = RunLine(
            run_id=f"HF_{day:%Y%m%d}T000000Z_0123456_0000", instance="HF", stage="stage1", status="completed",
            started=f"{day}T00:00:00.000000Z", experiments=1, collapses=0, deaths=n, alive=1.0, roi=0.0,
            deaths_by_reason={"quarterly_review": n, "liquidation": 1},
        )  # fmt: skip
        made += [plain, evolve(plain, run_id=plain.run_id.replace("HF", "PROMOTE"), deaths_by_reason=None)]
    return [*made, evolve(made[0], deaths_by_reason=None), evolve(made[0], started="–")]


@pytest.mark.parametrize(
    ("days", "first", "deaths", "spans"),
    [(3, "2026-01-01", 0, 3), (16, "2026-01-01", 0, 16), (17, "2026-W01", 6, 3), (200, "2026-01", 465, 7)],
)
def test_deaths_are_counted_by_days_weeks_or_months_and_no_life_twice(days, first, deaths, spans):
    found = by_time(lines_of(days))
    assert (found[0][0], found[0][1]["quarterly_review"], len(found)) == (first, deaths, spans)
    assert sum(dead["liquidation"] for _, dead in found) == days


def test_a_run_that_is_gone_takes_its_page_along(root: Path, capsys):
    build(root, capsys=capsys)
    run = sorted((root / "runs_hf").iterdir())[0]
    shutil.rmtree(run)
    build(root, "--all", capsys=capsys)
    assert not (root / "site" / "runs" / f"{run.name}.html").exists()


def test_what_was_remembered_may_be_anything(root: Path, capsys):
    build(root, capsys=capsys)
    made = files(root / "site")
    for data in (
        b"",
        b"[]",
        b'{"runs": {"../../x": {}}, "basis": {}, "slow": ""}',
        b'{"runs": [], "basis": 3}',
        b"\xff",
    ):
        (root / "site" / "made.json").write_bytes(data)
        build(root, capsys=capsys)
        assert files(root / "site") == made


@pytest.mark.parametrize("name", ["cut off", "running", "stage 2", "tier 2", "damaged"])
def test_every_kind_of_installation_has_a_site_in_both_languages(kinds, tmp_path, name, capsys):
    root = kinds[name].parent.parent
    for lang in ("en", "zh"):
        build(root, "--out", str(tmp_path / lang), "--lang", lang, capsys=capsys)
        for page in PAGES:
            well_formed((tmp_path / lang / page).read_bytes())
    assert not (root / "site").exists()


def test_pages_that_read_every_run_wait_where_there_are_many(root: Path, monkeypatch, capsys):
    """With more runs than are few, survival and evolution are built once an hour of the ledger's time."""
    monkeypatch.setattr(site_build, "FEW", 2)
    build(root, capsys=capsys)
    place = root / "site"
    run = sorted((root / "runs_hf").iterdir())[0]
    with (run / "death_events.jsonl").open("ab") as stream:
        stream.write(b"{}\n")
    (place / "kpi.html").write_text("kept")
    assert "kpi.html" not in build(root, capsys=capsys)["written"]  # type: ignore[operator]
    made = json.loads((place / "made.json").read_text())
    made["slow"] = "2020-01-01T00:00:00.000000Z"
    (place / "made.json").write_text(json.dumps(made))
    with (run / "death_events.jsonl").open("ab") as stream:
        stream.write(b"{}\n")
    assert "kpi.html" in build(root, capsys=capsys)["written"]  # type: ignore[operator]


def test_a_build_reads_only_runs_that_are_new(root: Path, monkeypatch, capsys):
    build(root, capsys=capsys)
    read: list[str] = []

    def noted(place: RunPlace) -> RunLine:
        read.append(place.run_id)
        return run_line(place)

    monkeypatch.setattr(site_build, "run_line", noted)
    newest = newest_run(root)
    (root / "site" / "runs" / f"{newest}.html").unlink()
    build(root, capsys=capsys)
    assert read == [newest]


def test_an_empty_installation_has_a_site(tmp_path, capsys):
    (tmp_path / "root").mkdir()
    build(tmp_path / "root", capsys=capsys)
    assert "No instance has run here yet" in text_of((tmp_path / "root" / "site" / "index.html").read_bytes())


def test_a_wrong_root_is_refused(tmp_path, capsys):
    assert cli.main(["site", "build", "--root", str(tmp_path / "typo")]) == ExitCode.USAGE
    assert "there is no installation" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["runs_hf", "state", "pools"])
def test_a_site_is_never_built_among_the_evidence(root: Path, where: str, capsys):
    before = files(root)
    assert cli.main(["site", "build", "--root", str(root), "--out", str(root / where / "site")]) == ExitCode.USAGE
    assert files(root) == before


def test_where_says_how_to_look(root: Path, capsys):
    assert cli.main(["site", "where", "--root", str(root)]) == ExitCode.DONE
    said = capsys.readouterr().out
    assert "is not built yet" in said
    assert f"file://{root / 'site' / 'index.html'}" in said
    assert "127.0.0.1" in said
    assert site_place(Layout.system()) == SYSTEM_SITE


def test_the_audit_does_not_mind_a_site(root: Path, capsys):
    build(root, capsys=capsys)
    assert cli.main(["audit", "--root", str(root)]) == ExitCode.DONE
