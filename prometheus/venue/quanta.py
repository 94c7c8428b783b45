"""Whole numbers for prices, sizes and money, and their decimal texts.

A price is a whole number of price units of its instrument, a size a whole number of size units, and money a whole
number of pico-USDT (1e-12). A product of a price and a size is then a whole number of pico-USDT, so sums of fills, fees
and funding are exact and books of the venue add up to the last digit.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

MONEY_DP: Final = 12
USDT: Final = 10**MONEY_DP
RATE_DP: Final = 8
RATE: Final = 10**RATE_DP
"""A rate (fee, margin, funding) is a whole number of 1e-8."""
_LONGEST: Final = 40


def text(value: int, dp: int) -> str:
    """``value`` units of 10**-dp as the interface writes numbers: no exponent, no trailing zeros."""
    whole, part = divmod(abs(value), 10**dp)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{part:0{dp}d}".rstrip("0") if part else f"{sign}{whole}"


def money(value: int) -> str:
    """Pico-USDT as USDT."""
    return text(value, MONEY_DP)


def rate(value: int) -> str:
    """Units of 1e-8 as a fraction."""
    return text(value, RATE_DP)


def ratio(over: int, under: int, dp: int = 6) -> str:
    """``over / under`` rounded towards zero to ``dp`` decimals; empty where ``under`` is 0."""
    if under == 0:
        return ""
    negative = (over < 0) != (under < 0)
    whole = abs(over) * 10**dp // abs(under)
    return text(-whole if negative else whole, dp)


def parsed(value: object, dp: int) -> tuple[int, bool] | None:
    """A client's number in units of 10**-dp, and whether that is all of it; None for what is no number.

    Clients send texts; a JSON number is taken as its text. Exponents are refused, as is anything beyond 40 characters.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    said = str(value).strip()
    if not said or len(said) > _LONGEST or not said.lstrip("+-").replace(".", "", 1).isdigit() or not said.isascii():
        return None
    try:
        scaled = Decimal(said).scaleb(dp)
    except InvalidOperation:
        return None
    whole = int(scaled)
    return whole, scaled == whole


def share(value: int, part: int, whole: int) -> int:
    """``value * part / whole`` towards zero; all of ``value`` when ``part`` is ``whole``."""
    if part == whole:
        return value
    found = abs(value) * part // whole
    return -found if value < 0 else found


def charge(value: int, rate_units: int) -> int:
    """``value`` times a rate in 1e-8, rounded away from zero: a fee never falls below what its rate says."""
    found = -(-abs(value) * rate_units // RATE)
    return found if value >= 0 else -found


def mixed(*words: int) -> int:
    """One well-mixed 64-bit number of some numbers (splitmix64 by its published constants); no state, any order."""
    state = 0
    for word in words:
        state = (state + word + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state
