"""What a source file says before it is bars: rows as they stand, where each stands, and what was decided in reading.

Every choice that reading a file takes (which format it is, which column is base volume, which unit and zone a stamp
has, that rows were turned round or left out) is a sentence in ``decisions`` and ends up in the market's provenance:
nothing is mended silently.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import PRICE_COLUMNS, Floats, Ints, bar_time

# A stamp's unit follows from its size: seconds reach 1e11 in the year 5138, and milliseconds passed it in 1973.
# No bar is older than 1970 or younger than 2200: what a record carries must have a date.
LATEST_OPEN = 7_258_118_400  # 2200-01-01
EARLIEST_STAMP = 100_000_000  # 1973-03-03: a smaller count is a day number or a date, not unix seconds
STAMP_UNITS = ((10**17, 10**9, "nanoseconds"), (10**14, 10**6, "microseconds"), (10**11, 10**3, "milliseconds"))


@attrs.frozen(kw_only=True)
class Reading:
    """What files of bars do not say themselves, and what the operator allows.

    Attributes:
        symbol: the instrument.
        timeframe_s: seconds per bar; by default what the file's name says, or the commonest step between rows.
        funding: a file of funding rates; by default the one beside a feather file.
        allow_gaps: let missing bars pass, and record them.
        base_volume: the column that holds base volume.
        format: one of `named_formats.FORMATS`, for a file without a header or one that fits several.
        timezone: of dates without a zone: ``+08:00`` or a name such as ``Asia/Shanghai``.
        stamp: ``open`` or ``close``: which end of its bar a time names.
        drop_empty: leave out rows without a price, and record how many.
        drop_last: leave out the newest bar.
        sort: put rows in order of time.
    """

    symbol: str | None = None
    timeframe_s: int | None = None
    funding: Path | None = None
    allow_gaps: bool = False
    base_volume: str | None = None
    format: str | None = None
    timezone: str | None = None
    stamp: str | None = None
    drop_empty: bool = False
    drop_last: bool = False
    sort: bool = False


AS_IT_IS = Reading()


@attrs.frozen(kw_only=True)
class RawTable:
    """Rows as files give them.

    Attributes:
        open_time: int64[T], seconds UTC.
        prices: open, high, low, close: float64[T] each.
        volume: float64[T], base currency.
        rows: int64[T], where each row stands in its file.
        row_word: what such a place is called: ``line`` of a text file, ``row`` of a table.
        files: names of the files.
        file_of: int64[T], which of them a row comes from; None where there is one.
        symbol: the instrument, when a file says it.
        named: the instrument, when a file's name says it.
        timeframe_s: seconds per bar, when the file's name says it.
        gaps_are_quiet: the format leaves out bars in which nobody traded.
        coarse: the resolution of stamps that are written as powers of ten, seconds; 0 where there are none.
        decisions: sentences.
    """

    open_time: Ints
    prices: dict[str, Floats]
    volume: Floats
    rows: Ints
    row_word: str
    files: tuple[str, ...]
    file_of: Ints | None = None
    symbol: str | None
    named: str | None = None
    timeframe_s: int | None = None
    gaps_are_quiet: bool = False
    coarse: float = 0.0
    decisions: list[str]

    def place(self, index: int) -> str:
        """Where a row stands: ``line 7``, or ``a.csv: line 7`` where there are several files."""
        where = f"{self.row_word} {int(self.rows[index])}"
        return where if self.file_of is None else f"{self.files[int(self.file_of[index])]}: {where}"

    def taken(self, chosen: npt.NDArray[np.bool_] | Ints, *said: str) -> RawTable:
        """The rows that a mask or an order chooses, with more decisions."""
        return attrs.evolve(
            self,
            open_time=self.open_time[chosen],
            prices={name: self.prices[name][chosen] for name in PRICE_COLUMNS},
            volume=self.volume[chosen],
            rows=self.rows[chosen],
            file_of=None if self.file_of is None else self.file_of[chosen],
            decisions=[*self.decisions, *said],
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


def infer_timeframe(open_time: Ints, source: str) -> int:
    """The commonest step between neighbouring rows, the smaller one on a tie: seconds.

    Raises:
        ConfigError: when there are fewer than two rows or time never moves on.
    """
    steps = np.diff(open_time)
    steps = steps[steps > 0]
    if len(steps) == 0:
        raise ConfigError(
            f"{source}: the timeframe cannot be told from {len(open_time)} row(s)",
            hint="name it: --timeframe SECONDS",
        )
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])


def span(open_time: Ints) -> str:
    """First and last open time as text."""
    return f"{bar_time(int(open_time[0]))} to {bar_time(int(open_time[-1]))}"
