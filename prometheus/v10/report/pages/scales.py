"""Numbers as pages write them, and axes of round numbers. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Callable

from attrs import frozen

MOST_PLACES = 4
MINUS = "\N{MINUS SIGN}"
Format = Callable[[float], str]


def number(value: float | None, digits: int = 4) -> str:
    """A figure to so many significant digits, whole ones with their thousands apart; unknown as a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    text = f"{size:,.0f}" if size >= 1000 or value == int(value) else f"{size:.{digits}g}"
    return f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text


def percent(value: float | None, places: int = 1) -> str:
    """A fraction in percent."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{abs(value) * 100:,.{places}f}"
    return f"{MINUS}{text} %" if value < 0 and text.strip("0.,") else f"{text} %"


def bytes_text(count: float) -> str:
    """A size with one unit."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:,.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


@frozen
class Scale:
    """A linear axis: values from ``low`` to ``high`` and the round numbers on it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Where a value stands, from 0 to 1; what is beyond an end stands at the end."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def scale(low: float, high: float, most: int = 5, *, whole: bool = False, wide: bool = True) -> Scale:
    """An axis that holds ``low`` and ``high`` with at most ``most`` round numbers, or one more.

    Args:
        low: smallest value.
        high: largest value.
        most: round numbers on it, about.
        whole: whether the numbers are whole ones.
        wide: whether the axis is widened to round numbers at both ends.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = 0.0, 1.0
    if high - low < 1e-12 * max(1.0, abs(low), abs(high)):
        low, high = low - (0.0 if low == 0 else abs(low) * 0.1), high + (1.0 if high == 0 else abs(high) * 0.1)
    step = _round_step((high - low) / most)
    if whole:
        step = next(one for one in (step, 2.0 * step, 4.0 * step) if one == int(one)) if step > 1.0 else 1.0
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if wide:
        low, high = first * step, last * step
    ticks = tuple(round(k * step, 12) for k in range(first, last + 1))
    edge = (high - low) * 1e-9
    return Scale(low, high, tuple(tick for tick in ticks if low - edge <= tick <= high + edge))


def _round_step(raw: float) -> float:
    size = 10.0 ** math.floor(math.log10(raw))
    return next(size * k for k in (1.0, 2.0, 2.5, 5.0, 10.0) if size * k >= raw * (1 - 1e-9))


def percents(axis: Scale) -> Format:
    """How fractions on an axis are written: with as many places as its steps need."""
    gap = (axis.ticks[1] - axis.ticks[0]) * 100 if len(axis.ticks) > 1 else 1.0
    places = next(
        (n for n in range(MOST_PLACES) if abs(gap * 10**n - round(gap * 10**n)) < 1e-6 * 10**n * gap), MOST_PLACES
    )
    return lambda value: percent(value, places)


def plain(value: float) -> str:
    """A number on an axis."""
    if value and abs(value) >= 1_000_000:
        return f"{number(value / 1_000_000, 3)} M"
    if abs(value) >= 100_000:
        return f"{number(value / 1_000, 3)} k"
    return number(value)
