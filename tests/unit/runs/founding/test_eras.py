"""Eras that the product ran: what they are founded on, and what verification, audit and replay say of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import EvidenceError, ExitCode
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import genome
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.auditing.audit_descent import audit_descent
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.pools.exposure import interval_of, meets, union
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.runs.replay import replay
from prometheus.v10.runs.request.profile import load_profile
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.workload import RunRequest, Surroundings
from tests.unit.runs.conftest import Watcher

PROFILE = """
mode = "offline"
evidence.compress = false
stage = "stage1"
workers = 1
[market]
source = "synthetic"
timeframe_s = 3600
seed = 7
bars = 2400
[window]
name = "E"
start = 100
len = 500
policy = "walk"
embargo = 50
[experiments]
count = 5
seed = 1
[world]
founders = 20
review_ticks = 100
death_roi = 0.0001
breed_roi = 0.01
[founding]
fresh = 1
null = 2
keep = 6
"""
ERAS = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with five eras of instance T; read by many tests and changed by none."""
    root = tmp_path_factory.mktemp("eras") / "root"
    profile = root.parent / "ERA.toml"
    profile.write_text(PROFILE)
    words = ["run", "--root", str(root), "--profile", str(profile), "--instance", "T", "--eras", str(ERAS)]
    assert cli.main(words) == ExitCode.DONE
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "root"))


def runs(root: Path) -> list[Path]:
    return sorted(Layout.under(root).lib.glob("runs_hf/HF_*"))


def manifest(run: Path) -> dict[str, Any]:
    return json.loads((run / "run_manifest.json").read_text())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def pool(root: Path) -> list[dict[str, Any]]:
    return lines(Layout.under(root).pool(Stage.STAGE1))


def by_era(root: Path) -> list[Path]:
    return sorted(runs(root), key=lambda run: manifest(run)["era"]["number"])


def test_each_era_has_the_next_bars_and_the_seeds_of_its_number(made):
    found = [manifest(run) for run in by_era(made)]
    assert [one["era"]["number"] for one in found] == list(range(ERAS))
    assert [one["window"]["start"] for one in found] == [100, 650, 1200, 1750, 100]
    assert [one["era"]["cycle"] for one in found] == [0, 0, 0, 0, 1]
    assert [one["market"]["source"] for one in found] == ["synthetic/1 seed=7"] * 4 + ["synthetic/1 seed=8"]
    assert [one["seeds"][0] for one in found] == [1, 6, 11, 16, 21]


def test_the_controls_are_part_of_every_era(made):
    for run in runs(made):
        assert manifest(run)["lines"] == ["inherit", "inherit", "fresh", "null", "null"]
        rows = json.loads((run / "multiple_experiments_summary.json").read_text())["all_stats"]
        assert [row["arm"] for row in rows] == ["A_real"] * 3 + ["B2_shuffle_returns"] * 2


def test_the_first_era_is_founded_at_random(made):
    for line in lines(by_era(made)[0] / "founders.jsonl"):
        assert (line["parents"], line["elites"], line["offspring"], line["newcomers"]) == ([], [], [], 20)


def test_founders_are_elites_offspring_and_newcomers_by_their_shares(made):
    counted = [
        (line["line"], len(line["elites"]), len(line["offspring"]), line["newcomers"])
        for run in by_era(made)[1:]
        for line in lines(run / "founders.jsonl")
    ]
    assert {one[1:] for one in counted if one[0] == "fresh"} == {(0, 0, 20)}
    inherited = [one for one in counted if one[0] != "fresh" and one[1]]
    assert inherited
    assert all(
        offspring == 10 and elites <= 5 and newcomers == 10 - elites for _, elites, offspring, newcomers in inherited
    )


def test_parents_are_records_of_the_prefix_of_the_same_line_and_of_an_era_before(made):
    records = {record["id"]: record for record in pool(made)}
    for run in by_era(made)[1:]:
        said = manifest(run)
        for line in lines(run / "founders.jsonl"):
            for parent in line["parents"]:
                record = records[parent["record_id"]]
                lineage = record["source"]["lineage"]
                assert record["genome_sha256"] == parent["genome_sha256"]
                assert record["n"] < said["founding"]["records"]
                assert (lineage["instance"], lineage["line"]) == ("T", line["line"])
                assert lineage["era"] < said["era"]["number"]


