"""A market as it is played: bars become steps, steps move the last price, and played bars become candles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, field

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import Bars
from prometheus.venue.market.bar_path import Bar, Step, path_of
from prometheus.venue.market.instruments import Instrument
from prometheus.venue.quanta import RATE, mixed

STEPS: Final = 60
"""Of each bar: one second of a 1 m bar."""
MEMORY: Final = 10_080
"""Candles that are kept: a week of minutes."""


@define
class Quote:
    """Where the market stands after a step, in price units; ``up`` tells that the last trade was at the ask."""

    last: int
    volume: int
    up: bool
    range: int
    """High less low of the bar that is played."""
    bar_volume: int
    step: int
    """Steps since the beginning."""


def units_of(bars: Bars, instrument: Instrument, shift_ms: int = 0) -> list[Bar]:
    """Recorded bars in whole numbers: prices to the nearest tick, volume to the nearest lot; opens moved by a shift.

    Raises:
        ConfigError: when a price is no positive number.
    """
    per_tick = 10**instrument.px_dp / instrument.tick
    per_lot = 10**instrument.sz_dp / float(instrument.ct_val) / instrument.lot
    found = []
    columns = zip(bars.open_time.tolist(), bars.open.tolist(), bars.high.tolist(), bars.low.tolist(),
                  bars.close.tolist(), bars.volume.tolist(), strict=True)  # fmt: skip
    for ts, *prices, volume in columns:
        opened, high, low, close = (round(price * per_tick) * instrument.tick for price in prices)
        if low <= 0 or not low <= min(opened, close) <= max(opened, close) <= high:
            raise ConfigError(f"{bars.symbol}: the bar at {ts} s is no bar of {instrument.inst_id}")
        lots = round(max(0.0, volume) * per_lot) * instrument.lot
        found.append(Bar(ts * 1000 + shift_ms, opened, high, low, close, lots))
    return found


@define
class Tape:
    """Plays the bars of one instrument; after the last bar the price stands still and nothing trades."""

    instrument: Instrument
    bars: Sequence[Bar]
    bar_ms: int
    seed: int
    at: int
    """Index of the bar that is played; the ones before it are history."""
    quote: Quote = field(init=False)
    candles: list[list[int]] = field(init=False)
    """``[ts, open, high, low, close, volume]`` of played bars, oldest first; the last one is forming."""
    shift: int = 0
    """Added to recorded prices, in 1e-8 of them: a gap that was injected."""
    _path: list[Step] = field(init=False, factory=list)
    _within: int = field(init=False, default=0)
    _steps: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        """Load the history."""
        begin = max(0, self.at - MEMORY)
        self.candles = [[b.ts, b.open, b.high, b.low, b.close, b.volume] for b in self.bars[begin : self.at]]
        first = self.bars[self.at]
        self.quote = Quote(first.open, 0, up=True, range=first.high - first.low, bar_volume=first.volume, step=0)

    def played(self, price: int) -> int:
        """A recorded price as it is played: with the injected gap, on the tick."""
        if self.shift == 0:
            return price
        tick = self.instrument.tick
        return max(tick, (price + price * self.shift // RATE) // tick * tick)

    def _next_bar(self) -> Bar:
        if self.at < len(self.bars):
            bar = self.bars[self.at]
        else:
            last = self.bars[-1]
            ts = last.ts + (self.at - len(self.bars) + 1) * self.bar_ms
            bar = Bar(ts, last.close, last.close, last.close, last.close, 0)
        return bar

    def step(self) -> None:
        """Play one step."""
        if self._within == len(self._path):
            bar = self._next_bar()
            self.at += 1
            self._path = path_of(bar, STEPS, self.instrument.tick, self.instrument.lot, mixed(self.seed, bar.ts))
            self._within = 0
            self.quote.range, self.quote.bar_volume = bar.high - bar.low, bar.volume
            opened = self.played(bar.open)
            self.candles.append([bar.ts, opened, opened, opened, opened, 0])
            if len(self.candles) > MEMORY + 1024:
                del self.candles[:1024]
        price, volume = self._path[self._within]
        self._within += 1
        self._steps += 1
        price = self.played(price)
        quote, candle = self.quote, self.candles[-1]
        if price != quote.last:
            quote.up = price > quote.last
        quote.last, quote.volume, quote.step = price, volume, self._steps
        candle[2] = max(candle[2], price)
        candle[3] = min(candle[3], price)
        candle[4] = price
        candle[5] += volume
