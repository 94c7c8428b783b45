"""Rate limits: a token bucket for each endpoint and whoever it counts, on the venue's clock.

A bucket of N per window fills evenly; it is full after a window of rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import define, field

MOST_BUCKETS: Final = 20_000
SUB_ACCOUNT: Final = (1000, 2000)
"""New and amended orders of a sub-account, and their window in ms."""


@define
class Buckets:
    """All buckets; a level is in 1e-3 requests."""

    levels: dict[str, tuple[int, int]] = field(factory=dict)
    """By name: level, and when it was that."""

    def take(self, counts: Mapping[str, int], limit: int, window_ms: int, now: int) -> bool:
        """Take so many requests out of each bucket; False, and nothing is taken, when one of them holds fewer."""
        found = {}
        for name in counts:
            level, since = self.levels.get(name, (limit * 1000, now))
            found[name] = min(limit * 1000, level + max(0, now - since) * limit * 1000 // window_ms)
        enough = all(found[name] >= count * 1000 for name, count in counts.items())
        for name, count in counts.items():
            self.levels[name] = (found[name] - count * 1000 if enough else found[name], now)
        if len(self.levels) > MOST_BUCKETS:
            oldest = sorted(self.levels, key=lambda one: self.levels[one][1])[: MOST_BUCKETS // 2]
            for one in oldest:
                del self.levels[one]
        return enough
