"""Promotion: the replay of one experiment with the whole chain of evidence, and the proof that it is the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ConfigError, EvidenceError, UsageError
from prometheus.v10.base.files import FILES
from prometheus.v10.base.modes import Mode, RunPrefix, Stage, Tier
from prometheus.v10.base.names import Artifact, LedgerEntryType, required
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import exchange
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.ledger import Ledger, iter_entries
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.evidence.records.codec import to_json_bytes
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.writing.environment import probe
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.seal import read_seal
from prometheus.v10.ops.retention.compression import pack_file
from prometheus.v10.ops.retention.history import read_history, read_sealed
from prometheus.v10.ops.service import promotion as queue
from prometheus.v10.ops.service.promotion import by_id, of_record, top
from prometheus.v10.runs.control import RunOutcome
from prometheus.v10.runs.promote import promote_run as promote
from prometheus.v10.runs.promote.promote_run import Promotion, ReplayDiffersError, require_named_code
from prometheus.v10.runs.replay import replay
from prometheus.v10.runs.workload import RunRequest, Surroundings
from tests.callbacks import never

from .conftest import Watcher, do_run, profile
from .stage2_house import do_judge, journal, judge, with_snapshot

CLOCK = SystemClock()


def request(layout: Layout, instance: str = "PROMOTE") -> Promotion:
    return of_record(top(layout.pool(Stage.STAGE1), 1, "roi")[0], instance, "top_roi", "a test", CLOCK)


def with_own_id(one: Promotion) -> Promotion:
    return evolve(one, id=queue.own_ids(one)[0])


def pack(layout: Layout, run: RunOutcome, name: str) -> None:
    """Compress one file of a run as retention does."""
    history = read_history(layout)
    sealed = history.runs[run.run_id]
    ledger = Ledger(layout.ledger, clock=CLOCK, instance="T", on_torn=never)
    pack_file(
        layout, sealed, read_sealed(layout, sealed), name, policy="a test", history=history, ledger=ledger, files=FILES
    )


def put(layout: Layout, one: Promotion) -> Path:
    queue.enqueue(one, layout, clock=CLOCK, journal=journal())
    return queue.queue_folder(layout, one.instance) / f"{one.id}.json"


def drain(layout: Layout, name: str = "PROMOTE", control: Watcher | None = None) -> RunOutcome:
    return queue.run_next(asked_of(name), around(layout, control or Watcher(), journal()))


def asked_of(name: str) -> RunRequest:
    return RunRequest(profile=profile(), mode=Mode.OFFLINE, instance=name)


def around(layout: Layout, control: Watcher, heard: Journal) -> Surroundings:
    return Surroundings(layout=layout, clock=CLOCK, control=control, journal=heard)


@pytest.fixture
def source(layout: Layout) -> RunOutcome:
    return do_run(layout, profile())


def test_a_promotion_leaves_the_whole_chain_and_its_proof(layout: Layout, source: RunOutcome, tmp_path: Path) -> None:
    one = request(layout)
    place = put(layout, one)
    outcome = drain(layout)
    assert outcome.path.parent == layout.runs(Tier.TIER2_FULL)
    assert outcome.run_id.startswith("PROMOTE_")
    for artifact in required(Tier.TIER2_FULL):
        assert (outcome.path / artifact.file_name(run_id=outcome.run_id)).is_file(), artifact
    assert verify_path(outcome.path).exit_code == 0, verify_path(outcome.path).lines()
    assert audit(layout).exit_code == 0, audit(layout).lines()
    said = json.loads((outcome.path / Artifact.MANIFEST).read_text())["promotion"]
    proof = said["proof"]
    assert (proof["same"], proof["genome"], proof["differences"], proof["missing"]) == (True, True, [], {})
    assert set(proof["compared"]) == {"deaths", "births", "summary", "genome", "life"}
    assert all(count > 0 for count in proof["compared"].values())
    assert said["proof"]["deaths"] > 0
    assert (said["from_run_id"], said["trigger"]) == (source.run_id, "top_roi")
    assert not place.exists()
    kept = json.loads((queue.queue_folder(layout, queue.DONE) / place.name).read_text())
    assert kept["outcome"] == {"run_id": outcome.run_id}
    again = replay(outcome.path, layout, tmp_path / "again", clock=CLOCK, control=Watcher(), workers=1)
    assert again.identical, again.comparisons
    assert len(again.comparisons) > 15


def test_both_runs_are_exempt_from_retention(layout: Layout, source: RunOutcome) -> None:
    put(layout, request(layout))
    assert source.run_id in read_history(layout).promoted
    outcome = drain(layout)
    assert {source.run_id, outcome.run_id} <= read_history(layout).promoted
    said = [e.payload for e in iter_entries(layout.ledger) if e.type == LedgerEntryType.PROMOTION.value]
    assert [payload["status"] for payload in said] == ["queued", "proven"]
    seal = read_seal(outcome.path)
    assert seal is not None
    assert (said[1]["run_id"], said[1]["seal"]) == (outcome.run_id, seal.sha256)


def test_the_artifacts_say_the_same_of_every_life(layout: Layout, source: RunOutcome) -> None:
    put(layout, request(layout))
    run = drain(layout)
    behaviors = json.loads((run.path / Artifact.BEHAVIORS.file_name(run_id=run.run_id)).read_text())
    genomes = np.load(run.path / Artifact.GENOMES.file_name(run_id=run.run_id))
    assert genomes.shape == (len(behaviors), 342)
    assert [row["genome_index"] for row in behaviors] == list(range(len(behaviors)))
    deaths = [json.loads(line) for line in (run.path / Artifact.DEATHS).read_text().splitlines()]
    dead = {row["agent_id"]: row for row in behaviors if not row["is_alive"]}
    assert dead.keys() == {event["agent_id"] for event in deaths}
    for event in deaths:
        row = dead[event["agent_id"]]
        assert row["genome_sha256"] == event["genome_sha256"]
        assert row["age_ticks"] == event["age_ticks"]
        assert row["final_capital"] == event["final_capital"]
    children = sum(row["children"] for row in behaviors)
    assert children == len((run.path / Artifact.BIRTHS).read_text().splitlines())


def test_the_trace_has_every_tick_and_every_order_that_was_sent(layout: Layout, source: RunOutcome) -> None:
    put(layout, request(layout))
    run = drain(layout)
    parts = sorted(run.path.glob("decision_trace_part_*.jsonl"))
    lines = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    assert [line["tick"] for line in lines] == list(range(500))
    asked = sum(len(line["agent_detail"]) for line in lines[:-1])
    orders = [
        record
        for part in sorted(run.path.glob("m_execution_raw_part_*.json"))
        for record in json.loads(part.read_text())
    ]
    sent = [order for order in orders if order["kind"] in {"entry", "exit"}]
    # An exit that found no volume is asked for once and sent until it is filled; here none waited.
    assert len(sent) == asked > 0
    assert all(line["entering"] + line["leaving"] == len(line["agent_detail"]) for line in lines)


def test_positions_are_rebuilt_from_fills_to_the_lot(layout: Layout, source: RunOutcome) -> None:
    put(layout, request(layout))
    run = drain(layout)
    held = json.loads((run.path / Artifact.POSITIONS_SNAPSHOT).read_text())
    rebuilt = [
        record
        for part in sorted(run.path.glob("positions_reconstruction_raw_part_*.json"))
        for record in json.loads(part.read_text())
    ]
    assert rebuilt
    assert {record["residual_lots"] for record in rebuilt} == {0.0}
    assert sum(record["position_lots"] for record in rebuilt) == held["net_lots"]
    assert {p["agent_id"] for p in held["positions"]} == {r["agent_id"] for r in rebuilt if r["position_lots"]}
    assert exchange.SETTLEMENT == 4  # what is left out of the reconstruction


def test_asking_twice_is_asking_once(layout: Layout, source: RunOutcome) -> None:
    one = request(layout)
    put(layout, one)
    assert queue.enqueue(one, layout, clock=CLOCK, journal=journal())[1] == "queued before"
    assert queue.waits_in("PROMOTE")(profile(), layout, never)
    drain(layout)
    assert not queue.waits_in("PROMOTE")(profile(), layout, never)
    assert queue.enqueue(request(layout), layout, clock=CLOCK, journal=journal())[1] == "done before"
    with pytest.raises(UsageError, match="no promotion waits"):
        drain(layout)


def test_a_stop_leaves_the_request_and_the_next_start_does_it(layout: Layout, source: RunOutcome) -> None:
    place = put(layout, request(layout))
    stopped = drain(layout, control=Watcher(stop_after=500))
    assert stopped.status == "interrupted"
    assert verify_path(stopped.path).exit_code == 0, verify_path(stopped.path).lines()
    assert place.exists()
    assert drain(layout).status == "completed"
    assert not place.exists()


def test_a_pattern_among_deaths_promotes_its_experiment(layout: Layout) -> None:
    do_run(
        layout,
        profile(
            world={"death_roi": 0.5, "breed_roi": 0.6},
            interesting={"deaths_at_least": 2, "mass_death_review_share": 0.1},
        ),
    )
    found = queue.patterns(layout, "mass_death_cluster", 2)
    assert len(found) == 2
    place = put(layout, queue.of_pattern(found[0], "AUDIT", CLOCK))
    outcome = drain(layout, "AUDIT")
    assert outcome.run_id.startswith(RunPrefix.AUDIT.value)
    said = json.loads((outcome.path / Artifact.MANIFEST).read_text())["promotion"]
    assert said["trigger"] == "mass_death_cluster"
    assert said["proof"]["deaths"] > 0
    assert not place.exists()
    with pytest.raises(UsageError, match="no trigger"):
        queue.patterns(layout, "boredom", 1)


def test_a_verdict_of_stage_2_goes_back_to_the_genomes_own_run(layout: Layout) -> None:
    origin, _ = with_snapshot(layout)
    do_judge(layout, judge())
    best = top(layout.pool(Stage.STAGE2), 1, "survival")[0]
    one = of_record(best, "PROMOTE", "top_survival", "a test", CLOCK)
    assert one.from_run_id == origin.run_id
    put(layout, one)
    assert drain(layout).status == "completed"


def test_the_best_are_the_best(layout: Layout, source: RunOutcome) -> None:
    pool = layout.pool(Stage.STAGE1)
    records = list(iter_records(pool))
    by_roi = top(pool, 3, "roi")
    rois = sorted({record.metrics_summary["roi_lifetime"] for record in records}, reverse=True)
    assert [record.metrics_summary["roi_lifetime"] for record in by_roi] == rois[:3]
    assert all(record.metrics_summary["survived"] for record in top(pool, 2, "survival"))
    assert len({record.genome_sha256 for record in top(pool, 50, "roi")}) == len(top(pool, 50, "roi"))
    assert by_id(pool, by_roi[0].id) == by_roi[0]
    with pytest.raises(UsageError, match="no record"):
        by_id(pool, "nobody")


# ---- what cannot be promoted -----------------------------------------------------------------------------------------


def test_a_replay_that_differs_fails_and_says_what_differs(layout: Layout, source: RunOutcome) -> None:
    """The pool speaks of another life: the run is sealed as evidence, the promotion is not entered as proven."""
    one = request(layout)
    record: dict[str, Any] = one.record or {}
    metrics = {**record["metrics_summary"], "final_capital": 1.25}
    place = put(layout, with_own_id(evolve(one, record={**record, "metrics_summary": metrics})))
    with pytest.raises(ReplayDiffersError, match=r"final_capital: the pool says 1\.25") as caught:
        drain(layout)
    assert caught.value.exit_code == 1
    assert not place.exists()
    failed = json.loads((queue.queue_folder(layout, queue.FAILED) / place.name).read_text())
    assert failed["outcome"]["exit_code"] == 1
    run = next(layout.runs(Tier.TIER2_FULL).iterdir())
    assert verify_path(run).exit_code == 0
    assert json.loads((run / Artifact.MANIFEST).read_text())["promotion"]["proof"]["same"] is False
    said = [e.payload["status"] for e in iter_entries(layout.ledger) if e.type == LedgerEntryType.PROMOTION.value]
    assert said == ["queued", "not_proven"]


def test_the_figure_by_which_a_genome_was_chosen_is_compared(layout: Layout, source: RunOutcome) -> None:
    one = request(layout)
    record: dict[str, Any] = one.record or {}
    metrics = {**record["metrics_summary"], "roi_lifetime": 99.0}
    put(layout, with_own_id(evolve(one, record={**record, "metrics_summary": metrics})))
    with pytest.raises(ReplayDiffersError, match=r"roi_lifetime: the pool says 99\.0"):
        drain(layout)


def test_a_compressed_source_is_compared_all_the_same(layout: Layout, source: RunOutcome) -> None:
    place = put(layout, request(layout))
    pack(layout, source, Artifact.DEATHS)
    outcome = drain(layout)
    proof = json.loads((outcome.path / Artifact.MANIFEST).read_text())["promotion"]["proof"]
    assert proof["same"]
    assert proof["deaths"] > 0
    assert not place.exists()


def test_what_cannot_be_compared_is_not_proven(
    layout: Layout, source: RunOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source's deaths vanish after it was verified: there is nothing to prove with, and the ledger says so."""
    verified = promote.open_source

    def lose(one: Promotion, where: Layout) -> Any:
        found = verified(one, where)
        (source.path / Artifact.DEATHS).unlink()
        return found

    place = put(layout, request(layout))
    monkeypatch.setattr(promote, "open_source", lose)
    with pytest.raises(ReplayDiffersError, match="deaths could not be compared") as caught:
        drain(layout)
    assert caught.value.exit_code == 1
    assert not place.exists()
    said = [e.payload for e in iter_entries(layout.ledger) if e.type == LedgerEntryType.PROMOTION.value]
    assert [payload["status"] for payload in said] == ["queued", "not_proven"]
    assert "deaths could not be compared" in said[1]["reason"]