def test_elites_are_unchanged_and_newcomers_are_the_seeds_own(made):
    for run in by_era(made)[1:]:
        born: dict[tuple[int, int], str] = {}
        for name in ("death_events.jsonl", "survivors.jsonl"):
            for record in lines(run / name):
                born[record["experiment"], record["genome_index"]] = record["genome_sha256"]
        for line in lines(run / "founders.jsonl"):
            elites = [line["parents"][place]["genome_sha256"] for place in line["elites"]]
            assert [born[line["experiment"], k] for k in range(len(elites))] == elites
            drawn = genome.founders(line["seed"], 20).astype("<f4")
            first = 20 - line["newcomers"]
            wanted = [hashlib.sha256(row.tobytes()).hexdigest() for row in drawn[first:]]
            assert [born[line["experiment"], k] for k in range(first, 20)] == wanted


def test_exposure_is_the_parents_and_the_eras_own(made):
    stretches = {manifest(run)["era"]["number"]: interval_of(manifest(run)) for run in runs(made)}
    for record in pool(made):
        lineage = record["source"]["lineage"]
        exposure = lineage["exposure"]
        own = stretches[lineage["era"]]
        assert record["schema"] == "pool_record/2"
        assert own is not None
        assert meets(exposure, own)
        assert not any(meets(exposure, one) for era, one in stretches.items() if one and era > lineage["era"])
        assert [list(one) for one in union(exposure)] == exposure


def test_something_is_inherited_over_more_than_one_era(made):
    assert max(len(record["source"]["lineage"]["exposure"]) for record in pool(made)) >= 3


def test_verification_and_audit_pass(made):
    for run in runs(made):
        assert [one for one in verify_run(run).findings if one.level.value != "note"] == []
    report = audit(Layout.under(made))
    assert [one for one in report.findings if one.level.value != "note"] == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_inherited_era_replays_to_the_same_bytes(made, tmp_path, workers):
    found = replay(
        by_era(made)[3], Layout.under(made), tmp_path / "again", clock=SystemClock(), control=Watcher(),
        workers=workers,
    )  # fmt: skip
    assert [one for one in (found.verified, *found.comparisons) if not one.same] == []
    assert "founders.jsonl" in {one.name for one in found.comparisons}


def test_the_ledger_knows_the_next_era(made):
    assert ledger_now(Layout.under(made).ledger).eras == {"T": ERAS}


def again(root: Path, *, era: int, stop_after: int | None = None) -> Path:
    layout = Layout.under(root)
    journal = Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    around = Surroundings(layout=layout, clock=SystemClock(), control=Watcher(stop_after), journal=journal)
    profile = load_profile(root.parent / "ERA.toml", layout)
    return run_stage1(RunRequest(profile=profile, mode=Mode.OFFLINE, instance="T", era=era), around).path


def test_an_era_that_was_cut_off_is_done_again_on_the_same_founders(root):
    (root.parent / "ERA.toml").write_text(PROFILE)
    cut = again(root, era=ERAS, stop_after=30_000)
    assert manifest(cut)["status"] == "interrupted"
    assert ledger_now(Layout.under(root).ledger).eras == {"T": ERAS}
    whole = again(root, era=ERAS)
    assert ledger_now(Layout.under(root).ledger).eras == {"T": ERAS + 1}
    first, second = lines(cut / "founders.jsonl"), lines(whole / "founders.jsonl")
    assert first
    for one, other in zip(first, second, strict=False):
        assert {**one, "run_id": ""} == {**other, "run_id": ""}
    following = again(root, era=ERAS + 1)
    for run in (cut, whole, following):
        assert [one for one in verify_run(run).findings if one.level.value != "note"] == []
    descent = VerifyReport(root, "audit")
    audit_descent(Layout.under(root), descent)
    assert descent.findings == []


