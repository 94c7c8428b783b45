"""Forged histories on evidence that real runs wrote: hashes and chains are redone, and every forgery is found.

Each case is done to a copy of one small tree: two runs of a service, no snapshot. What is found is found by `audit`
alone unless a case says otherwise.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.chain import content_id, line_hash
from prometheus.v10.evidence.chains.ledger_line import entry_id
from prometheus.v10.evidence.records.canonical import canonical_bytes, canonical_line
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.ops.instance.instance_lock import Instance
from tests.callbacks import never
from tests.integration.conftest import Tree, small_profile

SERVICE = ("-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", "stage1", "--instance", "HF")


def serve(root: Path, runs: int = 1) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, *SERVICE, "--root", str(root), "--max-runs", str(runs)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=180)


def command(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-m", "prometheus.cli", *words, "--root", str(root)]
    return subprocess.run(asked, capture_output=True, text=True, check=False, timeout=180)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = Tree(tmp_path_factory.mktemp("forged") / "root")
    tree.write_profile(small_profile(workers=1, count=2, bars=1200, pause=0.0))
    ended = serve(tree.root, 2)
    assert ended.returncode == 0, ended.stderr
    report = audit(tree.layout)
    assert report.exit_code == 0, report.lines()
    return tree.root


@pytest.fixture
def layout(original: Path, tmp_path: Path) -> Layout:
    shutil.copytree(original, tmp_path / "root")
    return Layout.under(tmp_path / "root")


def records(pool: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pool.read_bytes().splitlines()]


def write_pool(pool: Path, kept: list[dict[str, Any]]) -> None:
    """The records as a good pool: ids, numbers and chain redone."""
    prev, lines = "0" * 64, []
    for n, record in enumerate(kept):
        rest = {k: v for k, v in record.items() if k not in {"id", "n", "prev", "genome_vector_342"}}
        line = canonical_line({**record, "id": content_id(canonical_bytes(rest)), "n": n, "prev": prev})
        prev = line_hash(line)
        lines.append(line)
    pool.write_bytes(b"".join(lines))


def entries(layout: Layout) -> list[dict[str, Any]]:
    return [json.loads(line) for line in layout.ledger.read_bytes().splitlines()]


def write_ledger(layout: Layout, kept: list[dict[str, Any]]) -> None:
    """The entries as a good ledger: ids, numbers and chain redone."""
    prev, lines = "0" * 64, []
    for n, entry in enumerate(kept):
        plain = {**entry, "n": n, "prev": prev}
        line = canonical_line({**plain, "id": entry_id(plain)})
        prev = line_hash(line)
        lines.append(line)
    layout.ledger.write_bytes(b"".join(lines))


def runs(layout: Layout) -> list[Path]:
    """The runs in the order in which they were sealed."""
    return [layout.lib / entry["payload"]["run_dir"] for entry in entries(layout) if entry["type"] == "run_sealed"]


def append_entry(layout: Layout, kind: str, payload: dict[str, Any]) -> None:
    known = entries(layout)
    write_ledger(layout, [*known, {**known[-1], "type": kind, "payload": payload, "null_reasons": {}}])


# ---- the cases: what is done, and what the audit says ----------------------------------------------------------------

CASES: dict[str, tuple[Callable[[Layout], None], str]] = {}


def case(name: str, says: str) -> Callable[[Callable[[Layout], None]], Callable[[Layout], None]]:
    def add(forge: Callable[[Layout], None]) -> Callable[[Layout], None]:
        CASES[name] = (forge, says)
        return forge

    return add


@case("the last record of the pool has another merit", "are not those that its seal names")
def _last_record(layout: Layout) -> None:
    pool = layout.pool(Stage.STAGE1)
    found = records(pool)
    found[-1]["metrics_summary"]["roi_lifetime"] = 124.0
    write_pool(pool, found)


@case("every record of the pool is invented", "are not those that its seal names")
def _all_records(layout: Layout) -> None:
    pool = layout.pool(Stage.STAGE1)
    found = records(pool)
    for record in found:
        record["metrics_summary"]["roi_lifetime"] += 1.0
    write_pool(pool, found)


@case("records of a run that never was are appended", "the ledger knows no such run as sealed")
def _invented_run(layout: Layout) -> None:
    pool = layout.pool(Stage.STAGE1)
    found = records(pool)
    for record in found[:5]:
        source = {**record["source"], "run_id": "HF_20260101T000000Z_nocommit_0000"}
        found.append({**record, "source": source})
    write_pool(pool, found)


@case("the records of a run are dropped", "are gone, and its seal names them")
def _dropped(layout: Layout) -> None:
    pool, last = layout.pool(Stage.STAGE1), runs(layout)[-1].name
    write_pool(pool, [record for record in records(pool) if record["source"]["run_id"] != last])


@case("the last record is cut off whole", "records are missing")
def _cut(layout: Layout) -> None:
    pool = layout.pool(Stage.STAGE1)
    pool.write_bytes(b"".join(pool.read_bytes().splitlines(keepends=True)[:-1]))


@case("a middle run is erased, its records stay", "the ledger knows no such run as sealed")
def _middle_run(layout: Layout) -> None:
    gone = runs(layout)[0]
    shutil.rmtree(gone)
    write_ledger(layout, [entry for entry in entries(layout) if entry["payload"].get("run_id") != gone.name])


@case("runs and ledger are gone, the pool stays", "no ledger: somebody took it away")
def _only_the_pool(layout: Layout) -> None:
    shutil.rmtree(layout.runs(Tier.TIER1_HF))
    layout.ledger.unlink()


@case("a tombstone for a Tier-1 run", "no policy may delete it: only whole Tier-2 runs may go")
def _tier_1_tombstone(layout: Layout) -> None:
    gone = runs(layout)[0]
    seal = next(entry["payload"]["seal"] for entry in entries(layout) if entry["type"] == "run_sealed")
    append_entry(layout, "retention_deletion", {
        "kind": "run", "run_id": gone.name, "path": f"runs_hf/{gone.name}", "sha256": seal, "bytes": 1,
        "reason": "old", "policy": "tier1_days",
    })  # fmt: skip
    shutil.rmtree(gone)


@case("a tombstone for a summary", "of a run's files only raw samples and event lines may go")
def _summary_tombstone(layout: Layout) -> None:
    place = runs(layout)[0] / "multiple_experiments_summary.json"
    append_entry(layout, "retention_deletion", {
        "kind": "file", "run_id": place.parent.name, "path": f"runs_hf/{place.parent.name}/{place.name}",
        "sha256": line_hash(place.read_bytes()), "bytes": 1, "reason": "old", "policy": "raw_days",
    })  # fmt: skip
    place.unlink()


@case("a promotion proven by a run that does not exist", "which the ledger does not have")
def _promotion(layout: Layout) -> None:
    append_entry(layout, "promotion", {
        "promotion": "p", "from_run_id": runs(layout)[0].name, "experiment": 0, "trigger": "top_roi", "detail": "x",
        "status": "proven", "run_id": "PROMOTE_20260101T000000Z_nocommit_0000",
    })  # fmt: skip


@case("an entry of an unknown type", "is no type of this ledger")
def _unknown_type(layout: Layout) -> None:
    append_entry(layout, "blessing", {"run_id": runs(layout)[0].name})


@case("an entry without meaning", "snapshot: bytes is missing")
def _no_meaning(layout: Layout) -> None:
    append_entry(layout, "snapshot", {"note": "x"})


@case("an entry with a path out of the tree", "which it cannot be")
def _path_out(layout: Layout) -> None:
    found = entries(layout)
    found[-1]["payload"]["run_dir"] = "../elsewhere"
    write_ledger(layout, found)


@case("a second installation entry", "a ledger has one")
def _second_installation(layout: Layout) -> None:
    append_entry(layout, "installation", entries(layout)[0]["payload"])


@case("a seal without a beginning", "no entry before says that it was begun")
def _no_beginning(layout: Layout) -> None:
    run = runs(layout)[-1].name
    write_ledger(layout, [
        entry for entry in entries(layout)
        if (entry["type"], entry["payload"].get("run_id")) != ("run_started", run)
    ])  # fmt: skip


@case("the same seeds twice", "its seeds repeat")
def _same_seeds(layout: Layout) -> None:
    found = entries(layout)
    [entry for entry in found if entry["type"] == "run_started"][1]["payload"]["run_counter"] = 0
    write_ledger(layout, found)


@case("the survival curve is edited", "does not follow the line before it")
def _edited_curve(layout: Layout) -> None:
    place = layout.state / "HF" / "collapse_intervals.jsonl"
    place.write_bytes(place.read_bytes().replace(b'"collapses":0', b'"collapses":1', 1))


@case("the survival curve is rewritten with a good chain", "the run's experiments lived")
def _rewritten_curve(layout: Layout) -> None:
    place = layout.state / "HF" / "collapse_intervals.jsonl"
    prev, total, lines = "0" * 64, 0, []
    for n, line in enumerate(place.read_bytes().splitlines()):
        record = json.loads(line)
        record["ticks"] += 1000
        total += record["ticks"]
        written = canonical_line({**record, "n": n, "prev": prev, "ticks_total": total})
        prev = line_hash(written)
        lines.append(written)
    place.write_bytes(b"".join(lines))


@case("the survival curve counts another stratum", "its strata are not")
def _other_stratum(layout: Layout) -> None:
    place = layout.state / "HF" / "collapse_intervals.jsonl"
    prev, lines = "0" * 64, []
    for n, line in enumerate(place.read_bytes().splitlines()):
        record = json.loads(line)
        named = {"stratum": "f" * 16, "strata": {"f" * 16: record["ticks_total"]}}
        lines.append(canonical_line({**record, **named, "n": n, "prev": prev}))
        prev = line_hash(lines[-1])
    place.write_bytes(b"".join(lines))


@case("the survival curve is deleted", "is gone")
def _no_curve(layout: Layout) -> None:
    (layout.state / "HF" / "collapse_intervals.jsonl").unlink()


@case("the survival curve is emptied", "not those that it had when")
def _empty_curve(layout: Layout) -> None:
    (layout.state / "HF" / "collapse_intervals.jsonl").write_bytes(b"")


@case("a link among the runs", "nothing else belongs here")
def _link(layout: Layout) -> None:
    (layout.runs(Tier.TIER1_HF) / "HF_20260101T000000Z_nocommit_0000").symlink_to(runs(layout)[0])


@case("a run in the roots of both tiers", "is there twice")
def _twice(layout: Layout) -> None:
    run = runs(layout)[0]
    shutil.copytree(run, layout.runs(Tier.TIER2_FULL) / run.name)


@case("a planted run", "the ledger does not know this run's seal")
def _planted(layout: Layout) -> None:
    run = runs(layout)[0]
    shutil.copytree(run, run.with_name(run.name[:-1] + ("0" if run.name[-1] != "0" else "1")))


@pytest.mark.parametrize("name", CASES)
def test_the_audit_finds_it_and_says_what(layout: Layout, name: str) -> None:
    forge, says = CASES[name]
    forge(layout)
    report = audit(layout)
    assert report.exit_code == 1, report.lines()
    assert says in "\n".join(report.lines())


def test_nothing_is_no_evidence(tmp_path: Path) -> None:
    for place in (tmp_path / "nowhere", tmp_path):
        assert command(place, "audit").returncode == 2
    assert subprocess.run(
        [sys.executable, "-m", "prometheus.cli", "audit", "--root", "/etc"], capture_output=True, check=False
    ).returncode == 2  # fmt: skip


# ---- what the suite refuses to take in ------------------------------------------------------------------------------


def test_no_snapshot_is_taken_of_records_that_no_run_claims(layout: Layout) -> None:
    _invented_run(layout)
    ended = command(layout.lib, "snapshot", "create")
    assert ended.returncode == 65
    assert "no snapshot is taken" in ended.stderr
    assert not list(layout.snapshots(Stage.STAGE1).glob("snapshot_*"))


def test_a_record_that_a_seal_vouches_for_is_never_given_to_another(layout: Layout) -> None:
    """A lying disk lost ten bytes of an acknowledged record: the next run refuses, and moves nothing."""
    pool = layout.pool(Stage.STAGE1)
    torn = pool.read_bytes()[:-10]
    pool.write_bytes(torn)
    ended = serve(layout.lib)
    assert ended.returncode == 65
    assert "the ledger vouches for" in ended.stderr
    assert pool.read_bytes() == torn
    assert not list(pool.parent.glob("*torn*"))
    assert audit(layout).exit_code == 1


@pytest.mark.parametrize("path", ["pools/stage1/pool.jsonl", "state/ledger.jsonl", "state/HF/collapse_intervals.jsonl"])
def test_a_torn_tail_that_nobody_vouches_for_is_moved_entered_and_told(layout: Layout, path: str) -> None:
    with (layout.lib / path).open("ab") as file:
        file.write(b'{"created_at":"half')
    ended = serve(layout.lib)
    assert ended.returncode == 0
    assert ended.stderr.startswith(f"warning: {layout.lib / path}: 19 bytes after byte ")
    said = [entry["payload"] for entry in entries(layout) if entry["type"] == "torn_tail"]
    assert [(one["path"], one["bytes"]) for one in said] == [(path, 19)]
    kept = layout.lib / said[0]["kept"]
    assert kept.read_bytes() == b'{"created_at":"half'
    report = audit(layout)
    assert report.exit_code == 0, report.lines()
    kept.chmod(0o640)
    kept.write_bytes(b'{"created_at":"full')
    assert audit(layout).exit_code == 1


def test_a_ledger_is_never_begun_where_there_is_a_past(layout: Layout) -> None:
    layout.ledger.unlink()
    commands = (
        ("run",), ("snapshot", "create"), ("retention", "--apply"), ("retention", "--dry-run"), ("ledger", "show"),
        ("ledger", "checkpoint"),
    )  # fmt: skip
    for ended in (serve(layout.lib), *(command(layout.lib, *words) for words in commands)):
        assert ended.returncode == 65
        assert "a ledger is never begun where there is a past" in ended.stderr
    assert not layout.ledger.exists()
    shutil.rmtree(layout.runs(Tier.TIER1_HF))
    shutil.rmtree(layout.pool(Stage.STAGE1).parent)
    ended = serve(layout.lib)
    assert ended.returncode == 65
    assert "there is a survival curve in" in ended.stderr


def test_a_planted_run_is_not_taken_in_by_the_next_start(layout: Layout) -> None:
    run = runs(layout)[0]
    planted = run.with_name(run.name[:-4] + "ffff")
    shutil.copytree(run, planted)
    manifest = (planted / "run_manifest.json").read_bytes().replace(run.name.encode(), planted.name.encode())
    (planted / "run_manifest.json").write_bytes(manifest)
    before = layout.ledger.read_bytes()
    ended = serve(layout.lib)
    assert ended.returncode == 65
    assert "does not say that this run was begun" in ended.stderr
    assert layout.ledger.read_bytes() == before


def test_a_run_sealed_and_not_entered_is_verified_and_adopted(layout: Layout) -> None:
    """The machine died between a run's seal and its ledger line."""
    found = entries(layout)
    assert found[-1]["type"] == "run_sealed"
    layout.ledger.write_bytes(b"".join(layout.ledger.read_bytes().splitlines(keepends=True)[:-1]))
    curve = layout.state / "HF" / "collapse_intervals.jsonl"
    curve.write_bytes(b"".join(curve.read_bytes().splitlines(keepends=True)[:-1]))
    (said,) = [one.what for one in audit(layout).findings if "does not know this run's seal" in one.what]
    assert said.endswith("; after a kill the next start of HF enters it")
    ended = serve(layout.lib)
    assert ended.returncode == 0, ended.stderr
    assert [entry["type"] for entry in entries(layout)].count("run_adopted") == 1
    report = audit(layout)
    assert report.exit_code == 0, report.lines()


