"""Which bars a genome's ancestors have lived through: what it must not be judged on (ADR 0070).

An exposure is a list of ``[market, first, end]``: UTC seconds of the first bar's open and of the last bar's close. It
is canonical: sorted, and intervals of one market that touch or overlap are one. It is bounded: where there would be
more than `MOST` intervals, the two with the smallest gap between them become one, which claims too much and never too
little.

A market is named by its instrument, so that the same prices under another timeframe, another vendor's file or a longer
import are the same market. Each seed of the synthetic market is a market of its own. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

MOST = 16
MODEL = "synthetic/"
"""How the source of a synthetic market begins."""

Interval = tuple[str, int, int]
Exposure = tuple[Interval, ...]


class MarketSpan(NamedTuple):
    """A market in time: open of its first and of its last bar (UTC seconds), number of bars, seconds a bar."""

    first: int
    last: int
    rows: int
    step: int

    @property
    def missing(self) -> int:
        """Seconds of the bars that a market without gaps would have beside these."""
        return self.last - self.first - (self.rows - 1) * self.step


def market_key(source: str, symbol: str) -> str:
    """The name of a market in an exposure, from what the manifest says of its source and symbol."""
    return source if source.startswith(MODEL) else symbol


def interval_of(manifest: Mapping[str, Any]) -> Interval | None:
    """The interval that a run's window covers, by its manifest; None where the manifest does not say it as it must.

    A market may have gaps. Where they lie is not known here, so the interval is as long as if all of them lay in the
    window: it claims too much and never too little.
    """
    try:
        key, span = market_of(manifest)
        return stretch(key, span, int(manifest["window"]["start"]), int(manifest["window"]["len"]))
    except (KeyError, TypeError, ValueError):
        return None


def market_of(manifest: Mapping[str, Any]) -> tuple[str, MarketSpan]:
    """Name and span of a run's market.

    Raises:
        KeyError, TypeError, ValueError: when the manifest does not say it as it must.
    """
    market = manifest["market"]
    step = int(market["timeframe_s"])
    span = MarketSpan(_seconds(market["first_time"]), _seconds(market["last_time"]), int(market["rows"]), step)
    return market_key(str(market["source"]), str(market["symbol"])), span


def stretch(key: str, market: MarketSpan, start: int, length: int) -> Interval:
    """The interval of ``length`` bars of a market from row ``start`` on."""
    return covered(key, market, market.first + start * market.step, length * market.step)


def covered(key: str, market: MarketSpan, begin: int, seconds: int) -> Interval:
    """The interval of bars that last ``seconds`` together, and of which the first opens at ``begin`` or later.

    Args:
        key: see `market_key`.
        market: that they are cut from; its gaps may all lie between these bars.
        begin: UTC seconds.
        seconds: number of bars times the length of one.
    """
    return key, begin, min(market.last + market.step, begin + seconds + market.missing)


def _seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def union(*exposures: Iterable[Sequence[Any]]) -> Exposure:
    """The canonical exposure of all of them together."""
    intervals = sorted((str(market), int(first), int(end)) for one in exposures for market, first, end in one)
    joined: list[Interval] = []
    for market, first, end in intervals:
        if joined and joined[-1][0] == market and first <= joined[-1][2]:
            joined[-1] = market, joined[-1][1], max(end, joined[-1][2])
        else:
            joined.append((market, first, end))
    while len(joined) > MOST:
        gaps = [(b[1] - a[2], place) for place, (a, b) in enumerate(pairwise(joined)) if a[0] == b[0]]
        if not gaps:
            break  # so many markets: each is named
        place = min(gaps)[1]
        joined[place : place + 2] = [(joined[place][0], joined[place][1], joined[place + 1][2])]
    return tuple(joined)


def meets(exposure: Iterable[Sequence[Any]], window: Interval) -> bool:
    """Whether any of the bars of ``window`` was lived through."""
    market, first, end = window
    return any(one == market and begin < end and first < till for one, begin, till in exposure)


def plain(exposure: Exposure) -> list[list[Any]]:
    """As records carry it."""
    return [list(interval) for interval in exposure]
