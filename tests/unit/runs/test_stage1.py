"""A run from profile to sealed directory: complete, independent of workers, replayable to the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ConfigError, CoreInvarianceError, EvidenceError, PrometheusError, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.runs import run as run_module
from prometheus.v10.runs.replay import Replay, replay

from .conftest import Watcher, do_run, profile


def manifest_of(run: Path) -> dict[str, Any]:
    return json.loads((run / Artifact.MANIFEST).read_text())


def again(run: Path, layout: Layout, scratch: Path, workers: int = 1) -> Replay:
    return replay(run, layout, scratch, clock=SystemClock(), control=Watcher(), workers=workers)


def test_a_run_is_complete_verifiable_and_counts_what_it_holds(layout: Layout) -> None:
    watcher = Watcher()
    outcome = do_run(layout, profile(), watcher)
    assert outcome.status == "completed"
    assert watcher.opened == [outcome.path]
    assert watcher.seen == outcome.agent_ticks > 0
    assert verify_path(outcome.path).exit_code == 0
    manifest = manifest_of(outcome.path)
    deaths = [json.loads(line) for line in (outcome.path / Artifact.DEATHS).read_text().splitlines()]
    assert manifest["counts"]["deaths"] == len(deaths) > 0
    assert {event["ts_basis"] for event in deaths} == {"market"}
    records = list(iter_records(layout.pool(Stage.STAGE1)))
    assert manifest["pool_appends"]["last_n"] == records[-1].n
    assert len(records) == manifest["counts"]["pool_records"] > 0


def test_results_do_not_depend_on_the_number_of_workers(layout: Layout, tmp_path: Path) -> None:
    one = do_run(layout, profile())
    found = again(one.path, layout, tmp_path / "scratch", workers=2)
    assert found.identical, found.comparisons
    assert {Artifact.DEATHS, Artifact.BIRTHS, Artifact.SUMMARY, Artifact.TELEMETRY} <= {
        c.name for c in found.comparisons
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_run_is_sealed_and_replays_to_the_tick(layout: Layout, tmp_path: Path, workers: int) -> None:
    chosen = profile(workers=workers, experiments={"count": 6})
    outcome = do_run(layout, chosen, Watcher(stop_after=6_000))
    assert outcome.status == "interrupted"
    manifest = manifest_of(outcome.path)
    assert manifest["stop_detected"] is True
    assert manifest["stop_reason"] == "sigterm"
    assert verify_path(outcome.path).exit_code == 0
    assert again(outcome.path, layout, tmp_path / "scratch").identical


def test_two_arms_of_a_seed_differ_and_each_replays(layout: Layout, tmp_path: Path) -> None:
    real = do_run(layout, profile())
    null = do_run(layout, profile(experiments={"arm": "B2_shuffle_returns"}))
    assert (real.path / Artifact.DEATHS).read_bytes() != (null.path / Artifact.DEATHS).read_bytes()
    assert again(null.path, layout, tmp_path / "scratch").identical


def test_an_ablated_run_says_so_and_replays(layout: Layout, tmp_path: Path) -> None:
    outcome = do_run(layout, profile(experiments={"ablation": "M_zeroed"}))
    assert manifest_of(outcome.path)["ablation"]["name"] == "M_zeroed"
    telemetry = json.loads((outcome.path / Artifact.TELEMETRY).read_text())
    assert telemetry["counters"]["FENCE_RUNNER_ABLATION_MASK"]["enabled"] is True
    assert again(outcome.path, layout, tmp_path / "scratch").identical


def test_a_replay_finds_one_changed_byte(layout: Layout, tmp_path: Path) -> None:
    outcome = do_run(layout, profile())
    forged = tmp_path / outcome.run_id
    shutil.copytree(outcome.path, forged)
    deaths = bytearray((forged / Artifact.DEATHS).read_bytes())
    deaths[len(deaths) // 2] ^= 1
    (forged / Artifact.DEATHS).write_bytes(bytes(deaths))
    found = again(forged, layout, tmp_path / "scratch")
    assert [one.name for one in found.comparisons if not one.same] == [Artifact.DEATHS]


def test_a_replay_refuses_another_core_another_market_and_a_run_that_was_cut_off(
    layout: Layout, tmp_path: Path
) -> None:
    outcome = do_run(layout, profile())
    for key, value, error in (
        ("core_hash", "0" * 64, CoreInvarianceError),
        ("market", {"sha256": "0" * 64}, ConfigError),
        ("status", "running", UsageError),
    ):
        forged = tmp_path / key / outcome.run_id
        shutil.copytree(outcome.path, forged)
        manifest = manifest_of(forged)
        manifest[key] = {**manifest[key], **value} if isinstance(value, dict) else value
        (forged / Artifact.MANIFEST).write_text(json.dumps(manifest))
        with pytest.raises(error):
            again(forged, layout, tmp_path / f"scratch-{key}")


def test_seeds_go_on_where_the_last_run_ended(layout: Layout) -> None:
    layout.prepare()
    first = manifest_of(do_run(layout, profile()).path)
    assert first["seeds"] == [11, 12, 13]
    plain = profile()
    later = evolve(plain, experiments=evolve(plain.experiments, seed=11 + 3))
    assert manifest_of(do_run(layout, later).path)["seeds"] == [14, 15, 16]


def test_a_run_that_fails_on_the_way_is_sealed_as_failed(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> np.ndarray:
        raise PrometheusError("the telemetry cannot be true")

    monkeypatch.setattr(run_module, "telemetry", broken)
    watcher = Watcher()
    with pytest.raises(PrometheusError, match="cannot be true"):
        do_run(layout, profile(), watcher)
    run = watcher.opened[0]
    assert manifest_of(run)["status"] == "failed"
    assert (run / Artifact.SHA256SUMS).exists()


def test_a_replay_holds_the_manifest_against_the_run_that_it_does(layout: Layout, tmp_path: Path) -> None:
    """What the run came to stands in its manifest as well: a hidden collapse, other counts, another size of pool."""
    outcome = do_run(layout, profile(world={"death_roi": 5.0, "breed_roi": 6.0}))
    manifest = manifest_of(outcome.path)
    assert manifest["internal_collapses"]
    for key, value in (("internal_collapses", []), ("counts", {**manifest["counts"], "births": 1})):
        forged = tmp_path / key / outcome.run_id
        shutil.copytree(outcome.path, forged)
        (forged / Artifact.MANIFEST).write_text(json.dumps({**manifest, key: value}))
        found = again(forged, layout, tmp_path / f"scratch-{key}")
        (wrong,) = [one for one in found.comparisons if not one.same]
        assert (wrong.name, key in wrong.detail) == (Artifact.MANIFEST, True)
        assert not found.verified.same


def test_a_replay_makes_nothing_outside_its_scratch_tree(layout: Layout, tmp_path: Path) -> None:
    outcome = do_run(layout, profile())
    for name in ("../../../../away", "/tmp/away", "HF_20260101T000000Z_abcdef0_0000/../away", ""):
        forged = tmp_path / "forged"
        shutil.copytree(outcome.path, forged)
        (forged / Artifact.MANIFEST).write_text(json.dumps({**manifest_of(forged), "run_id": name}))
        with pytest.raises(EvidenceError, match="run_id is"):
            again(forged, layout, tmp_path / "scratch")
        shutil.rmtree(forged)
    assert not list(tmp_path.rglob("*away*"))


def test_a_replay_reads_a_file_of_bars_only_when_it_is_given(layout: Layout, tmp_path: Path) -> None:
    """A stranger's manifest may name any file of this machine."""
    outcome = do_run(layout, profile())
    manifest = manifest_of(outcome.path)
    secret = tmp_path / "secret.csv"
    secret.write_text("password\n")
    manifest["config"]["market"]["source"] = str(secret)
    (outcome.path / Artifact.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="only when it is given") as caught:
        again(outcome.path, layout, tmp_path / "scratch")
    assert f"--bars {secret}" in str(caught.value.hint)


