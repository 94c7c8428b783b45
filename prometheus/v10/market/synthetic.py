"""The embedded market: a seeded path with the stylised facts of crypto, so that a clone runs with nothing but itself.

The model, in the order in which it is built:

1. **Volatility** is a cascade: independent two-valued factors with lifetimes from minutes to months multiply the
   variance, which gives clustering with a long memory and fat tails. An intraday season, crashes and the aftershocks
   of jumps multiply it further.
2. **Regimes**: up, down and chop alternate over days. Up and down drift; chop pulls back against the last day's moves.
   Now and then comes a crash (or a squeeze): hours of one-sided drift, excited volatility that decays, a partial
   rebound.
3. **Jumps**: rare, heavy-tailed, at one instant inside a bar.
4. **A bar** is eight sub-steps of the path, so that open, high, low and close belong to one walk. Prices lie on the
    0.1 tick.
5. **Volume** follows the bar's range, the hour and slow factors of its own; its notional does not depend on the price
    level.
6. **Funding** leans with the last day's trend around a small positive premium, every 8 h.

Same bits everywhere (contracts, section 3): Philox words keyed by (seed, stream) and + - * / sqrt, comparisons and
running sums in index order; no library transcendental, no library distribution, and no library routine that a compiler
may fuse (``np.interp``, BLAS). A longer market with the same seed begins with the shorter one, row for row.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import FUNDING_INTERVAL_S, Bars, Floats, Ints
from prometheus.v10.market.philox import Words, lanes_normal, uniforms, words

MODEL: Final = "synthetic/1"  # a change of any number below is a new model, since every golden hash moves with it
SYMBOL: Final = "SYNTH-USDT-SWAP"
DEFAULT_START: Final = 1_704_067_200  # 2024-01-01 00:00:00 UTC

TICK: Final = 0.1  # USDT, as BTC-USDT-SWAP
TICKS_PER_UNIT: Final = 10.0
START_PRICE: Final = 40_000.0  # USDT
FLOOR_PRICE: Final = 100.0  # USDT: below it the tick would be coarse against a move; no path of a few years comes near
MAX_VARIANCE: Final = 100.0  # times the usual one: ten usual sigmas; keeps a bar's low above zero on the longest bars
MAX_MOVE: Final = 0.35  # of the price, in one bar

DAY_S: Final = 86_400
DAILY_SIGMA: Final = 0.029  # 2.9 % a day before season, crashes and jumps
SUBSTEPS: Final = 8

# Lifetimes of the variance factors, in seconds; each is low or 2 - low. Factors shorter than a bar average out in it.
LIFETIMES_S: Final = (900, 3_600, 14_400, 57_600, 230_400, 921_600, 3_686_400)
FACTOR_LOWS: Final = (0.52, 0.52, 0.50, 0.46, 0.42, 0.40, 0.40)

# By UTC hour, relative: quiet Asian morning, loud US opening.
SEASON_SIGMA: Final = (
    1.18, 1.02, 0.90, 0.82, 0.79, 0.79, 0.84, 0.87, 0.91, 0.85, 0.86, 0.91,
    1.10, 1.27, 1.37, 1.25, 1.19, 1.09, 1.09, 1.04, 1.00, 0.98, 0.99, 0.97,
)  # fmt: skip
SEASON_VOLUME: Final = (
    1.00, 0.97, 0.95, 0.92, 0.92, 0.94, 0.98, 1.02, 1.06, 1.04, 1.04, 1.05,
    1.12, 1.22, 1.27, 1.18, 1.10, 1.02, 0.98, 0.93, 0.88, 0.77, 0.85, 0.90,
)  # fmt: skip

REGIME_LIFE_S: Final = 8 * DAY_S
REGIME_UP: Final = 0.34  # share of regimes
REGIME_DOWN: Final = 0.26
TREND_SIGMAS: Final = 0.22  # drift of a trend, in daily sigmas a day
CHOP_PULL: Final = 0.35  # share of the last day's shocks that chop takes back over the next
BASE_DRIFT: Final = 0.0007  # a day; makes up for what volatility and crashes cost the median path

CRASH_EVERY_S: Final = 60 * DAY_S
CRASH_MIN_S: Final = 6 * 3600
CRASH_EXTRA_S: Final = 30 * 3600
CRASH_MIN: Final = 0.05  # of the price
CRASH_EXTRA: Final = 0.13
CRASH_UP_SHARE: Final = 0.25  # squeezes
CRASH_EXCITES: Final = 5.0  # variance at the outbreak is 1 + this
CRASH_DECAY_S: Final = 12 * 3600
CRASH_MEMORY_S: Final = 10 * DAY_S
REBOUND_SHARE: Final = 0.35  # of the fall, over three times its duration

JUMP_EVERY_S: Final = 2 * DAY_S
JUMP_SIGMAS: Final = 0.22  # smallest jump, in daily sigmas
JUMP_CAP: Final = 8.0  # largest over smallest
JUMP_EXCITES: Final = 12.0
JUMP_DECAY_S: Final = 1800
JUMP_MEMORY_S: Final = DAY_S

VOLUME_USDT_PER_DAY: Final = 4.5e9  # notional: the order of the BTC perpetuals of the large venues
VOLUME_LIFETIMES_S: Final = (1_800, 28_800, 432_000)
VOLUME_LOWS: Final = (0.80, 0.80, 0.76)

FUNDING_PREMIUM: Final = 0.35e-4
FUNDING_TREND: Final = 0.40e-4  # at a day's move of two sigmas or more
FUNDING_NOISE: Final = 0.38e-4
FUNDING_CAP: Final = 1.0e-4  # the interest component holds calm funding at 0.01 %
FUNDING_FLOOR: Final = -1.5e-4
FUNDING_GRID_PER_UNIT: Final = 1e8  # rates are published to eight decimals


class Stream(IntEnum):
    """Second word of the Philox key: one independent sequence per purpose, so that none shifts another."""

    MOVE = 1
    CASCADE = 2
    REGIME = 3
    CRASH = 4
    JUMP = 5
    VOLUME = 6
    FUNDING = 7
    OPEN = 8
    VOLUME_SLOW = 9


def synthetic(seed: int, bars: int, timeframe_s: int, start: int = DEFAULT_START, *, symbol: str = SYMBOL) -> Bars:
    """A market of ``bars`` bars.

    Args:
        seed: 0 <= seed < 2**64; one seed, one market, on any machine.
        bars: T >= 1.
        timeframe_s: seconds per bar, from 60 to a day.
        start: open time of the first bar, seconds UTC, a multiple of the timeframe.
        symbol: the name the bars carry.

    Raises:
        ConfigError: for an argument outside its range.
    """
    _check(seed, bars, timeframe_s, start)
    open_time = start + np.arange(bars, dtype=np.int64) * timeframe_s
    sigma_bar = DAILY_SIGMA * math.sqrt(timeframe_s / DAY_S)

    crash_drift, crash_variance = _crashes(seed, bars, timeframe_s)
    jump, jump_step, jump_variance = _jumps(seed, bars, timeframe_s)
    variance = _cascade(seed, Stream.CASCADE, bars, timeframe_s, LIFETIMES_S, FACTOR_LOWS)
    season = _season(open_time, timeframe_s, SEASON_SIGMA)
    excited = np.minimum(variance * crash_variance * jump_variance, MAX_VARIANCE)
    sigma = sigma_bar * season * np.sqrt(excited)

    steps = lanes_normal(words(seed, Stream.MOVE, bars * SUBSTEPS).reshape(bars, SUBSTEPS))
    steps *= (sigma / math.sqrt(SUBSTEPS))[:, None]
    drift = _regime_drift(seed, timeframe_s, _row_sums(steps)) + crash_drift
    steps += (drift / SUBSTEPS)[:, None]
    steps[np.arange(bars), jump_step] += jump

    ohlc = _path(seed, steps, sigma)
    volume = _volume(seed, timeframe_s, ohlc, sigma_bar, _season(open_time, timeframe_s, SEASON_VOLUME))
    return Bars(
        symbol=symbol,
        timeframe_s=timeframe_s,
        open_time=open_time,
        open=ohlc[0],
        high=ohlc[1],
        low=ohlc[2],
        close=ohlc[3],
        volume=volume,
        funding=_funding(seed, open_time, timeframe_s, ohlc[3]),
        source=f"{MODEL} seed={seed}",
    )


def _check(seed: int, bars: int, timeframe_s: int, start: int) -> None:
    if not 0 <= seed < 2**64:
        raise ConfigError(f"synthetic market: seed {seed} lies outside [0, 2**64)")
    if bars < 1:
        raise ConfigError(f"synthetic market: {bars} bars asked for", hint="ask for at least one")
    if not 60 <= timeframe_s <= DAY_S:
        raise ConfigError(f"synthetic market: timeframe {timeframe_s} s lies outside [60, {DAY_S}]")
    if start < 0 or start % timeframe_s:
        raise ConfigError(f"synthetic market: start {start} is not a multiple of the {timeframe_s} s timeframe")


def _since(happens: npt.NDArray[np.bool_]) -> Ints:
    """Per row, the index of the last row at or before it where something happens; -1 before the first."""
    index = np.arange(len(happens), dtype=np.int64)
    return np.asarray(np.maximum.accumulate(np.where(happens, index, -1)), dtype=np.int64)


def _row_sums(table: Floats) -> Floats:
    """Sum over the columns, left to right."""
    total = table[:, 0].copy()
    for column in range(1, table.shape[1]):
        total += table[:, column]
    return total


def _cascade(
    seed: int, stream: Stream, bars: int, timeframe_s: int, lifetimes_s: tuple[int, ...], lows: tuple[float, ...]
) -> Floats:
    """Product of two-valued factors of mean 1, each drawn anew with probability timeframe / lifetime: float64[bars]."""
    draw = words(seed, stream, bars * len(lifetimes_s)).reshape(bars, len(lifetimes_s))
    product = np.ones(bars)
    for k, (lifetime, low) in enumerate(zip(lifetimes_s, lows, strict=True)):
        if lifetime < timeframe_s:
            continue
        fresh = uniforms(draw[:, k]) < timeframe_s / lifetime
        fresh[0] = True
        chosen = (draw[:, k] & Words(1)).astype(bool)[_since(fresh)]
        product *= np.where(chosen, 2.0 - low, low)
    return product


def _season(open_time: Ints, timeframe_s: int, table: tuple[float, ...]) -> Floats:
    """The hour's factor at the middle of each bar, between the middles of hours on a straight line; table mean is 1."""
    if timeframe_s > DAY_S // 4:
        return np.ones(len(open_time))
    mean = math.fsum(table) / 24.0
    values = np.array(table) / mean
    after = (open_time * 2 + timeframe_s - 3600) % (2 * DAY_S)  # twice the seconds from the middle of the first hour
    hour = after // 7200
    part = (after - hour * 7200) / 7200.0
    left = values[hour]
    return np.asarray(left + (values[(hour + 1) % 24] - left) * part, dtype=np.float64)


