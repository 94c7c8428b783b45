"""One history of eras as a job for a worker: the eras of a trial (`runs.trial`), and what they came to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import fmean

from attrs import Factory, define, evolve, frozen

from prometheus.v10.evidence.pools.descent import Line
from prometheus.v10.market.bars import Bars
from prometheus.v10.market.null_arm import shuffle_returns
from prometheus.v10.market.planted import planted
from prometheus.v10.market.windows import whole
from prometheus.v10.report.betting import THRESHOLD, Capital
from prometheus.v10.report.cliff import cliffs_delta
from prometheus.v10.report.eras import Era
from prometheus.v10.report.gain import COMPARISONS, Comparison, gains
from prometheus.v10.runs.request.era_place import EraPlace
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.trial import EraBars, Lived, trial_eras, walk_over

APART = 1_000_000
"""Between the first seeds of two histories: more than any of them uses."""


@frozen
class Planted:
    """Eras on markets of planted truth (`market.planted`), each on one of its own.

    Attributes:
        pull: of every market.
        bars: of an era.
        seed: of the history.
    """

    pull: float
    bars: int
    seed: int

    def eras(self, _: Profile) -> Iterator[EraBars]:
        """Without end."""
        number = 0
        while True:
            bars = planted(self.seed * APART + number, self.bars, pull=self.pull)
            yield bars, EraPlace(number=number, cycle=number, window=whole(bars))
            number += 1


@frozen(eq=False)
class Walk:
    """Eras along given bars as the profile's window walks.

    Attributes:
        shuffle: seed of a shuffle of all returns before anybody lives on them, so that their order means nothing; at
            their end the walk begins again on the next shuffle. None leaves the order, and ends with the bars.
    """

    bars: Bars
    shuffle: int | None = None

    def eras(self, profile: Profile) -> Iterator[EraBars]:
        """See the class."""
        if self.shuffle is None:
            yield from walk_over(profile, self.bars)
            return
        number, cycle = 0, 0
        while True:
            bars = shuffle_returns(self.bars, self.shuffle * APART + cycle)
            for _, place in walk_over(profile, bars):
                yield bars, EraPlace(number=number, cycle=cycle, window=place.window)
                number += 1
            cycle += 1


@frozen(kw_only=True, eq=False)
class Job:
    """A history to be lived.

    Attributes:
        profile: its experiments' first seed is the history's own.
        most: eras, at most.
        until_shown: ends once both comparisons have shown a gain: nothing takes that back.
        stop_file: once it exists, the history ends after the era under way, and is not whole.
    """

    name: str
    profile: Profile
    market: Planted | Walk
    most: int
    until_shown: bool = False
    stop_file: str = ""


@frozen
class Figures:
    """The experiments of one line in one era: means over them, but for ``collapses``, which are counted.

    Attributes:
        roi: of the system.
        alive: at the end.
        diversity: standard deviation of a gene over those who live, mean over loci; None where nobody does.
        pace: trades in 1,000 agent-ticks.
    """

    experiments: int
    roi: float
    alive: float
    collapses: int
    diversity: float | None
    pace: float


@define
class Lives:
    """What a history came to.

    Attributes:
        lines: of each line, its figures era by era.
        whole: whether it came to its end.
    """

    eras: list[Era] = Factory(list)
    lines: dict[Line, list[Figures]] = Factory(dict)
    agent_ticks: int = 0
    whole: bool = False
    _bets: list[Capital] = Factory(lambda: [Capital() for _ in COMPARISONS])
    _shown: list[bool] = Factory(lambda: [False for _ in COMPARISONS])

    @property
    def both_shown(self) -> bool:
        """Whether both comparisons have shown a gain at some era."""
        return all(self._shown)

    @property
    def comparisons(self) -> list[Comparison]:
        """Inherited against random founding, and against the shuffled line."""
        return gains(self.eras)

    def take(self, era: Iterable[Lived]) -> None:
        """One era more."""
        by_line: dict[Line, list[Lived]] = {}
        for one in era:
            by_line.setdefault(one.line, []).append(one)
            self.agent_ticks += one.agent_ticks
        returns = {line: tuple(one.stats.system_roi for one in lived) for line, lived in by_line.items()}
        self.eras.append(Era(len(self.eras), "", returns))
        for k, (first, second) in enumerate(COMPARISONS):
            if first in returns and second in returns:
                self._bets[k].see(cliffs_delta(returns[first], returns[second]))
                self._shown[k] |= self._bets[k].log >= math.log(THRESHOLD)
        for line, lived in by_line.items():
            self.lines.setdefault(line, []).append(_figures(lived))


def with_seed(profile: Profile, seed: int) -> Profile:
    """The profile with the first seed of a history of its own."""
    return evolve(profile, experiments=evolve(profile.experiments, seed=seed * APART))


def live(job: Job) -> Lives:
    """Live a history; a job for `runs.workers.cluster.in_order`."""
    lives = Lives()
    for era in trial_eras(job.profile, job.market.eras(job.profile)):
        lives.take(era)
        if job.stop_file and Path(job.stop_file).exists():
            return lives
        if len(lives.eras) == job.most or (job.until_shown and lives.both_shown):
            break
    lives.whole = True
    return lives


def first_quarter(figures: list[Figures]) -> list[Figures]:
    """The first quarter of the eras, at least one."""
    return figures[: max(len(figures) // 4, 1)]


def last_quarter(figures: list[Figures]) -> list[Figures]:
    """The last quarter of the eras, at least one."""
    return figures[-max(len(figures) // 4, 1) :]


def _figures(lived: list[Lived]) -> Figures:
    stats = [one.stats for one in lived]
    known = [one.gene_diversity for one in stats if one.gene_diversity is not None]
    return Figures(
        experiments=len(lived),
        roi=fmean(one.system_roi for one in stats),
        alive=fmean(one.alive_agents for one in stats),
        collapses=sum(bool(one.collapse.detected) for one in stats),
        diversity=fmean(known) if known else None,
        pace=1000.0 * sum(one.trades for one in stats) / max(sum(one.agent_ticks for one in lived), 1),
    )