@pytest.mark.parametrize("era", [0, ERAS - 1, ERAS + 2])
def test_an_era_that_was_not_due_is_found(root, era):
    (root.parent / "ERA.toml").write_text(PROFILE)
    again(root, era=era)
    found = [one.what for one in audit(Layout.under(root)).findings]
    assert any(f"began era {era}, and era {ERAS} is due" in what for what in found)


def test_a_replay_says_that_the_pool_is_gone_shorter_or_another(root, tmp_path):
    run, place = by_era(root)[3], Layout.under(root).pool(Stage.STAGE1)
    kept = place.read_bytes()

    def said() -> str:
        with pytest.raises(EvidenceError) as caught:
            replay(run, Layout.under(root), tmp_path / "again", clock=SystemClock(), control=Watcher(), workers=1)
        return caught.value.message

    place.rename(place.with_name("elsewhere"))
    assert "is gone, and the founding names its first" in said()
    place.write_bytes(b"".join(kept.splitlines(keepends=True)[:20]))
    assert "holds 20 records, and the founding names" in said()
    place.write_bytes(kept.replace(b'"trades":', b'"tradez":', 1))
    assert "damaged at byte" in said() or "does not have the hash" in said()


def test_founders_that_are_not_in_the_pool_are_found(root):
    run = by_era(root)[3]
    place = run / "founders.jsonl"
    text = place.read_text()
    parents = json.loads(text.splitlines()[0])["parents"]
    place.chmod(0o640)
    other = next(record for record in pool(root) if record["source"]["lineage"]["line"] == "null")
    forged = text.replace(parents[0]["record_id"], other["id"], 1)
    assert forged != text
    place.write_text(forged)
    found = [one.what for one in audit(Layout.under(root)).findings]
    assert any(f"parent {other['id']}" in what for what in found)


def test_a_founder_elite_is_held_against_its_lines(root):
    run = by_era(root)[3]
    place = run / "founders.jsonl"
    text = place.read_text()
    digest = json.loads(text.splitlines()[0])["parents"][0]["genome_sha256"]
    place.chmod(0o640)
    place.write_text(text.replace(digest, "0" * 64, 1))
    found = [one.what for one in verify_run(run).findings]
    assert any("is an elite with genome 0000000000000000, its lines name another" in what for what in found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('fresh = 3\nnull = 2', "fresh + null = 5: expected less than [experiments] count (5)"),
        ("elites = 0.5", "elites + offspring + newcomers = 1.25: expected 1"),
        ('snapshot = "000000000001-00000000"\nnull = 1', "expected snapshot = newest"),
        ('parents = "roulette"', "parents"),
        ("eras = 0", "eras"),
        ('stage = "stage3"', "stage"),
        ('stage = "stage2"', "with stage = stage2, expected null_founders = inherit"),
        ('stage = "stage2"\npolicy = "random"', "stage = stage2 is of policy inherit, and policy is random"),
        ("fresh = -1", "fresh"),
        ("elites = nan", "elites"),
    ],
)  # fmt: skip
def test_a_founding_that_cannot_be_is_refused_in_one_line(tmp_path, capsys, change, said):
    keys = {line.split(" = ")[0] for line in change.splitlines()}
    kept = [line for line in PROFILE.splitlines() if line.split(" = ")[0] not in keys]
    profile = tmp_path / "X.toml"
    profile.write_text("\n".join([*kept, change]) + "\n")
    assert cli.main(["run", "--root", str(tmp_path / "root"), "--profile", str(profile)]) == ExitCode.CONFIG
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("error: ")]
    assert said in line
    assert not list(tmp_path.glob("root/runs_hf/*"))


def test_a_snapshot_that_is_not_there_is_refused(tmp_path, capsys):
    text = PROFILE.replace("null = 2", 'snapshot = "000000000001-00000000"')
    profile = tmp_path / "X.toml"
    profile.write_text(text)
    assert cli.main(["run", "--root", str(tmp_path / "root"), "--profile", str(profile)]) == ExitCode.CONFIG
    assert "there is no such snapshot of stage1" in capsys.readouterr().err


