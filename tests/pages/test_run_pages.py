"""The page of a run: every kind has one, it says what the run's files say, and nothing in a run can act in it."""

from __future__ import annotations

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from prometheus.cli import main as cli
from prometheus.cli.research.views.page_command import page_of
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.report.pages.phrases import Language, Phrases
from prometheus.v10.report.pages.run_page import run_page
from prometheus.v10.report.pages.run_read import RunRead, read_run
from prometheus.v10.report.pages.run_verified import Verified
from prometheus.v10.report.pages.templating import render
from tests.forger.house import do_run

NAMES = (
    "plain", "collapse", "walk", "stopped", "no death", "stage 2", "tier 2", "running", "cut off", "damaged",
)  # fmt: skip
MOST_BYTES = 600_000
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Nesting(HTMLParser):
    """Holds every element against the one that ends it, and keeps what a page may not have."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.forbidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if tag in {"script", "iframe", "object", "embed", "form", "base"}:
            self.forbidden.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.forbidden.append(f"{tag} {name}")
            if name in {"href", "src", "xlink:href"} and not re.match(r"#|data:,$|[\w./-]+\.html(#|$)", str(value)):
                self.forbidden.append(f"{tag} {name}={value}")
            if name == "id":
                self.ids.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def well_formed(data: bytes) -> Nesting:
    found = Nesting()
    found.feed(data.decode())
    found.close()
    assert found.open == []
    assert found.forbidden == []
    assert len(found.ids) == len(set(found.ids))
    return found


@pytest.fixture(scope="session")
def pages(kinds: dict[str, Path]) -> dict[str, bytes]:
    return {name: page_of(run, Language.ENGLISH) for name, run in kinds.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_run_has_a_page(pages: dict[str, bytes], kinds: dict[str, Path], name: str):
    data = pages[name]
    assert {"population", "deaths", "money", "evidence"} <= set(well_formed(data).ids)
    assert len(data) <= MOST_BYTES
    assert kinds[name].name.encode() in data
    assert b"Undefined" not in data
    assert b"None" not in data


@pytest.mark.parametrize("name", NAMES)
def test_a_second_build_gives_the_same_bytes_and_chinese_has_every_sentence(pages, kinds, name):
    assert page_of(kinds[name], Language.ENGLISH) == pages[name]
    chinese = page_of(kinds[name], Language.CHINESE)
    well_formed(chinese)
    assert b'lang="zh-Hans"' in chinese


def text_of(data: bytes) -> str:
    body = re.sub(r"<style>.*?</style>", "", data.decode(), flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)))


SAID = {
    "plain": ["3 of 3 populations live at the end", "completed", "verify: PASS"],
    "collapse": ["0 of 3 populations live at the end", "3 collapsed; the first after", "extinction"],
    "walk": ["era 2", "Lines of this era", "inherit"],
    "stopped": ["stopped", "A stop ended the run early"],
    "no death": ["Nobody died in this run", "3 of 3 populations live"],
    "stage 2": ["stage 2", "snapshot judged", "no common time to draw"],
    "tier 2": ["Tier 2, full evidence", "proven: the replay is the same", "The population lives at the end"],
    "running": ["still going on, or was cut off", "there is no summary of them"],
    "cut off": ["its process ended before it could seal itself", "multiple_experiments_summary.json"],
    "damaged": ["verify: FAIL", "death_events.jsonl: 1 lines that cannot be read"],
}


@pytest.mark.parametrize("name", NAMES)
def test_the_head_says_how_it_stands(pages: dict[str, bytes], name: str):
    text = text_of(pages[name])
    for sentence in SAID[name]:
        assert sentence in text, text[:1500]


def test_figures_are_those_of_the_files(pages: dict[str, bytes], kinds: dict[str, Path]):
    rows = json.loads((kinds["plain"] / "multiple_experiments_summary.json").read_text())["all_stats"]
    text = text_of(pages["plain"])
    for row in rows:
        roi = f"{abs(row['system_roi']) * 100:.2f} %"
        assert roi in text
    assert f"{sum(row['deaths'] for row in rows)}" in text
    seal = (kinds["plain"] / "SHA256SUMS.txt").read_text()
    for line in seal.splitlines():
        digest, _, name = line.partition("  ")
        assert digest in text
        assert name in text


def test_a_run_that_keeps_no_series_has_its_living_drawn(kinds: dict[str, Path], tmp_path: Path):
    copy = Path(shutil.copytree(kinds["plain"], tmp_path / kinds["plain"].name))
    (copy / "population_series.jsonl").unlink()
    text = text_of(page_of(copy, Language.ENGLISH))
    assert "This run keeps no series of its money" in text
    assert "Agents alive" in text
    assert "System return" not in text


HOSTILE = "\"'><script>alert(1)</script></style><img src=x onerror=alert(1)>{{7*7}}\u202e"


def test_nothing_in_a_run_can_act_in_its_page(kinds: dict[str, Path], tmp_path: Path):
    copy = Path(shutil.copytree(kinds["walk"], tmp_path / kinds["walk"].name))
    place = copy / "run_manifest.json"
    manifest = json.loads(place.read_text())
    manifest["market"]["symbol"] = manifest["instance"] = manifest["window"]["name"] = HOSTILE
    manifest["lines"] = [HOSTILE] * len(manifest["lines"])
    manifest["null_reasons"] = {HOSTILE: HOSTILE}
    place.write_text(json.dumps(manifest))
    telemetry = json.loads((copy / "gating_telemetry.json").read_text())
    telemetry["counters"] = {HOSTILE + name: one for name, one in telemetry["counters"].items()}
    (copy / "gating_telemetry.json").write_text(json.dumps(telemetry))
    for name, field in (("interesting_deaths.jsonl", "detail"), ("birth_events.jsonl", "founder_id")):
        lines = [json.loads(line) for line in (copy / name).read_text().splitlines()]
        (copy / name).write_text("".join(json.dumps({**line, field: HOSTILE}) + "\n" for line in lines))
    sums = (copy / "SHA256SUMS.txt").read_text()
    (copy / "SHA256SUMS.txt").write_text(sums + f"{HOSTILE}  {HOSTILE.replace('/', '_')}\n")
    data = page_of(copy, Language.ENGLISH)
    well_formed(data)
    assert b"<script" not in data.lower()
    assert b"<img" not in data.lower()
    assert data.count(b"</style>") == 1
    assert html.escape("<script>alert(1)") in data.decode()
    assert "\u202e" not in data.decode()
    assert "{{7*7}}" in text_of(data)


@pytest.mark.parametrize("wrong", [None, [{"a": "x"}], 10**30])
def test_a_manifest_of_any_shape_gives_a_page(kinds, tmp_path, wrong):
    copy = Path(shutil.copytree(kinds["plain"], tmp_path / kinds["plain"].name))
    place = copy / "run_manifest.json"
    manifest = json.loads(place.read_text())
    whole = read_run(copy)
    for name in sorted(manifest):
        well_formed(page_without_verify(evolve(whole, manifest={**manifest, name: wrong})))
    for name in sorted(manifest["world"]):
        changed = {**manifest, "world": {**manifest["world"], name: wrong}}
        well_formed(page_without_verify(evolve(whole, manifest=changed)))


def page_without_verify(run: RunRead) -> bytes:
    words = Phrases()
    return render(run_page(run, Verified(word="PASS"), words), words)


def test_a_large_run_has_a_small_page(tmp_path: Path, record_property):
    changes: dict[str, dict[str, Any]] = {
        "world": {"founders": 160, "review_ticks": 100, "death_roi": 0.0001}, "window": {"len": 210},
        "experiments": {"count": 100}, "evidence": {"order_sample_one_in": 0},
    }  # fmt: skip
    run = do_run(tmp_path, changes)
    deaths = (run / "death_events.jsonl").read_bytes().count(b"\n")
    data = page_of(run, Language.ENGLISH)
    assert deaths >= 15_000
    assert len(data) <= MOST_BYTES
    well_formed(data)
    record_property("figure", f"a page of 100 experiments and {deaths:,} deaths: {len(data):,} bytes")


# ---- on the command line ---------------------------------------------------------------------------------------------


def test_a_page_is_written_once_and_outside(kinds: dict[str, Path], tmp_path: Path, capsys):
    page = tmp_path / "run.html"
    assert cli.main(["report", str(kinds["plain"]), "--html", str(page)]) == ExitCode.DONE
    assert page.read_bytes() == page_of(kinds["plain"], Language.ENGLISH)
    assert cli.main(["report", str(kinds["plain"]), "--html", str(page), "--check"]) == ExitCode.DONE
    assert cli.main(["report", str(kinds["collapse"]), "--html", str(page), "--check"]) == ExitCode.VERIFY_FAILED
    assert cli.main(["report", str(kinds["plain"]), "--html", str(page)]) == ExitCode.USAGE
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["run", "pools", "state", "runs_hf"])
def test_a_page_never_lands_among_the_evidence(kinds: dict[str, Path], where: str, capsys):
    run = kinds["plain"]
    root = run.parent.parent
    page = (run if where == "run" else root / where) / "page.html"
    assert cli.main(["report", str(run), "--html", str(page)]) == ExitCode.USAGE
    assert "name a place outside" in capsys.readouterr().err
    assert not page.exists()


PICTURE_BESIDE = ["--html", "x.html", "--svg", "y.svg"]


@pytest.mark.parametrize("words", [["--html", "x.html", "--lang", "fr"], ["--lang", "zh"], ["--check"], PICTURE_BESIDE])
def test_what_cannot_be_meant_is_refused(kinds: dict[str, Path], words: list[str], tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", str(kinds["plain"]), *words]) == ExitCode.USAGE
    assert list(tmp_path.iterdir()) == []
