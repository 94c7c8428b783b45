"""Real runs of many kinds, small enough to do hundreds of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve

from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.service.snapshotting import take_snapshot
from prometheus.v10.runs.control import Progress, StopReason
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.stage2.stage2_run import run_stage2
from prometheus.v10.runs.workload import RunRequest, Surroundings

BASE: dict[str, dict[str, Any] | Any] = {
    "mode": "offline",
    "workers": 1,
    "market": {"timeframe_s": 3600, "seed": 4, "bars": 600},
    "window": {"name": "S", "start": 20, "len": 400},
    "experiments": {"count": 3, "seed": 11},
    "world": {"founders": 10, "review_ticks": 100, "death_roi": -0.05, "breed_roi": 0.01},
    "evidence": {"order_sample_one_in": 20, "compress": False},
    "interesting": {
        "deaths_at_least": 2,
        "mass_death_share": 0.1,
        "mass_death_review_share": 0.2,
        "rejects_at_least": 2,
    },
}


ERAS_BEFORE = 2


class Stopper:
    """A `RunControl` that stops its run once so many agent-ticks are done; None lets it end."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after, self.seen = stop_after, 0

    def preparing(self, what: str) -> None: ...

    def able(self) -> None: ...

    def checked(self, nbytes: int) -> None: ...

    def run_opened(self, run_id: str, path: Path) -> None: ...

    def progress(self, progress: Progress) -> None:
        self.seen = progress.agent_ticks

    def sealing(self) -> None: ...

    def stop_requested(self) -> StopReason | None:
        return StopReason.SIGTERM if self.stop_after is not None and self.seen >= self.stop_after else None


def do_run(
    root: Path, changes: dict[str, dict[str, Any]], *, stop_after: int | None = None, counter: int = 0,
    clock: Clock | None = None,
) -> Path:  # fmt: skip
    """One run under ``root``; returns its directory. ``changes`` go over `BASE`, table by table.

    Where runs are eras, two whole ones go before it, so that it has ancestors.
    """
    tables = {k: {**v, **changes.get(k, {})} if isinstance(v, dict) else changes.get(k, v) for k, v in BASE.items()}
    profile = structure_config({**changes, **tables}, Profile, source="forger")
    layout = Layout.under(root)
    layout.prepare()
    journal = Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    around = Surroundings(layout=layout, clock=clock or SystemClock(), control=Stopper(stop_after), journal=journal)
    if profile.has_eras:
        whole = evolve(around, control=Stopper())
        for before in range(ledger_now(layout.ledger).eras.get("T", 0) if layout.ledger.exists() else 0, ERAS_BEFORE):
            run_stage1(
                RunRequest(profile=profile, mode=Mode.OFFLINE, instance="T", run_counter=before, era=before), whole
            )
        counter = max(counter, ERAS_BEFORE)
    era = ERAS_BEFORE if profile.has_eras else None
    request = RunRequest(profile=profile, mode=Mode.OFFLINE, instance="T", run_counter=counter, era=era)
    return run_stage1(request, around).path


KINDS: dict[str, tuple[dict[str, dict[str, Any]], int | None]] = {
    "plain": ({}, None),
    "collapse": ({"world": {"death_roi": 0.5, "breed_roi": 0.9, "founders": 8}}, None),
    "liquidations": (
        {"world": {"leverage_cap": 60.0, "maintenance_margin": 0.01, "founders": 24}, "market": {"seed": 9}}, None,
    ),
    "financial": (
        {
            "world": {"leverage_cap": 90.0, "maintenance_margin": 0.001, "allocation_ratio": 0.99999, "founders": 12},
            "market": {"timeframe_s": 14400},
        },
        None,
    ),
    "b2": ({"experiments": {"arm": "B2_shuffle_returns", "count": 2}}, None),
    "ablation": ({"experiments": {"ablation": "C_zeroed", "count": 2}}, None),
    "depleted": ({"world": {"initial_total": 21.0, "founders": 12, "leverage_cap": 3.0}}, None),
    "fences": ({"world": {"entry_m7_below": 0.5, "exit_m9_above": 10.0, "exit_c4_above": 0.5, "long_only": 0}}, None),
    "rejects": ({"world": {"max_participation": 1e-6, "death_roi": 0.005}}, None),
    "stopped": ({"experiments": {"count": 4}}, 6000),
    "cut": (
        {"experiments": {"count": 3}, "market": {"bars": 2000}, "window": {"len": 1500}}, 20_000,
    ),
    "every order": ({"evidence": {"order_sample_one_in": 1}, "experiments": {"count": 2}}, None),
    "tight budget": ({"evidence": {"order_sample_one_in": 1, "raw_budget_bytes": 120_000}}, None),
    "handed": ({"pool": {"survivors": 2, "least_trades": 3, "witnesses": 1, "best_of_the_dead": 1}}, None),
    "walk": (
        {
            "window": {"name": "S", "start": 20, "len": 180, "policy": "walk", "step": 100, "embargo": 7},
            "world": {"founders": 20}, "experiments": {"count": 5}, "founding": {"fresh": 1, "null": 2, "keep": 6},
        },
        None,
    ),
    "sample": (
        {
            "window": {"name": "S", "start": 20, "len": 200, "policy": "sample"}, "experiments": {"count": 2},
            "founding": {"parents": "lexicase"}, "world": {"founders": 20},
        },
        3000,
    ),
    "whole market": ({"window": {"name": "all", "start": 0, "len": 600}, "experiments": {"count": 1}}, None),
}  # fmt: skip
"""Profiles that between them show every kind of event; and after how many agent-ticks they are stopped."""


