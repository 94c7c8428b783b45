"""What a run's manifest settles for each of its experiments: seeds, founders, capital, reviews, and market time.

Standard library only.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from prometheus.v10.base.modes import Arm
from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.derive.derived_world import outside_contract
from prometheus.v10.evidence.derive.typed import is_count, is_int, is_real, is_text, table
from prometheus.v10.evidence.pools.descent import NULL
from prometheus.v10.evidence.pools.handed import EVERYONE, Handing
from prometheus.v10.evidence.records.series.moments import moments_in

MOST_TICKS = 1 << 26
"""A window with more bars is not looked at: half a century of minutes has fewer."""


class MarketTime:
    """Close of the bar of each tick, as records carry it.

    Of a market without gaps it follows from the first bar; with gaps, each tick must always carry the same moment, no
    earlier than without gaps, and on the market's grid.
    """

    def __init__(self, first_open: datetime, timeframe_s: int, *, gapless: bool) -> None:
        self._first, self._step, self._gapless = first_open, timedelta(seconds=timeframe_s), gapless
        self._known: dict[int, str] = {}

    def close(self, tick: int, said: object = None) -> str:
        """The moment of a tick's close; ``said`` is what the record has, believed only where there may be gaps."""
        known = self._known.get(tick)
        if known is None:
            moment = self._first + (tick + 1) * self._step
            known = spelt(moment)
            if not self._gapless and isinstance(said, str) and said != known and self._later(said, moment):
                known = said
            self._known[tick] = known
        return known

    def heard(self) -> dict[int, str]:
        """Moments that records said and nothing settles: none where the market has no gaps."""
        return {} if self._gapless else dict(self._known)

    def hear(self, moments: Mapping[int, str]) -> bool:
        """Take in what was heard elsewhere; whether nothing in it differs from what is known here."""
        return all(self._known.setdefault(tick, moment) == moment for tick, moment in moments.items())

    def _later(self, said: str, moment: datetime) -> bool:
        try:
            late = datetime.fromisoformat(said.removesuffix("Z") + "+00:00") - moment
        except ValueError:
            return False
        return late > timedelta() and late % self._step == timedelta() and len(said) == len(spelt(moment))


def spelt(moment: datetime) -> str:
    """A moment of market time as records carry it."""
    return f"{moment.isoformat()[:19]}.000000Z"


Heard = dict[tuple[int, int], dict[int, str]]
"""`MarketTime.heard` of each market time that a setting has."""


class Columns(Protocol):
    """What an experiment's book says of each agent, by genome_index."""

    death_tick: list[int]
    initial: list[float]
    final: list[float]
    trades: list[int]
    costs: list[tuple[float, float, float]]


@dataclass(frozen=True)
class Setting:
    """What all experiments of a run have in common; a number that the manifest does not settle is None.

    Attributes:
        stake: USDT that each founder is given; ``reserve`` is what is left of the total.
        for_pool: whether survivors are handed to the pool.
        survivors: whether the run files its survivors (manifest version 2).
        handing: which survivors are handed to the pool.
        lines: of each experiment, where the run is an era (`prometheus.v10.evidence.pools.descent`).
        moments: of the population's series; 0 where the run keeps none.
        shuffled: the setting of experiments of the line on shuffled returns; None where there is none.
    """

    run_id: str
    arm: str
    seeds: list[int]
    ticks: int
    founders: int
    initial_total: float
    stake: float
    reserve: float
    review_ticks: int
    death_roi: float
    breed_roi: float
    best_of_the_dead: int
    for_pool: bool
    survivors: bool
    time: MarketTime
    world: Mapping[str, Any] = field(default_factory=dict)
    interesting: Mapping[str, Any] = field(default_factory=dict)
    handing: Handing = EVERYONE
    lines: tuple[str, ...] = ()
    moments: int = 0
    shuffled: Setting | None = None

    @property
    def bars(self) -> int:
        """How many bars the world has that telemetry speaks of."""
        return self.ticks

    def at(self, experiment: int) -> Setting:
        """The setting of one experiment: in stage 1 they share it, but for the arm of the line on shuffled returns."""
        null = experiment < len(self.lines) and self.lines[experiment] == NULL
        return self.shuffled if null and self.shuffled is not None else self

    def heard(self) -> Heard:
        """What records said of market time, to hold one share of the experiments against the others."""
        return {(0, 0): self.time.heard()}

    def hear(self, heard: Heard) -> bool:
        """Take in what was heard of other experiments; whether it agrees with what is known here."""
        return all(self._time_of(key).hear(moments) for key, moments in heard.items())

    def _time_of(self, _key: tuple[int, int]) -> MarketTime:
        return self.time

    def founders_told(self, sha256: Sequence[str | None]) -> tuple[bytes, ...]:
        """What is kept of the founders' genomes to hold other files against: of an era their digests, else nothing."""
        every = sha256[: self.founders] if self.lines else []
        return () if None in every else tuple(bytes.fromhex(one) for one in every if one is not None)

    def figures_told(self, _book: Columns) -> array[float]:
        """What is kept of each agent to hold verdicts against; of stage 1 nothing."""
        return array("d")


