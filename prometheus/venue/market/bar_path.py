"""One bar as a path: steps of a price and a volume that give its open, high, low, close and volume back exactly.

The path goes from the open to the nearer extreme, to the farther one, to the close, with seeded noise between that
stays inside [low, high]. The volume is spread over the steps in proportion to how far each moved, plus a floor.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import TypeAlias

from attrs import frozen

Step: TypeAlias = tuple[int, int]
"""Price and volume, in units of the instrument."""


@frozen
class Bar:
    """Open, high, low, close in price units and volume in size units; ``ts`` is its open in ms."""

    ts: int
    open: int
    high: int
    low: int
    close: int
    volume: int


def path_of(bar: Bar, steps: int, tick: int, lot: int, seed: int) -> list[Step]:
    """The steps of a bar: ``steps`` >= 4 pairs of price and volume; prices on ``tick`` where the bar's are.

    The first price is the open, the last the close; both extremes are reached; no price lies outside them; the volumes
    are multiples of ``lot``, but for what the bar's own volume leaves, and add up to it.
    """
    random = Random(seed)
    prices = _prices(bar, steps, tick, random)
    return list(zip(prices, _volumes(bar, prices, lot, random), strict=True))


def _prices(bar: Bar, steps: int, tick: int, random: Random) -> list[int]:
    high_first = bar.high - bar.open < bar.open - bar.low or (
        bar.high - bar.open == bar.open - bar.low and bar.close < bar.open
    )
    first, second = (bar.high, bar.low) if high_first else (bar.low, bar.high)
    at_first = 1 + random.getrandbits(16) % max(1, (steps - 3) // 2)
    at_second = at_first + 1 + random.getrandbits(16) % max(1, steps - 2 - at_first - 1)
    anchors = [(0, bar.open), (at_first, first), (at_second, second), (steps - 1, bar.close)]
    reach = max(1, (bar.high - bar.low) // (8 * tick))
    prices = [bar.open]
    for (begin, start), (end, goal) in pairwise(anchors):
        for at in range(begin + 1, end):
            noise = (random.getrandbits(16) % (2 * reach + 1) - reach) * tick
            straight = start + (goal - start) * (at - begin) // (end - begin)
            on_tick = bar.open + (straight - bar.open) // tick * tick + noise
            prices.append(min(bar.high, max(bar.low, on_tick)))
        prices.append(goal)
    return prices


def _volumes(bar: Bar, prices: list[int], lot: int, random: Random) -> list[int]:
    """Shares of the bar's volume; cumulative floors, so that the sum is exact."""
    floor = 1 + (bar.high - bar.low) // (2 * len(prices))
    moves = [abs(after - before) for before, after in zip([bar.open, *prices], prices, strict=False)]
    weights = [(move + floor) * (64 + random.getrandbits(6)) for move in moves]
    total, lots = sum(weights), bar.volume // lot
    found, given, passed = [], 0, 0
    for weight in weights:
        passed += weight
        until = lots * passed // total
        found.append((until - given) * lot)
        given = until
    found[-1] += bar.volume - lots * lot
    return found
