"""Timeframe aggregation: bars of an integer multiple, aligned to UTC multiples of the target timeframe.

The rule: open of the first, highest high, lowest low, close of the last, volumes and funding summed in order of time
(unknown funding makes an unknown sum). A group counts only when every one of its bars is there; incomplete ones at
either end are dropped and counted, and one in the middle is a gap, refused unless gaps are allowed. Weeks begin on
Thursdays, as the epoch did.
"""

from __future__ import annotations

import attrs
import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import PRICE_COLUMNS, Bars, Floats, bar_time


@attrs.frozen(kw_only=True)
class Resampled:
    """Aggregated bars and what was left out.

    Attributes:
        bars: bars of the target timeframe.
        dropped_leading: source bars dropped before the first complete group.
        dropped_trailing: source bars dropped after the last complete group.
        dropped_inside: source bars dropped in incomplete groups between them.
    """

    bars: Bars
    dropped_leading: int
    dropped_trailing: int
    dropped_inside: int


def resample(bars: Bars, timeframe_s: int, *, allow_gaps: bool = False) -> Resampled:
    """Aggregate to ``timeframe_s`` seconds.

    Raises:
        ConfigError: when the target is no multiple of the bars' timeframe, no group is complete, or one is broken
            inside.
    """
    per_group, rest = divmod(timeframe_s, bars.timeframe_s)
    if per_group < 1 or rest:
        raise ConfigError(f"{bars.symbol}: {timeframe_s} s is not a multiple of the bars' {bars.timeframe_s} s")
    group, first, count = np.unique(bars.open_time // timeframe_s, return_index=True, return_counts=True)
    complete = np.flatnonzero(count == per_group)
    if len(complete) == 0:
        raise ConfigError(
            f"{bars.symbol}: the {len(bars)} bars of {bars.timeframe_s} s hold no whole {timeframe_s} s bar"
        )
    head, tail = int(complete[0]), int(complete[-1])
    broken = [k for k in range(head, tail + 1) if count[k] != per_group]
    if broken and not allow_gaps:
        at = bar_time(int(group[broken[0]]) * timeframe_s)
        raise ConfigError(
            f"{bars.symbol}: the {timeframe_s} s bar at {at} has {int(count[broken[0]])} of {per_group} bars "
            f"({len(broken)} such bars in all)",
            hint="nothing is filled in: mend the source, or allow gaps",
        )
    rows = first[complete][:, None] + np.arange(per_group)
    table = {name: getattr(bars, name)[rows] for name in (*PRICE_COLUMNS, "volume", "funding")}
    columns = {
        "open_time": group[complete] * timeframe_s,
        "open": table["open"][:, 0],
        "high": table["high"].max(axis=1),
        "low": table["low"].min(axis=1),
        "close": table["close"][:, -1],
        "volume": _sums(table["volume"]),
        "funding": _sums(table["funding"]),
    }
    return Resampled(
        bars=bars.with_columns(columns, timeframe_s=timeframe_s),
        dropped_leading=int(count[:head].sum()),
        dropped_trailing=int(count[tail + 1 :].sum()),
        dropped_inside=int(sum(int(count[k]) for k in broken)),
    )


def _sums(table: Floats) -> Floats:
    """Sum of each row, left to right, so that the bits do not depend on a library's order of summation."""
    total = table[:, 0].copy()
    for column in range(1, table.shape[1]):
        total += table[:, column]
    return total
