"""From a profile to what the core takes: bars of the window, physics, mask, seeds."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from attrs import frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Arm
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import features
from prometheus.v10.core.config import WorldConfig, for_timeframe
from prometheus.v10.core.exchange import funding_by_tick
from prometheus.v10.core.state import Environment, Market
from prometheus.v10.evidence.derive.derived_world import outside_contract
from prometheus.v10.evidence.pools.exposure import Interval, MarketSpan, market_key, stretch
from prometheus.v10.evidence.records.manifest_parts import MarketSource
from prometheus.v10.market.bars import Bars
from prometheus.v10.market.null_arm import shuffle_returns
from prometheus.v10.market.resolve import SYNTHETIC, MarketSpec, resolve_market, synthetic_rows
from prometheus.v10.market.validate import require_valid
from prometheus.v10.market.windows import Window, cut, whole
from prometheus.v10.runs.request.era_place import EraPlace, NoBarsLeftError, era_place
from prometheus.v10.runs.request.eras_table import WindowPolicy
from prometheus.v10.runs.request.profile import MarketTable, Profile
from prometheus.v10.runs.request.ranges import excess
from prometheus.v10.runs.request.scale import require_fitting


@frozen(kw_only=True)
class World:
    """What every experiment of a run shares.

    Attributes:
        bars: of the window, in their true order.
        market: identity of the whole market that the window was cut from.
        interval: the stretch of the market as an exposure names it; None for a world of several.
        place: of the era; None where runs are no eras.
    """

    bars: Bars
    window: Window
    config: WorldConfig
    market: MarketSource
    arm: Arm
    ablation: str
    interval: Interval | None = None
    place: EraPlace | None = None

    @property
    def counterfactual(self) -> list[str]:
        """Why its genomes are not handed to the pool: it is another world than the contract's; empty if it is not."""
        return outside_contract(self.config._asdict())


def prepare(profile: Profile, layout: Layout, era: int | None = None, *, was: MarketSource | None = None) -> World:
    """Resolve the market, cut the window and settle the physics.

    Args:
        profile: what to run.
        layout: where imported markets lie.
        era: number of the era; None where runs are no eras, or for the first one.
        was: the market that a run had, for doing it again: one that grew since is cut to what it was.

    Raises:
        ConfigError: for a market, a window or a number of the world that cannot be.
        NoBarsLeftError: when a walk has used all bars.
        EvidenceError: when a stored market is damaged.
    """
    return world_on(profile, *_bars_of_era(profile, layout, era or 0, was))


def world_on(profile: Profile, bars: Bars, place: EraPlace) -> World:
    """The world of an era in a market that is at hand; errors as `prepare`, but for those of the market's store."""
    window = place.window
    part = cut(bars, window)
    require_valid(part, allow_gaps=True)
    if too_much := excess(profile, len(part)):
        raise ConfigError(too_much, hint="name a shorter [window], fewer founders or fewer experiments")
    config = world_config(profile, part.timeframe_s)
    require_fitting(part, config)
    market = market_source(bars)
    return World(
        bars=part,
        window=window,
        config=config,
        market=market,
        arm=profile.experiments.arm,
        ablation=profile.experiments.ablation,
        interval=stretch(
            market_key(market.source, market.symbol),
            span_of(bars),
            window.start,
            window.len,
        ),
        place=place if profile.has_eras else None,
    )


def span_of(bars: Bars) -> MarketSpan:
    """A market in time."""
    return MarketSpan(bars.first_open, bars.last_open, len(bars), bars.timeframe_s)


def bars_left(profile: Profile, layout: Layout, era: int) -> bool:
    """Whether there are bars for an era; errors as `prepare`, but for bars that are used up."""
    if profile.window is None or profile.window.policy is not WindowPolicy.WALK or profile.market.source == SYNTHETIC:
        return True
    try:
        _bars_of_era(profile, layout, era)
    except NoBarsLeftError:
        return False
    return True


def _bars_of_era(profile: Profile, layout: Layout, era: int, was: MarketSource | None = None) -> tuple[Bars, EraPlace]:
    """The market, and the era's place in it; the synthetic market has a seed for each cycle of a walk."""
    spec, table = market_spec(profile.market), profile.window
    if table is None or not table.moves:
        bars = bars_of_once(spec, layout, was)
        window = whole(bars) if table is None else Window(table.name, table.start, table.len)
        return bars, EraPlace(number=era, cycle=0, window=window)
    seed = profile.experiments.seed
    if spec.source == SYNTHETIC:  # its length is known before it is made, and making it takes a while
        place = era_place(table, era, synthetic_rows(spec), seed=seed, endless=True)
        return resolve_market(attrs.evolve(spec, seed=spec.seed + place.cycle), layout.market), place
    bars = bars_of_once(spec, layout, was)
    return bars, era_place(table, era, len(bars), seed=seed, endless=False)


