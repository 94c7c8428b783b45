"""Whose an experiment is: what its records say beside its own figures."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from prometheus.v10.evidence.pools.exposure import Interval
from prometheus.v10.evidence.pools.handed import EVERYONE, Handing


@frozen(kw_only=True)
class Descent:
    """An experiment's line of descent.

    Attributes:
        interval: of the market that the experiment lives through.
    """

    instance: str
    line: str
    era: int
    interval: Interval


@frozen(kw_only=True)
class Identity:
    """Whose experiment this is: what its records say beside its own figures.

    Attributes:
        created_at: start of the run, for the pool's records.
        ticks_planned: length of the window.
        timeframe_s: seconds a bar.
        handing: which survivors are handed to the pool.
        descent: instance, line and era of an experiment of a run that has eras; else None.
        cut_counts: whether an experiment that a stop cut hands genomes to the pool: a replay of manifest version 1.
    """

    run_id: str
    experiment: int
    seed: int
    arm: str
    mode: str
    git_commit: str | None
    docker_image: str | None
    created_at: str
    window: dict[str, Any]
    ablation: dict[str, Any]
    fingerprint_ref: str
    ticks_planned: int
    timeframe_s: int
    best_of_the_dead: int
    null_reasons: dict[str, str]
    handing: Handing = EVERYONE
    descent: Descent | None = None
    cut_counts: bool = False