def strip(tree: dict[str, Any]) -> None:
    tree.update(record=None, genome_index=None)
    tree["null_reasons"] = {"record": "no pool record is promoted", "genome_index": "a whole experiment"}


REFUSED = {
    "stripped": strip,
    "another instance": lambda tree: tree.update(instance="HF"),
    "a path": lambda tree: tree.update(from_run_id="../../../.."),
    "another trigger": lambda tree: tree.update(trigger="genome_id"),
    "another experiment": lambda tree: tree.update(experiment=tree["experiment"] + 1),
    "below zero": lambda tree: tree.update(experiment=-1),
    "another figure": lambda tree: tree["record"]["metrics_summary"].update(roi_lifetime=99.0),
    "no record": lambda tree: tree.update(record={"id": [1]}),
    "a list": lambda tree: tree.update(record=[1]),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_a_request_that_is_not_what_its_id_says_is_moved_aside_and_the_queue_goes_on(
    layout: Layout, source: RunOutcome, change: Any
) -> None:
    first = put(layout, request(layout))
    tree = json.loads(first.read_text())
    change(tree)
    first.write_text(json.dumps(tree))
    assert queue.pending(layout, "PROMOTE") == []
    assert not first.exists()
    assert json.loads(first.with_name(f"{first.name}.refused").read_text()) == tree


def test_a_request_with_an_id_of_its_own_that_was_never_queued_is_refused(layout: Layout, source: RunOutcome) -> None:
    one = request(layout)
    place = put(layout, one)
    other = with_own_id(evolve(one, trigger="genome_id"))
    planted = place.with_name(f"{other.id}.json")
    planted.write_bytes(to_json_bytes(evolve(other, requested_at="2020-01-01T00:00:00Z")))
    assert drain(layout).status == "completed"
    assert not place.exists()
    assert planted.with_name(f"{planted.name}.refused").exists()


def test_unreadable_files_do_not_block_the_queue(layout: Layout, source: RunOutcome) -> None:
    place = put(layout, request(layout))
    os.mkfifo(place.with_name("00.json"))
    place.with_name("01.json").write_bytes(b"\xff{")
    place.with_name("02.json").write_bytes(b"[" * 100_000)
    place.with_name("03.json").mkdir()
    place.with_name("04.json").symlink_to("/etc/passwd")
    assert drain(layout).status == "completed"
    assert sorted(one.name for one in place.parent.iterdir()) == [f"0{k}.json.refused" for k in range(5)]


def test_a_run_that_does_not_verify_is_not_promoted(layout: Layout, source: RunOutcome) -> None:
    with (source.path / Artifact.DEATHS).open("ab") as file:
        file.write(b"{}\n")
    before = sorted(layout.lib.rglob("*"))
    with pytest.raises(EvidenceError, match="does not verify"):
        put(layout, request(layout))
    assert [p for p in sorted(layout.lib.rglob("*")) if p.name != "retention.lock"] == before


def test_a_run_whose_bars_are_gone_is_not_promoted(layout: Layout, tmp_path: Path) -> None:
    bars = tmp_path / "bars.csv"
    rows = ["timestamp,open,high,low,close,volume"]
    rows += [f"{1609459200 + 3600 * n},{100 + n % 7},{106 + n % 7},{98},{101 + n % 5},{50000}" for n in range(600)]
    bars.write_text("\n".join(rows) + "\n")
    do_run(layout, profile(market={"source": str(bars), "symbol": "BTCUSD", "timeframe_s": None, "bars": None}))
    one = request(layout)
    place = put(layout, one)
    bars.unlink()
    with pytest.raises(ConfigError, match="is gone"):
        put(layout, evolve(one, id="another"))
    with pytest.raises(ConfigError, match="is gone") as caught:
        drain(layout)
    assert "\n" not in caught.value.message
    assert not place.exists()
    assert not list(layout.runs(Tier.TIER2_FULL).iterdir())


def test_an_unknown_run_is_refused(layout: Layout, source: RunOutcome) -> None:
    with pytest.raises(UsageError, match="there is no run HF_20260101T000000Z_0123456_0000"):
        put(layout, evolve(request(layout), from_run_id="HF_20260101T000000Z_0123456_0000"))
    with pytest.raises(UsageError, match="has no experiment 99"):
        put(layout, evolve(request(layout), experiment=99))


def test_code_that_cannot_be_named_makes_no_tier_2_run(
    layout: Layout, source: RunOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = probe()
    unnamed = evolve(here, git_commit=None, null_reasons={**here.null_reasons, "git_commit": "nobody knows"})
    with pytest.raises(ConfigError, match="commit"):
        require_named_code(unnamed)
    put(layout, request(layout))
    monkeypatch.setattr(promote, "probe", lambda: unnamed)
    with pytest.raises(ConfigError, match="needs the code's commit: nobody knows"):
        drain(layout)
    assert not list(layout.runs(Tier.TIER2_FULL).iterdir())


def test_a_built_package_must_know_its_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "prometheus"
    package.mkdir()
    monkeypatch.setattr(promote.prometheus, "__file__", str(package / "__init__.py"))  # type: ignore[attr-defined]
    here = probe()
    known = evolve(here, git_commit="0" * 40, image_digest=None, null_reasons={"image_digest": "not baked in"})
    with pytest.raises(ConfigError, match="image's digest"):
        require_named_code(known)
    require_named_code(evolve(known, image_digest="sha256:0"))
    (tmp_path / ".git").mkdir()
    require_named_code(known)


def test_the_journal_hears_of_a_promotion(layout: Layout, source: RunOutcome) -> None:
    heard: list[str] = []

    class Ear(Journal):
        def send(self, event: Any, message: str, **fields: Any) -> None:
            heard.append(event.label)
            super().send(event, message, **fields)

    put(layout, request(layout))
    ear = Ear(
        instance="PROMOTE", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None, sender=None, absent_reason="a test"
    )
    ear.for_run = lambda _: ear  # type: ignore[assignment, method-assign]
    queue.run_next(asked_of("PROMOTE"), around(layout, Watcher(), ear))
    assert "promotion" in heard
