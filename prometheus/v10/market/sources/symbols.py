"""Names of instruments: which base and quote currency they mean, and which text may be one."""

from __future__ import annotations

import re

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable

QUOTES = (
    "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDE", "USDD", "USD", "EUR", "GBP", "JPY", "KRW", "TRY", "DAI", "BRL",
    "AUD", "CAD", "CHF", "CNY", "CNH", "HKD", "SGD", "INR", "RUB", "UAH", "ZAR", "MXN", "PLN", "IDR",
)  # fmt: skip
LONGEST = 64


def pair(symbol: str) -> tuple[str, str] | None:
    """Base and quote currency in capitals; None where the name does not show them."""
    parts = [part for part in re.split(r"[/:_ -]+", symbol.upper()) if part]
    if len(parts) > 1:
        return parts[0], parts[1]
    whole = parts[0] if parts else ""
    for quote in QUOTES:
        if whole.endswith(quote) and len(whole) > len(quote):
            return whole[: -len(quote)], quote
    return None


def check_symbol(symbol: str, where: str) -> str:
    """A symbol that records and terminals can carry.

    Raises:
        ConfigError: for control characters, or a name that is too long.
    """
    if symbol != printable(symbol):
        raise ConfigError(
            f"{where}: the symbol {printable(symbol)[:80]!r} holds characters that cannot be printed",
            hint="correct the symbol in the file, or name a plain one",
        )
    if len(symbol) > LONGEST:
        raise ConfigError(f"{where}: the symbol {symbol[:40]!r}... has {len(symbol)} characters, {LONGEST} at most")
    return symbol


def settled(asked: str | None, found: str | None, where: str) -> tuple[str | None, list[str]]:
    """The instrument's name from what was asked for and what the file says, and the sentence about a difference.

    Raises:
        ConfigError: when the two name different instruments, or the name cannot be one.
    """
    name = asked or found
    if name:
        check_symbol(name, where)
    if not asked or not found or asked == found:
        return name, []
    check_symbol(found, where)
    mine, theirs = pair(asked), pair(found)
    if (mine or _letters(asked)) != (theirs or _letters(found)):
        raise ConfigError(
            f"{where}: the file says that it holds {found}, not {asked}",
            hint="leave the symbol out, or correct the file",
        )
    return asked, [f"symbol: the file says {found}, {asked} was asked for: the same currencies"]


def _letters(symbol: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", symbol.upper())
