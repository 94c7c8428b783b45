"""Which column of a CSV file is base volume.

The rules: the operator's word decides. Otherwise a column whose name says moving average, buys, sells or the like is
no candidate. A single candidate is taken unless its name says quote currency. Of two, a column called just ``volume``
wins over one that is no quote volume; else each row's own numbers decide, as `base_of_two` says.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.sources.symbols import QUOTES, pair

VOLUME_TOLERANCE = 2e-3  # both volumes are rounded, and the vendor's quote volume uses prices of its own
OPTION = "name the column of base volume with --base-volume COLUMN"
NO_TOTAL = (
    "ma", "sma", "ema", "wma", "vwma", "avg", "average", "mean", "median", "buy", "sell", "bid", "ask", "taker",
    "maker", "delta", "change", "ratio", "pct", "percent", "%", "osc", "oscillator", "profile", "std", "24h",
)  # fmt: skip
QUOTE_WORDS = ("quote", "to", "notional", "turnover", "value", "amount", "dollar", "ccy")


def candidates(path: Path, line: int, names: list[str], wanted: str | None) -> tuple[int, ...]:
    """Columns, one or two, that may be base volume; the header's ``names`` are in small letters.

    Raises:
        ConfigError: when there is none, or more than the rules can tell apart.
    """
    if wanted is not None:
        if names.count(wanted.strip().lower()) != 1:
            raise ConfigError(
                f"{path}: line {line}: the header has not exactly one column {wanted!r}",
                hint=f"there are: {', '.join(names)}",
            )
        return (names.index(wanted.strip().lower()),)
    volumes = [k for k, name in enumerate(names) if name.startswith("volume")]
    found = [k for k in volumes if not _no_total(names[k])]
    if volumes and not found:
        raise ConfigError(f"{path}: line {line}: {names[volumes[0]]!r} is no whole volume of a bar", hint=OPTION)
    if "volume" in names and not any(_says_quote(names[k]) or _currency(names[k]) for k in found):
        found = [names.index("volume")]
    if len(found) > 2:
        raise ConfigError(
            f"{path}: line {line}: the header has {len(found)} volume columns, two at most are understood", hint=OPTION
        )
    return tuple(found)


def refuse_quote_only(path: Path, line: int, name: str, symbol: str | None) -> None:
    """Refuse a file whose only volume is said to be in quote currency.

    Raises:
        ConfigError: naming the column.
    """
    currency, known = _currency(name), pair(symbol or "")
    is_quote = _says_quote(name)
    if currency and known:
        is_quote = currency == known[1] and currency != known[0]
    elif currency:
        is_quote = currency in QUOTES
    if is_quote:
        raise ConfigError(
            f"{path}: line {line}: column {name!r} is quote volume, and the file has no base volume",
            hint=f"bring a file with base volume; if the column is base volume after all, {OPTION}",
        )


def base_of_two(path: Path, line: int, volumes: tuple[float, ...], prices: tuple[float, ...]) -> int:
    """Which of two volumes is in base currency by the row's own numbers: 0 or 1.

    Raises:
        ConfigError: when neither or both could be.
    """
    first, second = volumes
    if not all(map(math.isfinite, (*volumes, *prices))) or (first == 0 and second == 0):
        return 0  # the validator names what is not finite
    least, most = min(prices) * (1 - VOLUME_TOLERANCE), max(prices) * (1 + VOLUME_TOLERANCE)
    fits_first = least * first <= second <= most * first
    fits_second = least * second <= first <= most * second
    if fits_first == fits_second:
        which = "both columns" if fits_first else "neither column"
        raise ConfigError(
            f"{path}: line {line}: {which} can be base volume: {first:g} and {second:g} "
            f"at prices {min(prices):g} to {max(prices):g}",
            hint=f"quote volume must be base volume times a price of the bar; else {OPTION}",
        )
    return 0 if fits_first else 1


def _words(name: str) -> list[str]:
    """What a volume column's name says after the word volume."""
    return [word for word in re.split(r"[^a-z0-9%]+", name.removeprefix("volume")) if word]


def _no_total(name: str) -> bool:
    words = _words(name)
    return any(word in NO_TOTAL or re.fullmatch(r"[a-z]?ma[0-9]+", word) for word in words)


def _says_quote(name: str) -> bool:
    return any(word in QUOTE_WORDS for word in _words(name))


def _currency(name: str) -> str | None:
    """The currency in a volume column's name, in capitals."""
    words = [word for word in _words(name) if word not in {"base", "from", "total", "in", *QUOTE_WORDS}]
    return words[-1].upper() if words else None
