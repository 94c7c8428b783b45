"""What a cell of a time column means: unix stamps, ISO dates, and dates written as digits alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from prometheus.v10.market.sources.tables import require_sane, stamp_seconds

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,4})?", re.ASCII)
TIME_OF_DAY = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.0+)?)?", re.ASCII)
YEAR_FIRST = re.compile(r"([0-9]{4})[./]([0-9]{1,2})[./]([0-9]{1,2})(.*)", re.ASCII)
YEAR_LAST = re.compile(r"[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}.*", re.ASCII)
DIGIT_DATES = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
DIGITS = "dates of digits alone (YYYYMMDD...)"
MOST_DIGITS = 40
FORMS = "a unix stamp in s, ms, us or ns, or a UTC date such as 2022-03-01 00:00:00"


def moment(text: str) -> tuple[int, str]:
    """Seconds since 1970 UTC of one cell, and the form that it was written in.

    Raises:
        ValueError: when the cell is no time, is not a whole second, or lies beyond the years that bars may have.
    """
    if NUMBER.fullmatch(text) and len(text) <= MOST_DIGITS:
        seconds, unit = _number(text)
    else:
        seconds, unit = _date(text), "dates"
    require_sane(seconds)
    return seconds, unit


def is_time_of_day(text: str) -> bool:
    """Whether a cell is ``HH:MM`` or ``HH:MM:SS``, which needs a date beside it."""
    return TIME_OF_DAY.fullmatch(text) is not None


def _number(text: str) -> tuple[int, str]:
    if text.isdigit() and (form := DIGIT_DATES.get(len(text))) is not None:
        try:
            date = datetime.strptime(text, form).replace(tzinfo=UTC)
            seconds = int(date.timestamp())
            require_sane(seconds)
        except ValueError:
            pass  # a count of seconds or milliseconds
        else:
            return seconds, DIGITS
    value = Decimal(text)
    if abs(value) >= 10**21:
        raise ValueError("it is larger than any unix stamp in s, ms, us or ns")
    if value != value.to_integral_value():
        raise ValueError("it is not a whole number")
    return stamp_seconds(int(value))


def _date(text: str) -> int:
    spelled = text.removesuffix(" UTC")
    if (parts := YEAR_FIRST.fullmatch(spelled)) is not None:
        spelled = f"{parts[1]}-{int(parts[2]):02d}-{int(parts[3]):02d}{parts[4]}"
    elif YEAR_LAST.fullmatch(spelled):
        raise ValueError("is no UTC date: it must begin with its year, or day and month cannot be told apart here")
    try:
        found = datetime.fromisoformat(spelled)
    except ValueError:
        raise ValueError("is no UTC date") from None
    if found.utcoffset() not in {None, timedelta(0)}:
        raise ValueError("is no UTC date: it names another time zone")
    if found.microsecond:
        raise ValueError("is not a whole second")
    return int(found.replace(tzinfo=UTC).timestamp())
