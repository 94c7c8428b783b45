"""Deaths that are worth a second look (contracts, section 10), found in what one experiment left behind.

Labels only: no decision reads them, and every threshold is declared in the profile's ``[interesting]`` table. The
patterns are mass-death clusters, deaths without a trade, repeated rejects, suspected self-trades, and the resonance of
a trend, a friction spike and a mass death. What belongs together is one record: an experiment yields a handful.
Everything is a function of the experiment; times are market time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen, validators

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.evidence.records.event_lines import EventContext, utc_texts
from prometheus.v10.evidence.records.events import DeathPattern, EvidenceRef, InterestingDeath, agent_id
from prometheus.v10.evidence.records.raw_lines import Crossing

Ints = npt.NDArray[np.integer[Any]]
Reals = npt.NDArray[np.floating[Any]]

HANDFUL = 8
"""Agents that a record names; it counts all."""


def _share(default: float) -> Any:
    return field(default=default, validator=[validators.ge(0.0), validators.le(1.0)])


def _count(default: int) -> Any:
    return field(default=default, validator=validators.ge(1))


@frozen(kw_only=True)
class InterestingTable:
    """``[interesting]``: from where on a pattern among deaths is worth a second look. Labels only.

    Attributes:
        deaths_at_least: fewer deaths are no pattern, whatever their share.
        mass_death_share: of those alive, dead within the window without a review's verdict.
        mass_death_review_share: of those alive, dead by one review; reviews kill many by design.
        mass_death_window_ticks: length of the window.
        no_trades_share: of an experiment's deaths, those of agents that never closed a trade.
        rejects_at_least: rejected orders (unfilled, below the lot, capped by margin) of one agent that died.
        crossed_share: of all lots filled, those with an opposite order of another agent at the same moment.
        trend_at_least: absolute efficiency ratio of the last day, within [0, 1].
        friction_spike: cost of a standard order (half the spread, and impact) as a multiple of its median.
        at_most: records of one pattern in an experiment; those with most deaths are kept.
    """

    deaths_at_least: int = _count(5)
    mass_death_share: float = _share(0.2)
    mass_death_review_share: float = _share(0.8)
    mass_death_window_ticks: int = _count(12)
    no_trades_share: float = _share(0.25)
    rejects_at_least: int = _count(10)
    crossed_share: float = _share(0.5)
    trend_at_least: float = _share(0.6)
    friction_spike: float = field(default=3.0, validator=validators.ge(1.0))
    at_most: int = _count(3)


@frozen(kw_only=True, eq=False)
class DeathsSeen:
    """Deaths in the order of their lines in ``death_events.jsonl``; a column has shape (deaths,).

    Attributes:
        tick: in which it died; never falls.
        agent: genome_index.
        by_review: whether a review's verdict was the reason.
        trades: round trips it had closed.
        rejects: orders of its own that were rejected.
    """

    tick: Ints
    agent: Ints
    by_review: npt.NDArray[np.bool_]
    trades: Ints
    rejects: Ints


@frozen(kw_only=True, eq=False)
class Surroundings:
    """What the deaths happened in; a column has shape (ticks,) unless said otherwise.

    Attributes:
        founders: alive before the first tick.
        birth_tick: tick of each birth after that, shape (births,).
        closes: UTC epoch seconds of every bar's close.
        trend: signed efficiency ratio of the last day.
        friction: cost of a standard order, as a fraction of its notional.
        crossing: opposite orders; None where not every order was logged, or none can meet another.
        crossed_agents: who had one, shape (agents,).
    """

    founders: int
    birth_tick: Ints
    closes: Ints
    trend: Reals
    friction: Reals
    crossing: Crossing | None = None
    crossed_agents: Sequence[int] = ()


@frozen(kw_only=True)
class _Cluster:
    """A mass death: which deaths (row numbers, ascending), of how many alive, and the threshold that it reached."""

    rows: list[int]
    alive: int
    threshold: float
    review: bool


def interesting_deaths(
    context: EventContext, deaths: DeathsSeen, around: Surroundings, table: InterestingTable
) -> tuple[InterestingDeath, ...]:
    """Every pattern among one experiment's deaths, by tick; evidence references count its own lines from 1.

    Args:
        context: whose deaths they are.
        deaths: in the order of their lines.
        around: the population and the market.
        table: the declared thresholds.
    """
    if not len(deaths.tick):
        return ()
    made = _Maker(context, deaths, around.closes)
    clusters = _clusters(deaths, around, table)
    found = [
        *_most(_mass_deaths(made, clusters), table.at_most),
        *_most(_resonances(made, clusters, around, table), table.at_most),
        *_no_trades(made, table),
        *_rejects(made, table),
        *_crossed(made, around, table),
    ]
    return tuple(sorted(found, key=lambda one: (one.tick_first, one.pattern)))


def placed(records: Iterable[InterestingDeath], deaths_before: int) -> bytes:
    """The lines of one experiment's records, their references moved behind the deaths that its run filed before."""
    return b"".join(
        to_line(
            evolve(
                record,
                evidence_refs=[
                    evolve(ref, line_start=ref.line_start + deaths_before, line_end=ref.line_end + deaths_before)
                    for ref in record.evidence_refs
                ],
            )
        )
        for record in records
    )


