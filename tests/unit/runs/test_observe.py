"""What the run writes of orders and deaths is what the world logged, under the world's own names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import Artifact, Event
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import exchange
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.records.codec import from_json_bytes
from prometheus.v10.evidence.records.event_lines import EventContext
from prometheus.v10.evidence.records.interesting import InterestingTable
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.manifest import RunManifest
from prometheus.v10.runs import observe
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.profile import Profile, load_profile
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.workload import RunRequest, Surroundings

PROFILE = """
mode = "offline"
workers = 1
[market]
timeframe_s = 3600
seed = 20260101
bars = 1200
[experiments]
count = 3
[evidence]
order_sample_one_in = 20
compress = false
raw_budget_bytes = 60000
[world]
leverage_cap = 20.0
review_ticks = 400
founders = 40
[interesting]
mass_death_share = 0.1
mass_death_review_share = 0.3
"""
"""High leverage: liquidations and rejects come early and often."""

CONTEXT = EventContext(run_id="HF_20260102T030405Z_0123456_0000", experiment=0, seed=1, arm="A_real")


@pytest.fixture
def profile(tmp_path: Path, layout: Layout) -> Profile:
    path = tmp_path / "small.toml"
    path.write_text(PROFILE)
    return load_profile(path, layout)


@pytest.fixture
def world(profile: Profile, layout: Layout) -> setup.World:
    return setup.prepare(profile, layout)


def lived(world: setup.World, one_in: int, seed: int = 1):
    """An experiment to its end, and its scene."""
    market, _ = setup.market_arrays(world.bars, world.config)
    experiment = Experiment(market, world.config, seed, keep_orders_one_in=one_in)
    while experiment.step(500):
        pass
    scene = observe.Scene(
        symbol="X", environment=experiment.environment, close=market.close, config=world.config,
        keep_orders_one_in=one_in, interesting=InterestingTable(),
    )  # fmt: skip
    return experiment.result(), scene, market.open_time + 3600


def records(block) -> list[dict]:
    return [json.loads(line) for line in block.lines]


def test_every_kind_and_flag_of_the_world_has_its_name() -> None:
    flags = {value for name, value in vars(exchange).items() if name.startswith("FLAG_")}
    assert set(observe.FLAGS) == flags
    assert sorted(observe.KINDS) == list(range(exchange.SETTLEMENT + 1))
    assert sum(observe.FLAGS) == 2 ** len(flags) - 1


def test_a_sample_is_what_the_full_log_has_of_those_orders(world: setup.World) -> None:
    full, scene, closes = lived(world, 1)
    everything = observe.raw_orders(full, CONTEXT, scene, closes)
    part, scene, closes = lived(world, 20)
    sampled = observe.raw_orders(part, CONTEXT, scene, closes)
    flagged = [[one for one in records(blocks.events) if one["flags"]] for blocks in (sampled, everything)]
    assert flagged[0] == flagged[1] != []
    in_full = {record["order"]: record for record in records(everything.samples) + records(everything.events)}
    assert len(in_full) == len(full.order_ids)
    for record in records(sampled.samples) + records(sampled.events):
        assert record == in_full[record["order"]]
    plain = [record["order"] for record in records(sampled.samples) if not record["flags"]]
    assert plain
    assert all(order % 20 == 0 for order in plain)
    assert everything.crossing is not None
    assert sampled.crossing is None


def test_liquidations_are_event_records_and_agree_with_the_deaths(world: setup.World) -> None:
    result, scene, closes = lived(world, 20)
    events = records(observe.raw_orders(result, CONTEXT, scene, closes).events)
    forced = {record["agent_id"] for record in events if record["kind"] == "liquidation"}
    dead = {f"e0000a{index:06d}" for index in result.deaths.genome_index[result.deaths.reason == 2]}
    assert forced == dead
    assert len(forced) > 3
    assert all("forced" in record["flags"] for record in events if record["kind"] == "liquidation")


def test_friction_is_the_exchange_s_own_spread_and_impact(world: setup.World) -> None:
    _, scene, _ = lived(world, 0)
    around, config = scene.environment, scene.config
    found = observe.friction(scene)
    stake = config.initial_total * config.allocation_ratio / config.founders
    for tick in (1, 400, 1199):
        quantity = stake * config.leverage_cap / scene.close[tick]
        impact = exchange.impact_fraction(quantity, around.volatility[tick], around.mean_volume[tick], config)
        assert found[tick] == pytest.approx(0.5 * around.spread[tick] / scene.close[tick] + impact, rel=1e-12)
    assert np.isfinite(found).all()
    assert not observe.trend(scene)[: config.day_ticks].any()


class Control:
    """Lets a run go its way."""

    def preparing(self, what: str) -> None:
        """Nothing to say."""

    def able(self) -> None:
        """Nothing to say."""

    def checked(self, nbytes: int) -> None:
        pass

    def run_opened(self, run_id: str, path: Path) -> None:
        pass

    def progress(self, progress) -> None:
        pass

    def sealing(self) -> None:
        pass

    def stop_requested(self):
        return None


def test_a_run_files_counts_and_tells_what_it_saw(profile: Profile, layout: Layout, fake_clock, notify_socket) -> None:
    said: list[dict] = []
    journal = Journal(
        instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None, socket=notify_socket.path,
        sender=lambda _, **fields: said.append(fields),
    )  # fmt: skip
    around = Surroundings(layout=layout, clock=fake_clock, control=Control(), journal=journal)
    outcome = run_stage1(RunRequest(profile=profile, mode=Mode.OFFLINE, instance="HF"), around)
    manifest = from_json_bytes((outcome.path / Artifact.MANIFEST).read_bytes(), RunManifest, where="manifest")
    index = json.loads((outcome.path / Artifact.EXECUTION_RAW_INDEX).read_bytes())
    lines = [json.loads(line) for line in (outcome.path / Artifact.INTERESTING_DEATHS).read_bytes().splitlines()]
    deaths = [json.loads(line) for line in (outcome.path / Artifact.DEATHS).read_bytes().splitlines()]
    assert manifest.counts.raw_samples == index["total_records"] > 0
    assert index["total_event_records"] > 0
    assert manifest.counts.interesting_deaths == len(lines) > 0
    told = [fields for fields in said if fields["PROMETHEUS_EVENT"] == "interesting_death"]
    assert [fields["PROMETHEUS_DETAIL"] for fields in told] == [line["detail"] for line in lines]
    assert manifest.journal.sent["interesting_death"] == len(lines)
    for line in lines:
        named = [deaths[n - 1] for ref in line["evidence_refs"] for n in range(ref["line_start"], ref["line_end"] + 1)]
        assert {one["experiment"] for one in named} == {line["experiment"]}
        assert [one["agent_id"] for one in named][: len(line["agent_ids"])] == line["agent_ids"]
        assert all(line["tick_first"] <= one["tick"] <= line["tick_last"] for one in named)
    dropped = [fields for fields in said if fields["PROMETHEUS_EVENT"] == "retention_deletion"]
    assert sum(int(fields["PROMETHEUS_FILES"]) for fields in dropped) == len(index["dropped"])
    assert verify_run(outcome.path).verdict == "PASS"


class Rebooted(Control):
    """Tells the journal, or does not, that its run is the first after a collapse."""

    def __init__(self, journal: Journal, *, tells: bool) -> None:
        self.journal, self.tells = journal, tells

    def run_opened(self, run_id: str, path: Path) -> None:
        if self.tells:
            self.journal.for_run(run_id).send(Event.REBOOT, str(path), after_run_id="A", restart_seconds=1.0)


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize("tells", [True, False])
def test_a_run_after_a_collapse_and_no_other_tells_of_a_reboot(
    profile: Profile, layout: Layout, fake_clock, notify_socket, follows: bool, tells: bool
) -> None:
    journal = Journal(
        instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None, socket=notify_socket.path,
        sender=lambda *_, **__: None,
    )  # fmt: skip
    around = Surroundings(layout=layout, clock=fake_clock, control=Rebooted(journal, tells=tells), journal=journal)
    request = RunRequest(
        profile=profile, mode=Mode.OFFLINE, instance="HF", previous_run_id="A" if follows else None,
        restart_seconds=1.0 if follows else None,
    )  # fmt: skip
    outcome = run_stage1(request, around)
    report = verify_run(outcome.path)
    if follows == tells:
        assert report.verdict == "PASS", report.lines()
    else:
        assert "entries of reboot" in "\n".join(report.lines())
