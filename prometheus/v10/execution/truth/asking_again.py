"""Reads that are asked again: after our own bucket's wait, and after growing pauses where no answer came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from prometheus.v10.execution.ports.exchange_errors import RateLimitedError, UnavailableError

T = TypeVar("T")
Pause = Callable[[float], None]
"""Waits so many seconds of the exchange's clock."""
PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0)
_MOST_WAITS: Final = 1000  # a walk over a thousand pages waits for our own buckets some hundred times


def patiently(read: Callable[[], T], pause: Pause, pauses_s: tuple[float, ...] = PAUSES_S) -> T:
    """What ``read`` gives. Only for reads: a request that places or cancels is never asked again.

    Raises:
        UnavailableError: when the last attempt brought no answer either.
        ExchangeError: everything else at once.
    """
    waits = iter(pauses_s)
    for _ in range(_MOST_WAITS):
        try:
            return read()
        except RateLimitedError as limited:
            pause(limited.wait_s + 0.001)
        except UnavailableError:
            wait = next(waits, None)
            if wait is None:
                raise
            pause(wait)
    return read()
