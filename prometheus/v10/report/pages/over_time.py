"""Populations of a run over time: how many live, what they own, and whom they descend from. Standard library only.

All experiments of a run share their moments (`moments_of`), so that at each a quantile over experiments can be taken.
Of a run without a series, the living follow from births and deaths; what it owned over time is not known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from prometheus.v10.evidence.records.figures import quantiles
from prometheus.v10.evidence.records.series.moments import TIER_1, moments_in, moments_of
from prometheus.v10.report.pages.run_read import Plain, RunRead

MOST_LINEAGES = 12
QUANTILES = ("q05", "q25", "median", "q75", "q95")


@frozen
class Fan:
    """Quantiles over experiments at each moment: `QUANTILES` of ``rows``, a row a moment; ``counts`` experiments."""

    ticks: tuple[int, ...]
    rows: tuple[Mapping[str, float], ...]
    counts: tuple[int, ...]


@frozen
class Lineages:
    """The living of one experiment by founder, at each moment.

    Attributes:
        names: of the founders, in order; the last is None where the rest are taken together.
        living: one list for each name, a place a moment.
    """

    experiment: int
    ticks: tuple[int, ...]
    names: tuple[str | None, ...]
    living: tuple[tuple[int, ...], ...]
    founders_left: tuple[int, ...]


def grid(run: RunRead) -> list[int]:
    """The moments of the run's window, from its first tick on; empty where its experiments do not share a window."""
    window, review = run.table("window").get("len"), run.world("review_ticks")
    if run.manifest.get("stage") != "stage1" or type(window) is not int or type(review) is not int:
        return []
    if not (0 < window < 1 << 26 and review > 0):
        return []
    return [0, *moments_of(window, review, moments_in(run.manifest) or TIER_1, window)]


def living_at(run: RunRead, row: Plain, ticks: Sequence[int]) -> list[float | None]:
    """How many agents of an experiment live at each moment; None behind the point where a stop cut it."""
    births = sorted(one.tick for one in run.births if one.experiment == row["experiment"])
    deaths = sorted(one.tick for one in run.deaths if one.experiment == row["experiment"])
    return _living(row, births, deaths, ticks)


def _living(row: Plain, births: Sequence[int], deaths: Sequence[int], ticks: Sequence[int]) -> list[float | None]:
    found: list[float | None] = []
    for tick in ticks:
        if tick > row["ticks"] and not row["collapse"].get("detected"):
            found.append(None)
        else:
            found.append(float(row["founders"] + bisect_left(births, tick) - bisect_left(deaths, tick)))
    return found


def alive_fan(run: RunRead, ticks: Sequence[int]) -> Fan:
    """How many live."""
    births, deaths = _by_experiment(run.births), _by_experiment(run.deaths)
    columns = [_living(row, births[row["experiment"]], deaths[row["experiment"]], ticks) for row in run.rows]
    return _fan(ticks, columns)


def _by_experiment(events: Sequence[Any]) -> dict[int, list[int]]:
    """Ticks of events by experiment, rising."""
    found: dict[int, list[int]] = defaultdict(list)
    for one in events:
        found[one.experiment].append(one.tick)
    for each in found.values():
        each.sort()
    return found


def return_fan(run: RunRead, ticks: Sequence[int]) -> Fan:
    """What the systems have returned, as fractions of their first total."""
    return _fan(ticks, [_returns(run, row, ticks) for row in run.rows])


def drawdown_fan(run: RunRead, ticks: Sequence[int]) -> Fan:
    """How far the totals stand below their highest so far, as fractions of it, at most 0."""
    columns: list[list[float | None]] = []
    for row in run.rows:
        peak, column = 1.0, list[float | None]()
        for value in _returns(run, row, ticks):
            if value is not None:
                peak = max(peak, 1.0 + value)
            column.append(None if value is None else (1.0 + value) / peak - 1.0)
        columns.append(column)
    return _fan(ticks, columns)


def _returns(run: RunRead, row: Plain, ticks: Sequence[int]) -> list[float | None]:
    """One system's returns; a collapsed one keeps its last, one that a stop cut has none from there on."""
    series, first = run.series.get(row["experiment"]), run.world("initial_total")
    if series is None or not isinstance(first, int | float) or not first:
        return [None] * len(ticks)
    said = dict(zip(series["ticks"], series["total"], strict=True))
    found: list[float | None] = []
    for tick in ticks:
        if tick == 0:
            found.append(0.0)
        elif tick in said:
            found.append(said[tick] / first - 1.0)
        elif tick > row["ticks"] and row["collapse"].get("detected"):
            found.append(series["total"][-1] / first - 1.0)
        else:
            found.append(None)
    return found


def exposure_fan(run: RunRead, ticks: Sequence[int]) -> Fan:
    """What is open, long less short, as fractions of each system's total at the moment."""
    columns: list[list[float | None]] = []
    for row in run.rows:
        series = run.series.get(row["experiment"])
        if series is None:
            columns.append([None] * len(ticks))
            continue
        rows = zip(series["ticks"], series["long"], series["short"], series["total"], strict=True)
        said = {tick: (long - short) / total for tick, long, short, total in rows if total > 0}
        columns.append([0.0 if tick == 0 else said.get(tick) for tick in ticks])
    return _fan(ticks, columns)


def _fan(ticks: Sequence[int], columns: Sequence[Sequence[float | None]]) -> Fan:
    kept, rows, counts = [], [], []
    for place, tick in enumerate(ticks):
        values = [value for column in columns if (value := column[place]) is not None]
        if values:
            kept.append(tick)
            rows.append(quantiles(values))
            counts.append(len(values))
    return Fan(tuple(kept), tuple(rows), tuple(counts))


def lineages(run: RunRead, ticks: Sequence[int]) -> Lineages | None:
    """The lines of descent of the experiment whose number of living at the end is the median; None where none is."""
    lived = [row for row in run.rows if row["ticks"] > 1]
    whole = sorted(lived, key=lambda row: (row["alive_agents"], row["experiment"]))
    if not whole or not ticks:
        return None
    row = whole[(len(whole) - 1) // 2]
    number = row["experiment"]
    founder_of = {one.agent: one.founder for one in run.births if one.experiment == number}
    born, died = defaultdict(list), defaultdict(list)
    founders = {f"e{number:04d}a{agent:06d}" for agent in range(int(row["founders"]))}
    for one in run.births:
        if one.experiment == number:
            born[one.founder].append(one.tick)
    for death in run.deaths:
        if death.experiment == number:
            died[founder_of.get(death.agent, death.agent)].append(death.tick)
    shown = [tick for tick in ticks if tick <= row["ticks"]]
    living: dict[str, list[int]] = {}
    for name in sorted(founders):
        births, deaths = sorted(born[name]), sorted(died[name])
        living[name] = [1 + bisect_left(births, tick) - bisect_left(deaths, tick) for tick in shown]
    largest = Counter({name: sum(counts) for name, counts in living.items()}).most_common(MOST_LINEAGES)
    top = sorted(name for name, _ in largest)
    others = [counts for name, counts in living.items() if name not in set(top)]
    rest = [sum(counts[place] for counts in others) for place in range(len(shown))]
    names: tuple[str | None, ...] = (*top, None) if any(rest) else tuple(top)
    columns = [tuple(living[name]) for name in top] + ([tuple(rest)] if any(rest) else [])
    left = tuple(sum(counts[place] > 0 for counts in living.values()) for place in range(len(shown)))
    return Lineages(number, tuple(shown), names, tuple(columns), left)
