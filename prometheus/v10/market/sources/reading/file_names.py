"""What names of files say of their bars: ``BTCUSDT-1h-2024-01.csv``, ``BTC_USDT-5m.feather``, ``XBTUSD_60.csv``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import frozen

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SYMBOL = r"(?:^|(?<=[_ ]))(?P<symbol>[0-9]*[A-Z][A-Z0-9]*"
_STEP = r"(?P<count>[0-9]{1,3})(?P<unit>[smhdw])"
EXCHANGE = re.compile(_SYMBOL + r"(?:_PERP|_[0-9]{6})?)-" + _STEP + r"-[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?\b")
OKX = re.compile(_SYMBOL + r"(?:-[A-Z0-9]+){1,3})-candlesticks-[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?\b")
OKX_PAGES = re.compile(_SYMBOL + r"(?:-[A-Z0-9]+){1,2})-" + _STEP + r"-[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?\b")
FREQTRADE = re.compile(_SYMBOL + r"(?:_[A-Z0-9]+){1,2})-" + _STEP + r"(?:-(?P<kind>[a-z_]+))?\.[a-z]+$")
FUNDING = re.compile(_SYMBOL + r"(?:_PERP)?)-fundingRate-[0-9]{4}-[0-9]{2}")
KRAKEN = re.compile(_SYMBOL + r")_(?P<minutes>[0-9]{1,5})\.[a-z]+$")


@frozen(kw_only=True)
class Named:
    """What a file's name says.

    Attributes:
        symbol: the instrument.
        timeframe_s: seconds per bar.
        pattern: whose way of naming it is.
        kind: freqtrade's word for what the file holds, e.g. ``futures``.
        stem: freqtrade's name of the pair, as it stands in the name.
    """

    symbol: str | None = None
    timeframe_s: int | None = None
    pattern: str = ""
    kind: str | None = None
    stem: str | None = None


def named(names: Iterable[str], *, kraken: bool = False) -> Named:
    """What the first of ``names`` that says anything says; Kraken's way of naming counts only when it is asked for."""
    for name in names:
        if (found := EXCHANGE.search(name) or OKX_PAGES.search(name)) is not None:
            return Named(symbol=found["symbol"], timeframe_s=_seconds(found), pattern="exchange")
        if (found := OKX.search(name)) is not None:
            return Named(symbol=found["symbol"], pattern="okx")
        if (found := FREQTRADE.search(name)) is not None:
            parts = found["symbol"].split("_")
            symbol = f"{parts[0]}/{parts[1]}" + (f":{parts[2]}" if len(parts) > 2 else "")
            return Named(
                symbol=symbol, timeframe_s=_seconds(found), pattern="freqtrade", kind=found["kind"],
                stem=found["symbol"],
            )  # fmt: skip
        if kraken and (found := KRAKEN.search(name)) is not None:
            return Named(symbol=found["symbol"], timeframe_s=60 * int(found["minutes"]), pattern="kraken")
    return Named()


def _seconds(found: re.Match[str]) -> int:
    return int(found["count"]) * UNITS[found["unit"]]
