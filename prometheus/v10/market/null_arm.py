"""The null arm ``B2_shuffle_returns``: the same returns in another order, and the price rebuilt from them.

The rule: bar i >= 1 is taken as a *step*: its close over the close before it, and its open, high and low over that
same close. Steps are permuted by Philox words keyed by the seed, carried over whole with their volume, and chained
from the first bar's close. The first bar stays, times stay, and funding stays at its boundaries: it is booked by the
clock, and the null is about the order of returns. Shuffling ratios is shuffling log-returns, without a logarithm whose
last bit differs between machines.

What follows: the multiset of returns is the same and the last close is the same (a product has no order), both up to
rounding; low <= open, close <= high holds, because a positive factor (and rounding) keeps order; every bar's range,
gap and volume belong to the move they came with. What the order carried is gone: clustering, trends, the hour of the
day.

Rounding: prices are put on the tick grid that the source bars lie on (told from the data), once at the end, so that no
error adds up; where there is no such grid they stay as computed. A price that would round to zero becomes one tick.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import PRICE_COLUMNS, Bars, Floats
from prometheus.v10.market.philox import permutation

STREAM: Final = 101  # second word of the Philox key; the synthetic market's streams are small numbers
GRIDS: Final = (1.0, 2.0, 10.0, 20.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)  # ticks per unit of price, coarsest first


def shuffle_returns(bars: Bars, seed: int) -> Bars:
    """The null of ``bars``.

    Args:
        bars: T >= 3 bars with positive prices.
        seed: 0 <= seed < 2**64; one seed, one order.

    Raises:
        ConfigError: for fewer than three bars, a price that is not positive, or a seed out of range.
    """
    count = len(bars)
    if not 0 <= seed < 2**64:
        raise ConfigError(f"null arm: seed {seed} lies outside [0, 2**64)")
    if count < 3:
        raise ConfigError(f"null arm: {count} bars of {bars.symbol} have no order to lose", hint="use at least three")
    if any(not bool((getattr(bars, name) > 0).all()) for name in PRICE_COLUMNS):
        raise ConfigError(f"null arm: {bars.symbol} has a price that is not positive")
    order = permutation(seed, STREAM, count - 1) + 1
    before = bars.close[:-1]
    ratio = {name: (getattr(bars, name)[1:] / before)[order - 1] for name in PRICE_COLUMNS}
    closes = np.cumprod(np.concatenate((bars.close[:1], ratio["close"])))

    per_unit = ticks_per_unit(bars)
    columns: dict[str, Floats] = {"volume": np.concatenate((bars.volume[:1], bars.volume[order]))}
    for name in PRICE_COLUMNS:
        rebuilt = closes[:-1] * ratio[name]  # for the close, the very product that the chain holds
        columns[name] = np.concatenate((getattr(bars, name)[:1], on_grid(rebuilt, per_unit)))
    return bars.with_columns(columns, source=f"{bars.source} | B2_shuffle_returns seed={seed}")


def ticks_per_unit(bars: Bars) -> float | None:
    """The coarsest grid all prices lie on, in ticks per unit of price; None when they lie on none."""
    for per_unit in GRIDS:
        if all(
            bool((np.rint(getattr(bars, name) * per_unit) / per_unit == getattr(bars, name)).all())
            for name in PRICE_COLUMNS
        ):
            return per_unit
    return None


def on_grid(price: Floats, per_unit: float | None) -> Floats:
    """The nearest price on the grid, at least one tick."""
    if per_unit is None:
        return price
    return np.asarray(np.maximum(np.rint(price * per_unit), 1.0) / per_unit, dtype=np.float64)
