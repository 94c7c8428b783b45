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
CONTRACT = re.compile(r"PERP|SWAP|[0-9]{6}")  # what a name says of a contract and not of its currencies
ALIASES = {"XBT": "BTC"}


def pair(symbol: str) -> tuple[str, str] | None:
    """Base and quote currency in capitals; None where the name does not show them."""
    parts = [part for part in re.split(r"[/:_ -]+", symbol.upper()) if part]
    parts = [part for k, part in enumerate(parts) if k == 0 or not CONTRACT.fullmatch(part)]
    if len(parts) > 1:
        return ALIASES.get(parts[0], parts[0]), parts[1]
    whole = parts[0] if parts else ""
    for quote in QUOTES:
        if whole.endswith(quote) and len(whole) > len(quote):
            base = whole[: -len(quote)]
            return ALIASES.get(base, base), quote
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


def settled(asked: str | None, found: str | None, named: str | None, where: str) -> tuple[str | None, list[str]]:
    """The instrument's name from what was asked for, what the file says and what its name says; and what is to be said.

    What a file says must not be contradicted; what its name says is believed only where nobody says anything else.

    Raises:
        ConfigError: when the file says another instrument than was asked for, or the name cannot be one.
    """
    name = asked or found or named
    if name:
        check_symbol(name, where)
    if name and named and not (asked or found):
        return name, [f"symbol: {name}, by the file's name"]
    if name and named and not agree(name, named):
        return name, [f"symbol: {name}, though the file's name says {printable(named)}"]
    if not asked or not found or asked == found:
        return name, []
    check_symbol(found, where)
    if not agree(asked, found):
        raise ConfigError(
            f"{where}: the file says that it holds {found}, not {asked}",
            hint="leave the symbol out, or correct the file",
        )
    return asked, [f"symbol: the file says {found}, {asked} was asked for: the same currencies"]


def agree(one: str, other: str) -> bool:
    """Whether two names mean the same currencies."""
    return (pair(one) or _letters(one)) == (pair(other) or _letters(other))


def _letters(symbol: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", symbol.upper())
