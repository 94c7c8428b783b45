"""Cliff's delta, and figures that are read back from a real run."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.cli import main as cli
from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.report.cliff import cliffs_delta
from prometheus.v10.report.ecology import compare, read_ecology
from prometheus.v10.report.ecology_picture import draw

PROFILE = """
mode = "offline"
evidence.compress = false
workers = 1
[market]
timeframe_s = 300
seed = 7
bars = 2000
[experiments]
count = 3
arm = "{arm}"
[world]
review_ticks = 500
death_roi = -0.05
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One small run of each arm."""
    root = tmp_path_factory.mktemp("ecology") / "root"
    root.mkdir()
    for arm in ("A_real", "B2_shuffle_returns"):
        profile = root / f"{arm}.toml"
        profile.write_text(PROFILE.format(arm=arm))
        assert cli.main(["run", "--root", str(root), "--profile", str(profile)]) == 0
    found = sorted((root / "runs_hf").iterdir(), key=lambda run: read_ecology(run).arm)
    assert [read_ecology(run).arm for run in found] == ["A_real", "B2_shuffle_returns"]
    return found


def events(run, name):
    return [json.loads(line) for line in (run / name).read_text().splitlines()]


NUMBERS = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)


@given(NUMBERS, NUMBERS)
def test_cliffs_delta_counts_pairs(first, second):
    pairs = [(a > b) - (a < b) for a in first for b in second]
    assert cliffs_delta(first, second) == pytest.approx(sum(pairs) / len(pairs))
    assert cliffs_delta(second, first) == pytest.approx(-cliffs_delta(first, second))


def test_cliffs_delta_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing"):
        cliffs_delta([], [1.0])


def test_periods_account_for_everybody(runs):
    for run in runs:
        one = read_ecology(run)
        summary = json.loads((run / "multiple_experiments_summary.json").read_text())["all_stats"]
        assert [p.tick for p in one.periods] == [499, 999, 1499, 1999]
        assert one.periods[0].start == 300
        assert sum(p.bred for p in one.periods) == len(events(run, "birth_events.jsonl"))
        died = sum(p.died + p.liquidated + p.depleted for p in one.periods)
        assert died == len(events(run, "death_events.jsonl")) == sum(one.deaths.values())
        last = one.periods[-1]
        left = last.start - last.liquidated - last.depleted - last.died + last.bred
        assert left == sum(row["alive_agents"] for row in summary)
        for p, following in zip(one.periods, one.periods[1:], strict=False):
            assert p.start - p.liquidated - p.depleted - p.died + p.bred == following.start


def test_profit_before_costs_is_net_profit_and_every_cost(runs):
    one = read_ecology(runs[0])
    initial = json.loads((runs[0] / "run_manifest.json").read_text())["world"]["initial_total"]
    rows = json.loads((runs[0] / "multiple_experiments_summary.json").read_text())["all_stats"]
    for number, row in enumerate(rows):
        net = row["capital_triplet"]["current_total"] - initial
        assert one.figures["net"][number] == pytest.approx(net, abs=1e-6)
        assert one.figures["gross"][number] == pytest.approx(net + sum(row["costs"].values()), abs=1e-6)


def test_the_buried_are_split_into_profit_and_costs(runs):
    one = read_ecology(runs[0])
    removed = [e for e in events(runs[0], "death_events.jsonl") if e["death_reason"] == "quarterly_review"]
    parents = {(e["experiment"], e["parent_id"]) for e in events(runs[0], "birth_events.jsonl")}
    never = [e for e in removed if (e["experiment"], e["agent_id"]) not in parents]
    assert one.reviewed is not None
    assert one.reviewed.count == len(never)
    free = sum(
        e["final_capital"] + e["fees_paid"] + e["slippage_paid"] + e["funding_paid"] >= 0.95 * e["initial_capital"]
        for e in never
    )
    assert one.reviewed.spared_without_costs == pytest.approx(free / len(never))
    assert one.reviewed.never_traded == pytest.approx(sum(e["trades"] == 0 for e in never) / len(never))


def test_the_newborn_of_the_last_tick_count_as_nobody_who_never_traded(runs):
    one = read_ecology(runs[0])
    rows = json.loads((runs[0] / "multiple_experiments_summary.json").read_text())["all_stats"]
    assert rows[0]["ticks"] == 2000
    born = [e["experiment"] for e in events(runs[0], "birth_events.jsonl") if e["tick"] == 1999]
    assert born
    for number, row in enumerate(rows):
        lived = row["total_agents_ever"] - born.count(number)
        idle = row["zero_trade_share"] * lived
        assert idle == pytest.approx(round(idle))  # a share of those who lived, in whole agents
        assert one.figures["never_traded"][number] == row["zero_trade_share"]


def test_a_run_against_itself_is_no_difference(runs):
    one = read_ecology(runs[0])
    assert set(compare(one, one).values()) == {0.0}


def test_the_picture_has_a_mark_for_every_experiment(runs):
    found = [read_ecology(run) for run in runs]
    root = ET.fromstring(draw(found))  # noqa: S314
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 6
    assert draw(found) == draw([read_ecology(run) for run in runs])


@pytest.mark.parametrize("rois", [(0.0,), (-0.2, -0.2), (-0.5, 0.7), (1e-9, -1e-9), (5.0, -1.0)])
def test_every_mark_lies_within_the_picture(runs, rois):
    one = attrs.evolve(read_ecology(runs[0]), figures={"system_roi": rois})
    root = ET.fromstring(draw([one]))  # noqa: S314
    width = float(root.get("viewBox").split()[2])
    at = [float(mark.get("cx")) for mark in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert len(at) == len(rois)
    assert all(0.0 < x < width for x in at)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no run"):
        read_ecology(tmp_path)


def test_damaged_events_are_refused_by_name(runs, tmp_path):
    copy = tmp_path / runs[0].name
    copy.mkdir()
    for name in ("run_manifest.json", "multiple_experiments_summary.json", "birth_events.jsonl"):
        (copy / name).write_bytes((runs[0] / name).read_bytes())
    (copy / "death_events.jsonl").write_bytes(b'{"tick": 1}\n')
    with pytest.raises(EvidenceError, match="death_reason"):
        read_ecology(copy)


# ---- the command -----------------------------------------------------------------------------------------------------


def test_report_compares_two_runs_and_draws_once(runs, tmp_path, capsys):
    picture = tmp_path / "roi.svg"
    asked = ["report", *map(str, runs), "--svg", str(picture), "--json"]
    assert cli.main(asked) == 0
    said = json.loads(capsys.readouterr().out)
    assert [run["arm"] for run in said["runs"]] == ["A_real", "B2_shuffle_returns"]
    assert -1.0 <= said["cliffs_delta"]["system_roi"] <= 1.0
    ET.parse(picture)  # noqa: S314
    assert cli.main(asked) == 64
    assert "exists" in capsys.readouterr().err


def test_report_prints_every_table(runs, capsys):
    assert cli.main(["report", *map(str, runs)]) == 0
    out = capsys.readouterr().out
    for title in (
        "over experiments",
        "reviews",
        "deaths by reason",
        "collapses",
        "removed by a review",
        "Cliff's delta",
    ):
        assert title in out


def test_three_runs_are_refused(runs, capsys):
    assert cli.main(["report", *map(str, [*runs, runs[0]])]) == 64
    assert "expected one, or two" in capsys.readouterr().err
