"""A design is refused for what cannot be run, and answered at once for what could show nothing."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Arm
from prometheus.v10.core import fences
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.evidence.records.codec import dump_config, structure_config
from prometheus.v10.gate.cells import batches, cells, experiments
from prometheus.v10.gate.design import (
    FENCE_SWITCHES,
    NOT_SWITCHABLE,
    SHIPPED,
    GateDesign,
    check_against,
    load_design,
    man_made,
    shortcomings,
)
from prometheus.v10.market.bars import bar_time
from prometheus.v10.market.sources.importers import read_source
from prometheus.v10.market.synthetic import synthetic
from prometheus.v10.market.windows import cut


def windows(*places):
    return [{"name": f"W{k}", "start": start, "len": length} for k, (start, length) in enumerate(places, 1)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"windows": windows((0, 200), (199, 100))}, "windows 'W1' and 'W2' overlap: rows 0 to 199 and 199 to 298"),
        ({"windows": windows((100, 50), (0, 101))}, "overlap"),
        ({"ablations": ["none"]}, "'none' is none of"),
        ({"ablations": ["M_zeroed", "M_zeroed"]}, "given twice"),
        ({"fences": ["FENCE_CORE_MARGIN_CAP"]}, "is none of FENCE_CORE_ENTRY_M7"),
        ({"world": {"long_only": 1}}, "no man-made fence"),
        ({"rule": {"alpha": 0.1}}, "alpha"),
        ({"rule": {"minimum_effect_pp": 1.0}}, "minimum_effect_pp"),
        ({"rule": {"correction": "none"}}, "correction"),
        ({"paths": {"seeds": 31}}, "cannot have more than the 30"),
        ({"name": "../up"}, "name"),
        ({"winners": {"anchor_quantiles": []}}, "at least one"),
        ({"winners": {"anchor_quantiles": [1.0]}}, "between 0 and 1"),
        ({"seeds": {"first": 10**9}}, "expected below"),
        ({"effect": 3}, "unknown key 'effect'"),
        ({"paths": {"cuont": 3}}, "did you mean 'count'"),
    ],
)
def test_what_cannot_be_run_is_one_line(small, changes, said):
    with pytest.raises(ConfigError) as caught:
        small(**changes)
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_windows_that_touch_are_disjoint(small):
    assert len(small(windows=windows((0, 100), (100, 100))).windows) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": {"count": 29}}, "29 seeds an arm; at least 30"),
        ({"windows": windows((0, 180))}, "1 window; at least 2"),
        ({"paths": {"count": 39}}, "39 shuffled paths cannot reach"),
    ],
)
def test_a_design_that_could_show_nothing_says_so(small, changes, said):
    assert [line for line in shortcomings(small(**changes)) if said in line]


def test_the_small_design_and_those_that_ship_could_show_something(small):
    assert shortcomings(small()) == []
    shipped = sorted(place.name.removesuffix(".toml") for place in SHIPPED.iterdir())
    assert shipped == ["BTC_1H", "SYNTHETIC"]
    for name in shipped:
        design = load_design(name)
        assert (design.name, shortcomings(design)) == (name, [])
        assert set(design.fences) == set(FENCE_SWITCHES)


def test_an_unknown_design_names_those_there_are():
    with pytest.raises(ConfigError, match="no gate design 'BTC'") as caught:
        load_design("BTC")
    assert "BTC_1H" in str(caught.value.hint)


def test_a_window_past_the_data_or_before_the_first_review_is_refused(small):
    bars = synthetic(1, 300, 3600)
    with pytest.raises(ConfigError, match="reach past the data"):
        check_against(small(), bars, WorldConfig(review_ticks=60))
    with pytest.raises(ConfigError, match="before the first review"):
        check_against(small(), synthetic(1, 400, 3600), WorldConfig(review_ticks=180))


def test_a_design_comes_back_from_its_dump(small):
    assert structure_config(dump_config(small()), GateDesign, source="dump") == small()


def test_every_man_made_fence_has_its_arm_or_its_reason():
    assert set(man_made()) == set(FENCE_SWITCHES) | set(NOT_SWITCHABLE)
    assert not set(FENCE_SWITCHES) & set(NOT_SWITCHABLE)
    for fence, changes in FENCE_SWITCHES.items():
        assert fence in fences.NAMES
        assert all(getattr(WorldConfig(), key) in {0, float("inf")} for key in changes)  # off


def test_the_windows_of_the_real_design_are_the_halves_of_2021(data_dir):
    bars = read_source(data_dir / "spot_btcusd_hourly" / "BTC_USD-Hourly.csv").bars
    design = load_design("BTC_1H")
    first, second = (cut(bars, window) for window in design.windows)
    assert bar_time(first.first_open) == "2021-01-01 00:00:00Z"
    assert bar_time(second.first_open) == "2021-07-02 12:00:00Z"
    assert bar_time(second.last_open) == "2021-12-31 23:00:00Z"
    check_against(design, bars, WorldConfig())


# ---- cells -----------------------------------------------------------------------------------------------------------


def test_the_plan_holds_every_arm_of_every_variant_in_every_window(small):
    design = small()
    names = [cell.name for cell in cells(design)]
    assert len(set(names)) == len(names)
    for window in ("W1", "W2"):
        for arm in Arm:
            for changed in ("", "/M_zeroed", "/FENCE_CORE_LONG_ONLY"):
                assert f"{window}/{arm.value}{changed}" in names
        assert sum(name.startswith(f"{window}/path_") for name in names) == 41
    assert len(experiments(design)) == 2 * (6 * 30 + 41 * 2)


@pytest.mark.parametrize("done", [0, 1, 29, 30, 31, 183, 517, 523])
def test_batches_begin_where_the_done_experiments_end(small, done):
    design, bars = small(), synthetic(4, 360, 3600)
    left = [
        (batch.cell.name, seed) for batch in batches(design, bars, WorldConfig(founders=6), done=done)
        for seed in batch.seeds
    ]  # fmt: skip
    assert left == [(cell.name, seed) for cell, seed in experiments(design)][done:]


def test_every_path_of_the_control_is_another_shuffle_of_the_window(small):
    design, bars = small(), synthetic(4, 360, 3600)
    paths = [b for b in batches(design, bars, WorldConfig()) if b.cell.path is not None and b.cell.window.name == "W1"]
    closes = {batch.cell.path: batch.bars.close for batch in paths}
    assert len({close.tobytes() for close in closes.values()}) == 41
    real = bars.slice(0, 180).close
    for close in closes.values():
        moves, shuffled = (np.sort(np.diff(np.log(c))) for c in (real, close))
        assert np.allclose(moves, shuffled, atol=1e-5)


def test_a_fence_is_switched_in_its_own_cells_alone(small):
    plain = WorldConfig()
    for batch in batches(small(), synthetic(4, 360, 3600), plain):
        assert batch.config.long_only == (batch.cell.fence == "FENCE_CORE_LONG_ONLY")
        assert batch.config._replace(long_only=0) == plain
