"""Ranges of a profile's numbers: what lies outside is refused before anything is allocated or made.

The rules: no number is NaN or infinite (a fence's own ``inf`` means off and is read as not set); each number with a
range of its own lies in it; every other one is below 2^62 in size; a run's agents times bars have a ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from prometheus.v10.market.sources.tables import LATEST_OPEN

TINY: Final = 1e-12
MOST_SEED: Final = 2**63 - 1
MOST_BARS: Final = 5_000_000
MOST_WORK: Final = 10**12
"""Founders x bars x experiments of one run: about a month of work of two processors."""
_MONEY = 10**12
_TICKS = 10_000_000
_DAYS = 36_500
_YEAR_S = 366 * 86_400
_ELSE = 2**62

FENCES = ("entry_m7_below", "exit_m9_above", "exit_c4_above")
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "workers": (0, 4096),
    "market.timeframe_s": (1, _YEAR_S),
    "market.seed": (0, MOST_SEED),
    "market.bars": (1, MOST_BARS),
    "market.start": (0, LATEST_OPEN),
    "window.start": (0, _ELSE),
    "window.len": (1, MOST_BARS),
    "window.step": (1, MOST_BARS),
    "window.embargo": (0, MOST_BARS),
    "founding.elites": (0, 1),
    "founding.offspring": (0, 1),
    "founding.newcomers": (0, 1),
    "founding.keep": (1, 1_000_000),
    "founding.eras": (1, 10_000),
    "founding.tournament": (1, 1_000_000),
    "founding.fresh": (0, 1_000_000),
    "founding.null": (0, 1_000_000),
    "experiments.count": (1, 1_000_000),
    "experiments.seed": (0, MOST_SEED),
    "world.taker_fee": (0, 0.1),
    "world.maker_fee": (0, 0.1),
    "world.contract_btc": (TINY, _MONEY),
    "world.lot_contracts": (TINY, _MONEY),
    "world.tick_size": (TINY, 1e6),
    "world.leverage_cap": (0.01, 125),
    "world.maintenance_margin": (0, 1),
    "world.liquidation_fee": (0, 0.1),
    "world.funding_default": (-0.1, 0.1),
    "world.spread_volatility": (0, 100),
    "world.impact": (0, 1000),
    "world.max_participation": (TINY, 1),
    "world.depth_share": (TINY, 1000),
    "world.initial_total": (0.01, _MONEY),
    "world.allocation_ratio": (TINY, 1),
    "world.founders": (1, 100_000),
    "world.review_ticks": (1, _TICKS),
    "world.death_roi": (-1e6, 1e6),
    "world.breed_roi": (0, 1e6),
    "world.mutation_rate": (0, 1),
    "world.mutation_scale": (0, 1000),
    "world.day_ticks": (1, _TICKS),
    "world.range_ticks": (1, _TICKS),
    "world.ema_alpha": (0, 1),
    "world.reference_fill_ticks": (TINY, 1e9),
    "world.leverage_k": (TINY, 1e9),
    "world.community_ticks": (1, _TICKS),
    "world.top_share": (0, 1),
    "world.entry_m7_below": (-1e9, 1e9),
    "world.exit_m9_above": (-1e9, 1e9),
    "world.exit_c4_above": (-1e9, 1e9),
    "world.long_only": (0, 0),
    "exchange.leverage": (1, 125),
    "exchange.clock_tolerance_ms": (1, 30_000),
    "exchange.expire_after_ms": (100, 60_000),
    "exchange.least_agents": (1, 100_000),
    "exchange.most_agents": (1, 100_000),
    "exchange.look_seconds": (1, 3600),
    "exchange.stop_seconds": (0, 100),
    "pool.best_of_the_dead": (0, 1_000_000),
    "pool.survivors": (0, 1_000_000),
    "pool.least_trades": (0, 1_000_000_000),
    "pool.witnesses": (0, 1_000_000),
    "pool.snapshot_every_runs": (0, 1_000_000_000),
    "pool.snapshot_growth": (0, 1e9),
    "retention.raw_days": (1, _DAYS),
    "retention.tier2_days": (1, _DAYS),
    "retention.snapshot_days": (1, _DAYS),
    "retention.compress_days": (1, _DAYS),
    "retention.events_days": (1, _DAYS),
    "service.pause_seconds": (0, _YEAR_S),
    "service.bytes_a_day": (1, _MONEY),
    "stage2.timeframes_s": (1, _YEAR_S),
    "stage2.seeds": (0, MOST_SEED),
    "stage2.windows.start": (0, _ELSE),
    "stage2.windows.len": (1, MOST_BARS),
    "stage2.crowd": (0, 1_000_000),
    "stage2.batch": (1, 1_000_000),
    "stage2.stake": (TINY, _MONEY),
    "stage2.review_days": (TINY, _DAYS),
    "stage2.marks": (1, 1_000_000),
    "stage2.friction.fees": (1, 1000),
    "stage2.friction.spread": (1, 1000),
    "stage2.friction.impact": (1, 1000),
    "stage2.friction.funding": (1, 1000),
    "stage2.friction.participation": (1, 1e6),
}
_BYTES = ("evidence.raw_budget_bytes", "disk.keep_free_bytes", "disk.budget_bytes", "disk.reserve_bytes")
_FROM_ZERO = frozenset({*_BYTES, "evidence.order_sample_one_in", "retention.raw_bytes", "retention.keep_free_bytes"})


def unsound_numbers(profile: Any) -> list[str]:
    """What is wrong with the numbers of a profile, one clause a number; empty when nothing is."""
    found = [said for key, value in _numbers(profile, "") if (said := _judge(key, value))]
    if found:
        return found
    market = profile.market
    if None not in {market.bars, market.timeframe_s, market.start}:
        end = market.start + market.bars * market.timeframe_s
        if end > LATEST_OPEN:
            found.append("[market] start + bars x timeframe_s reaches past the year 2200")
    bars = profile.window.len if profile.window is not None else market.bars
    return found + ([said] if bars is not None and (said := excess(profile, bars)) else [])


def excess(profile: Any, bars: int) -> str | None:
    """Why a run over ``bars`` bars is more than one run may be; None when it is not."""
    founders = profile.world.founders or 100
    work = founders * bars * profile.experiments.count
    if work <= MOST_WORK:
        return None
    return f"founders x bars x experiments = {founders} x {bars} x {profile.experiments.count}: {MOST_WORK:.0e} at most"


def _judge(key: str, value: float) -> str | None:
    table, _, name = key.rpartition(".")
    where = f"[{table}] {name}" if table else name
    least, most = RANGES.get(key, (0 if key in _FROM_ZERO else -_ELSE, _ELSE))
    if key == "world.long_only" and value != 0:
        return f"{where} = {value}: only a gate runs with this fence; expected 0"
    if math.isfinite(value) and least <= value <= most:
        return None
    shown = str(value) if len(str(value)) <= 40 else f"{str(value)[:20]}... ({len(str(value))} digits)"
    span = f"a number above 0, at most {most:g}" if least == TINY else f"{least:g} to {most:g}"
    return f"{where} = {shown}: expected {span}"


def _numbers(value: Any, key: str) -> Iterator[tuple[str, float]]:
    """Every number of a profile with its dotted key."""
    if attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _numbers(getattr(value, field.name), f"{key}.{field.name}" if key else field.name)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _numbers(item, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value
