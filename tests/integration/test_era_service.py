"""Eras of a real service: killed at any moment, it loses none, repeats none, and every ancestor stays on record."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from tests.integration.conftest import Service, Tree

PROFILE = """
mode = "offline"
evidence.compress = false
workers = 2
[market]
source = "synthetic"
timeframe_s = 3600
seed = 7
bars = 4000
[window]
name = "E"
start = 0
len = 900
policy = "walk"
[experiments]
count = 6
[world]
founders = 30
review_ticks = 150
death_roi = 0.0001
breed_roi = 0.01
[founding]
fresh = 1
null = 1
[pool]
survivors = 6
[service]
pause_seconds = 0.0
[disk]
keep_free_bytes = 1048576
"""


def completed(tree: Tree) -> list[int]:
    """The eras of sealed, completed runs, in the order in which they were begun."""
    started = ledger_now(tree.layout.ledger)
    whole = {run for run, seals in started.seals.items() if seals[-1]["status"] == "completed"}
    return [begun.payload["era"] for run, begun in started.started.items() if run in whole]


def test_eras_of_a_killed_service_come_once_each_and_in_order(tree, start, times):
    tree.write_profile(PROFILE)
    draw = random.Random(5)
    kills = times("ERA_KILLS", 2)
    for _ in range(kills):
        service: Service = start()
        before = len(tree.runs())
        service.wait_until(lambda known=before: len(tree.runs()) > known, "a run")
        time.sleep(draw.uniform(0.0, 1.5))
        service.signal(signal.SIGKILL)
        service.process.communicate()
    assert start("--max-runs", "3").end() == (0, "")
    eras = completed(tree)
    assert eras == list(range(len(eras)))
    assert len(eras) >= 3
    assert ledger_now(tree.layout.ledger).eras == {"HF": len(eras)}
    tree.assert_in_order()
    assert [one for one in audit(tree.layout).findings if one.level.value != "note"] == []
    records = {r["id"]: r for r in map(json.loads, tree.pool_bytes().decode().splitlines())}
    for place in tree.layout.lib.glob("runs_hf/*/founders.jsonl"):  # a run that was killed at once has none
        for line in place.read_text().splitlines():
            for parent in json.loads(line)["parents"]:
                assert records[parent["record_id"]]["genome_sha256"] == parent["genome_sha256"]


def hours(path: Path, first: int, last: int) -> Path:
    """A file of hourly bars."""
    rows = [f"{1_600_000_000 // 3600 * 3600 + 3600 * k},100,101,99,{100 + (k % 7) / 10},5" for k in range(first, last)]
    path.write_text("timestamp,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    return path


def few_bars(tree: Tree, tmp_path: Path, at_end: str) -> None:
    """A market with bars for two eras, and a profile that walks over it."""
    bars = hours(tmp_path / "bars.csv", 0, 2000)
    words = ["market", "import", str(bars), "few", "--root", str(tree.layout.lib), "--symbol", "A"]
    assert cli.main(words) == ExitCode.DONE
    first, last = PROFILE.index("[market]"), PROFILE.index("[window]")
    text = PROFILE[:first] + '[market]\nsource = "few"\n' + PROFILE[last:]
    tree.write_profile(text.replace('policy = "walk"', f'policy = "walk"\nat_end = "{at_end}"'))


def test_a_walk_that_has_used_all_bars_ends_the_service(tree, start, tmp_path):
    few_bars(tree, tmp_path, "stop")
    assert start().end() == (0, "")
    assert completed(tree) == [0, 1]


def test_a_service_waits_for_bars_goes_on_when_they_come_and_stops_when_it_is_told(tree, start, tmp_path):
    few_bars(tree, tmp_path, "wait")
    service = start()
    service.wait_until(lambda: tree.layout.ledger.exists() and len(completed(tree)) == 2, "two eras")
    time.sleep(0.5)
    assert service.process.poll() is None
    later = hours(tmp_path / "later.csv", 1_900, 2_800)
    assert cli.main(["market", "add", "few", str(later), "--root", str(tree.layout.lib)]) == ExitCode.DONE
    service.wait_until(lambda: len(completed(tree)) == 3, "the era of the bars that were added")
    service.signal(signal.SIGTERM)
    assert service.end()[0] == 0
    assert completed(tree) == [0, 1, 2]
    assert [tree.manifest(run)["market"]["rows"] for run in sorted(tree.runs())] == [2_000, 2_000, 2_800]


def test_a_walk_begins_again_where_the_profile_says_so(tree, start, tmp_path):
    few_bars(tree, tmp_path, "again")
    assert start("--max-runs", "3").end() == (0, "")
    runs = sorted((tree.manifest(run) for run in tree.runs()), key=lambda one: one["era"]["number"])
    assert [(one["era"]["cycle"], one["window"]["start"]) for one in runs] == [(0, 0), (0, 900), (1, 0)]
