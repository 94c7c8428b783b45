"""Pages: newest first, strictly older than `after`, strictly newer than `before`, at most `limit`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from prometheus.venue.error_codes import Refused
from prometheus.venue.gateway.exchange_messages import Call

T = TypeVar("T")


def page(call: Call, rows: Iterable[T], key: Callable[[T], int], *, most: int = 100, usual: int = 100) -> list[T]:
    """One page of rows in any order; `before` alone gives the newest page, not the oldest after it.

    Raises:
        Refused: 51000 for a cursor or limit that is no number.
    """
    after, before, limit = call.integer("after"), call.integer("before"), call.integer("limit", usual)
    if not limit:
        raise Refused("51000", "limit")
    found = [
        row for row in rows if (after is None or key(row) < after) and (before is None or key(row) > before)
    ]  # fmt: skip
    found.sort(key=key, reverse=True)
    return found[: min(limit, most)]


def within(call: Call, time: int) -> bool:
    """Whether a time lies in `begin` to `end`, both included.

    Raises:
        Refused: 51000.
    """
    begin, end = call.integer("begin"), call.integer("end")
    return (begin is None or time >= begin) and (end is None or time <= end)