def test_a_run_sealed_by_somebody_else_meanwhile_is_not_adopted(layout: Layout) -> None:
    place = runs(layout)[-1] / "death_events.jsonl"
    layout.ledger.write_bytes(b"".join(layout.ledger.read_bytes().splitlines(keepends=True)[:-1]))
    place.chmod(0o640)
    place.write_bytes(place.read_bytes()[:-1] + b" \n")
    ended = serve(layout.lib)
    assert ended.returncode == 65
    assert "carries a seal and does not verify" in ended.stderr


def test_a_lost_counter_repeats_no_seeds(layout: Layout, fake_clock) -> None:
    (layout.state / "HF" / "counter.json").unlink()
    with Instance(layout, "HF", fake_clock, never) as instance:
        assert instance.begin_run() == 2


# ---- honest trees ---------------------------------------------------------------------------------------------------


def test_an_audit_beside_a_working_service_raises_no_alarm(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "root")
    tree.write_profile(small_profile(workers=1, count=2, bars=600, pause=0.0))
    words = [sys.executable, *SERVICE, "--root", str(tree.root), "--max-runs", "12"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as working:
        tried = 0
        while working.poll() is None:
            report = audit(tree.layout, is_alive=lambda _: True)
            said = [line for line in report.lines() if not line.startswith("NOTE")]
            assert report.exit_code in {0, 2}, said
            assert report.exit_code == 0 or "nothing was audited" in "\n".join(said)
            tried += 1
    assert working.returncode == 0
    assert tried > 3
    assert audit(tree.layout).exit_code == 0


def test_a_tree_of_the_version_before_is_taken_over_with_one_entry(layout: Layout) -> None:
    """What a ledger without the installation's entry holds still verifies; the first start adds the entry."""
    old = []
    for entry in entries(layout):
        if entry["type"] in {"installation", "run_started"}:
            continue
        payload = {name: value for name, value in entry["payload"].items() if name != "pool"}
        old.append({**entry, "payload": payload})
    write_ledger(layout, old)
    assert audit(layout).exit_code == 0, audit(layout).lines()
    assert serve(layout.lib).returncode == 0
    assert [entry["type"] for entry in entries(layout)][-3:] == ["installation", "run_started", "run_sealed"]
    assert audit(layout).exit_code == 0, audit(layout).lines()
    assert verify_path(layout.ledger).exit_code == 0