def market_spec(table: MarketTable) -> MarketSpec:
    """``[market]`` as `resolve_market` takes it."""
    return MarketSpec(**attrs.asdict(table))


def bars_of_once(spec: MarketSpec, layout: Layout, was: MarketSource | None) -> Bars:
    """The bars that ``spec`` means, or meant when a run had the market ``was``; errors as `resolve_market`."""
    if was is None:
        return resolve_market(spec, layout.market)
    return resolve_market(spec, layout.market, was.sha256, was.source)


def market_source(bars: Bars) -> MarketSource:
    """What the manifest says of a market: the sha256 is of all its bars, whatever the window."""
    identity = bars.identity()
    return MarketSource(
        source=identity.source,
        sha256=identity.sha256,
        symbol=identity.symbol,
        timeframe=timeframe_name(identity.timeframe_s),
        rows=identity.rows,
        first_time=identity.first_open_utc,
        last_time=identity.last_open_utc,
        extra={"funding": identity.funding, "timeframe_s": identity.timeframe_s},
    )


def timeframe_name(seconds: int) -> str:
    """``5m``, ``1h``, ``1d``: the largest unit that divides evenly."""
    for size, letter in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"


def world_config(profile: Profile, timeframe_s: int) -> WorldConfig:
    """The core's config: its defaults for this timeframe, and what ``[world]`` sets.

    Raises:
        ConfigError: naming the number that cannot be.
    """
    given = {name: value for name, value in attrs.asdict(profile.world).items() if value is not None}
    config = for_timeframe(timeframe_s, **given)
    positive = (
        "contract_btc", "lot_contracts", "tick_size", "leverage_cap", "initial_total", "founders", "review_ticks",
        "day_ticks", "range_ticks", "community_ticks", "reference_fill_ticks", "leverage_k",
        "max_participation", "depth_share",
    )  # fmt: skip
    shares = (
        "taker_fee", "maker_fee", "maintenance_margin", "liquidation_fee", "max_participation", "mutation_rate",
        "ema_alpha", "top_share",
    )  # fmt: skip
    for name in positive:
        if not getattr(config, name) > 0:
            raise ConfigError(f"[world] {name} = {getattr(config, name)}: expected a number above 0")
    for name in shares:
        if not 0 <= getattr(config, name) <= 1:
            raise ConfigError(f"[world] {name} = {getattr(config, name)}: expected a fraction between 0 and 1")
    if not 0 < config.allocation_ratio < 1:
        raise ConfigError(f"[world] allocation_ratio = {config.allocation_ratio}: expected a fraction between 0 and 1")
    if not config.breed_roi > max(0.0, config.death_roi):
        raise ConfigError(
            f"[world] breed_roi = {config.breed_roi}: expected more than 0 and than death_roi ({config.death_roi})",
            hint="with less, agents that earned nothing would breed, and the population could double at every review",
        )
    if config.maintenance_margin * config.leverage_cap >= 1:
        raise ConfigError(
            "[world] maintenance_margin x leverage_cap must be below 1, or every entry is liquidated at once"
        )
    return config


def world_numbers(config: WorldConfig) -> dict[str, Any]:
    """Every number of the world for the manifest; a fence that is off is the text ``off``, not infinity."""
    return {name: "off" if value == float("inf") else value for name, value in config._asdict().items()}


def market_arrays(bars: Bars, config: WorldConfig) -> tuple[Market, int]:
    """The core's market, and how many bars took the default funding rate because the market's series is silent."""
    funding, defaulted = funding_by_tick(bars.open_time, bars.funding, config)

    def column(values: np.ndarray[Any, Any]) -> Any:
        return np.array(values)  # the core's loops are compiled for writable, contiguous arrays

    market = Market(
        column(bars.open_time), column(bars.open), column(bars.high), column(bars.low), column(bars.close),
        column(bars.volume), funding,
    )  # fmt: skip
    return market, defaulted


@frozen(eq=False)
class KnownMarket:
    """Bars as the core takes them, and what is known of them at each close."""

    bars: Bars
    config: WorldConfig
    mask: npt.NDArray[np.float32]
    market: Market
    environment: Environment


_latest: list[KnownMarket] = []


def known_market(bars: Bars, config: WorldConfig, mask: npt.NDArray[np.float32]) -> KnownMarket:
    """What experiments with the same bars, physics and mask share; the latest is kept, for they follow one another."""
    for known in _latest:
        if known.bars is bars and known.config == config and np.array_equal(known.mask, mask):
            return known
    market, _ = market_arrays(bars, config)
    _latest[:] = [KnownMarket(bars, config, mask, market, features.environment(market, config, mask))]
    return _latest[0]


def arm_bars(world: World, arm: Arm, seed: int) -> Bars:
    """The bars one experiment sees: the true order, or its own shuffle."""
    return world.bars if arm is Arm.A_REAL else shuffle_returns(world.bars, seed)