def test_a_walk_over_imported_bars_ends_with_one_line(tmp_path, capsys):
    hours = 1100
    rows = [f"{1_600_000_000 // 3600 * 3600 + 3600 * k},100,101,99,{100 + (k % 7) / 10},5" for k in range(hours)]
    bars = tmp_path / "bars.csv"
    bars.write_text("timestamp,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    root = str(tmp_path / "root")
    assert cli.main(["market", "import", str(bars), "few", "--root", root, "--symbol", "A"]) == ExitCode.DONE
    market = '[market]\nsource = "few"\n'
    text = PROFILE.replace(PROFILE[PROFILE.index("[market]") : PROFILE.index("[window]")], market)
    profile = tmp_path / "X.toml"
    profile.write_text(text)
    words = ["run", "--root", root, "--profile", str(profile), "--eras", "2", "--instance", "T"]
    capsys.readouterr()
    assert cli.main(words) == ExitCode.CONFIG
    assert "era 1 needs bars behind the last of 1100" in capsys.readouterr().err
    assert ledger_now(Layout.under(Path(root)).ledger).eras == {"T": 1}


def of_snapshot(root: Path, number: str) -> str:
    return PROFILE.replace("fresh = 1\nnull = 2\n", f'fresh = 1\nsnapshot = "{number}"\n')


def test_a_named_snapshot_founds_every_later_era(root, capsys):
    assert cli.main(["snapshot", "create", "--root", str(root)]) == ExitCode.DONE
    (place,) = Layout.under(root).snapshots(Stage.STAGE1).glob("snapshot_*.json")
    number = json.loads(place.read_text())["id"]
    (root.parent / "ERA.toml").write_text(of_snapshot(root, number))
    made = [again(root, era=ERAS + more) for more in range(6)]
    named = [{one["record_id"] for line in lines(run / "founders.jsonl") for one in line["parents"]} for run in made]
    assert all(named)
    assert {manifest(run)["founding"]["snapshot"] for run in made} == {number}
    descent = VerifyReport(root, "audit")
    audit_descent(Layout.under(root), descent)
    assert descent.findings == []
    for run in made:
        assert [one for one in verify_run(run).findings if one.level.value != "note"] == []


def test_a_snapshot_without_an_ancestor_is_refused(root, capsys):
    assert cli.main(["snapshot", "create", "--root", str(root)]) == ExitCode.DONE
    (place,) = Layout.under(root).snapshots(Stage.STAGE1).glob("snapshot_*.json")
    number = json.loads(place.read_text())["id"]
    profile = root.parent / "X.toml"
    profile.write_text(of_snapshot(root, number))
    words = ["run", "--root", str(root), "--profile", str(profile), "--instance", "OTHER"]
    capsys.readouterr()
    assert cli.main(words) == ExitCode.CONFIG
    assert f"snapshot = {number} of stage1 holds no record of line inherit of OTHER" in capsys.readouterr().err


def test_an_inherited_experiment_is_promoted_with_a_proof(root, tmp_path, capsys):
    latest = max(record["source"]["lineage"]["era"] for record in pool(root))
    record = next(one for one in reversed(pool(root)) if one["source"]["lineage"] == {
        **one["source"]["lineage"], "line": "inherit", "era": latest,
    })  # fmt: skip
    assert cli.main(["promote", "--root", str(root), "--genome-id", record["id"], "--json"]) == ExitCode.DONE
    assert '"proven"' in capsys.readouterr().out
    (run,) = Layout.under(root).lib.glob("runs/PROMOTE_*")
    assert manifest(run)["lines"] == ["inherit"]
    assert lines(run / "founders.jsonl")[0]["parents"]
    assert [one for one in verify_run(run).findings if one.level.value != "note"] == []
    found = replay(run, Layout.under(root), tmp_path / "again", clock=SystemClock(), control=Watcher(), workers=1)
    assert [one for one in (found.verified, *found.comparisons) if not one.same] == []
