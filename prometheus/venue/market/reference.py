"""Prices beside the last one: index, mark, price limits, funding. All in whole numbers, moved by each step.

The index follows the last price slowly; the mark is the index plus a smoothed premium. Price limits are those of the
help page: highest = min(max(I, I(1+Y) + premium), I(1+Z)), lowest = max(min(I, I(1-Y) + premium), I(1-Z)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, field, frozen

from prometheus.venue.market.instruments import HOUR_MS, Instrument
from prometheus.venue.market.tape import MEMORY, Quote
from prometheus.venue.quanta import RATE, mixed

_FINE: Final = 1 << 12
INTEREST: Final = 10_000
"""1e-8: 0.01 % for each 8 h."""
MOST_FUNDING: Final = 375_000
"""1e-8: 0.375 %."""


@frozen
class Settled:
    """A funding that was settled: rates in 1e-8, as forecast and as realised."""

    ts: int
    forecast: int
    realized: int


@define
class Reference:
    """Index, mark and funding of one instrument."""

    instrument: Instrument
    quote: Quote
    seed: int
    recorded: Sequence[tuple[int, int]]
    """Funding of the recorded bars: time in ms and rate in 1e-8, oldest first."""
    funding_ms: int
    """The coming settlement."""
    interval_ms: int = 8 * HOUR_MS
    next_interval_ms: int = 8 * HOUR_MS
    index_shift: int = 0
    """Injected distance of the index from the path, in 1e-8."""
    mark_shift: int = 0
    enabled: bool = True
    """Whether price limits hold."""
    history: list[Settled] = field(factory=list)
    mark_candles: list[list[int]] = field(factory=list)
    _index: int = field(init=False)
    _premium: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        """Begin at the last price."""
        self._index = self.quote.last * _FINE

    def moved(self, ts: int, bar_ms: int) -> None:
        """Follow a step of the path that ended at ``ts``; bars of the mark are those of the path."""
        last = self.quote.last * _FINE
        self._index += (last - self._index) // 8
        self._premium += (last - self._index - self._premium) // 32
        opened, mark = (ts - 1) // bar_ms * bar_ms, self.mark
        if not self.mark_candles or self.mark_candles[-1][0] != opened:
            self.mark_candles.append([opened, mark, mark, mark, mark])
            if len(self.mark_candles) > MEMORY + 1024:
                del self.mark_candles[:1024]
        else:
            candle = self.mark_candles[-1]
            candle[2], candle[3], candle[4] = max(candle[2], mark), min(candle[3], mark), mark

    @property
    def index(self) -> int:
        """The index price."""
        return (self._index + self._index * self.index_shift // RATE) // _FINE

    @property
    def mark(self) -> int:
        """The mark price: what positions are valued and liquidated at."""
        fine = self._index + self._index * self.index_shift // RATE + self._premium
        return (fine + fine * self.mark_shift // RATE) // _FINE

    def limits(self) -> tuple[int, int]:
        """Highest price of a buy and lowest price of a sell, on the tick."""
        index, tick, inst = self.index, self.instrument.tick, self.instrument
        premium = self._premium // _FINE
        near, far = index * inst.float_limit // RATE, index * inst.max_limit // RATE
        high = min(max(index, index + near + premium), index + far)
        low = max(min(index, index - near + premium), index - far)
        return high // tick * tick, -(-low // tick) * tick

    def premium(self) -> int:
        """The premium over the index in 1e-8."""
        return self._premium * RATE // max(1, self._index)

    def forecast(self) -> int:
        """The rate that the coming settlement would have now, in 1e-8; positive: longs pay."""
        recorded = self._recorded(self.funding_ms)
        if recorded is not None:
            return recorded + mixed(self.seed, self.funding_ms) % 201 - 100
        premium = self.premium()
        lean = max(-50_000, min(50_000, INTEREST - premium))
        return max(-MOST_FUNDING, min(MOST_FUNDING, premium + lean))

    def _recorded(self, ts: int) -> int | None:
        """The recorded rate of a settlement within a minute of ``ts``."""
        return next((booked for at, booked in self.recorded if abs(at - ts) < 60_000), None)

    def settle(self) -> Settled:
        """The settlement that is due: its rate, and the next one on the calendar."""
        forecast = self.forecast()
        recorded = self._recorded(self.funding_ms)
        settled = Settled(self.funding_ms, forecast, forecast if recorded is None else recorded)
        self.history.append(settled)
        if len(self.history) > 4000:
            del self.history[:1000]
        self.interval_ms = self.next_interval_ms
        self.funding_ms += self.interval_ms
        return settled