def hands_to_pool(manifest: Mapping[str, Any]) -> bool:
    """Whether a run hands survivors to the pool: one of Tier 1, in a world that is the contract's.

    Version 1 of the manifest is of a suite that handed over those of every world.
    """
    if table(manifest.get("meta")).get("tier") != "tier1_hf":
        return False
    return manifest.get("schema") == Schema.MANIFEST_1.value or not outside_contract(table(manifest.get("world")))


def setting_of(manifest: Mapping[str, Any]) -> Setting | None:
    """The setting of a run's experiments; None where the manifest does not say it as it must, or of stage 2.

    A run of stage 2 has a world for each of its cells, which its manifest does not list.
    """
    world, window, market = table(manifest.get("world")), table(manifest.get("window")), table(manifest.get("market"))
    config = table(manifest.get("config"))
    seeds = manifest.get("seeds")
    counts = (world.get("founders"), world.get("review_ticks"), world.get("timeframe_s"), window.get("len"))
    money = (world.get("initial_total"), world.get("allocation_ratio"), world.get("death_roi"), world.get("breed_roi"))
    if (
        manifest.get("stage") != "stage1"
        or not all(is_count(value) and value for value in counts)
        or not all(is_real(value) or is_int(value) for value in money)
        or not (isinstance(seeds, list) and all(map(is_count, seeds)))
        or not is_count(window.get("start"))
        or not (is_text(manifest.get("run_id")) and is_text(manifest.get("arm")))
        or window["len"] > MOST_TICKS
    ):
        return None
    first, last = utc(market.get("first_time")), utc(market.get("last_time"))
    step = world["timeframe_s"]
    if first is None or last is None or step > 10**9 or window["start"] > MOST_TICKS:
        return None
    gapless = is_count(market.get("rows")) and (market["rows"] - 1) * step == round((last - first).total_seconds())
    total = float(world["initial_total"])
    stake = total * world["allocation_ratio"] / world["founders"]
    best = table(config.get("pool")).get("best_of_the_dead")
    try:
        began = first + window["start"] * timedelta(seconds=step)
        began + (window["len"] + 1) * timedelta(seconds=step)
    except OverflowError:
        return None
    lines = manifest.get("lines")
    known = isinstance(lines, list) and all(map(is_text, lines))
    made = Setting(
        run_id=manifest["run_id"],
        arm=manifest["arm"],
        seeds=list(seeds),
        ticks=window["len"],
        founders=world["founders"],
        initial_total=total,
        stake=stake,
        reserve=total - stake * world["founders"],
        review_ticks=world["review_ticks"],
        death_roi=world["death_roi"],
        breed_roi=world["breed_roi"],
        best_of_the_dead=best if is_count(best) else 0,
        for_pool=hands_to_pool(manifest),
        survivors=manifest.get("schema") != Schema.MANIFEST_1.value,
        time=MarketTime(began, step, gapless=gapless),
        world=world,
        interesting=table(config.get("interesting")),
        handing=handing_of(table(config.get("pool"))),
        moments=moments_in(manifest),
        lines=tuple(lines) if known and isinstance(lines, list) else (),
    )
    return replace(made, shuffled=replace(made, arm=Arm.B2_SHUFFLE_RETURNS.value)) if NULL in made.lines else made


def handing_of(pool: Mapping[str, Any]) -> Handing:
    """The rule for survivors in ``[pool]`` of a configuration; what is no number there is said of the configuration."""
    most, least, witnesses = pool.get("survivors"), pool.get("least_trades", 1), pool.get("witnesses", 0)
    return Handing(
        survivors=most if is_count(most) else None,
        least_trades=least if is_count(least) else 1,
        witnesses=witnesses if is_count(witnesses) else 0,
    )


def utc(text: object) -> datetime | None:
    """A moment as a market's identity carries it (``2024-01-01 00:00:00Z``); None for anything else."""
    if not isinstance(text, str) or not text.endswith("Z"):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
