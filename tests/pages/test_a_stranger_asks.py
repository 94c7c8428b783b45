"""A stranger is given months of history and asks 25 questions; commands and pages alone answer them, in 80 columns.

What is expected is read from the installation's files by this test, or known from how it was made. The installation
has 40 runs, or ``PQ_STRANGER_RUNS`` (`make torture` asks for 300).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from attrs import frozen

from prometheus.cli import main as cli
from prometheus.v10.base.modes import Tier
from tests.integration.faults.support import how_many
from tests.pages.stranger_root import LEAST_RUNS, House, make
from tests.pages.test_run_pages import text_of

WIDTH = 80


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The installation, its index and its site with a page for every run."""
    made = make(tmp_path_factory.mktemp("stranger") / "root", how_many("STRANGER_RUNS", LEAST_RUNS))
    made.ask("index", "build")
    made.ask("site", "build", "--runs", "1000")
    return made


@frozen
class Looked:
    """What a person can look at: commands in a terminal of 80 columns, and pages in a browser."""

    house: House
    capsys: pytest.CaptureFixture[str]

    def command(self, *words: str, code: int = 0) -> str:
        """What a command prints; no line of a table is cut."""
        self.capsys.readouterr()
        found = cli.main([*words, "--root", str(self.house.root)])
        said = self.capsys.readouterr()
        assert found == code, (words, said.out, said.err)
        assert "…" not in said.out
        return said.out + said.err

    def page(self, name: str) -> str:
        """The words of a page of the site."""
        return text_of((self.house.root / "site" / f"{name}.html").read_bytes())


@pytest.fixture
def look(house, capsys, monkeypatch) -> Looked:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    return Looked(house, capsys)


# ---- the truth, from the files ---------------------------------------------------------------------------------------


def record(house: House, run_id: str, name: str) -> Any:
    folder = house.layout.runs(Tier.TIER2_FULL if run_id.startswith("PROMOTE") else Tier.TIER1_HF) / run_id
    return json.loads((folder / name).read_text())


