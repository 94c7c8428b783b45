"""Walks pages from the newest row to the end, or to a row that is known, and proves that no page is missing.

Each page is asked with one row of overlap: its first row must be the last row of the page before. A page that holds
only the overlap is followed by one without it, and only an empty page is the end: a short page is not. Rows come
newest first and strictly descending; a row twice, a repeated page or a gap at a border refuses the walk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from prometheus.v10.execution.ports.exchange_errors import AnswerError, RateLimitedError

MOST_PAGES: Final = 1000
STALE_MS: Final = 10_000
"""Longer than any window of `request_buckets`."""

Row = dict[str, Any]
Fetch = Callable[[str | None], list[Row]]
"""Fetches the page of rows strictly older than an id; None: the newest page."""


@define
class PageWalk:
    """One walk, with the pages that it has: where our own bucket is empty in the middle, it goes on after the wait.

    Args:
        key: the field that pages count by, digits.
        until: the id of a row that was seen before; None walks to the end.
    """

    key: str
    until: str | None = None
    _rows: list[Row] = field(factory=list, init=False)
    _last: list[Row] | None = field(default=None, init=False)
    _pages: int = field(default=0, init=False)

    def go(self, fetch: Fetch) -> list[Row]:
        """Every row, newest first; down to the row ``until`` (left out) when it is given.

        Args:
            fetch: see `Fetch`.

        Raises:
            RateLimitedError: a page waits for our bucket; called again, the walk asks for that page.
            AnswerError: for rows out of order, a missing overlap, a known row that is not there, or pages without end.
        """
        if self._last is None:
            self._last = fetch(None)
        while self._pages < MOST_PAGES:
            page, key, until = self._last, self.key, self.until
            taken = _descending(page, key, below=None if not self._rows else _id(self._rows[-1], key))
            if until is not None:
                for place, row in enumerate(taken):
                    if _id(row, key) == int(until):
                        return self._rows + taken[:place]
                    if _id(row, key) < int(until):
                        raise AnswerError(f"pages by {key}: row {until} was there before and is missing now")
            if not page:
                if until is not None:
                    raise AnswerError(f"pages by {key}: they end before row {until}, which was there before")
                return self._rows
            following = _next(fetch, key, _id(taken[-1], key))
            self._rows += taken
            self._last = following
            self._pages += 1
        raise AnswerError(f"pages by {self.key} do not end after {MOST_PAGES}")


@define
class PageWalks:
    """The walks that wait for our bucket, by what they ask for.

    Attributes:
        now_ms: the exchange's clock, Unix ms.
    """

    now_ms: Callable[[], int]
    _waiting: dict[object, tuple[int, PageWalk]] = field(factory=dict, init=False)

    def walk(self, asked: object, fetch: Fetch, key: str, *, until: str | None = None) -> list[Row]:
        """As `PageWalk.go`; ``asked`` tells this walk from others.

        A walk that waited longer than `STALE_MS` begins anew: what its first page said may not hold any more.
        """
        since, under_way = self._waiting.pop(asked, (0, None))
        if under_way is None or not 0 <= self.now_ms() - since <= STALE_MS:
            under_way = PageWalk(key, until)
        try:
            return under_way.go(fetch)
        except RateLimitedError:
            self._waiting[asked] = self.now_ms(), under_way
            raise


def _next(fetch: Fetch, key: str, last: int) -> list[Row]:
    """The rows below ``last``, from a page that begins with it."""
    page = fetch(str(last + 1))
    if not page or _id(page[0], key) != last:
        raise AnswerError(f"pages by {key}: the page after row {last} does not begin with it")
    return page[1:] or fetch(str(last))


def _descending(page: list[Row], key: str, *, below: int | None) -> list[Row]:
    for row in page:
        at = _id(row, key)
        if below is not None and at >= below:
            raise AnswerError(f"pages by {key}: row {at} does not follow row {below}")
        below = at
    return page


def _id(row: Row, key: str) -> int:
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise AnswerError(f"{key} is {value!r}, not digits"[:200])
    return int(value)
