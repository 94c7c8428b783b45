"""How long an audit may take: what it does not come to is said, and never passes for looked at.

Ledger, witnesses, pools, snapshots and gates come first. Runs follow in random order, so that no run is left out night
after night, and one run has at most a quarter of the whole time. Standard library only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.records.findings import Progress

SHARE = 4
"""One run has the whole time divided by this."""
_T = TypeVar("_T")


class Budget:
    """Seconds for one audit, counted from when it is made."""

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        order: random.Random | None = None,
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._order = order or random.Random()
        self._end = clock() + seconds

    def is_over(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._clock() >= self._end

    def mixed(self, found: list[_T]) -> list[_T]:
        """In random order."""
        return self._order.sample(found, len(found))

    def of_one(self, progress: Progress | None) -> Progress:
        """What the verification of one run tells its bytes to; it ends a run that takes more than its share."""
        end = min(self._clock() + self.seconds / SHARE, self._end)

        def heard(nbytes: int) -> None:
            if progress is not None:
                progress(nbytes)
            if self._clock() >= end:
                raise EvidenceError("it was not looked at whole: the time for one run was over")

        return heard
