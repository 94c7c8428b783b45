"""Ways of choosing parents side by side: many histories of each over one market, in figures of populations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from attrs import evolve, frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Stage
from prometheus.v10.evidence.pools.descent import Line
from prometheus.v10.market.bars import Bars
from prometheus.v10.runs.request.eras_table import Founding, Parents
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.workers.cluster import in_order
from prometheus.v10.runs.workers.hands import Hands, Progress
from prometheus.v10.trials.trial_history import Figures, Job, Lives, Walk, first_quarter, last_quarter, live, with_seed


@frozen(kw_only=True)
class LineRow:
    """One line under one way of choosing parents. Figures are means over experiments, eras and histories.

    Attributes:
        parents: how they were chosen; None of the line that has none (it is the same under each way).
        roi_first: return of an experiment in the first quarter of the eras, a fraction; ``roi_middle`` in the two
            quarters between, ``roi_last`` in the last one.
        alive_first: agents alive at the end, in the first quarter; ``alive_last`` in the last one.
        collapses: experiments that collapsed, of ``experiments``.
        diversity_first: standard deviation of a gene over those who live, in the first quarter; ``diversity_last``.
        pace_first: trades in 1,000 agent-ticks, in the first quarter; ``pace_last``.
        over_random: Cliff's delta of the inherited line over random founding, mean over eras and histories; None of
            other lines. ``over_shuffled`` likewise over shuffled returns.
        shown_over_random: histories that have shown a gain over random founding; ``shown_over_shuffled`` likewise.
    """

    parents: str | None
    line: str
    histories: int
    roi_first: float
    roi_middle: float
    roi_last: float
    alive_first: float
    alive_last: float
    collapses: int
    experiments: int
    diversity_first: float | None
    diversity_last: float | None
    pace_first: float
    pace_last: float
    over_random: float | None = None
    shown_over_random: int | None = None
    over_shuffled: float | None = None
    shown_over_shuffled: int | None = None


def run_side_by_side(
    profile: Profile, bars: Bars, ways: Sequence[Parents], histories: int, hands: Hands, *, eras: int, stop_file: str
) -> list[LineRow]:
    """Live through ``histories`` histories for each way of choosing parents; all ways have the same seeds and bars.

    Args:
        profile: with ``[founding]`` and a ``[window]``.
        bars: of its market.
        ways: of choosing parents.
        histories: of each way.
        hands: workers.
        eras: of a history, at most.
        stop_file: a path; whoever stops the work makes this file.

    Returns:
        A row for each line of each way; without those of ways that a stop left without any whole history.

    Raises:
        ConfigError: for a profile whose populations do not inherit.
    """
    table = profile.founding
    if table is None or table.policy is not Founding.INHERIT:
        raise ConfigError("this profile's populations do not inherit", hint="name one with [founding], such as HF")
    if table.pool is not Stage.STAGE1:
        raise ConfigError(
            f"[founding] stage = {table.pool.value}: eras in memory have no verdicts",
            hint="name one with stage = stage1",
        )
    profiles = [evolve(profile, founding=evolve(table, parents=way)) for way in ways]
    found: list[Lives] = []
    agent_ticks = 0
    jobs = _jobs(profiles, bars, histories, eras, stop_file)
    for lives in in_order(hands.executor, live, jobs, ahead=hands.ahead, stop=hands.stop):
        found.append(lives)
        agent_ticks += lives.agent_ticks
        what = f"{len(found)} histories"
        hands.told(Progress(what=what, done=len(found), total=len(ways) * histories, agent_ticks=agent_ticks))
    rows: list[LineRow] = []
    for k, way in enumerate(ways):
        part = [one for one in found[k * histories : (k + 1) * histories] if one.whole]
        if part:
            lines = [line for line in Line if line in part[0].lines and (line is not Line.FRESH or not rows)]
            rows += [_row(way, line, part) for line in lines]
    return rows


def _jobs(profiles: Sequence[Profile], bars: Bars, histories: int, eras: int, stop_file: str) -> Iterator[Job]:
    for profile in profiles:
        for seed in range(1, histories + 1):
            yield Job(
                name=f"history {seed}",
                profile=with_seed(profile, seed),
                market=Walk(bars),
                most=eras,
                stop_file=stop_file,
            )


def _row(way: Parents, line: Line, found: Sequence[Lives]) -> LineRow:
    eras = [one.lines[line] for one in found]
    first = [figures for one in eras for figures in first_quarter(one)]
    last = [figures for one in eras for figures in last_quarter(one)]
    middle = [figures for one in eras for figures in one[len(first_quarter(one)) : len(one) - len(last_quarter(one))]]
    gains: dict[str, Any] = {}
    if line is Line.INHERIT:
        for name, second in (("over_random", Line.FRESH), ("over_shuffled", Line.NULL)):
            over = [pair for one in found for pair in one.comparisons if pair.second is second and pair.path]
            if over:
                gains[name] = fmean(pair.path[-1].mean for pair in over)
                gains[f"shown_{name}"] = sum(pair.shown_at is not None for pair in over)
    return LineRow(
        parents=None if line is Line.FRESH else way.value,
        line=line.value,
        histories=len(found),
        roi_first=fmean(one.roi for one in first),
        roi_middle=fmean(one.roi for one in middle or [*first, *last]),
        roi_last=fmean(one.roi for one in last),
        alive_first=fmean(one.alive for one in first),
        alive_last=fmean(one.alive for one in last),
        collapses=sum(figures.collapses for one in eras for figures in one),
        experiments=sum(figures.experiments for one in eras for figures in one),
        diversity_first=_diversity(first),
        diversity_last=_diversity(last),
        pace_first=fmean(one.pace for one in first),
        pace_last=fmean(one.pace for one in last),
        **gains,
    )


def _diversity(figures: Sequence[Figures]) -> float | None:
    known = [one.diversity for one in figures if one.diversity is not None]
    return fmean(known) if known else None
