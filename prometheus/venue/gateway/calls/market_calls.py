"""Market data: candles of the last price and of the mark, the book, tickers, recent trades."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from prometheus.venue.error_codes import Refused
from prometheus.venue.floor.trading import Market
from prometheus.venue.gateway.exchange_messages import Call
from prometheus.venue.market.depth import BUY, LEVELS, SELL
from prometheus.venue.quanta import text

MINUTE: Final = 60_000
_MINUTES: Final = {"m": 1, "H": 60, "D": 1440, "W": 10080}
SIZES: Final = frozenset({
    "1m", "3m", "5m", "15m", "30m", "1H", "2H", "4H", "6H", "12H", "1D", "2D", "3D", "1W",
    "6Hutc", "12Hutc", "1Dutc", "2Dutc", "3Dutc", "1Wutc",
})  # fmt: skip
"""Lengths of candles, by the interface's names."""
MOST_RECENT: Final = 1440
"""Candles that `market/candles` reaches back."""
_HONG_KONG: Final = 8 * 3_600_000
_MONDAY: Final = 4 * 86_400_000
"""The first Monday after 1970-01-01, which was a Thursday."""


def _bar(call: Call) -> tuple[int, int]:
    """Length of the candles that are asked for and the shift of their boundaries, ms."""
    said = call.text("bar", "1m")
    if said not in SIZES:
        raise Refused("51000", "bar")
    found = re.fullmatch(r"(\d+)([mHDW])(utc)?", said)
    if found is None:
        raise Refused("51000", "bar")
    length = int(found[1]) * _MINUTES[found[2]] * MINUTE
    shift = _HONG_KONG if length >= 6 * 3_600_000 and not found[3] else 0
    return length, shift - _MONDAY if found[2] == "W" else shift


def _merged(rows: Iterable[list[int]], length: int, shift: int) -> list[list[int]]:
    """Shorter candles, oldest first, as longer ones."""
    found: list[list[int]] = []
    for row in rows:
        opened = (row[0] + shift) // length * length - shift
        if found and found[-1][0] == opened:
            last = found[-1]
            last[2], last[3], last[4] = max(last[2], row[2]), min(last[3], row[3]), row[4]
            if len(last) > 5:
                last[5] += row[5]
        else:
            found.append([opened, *row[1:]])
    return found


