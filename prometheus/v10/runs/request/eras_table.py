"""``[window]`` and ``[founding]`` of a profile: which bars an era has, and who founds its populations (ADR 0070)."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import attrs
from attrs import field, frozen, validators

from prometheus.v10.base.modes import Stage
from prometheus.v10.evidence.derive.eras.era_rules import ancestral_line, lines_of
from prometheus.v10.evidence.pools.descent import INHERIT, NULL


class WindowPolicy(StrEnum):
    """Which stretch of the market a run gets."""

    FIXED = "fixed"
    WALK = "walk"
    SAMPLE = "sample"


class AtEnd(StrEnum):
    """What follows when a walk has no bars left."""

    STOP = "stop"
    WAIT = "wait"
    AGAIN = "again"


@frozen(kw_only=True)
class WindowTable:
    """``[window]``: a stretch of bars; what moves it from run to run.

    Attributes:
        name: how people call it, e.g. ``W1``.
        start: row of the first bar of the first era, counting from 0.
        len: number of bars.
        policy: ``fixed`` (None means this): every run has the same bars. ``walk``: each era has the next ones.
            ``sample``: each era has a stretch behind ``start`` that its number and the seed draw.
        step: bars from the start of one era to the start of the next, without the embargo; None is ``len``.
        embargo: bars that are left out between two eras (None: 0).
        seed: draws the stretches of policy ``sample``; None is the seed of ``[experiments]``. A promotion has a seed of
            its own there, and names the one that its source's stretches were drawn by.
        at_end: when a walk has no bars left: ``stop`` (None means this), ``wait`` until the market grows, or begin
            ``again``. The synthetic market goes on for ever: its next bars are those of the next seed.
    """

    name: str
    start: int
    len: int
    policy: WindowPolicy | None = None
    step: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    embargo: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    at_end: AtEnd | None = None
    seed: int | None = field(default=None, validator=validators.optional(validators.ge(0)))

    @property
    def moves(self) -> bool:
        """Whether runs have different windows."""
        return self.policy not in {None, WindowPolicy.FIXED}


class Founding(StrEnum):
    """How populations begin."""

    RANDOM = "random"
    INHERIT = "inherit"


class Parents(StrEnum):
    """How parents are chosen among the ancestors."""

    TRUNCATION = "truncation"
    TOURNAMENT = "tournament"
    LEXICASE = "lexicase"
    NICHES = "niches"


NEWEST = "newest"
SHARES = ("elites", "offspring", "newcomers")


@frozen(kw_only=True)
class FoundingTable:
    """``[founding]``: who founds the populations of an era.

    Attributes:
        policy: ``random``, or ``inherit`` from a pool.
        stage: whose pool. ``stage1`` (None means this): ancestors are ranked by the lives that they lived there.
            ``stage2``: those that were judged, ranked by their verdicts (ADR 0086).
        snapshot: ``newest`` is the prefix of stage 1's pool when the run begins, or the newest snapshot of stage 2's;
            else the id of a snapshot of that stage.
        elites: share of founders that are ancestors, unchanged, best first.
        offspring: share that are mutated copies of parents, by the core's own mutation.
        newcomers: share that the experiment's seed draws.
        parents: how parents are chosen.
        keep: parents are chosen among so many ancestors at most, the best.
        eras: ancestors lived in one of so many eras before, or, of stage 2, in one of so many that were judged last;
            of a named snapshot all records count.
        tournament: how many ancestors meet in a tournament.
        fresh: experiments of each run that are founded at random, on the same bars.
        null: experiments of each run that live on shuffled returns.
        null_founders: whose ancestors found those: ``inherit``, so that an era is lived by the same founders on the
            real and on the shuffled order; or ``null`` (None means this), a line of its own (ADR 0076).
    """

    policy: Founding = Founding.INHERIT
    stage: Stage | None = None
    snapshot: str = NEWEST
    elites: float = field(default=0.25, validator=[validators.ge(0.0), validators.le(1.0)])
    offspring: float = field(default=0.5, validator=[validators.ge(0.0), validators.le(1.0)])
    newcomers: float = field(default=0.25, validator=[validators.ge(0.0), validators.le(1.0)])
    parents: Parents = Parents.TRUNCATION
    keep: int = field(default=50, validator=validators.ge(1))
    eras: int = field(default=4, validator=validators.ge(1))
    tournament: int = field(default=4, validator=validators.ge(1))
    fresh: int = field(default=0, validator=validators.ge(0))
    null: int = field(default=0, validator=validators.ge(0))
    null_founders: str | None = field(default=None, validator=validators.optional(validators.in_((INHERIT, NULL))))

    @property
    def pool(self) -> Stage:
        """The stage whose pool ancestors come from."""
        return self.stage or Stage.STAGE1

    def lines(self, experiments: int) -> list[str]:
        """The line of each of a run's experiments: those that inherit, then the controls."""
        return lines_of(self.policy.value, experiments, self.fresh, self.null)

    def ancestral(self, line: str) -> str:
        """The line whose ancestors found an experiment of ``line``."""
        return ancestral_line(line, self.null_founders)


def unsound_eras(profile: Any) -> list[str]:
    """What is wrong with ``[window]`` and ``[founding]`` beyond single numbers; empty when nothing is."""
    found, window, founding = [], profile.window, profile.founding
    if window is not None and not window.moves and (window.step, window.embargo, window.at_end) != (None, None, None):
        found.append("[window] step, embargo and at_end are of a policy that moves it; expected policy = walk")
    if window is not None and window.policy is not WindowPolicy.SAMPLE and window.seed is not None:
        found.append("[window] seed is of policy sample, which draws")
    if window is not None and window.policy is WindowPolicy.SAMPLE and (window.step, window.at_end) != (None, None):
        found.append("[window] step and at_end are of policy walk, and policy is sample")
    if founding is None:
        return found
    if not math.isclose(total := sum(getattr(founding, name) for name in SHARES), 1.0, abs_tol=1e-9):
        found.append(f"[founding] elites + offspring + newcomers = {total:g}: expected 1")
    if (controls := founding.fresh + founding.null) >= (count := profile.experiments.count):
        found.append(f"[founding] fresh + null = {controls}: expected less than [experiments] count ({count})")
    if founding.snapshot != NEWEST and founding.null and founding.ancestral(NULL) == NULL:
        found.append("[founding] null has ancestors of its own: with it, expected snapshot = newest")
    if founding.pool is Stage.STAGE2 and founding.policy is not Founding.INHERIT:
        found.append(f"[founding] stage = stage2 is of policy inherit, and policy is {founding.policy.value}")
    if founding.pool is Stage.STAGE2 and founding.null and founding.ancestral(NULL) == NULL:
        found.append("[founding] null has ancestors of its own: with stage = stage2, expected null_founders = inherit")
    return found


def plain_window(window: WindowTable) -> dict[str, Any]:
    """``name``, ``start`` and ``len``."""
    return attrs.asdict(window, filter=lambda a, _: a.name in {"name", "start", "len"})
