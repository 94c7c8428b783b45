"""What a cell of a time column means: unix stamps, ISO dates, and dates written as digits alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from prometheus.v10.market.sources.tables import STAMP_UNITS, require_sane, stamp_seconds

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,4})?", re.ASCII)
TIME_OF_DAY = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.0+)?)?", re.ASCII)
YEAR_FIRST = re.compile(r"([0-9]{4})[./]([0-9]{1,2})[./]([0-9]{1,2})(.*)", re.ASCII)
YEAR_LAST = re.compile(r"[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}.*", re.ASCII)
HALF_DAYS = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{1,2})(:[0-9]{2})?(:[0-9]{2})?[ -]([AP]M)", re.ASCII)
DIGIT_DATES = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
DIGITS = "dates of digits alone (YYYYMMDD...)"
DATES = "dates"
MOST_DIGITS = 40
FORMS = "a unix stamp in s, ms, us or ns, or a date such as 2022-03-01 00:00:00"
NOT_WHOLE = "is not a whole second"


class Moment(NamedTuple):
    """What one cell says.

    Attributes:
        seconds: since 1970; of a date without a zone as if it were UTC.
        unit: the form that it was written in.
        offset: of the zone that a date names, seconds; None without a zone, and of a stamp.
        coarse: of a stamp written as a power of ten, the worth of its last digit in seconds; else 0.
    """

    seconds: int
    unit: str
    offset: int | None = None
    coarse: float = 0.0


def moment(text: str, *, closes: bool = False) -> Moment:
    """What one cell says.

    Args:
        text: the cell.
        closes: it may be the last instant before a whole second, as closes of bars are, and means that second.

    Raises:
        ValueError: when the cell is no time, is not a whole second, or lies beyond the years that bars may have.
    """
    if NUMBER.fullmatch(text) and len(text) <= MOST_DIGITS:
        found = _number(text, closes=closes)
    else:
        found = _date(text, closes=closes)
    require_sane(found.seconds)
    return found


def is_time_of_day(text: str) -> bool:
    """Whether a cell is ``HH:MM`` or ``HH:MM:SS``, which needs a date beside it."""
    return TIME_OF_DAY.fullmatch(text) is not None


def _number(text: str, *, closes: bool) -> Moment:
    if text.isdigit() and (form := DIGIT_DATES.get(len(text))) is not None:
        try:
            date = datetime.strptime(text, form).replace(tzinfo=UTC)
            seconds = int(date.timestamp())
            require_sane(seconds)
        except ValueError:
            pass  # a count of seconds or milliseconds
        else:
            return Moment(seconds, DIGITS)
    value = Decimal(text)
    if abs(value) >= 10**21:
        raise ValueError("it is larger than any unix stamp in s, ms, us or ns")
    if value != value.to_integral_value():
        raise ValueError("it is not a whole number")
    stamp = int(value)
    per_second = next((per for least, per, _ in STAMP_UNITS if abs(stamp) >= least), 1)
    if closes and per_second > 1 and stamp % per_second == per_second - 1:
        stamp += 1
    seconds, unit = stamp_seconds(stamp)
    exponent = value.as_tuple().exponent
    coarse = 10.0**exponent / per_second if "e" in text.lower() and isinstance(exponent, int) else 0.0
    return Moment(seconds, unit, coarse=coarse)


def _date(text: str, *, closes: bool) -> Moment:
    spelled = text.removesuffix(" UTC")
    zoned = spelled != text
    if (parts := YEAR_FIRST.fullmatch(spelled)) is not None:
        spelled = f"{parts[1]}-{int(parts[2]):02d}-{int(parts[3]):02d}{parts[4]}"
    elif YEAR_LAST.fullmatch(spelled):
        raise ValueError("is no date: it must begin with its year, or day and month cannot be told apart here")
    elif (half := HALF_DAYS.fullmatch(spelled)) is not None and 1 <= int(half[2]) <= 12:
        hour = int(half[2]) % 12 + (12 if half[5] == "PM" else 0)
        spelled = f"{half[1]}T{hour:02d}{half[3] or ':00'}{half[4] or ''}"
    try:
        found = datetime.fromisoformat(spelled)
    except ValueError:
        raise ValueError("is no date") from None
    offset = found.utcoffset()
    away = 0 if offset is None and zoned else None if offset is None else int(offset.total_seconds())
    seconds = int(found.replace(tzinfo=UTC, microsecond=0).timestamp()) - (away or 0)
    if found.microsecond:
        if not closes or found.microsecond < 999_000:
            raise ValueError(NOT_WHOLE)
        seconds += 1
    return Moment(seconds, DATES, offset=away)
