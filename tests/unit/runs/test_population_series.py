"""``population_series.jsonl``: what it says is what the world was, and what is changed in it is found."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.modes import Arm
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import capital
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.derive.lives import read_lives
from prometheus.v10.evidence.derive.rows import FILES
from prometheus.v10.evidence.derive.series import series_findings
from prometheus.v10.evidence.derive.setting import setting_of
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.records.series.moments import moments_in, moments_of
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.runs.replay import replay
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.ablation import mask
from prometheus.v10.runs.request.profile import Profile
from tests.forger.forge import Forgery, Original
from tests.forger.house import KINDS, Stopper, do_run

FILE = "population_series.jsonl"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return do_run(tmp_path_factory.mktemp("series"), KINDS["liquidations"][0])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@given(
    window=st.integers(1, 20_000), review=st.integers(1, 25_000), moments=st.integers(1, 300),
    lived=st.integers(1, 20_000),
)  # fmt: skip
def test_moments_rise_to_the_end_and_are_not_many(window, review, moments, lived):
    lived = min(lived, window)
    found = moments_of(window, review, moments, lived)
    assert found[-1] == lived
    assert all(first < second for first, second in zip([0, *found], found, strict=False))
    assert len(found) <= 2 * moments + 2
    assert moments_of(window, review, moments, window)[: len(found) - 1] == found[:-1]
    if window // review <= moments:
        assert set(range(review, lived, review)) <= set(found)


@pytest.mark.parametrize("said", [None, 64, {"moments": 0}, {"moments": 64.0}, {"moments": True}, {"moments": 1 << 40}])
def test_a_manifest_that_asks_wrongly_asks_for_none(said):
    assert moments_in({"population_series": said}) == 0


def test_what_it_says_is_what_the_world_was(made: Path):
    """The same experiments, run again one tick at a time, have the sampled figures at each moment."""
    manifest = json.loads((made / "run_manifest.json").read_text())
    profile = structure_config(manifest["config"], Profile, source="test")
    world = setup.prepare(profile, Layout.under(made.parent.parent))
    opened = 0
    for record in lines(made / FILE):
        by_tick = list(tick_by_tick(world, record["seed"]))
        for place, tick in enumerate(record["ticks"][:-1]):
            said = [record[name][place] for name in NAMES]
            np.testing.assert_allclose(said, by_tick[tick - 1], rtol=0.0, atol=0.0051)
            opened += record["long"][place] + record["short"][place] > 0
    assert opened > 20


NAMES = ("alive", "births", "reserve", "total", "fees", "slippage", "funding", "long", "short")


def tick_by_tick(world: setup.World, seed: int) -> Iterator[tuple[float, ...]]:
    known = setup.known_market(setup.arm_bars(world, Arm.A_REAL, seed), world.config, mask(world.ablation))
    one = Experiment(known.market, world.config, seed, mask=known.mask, environment=known.environment)
    while one.step(1) or one.tick == one.total_ticks:
        money = one.books.money
        worth = one.agents.accounts["position"] * world.config.contract_btc * world.config.lot_contracts
        worth = worth * known.market.close[one.tick - 1]
        yield (
            one.alive, one.books.tally[capital.BORN], money[capital.RESERVE], money[capital.TOTAL],
            money[capital.FEES], money[capital.SLIPPAGE], money[capital.FUNDING], worth[worth > 0].sum(),
            -worth[worth < 0].sum(),
        )  # fmt: skip
        if one.done:
            return


def test_a_replay_compares_it(made: Path, tmp_path: Path):
    again = replay(made, Layout.under(made.parent.parent), tmp_path, clock=SystemClock(), control=Stopper())
    assert again.identical, again.comparisons
    assert FILE in {one.name for one in again.comparisons}


def test_its_end_is_the_summary_and_its_deaths_are_the_events(made: Path):
    rows = json.loads((made / "multiple_experiments_summary.json").read_text())["all_stats"]
    deaths = Counter((one["experiment"], one["death_reason"]) for one in lines(made / "death_events.jsonl"))
    for record, row in zip(lines(made / FILE), rows, strict=True):
        assert record["ticks"][-1] == row["ticks"]
        assert record["total"][-1] == round(row["capital_triplet"]["current_total"], 2)
        assert {name: counts[-1] for name, counts in record["deaths"].items()} == row["deaths_by_reason"]
        assert record["deaths"]["liquidation"][-1] == deaths[row["experiment"], "liquidation"]
    assert deaths[0, "liquidation"] > 0


LIES: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "more alive": (("alive", 3), 99),
    "fewer births": (("births", 40), 0),
    "another reason": (("deaths", "capital_depleted", 30), 7),
    "a moment of its own": (("ticks", 5), 34),
    "money at the end": (("total", -1), 1.0),
    "a reserve of its own": (("reserve", 20), 5.0),
    "fees that fall": (("fees", 30), 0.0),
    "a fall that the row denies": (("total", 20), 0.01),
    "open behind a review": (("long", 15), 10.0),
    "a third of a cent": (("total", 20), 100.003),
    "a whole number": (("total", 20), 100),
    "no list": (("short",), []),
    "of another run": (("run_id",), "HF_20260101T000000Z_nocommit_0000"),
}


@pytest.mark.parametrize("name", LIES)
def test_what_is_changed_in_it_is_found(made: Path, tmp_path: Path, name: str):
    path, value = LIES[name]
    original = Original(made)
    count = len(lines(made / FILE)[0]["ticks"])
    path = tuple(count + one if isinstance(one, int) and one < 0 else one for one in path)
    report = original.forge(Forgery(FILE, 0, path, None, value), tmp_path)
    assert report.exit_code is ExitCode.VERIFY_FAILED
    assert any(FILE in str(one.where) for one in report.findings), report.lines()


def test_what_fits_is_what_a_close_look_finds_nothing_wrong_with(made: Path):
    """Any one character of a line, changed: the quick way takes in no line that the close one refuses, nor less."""
    manifest = json.loads((made / "run_manifest.json").read_text())
    rows = json.loads((made / "multiple_experiments_summary.json").read_text())["all_stats"]
    setting = setting_of(manifest)
    assert setting is not None
    lives = read_lives(setting, {name: made / name for name in FILES}, {row["experiment"]: row for row in rows})
    drawn, taken = random.Random(342), 0
    for number, line in enumerate((made / FILE).read_text().splitlines()):
        series = lives.told[number].series
        for _ in range(300):
            at = drawn.randrange(len(line))
            changed = line[:at] + drawn.choice('0123456789.-,[]{}":aeE ') + line[at + 1 :]
            right = series_findings.fits(changed, setting, number, series, rows[number])
            wrong = series_findings._wrong(changed.encode(), setting, number, series, rows[number])
            assert right is (not wrong), (changed, wrong)
            taken += right and changed != line
        assert series_findings.fits(line, setting, number, series, rows[number])
    assert taken > 20  # money that nothing settles


def test_another_number_of_moments_is_found(made: Path, tmp_path: Path):
    forged = Forgery("run_manifest.json", None, ("population_series", "moments"), 64, 65)
    assert Original(made).forge(forged, tmp_path).exit_code is ExitCode.VERIFY_FAILED


def test_a_run_that_keeps_one_owes_it(made: Path, tmp_path: Path):
    copy = Path(shutil.copytree(made, tmp_path / "runs_hf" / made.name))
    (copy / FILE).unlink()
    report = verify_run(copy, look_for_ledger=False)
    assert report.exit_code is ExitCode.VERIFY_FAILED
    assert any(FILE in str(one.where) for one in report.findings)
