"""Windows: a named stretch of a market by start row and length (contracts, section 4: ``window`` in the manifest)."""

from __future__ import annotations

import attrs

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import Bars, bar_time


@attrs.frozen
class Window:
    """A stretch of bars.

    Attributes:
        name: how people call it, e.g. ``W1``.
        start: row of the first bar, counting from 0.
        len: number of bars.
    """

    name: str
    start: int
    len: int


def whole(bars: Bars, name: str = "all") -> Window:
    """The window that is the whole market."""
    return Window(name, 0, len(bars))


def cut(bars: Bars, window: Window) -> Bars:
    """The bars of ``window``, as views.

    Raises:
        ConfigError: when the window is empty or reaches past the data, saying how many bars there are.
    """
    if window.start < 0 or window.len < 1:
        raise ConfigError(
            f"window {window.name!r}: start {window.start} and len {window.len} name no bars",
            hint="start >= 0 and len >= 1",
        )
    end = window.start + window.len
    if end > len(bars):
        reach = f"{bar_time(bars.first_open)} to {bar_time(bars.last_open)}" if len(bars) else "nothing"
        raise ConfigError(
            f"window {window.name!r}: rows {window.start} to {end - 1} reach past the data: "
            f"{bars.symbol} has {len(bars)} bars of {bars.timeframe_s} s ({reach})",
            hint=f"start + len must not exceed {len(bars)}",
        )
    return bars.slice(window.start, window.len)
