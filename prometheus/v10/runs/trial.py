"""A trial of founding: the eras of an instance, lived one after another in memory, without evidence.

What decides in a service decides here: the bars of an era, its lines, the choice of parents, the core, the rule by
which survivors are handed over, and the records in which the next era finds them. The file system is left out. A
question about founding takes thousands of eras, and this is how it is asked of the product itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from attrs import frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Arm
from prometheus.v10.evidence.pools.descent import LINES, NULL, Line
from prometheus.v10.evidence.records.summary import ExperimentStats
from prometheus.v10.market.bars import Bars
from prometheus.v10.runs.founding.ancestors import Ancestor, ancestor_of
from prometheus.v10.runs.founding.populations import Plan, plans
from prometheus.v10.runs.request.era_place import EraPlace, NoBarsLeftError, era_place
from prometheus.v10.runs.request.eras_table import Founding, FoundingTable
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.request.setup import World, world_on
from prometheus.v10.runs.stage1 import seeds_of
from prometheus.v10.runs.who import Descent, Identity
from prometheus.v10.runs.workers.executor import Job, ProgressTable, run_job

TRIAL = "trial"
"""In place of a run's id and an instance's name: nothing of it is filed."""
NOTHING_FILED = "a trial of founding files nothing"


@frozen
class Lived:
    """One experiment of an era: its line, and what it came to."""

    line: Line
    stats: ExperimentStats
    agent_ticks: int


EraBars = tuple[Bars, EraPlace]
"""The market of an era, and where in it the era lies."""


def walk_over(profile: Profile, bars: Bars) -> Iterator[EraBars]:
    """The eras of a profile's window over one market, until no bars are left.

    Raises:
        ConfigError: for a profile without a window, or a market with no room for one era.
    """
    if profile.window is None:
        raise ConfigError("a trial of founding needs a profile with a [window]", hint="name one that has [founding]")
    number = 0
    while True:
        try:
            place = era_place(profile.window, number, len(bars), seed=profile.experiments.seed, endless=False)
        except NoBarsLeftError:
            return
        yield bars, place
        number += 1


def trial_eras(profile: Profile, eras: Iterable[EraBars]) -> Iterator[list[Lived]]:
    """Live through eras, each population founded on those before as ``[founding]`` says.

    Args:
        profile: ``[market]`` and ``[window]`` are not looked at.
        eras: numbered from 0, one after another.

    Raises:
        ConfigError: for numbers of the world that cannot be.
    """
    table = profile.founding or FoundingTable(policy=Founding.RANDOM)
    lines = table.lines(profile.experiments.count)
    found: dict[str, list[Ancestor]] = {line: [] for line in LINES}
    records = 0
    for bars, place in eras:
        world = world_on(profile, bars, place)
        seeds = seeds_of(profile, place.number)
        found = {line: [one for one in found[line] if one.era >= place.number - table.eras] for line in found}
        founding = plans(found, table, world.config, lines, seeds)
        era, handed = [], []
        for number, plan in enumerate(founding):
            lived, pool = _live(profile, world, plan, number, seeds[number])
            era.append(lived)
            handed += [(plan.line, record) for record in pool]
        for line, record in handed:
            found[line].append(ancestor_of(records, record))
            records += 1
        yield era


def _live(profile: Profile, world: World, plan: Plan, experiment: int, seed: int) -> tuple[Lived, list[dict[str, Any]]]:
    """One experiment, and the records that it hands over."""
    job = Job(
        who=_identity(profile, world, plan, experiment, seed),
        keep_orders_one_in=0,
        interesting=profile.interesting,
        plan=plan,
    )
    harvest = run_job(world, job, ProgressTable(profile.experiments.count), lambda: None)
    if harvest is None:
        raise RuntimeError("an experiment without ticks")
    records = [json.loads(one.line(0, "")) for one in harvest.pool]
    return Lived(Line(plan.line), harvest.stats, harvest.agent_ticks), records


def _identity(profile: Profile, world: World, plan: Plan, experiment: int, seed: int) -> Identity:
    window = world.window
    if world.interval is None or world.place is None:
        raise RuntimeError("a world that is no era")
    return Identity(
        run_id=TRIAL,
        experiment=experiment,
        seed=seed,
        arm=(Arm.B2_SHUFFLE_RETURNS if plan.line == NULL else world.arm).value,
        mode=profile.mode.value,
        git_commit=None,
        docker_image=None,
        created_at="",
        window={"name": window.name, "start": window.start, "len": window.len},
        ablation={"name": world.ablation, "detail": ""},
        fingerprint_ref=TRIAL,
        ticks_planned=window.len,
        timeframe_s=world.config.timeframe_s,
        best_of_the_dead=profile.pool.best_of_the_dead,
        handing=profile.pool.handing,
        null_reasons=dict.fromkeys(("source.git_commit", "source.docker_image"), NOTHING_FILED),
        descent=Descent(instance=TRIAL, line=plan.line, era=world.place.number, interval=world.interval),
    )
