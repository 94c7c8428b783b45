"""Stage 2: every genome of a snapshot judged once, alone as by itself, in whole batches, whoever does the work."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from prometheus.v10.base.errors import ConfigError, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import genome
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.derive.judged.cell_rules import ALONE, CROWD
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.market.synthetic import synthetic
from prometheus.v10.runs.request.profile import load_profile
from prometheus.v10.runs.stage2 import stage2_batch
from prometheus.v10.runs.stage2 import stage2_run as stage2
from prometheus.v10.runs.stage2.stage2_batch import FIGURES, cell_jobs, judge_cell, stretches
from prometheus.v10.runs.stage2.stage2_run import WorkWaits, work_waits
from prometheus.v10.runs.who import Identity

from .conftest import Watcher
from .stage2_house import CELLS, content, do_judge, judge, verdicts_in, with_snapshot


def someone(**changes: Any) -> Identity:
    who = Identity(
        run_id="STAGE2_20260101T000000Z_0123456_0000", experiment=0, seed=1, arm="A_real", mode="offline",
        git_commit=None, docker_image=None, created_at="2026-01-01T00:00:00.000000Z",
        window={"name": "V1", "start": 0, "len": 500}, ablation={"name": "none", "detail": ""}, fingerprint_ref="x",
        ticks_planned=500, timeframe_s=3600, best_of_the_dead=0,
        null_reasons={"source.git_commit": "a test", "source.docker_image": "a test"},
    )  # fmt: skip
    return evolve(who, **changes)


def test_every_genome_gets_one_verdict_and_everything_verifies(layout: Layout) -> None:
    _, frozen = with_snapshot(layout)
    watcher = Watcher()
    outcome = do_judge(layout, judge(), watcher)
    assert outcome.status == "completed"
    assert watcher.seen == outcome.agent_ticks > 0
    assert verify_path(outcome.path).exit_code == 0, verify_path(outcome.path).lines()
    assert verify_path(layout.pool(Stage.STAGE2)).exit_code == 0
    assert audit(layout).exit_code == 0, audit(layout).lines()
    stage1, found = list(iter_records(frozen.path)), verdicts_in(layout)
    assert [r.genome_sha256 for r in found] == [r.genome_sha256 for r in stage1]
    assert [r.metrics_summary["origin"]["id"] for r in found] == [r.id for r in stage1]
    assert {r.metrics_summary["experiments"] for r in found} == {CELLS}
    assert {len(r.metrics_summary["verdict"]["cells"]) for r in found} == {CELLS // 2}
    assert any(r.metrics_summary["sanity"]["has_traded"] for r in found)
    manifest = json.loads((outcome.path / Artifact.MANIFEST).read_text())
    assert manifest["stage2"]["id"] == frozen.id
    assert [one["name"] for one in manifest["window"]["windows"]] == ["V1", "V2"]
    assert manifest["counts"]["births"] == 0


def test_verdicts_do_not_depend_on_the_number_of_workers(layout: Layout, tmp_path: Path) -> None:
    _, frozen = with_snapshot(layout)
    found = []
    for workers in (1, 2, 4):
        other = Layout.under(tmp_path / f"w{workers}")
        other.prepare()
        for name in ("pools/stage1", "state"):
            for place in (layout.lib / name).rglob("*"):
                if place.is_file():
                    target = other.lib / place.relative_to(layout.lib)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(place.read_bytes())
        outcome = do_judge(other, judge(workers=workers, stage2={"snapshot": frozen.id}))
        events = (outcome.path / Artifact.DEATHS).read_bytes().replace(outcome.run_id.encode(), b"RUN")
        found.append(([content(record) for record in verdicts_in(other)], events))
    assert found[0] == found[1] == found[2]


def test_alone_in_a_packed_experiment_is_alone() -> None:
    """Every genome has the same figures packed with others, in any order, and by itself."""
    chosen = judge(stage2={"crowd": 0, "timeframes_s": [3600], "seeds": [3]})
    table = chosen.stage2
    assert table is not None
    places = stretches(chosen, table, synthetic(9, 1200, 3600))
    genomes = genome.founders(1, 21)
    jobs = list(cell_jobs(chosen, table, places, genomes, 0, someone()))
    assert [job.key.company for job in jobs] == [ALONE, ALONE]
    turned = list(cell_jobs(chosen, table, places, genomes[::-1].copy(), 0, someone()))
    for job, other in zip(jobs, turned, strict=True):
        together = judge_cell(job).figures
        assert together[:, FIGURES.index("trades")].sum() > 0
        assert (together == judge_cell(other).figures[::-1]).all()
        for row in (0, 7, 20):
            single = evolve(job, genomes=genomes[row : row + 1], groups=(np.arange(1),))
            assert (judge_cell(single).figures[0] == together[row]).all()


def test_in_a_crowd_the_others_matter_and_the_seed_deals() -> None:
    chosen = judge(stage2={"timeframes_s": [3600], "seeds": [3, 4]})
    assert chosen.stage2 is not None
    places = stretches(chosen, chosen.stage2, synthetic(9, 1200, 3600))
    jobs = {job.key: job for job in cell_jobs(chosen, chosen.stage2, places, genome.founders(1, 24), 0, someone())}
    crowd = [job for key, job in jobs.items() if key.company == CROWD]
    assert all(sorted(np.concatenate(job.groups).tolist()) == list(range(24)) for job in crowd)
    assert {len(group) for job in crowd for group in job.groups} == {8}
    dealt = {job.key.seed: [group.tolist() for group in job.groups] for job in crowd}
    assert dealt[3] != dealt[4]
    key = crowd[0].key
    alone = jobs[evolve(key, company=ALONE)]
    assert (judge_cell(crowd[0]).figures != judge_cell(alone).figures).any()
    numbers = [who.experiment for job in jobs.values() for who in job.who]
    assert numbers == list(range(len(numbers)))


def test_a_seed_puts_off_the_beginning_within_the_stagger() -> None:
    chosen = judge(stage2={"seeds": list(range(40))})
    assert chosen.stage2 is not None
    place = stretches(chosen, chosen.stage2, synthetic(9, 1200, 3600))[0]
    delays = {stage2_batch.delay(place, seed) for seed in chosen.stage2.seeds}
    assert min(delays) >= 0
    assert max(delays) <= 25 == len(place.bars) - place.ticks
    assert len(delays) > 10


def test_friction_is_stricter_than_in_stage_1() -> None:
    chosen = judge()
    assert chosen.stage2 is not None
    strict = stage2_batch.cell_config(chosen, chosen.stage2, 3600, 475)
    usual = stage2_batch.setup.world_config(chosen, 3600)  # type: ignore[attr-defined]
    assert strict.taker_fee == 1.5 * usual.taker_fee
    assert strict.impact == 2.0 * usual.impact
    assert strict.max_participation == usual.max_participation / 2.0
    assert strict.review_ticks > 475


def test_a_review_kills_and_nobody_breeds_where_it_is_asked_for(layout: Layout) -> None:
    with_snapshot(layout)
    outcome = do_judge(layout, judge(stage2={"review_days": 5.0}, world={"death_roi": 0.01}))
    manifest = json.loads((outcome.path / Artifact.MANIFEST).read_text())
    assert manifest["counts"]["births"] == 0
    summary = json.loads((outcome.path / Artifact.SUMMARY).read_text())
    assert sum(row["deaths_by_reason"]["quarterly_review"] for row in summary["all_stats"]) > 0
    assert verify_path(outcome.path).exit_code == 0


def test_what_is_judged_is_not_judged_again_until_the_evaluation_changes(layout: Layout) -> None:
    with_snapshot(layout)
    do_judge(layout, judge())
    first = len(verdicts_in(layout))
    assert not work_waits(judge(), layout)
    with pytest.raises(UsageError, match="has its verdict under evaluation"):
        do_judge(layout, judge())
    stricter = judge(stage2={"friction": {"fees": 3.0}})
    assert work_waits(stricter, layout)
    do_judge(layout, stricter)
    found = verdicts_in(layout)
    assert len(found) == 2 * first
    assert len({r.metrics_summary["verdict"]["evaluation"] for r in found}) == 2


def test_a_pool_that_grew_is_judged_where_it_grew(layout: Layout) -> None:
    with_snapshot(layout, experiments=2)
    do_judge(layout, judge())
    before = [r.id for r in verdicts_in(layout)]
    _, grown = with_snapshot(layout, experiments=1)
    do_judge(layout, judge())
    after = verdicts_in(layout)
    assert [r.id for r in after[: len(before)]] == before
    assert [r.metrics_summary["origin"]["n"] for r in after] == list(range(grown.count))


def test_batches_a_run_bound_a_run_and_the_next_goes_on(layout: Layout) -> None:
    _, frozen = with_snapshot(layout)
    bounded = judge(stage2={"batches_a_run": 1})
    while work_waits(bounded, layout):
        before = len(verdicts_in(layout))
        do_judge(layout, bounded)
        assert 0 < len(verdicts_in(layout)) - before <= 16
    assert len(verdicts_in(layout)) == frozen.count


def test_interrupted_at_random_moments_a_batch_leaves_nothing_and_is_redone_to_the_same(
    layout: Layout, tmp_path: Path
) -> None:
    """Twenty stops at moments drawn from the whole length of the work; the pool has whole batches only, ever."""
    _, frozen = with_snapshot(layout)
    whole = Layout.under(tmp_path / "whole")
    whole.prepare()
    for place in [*layout.snapshots(Stage.STAGE1).iterdir(), layout.ledger]:
        target = whole.lib / place.relative_to(layout.lib)
        target.write_bytes(place.read_bytes())
    everything = do_judge(whole, judge())
    expected = [content(record) for record in verdicts_in(whole)]
    draw = random.Random(5)
    for _ in range(20):
        if not work_waits(judge(), layout):
            break
        outcome = do_judge(layout, judge(), Watcher(stop_after=draw.randrange(1, everything.agent_ticks)))
        assert verify_path(outcome.path).exit_code == 0
        found = [content(record) for record in verdicts_in(layout)]
        assert found == expected[: len(found)]
        assert len(found) % 16 == 0 or len(found) == frozen.count
    if work_waits(judge(), layout):
        do_judge(layout, judge())
    assert [content(record) for record in verdicts_in(layout)] == expected


def test_a_torn_append_of_a_batch_is_completed(layout: Layout) -> None:
    """The machine died within the append: whole records of a batch are there, and the next run adds the others."""
    _, frozen = with_snapshot(layout)
    do_judge(layout, judge())
    expected = [content(record) for record in verdicts_in(layout)]
    pool = layout.pool(Stage.STAGE2)
    lines = pool.read_bytes().splitlines(keepends=True)
    pool.write_bytes(b"".join(lines[:21]) + lines[21][:100])
    entries = layout.ledger.read_bytes().splitlines(keepends=True)
    assert b'"type":"run_sealed"' in entries[-1]
    layout.ledger.write_bytes(b"".join(entries[:-1]))  # the machine died before the run was sealed
    do_judge(layout, judge())
    assert [content(record) for record in verdicts_in(layout)] == expected
    assert len(expected) == frozen.count


@pytest.mark.parametrize(
    ("stage2", "said"),
    [
        ({"windows": [{"name": "V1", "start": 1000, "len": 500}]}, "reach past the data"),
        ({"timeframes_s": [5000]}, "not a multiple"),
        ({"windows": [{"name": "V1", "start": 0, "len": 60}], "timeframes_s": [14400]}, "fewer than 32"),
    ],
)
def test_a_window_that_cannot_be_is_refused_before_anything_is_written(
    layout: Layout, stage2: dict[str, Any], said: str
) -> None:
    with_snapshot(layout)
    before = sorted(layout.lib.rglob("*"))
    with pytest.raises(ConfigError, match=said):
        do_judge(layout, judge(stage2=stage2))
    assert sorted(layout.lib.rglob("*")) == before


@pytest.mark.parametrize(
    ("stage2", "said"),
    [
        ({"stake": 0.3}, "multiple"),
        ({"seeds": [1, 1]}, "once"),
        ({"friction": {"fees": 0.5}}, "fees"),
        ({"batch": 0}, "batch"),
    ],
)
def test_a_table_that_cannot_be_is_refused(stage2: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        judge(stage2=stage2)


def test_the_shipped_profile_is_read_and_judges_other_bars_than_stage_1(layout: Layout) -> None:
    layout.prepare()
    shipped = load_profile("STAGE2", layout)
    assert shipped.stage2 is not None
    assert len(shipped.stage2.windows) == 4
    assert shipped.stage2.timeframes_s == (3600, 14400, 86400)
    assert shipped.market.seed != load_profile("HF", layout).market.seed


def test_without_a_snapshot_there_is_no_work(layout: Layout) -> None:
    layout.prepare()
    assert not work_waits(judge(), layout)
    with pytest.raises(UsageError, match="no snapshot"):
        do_judge(layout, judge())


def test_a_service_that_found_nothing_looks_again_when_something_changed(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(stage2, "work_waits", lambda *_: asked.append(1) or work_waits(judge(), layout))
    waits = WorkWaits()
    layout.prepare()
    assert [waits(judge(), layout) for _ in range(3)] == [False, False, False]
    assert len(asked) == 1
    with_snapshot(layout)
    assert [waits(judge(), layout) for _ in range(2)] == [True, True]
    assert len(asked) == 3
    do_judge(layout, judge())
    assert [waits(judge(), layout) for _ in range(3)] == [False, False, False]
    assert len(asked) == 4


def test_who_dies_at_a_review_of_the_first_tick_is_judged(layout: Layout) -> None:
    with_snapshot(layout)
    chosen = judge(stage2={"review_days": 0.01, "crowd": 0}, world={"death_roi": 0.001})
    outcome = do_judge(layout, chosen)
    assert outcome.status == "completed"
    assert verify_path(outcome.path).exit_code == 0, verify_path(outcome.path).lines()
    assert all(not record.metrics_summary["survived"] for record in iter_records(layout.pool(Stage.STAGE2)))
