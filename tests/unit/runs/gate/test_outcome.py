"""An experiment of a gate is the experiment of a run; what is kept of it is read from the world's own books."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from prometheus.v10.base.modes import Arm
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.evidence.records.codec import from_json_bytes
from prometheus.v10.gate.cells import Batch, Cell
from prometheus.v10.gate.outcome import CURVE_POINTS, GateExperiment, describe, run_batch, run_one, take_census
from prometheus.v10.market.planted import planted
from prometheus.v10.market.windows import Window
from tests.unit.runs.conftest import SMALL, do_run, profile

WORLD = WorldConfig(founders=10, review_ticks=100, death_roi=-0.05, breed_roi=0.01)


def batch_of(cell, seeds, bars, config=WORLD):
    return Batch(name="b", cell=cell, seeds=tuple(seeds), bars=bars, config=config, winner_roi=0.05)


@pytest.mark.parametrize("arm", list(Arm))
@pytest.mark.parametrize("ablation", ["none", "C_zeroed"])
def test_an_experiment_of_a_gate_is_that_of_a_run(layout, arm, ablation):
    """Same bars, physics and seeds: the figures are those in the run's summary, to the last bit."""
    chosen = profile(experiments={"arm": arm.value, "ablation": ablation})
    outcome = do_run(layout, chosen)
    rows = json.loads((outcome.path / "multiple_experiments_summary.json").read_text())["all_stats"]
    from prometheus.v10.runs.request.setup import prepare

    world = prepare(chosen, layout)
    window = Window("S", 0, len(world.bars))
    done = run_batch(batch_of(Cell(window, arm, ablation), [row["seed"] for row in rows], world.bars, world.config))
    assert len(rows) == SMALL["experiments"]["count"]
    for row, line in zip(rows, done.lines.splitlines(), strict=True):
        one = from_json_bytes(line, GateExperiment, where="line")
        assert one.system_roi == row["system_roi"]
        assert one.max_drawdown == row["max_drawdown"]
        assert (one.alive, one.births, one.deaths, one.trades) == tuple(
            row[name] for name in ("alive_agents", "births", "deaths", "trades")
        )
        assert one.zero_trade_share == row["zero_trade_share"]
    assert done.agent_ticks == outcome.agent_ticks


def kept(seed=3, length=400, **changes):
    bars = planted(seed, length, pull=0.1)
    batch = batch_of(Cell(Window("W", 0, length), Arm.A_REAL, keep=True), [1], bars, WORLD._replace(**changes))
    result = run_one(batch, 1)
    return describe(result, batch, 1), result


def test_curves_begin_at_the_founding_and_end_at_what_is_left():
    one, result = kept()
    assert len(one.equity) == len(one.living) == CURVE_POINTS
    assert (one.equity[0], one.living[0]) == (1.0, one.founders)
    assert one.equity[-1] == pytest.approx(1.0 + one.system_roi, abs=1e-12)
    assert one.living[-1] == one.alive == one.founders + one.births - one.deaths
    half = result.total_by_tick[200 - 1] / result.money[0]
    assert one.equity[CURVE_POINTS // 2] == half
    assert len(one.roi_lifetime) == len(one.agent_trades)
    assert one.winners_absolute == sum(roi >= 0.05 for roi in one.roi_lifetime)


def test_an_experiment_that_died_out_keeps_its_last_value():
    one, result = kept(death_roi=2.0, breed_roi=3.0)
    assert one.extinct
    assert one.collapse == "extinction"
    assert one.ticks == 100
    assert one.living[-1] == 0
    assert len(set(one.equity[10:])) == 1
    assert all(a >= b for a, b in pairwise(one.living))
    assert result.ticks == one.ticks


def test_only_primary_cells_keep_curves_and_agents():
    bars = planted(3, 300, pull=0.1)
    line = run_batch(batch_of(Cell(Window("W", 0, 300), Arm.A_REAL), [1], bars)).lines
    one = from_json_bytes(line, GateExperiment, where="line")
    assert one.equity == one.living == one.roi_lifetime == one.agent_trades == []


def test_a_switched_fence_is_counted_and_an_unswitched_one_is_not():
    bars = planted(3, 300, pull=0.1)
    fenced = Cell(Window("W", 0, 300), Arm.A_REAL, fence="FENCE_CORE_LONG_ONLY")
    one, plain = (
        from_json_bytes(run_batch(batch_of(cell, [1], bars, config)).lines, GateExperiment, where="line")
        for cell, config in (
            (fenced, WORLD._replace(long_only=1)),
            (Cell(Window("W", 0, 300), Arm.A_REAL), WORLD),
        )
    )
    assert one.fence_attempts > one.fence_blocks > 0
    assert (plain.fence_attempts, plain.fence_blocks) == (0, 0)


def test_the_census_is_of_the_same_lives():
    bars = planted(3, 300, pull=0.1)
    batch = batch_of(Cell(Window("W", 0, 300), Arm.A_REAL, keep=True), [1, 2], bars)
    lines = run_batch(batch).lines.splitlines()
    for line, one in zip(lines, take_census(batch), strict=True):
        told = from_json_bytes(line, GateExperiment, where="line")
        assert one.roi.tolist() == told.roi_lifetime
        assert one.genomes.shape == (len(told.roi_lifetime), 342)
        assert int(np.count_nonzero(one.alive)) <= told.alive
        assert (one.founder[: told.founders] == np.arange(told.founders)).all()
