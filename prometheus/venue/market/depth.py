"""The seeded book around the path: what strangers offer at each price, and what takers have eaten of it.

The best bid and ask stand a spread apart that grows with the bar's range; the last trade was at one of them. Depth
falls geometrically over 400 levels, scaled by the bar's volume, with seeded jitter for each price and step. What is
eaten comes back evenly over `RETURN_MS`. Nothing is stored but what was eaten: a level is a function of its price.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import define, field

from prometheus.venue.market.instruments import Instrument
from prometheus.venue.market.tape import Quote
from prometheus.venue.quanta import RATE, mixed

LEVELS: Final = 400
RETURN_MS: Final = 10_000
SPREAD_SHARE: Final = 50
"""The spread is the bar's range over this."""
_DECAY_OVER: Final = 1000
_DECAY: Final = 985
BUY: Final = 1
SELL: Final = -1


def _weights() -> tuple[int, ...]:
    found, weight = [], 1 << 24
    for _ in range(LEVELS):
        found.append(weight)
        weight = weight * _DECAY // _DECAY_OVER
    total = sum(found)
    return tuple((one << 24) // total for one in found)


WEIGHTS: Final = _weights()
_WEIGHTS = np.array(WEIGHTS, dtype=np.uint64)
_MASK: Final = 0xFFFFFFFFFFFFFFFF


@define
class Depth:
    """Strangers' orders in one instrument; ``side`` is that of the resting orders: `BUY` is the bids."""

    instrument: Instrument
    quote: Quote
    seed: int
    now_ms: int = 0
    scale: int = RATE
    """Depth against the usual, in 1e-8: an injected lack of liquidity is below `RATE`."""
    eaten: dict[tuple[int, int], tuple[int, int]] = field(factory=dict)
    """By side and price: size that is gone, and when."""
    version: int = 0
    shown: dict[int, tuple[tuple[int, int], list[int], list[list[str]]]] = field(factory=dict)
    """By side: what the interface made of the levels, and of which version and moment."""

    def spread(self) -> int:
        """Ask less bid, on the tick."""
        tick = self.instrument.tick
        return max(tick, self.quote.range // SPREAD_SHARE // tick * tick)

    def best(self, side: int) -> int:
        """The best price of strangers on a side."""
        if side == BUY:
            return self.quote.last - self.spread() if self.quote.up else self.quote.last
        return self.quote.last if self.quote.up else self.quote.last + self.spread()

    def total(self) -> int:
        """Size of one side over all levels, before jitter: three times the volume of the bar, or a thousand lots."""
        return max(1000 * self.instrument.lot, 3 * self.quote.bar_volume)

    def level(self, side: int, px: int) -> int:
        """What strangers show at a price; 0 off the grid, beyond the levels, and on the wrong side of the touch."""
        at, off = divmod((self.best(side) - px) * side, self.instrument.tick)
        if off or not 0 <= at < LEVELS:
            return 0
        bits = mixed(self.seed + side, px, self.quote.step) & 0xFF
        return self._net(side, px, self._shown(self.total() * WEIGHTS[at] >> 24, bits))

    def _shown(self, mean: int, bits: int) -> int:
        lot = self.instrument.lot
        raw = (mean * (128 + bits) >> 8) // lot
        return max(1, raw) * lot * self.scale // RATE // lot * lot

    def _net(self, side: int, px: int, shown: int) -> int:
        gone = self.eaten.get((side, px))
        if gone is None:
            return shown
        left = gone[0] * max(0, RETURN_MS - (self.now_ms - gone[1])) // RETURN_MS
        if left == 0:
            del self.eaten[side, px]
        lot = self.instrument.lot
        return max(0, shown - -(-left // lot) * lot)

    def eat(self, side: int, px: int, sz: int) -> None:
        """A taker took ``sz`` of what strangers showed at a price."""
        gone = self.eaten.get((side, px), (0, 0))
        left = gone[0] * max(0, RETURN_MS - (self.now_ms - gone[1])) // RETURN_MS
        self.eaten[side, px] = (left + sz, self.now_ms)
        self.version += 1

    def moved(self) -> None:
        """The path made a step: forget what has come back."""
        self.version += 1
        if self.eaten:
            old = self.now_ms - RETURN_MS
            self.eaten = {key: gone for key, gone in self.eaten.items() if gone[1] > old}

    def levels(self, side: int, count: int = LEVELS) -> list[tuple[int, int]]:
        """The best ``count`` levels as price and size, in one pass over arrays; agrees with `level` at every price."""
        inst = self.instrument
        count = min(count, LEVELS)
        prices = self.best(side) - side * inst.tick * np.arange(count, dtype=np.int64)
        jitter = _mixed(self.seed + side, prices, self.quote.step) & np.uint64(0xFF)
        mean = (np.uint64(self.total()) * _WEIGHTS[:count]) >> np.uint64(24)
        raw = ((mean * (jitter + np.uint64(128))) >> np.uint64(8)) // np.uint64(inst.lot)
        lots = np.maximum(raw, np.uint64(1)).tolist()
        shown = [
            (px, n * inst.lot * self.scale // RATE // inst.lot * inst.lot)
            for px, n in zip(prices.tolist(), lots, strict=True)
        ]
        if self.eaten:
            shown = [(px, self._net(side, px, sz)) for px, sz in shown]
        return [(px, sz) for px, sz in shown if sz > 0 and px > 0]


def _mixed(first: int, prices: npt.NDArray[np.int64], last: int) -> npt.NDArray[np.uint64]:
    """`mixed` of (first, price, last) for many prices."""
    state = np.full(prices.shape, mixed(first), dtype=np.uint64)
    for word in (prices.astype(np.uint64), np.uint64(last & _MASK)):
        state = state + word + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state