# ---- the patterns ---------------------------------------------------------------------------------------------------


def _mass_deaths(made: _Maker, clusters: Sequence[_Cluster]) -> list[InterestingDeath]:
    return [
        made.record(
            DeathPattern.MASS_DEATH,
            one.rows,
            observed=len(one.rows) / one.alive,
            threshold=one.threshold,
            detail=f"{_died(one)} {'by one review' if one.review else f'within {_span(made, one)} ticks'}",
        )
        for one in clusters
    ]


def _resonances(
    made: _Maker, clusters: Sequence[_Cluster], around: Surroundings, table: InterestingTable
) -> list[InterestingDeath]:
    """Mass deaths in whose window, or the window before it, one tick had both the trend and the friction."""
    median = _median(around.friction)
    if median <= 0.0:
        return []
    found = []
    for one in clusters:
        first, last = (int(made.deaths.tick[one.rows[end]]) for end in (0, -1))
        window = slice(max(0, first - table.mass_death_window_ticks), last + 1)
        trend, spike = np.abs(around.trend[window]), around.friction[window] / median
        together = (trend >= table.trend_at_least) & (spike >= table.friction_spike)
        if not together.any():
            continue
        worst = int(np.argmax(np.where(together, spike, 0.0)))
        said = f"{_died(one)}; at tick {window.start + worst} |trend| {trend[worst]:.2f}, friction {spike[worst]:.1f} x"
        found.append(
            made.record(
                DeathPattern.RESONANCE,
                one.rows,
                observed=float(spike[worst]),
                threshold=table.friction_spike,
                detail=f"{said} its median",
            )
        )
    return found


def _no_trades(made: _Maker, table: InterestingTable) -> list[InterestingDeath]:
    rows = np.flatnonzero(made.deaths.trades == 0).tolist()
    everyone = len(made.deaths.tick)
    if len(rows) < table.deaths_at_least or len(rows) / everyone < table.no_trades_share:
        return []
    detail = f"{len(rows)} of {everyone} agents that died had not closed a trade"
    return [
        made.record(
            DeathPattern.NO_TRADES,
            rows,
            observed=len(rows) / everyone,
            threshold=table.no_trades_share,
            detail=detail,
        )
    ]


def _rejects(made: _Maker, table: InterestingTable) -> list[InterestingDeath]:
    rows = np.flatnonzero(made.deaths.rejects >= table.rejects_at_least).tolist()
    if not rows:
        return []
    most = int(made.deaths.rejects.max())
    detail = f"{len(rows)} that died had {table.rejects_at_least} or more orders rejected, one of them {most}"
    return [
        made.record(
            DeathPattern.ORDER_REJECTS,
            rows,
            observed=float(most),
            threshold=float(table.rejects_at_least),
            detail=detail,
        )
    ]


def _crossed(made: _Maker, around: Surroundings, table: InterestingTable) -> list[InterestingDeath]:
    crossing = around.crossing
    if crossing is None or crossing.gross_lots <= 0.0:
        return []
    share = 2.0 * crossing.crossed_lots / crossing.gross_lots
    rows = np.flatnonzero(np.isin(made.deaths.agent, list(around.crossed_agents))).tolist()
    if not rows or share < table.crossed_share:
        return []
    detail = (
        f"in {crossing.moments} moments {crossing.crossed_lots:g} lots were bought and sold at once: {share:.0%} of "
        f"all filled; {len(rows)} of those agents died"
    )
    return [
        made.record(
            DeathPattern.SELF_TRADE,
            rows,
            observed=share,
            threshold=table.crossed_share,
            detail=detail,
        )
    ]


# ---- clusters -------------------------------------------------------------------------------------------------------