JUDGE: dict[str, Any] = {
    "mode": "offline",
    "stage": "stage2",
    "workers": 1,
    "market": {"timeframe_s": 3600, "seed": 9, "bars": 1200},
    "evidence": {"order_sample_one_in": 20, "compress": False},
    "interesting": BASE["interesting"],
    "world": {},
    "stage2": {
        "windows": [{"name": "V1", "start": 3, "len": 400}, {"name": "V2", "start": 600, "len": 500}],
        "timeframes_s": [3600, 14400],
        "seeds": [1, 2],
        "crowd": 6,
        "batch": 14,
    },
}

JUDGED: dict[str, tuple[dict[str, dict[str, Any]], int | None]] = {
    "stage2": ({}, None),
    "stage2 harsh": (
        {
            "world": {"leverage_cap": 60.0, "maintenance_margin": 0.01, "death_roi": 0.005},
            "stage2": {"review_days": 4.0, "windows": [], "timeframes_s": [7200], "friction": {"funding": 2.0}},
            "experiments": {"arm": "B2_shuffle_returns", "ablation": "M_zeroed"},
        },
        None,
    ),
    "stage2 stopped": ({"stage2": {"batch": 7, "crowd": 0}}, 60_000),
}  # fmt: skip
"""What judges the snapshot of a plain run: changes of `JUDGE`; and after how many agent-ticks it is stopped."""


def do_judge(
    root: Path, changes: dict[str, dict[str, Any]], *, stop_after: int | None = None, evolve: bool = True
) -> Path:
    """One run of stage 2 under ``root``, of a snapshot of a plain run's pool; returns its directory.

    ``changes`` go over `JUDGE`, table by table; without ``evolve`` the newest snapshot there is judged.
    """
    tables = {k: {**v, **changes.get(k, {})} if isinstance(v, dict) else changes.get(k, v) for k, v in JUDGE.items()}
    profile = structure_config({**changes, **tables}, Profile, source="forger")
    layout, clock = Layout.under(root), SystemClock()
    journal = Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE2, run_id=None)
    if evolve:
        do_run(root, {"world": {"death_roi": -0.5}})
        take_snapshot(layout, Stage.STAGE1, instance="T", clock=clock, journal=journal)
    around = Surroundings(layout=layout, clock=clock, control=Stopper(stop_after), journal=journal)
    return run_stage2(RunRequest(profile=profile, mode=Mode.OFFLINE, instance="T"), around).path


