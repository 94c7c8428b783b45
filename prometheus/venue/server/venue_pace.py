"""The pace of the venue's clock: so many of its seconds for each real one, or steps by hand.

A machine that cannot keep up lets the venue's clock fall behind rather than stand still for its clients: `follow` works
for a bounded time, and what is not reached is left out of the plan.
"""

from __future__ import annotations

import time
from typing import Final

from attrs import define, field

from prometheus.venue.exchange_world import World

BUDGET_S: Final = 0.05
_CHUNK: Final = 60


@define
class Pace:
    """Moves a world's clock with the machine's. ``speed`` 0: only by hand."""

    world: World
    speed: float
    _real: float = field(init=False, factory=time.monotonic)
    _since: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin at the world's present moment."""
        self._since = self.world.now

    def change(self, speed: float) -> None:
        """Go on from now at another speed."""
        self.follow()
        self.speed = speed
        self._restart()

    def _restart(self) -> None:
        self._real, self._since = time.monotonic(), self.world.now

    def follow(self) -> None:
        """Bring the venue's clock to where the pace wants it."""
        if self.speed <= 0:
            return
        begun = time.monotonic()
        wanted = self._since + int((begun - self._real) * 1000 * self.speed)
        chunk = self.world.step_ms * _CHUNK
        while self.world.now < wanted:
            self.world.advance(min(wanted, self.world.now + chunk))
            if time.monotonic() - begun > BUDGET_S:
                self._restart()
                return
