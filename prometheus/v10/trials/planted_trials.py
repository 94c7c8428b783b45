"""Whether progress can tell: histories of eras on markets of planted truth, many of each kind.

Where the order of returns can be learnt, both comparisons of `report.gain` must show it. Where it means nothing, the
comparison of the real order with the shuffled one must not, however often one looks. (Inheritance may gain over random
founding there as well: to avoid costs can be learnt on any market.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from attrs import frozen

from prometheus.v10.base.modes import Mode
from prometheus.v10.evidence.pools.descent import INHERIT, Line
from prometheus.v10.market.bars import Bars
from prometheus.v10.runs.request.eras_table import FoundingTable, Parents, WindowPolicy, WindowTable
from prometheus.v10.runs.request.profile import ExperimentsTable, PoolTable, Profile, WorldTable
from prometheus.v10.runs.workers.cluster import in_order
from prometheus.v10.runs.workers.hands import Hands, Progress
from prometheus.v10.trials.trial_history import Job, Lives, Planted, Walk, last_quarter, live, with_seed

ERA_BARS = 2000
REVIEW = 500
LEAST_SHOWN, MOST_FALSE = 0.95, 0.05
LEAST_RATIO = 50.0

PROFILE = Profile(
    mode=Mode.OFFLINE.value,
    window=WindowTable(name="era", start=0, len=ERA_BARS, policy=WindowPolicy.WALK),
    experiments=ExperimentsTable(count=12),
    world=WorldTable(review_ticks=REVIEW, death_roi=0.0001, breed_roi=0.02, community_ticks=REVIEW),
    pool=PoolTable(best_of_the_dead=0, survivors=12, witnesses=1),
    founding=FoundingTable(parents=Parents.LEXICASE, fresh=4, null=4, null_founders=INHERIT),
)
"""The ecology of HF in small: four reviews an era, and four experiments of each line."""


@frozen(kw_only=True)
class Kind:
    """A kind of market, and what must hold of its histories.

    Attributes:
        pull: of planted markets; None for given bars, shuffled.
        learnable: whether both comparisons must show a gain; else the second must show none.
        ratio: least ratio of returns, inherited over random founding, in the last quarter of the eras; None asks none.
    """

    market: str
    pull: float | None
    eras: int
    learnable: bool
    ratio: float | None = None

    @property
    def asked(self) -> str:
        """In words."""
        if self.ratio is not None:
            return f"last quarter: returns {self.ratio:g} times those of random founding"
        if self.learnable:
            return f"both shown in at least {LEAST_SHOWN:.0%}"
        return f"over shuffled shown in at most {MOST_FALSE:.0%}"


KINDS = (
    Kind(market="strong pull", pull=0.05, eras=40, learnable=True, ratio=LEAST_RATIO),
    Kind(market="weak pull", pull=0.02, eras=60, learnable=True),
    Kind(market="no pull", pull=0.0, eras=200, learnable=False),
)


@frozen(kw_only=True)
class TrialRow:
    """What the histories on one kind of market showed.

    Attributes:
        histories: that came to their end.
        over_random: histories that showed a gain of inheritance over random founding; ``over_shuffled`` of the real
            order over the shuffled one.
        latest: the largest number of eras that it took to show both; None where one of them was not shown somewhere.
        inherited: mean return of an experiment in the last quarter of the eras, a fraction; ``random`` the same.
        asked: what must hold, in words; ``holds`` whether it does.
    """

    market: str
    pull: float | None
    eras: int
    histories: int
    over_random: int
    over_shuffled: int
    latest: int | None
    inherited: float | None
    random: float | None
    asked: str
    holds: bool


def run_planted_trials(
    histories: int, first: int, hands: Hands, *, stop_file: str, shuffled: tuple[str, Bars] | None = None,
    kinds: Sequence[Kind] = KINDS,
) -> list[TrialRow]:  # fmt: skip
    """Live through ``histories`` histories of each kind; those that a stop cut count for nothing.

    Args:
        histories: of each kind.
        first: seed of the first history.
        hands: workers.
        stop_file: a path; whoever stops the work makes this file.
        shuffled: name and bars of a market to be shuffled: another kind, whose order means nothing.
        kinds: of planted markets.
    """
    asked = [*kinds]
    if shuffled is not None:
        asked.append(Kind(market=f"{shuffled[0]}, shuffled", pull=None, eras=200, learnable=False))
    bars = None if shuffled is None else shuffled[1]
    found: list[Lives] = []
    agent_ticks = 0
    for lives in in_order(
        hands.executor, live, _jobs(asked, histories, first, bars, stop_file), ahead=hands.ahead, stop=hands.stop
    ):
        found.append(lives)
        agent_ticks += lives.agent_ticks
        what, total = f"{len(found)} histories", len(asked) * histories
        hands.told(Progress(what=what, done=len(found), total=total, agent_ticks=agent_ticks))
    parts = [found[k * histories : (k + 1) * histories] for k in range(len(asked))]
    return [_row(kind, [one for one in part if one.whole]) for kind, part in zip(asked, parts, strict=True)]


def _jobs(kinds: Sequence[Kind], histories: int, first: int, bars: Bars | None, stop_file: str) -> Iterator[Job]:
    for kind in kinds:
        for seed in range(first, first + histories):
            if kind.pull is not None:
                market: Planted | Walk = Planted(kind.pull, ERA_BARS, seed)
            elif bars is not None:
                market = Walk(bars, shuffle=seed)
            else:
                raise RuntimeError(f"{kind.market} without bars")
            yield Job(
                name=f"{kind.market}, history {seed}",
                profile=with_seed(PROFILE, seed),
                market=market,
                most=kind.eras,
                until_shown=kind.learnable and kind.ratio is None,
                stop_file=stop_file,
            )


def _row(kind: Kind, found: Sequence[Lives]) -> TrialRow:
    both = [one.comparisons for one in found]
    shown = [[comparison.shown_at for comparison in pair] for pair in both]
    over_random, over_shuffled = (sum(pair[k] is not None for pair in shown) for k in (0, 1))
    inherited, random = (
        fmean(late(one, line) for one in found) if found else None for line in (Line.INHERIT, Line.FRESH)
    )
    complete = [max(first, second) for first, second in shown if first is not None and second is not None]
    if kind.ratio is not None:
        holds = inherited is not None and random is not None and inherited >= kind.ratio * max(random, 0.0) > 0.0
    elif kind.learnable:
        holds = bool(found) and min(over_random, over_shuffled) >= LEAST_SHOWN * len(found)
    else:
        holds = bool(found) and over_shuffled <= MOST_FALSE * len(found)
    return TrialRow(
        market=kind.market, pull=kind.pull, eras=kind.eras, histories=len(found), over_random=over_random,
        over_shuffled=over_shuffled, latest=max(complete) + 1 if len(complete) == len(found) > 0 else None,
        inherited=inherited, random=random, asked=kind.asked, holds=holds,
    )  # fmt: skip


def late(lives: Lives, line: Line) -> float:
    """Mean return of a line in the last quarter of a history's eras."""
    return fmean(one.roi for one in last_quarter(lives.lines[line]))