def test_a_replay_refuses_more_than_one_run_may_be(layout: Layout, tmp_path: Path) -> None:
    outcome = do_run(layout, profile())
    for table, name, value in (
        ("world", "founders", 10**9),
        ("market", "bars", 10**11),
        ("experiments", "count", 10**7),
    ):
        forged = tmp_path / name
        shutil.copytree(outcome.path, forged)
        manifest = manifest_of(forged)
        manifest["config"][table][name] = value
        (forged / Artifact.MANIFEST).write_text(json.dumps(manifest))
        with pytest.raises(ConfigError, match=name):
            again(forged, layout, tmp_path / "scratch")


@pytest.mark.parametrize(
    ("number", "value"),
    [("taker_fee", 0.0), ("leverage_cap", 20.0), ("max_participation", 1.0), ("impact", 0.0), ("entry_m7_below", 0.5)],
)
def test_what_lives_in_another_world_than_the_contracts_is_not_handed_to_the_pool(
    layout: Layout, tmp_path: Path, number: str, value: float
) -> None:
    """Nobody could tell its genomes from the others; the run says why, and verifies and replays like any other."""
    outcome = do_run(layout, profile(world={number: value}))
    assert list(iter_records(layout.pool(Stage.STAGE1))) == []
    assert manifest_of(outcome.path)["counts"]["pool_records"] == 0
    assert verify_path(outcome.path).exit_code == 0, verify_path(outcome.path).lines()
    assert again(outcome.path, layout, tmp_path / "scratch").identical


def test_dearer_trading_and_another_instrument_are_no_other_world(layout: Layout) -> None:
    do_run(layout, profile(world={"taker_fee": 0.002, "impact": 2.0, "tick_size": 0.01, "founders": 12}))
    assert list(iter_records(layout.pool(Stage.STAGE1)))