def _clusters(deaths: DeathsSeen, around: Surroundings, table: InterestingTable) -> list[_Cluster]:
    """Mass deaths in the order of their ticks: each review by itself, and windows between them."""
    found = []
    for tick in np.unique(deaths.tick[deaths.by_review]).tolist():
        rows = np.flatnonzero(deaths.by_review & (deaths.tick == tick)).tolist()
        alive = len(rows) + _alive_after(deaths, around, rows[-1])
        if len(rows) >= table.deaths_at_least and len(rows) / alive >= table.mass_death_review_share:
            threshold = table.mass_death_review_share
            found.append(_Cluster(rows=rows, alive=alive, threshold=threshold, review=True))
    found += _windows(deaths, around, table)
    return sorted(found, key=lambda one: one.rows[0])


def _windows(deaths: DeathsSeen, around: Surroundings, table: InterestingTable) -> list[_Cluster]:
    """Stretches of deaths outside reviews in which some window takes its share; windows that share a death are one."""
    others = np.flatnonzero(~deaths.by_review)
    ticks = deaths.tick[others]
    ends = np.searchsorted(ticks, ticks + table.mass_death_window_ticks, side="left")
    found: list[tuple[int, int]] = []
    for start, end in enumerate(ends.tolist()):
        if end - start < table.deaths_at_least:
            continue
        if end - start < table.mass_death_share * _alive_before(deaths, around, int(others[start])):
            continue
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return [
        _Cluster(
            rows=others[start:end].tolist(),
            alive=_alive_before(deaths, around, int(others[start])),
            threshold=table.mass_death_share,
            review=False,
        )
        for start, end in found
    ]


def _alive_before(deaths: DeathsSeen, around: Surroundings, row: int) -> int:
    """Alive just before a death: born in earlier ticks (births close a tick), less those dead by then."""
    return around.founders + int(np.count_nonzero(around.birth_tick < deaths.tick[row])) - row


def _alive_after(deaths: DeathsSeen, around: Surroundings, row: int) -> int:
    return _alive_before(deaths, around, row) - 1


# ---- records --------------------------------------------------------------------------------------------------------


class _Maker:
    """Makes the records of one experiment."""

    def __init__(self, context: EventContext, deaths: DeathsSeen, closes: Ints) -> None:
        self.context, self.deaths, self.closes = context, deaths, closes

    def record(
        self, pattern: DeathPattern, rows: Sequence[int], *, observed: float, threshold: float, detail: str
    ) -> InterestingDeath:
        """One record about the deaths ``rows``."""
        first, last = (int(self.deaths.tick[row]) for row in (rows[0], rows[-1]))
        return InterestingDeath(
            run_id=self.context.run_id,
            experiment=self.context.experiment,
            seed=self.context.seed,
            arm=self.context.arm,
            ts_utc=utc_texts(self.closes[[last]])[0],
            pattern=pattern.value,
            tick_first=first,
            tick_last=last,
            deaths=len(rows),
            agent_ids=[agent_id(self.context.experiment, int(self.deaths.agent[row])) for row in rows[:HANDFUL]],
            observed=observed,
            threshold=threshold,
            detail=detail,
            evidence_refs=_references(rows),
        )


def _references(rows: Sequence[int]) -> list[EvidenceRef]:
    """Lines of the deaths, neighbours joined; the first handful of stretches."""
    stretches: list[list[int]] = []
    for row in rows:
        if stretches and row == stretches[-1][1] + 1:
            stretches[-1][1] = row
        else:
            stretches.append([row, row])
    return [
        EvidenceRef(file=Artifact.DEATHS.value, line_start=first + 1, line_end=last + 1)
        for first, last in stretches[:HANDFUL]
    ]


def _most(records: list[InterestingDeath], at_most: int) -> list[InterestingDeath]:
    """The ``at_most`` records with most deaths; they say of how many."""
    if len(records) <= at_most:
        return records
    kept = sorted(records, key=lambda one: (-one.deaths, one.tick_first))[:at_most]
    return [evolve(one, detail=f"{one.detail} (one of {len(records)} in this experiment)") for one in kept]


def _died(one: _Cluster) -> str:
    return f"{len(one.rows)} of {one.alive} alive died"


def _span(made: _Maker, one: _Cluster) -> int:
    return int(made.deaths.tick[one.rows[-1]] - made.deaths.tick[one.rows[0]]) + 1


def _median(values: Reals) -> float:
    """The middle value, the upper one of two: no average, so that no rounding depends on numpy."""
    return float(np.sort(values)[len(values) // 2]) if len(values) else 0.0
