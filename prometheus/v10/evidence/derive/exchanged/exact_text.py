"""Decimal numbers as text, exactly. Standard library only."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")


def exact(value: Any) -> Fraction:
    """A number as the exchange, or a record, spells it.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
        raise ValueError(f"{ascii(value)[:60]} is no number")
    return Fraction(value)


def whole(value: Any, unit: Fraction) -> int:
    """A number as so many units.

    Raises:
        ValueError: when they are no whole number.
    """
    count = exact(value) / unit
    if count.denominator != 1:
        raise ValueError(f"{ascii(value)[:60]} is no whole number of units")
    return int(count)