def _candles(
    call: Call, rows: list[list[int]], bar_ms: int, most: int, reach: int | None = None, *, forming: bool = True
) -> list[tuple[list[int], bool]]:
    """The page of candles that is asked for, newest first, each with whether it is complete.

    ``reach`` is how many candles there are to be had, the newest ones; without ``forming`` the last one is left out
    until it is complete.
    """
    length, shift = _bar(call)
    if length < bar_ms:
        raise Refused("51000", "bar")
    after, before, limit = call.integer("after"), call.integer("before"), call.integer("limit", 100)
    if not limit:
        raise Refused("51000", "limit")
    wanted = min(limit, most)
    if reach is not None:
        rows = rows[-(reach + 1) * (length // bar_ms) :]  # one more: the oldest may begin inside a candle
    kept = rows if length == bar_ms else _merged(rows, length, shift)
    newest = reversed(kept if reach is None else kept[-reach:])
    chosen = ((row, row[0] + length <= call.now) for row in newest
              if (after is None or row[0] < after) and (before is None or row[0] > before))  # fmt: skip
    return list(islice(((row, over) for row, over in chosen if over or forming), wanted))


def _last_candles(call: Call, most: int, reach: int | None, *, forming: bool = True) -> list[list[str]]:
    market = call.market()
    inst, ct_val = market.instrument, Decimal(market.instrument.ct_val)
    found = []
    for row, over in _candles(call, market.tape.candles, market.tape.bar_ms, most, reach, forming=forming):
        contracts = Decimal(row[5]).scaleb(-inst.sz_dp)
        base = contracts * ct_val
        mean = Decimal(row[1] + row[2] + row[3] + row[4]).scaleb(-inst.px_dp) / 4
        found.append([str(row[0]), *map(inst.px, row[1:5]), inst.sz(row[5]), _plain(base), _plain(base * mean),
                      "1" if over else "0"])  # fmt: skip
    return found


def _plain(value: Decimal) -> str:
    whole = f"{value:f}"
    return whole.rstrip("0").rstrip(".") if "." in whole else whole


def candles(call: Call) -> list[list[str]]:
    """`market/candles`: the last 1440, the forming one included."""
    return _last_candles(call, 300, MOST_RECENT)


def history_candles(call: Call) -> list[list[str]]:
    """`market/history-candles`: all that the venue keeps, complete ones only."""
    return _last_candles(call, 100, None, forming=False)


def _mark_candles(call: Call, *, forming: bool) -> list[list[str]]:
    market = call.market()
    px = market.instrument.px
    return [[str(row[0]), *map(px, row[1:5]), "1" if over else "0"]
            for row, over in _candles(call, market.reference.mark_candles, MINUTE, 100, forming=forming)]  # fmt: skip


def mark_candles(call: Call) -> list[list[str]]:
    """`market/mark-price-candles`: the forming one included."""
    return _mark_candles(call, forming=True)


def mark_history(call: Call) -> list[list[str]]:
    """`market/history-mark-price-candles`: complete ones only."""
    return _mark_candles(call, forming=False)


def _strangers(market: Market, side: int) -> tuple[list[int], list[list[str]]]:
    """Prices and rows of strangers on one side; kept until the book or, with something eaten, the clock moves."""
    depth, inst = market.depth, market.instrument
    stamp = (depth.version, depth.now_ms if depth.eaten else 0)
    kept = depth.shown.get(side)
    if kept is None or kept[0] != stamp:
        levels = depth.levels(side)
        rows = [[inst.px(px), inst.sz(sz), "0", str(1 + (px ^ sz) % 7)] for px, sz in levels]
        kept = depth.shown[side] = (stamp, [px for px, _ in levels], rows)
    return kept[1], kept[2]


def side_of(market: Market, side: int, count: int) -> list[list[str]]:
    """One side of the book: strangers and clients together."""
    inst, resting = market.instrument, market.ladder.sides[side]
    prices, rows = _strangers(market, side)
    if not resting.keys:
        return rows[:count]
    own = {-side * key: resting.queues[-side * key] for key in resting.keys[:count]}
    keys = [-side * px for px in prices[:count]]
    found = rows[:count]
    for px, queue in own.items():
        at = bisect_left(keys, -side * px)
        size = sum(order.left for order in queue)
        if at < len(keys) and keys[at] == -side * px:
            shown = found[at]
            found[at] = [shown[0], inst.sz(size + market.depth.level(side, px)), "0", str(int(shown[3]) + len(queue))]
        else:
            keys.insert(at, -side * px)
            found.insert(at, [inst.px(px), inst.sz(size), "0", str(len(queue))])
    return found[:count]


def books(call: Call) -> list[dict[str, Any]]:
    """`market/books`: up to 400 levels a side."""
    market = call.market()
    size = call.integer("sz", 1) or 1
    count = min(size, LEVELS)
    return [{"asks": side_of(market, SELL, count), "bids": side_of(market, BUY, count), "ts": str(call.now),
             "seqId": sequence(market)}]  # fmt: skip


def sequence(market: Market) -> int:
    """The book's sequence number: it grows with every change."""
    return market.depth.version + market.ladder.version


def _ticker(call: Call, market: Market) -> dict[str, Any]:
    inst, quote = market.instrument, market.tape.quote
    day = market.tape.candles[-max(1, 86_400_000 // market.tape.bar_ms) :]
    volume = sum(row[5] for row in day)
    base = _plain(Decimal(volume).scaleb(-inst.sz_dp) * Decimal(inst.ct_val))
    row: dict[str, Any] = {"instType": "SWAP", "instId": inst.inst_id, "last": inst.px(quote.last),
                           "lastSz": inst.sz(quote.volume)}  # fmt: skip
    for side, word in ((SELL, "ask"), (BUY, "bid")):
        best = side_of(market, side, 1)
        row |= {f"{word}Px": best[0][0] if best else "", f"{word}Sz": best[0][1] if best else ""}
    opened = inst.px(day[0][1]) if day else ""
    return row | {
        "open24h": opened, "high24h": inst.px(max((r[2] for r in day), default=quote.last)),
        "low24h": inst.px(min((r[3] for r in day), default=quote.last)), "volCcy24h": base, "vol24h": inst.sz(volume),
        "sodUtc0": _opened(market, call.now, 0), "sodUtc8": _opened(market, call.now, _HONG_KONG), "ts": str(call.now),
    }  # fmt: skip


def _opened(market: Market, now: int, shift: int) -> str:
    """The price at the beginning of the day; empty before the first candle."""
    begin = (now + shift) // 86_400_000 * 86_400_000 - shift
    rows = market.tape.candles
    at = (begin - rows[0][0]) // market.tape.bar_ms if rows else -1
    return market.instrument.px(rows[at][1]) if 0 <= at < len(rows) else ""


def ticker(call: Call) -> list[dict[str, Any]]:
    """`market/ticker`."""
    return [_ticker(call, call.market())]


def tickers(call: Call) -> list[dict[str, Any]]:
    """`market/tickers`: swaps; the other types are empty."""
    call.needed("instType")
    return [_ticker(call, one) for one in call.state.markets.values()] if call.of_swaps() else []


def trades(call: Call) -> list[dict[str, Any]]:
    """`market/trades`: the last trade of the path."""
    market = call.market()
    quote, inst = market.tape.quote, market.instrument
    if quote.volume == 0:
        return []
    return [{"instId": inst.inst_id, "side": "buy" if quote.up else "sell", "sz": inst.sz(quote.volume),
             "px": inst.px(quote.last), "source": "0", "tradeId": text(quote.step, 0), "ts": str(call.now)}
             ]  # fmt: skip
