"""The times of rows that came: inside what was asked for, on the grid, in order, each once; and which are missing.

Prices and volumes are checked when the file is imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.text import printable
from prometheus.v10.market.download.download_plan import time_of

SHOWN: Final = 5
UNITS: Final = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3))
"""From which size on a stamp counts so many parts of a second."""


@frozen(kw_only=True)
class Found:
    """What rows a file holds.

    Attributes:
        rows: how many times there are.
        first_s: the first one.
        last_s: the last one.
        missing: ranges without a row, each from its first time to the one behind its last; empty without a step.
    """

    rows: int
    first_s: int
    last_s: int
    missing: tuple[tuple[int, int], ...] = ()


def found_of(times: Iterable[tuple[str, int]], *, begin_s: int, end_s: int, step_s: int | None, where: str) -> Found:
    """Look at the times of rows, oldest first.

    Args:
        times: where each row stands, and its time in seconds UTC.
        begin_s: no row is earlier.
        end_s: every row is earlier.
        step_s: seconds between two rows; None where there is no such rule.
        where: the file, for messages.

    Raises:
        EvidenceError: for a time outside, off the grid, out of order, or twice; for no row.
    """
    count, first, last, missing, expected = 0, 0, 0, [], begin_s
    for place, time in times:
        if not begin_s <= time < end_s:
            raise EvidenceError(
                f"{where}: {place}: {time_of(time)} is not within {time_of(begin_s)} to {time_of(end_s)}",
                hint="look at who answers there",
            )
        if count and time <= last:
            how = "repeats the time of" if time == last else "is earlier than"
            raise EvidenceError(f"{where}: {place}: {time_of(time)} {how} the row before it", hint="download it later")
        if step_s is not None:
            if (time - begin_s) % step_s:
                raise EvidenceError(
                    f"{where}: {place}: {time_of(time)} is no time at which a bar of {step_s} s opens",
                    hint="look at who answers there",
                )
            if time > expected:
                missing.append((expected, time))
            expected = time + step_s
        first = first if count else time
        last = time
        count += 1
    if not count:
        raise EvidenceError(f"{where}: holds no row", hint="download it later")
    if step_s is not None and expected < end_s:
        missing.append((expected, end_s))
    return Found(rows=count, first_s=first, last_s=last, missing=tuple(missing))


def ranges_said(missing: Iterable[tuple[int, int]], step_s: int) -> list[str]:
    """Ranges of missing bars in words: the first and the last open time of each, and how many bars."""
    return [f"{time_of(begin)} to {time_of(end - step_s)} ({(end - begin) // step_s} bars)" for begin, end in missing]


def few(said: list[str]) -> str:
    """The first of many, in one line."""
    more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return ", ".join(said[:SHOWN]) + more


def stamp_s(text: str, where: str, *, late: bool = False) -> int:
    """A unix stamp of any unit in whole seconds; ``late`` lets it be some milliseconds behind one, as of bookings.

    Raises:
        EvidenceError: when it is none.
    """
    if not (text.isascii() and text.isdecimal() and 9 <= len(text) <= 19):
        raise EvidenceError(f"{where}: {printable(text, longest=40)!r} is no time", hint="look at who answers there")
    stamp = int(text)
    per_second = next((per for least, per in UNITS if stamp >= least), 1)
    if stamp % per_second and not late:
        raise EvidenceError(f"{where}: {text} is not a whole second", hint="look at who answers there")
    return stamp // per_second
