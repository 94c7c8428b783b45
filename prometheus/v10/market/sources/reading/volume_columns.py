"""Which column of a table is base volume, and the proof of it wherever a second volume stands.

The rules: the operator's word decides. Otherwise a column whose name says moving average, buys, sells or the like is
no candidate. A single candidate is taken unless its name says quote currency. Of several, a column called just
``volume`` wins over those that are no quote volume; else the numbers decide: base volume times a price of the bar is
quote volume. Of two columns each row decides for itself, since vendors have swapped them under an unchanged header; of
three, all rows must agree. Contracts of 10 or 100 in quote currency (COIN-margined futures) are found the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from attrs import frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import PRICE_COLUMNS, Floats
from prometheus.v10.market.sources.symbols import QUOTES, pair

VOLUME_TOLERANCE = 2e-3  # both volumes are rounded, and the vendor's quote volume uses prices of its own
MOST_DECIMALS = 10
CONTRACTS = (100.0, 10.0)  # what one COIN-margined contract is worth in quote currency
OPTION = "name the column of base volume with --base-volume COLUMN"
NO_TOTAL = (
    "ma", "sma", "ema", "wma", "vwma", "avg", "average", "mean", "median", "buy", "sell", "bid", "ask", "taker",
    "maker", "delta", "change", "ratio", "pct", "percent", "%", "osc", "oscillator", "profile", "std", "24h",
)  # fmt: skip
QUOTE_WORDS = ("quote", "to", "notional", "turnover", "value", "amount", "dollar", "ccy", "ccyquote")
NEUTRAL = ("base", "from", "total", "in", "vol", "volume", "asset", "v", "currency", *QUOTE_WORDS)
ALONE = {"v", "turnover", "amount"}


@frozen(kw_only=True)
class Volumes:
    """The columns of a table that may be base volume.

    Attributes:
        columns: their places.
        names: of each of them, for a person.
        asked: the first was asked for by the operator, or is so by the named format.
        word: who said so.
    """

    columns: tuple[int, ...]
    names: tuple[str, ...]
    asked: bool = False
    word: str = "on the header's word"


def candidates(where: str, names: Sequence[str], wanted: str | None) -> Volumes:
    """Columns, one to three, that may be base volume; the header's ``names`` are in small letters.

    Raises:
        ConfigError: when there are more than the rules can tell apart, or the one that is wanted is not there.
    """
    like = [k for k, name in enumerate(names) if _volume_like(name)]
    found = [k for k in like if not _no_total(names[k])]
    if wanted is not None:
        if names.count(wanted.strip().lower()) != 1:
            raise ConfigError(
                f"{where}: the header has not exactly one column {wanted!r}", hint=f"there are: {', '.join(names)}"
            )
        chosen = names.index(wanted.strip().lower())
        others = [k for k in found if k != chosen][:2]
        return _volumes(names, [chosen, *others], asked=True, word="as asked for")
    if like and not found:
        raise ConfigError(f"{where}: {names[like[0]]!r} is no whole volume of a bar", hint=OPTION)
    if "volume" in names and not any(_says_quote(names[k]) or _currency(names[k]) for k in found):
        found = [names.index("volume")]
    if len(found) > 3:
        raise ConfigError(
            f"{where}: the header has {len(found)} volume columns, three at most are understood", hint=OPTION
        )
    return _volumes(names, found)


def _volumes(names: Sequence[str], columns: Sequence[int], **more: Any) -> Volumes:
    return Volumes(columns=tuple(columns), names=tuple(names[k] for k in columns), **more)


def settled_volume(
    where: str,
    volumes: Volumes,
    values: Sequence[Floats],
    prices: dict[str, Floats],
    place: Callable[[int], str],
    symbol: str | None,
) -> tuple[Floats, list[str]]:
    """Base volume of every row, and how it was told.

    Args:
        where: the file, and the line of its header where it has one.
        volumes: the candidates.
        values: float64[T] of each of them.
        prices: open, high, low, close.
        place: where a row stands: the file, and its line there.
        symbol: the instrument, where it is known.

    Raises:
        ConfigError: when the numbers fit no column, or several, or the only volume is in quote currency.
    """
    if len(values) == 1 or volumes.asked:
        if not volumes.asked:
            _refuse_quote_only(where, volumes.names[0], symbol)
        said = [f"volume: {volumes.names[0]!r} is taken as base volume {volumes.word}", *_not_used(volumes)]
        return values[0], [*said, *_against(volumes, values, prices)]
    bracket = _Bracket.of(prices)
    if len(values) == 2:
        return _row_by_row(volumes, values, bracket, place)
    return _all_rows(where, volumes, values, bracket, place)


@frozen
class _Bracket:
    """Lowest and highest price of each bar, with room for rounding."""

    least: Floats
    most: Floats

    @classmethod
    def of(cls, prices: dict[str, Floats]) -> _Bracket:
        table = [prices[name] for name in PRICE_COLUMNS]
        with np.errstate(invalid="ignore"):
            least, most = np.minimum.reduce(table), np.maximum.reduce(table)
        return cls(least * (1 - VOLUME_TOLERANCE), most * (1 + VOLUME_TOLERANCE))

    def fits(self, base: Floats, quote: Floats, room: tuple[float, float] = (0.0, 0.0)) -> Any:
        """bool[T]: ``quote`` is ``base`` times a price of the bar; ``room``: half a unit of each one's last digit."""
        low, high = base - room[0], base + room[0]
        with np.errstate(invalid="ignore"):
            return (self.least * low <= quote + room[1]) & (quote - room[1] <= self.most * high)

    def silent(self, *values: Floats) -> Any:
        """bool[T]: the row's numbers prove nothing: all are 0, or some are no numbers (the validator names those)."""
        whole = np.isfinite(self.least) & np.isfinite(self.most)
        for one in values:
            whole &= np.isfinite(one)
        nothing = np.ones(len(self.least), dtype=bool)
        for one in values:
            nothing &= one == 0
        return ~whole | nothing


