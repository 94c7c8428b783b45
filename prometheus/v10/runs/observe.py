"""What an experiment's orders and deaths look like from outside: raw records, and patterns worth a second look.

The world's codes get their names here, so that the evidence knows nothing of the core. Like `harvest`, a pure function
of the experiment; the second half opens and tells what the run writes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from attrs import frozen

from prometheus.v10.base.files import FILES, Files
from prometheus.v10.base.names import Event
from prometheus.v10.core import exchange, lifecycle
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.records import Result
from prometheus.v10.core.state import Environment
from prometheus.v10.evidence.records.event_lines import EventContext
from prometheus.v10.evidence.records.events import InterestingDeath
from prometheus.v10.evidence.records.interesting import DeathsSeen, InterestingTable, Surroundings, interesting_deaths
from prometheus.v10.evidence.records.raw import RawPolicy, RawWriter, Rotation
from prometheus.v10.evidence.records.raw_lines import OrderContext, RawBlocks, encode_orders
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.rundir import RunDirectory

Array = np.ndarray[Any, Any]

KINDS = {
    exchange.ENTRY: "entry",
    exchange.EXIT: "exit",
    exchange.REVIEW_FLATTEN: "review_flatten",
    exchange.LIQUIDATION: "liquidation",
    exchange.SETTLEMENT: "settlement",
}
FLAGS = {
    exchange.FLAG_PARTIAL: "partial",
    exchange.FLAG_UNFILLED: "unfilled",
    exchange.FLAG_MARGIN_CAPPED: "margin_capped",
    exchange.FLAG_BELOW_LOT: "below_lot",
    exchange.FLAG_FORCED: "forced",
}
AT_CLOSE = frozenset(["review_flatten", "settlement"])
FORCED = frozenset(["liquidation"])
REJECTED = exchange.FLAG_UNFILLED | exchange.FLAG_MARGIN_CAPPED | exchange.FLAG_BELOW_LOT


@frozen(kw_only=True, eq=False)
class Scene:
    """What the experiment happened in, as its worker knows it.

    Attributes:
        close: of the bars, shape (ticks,).
        keep_orders_one_in: sample of plain orders that the log kept.
    """

    symbol: str
    environment: Environment
    close: Array
    config: WorldConfig
    keep_orders_one_in: int
    interesting: InterestingTable


def raw_orders(result: Result, context: EventContext, scene: Scene, closes: Array) -> RawBlocks:
    """The raw records of the orders that the log kept; ``closes`` is UTC epoch seconds, shape (ticks,)."""
    orders = OrderContext(
        run_id=context.run_id,
        experiment=context.experiment,
        seed=context.seed,
        arm=context.arm,
        symbol=scene.symbol,
        kinds=[KINDS[code] for code in range(len(KINDS))],
        flags=FLAGS,
        at_close=AT_CLOSE,
        forced=FORCED,
        sample_one_in=scene.keep_orders_one_in,
        collapse_tick=result.collapse_tick,
    )
    return encode_orders(orders, result.order_ids, result.order_values, closes)


def patterns(result: Result, context: EventContext, scene: Scene, closes: Array) -> tuple[InterestingDeath, ...]:
    """Patterns among the deaths. Offline, orders never meet each other, so no self-trade is ever suspected here."""
    deaths = result.deaths
    rejected = result.order_ids[(result.order_ids[:, 3] & REJECTED) != 0, 1]
    rejects = np.bincount(rejected, minlength=len(result.lives.parent))
    seen = DeathsSeen(
        tick=deaths.tick,
        agent=deaths.genome_index,
        by_review=deaths.reason == lifecycle.REASONS.index("quarterly_review"),
        trades=deaths.trades,
        rejects=rejects[deaths.genome_index],
    )
    around = Surroundings(
        founders=int(np.count_nonzero(result.lives.parent < 0)),
        birth_tick=result.births.tick,
        closes=closes,
        trend=trend(scene),
        friction=friction(scene),
    )
    return interesting_deaths(context, seen, around, scene.interesting)


def trend(scene: Scene) -> Array:
    """Signed efficiency ratio of the last day, (ticks,); 0 until there has been a day to speak of."""
    values = scene.environment.trend
    return np.where(np.arange(len(values)) < scene.config.day_ticks, 0.0, values)


def friction(scene: Scene) -> Array:
    """Cost of a founder's largest first order as a fraction of its notional: half the spread, and impact; (ticks,)."""
    config, around = scene.config, scene.environment
    stake = config.initial_total * config.allocation_ratio / config.founders
    quantity = stake * config.leverage_cap / scene.close
    with np.errstate(divide="ignore", invalid="ignore"):
        impact = config.impact * around.volatility * np.sqrt(quantity / around.mean_volume)
    known = np.where(around.mean_volume > 0.0, np.minimum(impact, 0.1), 0.1)
    return np.asarray(0.5 * around.spread / scene.close + known)


# ---- the run's side --------------------------------------------------------------------------------------------------


def open_raw(
    directory: RunDirectory, created_at: str, journal: Journal, *, sample_one_in: int, budget_bytes: int,
    files: Files = FILES,
) -> RawWriter:  # fmt: skip
    """The raw evidence of a run, its deletions told to the journal.

    Raises:
        HostError: when the disk refuses.
    """
    told = set[str]()

    def rotated(rotation: Rotation) -> None:
        if rotation.dropped:
            size = sum(part.bytes for part in rotation.dropped)
            journal.send(
                Event.RETENTION_DELETION,
                f"raw evidence keeps to its budget: {len(rotation.dropped)} parts without event records dropped",
                path=str(directory.path), files=len(rotation.dropped), bytes=size, policy="evidence.raw_budget_bytes",
            )  # fmt: skip
        if rotation.over_budget_bytes and "over" not in told:
            told.add("over")
            journal.send(
                Event.DISK_BUDGET,
                "event records alone exceed the budget of raw evidence; none is dropped",
                path=str(directory.path), bytes=budget_bytes + rotation.over_budget_bytes, budget=budget_bytes,
            )  # fmt: skip

    return RawWriter(
        directory.path,
        run_id=directory.run_id,
        created_at=created_at,
        policy=RawPolicy(sample_one_in=sample_one_in, budget_bytes=budget_bytes),
        on_rotation=rotated,
        files=files,
    )


def tell_patterns(journal: Journal, records: Iterable[InterestingDeath]) -> None:
    """One journal entry for each pattern, after its line is on the disk."""
    for one in records:
        journal.send(
            Event.INTERESTING_DEATH,
            f"{one.pattern} in experiment {one.experiment}: {one.detail}",
            experiment=one.experiment, tick=one.tick_last, pattern=one.pattern, deaths=one.deaths, detail=one.detail,
        )  # fmt: skip
