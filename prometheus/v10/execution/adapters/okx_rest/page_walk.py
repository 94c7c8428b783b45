"""Walks pages from the newest row to the end, or to a row that is known, and proves that no page is missing.

Each page is asked with one row of overlap: its first row must be the last row of the page before. A page that holds
only the overlap is followed by one without it, and only an empty page is the end: a short page is not. Rows come
newest first and strictly descending; a row twice, a repeated page or a gap at a border refuses the walk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from prometheus.v10.execution.ports.exchange_errors import AnswerError

MOST_PAGES: Final = 1000

Fetch = Callable[[str | None], list[dict[str, Any]]]
"""Fetches the page of rows strictly older than an id; None: the newest page."""


def walk(fetch: Fetch, key: str, *, until: str | None = None) -> list[dict[str, Any]]:
    """Every row, newest first; down to the row ``until`` (left out) when it is given.

    Args:
        fetch: see `Fetch`.
        key: the field that pages count by, digits.
        until: the id of a row that was seen before.

    Raises:
        AnswerError: for rows out of order, a missing overlap, a known row that is not there, or pages without end.
    """
    rows: list[dict[str, Any]] = []
    page = fetch(None)
    for _ in range(MOST_PAGES):
        taken = _descending(page, key, below=None if not rows else _id(rows[-1], key))
        if until is not None:
            for place, row in enumerate(taken):
                if _id(row, key) == int(until):
                    return rows + taken[:place]
                if _id(row, key) < int(until):
                    raise AnswerError(f"pages by {key}: row {until} was there before and is missing now")
        rows += taken
        if not page:
            if until is not None:
                raise AnswerError(f"pages by {key}: they end before row {until}, which was there before")
            return rows
        page = _next(fetch, key, _id(rows[-1], key))
    raise AnswerError(f"pages by {key} do not end after {MOST_PAGES}")


def _next(fetch: Fetch, key: str, last: int) -> list[dict[str, Any]]:
    """The rows below ``last``, from a page that begins with it."""
    page = fetch(str(last + 1))
    if not page or _id(page[0], key) != last:
        raise AnswerError(f"pages by {key}: the page after row {last} does not begin with it")
    return page[1:] or fetch(str(last))


def _descending(page: list[dict[str, Any]], key: str, *, below: int | None) -> list[dict[str, Any]]:
    for row in page:
        at = _id(row, key)
        if below is not None and at >= below:
            raise AnswerError(f"pages by {key}: row {at} does not follow row {below}")
        below = at
    return page


def _id(row: dict[str, Any], key: str) -> int:
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise AnswerError(f"{key} is {value!r}, not digits"[:200])
    return int(value)