def _row_by_row(
    volumes: Volumes, values: Sequence[Floats], bracket: _Bracket, place: Callable[[int], str]
) -> tuple[Floats, list[str]]:
    first, second = values
    silent = bracket.silent(first, second)
    is_first, is_second = bracket.fits(first, second), bracket.fits(second, first)
    unclear = ~silent & (is_first == is_second)
    if unclear.any():
        sure = 2 * int((~silent & ~unclear).sum()) >= int((~silent).sum())
        room = (_room(first), _room(second)) if sure else (0.0, 0.0)  # rounding excuses rows among others that prove it
        wide_first, wide_second = bracket.fits(first, second, room), bracket.fits(second, first, room[::-1])
        is_first, is_second = np.where(unclear, wide_first, is_first), np.where(unclear, wide_second, is_second)
        unclear = ~silent & (is_first == is_second)
    if unclear.any():
        found = _contracts(volumes, values, bracket, silent)
        if found is not None:
            return found
        at = int(np.flatnonzero(unclear)[0])
        which = "both columns" if is_first[at] else "neither column"
        low, high = bracket.least[at] / (1 - VOLUME_TOLERANCE), bracket.most[at] / (1 + VOLUME_TOLERANCE)
        raise ConfigError(
            f"{place(at)}: {which} can be base volume: {first[at]:g} and {second[at]:g} at prices {low:g} to {high:g}",
            hint=f"quote volume must be base volume times a price of the bar; else {OPTION}",
        )
    chosen = is_second & ~silent
    counts = {volumes.names[0]: int((is_first & ~silent).sum()), volumes.names[1]: int(chosen.sum())}
    zeros = int(((first == 0) & (second == 0)).sum())
    told = [f"{count} rows from {name!r}" for name, count in sorted(counts.items()) if count]
    told += [f"{zeros} rows from 'neither: both are 0'"] if zeros else []
    return np.where(chosen, second, first), [
        "volume: row by row, base is the column whose product with the bar's low and high brackets the other: "
        + ", ".join(told)
    ]


