"""Tests that take their time: `make drills` runs them whole; `make test` leaves them out, or takes a part of them.

``PQ_DRILLS=1`` is what `make drills` sets. The mark ``drill`` is of tests that run only then.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

DRILLS = os.environ.get("PQ_DRILLS") == "1"
WHY = "takes its time: make drills runs it (PQ_DRILLS=1)"

Case = TypeVar("Case")


def part_of(cases: Sequence[Case], one_in: int) -> Sequence[Case]:
    """All cases in a drill; otherwise the first, and every ``one_in``-th after it."""
    return cases if DRILLS else cases[::one_in]