def random_profiles(seed: int) -> Iterator[tuple[dict[str, dict[str, Any]], int | None, int]]:
    """Ever new profiles: changes of `BASE`, agent-ticks to stop after, and the run's counter."""
    draw = random.Random(seed)
    while True:
        review = draw.choice([10, 37, 50, 100, 150])
        timeframe = draw.choice([300, 900, 3600, 14400])
        world = {
            "founders": draw.choice([1, 2, 3, 7, 10, 25, 60]),
            "review_ticks": review,
            "death_roi": draw.choice([-0.9, -0.2, -0.05, 0.0, 0.01]),
            "breed_roi": draw.choice([0.011, 0.02, 0.1]),
            "leverage_cap": draw.choice([1.0, 3.0, 10.0, 40.0, 80.0]),
            "maintenance_margin": draw.choice([0.001, 0.004, 0.012]),
            "initial_total": draw.choice([50.0, 300.0, 10_000.0, 1e6]),
            "allocation_ratio": draw.choice([0.1, 0.5, 0.8, 0.97]),
            "impact": draw.choice([0.0, 1.0, 3.0]),
            "mutation_rate": draw.choice([0.0, 0.1, 0.5]),
            "max_participation": draw.choice([0.0001, 0.1]),
        }
        if draw.random() < 0.2:
            world |= {"entry_m7_below": 0.5, "exit_c4_above": 0.3, "long_only": draw.choice([0, 1])}
        length = draw.choice([30, 101, 250, 400, 1300])
        changes: dict[str, Any] = {
            "world": world,
            "market": {"timeframe_s": timeframe, "seed": draw.randrange(1000), "bars": length + 100},
            "window": {"name": "W", "start": draw.randrange(100), "len": length},
            "experiments": {
                "count": draw.choice([1, 2, 4]),
                "seed": draw.randrange(1000),
                "arm": draw.choice(["A_real", "A_real", "B2_shuffle_returns"]),
                "ablation": draw.choice(["none", "none", "M_zeroed", "I_min_13"]),
            },
            "evidence": {
                "order_sample_one_in": draw.choice([0, 1, 7, 1000]),
                "raw_budget_bytes": draw.choice([0, 50_000, 1 << 26]),
            },
            "pool": {"best_of_the_dead": draw.choice([0, 3])},
            "workers": draw.choice([1, 1, 1, 2]),
        }
        if draw.random() < 0.3:
            count = changes["experiments"]["count"]
            changes["founding"] = {
                "policy": draw.choice(["inherit", "inherit", "random"]),
                "parents": draw.choice(["truncation", "tournament", "lexicase", "niches"]),
                "fresh": draw.choice([0, 1]) if count > 1 else 0,
                "null": draw.choice([0, 1]) if count > 2 else 0,
                **draw.choice([{}, {"elites": 1.0, "offspring": 0.0, "newcomers": 0.0}, {"keep": 2, "eras": 1}]),
            }
            changes["window"] |= draw.choice(
                [{}, {"policy": "sample", "len": max(10, length // 2)}, {"policy": "walk", "len": max(10, length // 3)}]
            )
        if draw.random() < 0.3:
            changes["pool"] |= {"survivors": draw.choice([0, 1, 5]), "witnesses": draw.choice([0, 2])}
        stop = draw.choice([None, None, None, 100, 1000, 5000, 20_000])
        yield changes, stop, draw.choice([0, 0, 1, 17])


def random_judges(seed: int) -> Iterator[tuple[dict[str, dict[str, Any]], int | None]]:
    """Ever new ways of judging: changes of `JUDGE`, and agent-ticks to stop after."""
    draw = random.Random(seed)
    while True:
        step = draw.choice([300, 900, 3600])
        windows = [{"name": "V1", "start": draw.randrange(40), "len": draw.choice([150, 333, 500])}]
        if draw.random() < 0.5:
            windows.append({"name": "V2", "start": 600, "len": draw.choice([200, 401])})
        stage2 = {
            "windows": draw.choice([windows, windows, []]),
            "timeframes_s": draw.choice([[step], [step * 2], [step, step * 4], [step * 3, step]]),
            "seeds": draw.choice([[1], [5, 3], [2, 9, 4]]),
            "stagger": draw.choice([0.0, 0.05, 0.31]),
            "crowd": draw.choice([0, 1, 4, 9, 64]),
            "stake": draw.choice([80.0, 0.25, 1000.0]),
            "batch": draw.choice([5, 20, 64]),
            "batches_a_run": draw.choice([0, 1, 2]),
            "friction": {"fees": draw.choice([1.0, 1.5, 3.7]), "funding": draw.choice([1.0, 2.5])},
        }
        if draw.random() < 0.5:
            stage2["review_days"] = draw.choice([0.01, 0.7, 5.0])
        changes: dict[str, dict[str, Any]] = {
            "stage2": stage2,
            "market": {"timeframe_s": step, "seed": draw.randrange(1000), "bars": draw.choice([1100, 1203])},
            "world": draw.choice([{}, {"leverage_cap": 60.0, "maintenance_margin": 0.01}, {"death_roi": -0.02}]),
            "experiments": {
                "arm": draw.choice(["A_real", "A_real", "B2_shuffle_returns"]),
                "ablation": draw.choice(["none", "C_zeroed", "I_min_13"]),
            },
            "evidence": {"order_sample_one_in": draw.choice([0, 1, 30])},
        }
        yield changes, draw.choice([None, None, None, 5_000, 40_000])
