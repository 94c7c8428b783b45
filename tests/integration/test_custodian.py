"""The service writes nothing itself: its tree is mounted read-only, and a custodian does what its rules allow."""

from __future__ import annotations

import json
import subprocess
import time

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.ops.instance import alive
from prometheus.v10.ops.instance.progress_record import read_progress
from tests.integration.conftest import small_profile
from tests.integration.custodians import (
    NEEDS_ROOT,
    Custodian,
    command,
    custodian,
    files,
    passes_the_audit,
    serve,
    tree,
    words,
)
from tests.integration.test_stage2_service import STAGE2

__all__ = ["custodian", "files", "tree"]  # fixtures
pytestmark = NEEDS_ROOT


def test_a_service_with_a_read_only_tree_leaves_sealed_runs_that_pass_the_audit(tree, custodian):
    serve(tree, custodian, "--max-runs", "2")
    assert len(tree.runs()) == 2
    tree.assert_in_order()
    passes_the_audit(tree)
    assert custodian.refusals() == []


def test_event_files_are_compressed_through_the_custodian(tree, custodian):
    """As on a host: nothing is truncated, and nothing changes once a run has its seal."""
    tree.write_profile(small_profile().replace("evidence.compress = false\n", ""))
    serve(tree, custodian, "--max-runs", "2")
    assert all((run / "death_events.jsonl.zst").is_file() for run in tree.runs())
    assert not any((run / "death_events.jsonl").exists() for run in tree.runs())
    passes_the_audit(tree)
    assert custodian.refusals() == []


def test_a_run_that_was_cut_off_is_closed_through_the_custodian(tree, custodian):
    tree.write_profile(small_profile(count=5000))
    payload = subprocess.Popen(words(tree, custodian))
    until = time.monotonic() + 60.0
    while not any((run / "run_manifest.json").exists() for run in tree.runs()):
        assert time.monotonic() < until
        time.sleep(0.05)
    payload.kill()
    payload.wait()
    (cut_off,) = tree.runs()
    tree.write_profile(small_profile())
    serve(tree, custodian, "--max-runs", "1")
    assert (cut_off / "interrupted.json").is_file()
    tree.assert_in_order()
    passes_the_audit(tree)
    assert custodian.refusals() == []


def test_status_shows_the_progress_that_a_payload_writes_through_its_custodian(tree, custodian):
    tree.write_profile(small_profile(count=5000))
    place = tree.layout.state / "HF" / "progress.json"
    payload = subprocess.Popen(words(tree, custodian))
    until = time.monotonic() + 60.0
    while not place.exists():
        assert payload.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    (run,) = tree.runs()
    (shown,) = json.loads(command(tree, "status", "--json"))["instances"]
    assert (shown["progress"]["run_id"], shown["progress"]["experiments"]) == (run.name, 5000)
    payload.kill()
    payload.wait()
    left = read_progress(tree.layout, "HF")  # whole, whenever it was killed
    assert left is not None
    assert left.run_id == run.name
    while alive.holder(tree.layout, "HF") is not None:  # until the custodian has seen the end
        assert time.monotonic() < until
        time.sleep(0.05)
    (shown,) = json.loads(command(tree, "status", "--json"))["instances"]
    assert shown["progress"] is None
    tree.write_profile(small_profile())
    serve(tree, custodian, "--max-runs", "1")
    assert not place.exists()
    assert custodian.refusals() == []


def test_stage_2_and_a_queue_of_promotions_work_through_custodians_of_their_own(tree, custodian, tmp_path):
    tree.write_profile(small_profile(count=2, extra="[pool]\nsnapshot_every_runs = 1\n"))
    tree.write_profile(STAGE2, "STAGE2")
    serve(tree, custodian, "--max-runs", "1")
    others = [Custodian(tree.root, tmp_path / whose, whose) for whose in ("stage2-STAGE2", "stage1-PROMOTE")]
    try:
        serve(tree, others[0], "--max-runs", "1", stage="stage2", instance="STAGE2")
        command(tree, "promote", "--top-k", "1", "--queue")
        serve(tree, others[1], "--max-runs", "1", instance="PROMOTE")
    finally:
        for one in others:
            one.process.terminate()
            one.process.wait()
    assert [one.refusals() for one in (custodian, *others)] == [[], [], []]
    assert sum(1 for _ in iter_records(tree.layout.pool(Stage.STAGE2))) > 0
    assert len(list(tree.layout.runs(Tier.TIER2_FULL).iterdir())) == 1
    assert not list((tree.layout.state / "promotions" / "PROMOTE").iterdir())
    passes_the_audit(tree)
