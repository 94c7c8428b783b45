"""What makes bars unusable, each finding named with its row, time and column.

The rules, in the order in which they are checked: every number is finite (funding may be NaN: unknown); prices are
positive; volume is not negative; low <= open, close <= high and low <= high; open times lie on the timeframe's own
grid, rise, never repeat, and leave no gap. Nothing is filled, sorted or dropped here. A gap alone may be allowed by
the caller, who then records how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import attrs
import numpy as np
import numpy.typing as npt

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import PRICE_COLUMNS, Bars, Floats, Ints, bar_time

DAY_S = 86_400
QUARTER_S = 900
MOST_RANGES = 5  # gaps that one line names


class Fault(StrEnum):
    """The ways in which a bar can be wrong."""

    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    NEGATIVE_VOLUME = "negative_volume"
    HIGH_BELOW_LOW = "high_below_low"
    OUTSIDE_RANGE = "outside_range"
    MISALIGNED = "misaligned"
    DUPLICATE = "duplicate"
    ORDER = "order"
    GAP = "gap"


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that is wrong in one bar.

    Attributes:
        row: where the bar stands: 1-based row of the data, or the line of the file it was read from.
        time: the bar's open time as text.
        column: the column at fault.
        fault: which rule is broken.
        detail: the numbers that break it.
    """

    row: int
    time: str
    column: str
    fault: Fault
    detail: str

    def text(self, row_word: str = "row") -> str:
        """One line for a human."""
        return self.text_at(f"{row_word} {self.row}")

    def text_at(self, place: str) -> str:
        """The same, where a place is more than a row."""
        return f"{place} ({self.time}), column {self.column}: {self.detail}"


@attrs.frozen
class _Sheet:
    """The bars under inspection and the row numbers under which findings are reported."""

    bars: Bars
    rows: Ints

    def name(self, mask: npt.NDArray[np.bool_], column: str, fault: Fault, say: Callable[[int], str]) -> list[Finding]:
        """One finding for each row of ``mask``."""
        return [
            Finding(
                row=int(self.rows[i]),
                time=bar_time(int(self.bars.open_time[i])),
                column=column,
                fault=fault,
                detail=say(int(i)),
            )
            for i in np.flatnonzero(mask)
        ]


def validate(bars: Bars, rows: Ints | None = None) -> list[Finding]:
    """Everything that is wrong with ``bars``, ordered by row, then by the order of the rules.

    Args:
        bars: T bars.
        rows: int64[T], the numbers under which rows are reported; 1..T when None.
    """
    sheet = _Sheet(bars, np.arange(1, len(bars) + 1, dtype=np.int64) if rows is None else rows)
    found = [*_numbers(sheet), *_ranges(sheet), *_times(sheet)]
    return sorted(found, key=lambda finding: finding.row)


def require_valid(
    bars: Bars,
    *,
    allow_gaps: bool = False,
    rows: Ints | None = None,
    row_word: str = "row",
    place: Callable[[Finding], str] | None = None,
) -> list[Finding]:
    """Refuse bars that are wrong.

    Args:
        bars: T bars.
        allow_gaps: whether missing bars are let through.
        rows: int64[T], as `validate` takes them.
        row_word: what a row is called.
        place: where a finding stands, for bars of several files; by default their source and row.

    Returns:
        The gaps, when ``allow_gaps`` lets them pass; else an empty list.

    Raises:
        ConfigError: one line with the first finding and how many there are.
    """
    if len(bars) == 0:
        raise ConfigError(f"{bars.source}: holds no bar")
    found = validate(bars, rows)
    refused = [f for f in found if not (allow_gaps and f.fault is Fault.GAP)]
    if refused:
        first = refused[0]
        where = f"{bars.source}: {first.text(row_word)}" if place is None else first.text_at(place(first))
        more = f" ({len(refused)} findings in all)" if len(refused) > 1 else ""
        gaps = all(f.fault is Fault.GAP for f in refused)
        missing = f"; missing: {gap_ranges(bars)}" if gaps else ""
        raise ConfigError(f"{where}{more}{missing}", hint=_hint(bars, first, only_gaps=gaps))
    return found


