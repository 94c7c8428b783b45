"""Two markets whose truth is known: one whose order of returns can be learnt, and one whose order means nothing.

Each bar's return is noise and a pull back to an anchor: ``r = sigma * noise - pull * (price / anchor - 1)``. With
``pull`` above 0 the price swings around the anchor, so that where it stands in its recent range (E1-E4) says where it
goes; shuffled, the same returns are a random walk. With ``pull`` 0 the returns are independent
draws: their order is one of many equal ones, and whoever finds structure in it is mistaken.

Same bits everywhere: Philox words by (seed, stream) and + - * / only (`prometheus.v10.market.philox`). The world books
its funding as in every market; the series here is known and 0, so that costs are those of trading alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import Bars, Floats
from prometheus.v10.market.philox import lanes_normal, uniforms, words

MODEL: Final = "planted/1"  # a change of any number below is a new model
SYMBOL: Final = "PLANTED-USDT-SWAP"
START: Final = 1_704_067_200  # 2024-01-01 00:00:00 UTC
TIMEFRAME_S: Final = 3600
SIGMA: Final = 0.012  # of the price, a bar
ANCHOR: Final = 40_000.0  # USDT
TICKS_PER_UNIT: Final = 10.0  # the 0.1 tick
WICK: Final = 0.25  # how far a bar reaches beyond its open and close at most, in sigmas
VOLUME_BTC: Final = 4_000.0  # a bar: large against any order of the population

NOISE, WICKS, VOLUME = 31, 32, 33  # second words of the Philox key; those of other markets are other numbers


def planted(seed: int, bars: int, *, pull: float) -> Bars:
    """A market of ``bars`` hourly bars; ``pull`` is the share of the way back to the anchor that a bar goes.

    Args:
        seed: 0 <= seed < 2**64; one seed, one market.
        bars: T >= 3.
        pull: 0 (no structure) to below 1.

    Raises:
        ConfigError: for an argument outside its range.
    """
    if not 0 <= seed < 2**64:
        raise ConfigError(f"planted market: seed {seed} lies outside [0, 2**64)")
    if bars < 3:
        raise ConfigError(f"planted market: {bars} bars have no order", hint="ask for at least three")
    if not 0.0 <= pull < 1.0:
        raise ConfigError(f"planted market: pull {pull} lies outside [0, 1)")
    noise = lanes_normal(words(seed, NOISE, bars)) * SIGMA
    close = np.asarray(ANCHOR * np.cumprod(1.0 + _returns(noise, pull)), dtype=np.float64)
    opens: Floats = np.concatenate(([ANCHOR], close[:-1]))
    reach = uniforms(words(seed, WICKS, 2 * bars)).reshape(bars, 2) * (WICK * SIGMA)
    top = np.maximum(opens, close) * (1.0 + reach[:, 0])
    bottom = np.minimum(opens, close) * (1.0 - reach[:, 1])
    volume = VOLUME_BTC * (0.5 + uniforms(words(seed, VOLUME, bars)))
    return Bars(
        symbol=SYMBOL,
        timeframe_s=TIMEFRAME_S,
        open_time=START + np.arange(bars, dtype=np.int64) * TIMEFRAME_S,
        open=_on_tick(opens),
        high=_on_tick(top),
        low=_on_tick(bottom),
        close=_on_tick(close),
        volume=np.rint(volume * 1000.0) / 1000.0,
        funding=np.zeros(bars),
        source=f"{MODEL} seed={seed} pull={pull}",
    )


def _returns(noise: Floats, pull: float) -> Floats:
    """The returns, one after the other: each knows how far from the anchor the price stands before it."""
    if pull == 0.0:
        return noise
    returns = np.empty_like(noise)
    level = 1.0  # price / anchor
    for k, shock in enumerate(noise.tolist()):
        move = shock - pull * (level - 1.0)
        returns[k] = move
        level *= 1.0 + move
    return returns


def _on_tick(price: Floats) -> Floats:
    return np.asarray(np.maximum(np.rint(price * TICKS_PER_UNIT), 1.0) / TICKS_PER_UNIT, dtype=np.float64)