def _contracts(
    volumes: Volumes, values: Sequence[Floats], bracket: _Bracket, silent: Any
) -> tuple[Floats, list[str]] | None:
    """Base volume beside a number of contracts that are each worth a fixed sum of quote currency."""
    for base, contracts in ((1, 0), (0, 1)):
        for worth in CONTRACTS:
            if not silent.all() and (bracket.fits(values[base], values[contracts] * worth) | silent).all():
                said = (
                    f"volume: {volumes.names[contracts]!r} counts contracts of {worth:g} in quote currency in every "
                    f"row; base volume is {volumes.names[base]!r}"
                )
                return values[base], [said]
    return None


def _all_rows(
    where: str, volumes: Volumes, values: Sequence[Floats], bracket: _Bracket, place: Callable[[int], str]
) -> tuple[Floats, list[str]]:
    """The one column that is base volume of another one in all rows."""
    silent = bracket.silent(*values)
    rooms: list[float] = [_room(one) for one in values]
    proofs: dict[int, int] = {}
    for base, quote in permutations(range(len(values)), 2):
        fits = bracket.fits(values[base], values[quote], (rooms[base], rooms[quote])) | silent
        if fits.all() and not silent.all():
            proofs.setdefault(base, quote)
    same = bool(proofs) and all(np.array_equal(values[k], values[min(proofs)], equal_nan=True) for k in proofs)
    if not same:
        which = "several columns" if proofs else "no column"
        shown = ", ".join(f"{name!r} {one[0]:g}" for name, one in zip(volumes.names, values, strict=True))
        raise ConfigError(
            f"{where}: {which} can be base volume in every row; {place(0)} has {shown}",
            hint=f"quote volume must be base volume times a price of the bar; else {OPTION}",
        )
    base = min(proofs)
    name, proof = volumes.names[base], volumes.names[proofs[base]]
    return values[base], [
        f"volume: base is {name!r}: its product with the bar's low and high brackets {proof!r} in every row",
        *_not_used(volumes, base),
    ]


def _against(volumes: Volumes, values: Sequence[Floats], prices: dict[str, Floats]) -> list[str]:
    """What the numbers say against the column that was asked for."""
    bracket = _Bracket.of(prices)
    for name, other in zip(volumes.names[1:], values[1:], strict=True):
        silent = bracket.silent(values[0], other)
        if not silent.all() and (bracket.fits(other, values[0]) & ~bracket.fits(values[0], other) | silent).all():
            return [f"volume: by the numbers {name!r} is base volume and {volumes.names[0]!r} is its quote volume"]
    return []


def _room(values: Floats) -> float:
    """Half a unit of the last decimal place that a column is written with."""
    sound = values[np.isfinite(values)]
    for places in range(MOST_DECIMALS):
        scaled = sound * 10.0**places
        if bool((np.abs(scaled - np.rint(scaled)) <= 1e-6 + 1e-12 * np.abs(scaled)).all()):
            return 0.5 * 10.0**-places
    return 0.5 * 10.0**-MOST_DECIMALS


def _not_used(volumes: Volumes, base: int = 0) -> list[str]:
    unused = [repr(name) for k, name in enumerate(volumes.names) if k != base]
    return [f"volume: not used: {', '.join(unused)}"] if unused else []


def _refuse_quote_only(where: str, name: str, symbol: str | None) -> None:
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
            f"{where}: column {name!r} is quote volume, and the file has no base volume",
            hint=f"bring a file with base volume; if the column is base volume after all, {OPTION}",
        )


def _volume_like(name: str) -> bool:
    if name in ALONE:
        return True
    words = [word for word in re.split(r"[^a-z0-9%]+", name) if word]
    return any((word.startswith("vol") and not word.startswith("volat")) or word.endswith("volume") for word in words)


def _words(name: str) -> list[str]:
    """What a volume column's name says beside the word volume."""
    bare = name.removeprefix("volume").removeprefix("vol").removesuffix("volume")
    return [word for word in re.split(r"[^a-z0-9%]+", bare) if word]


def _no_total(name: str) -> bool:
    words = _words(name)
    return any(word in NO_TOTAL or re.fullmatch(r"[a-z]?ma[0-9]+", word) for word in words)


def _says_quote(name: str) -> bool:
    return any(word in QUOTE_WORDS for word in _words(name))


def _currency(name: str) -> str | None:
    """The currency in a volume column's name, in capitals."""
    words = [word for word in _words(name) if word not in NEUTRAL]
    return words[-1].upper() if words else None