def gap_ranges(bars: Bars) -> str:
    """The stretches without bars, the first ones by their first and last missing bar, and how many there are."""
    step, moved = bars.timeframe_s, np.diff(bars.open_time)
    after = np.flatnonzero(moved > step)
    ranges = []
    for at in after[:MOST_RANGES].tolist():
        first, bars_missing = int(bars.open_time[at]) + step, -(-int(moved[at]) // step) - 1
        last = first + (bars_missing - 1) * step
        ranges.append(bar_time(first) if bars_missing == 1 else f"{bar_time(first)} to {bar_time(last)}")
    missing = int((-(-moved[after] // step) - 1).sum())
    more = f", and {len(after) - MOST_RANGES} more" if len(after) > MOST_RANGES else ""
    return f"{missing} bars: {', '.join(ranges)}{more}"


def _hint(bars: Bars, finding: Finding, *, only_gaps: bool) -> str:
    """What to do about the first finding."""
    if only_gaps:
        return "nothing is filled in: mend the source, or allow gaps with --allow-gaps"
    if finding.fault is Fault.NOT_FINITE:
        return "mend the source file; if its rows without a price mean that nobody traded: --drop-empty"
    if finding.fault is Fault.OUTSIDE_RANGE:
        return "vendors round low and high apart from open and close: mend the row in the source file"
    if finding.fault is Fault.MISALIGNED and bool((bars.open_time % 60 == 59).all()):
        return "if the times name the close of the bar: --stamp close"
    return "mend the source file"


def _numbers(sheet: _Sheet) -> list[Finding]:
    """Finite, positive, not negative."""
    bars = sheet.bars
    found: list[Finding] = []
    for column in (*PRICE_COLUMNS, "volume"):
        values = getattr(bars, column)
        found += sheet.name(~np.isfinite(values), column, Fault.NOT_FINITE, _say(values, "is not a number"))
        if column == "volume":
            found += sheet.name(values < 0, column, Fault.NEGATIVE_VOLUME, _say(values, "is negative"))
        else:
            found += sheet.name(values <= 0, column, Fault.NOT_POSITIVE, _say(values, "is not positive"))
    unsound = np.isinf(bars.funding)
    return found + sheet.name(unsound, "funding", Fault.NOT_FINITE, _say(bars.funding, "is not a number"))


def _say(values: Floats, what: str) -> Callable[[int], str]:
    """``<value> <what>`` for a row."""
    return lambda i: f"{values[i]:.10g} {what}"


def _ranges(sheet: _Sheet) -> list[Finding]:
    """High over low, open and close between them. NaN compares false, and is named already."""
    bars = sheet.bars
    crossed = bars.high < bars.low
    found = sheet.name(
        crossed,
        "high",
        Fault.HIGH_BELOW_LOW,
        lambda i: f"high {_exact(bars.high[i])} is below low {_exact(bars.low[i])}",
    )
    for column in ("open", "close"):
        values = getattr(bars, column)
        outside = ((values < bars.low) | (values > bars.high)) & ~crossed
        found += sheet.name(outside, column, Fault.OUTSIDE_RANGE, _outside(bars, values))
    return found


def _outside(bars: Bars, values: Floats) -> Callable[[int], str]:
    return lambda i: f"{_exact(values[i])} lies outside [{_exact(bars.low[i])}, {_exact(bars.high[i])}]"


def _exact(value: float) -> str:
    """Ten digits where they are the number, else all of them: two numbers that differ are never shown alike."""
    short = f"{value:.10g}"
    return short if float(short) == value else repr(float(value))


def _anchor(bars: Bars) -> int:
    """Where in the grid bars begin, seconds: 0 below a day; days and weeks may share a whole quarter of an hour.

    Exchanges' weeks begin on Monday, while the grid of weeks from 1970 begins on Thursday.
    """
    if bars.timeframe_s < DAY_S or len(bars) == 0:
        return 0
    offsets, counts = np.unique(bars.open_time % bars.timeframe_s, return_counts=True)
    offset = int(offsets[np.argmax(counts)])
    return offset if offset % QUARTER_S == 0 else 0


def _times(sheet: _Sheet) -> list[Finding]:
    """On the grid, rising, each once, none missing; a row is compared with the row before it."""
    bars, step = sheet.bars, sheet.bars.timeframe_s
    moved = np.diff(bars.open_time, prepend=bars.open_time[:1] - step)
    found = sheet.name(
        bars.open_time % step != _anchor(bars),
        "open_time",
        Fault.MISALIGNED,
        lambda _: f"is not a multiple of the {step} s timeframe",
    )
    found += sheet.name(moved == 0, "open_time", Fault.DUPLICATE, lambda _: "repeats the bar before it")
    found += sheet.name(moved < 0, "open_time", Fault.ORDER, lambda _: "is earlier than the bar before it")
    inside = (moved > 0) & (moved < step)
    found += sheet.name(
        inside, "open_time", Fault.ORDER, lambda i: f"comes {moved[i]} s after the bar before it, not {step}"
    )
    return found + sheet.name(
        moved > step,
        "open_time",
        Fault.GAP,
        lambda i: f"{-(-int(moved[i]) // step) - 1} bars are missing before it",
    )
