"""Whole columns of times at once: unix stamps by their size, ISO dates by their places, all others cell by cell.

What the quick ways cannot read, `cell_times.moment` reads or refuses, so that there is one meaning of a cell.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs
import numpy as np
import numpy.typing as npt

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import Ints
from prometheus.v10.market.sources.reading.cell_times import DATES, NOT_WHOLE, Moment, moment
from prometheus.v10.market.sources.tables import LATEST_OPEN, STAMP_UNITS, require_sane

OFFSET = re.compile(r"(?:UTC|GMT)?([+-])([0-9]{1,2})(?::?([0-9]{2}))?", re.ASCII)
QUARTER_S = 900  # of an hour: no zone has changed its clock inside one since 1970
DIGIT_RANGES = (
    (19_700_101, 21_991_231),
    (1_970_010_100, 2_199_123_123),
    (197_001_010_000, 219_912_312_359),
    (19_700_101_000_000, 21_991_231_235_959),
)
EXACT = 2.0**53
ZERO = ord("0")


class CellError(ValueError):
    """A cell that is no time: which of the column, what stands in it, and what is wrong."""

    def __init__(self, index: int, text: str, said: str) -> None:
        super().__init__(said)
        self.index, self.text, self.said = index, text, said


@attrs.define
class TimeTally:
    """What the cells of the time columns of one file were.

    Attributes:
        zone: of dates without a zone, where the operator says it.
        closes: cells name the close of a bar.
        units: cells by form.
        offsets: cells by the zone that they name, seconds.
        naive: dates without a zone.
        switched: row and form at which the form changed first.
        coarse: the finest resolution of a stamp that is written as a power of ten, seconds; 0 without one.
        powers: such a stamp, as it stands.
    """

    zone: timezone | ZoneInfo | None = None
    closes: bool = False
    units: Counter[str] = attrs.field(factory=Counter)
    offsets: Counter[int] = attrs.field(factory=Counter)
    naive: int = 0
    switched: tuple[int, str] | None = None
    coarse: float = 0.0
    powers: str = ""
    _latest: str = ""

    def count(self, units: Sequence[tuple[str, int]], rows: Ints) -> None:
        """Count cells: forms in order of the rows, with how many cells of each follow one another."""
        at = 0
        for unit, cells in units:
            if self._latest and unit != self._latest and self.switched is None:
                self.switched = (int(rows[at]), unit)
            self._latest = unit
            self.units[unit] += cells
            at += cells

    def copy_for_checks(self) -> TimeTally:
        """A tally of the same rules, for columns that are only held against another."""
        return TimeTally(zone=self.zone, closes=self.closes)


def zone_of(text: str) -> timezone | ZoneInfo:
    """The zone that an operator names.

    Raises:
        ConfigError: when there is none of that name.
    """
    if text.upper() in {"UTC", "Z", "GMT"}:
        return UTC
    if (found := OFFSET.fullmatch(text)) is not None and int(found[2]) <= 14 and int(found[3] or 0) < 60:
        away = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return timezone(-away if found[1] == "-" else away)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"--timezone {printable(text)!r}: there is no such time zone here",
            hint="give an offset such as +08:00, or a name such as Asia/Shanghai",
        ) from None


def read_times(values: Any, rows: Ints, tally: TimeTally) -> Ints:
    """Seconds UTC of a column's cells.

    Args:
        values: int64[N], float64[N], bytes[N] or objects of text.
        rows: int64[N], where they stand.
        tally: is told what they were.

    Raises:
        CellError: for the first cell that is no time.
        ConfigError: when a zone was named for times that have their own.
    """
    if values.dtype.kind == "S":
        quick = _whole_texts(values, rows, tally)
        if quick is not None:
            return quick
        values = np.array([cell.decode("ascii") for cell in values], dtype=object)
    if values.dtype.kind == "f":
        values = _whole_floats(values)
    if values.dtype.kind == "i" and not _may_be_dates(values):
        return _from_stamps(values, rows, tally)
    return _cell_by_cell([str(cell).strip() for cell in values], rows, tally)


def dates_to_seconds(given: Ints, rows: Ints, tally: TimeTally, *, utc: bool = False) -> Ints:
    """Seconds UTC of dates: those without a zone are given as if they were UTC.

    Raises:
        CellError: for a date beyond the years that bars may have, or one that the operator's zone has twice or never.
    """
    _require_sane(given, given)
    tally.count([(DATES, len(given))], rows)
    if utc:
        tally.offsets[0] += len(given)
        return given
    tally.naive += len(given)
    return _to_utc(given, tally)


def _whole_floats(values: Any) -> Any:
    """int64 of floats that are whole numbers."""
    for wrong, what in (
        (~np.isfinite(values), "is empty or not finite"),
        (values != np.floor(values), "it is not a whole number"),
        (np.abs(values) >= EXACT, "its digits are lost: a number with a fraction part cannot hold so large a stamp"),
    ):
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise CellError(at, repr(float(values[at])), what)
    return values.astype(np.int64)


def _may_be_dates(values: Any) -> bool:
    """Whether some stamp could be a date of digits alone."""
    if not len(values):
        return False
    lowest, highest = int(values.min()), int(values.max())
    return any(
        lowest <= most and highest >= least and bool(((values >= least) & (values <= most)).any())
        for least, most in DIGIT_RANGES
    )


def _from_stamps(values: Any, rows: Ints, tally: TimeTally) -> Ints:
    seconds, size = np.array(values, dtype=np.int64), np.abs(values)
    forms = np.zeros(len(values), dtype=np.int8)
    names = ["seconds", *(name for _, _, name in STAMP_UNITS)]
    for number, (least, per_second, unit) in enumerate(STAMP_UNITS, start=1):
        mine = (size >= least) & (forms == 0)
        if not mine.any():
            continue
        stamps = values[mine]
        if tally.closes:
            stamps = stamps + (stamps % per_second == per_second - 1)
        broken = np.flatnonzero(stamps % per_second)
        if len(broken):
            at = int(np.flatnonzero(mine)[broken[0]])
            raise CellError(at, str(int(values[at])), f"{int(values[at])} {unit} {NOT_WHOLE}")
        seconds[mine] = stamps // per_second
        forms[mine] = number
    _require_sane(seconds, values)
    edges = [0, *(np.flatnonzero(np.diff(forms)) + 1).tolist(), len(forms)]
    tally.count([(names[forms[a]], b - a) for a, b in pairwise(edges) if b > a], rows)
    return seconds


def _require_sane(seconds: Ints, values: Any) -> None:
    wrong = np.flatnonzero((seconds < 0) | (seconds >= LATEST_OPEN))
    if len(wrong):
        at = int(wrong[0])
        try:
            require_sane(int(seconds[at]))
        except ValueError as error:
            raise CellError(at, str(values[at]), str(error)) from None


def _whole_texts(values: Any, rows: Ints, tally: TimeTally) -> Ints | None:
    """Cells of one length and one shape, or None."""
    if len(values) == 0 or values.dtype.itemsize < 8:
        return None
    table = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.dtype.itemsize)
    used = int((table[0] != 0).sum())
    table = table[:, :used]
    if used in {0, values.dtype.itemsize} or (values.astype(f"S{used}") != values).any() or (table == 0).any():
        return None
    digits = (table >= ZERO) & (table <= ZERO + 9)
    plain = digits.all(axis=0)
    if plain.all() and used <= 18:
        whole = _number(table, slice(0, used))
        return None if _may_be_dates(whole) else _from_stamps(whole, rows, tally)
    if plain.sum() == used - 1 and (point := int(np.argmin(plain))) and (table[:, point] == ord(".")).all():
        whole = _number(table, slice(0, point))
        if point > 18 or (table[:, point + 1 :] != ZERO).any() or _may_be_dates(whole):
            return None
        return _from_stamps(whole, rows, tally)
    return _iso(table, plain, values[0].decode("ascii"), rows, tally)


def _number(table: Any, places: slice) -> Any:
    """int64[N] of columns of digits."""
    total = np.zeros(len(table), dtype=np.int64)
    for column in table[:, places].T:
        total = total * 10 + (column - ZERO)
    return total


def _iso(table: Any, plain: Any, first: str, rows: Ints, tally: TimeTally) -> Ints | None:
    """``YYYY-MM-DD`` with ``HH:MM`` or ``HH:MM:SS`` behind it, and the same zone behind that in every row."""
    used = table.shape[1]
    end = 19 if used >= 19 and (table[:, 16] == ord(":")).all() else 16
    end = 10 if used == 10 else end
    marks = {4: b"-", 7: b"-", 10: b" T", 13: b":", 16: b":"}
    if used < end or not all(np.isin(table[:, at], list(sign)).all() for at, sign in marks.items() if at < end):
        return None
    if not all(plain[k] for k in range(end) if k not in marks) or (table[:, end:] != table[0, end:]).any():
        return None
    try:
        told = moment(first)
    except (ValueError, OverflowError):
        return None
    months = (_number(table, slice(0, 4)) - 1970) * 12 + _number(table, slice(5, 7)) - 1
    starts = months.astype("M8[M]").astype("M8[D]")
    days = (months + 1).astype("M8[M]").astype("M8[D]") - starts
    month, day = _number(table, slice(5, 7)), _number(table, slice(8, 10))
    sound = (month >= 1) & (month <= 12) & (day >= 1) & (day <= days.astype(np.int64))
    seconds = (starts.astype(np.int64) + day - 1) * 86_400
    for at, most, worth in ((11, 24, 3600), (14, 60, 60), (17, 60, 1)):
        if at < end:
            part = _number(table, slice(at, at + 2))
            sound &= part < most
            seconds = seconds + part * worth
    seconds = seconds - (told.offset or 0)
    if not (sound & (seconds >= 0) & (seconds < LATEST_OPEN)).all():
        return None
    if told.offset is None:
        return dates_to_seconds(seconds, rows, tally)
    tally.count([(DATES, len(seconds))], rows)
    tally.offsets[told.offset] += len(seconds)
    return np.asarray(seconds, dtype=np.int64)


def _cell_by_cell(texts: Iterable[str], rows: Ints, tally: TimeTally) -> Ints:
    found: list[Moment] = []
    for at, text in enumerate(texts):
        try:
            one = moment(text, closes=tally.closes)
        except (ValueError, OverflowError) as error:
            raise CellError(at, text, str(error)) from None
        if one.coarse and (not tally.coarse or one.coarse < tally.coarse):
            tally.coarse, tally.powers = one.coarse, text
        found.append(one)
    for at, one in enumerate(found):
        tally.count([(one.unit, 1)], rows[at:])
    seconds = np.array([one.seconds for one in found], dtype=np.int64)
    naive = np.array([one.unit not in {"seconds", *(n for _, _, n in STAMP_UNITS)} and one.offset is None
                      for one in found], dtype=bool)  # fmt: skip
    tally.naive += int(naive.sum())
    tally.offsets.update(one.offset for one in found if one.offset is not None)
    if naive.any():
        seconds[naive] = _to_utc(seconds[naive], tally)
    return seconds


def _to_utc(local: Ints, tally: TimeTally) -> Ints:
    """Seconds UTC of times by the clock of the operator's zone.

    Raises:
        CellError: for an hour that the clock has twice or never.
    """
    zone = tally.zone
    if zone is None:
        return local
    if isinstance(zone, timezone):
        return local - int(zone.utcoffset(None).total_seconds())
    quarters, which = np.unique(local // QUARTER_S, return_inverse=True)
    away = np.zeros(len(quarters), dtype=np.int64)
    for k, quarter in enumerate(quarters.tolist()):
        clock = datetime.fromtimestamp(quarter * QUARTER_S, tz=UTC).replace(tzinfo=zone)
        early, late = clock.utcoffset(), clock.replace(fold=1).utcoffset()
        if early is None or early != late:
            at = int(np.flatnonzero(which == k)[0])
            raise CellError(at, clock.strftime("%Y-%m-%d %H:%M"), f"happens twice or never by the clock of {zone.key}")
        away[k] = int(early.total_seconds())
    moved: npt.NDArray[np.int64] = local - away[which]
    return moved


def said_of_times(tally: TimeTally, row_word: str) -> list[str]:
    """What is to be said of forms and zones."""
    said = [f"time: {count} stamps in {unit}" for unit, count in sorted(tally.units.items())]
    if tally.switched is not None:
        row, unit = tally.switched
        said.append(f"time: the form changes within the file, at {row_word} {row} to {unit}")
    if tally.naive:
        said.append(
            "time: dates without a zone: taken as UTC (--timezone says otherwise)"
            if tally.zone is None
            else f"time: dates without a zone: taken as {_zone_name(tally.zone)} as asked for, and converted to UTC"
        )
    away = {offset: count for offset, count in tally.offsets.items() if offset}
    if away:
        named = ", ".join(f"{count} of {_offset(offset)}" for offset, count in sorted(away.items()))
        said.append(f"time: dates that name a zone ({named}) were converted to UTC")
    return said


def require_one_zone(where: str, tally: TimeTally) -> None:
    """Refuse dates of which some name a zone, and a zone for times that need none.

    Raises:
        ConfigError: saying so.
    """
    if tally.naive and tally.offsets:
        raise ConfigError(
            f"{where}: {tally.naive} dates name no time zone and {tally.offsets.total()} do",
            hint="write all of them in UTC",
        )
    if tally.zone is not None and not tally.naive:
        raise ConfigError(
            f"{where}: --timezone is for dates without a zone, and this file has none", hint="leave --timezone out"
        )


def _zone_name(zone: timezone | ZoneInfo) -> str:
    return zone.key if isinstance(zone, ZoneInfo) else _offset(int(zone.utcoffset(None).total_seconds()))


def _offset(seconds: int) -> str:
    sign, size = "-" if seconds < 0 else "+", abs(seconds)
    return f"{sign}{size // 3600:02d}:{size % 3600 // 60:02d}"