def _regime_drift(seed: int, timeframe_s: int, shocks: Floats) -> Floats:
    """Drift of each bar, as a fraction of the price: float64[bars].

    Up and down push; chop takes back part of the last day's ``shocks``, spread over a day, so that it wanders less than
    a random walk while no single bar is predictable to speak of.
    """
    bars = len(shocks)
    day = max(1, DAY_S // timeframe_s)
    draw = words(seed, Stream.REGIME, bars * 2).reshape(bars, 2)
    fresh = uniforms(draw[:, 0]) < timeframe_s / REGIME_LIFE_S
    fresh[0] = True
    kind = uniforms(draw[:, 1])[_since(fresh)]
    trend = TREND_SIGMAS * DAILY_SIGMA * timeframe_s / DAY_S

    walked = np.cumsum(np.concatenate((np.zeros(day + 1), shocks)))
    last_day = walked[day : day + bars] - walked[:bars]  # the shocks of the day before each bar
    pull = last_day * (-CHOP_PULL / day)
    drift = np.where(kind < REGIME_UP, trend, np.where(kind < REGIME_UP + REGIME_DOWN, -trend, pull))
    return np.asarray(drift + BASE_DRIFT * timeframe_s / DAY_S, dtype=np.float64)


def _crashes(seed: int, bars: int, timeframe_s: int) -> tuple[Floats, Floats]:
    """Drift and variance factor that crashes and squeezes lay on each bar: two float64[bars]."""
    draw = uniforms(words(seed, Stream.CRASH, bars * 4).reshape(bars, 4))
    last = _since(draw[:, 0] < timeframe_s / CRASH_EVERY_S)
    struck = last >= 0
    age = (np.arange(bars) - last).astype(np.float64)  # in bars
    size, length, side = draw[last, 1], draw[last, 2], draw[last, 3]

    total = (CRASH_MIN + CRASH_EXTRA * size * size) * np.where(side < CRASH_UP_SHARE, 1.0, -1.0)
    lasts = np.maximum(1.0, np.rint((CRASH_MIN_S + CRASH_EXTRA_S * length) / timeframe_s))
    fall = np.where(age < lasts, total / lasts, 0.0)
    rebound = np.where((age >= lasts) & (age < 4.0 * lasts), -REBOUND_SHARE * total / (3.0 * lasts), 0.0)
    seconds = age * timeframe_s
    excited = np.where(seconds < CRASH_MEMORY_S, CRASH_EXCITES / (1.0 + seconds / CRASH_DECAY_S), 0.0)
    return np.where(struck, fall + rebound, 0.0), np.where(struck, 1.0 + excited, 1.0)


def _jumps(seed: int, bars: int, timeframe_s: int) -> tuple[Floats, Ints, Floats]:
    """Jump of each bar (mostly 0), the sub-step it falls on, and the variance factor of its aftershocks.

    Sizes have a Pareto tail: smallest size / sqrt(u), capped.
    """
    draw = words(seed, Stream.JUMP, bars * 2).reshape(bars, 2)
    jumps = uniforms(draw[:, 0]) < timeframe_s / JUMP_EVERY_S
    scale = np.minimum(1.0 / np.sqrt(1.0 - uniforms(draw[:, 1])), JUMP_CAP)
    side = np.where((draw[:, 1] & Words(1)).astype(bool), 1.0, -1.0)
    size = np.where(jumps, side * scale * (JUMP_SIGMAS * DAILY_SIGMA), 0.0)
    step = ((draw[:, 1] >> Words(1)) & Words(SUBSTEPS - 1)).astype(np.int64)

    last = _since(jumps)
    seconds = (np.arange(bars) - last).astype(np.float64) * timeframe_s
    after = (last >= 0) & (seconds > 0) & (seconds < JUMP_MEMORY_S)
    excited = JUMP_EXCITES * (scale[last] / JUMP_CAP) / (1.0 + seconds / JUMP_DECAY_S)
    return size, step, np.where(after, 1.0 + excited, 1.0)


def _path(seed: int, steps: Floats, sigma: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Open, high, low and close of one walk through ``steps`` float64[bars, SUBSTEPS], on the tick grid.

    The walk between two sub-steps goes further than its ends; a share of one sub-step's sigma is added on either side.
    """
    bars = len(steps)
    inside = np.cumsum(steps, axis=1)
    move = np.minimum(np.maximum(inside[:, -1], -MAX_MOVE), MAX_MOVE)
    closes: Floats = np.asarray(START_PRICE * np.cumprod(1.0 + move), dtype=np.float64)
    before = np.concatenate(([START_PRICE], closes[:-1]))
    draw = uniforms(words(seed, Stream.OPEN, bars * 3).reshape(bars, 3))
    beyond = sigma / math.sqrt(SUBSTEPS)
    top = before * (1.0 + np.minimum(np.maximum(inside.max(axis=1), 0.0), MAX_MOVE) + beyond * draw[:, 0])
    bottom = before * (1.0 + np.maximum(np.minimum(inside.min(axis=1), 0.0), -MAX_MOVE) - beyond * draw[:, 1])

    close = _on_tick(closes)
    # The first trade of a bar is a tick up, level or a tick down from the last one of the bar before.
    first: Floats = np.asarray(_on_tick(before) + TICK * (np.floor(draw[:, 2] * 3.0) - 1.0), dtype=np.float64)
    opens = _on_tick(first)
    opens[0] = START_PRICE
    high = np.maximum(_on_tick(top), np.maximum(opens, close))
    low = np.minimum(_on_tick(bottom), np.minimum(opens, close))
    return opens, high, low, close


def _on_tick(price: Floats) -> Floats:
    """The nearest multiple of the tick, not below the floor; the division makes it the double that the text means."""
    return np.asarray(np.maximum(np.rint(price * TICKS_PER_UNIT) / TICKS_PER_UNIT, FLOOR_PRICE), dtype=np.float64)


def _volume(
    seed: int, timeframe_s: int, ohlc: tuple[Floats, Floats, Floats, Floats], sigma_bar: float, season: Floats
) -> Floats:
    """Base-currency volume of each bar on a 0.001 grid: float64[bars].

    Rises with the bar's range a little faster than in proportion, with the hour, and with slow factors of its own.
    """
    opens, high, low, close = ohlc
    bars = len(opens)
    reach = (high - low) / (opens * (sigma_bar * 1.6))  # about 1 in a usual bar
    noise = lanes_normal(words(seed, Stream.VOLUME, bars * 2).reshape(bars, 2)[:, 0])
    own = np.maximum(0.15, 1.0 + 0.22 * noise)
    slow = _cascade(seed, Stream.VOLUME_SLOW, bars, timeframe_s, VOLUME_LIFETIMES_S, VOLUME_LOWS)
    notional = (
        VOLUME_USDT_PER_DAY
        * timeframe_s
        / DAY_S
        * (0.15 + reach * (0.55 + 0.30 * np.sqrt(reach)))
        * season
        * own
        * slow
    )
    return np.asarray(np.maximum(np.rint(notional / close * 1000.0), 1.0) / 1000.0, dtype=np.float64)


def _funding(seed: int, open_time: Ints, timeframe_s: int, close: Floats) -> Floats:
    """Sum of the rates booked inside each bar: float64[bars].

    The rate at a boundary knows the closes of bars that had ended by then: a premium, a lean towards the last day's
    move, and noise that is shared by neighbouring boundaries; clamped.
    """
    start, end = int(open_time[0]), int(open_time[-1]) + timeframe_s
    first, after = -(-start // FUNDING_INTERVAL_S), -(-end // FUNDING_INTERVAL_S)
    funding = np.zeros(len(open_time))
    count = after - first
    if count <= 0:
        return funding
    boundary = (first + np.arange(count, dtype=np.int64)) * FUNDING_INTERVAL_S
    ended = np.maximum((boundary - start) // timeframe_s - 1, 0)
    day_before = np.maximum(ended - max(1, DAY_S // timeframe_s), 0)
    trend = (close[ended] / close[day_before] - 1.0) / (2.0 * DAILY_SIGMA)

    noise = np.cumsum(np.concatenate((np.zeros(1), lanes_normal(words(seed, Stream.FUNDING, count + 2)))))
    shared = (noise[3:] - noise[:-3]) / math.sqrt(3.0)
    rate = FUNDING_PREMIUM + FUNDING_TREND * np.minimum(np.maximum(trend, -1.0), 1.0) + FUNDING_NOISE * shared
    rate = np.minimum(np.maximum(rate, FUNDING_FLOOR), FUNDING_CAP)
    rate = np.rint(rate * FUNDING_GRID_PER_UNIT) / FUNDING_GRID_PER_UNIT
    np.add.at(funding, (boundary - start) // timeframe_s, rate)  # unbuffered: one after the other, in order of time
    return funding