def summaries(house: House) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every run of the service that has a summary, with its rows."""
    for run_id in house.ids:
        if run_id != house.killed:
            yield run_id, record(house, run_id, "multiple_experiments_summary.json")["all_stats"]


def in_month(house: House, month: str) -> list[str]:
    return [one for one in house.ids if one.split("_")[1].startswith(month)]


def records(house: House) -> list[dict[str, Any]]:
    return lines_of(house.root / "pools" / "stage1" / "pool.jsonl")


def entries(house: House) -> list[dict[str, Any]]:
    return lines_of(house.layout.ledger)


def lines_of(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.read_text().splitlines()]


def has(text: str, *parts: str) -> None:
    flat = re.sub(r"\s+", " ", text)
    missing = [part for part in parts if part not in flat]
    assert not missing, f"{missing} not in:\n{text}"


# ---- does it live? ---------------------------------------------------------------------------------------------------


def what_runs_now(look: Looked, house: House) -> None:
    text = look.command("status")
    has(text, "instance HF", "instance BTC_1H", "state inactive", "kill switch not pulled")
    has(look.page("index"), "Nothing is at work.")


def what_was_the_last_run(look: Looked, house: House) -> None:
    has(look.command("runs", "list", "--limit", "1"), house.ids[-1], "completed")
    has(look.page("index"), house.ids[-1])


def do_its_populations_live(look: Looked, house: House) -> None:
    rows = dict(summaries(house))[house.ids[-1]]
    living = sum(row["alive_agents"] > 0 for row in rows)
    alive = median(row["alive_agents"] for row in rows)
    has(
        look.command("runs", "show", "latest"),
        f"{living} of {len(rows)} populations live at the end, median {alive:g} agents",
    )
    has(look.page(f"runs/{house.ids[-1]}"), f"{living} of {len(rows)} populations live at the end.")


def how_many_runs_are_there(look: Looked, house: House) -> None:
    count = len(house.ids) + 1
    has(look.command("runs", "list"), f"20 of {count + 1} runs are shown; --limit {count + 1} shows all")
    has(look.command("runs", "list", "--where", "deleted=1"), f"{house.deleted} deleted", "1 run as of")
    has(look.page("runs/index"), f"{count} runs, {count} with a page.")


def how_long_does_the_disk_last(look: Looked, house: House) -> None:
    has(look.command("status"), "used of a budget of 4.0 GiB", "must stay free")
    has(look.page("index"), "of 4.3 GB", "budget full on")
    months = Counter(f"{one[3:7]}-{one[7:9]}" for one in house.ids)
    months[f"{house.promoted[8:12]}-{house.promoted[12:14]}"] += 2  # the deleted one was there, too
    has(look.command("index", "ask", "disk_by_month"), *(f"{month} {count}" for month, count in months.items()))


# ---- why do they die? ------------------------------------------------------------------------------------------------


def what_killed_them_in_the_last_run_with_deaths(look: Looked, house: House) -> None:
    run_id, rows = [(name, rows) for name, rows in summaries(house) if sum(row["deaths"] for row in rows)][-1]
    reviewed = sum(row["deaths_by_reason"]["quarterly_review"] for row in rows)
    has(look.command("runs", "show", run_id), "why they died", f"review {reviewed}")
    has(look.page(f"runs/{run_id}"), "Why they die", f"{reviewed}")


def what_killed_them_week_by_week(look: Looked, house: House) -> None:
    weeks = Counter[str]()
    for run_id, rows in summaries(house):
        began = date.fromisoformat(run_id.split("_")[1][:8])
        weeks[began.strftime("%Y-%W")] += sum(row["deaths"] for row in rows)
    text = look.command("index", "ask", "deaths_by_week")
    for week, deaths in weeks.items():
        assert re.search(rf"^ *{week} .* {deaths}$", text, re.MULTILINE), (week, deaths, text)


def what_killed_them_altogether(look: Looked, house: House) -> None:
    total, by_month = Counter[str](), Counter[str]()
    for run_id, rows in summaries(house):
        for row in rows:
            total.update(row["deaths_by_reason"])
            by_month[f"{run_id[3:7]}-{run_id[7:9]}"] += row["deaths"]
    page = look.page("index")
    has(page, f"{total.total():,} deaths: review {total['quarterly_review']:,}")
    has(page, *(f"{month} {count}" for month, count in by_month.items()))


def which_deaths_were_odd(look: Looked, house: House) -> None:
    odd = {one: house.layout.runs(Tier.TIER1_HF) / one / "interesting_deaths.jsonl" for one in house.ids}
    run_id = [one for one, place in odd.items() if place.is_file() and place.read_text()][-1]
    first = lines_of(odd[run_id])[0]
    has(look.page(f"runs/{run_id}"), first["pattern"], first["detail"])
    has(look.command("index", "ask", "interesting_deaths"), run_id, first["detail"])


def what_did_the_collapsed_run_die_of(look: Looked, house: House) -> None:
    rows = dict(summaries(house))[house.collapsed]
    first = min(row["collapse"]["tick"] for row in rows)
    has(look.page(f"runs/{house.collapsed}"), "0 of 6 populations live at the end.", "6 collapsed", "extinction")
    has(look.command("index", "ask", "collapses"), f"{house.collapsed} 0 extinction {first}")


# ---- do intervals between collapses lengthen? ------------------------------------------------------------------------


def which_runs_collapsed(look: Looked, house: House) -> None:
    collapsed = [name for name, rows in summaries(house) if any(row["collapse"]["detected"] for row in rows)]
    assert house.collapsed in collapsed
    text = look.command("runs", "list", "--where", "collapses>0")
    assert re.findall(r"HF_\S+", text) == collapsed[::-1]


def do_the_intervals_lengthen(look: Looked, house: House) -> None:
    rows = dict(summaries(house))[house.collapsed]
    ticks = sum(row["ticks"] for row in rows)
    text = look.command("kpi")
    (number,) = re.findall(rf"^ *(\d+) +{len(rows)} +{len(rows)} +{ticks} ", text, re.MULTILINE)
    assert re.search(rf"^ *{number} .*(lengthening|no trend shown|shortening)$", text, re.MULTILINE), text
    has(text, "too few to say")
    has(look.page("kpi"), "Whether intervals lengthen:", "too few to say")


def how_many_ticks_were_lived(look: Looked, house: House) -> None:
    ticks = sum(row["ticks"] for _, rows in summaries(house) for row in rows)
    experiments = sum(len(rows) for _, rows in summaries(house))
    collapses = sum(row["collapse"]["detected"] for _, rows in summaries(house) for row in rows)
    has(look.page("kpi"), f"{collapses} collapses in {ticks:,} ticks lived by {experiments} experiments.")


def at_which_rate(look: Looked, house: House) -> None:
    text = look.command("index", "ask", "collapse_rates")
    assert re.search(r"^HF +stage1 .* 1 +300 +6 +20,000$", text, re.MULTILINE), text


def does_anything_accumulate(look: Looked, house: House) -> None:
    has(look.command("progress"), "no era")
    has(look.page("progress"), "No era is on record")


# ---- is the evidence whole? ------------------------------------------------------------------------------------------


def which_run_is_damaged(look: Looked, house: House) -> None:
    text = look.command("audit", code=1)
    has(text, f"{house.damaged}/death_events.jsonl: its sha256 is not the sealed one")
    assert {one for one in re.findall(r"(?:HF|PROMOTE)_\w+", text) if one != house.damaged} == set()
    has(look.page("index"), f"Runs that do not verify: {house.damaged}.", "1 do not pass")
    has(look.page(f"runs/{house.damaged}"), "verify: FAIL", "death_events.jsonl: its sha256 is not the sealed one")
    has(look.page("evidence"), f"1 of {len(house.ids) + 1} runs that were verified here do not pass.", house.damaged)


def is_the_rest_whole(look: Looked, house: House) -> None:
    has(look.command("verify", house.promoted), "PASS")
    whole = [one for one in house.ids if one != house.damaged]
    for run_id in [*whole[:3], house.stopped, house.killed, house.collapsed]:
        has(look.page(f"runs/{run_id}"), "verify: PASS")


def which_runs_were_interrupted(look: Looked, house: House) -> None:
    text = look.command("runs", "list", "--status", "interrupted")
    assert re.findall(r"HF_\S+", text) == sorted([house.stopped, house.killed], reverse=True)
    has(look.command("index", "ask", "newest_not_completed"), f"{house.stopped} HF interrupted sigterm")


def how_did_the_killed_run_end(look: Looked, house: House) -> None:
    closed = record(house, house.killed, "interrupted.json")
    text = look.command("runs", "show", house.killed)
    has(text, "interrupted: the process that wrote this run ended before it could seal it", closed["detected_at"])
    has(look.page(f"runs/{house.killed}"), "cut off", closed["detected_at"])
    has(look.page("evidence"), "Every run that was begun is sealed.")


def what_was_deleted(look: Looked, house: House) -> None:
    for text in (look.command("index", "ask", "deleted"), look.page("evidence")):
        has(text, f"runs/{house.deleted}", "superseded by another promotion")


def what_ran_since_the_checkpoint(look: Looked, house: House) -> None:
    place = Path(f"{house.root}.checkpoint")
    size = place.read_text().splitlines()[1]
    sealed = [one["payload"]["run_id"] for one in entries(house)[int(size) :] if one["type"] == "run_sealed"]
    text = look.command("index", "ask", "runs_since_entry", size, "--limit", "400")
    assert re.findall(r"HF_\S+", text) == sealed
    has(look.command("ledger", "check", str(place)), "the ledger agrees with the checkpoint")


# ---- what ran in March? ----------------------------------------------------------------------------------------------


def what_ran_in_march(look: Looked, house: House) -> None:
    march = in_month(house, "202603")
    text = look.command("runs", "list", "--since", "2026-03", "--until", "2026-03", "--limit", "400")
    assert re.findall(r"HF_\S+", text) == march[::-1]
    has(text, f"{len(march)} runs")


def what_ran_on_the_imported_bars(look: Looked, house: House) -> None:
    text = look.command("runs", "list", "--market", "BTC-USDT", "--limit", "400")
    assert re.findall(r"HF_\S+", text) == house.on_bars[::-1]
    sha256 = record(house, house.on_bars[0], "run_manifest.json")["market"]["sha256"]
    has(look.page("markets"), "BTC-USDT", "500", sha256[:16])
    has(look.command("runs", "list", "--market", sha256, "--limit", "1"), f"1 of {len(house.on_bars)} runs")


def what_changed_between_two_releases(look: Looked, house: House) -> None:
    plain = [one for one in house.ids if one not in {*house.on_bars, house.collapsed, house.stopped, house.killed}]
    text = look.command("runs", "diff", plain[0], plain[-1])
    has(text, "different image, seeds")
    releases = Counter[str]()
    for run_id in plain:
        releases[record(house, run_id, "run_manifest.json")["image_digest"][7:19]] += 1
    asked = look.command("index", "ask", "same_config_other_release")
    has(asked, *(f"{image} {count}" for image, count in releases.items()))


def where_is_the_best_genome_from(look: Looked, house: House) -> None:
    best = max(records(house), key=lambda one: (one["metrics_summary"]["roi_lifetime"], one["n"]))
    source = best["source"]["run_id"]
    has(look.command("pool", "best", "--limit", "1"), f"{best['n']:,}", source[-4:])
    has(look.command("genome", "find", best["genome_sha256"][:8]), f"{best['n']:,}", source[-4:])
    has(look.command("genome", "show", str(best["n"])), source, best["genome_sha256"])
    has(look.command("runs", "show", house.promoted), "promoted from HF_")
    has(look.page(f"runs/{house.promoted}"), "promoted from HF_", "proven: the replay is the same")


Question = Callable[[Looked, House], None]
QUESTIONS: tuple[Question, ...] = (
    what_runs_now, what_was_the_last_run, do_its_populations_live, how_many_runs_are_there, how_long_does_the_disk_last,
    what_killed_them_in_the_last_run_with_deaths, what_killed_them_week_by_week, what_killed_them_altogether,
    which_deaths_were_odd, what_did_the_collapsed_run_die_of,
    which_runs_collapsed, do_the_intervals_lengthen, how_many_ticks_were_lived, at_which_rate, does_anything_accumulate,
    which_run_is_damaged, is_the_rest_whole, which_runs_were_interrupted, how_did_the_killed_run_end, what_was_deleted,
    what_ran_since_the_checkpoint,
    what_ran_in_march, what_ran_on_the_imported_bars, what_changed_between_two_releases, where_is_the_best_genome_from,
)  # fmt: skip


def test_there_are_25_questions():
    assert len(set(QUESTIONS)) == 25


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.__name__.replace("_", " "))
def test_a_stranger_is_answered(question: Question, look: Looked, house: House):
    question(look, house)


def test_a_glance_at_the_terminal_says_what_is_wrong(look: Looked, house: House):
    """One look of ``watch``: the switch, collapses on record, how full the disk is, and the last run."""
    text = look.command("watch", "--once")
    curve = lines_of(house.layout.state / "HF" / "collapse_intervals.jsonl")
    count = sum(one["type"] == "collapse" for one in curve)
    has(text, "switch not pulled", f"collapses {count}", "disk", f"{house.ids[-1]} completed")
    assert max(map(len, text.splitlines())) <= WIDTH
