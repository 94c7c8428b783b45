"""The rule, case by case: what passes, what fails, and what is not enough to say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from attrs import evolve

from prometheus.v10.base.modes import Arm
from prometheus.v10.gate.cells import cell_name, path_cell
from prometheus.v10.gate.compare import (
    Comparison,
    PathControl,
    Spread,
    path_controls,
    primary,
)
from prometheus.v10.gate.design import RuleTable
from prometheus.v10.gate.outcome import GateExperiment
from prometheus.v10.gate.rule import Verdict, judge, unbelievable
from prometheus.v10.gate.winners import anchor, winners

RULE = RuleTable()
HERE = Spread(n=30, extinct=0, mean=0.0, q05=0.0, q25=0.0, median=0.0, q75=0.0, q95=0.0)


def window(name, *, p=0.001, difference=5.0, delta=0.6, fisher=1.0, extinction=0.0):
    return Comparison(
        window=name, ablation="none", fence="none", a=HERE, b=HERE, u=0.0, p=p, p_holm=p, delta=delta, delta_low=-1.0,
        delta_high=1.0, difference_pp=difference, difference_low_pp=0.0, difference_high_pp=0.0,
        extinction_pp=extinction, fisher_p=fisher, fisher_p_holm=fisher, ahead=0.5, fence_rate=0.0,
    )  # fmt: skip


def controls(roi=0.01, extinction=1.0):
    made = [("system_roi", roi), ("extinction", extinction)]
    return [
        PathControl(endpoint=name, paths=59, seeds=10, real=0.0, placebos=[0.0], p=p, p_holm=p, spread_pp=0.0)
        for name, p in made
    ]


def verdict(*windows, roi=0.01, extinction=1.0, broken=()):
    return judge(windows, controls(roi, extinction), RULE, broken).verdict


def test_an_endpoint_that_holds_everywhere_and_is_beyond_path_luck_passes():
    assert verdict(window("W1"), window("W2")) is Verdict.PASS


def test_extinction_alone_can_pass():
    quiet = {"p": 0.9, "difference": 0.3, "delta": 0.05, "fisher": 0.001, "extinction": 40.0}
    assert verdict(window("W1", **quiet), window("W2", **quiet), extinction=0.01) is Verdict.PASS
    assert verdict(window("W1", **quiet), window("W2", **quiet), extinction=0.2) is Verdict.FAIL


@pytest.mark.parametrize(
    "weak",
    [
        {"p": 0.05},
        {"p": 0.9},
        {"difference": 1.99},
        {"difference": -5.0, "delta": -0.6, "p": 0.5},
    ],
)
def test_one_window_that_does_not_hold_is_not_a_pass(weak):
    assert verdict(window("W1"), window("W2", **weak)) is not Verdict.PASS


def test_what_a_path_does_by_luck_is_no_pass_however_small_the_other_ps():
    assert verdict(window("W1", p=1e-12), window("W2", p=1e-12), roi=0.05) is Verdict.FAIL


def test_an_endpoint_that_speaks_against_fails_the_gate_whatever_the_other_says():
    against = {"fisher": 0.001, "extinction": -30.0}
    assert verdict(window("W1"), window("W2", **against)) is Verdict.FAIL
    assert verdict(window("W1", difference=-5.0, delta=-0.6), window("W2")) is Verdict.FAIL


def test_a_pass_in_part_is_insufficient_when_all_windows_point_the_same_way():
    assert verdict(window("W1"), window("W2", p=0.2)) is Verdict.INSUFFICIENT
    assert verdict(window("W1"), window("W2", p=0.2, difference=-0.1, delta=0.1)) is Verdict.FAIL
    assert verdict(window("W1"), window("W2", p=0.2), roi=0.2) is Verdict.FAIL


def test_experiments_that_cannot_be_believed_make_it_insufficient():
    assert verdict(window("W1"), window("W2"), broken=["W1/A_real seed 3"]) is Verdict.INSUFFICIENT


def test_every_verdict_gives_its_reason():
    for case in (
        judge([window("W1"), window("W2")], controls(), RULE),
        judge([window("W1"), window("W2", p=0.3)], controls(), RULE),
        judge([window("W1"), window("W2")], controls(roi=0.3), RULE),
        judge([window("W1"), window("W2", difference=-4.0, delta=-0.5)], controls(), RULE),
    ):
        assert case.reasons
        assert all(case.reasons)


# ---- from experiments to figures -------------------------------------------------------------------------------------


def experiment(cell, seed, roi, *, alive=5, agents=(), trades=()):
    return GateExperiment(
        cell=cell, seed=seed, ticks=100, system_roi=roi, max_drawdown=0.1, extinct=alive == 0, collapse="none",
        founders=6, alive=alive, agents=6, births=0, deaths=6 - alive, trades=3, trades_median=1.0,
        zero_trade_share=0.0, winners_absolute=0, fence_attempts=0, fence_blocks=0, residual=0.0, finite=True,
        roi_lifetime=list(agents), agent_trades=list(trades),
    )  # fmt: skip


def table(small, a, b, paths, *, extinct_a=0, extinct_b=0):
    """Experiments of the small design: ``a`` and ``b`` by window and seed, ``paths`` by window, path and seed."""
    grouped = {}
    for k, name in enumerate(("W1", "W2")):
        for arm, rois, dead in ((Arm.A_REAL, a, extinct_a), (Arm.B2_SHUFFLE_RETURNS, b, extinct_b)):
            cell = cell_name(name, arm)
            grouped[cell] = [experiment(cell, s, r, alive=0 if s <= dead else 5) for s, r in enumerate(rois[k], 1)]
        for path, rois in enumerate(paths[k]):
            cell = path_cell(name, path)
            grouped[cell] = [experiment(cell, s, r) for s, r in enumerate(rois, 1)]
    return grouped


def test_the_primary_family_is_corrected_over_windows_and_endpoints_together(small):
    draw = np.random.default_rng(1)
    grouped = table(
        small, draw.normal(0.03, 0.02, (2, 30)), draw.normal(0.0, 0.02, (2, 30)), draw.normal(0, 0.02, (2, 41, 2)),
        extinct_a=2, extinct_b=12,
    )  # fmt: skip
    found = primary(small(), grouped)
    raw = sorted(p for one in found for p in (one.p, one.fisher_p))
    smallest = min(found, key=lambda one: one.p)
    assert smallest.p == raw[0]
    assert smallest.p_holm == pytest.approx(4 * raw[0])
    for one in found:
        assert one.extinction_pp == pytest.approx(100 * 10 / 30)
        assert one.fisher_p_holm >= one.fisher_p
        assert one.difference_low_pp < one.difference_pp < one.difference_high_pp


def test_the_path_control_ranks_the_real_path_by_the_seeds_that_the_others_have(small):
    """Only the first two seeds of A count: the shuffled paths have no more."""
    a = np.full((2, 30), -1.0)
    a[:, :2] = 0.5
    grouped = table(small, a, np.zeros((2, 30)), np.zeros((2, 41, 2)))
    roi, extinction = path_controls(small(), grouped)
    assert (roi.real, roi.p) == (50.0, 1 / 42)
    assert extinction.p == 1.0
    assert roi.p_holm == 2 / 42


def test_one_lucky_path_shared_by_all_seeds_is_found_out(small):
    """Experiments on one path differ little among themselves and much from path to path, as on a random walk: tests
    that take experiments for independent see a difference nearly always, the path control in one of twenty."""
    draw = np.random.default_rng(11)
    naive = found = 0
    for _ in range(60):
        luck = draw.normal(0, 0.05, (2, 42))
        a = luck[:, :1] + draw.normal(0, 0.01, (2, 30))
        b = draw.normal(0, 0.05, (2, 30)) + draw.normal(0, 0.01, (2, 30))
        paths = luck[:, 1:, None] + draw.normal(0, 0.01, (2, 41, 2))
        grouped = table(small, a, b, paths)
        naive += any(one.p < 0.05 for one in primary(small(), grouped))
        found += path_controls(small(), grouped)[0].p < 0.05
    assert naive > 30
    assert found <= 7


def test_what_cannot_be_believed_is_named():
    good, odd = experiment("W1/A_real", 1, 0.0), experiment("W1/A_real", 2, 0.0)
    cases = {"W1/A_real": [good, evolve(odd, finite=False), evolve(odd, seed=3, residual=1e-6)]}
    assert unbelievable(cases) == ["W1/A_real seed 2", "W1/A_real seed 3"]


# ---- winners ---------------------------------------------------------------------------------------------------------


def test_the_anchor_falls_back_in_the_order_of_the_record(small):
    winning = small().winners
    method, value = anchor(np.linspace(-1.0, 1.0, 1001), winning)
    assert (method, value) == ("q90 of A", pytest.approx(0.8))  # type: ignore[comparison-overlap]
    rare = np.concatenate([np.full(930, -0.1), np.linspace(0.01, 0.07, 70)])
    assert anchor(rare, winning)[0] == "q95 of A"
    rarer = np.concatenate([np.full(9900, -0.1), np.linspace(0.01, 0.1, 100)])
    method, value = anchor(rarer, winning)
    assert method == "q90 of A's 100 positive ROIs"
    assert value == pytest.approx(0.091)
    method, value = anchor(np.array([-0.1] * 99 + [0.01]), winning)
    assert value == winning.absolute
    assert "absolute" in method


def test_winners_are_counted_among_all_who_lived_and_by_both_thresholds(small):
    grouped = {}
    for name in ("W1", "W2"):
        for arm, best in ((Arm.A_REAL, 0.2), (Arm.B2_SHUFFLE_RETURNS, 0.02)):
            cell = cell_name(name, arm)
            grouped[cell] = [
                experiment(cell, seed, 0.0, agents=[-0.1] * 9 + [best], trades=[1] * 9 + [seed]) for seed in (1, 2)
            ]
    absolute, anchored = winners(small(), grouped)[:2]
    assert (absolute.kind, absolute.threshold) == ("absolute", 0.05)
    assert (absolute.a.agents, absolute.a.winners, absolute.a.rate) == (20, 2, 0.1)
    assert (absolute.a.trades_median, absolute.a.trades_max) == (1.5, 2)
    assert (absolute.b.winners, absolute.b.trades_median) == (0, None)
    assert set(absolute.b.null_reasons) == {"trades_median", "trades_p90", "trades_max"}
    assert anchored.kind == "anchored"
    assert math.isfinite(anchored.threshold)
