"""Eras that are founded on the verdicts of stage 2: who founds them, and what verification, audit and replay say."""

from __future__ import annotations

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
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.auditing.audit_descent import audit_descent
from prometheus.v10.evidence.pools.exposure import meets, union
from prometheus.v10.evidence.pools.snapshot import list_snapshots
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.service.snapshotting import take_snapshot
from prometheus.v10.runs.replay import replay
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.stage2.stage2_run import run_stage2
from prometheus.v10.runs.workload import RunRequest, Surroundings
from tests.unit.runs.conftest import Watcher
from tests.unit.runs.founding.test_eras import PROFILE as OF_STAGE1
from tests.unit.runs.founding.test_eras import by_era, lines, manifest, runs
from tests.unit.runs.founding.test_seen import JUDGE

JUDGED = OF_STAGE1.replace("keep = 6\n", 'keep = 6\nnull_founders = "inherit"\nstage = "stage2"\n')


def live(root: Path, profile: str, eras: int) -> int:
    place = root.parent / "ERA.toml"
    place.write_text(profile)
    words = ["run", "--root", str(root), "--profile", str(place), "--instance", "T", "--eras", str(eras)]
    return cli.main(words)


def judge(root: Path, **changes: Any) -> Path:
    """Freeze stage 1's pool, judge it, and freeze the verdicts."""
    layout, clock = Layout.under(root), SystemClock()
    journal = Journal.open(instance="J", mode=Mode.OFFLINE, stage=Stage.STAGE2, run_id=None)
    take_snapshot(layout, Stage.STAGE1, instance="J", clock=clock, journal=journal)
    profile = structure_config({**JUDGE, **changes}, Profile, source="judge")
    around = Surroundings(layout=layout, clock=clock, control=Watcher(), journal=journal)
    found = run_stage2(RunRequest(profile=profile, mode=Mode.OFFLINE, instance="J"), around).path
    take_snapshot(layout, Stage.STAGE2, instance="J", clock=clock, journal=journal)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose eras 2 and 3 are founded on verdicts; read by many tests and changed by none."""
    root = tmp_path_factory.mktemp("judged") / "root"
    assert live(root, JUDGED, 2) == ExitCode.DONE
    judge(root)
    assert live(root, JUDGED, 1) == ExitCode.DONE
    judge(root)
    assert live(root, JUDGED, 1) == ExitCode.DONE
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "root"))


def verdicts(root: Path) -> dict[str, dict[str, Any]]:
    return {record["id"]: record for record in lines(Layout.under(root).pool(Stage.STAGE2))}


def problems(root: Path) -> list[str]:
    return [one.what for one in audit(Layout.under(root)).findings if one.level.value != "note"]


def test_before_anybody_was_judged_eras_are_founded_at_random(made):
    for run in by_era(made)[:2]:
        assert manifest(run)["founding"] == {
            "policy": "inherit", "stage": "stage2", "snapshot": "000000000000-00000000", "records": 0, "head": "0" * 64,
        }  # fmt: skip
        assert all(line["newcomers"] == 20 for line in lines(run / "founders.jsonl"))


def test_parents_are_verdicts_on_the_inherited_line(made):
    known, folder = verdicts(made), Layout.under(made).snapshots(Stage.STAGE2)
    taken = list_snapshots(folder)
    for run, info in zip(by_era(made)[2:], taken, strict=True):
        said = manifest(run)
        assert said["founding"] == {
            "policy": "inherit", "stage": "stage2", "snapshot": info.id, "records": info.count, "head": info.head_hash,
        }  # fmt: skip
        parents = [parent for line in lines(run / "founders.jsonl") for parent in line["parents"]]
        assert parents
        for parent in parents:
            record = known[parent["record_id"]]
            lineage = record["metrics_summary"]["origin"]["lineage"]
            assert record["n"] < info.count
            assert record["genome_sha256"] == parent["genome_sha256"]
            assert (lineage["instance"], lineage["line"]) == ("T", "inherit")
            assert lineage["era"] < said["era"]["number"]
            assert record["metrics_summary"]["trades"] > 0


def test_the_best_verdict_is_the_first_elite(made):
    run = by_era(made)[2]
    prefix = manifest(run)["founding"]["records"]
    candidates = [
        one for one in verdicts(made).values()
        if one["n"] < prefix and one["metrics_summary"]["trades"] > 0
        and one["metrics_summary"]["origin"]["lineage"]["line"] == "inherit"
    ]  # fmt: skip
    best = max(candidates, key=lambda one: one["metrics_summary"]["roi_lifetime"])
    first = lines(run / "founders.jsonl")[0]
    assert first["parents"][first["elites"][0]]["record_id"] == best["id"]


def test_who_descends_from_a_judged_genome_has_seen_what_it_was_judged_on(made):
    windows = [("synthetic/1 seed=7", first, end) for _, first, end in judged_bars(made)]
    assert windows
    descended = []
    for record in lines(Layout.under(made).pool(Stage.STAGE1)):
        lineage = record["source"]["lineage"]
        if lineage["era"] == 2 and len(lineage["exposure"]) > 1:
            descended.append(record["id"])
            assert all(meets(lineage["exposure"], window) for window in windows)
    assert descended
    seen = {one["metrics_summary"]["origin"]["id"]: one["metrics_summary"]["origin"]["seen"]
            for one in verdicts(made).values()}  # fmt: skip
    assert all(seen[one] == ["LIVED", "NEW"] for one in descended)


def judged_bars(root: Path) -> list[list[Any]]:
    """What a verdict has beside what its genome had lived through."""
    lived = {one["id"]: one["source"]["lineage"]["exposure"] for one in lines(Layout.under(root).pool(Stage.STAGE1))}
    one = next(iter(verdicts(root).values()))["metrics_summary"]["origin"]
    return [bars for bars in one["lineage"]["exposure"] if bars not in lived[one["id"]]]


def test_verification_and_audit_pass(made):
    layout = Layout.under(made)
    for run in [*runs(made), *layout.lib.glob("runs_hf/STAGE2_*")]:
        assert [one for one in verify_run(run).findings if one.level.value != "note"] == []
    assert problems(made) == []


@pytest.mark.parametrize("era", [1, 2, 3])
def test_an_era_replays_to_the_same_bytes(made, tmp_path, era):
    found = replay(by_era(made)[era], Layout.under(made), tmp_path / "again", clock=SystemClock(), control=Watcher(),
                   workers=1)  # fmt: skip
    assert [one for one in (found.verified, *found.comparisons) if not one.same] == []


def test_a_replay_says_that_the_snapshot_is_gone_or_another(root, tmp_path):
    layout = Layout.under(root)
    run, (first, second) = by_era(root)[2], list_snapshots(layout.snapshots(Stage.STAGE2))
    kept = first.path.read_bytes()

    def said() -> str:
        with pytest.raises(EvidenceError) as caught:
            replay(run, layout, tmp_path / "again", clock=SystemClock(), control=Watcher(), workers=1)
        return caught.value.message

    first.path.unlink()
    assert said() == f"snapshot {first.id} of stage2, which the run was founded on, is gone"
    first.path.write_bytes(kept[: len(kept) // 2])
    assert f"records, and the founding names {first.count}: records are missing" in said()
    head, mark, tail = kept.rpartition(b'"trades":')
    first.path.write_bytes(head + mark + b"1" + tail)
    assert "does not have the hash" in said()
    first.path.write_bytes(second.path.read_bytes())  # a newer one holds its bytes, and more: the prefix is the same
    assert replay(run, layout, tmp_path / "again", clock=SystemClock(), control=Watcher(), workers=1).verified.same


def test_a_snapshot_that_the_ledger_does_not_know_founds_nothing(root, capsys):
    info = list_snapshots(Layout.under(root).snapshots(Stage.STAGE2))[-1]
    index = info.path.with_suffix(".json")
    index.chmod(0o644)
    index.write_text(index.read_text().replace(info.sha256, "0" * 64))
    capsys.readouterr()
    assert live(root, JUDGED, 1) == ExitCode.EVIDENCE_DAMAGED
    assert f"snapshot {info.id} has sha256" in capsys.readouterr().err


def test_verdicts_under_an_older_evaluation_found_nothing(root):
    judge(root, stage2={**JUDGE["stage2"], "windows": [{"name": "NEW", "start": 1300, "len": 400}]})
    newest = list_snapshots(Layout.under(root).snapshots(Stage.STAGE2))[-1]
    known = verdicts(root)
    evaluation = next(one for one in known.values() if one["n"] == newest.count - 1)["metrics_summary"]["verdict"]
    assert live(root, JUDGED, 1) == ExitCode.DONE
    run = by_era(root)[4]
    parents = [known[one["record_id"]] for line in lines(run / "founders.jsonl") for one in line["parents"]]
    assert parents
    assert {one["metrics_summary"]["verdict"]["evaluation"] for one in parents} == {evaluation["evaluation"]}


def changed(root: Path, change: Any) -> None:
    """Change the verdict that founds era 2. No hash is redone: the audit of descent looks at content."""
    place = Layout.under(root).pool(Stage.STAGE2)
    founder = lines(by_era(root)[2] / "founders.jsonl")[0]["parents"][0]["record_id"]
    found = lines(place)
    for record in found:
        if record["id"] == founder:
            change(record)
    place.write_text("".join(json.dumps(one, sort_keys=True, separators=(",", ":")) + "\n" for one in found))


def drop_lived(record: dict[str, Any]) -> None:
    lineage = record["metrics_summary"]["origin"]["lineage"]
    lineage["exposure"] = [list(one) for one in union(lineage["exposure"][-1:])]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record["metrics_summary"]["origin"]["lineage"].update(line="fresh"), "says line fresh; record"),
        (lambda record: record["metrics_summary"]["origin"]["lineage"].update(era=9), "says era 9; record"),
        (lambda record: record["metrics_summary"]["origin"].update(experiment=4), "says experiment 4; record"),
        (lambda record: record.update(genome_sha256="0" * 64), "says sha256 0000"),
        (lambda record: record["metrics_summary"]["origin"].update(id="0" * 32), "stage 1 has no record 0000"),
        (lambda record: record["metrics_summary"]["origin"].pop("lineage"), "is no record of an era in the pool"),
        (drop_lived, "has an exposure that is not canonical, or lacks bars of record"),
    ],
)
def test_a_verdict_that_founds_an_era_is_held_against_the_genome_that_it_judges(root, change, said):
    changed(root, change)
    report = VerifyReport(root, "audit")
    audit_descent(Layout.under(root), report)
    assert any(said in one.what for one in report.findings), [one.what for one in report.findings]


def test_a_run_that_leaves_out_some_lineages_is_found(root):
    layout = Layout.under(root)
    run = next(
        one for one in sorted(layout.lib.glob("runs_hf/STAGE2_*")) if manifest(one)["pool_appends"]["first_n"] == 0
    )
    place = layout.pool(Stage.STAGE2)
    found = lines(place)
    del found[1]["metrics_summary"]["origin"]["lineage"]
    place.write_text("".join(json.dumps(one, sort_keys=True, separators=(",", ":")) + "\n" for one in found))
    assert any("lineage" in one.what for one in verify_run(run).findings)


def test_an_experiment_that_verdicts_founded_is_promoted_with_a_proof(root, capsys):
    pool = lines(Layout.under(root).pool(Stage.STAGE1))
    record = next(
        one for one in pool if {**one["source"]["lineage"], "line": "inherit", "era": 3} == one["source"]["lineage"]
    )
    assert cli.main(["promote", "--root", str(root), "--genome-id", record["id"], "--json"]) == ExitCode.DONE
    assert '"proven"' in capsys.readouterr().out
    (run,) = Layout.under(root).lib.glob("runs/PROMOTE_*")
    assert [one for one in verify_run(run).findings if one.level.value != "note"] == []
    assert problems(root) == []


def test_founders_in_memory_have_no_verdicts(tmp_path, capsys):
    (profile := tmp_path / "X.toml").write_text(JUDGED)
    words = ["founding", "compare", "--profile", str(profile), "--root", str(tmp_path / "root"), "--runs", "1"]
    assert cli.main(words) == ExitCode.CONFIG
    assert "[founding] stage = stage2: eras in memory have no verdicts" in capsys.readouterr().err
