"""What a source file says before it is bars: rows as they stand, where each stands, and what was decided in reading.

Every choice that reading a file takes (which column is base volume, which unit a stamp has, that rows were turned
round) is a sentence in ``decisions`` and ends up in the market's provenance: nothing is mended silently.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import PRICE_COLUMNS, Floats, Ints, bar_time

# A stamp's unit follows from its size: seconds reach 1e11 in the year 5138, and milliseconds passed it in 1973.
# No bar is older than 1970 or younger than 2200: what a record carries must have a date.
LATEST_OPEN = 7_258_118_400  # 2200-01-01
EARLIEST_STAMP = 100_000_000  # 1973-03-03: a smaller count is a day number or a date, not unix seconds
STAMP_UNITS = ((10**17, 10**9, "nanoseconds"), (10**14, 10**6, "microseconds"), (10**11, 10**3, "milliseconds"))


@attrs.frozen(kw_only=True)
class RawTable:
    """Rows as a file gives them, in the file's order.

    Attributes:
        open_time: int64[T], seconds UTC.
        prices: open, high, low, close: float64[T] each.
        volume: float64[T], base currency.
        rows: int64[T], where each row stands in the file.
        row_word: what such a place is called: ``line`` of a text file, ``row`` of a table.
        symbol: the instrument, when the file names it.
        decisions: sentences.
    """

    open_time: Ints
    prices: dict[str, Floats]
    volume: Floats
    rows: Ints
    row_word: str
    symbol: str | None
    decisions: list[str]

    def oldest_first(self) -> RawTable:
        """The table turned round when every row is older than the one before; otherwise as it is."""
        if len(self.open_time) < 2 or not bool((np.diff(self.open_time) < 0).all()):
            return self
        return attrs.evolve(
            self,
            open_time=self.open_time[::-1].copy(),
            prices={name: self.prices[name][::-1].copy() for name in PRICE_COLUMNS},
            volume=self.volume[::-1].copy(),
            rows=self.rows[::-1].copy(),
            decisions=[*self.decisions, "order: the file stands newest first; rows were turned round"],
        )


def stamp_seconds(stamp: int) -> tuple[int, str]:
    """A unix stamp in whole seconds, and the unit it was in.

    Raises:
        ValueError: when it is not a whole number of seconds.
    """
    for least, per_second, unit in STAMP_UNITS:
        if abs(stamp) >= least:
            if stamp % per_second:
                raise ValueError(f"{stamp} {unit} is not a whole second")
            return stamp // per_second, unit
    return stamp, "seconds"


def require_sane(seconds: int) -> None:
    """Refuse an open time outside 1970 to 2200.

    Raises:
        ValueError: naming the range.
    """
    if not 0 <= seconds < LATEST_OPEN:
        raise ValueError(f"{bar_time(seconds)} lies outside the years 1970 to 2200")


def infer_timeframe(open_time: Ints, source: Path) -> int:
    """The commonest step between neighbouring rows, the smaller one on a tie: seconds.

    Raises:
        ConfigError: when there are fewer than two rows or time never moves on.
    """
    steps = np.diff(open_time)
    steps = steps[steps > 0]
    if len(steps) == 0:
        raise ConfigError(
            f"{source}: the timeframe cannot be told from {len(open_time)} row(s)", hint="name the timeframe"
        )
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])


def span(open_time: Ints) -> str:
    """First and last open time as text."""
    return f"{bar_time(int(open_time[0]))} to {bar_time(int(open_time[-1]))}"
