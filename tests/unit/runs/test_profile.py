"""A profile is refused with one line that names file, key and expectation."""

from __future__ import annotations

from pathlib import Path

import pytest

from prometheus.v10.base.errors import ConfigError, ExitCode, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.evidence.records.codec import dump_config, structure_config
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.runs.control import Undisturbed
from prometheus.v10.runs.request.profile import SHIPPED, Profile, load_profile
from prometheus.v10.runs.request.setup import prepare, world_config
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.workload import RunRequest, Surroundings

from .conftest import profile


def written(layout: Layout, text: str) -> Path:
    layout.prepare()
    path = layout.profiles / "X.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('mode = "offline"\n[experimets]\ncount = 1\n', "experiments"),
        ('mode = "offline"\n[experiments]\ncuont = 1\n', "count"),
        ('mode = "offline"\n[experiments]\ncount = "3"\n', "whole number"),
        ('mode = "offline"\n[experiments]\ncount = 0\n', "count"),
        ('mode = "offline"\n[experiments]\nablation = "M_zero"\n', "M_zeroed"),
        ('mode = "offline"\n[world]\nfoundres = 3\n', "founders"),
        ("workers = 1\n", "mode is missing"),
        ('mode = "offline"\nworkers = \n', "not TOML"),
    ],
)
def test_a_wrong_profile_says_what_and_where(layout: Layout, text: str, says: str) -> None:
    path = written(layout, text)
    with pytest.raises(ConfigError) as caught:
        load_profile("X", layout)
    assert says in caught.value.message
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code is ExitCode.CONFIG


def test_an_unknown_mode_in_a_profile_names_the_modes(layout: Layout) -> None:
    written(layout, 'mode = "okx_demo_sim"\n')
    with pytest.raises((ConfigError, UsageError), match="okx_demo_sim"):
        load_profile("X", layout)


def test_a_profile_of_the_root_goes_before_a_shipped_one(layout: Layout) -> None:
    layout.prepare()
    (layout.profiles / "HF.toml").write_text('mode = "offline"\nworkers = 7\n')
    assert load_profile("HF", layout).workers == 7


def test_an_unknown_profile_names_those_there_are(layout: Layout) -> None:
    with pytest.raises(ConfigError, match="no profile 'HFF'") as caught:
        load_profile("HFF", layout)
    assert "HF" in (caught.value.hint or "")


@pytest.mark.parametrize("path", sorted(Path(str(SHIPPED)).glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_profile_reads_and_its_dump_reads_back(layout: Layout, path: Path) -> None:
    chosen = load_profile(str(path), layout)
    assert structure_config(dump_config(chosen), Profile, source="dump") == chosen


@pytest.mark.parametrize(
    ("world", "says"),
    [
        ({"leverage_cap": 0.0}, "leverage_cap"),
        ({"taker_fee": 1.5}, "taker_fee"),
        ({"allocation_ratio": 1.0}, "allocation_ratio"),
        ({"maintenance_margin": 0.5, "leverage_cap": 3.0}, "maintenance_margin"),
        ({"breed_roi": -0.1}, "breed_roi"),
        ({"review_ticks": 0}, "review_ticks"),
    ],
)
def test_a_world_that_cannot_be_is_refused(world: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        world_config(profile(world=world), 3600)


def test_what_the_profile_does_not_set_is_the_cores_default() -> None:
    config = world_config(profile(), 3600)
    assert config.founders == 10
    assert config.taker_fee == WorldConfig().taker_fee


def test_a_window_past_the_data_says_how_many_bars_there_are(layout: Layout) -> None:
    with pytest.raises(ConfigError, match="600 bars"):
        prepare(profile(window={"name": "late", "start": 200, "len": 500}), layout)


@pytest.mark.parametrize(
    ("allowed", "says"), [("false", "does not say allow_live = true"), ("true", "a simulated world is offline")]
)
def test_live_trading_is_refused_with_the_profiles_lock_and_without_it(
    layout: Layout, fake_clock, allowed: str, says: str
) -> None:
    written(layout, f'mode = "okx_live"\nallow_live = {allowed}\n')
    live = load_profile("X", layout)
    journal = Journal(
        instance="X", mode=live.mode, stage=Stage.STAGE1, run_id=None, sender=None, absent_reason="nobody listens"
    )
    around = Surroundings(layout=layout, clock=fake_clock, control=Undisturbed(), journal=journal)
    with pytest.raises(UsageError, match=says) as caught:
        run_stage1(RunRequest(profile=live, mode=live.mode, instance="X"), around)
    assert caught.value.exit_code is ExitCode.USAGE
    assert not layout.ledger.exists()


def test_no_shipped_profile_allows_live_trading(layout: Layout) -> None:
    names = [place.stem for place in Path(str(SHIPPED)).glob("*.toml")]
    assert names
    assert not any(load_profile(name, layout).allow_live for name in names)
