"""Trade with ccxt as it is: one JSON request on stdin, one JSON record of what the library said on stdout.

Runs in the client's own environment; it imports nothing of this project.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt
import ccxt.pro

PATIENCE = 120
"""Seconds; a busy machine is no fault of the venue."""


def refusal(work: Callable[[], Any]) -> list[str]:
    """The name and text of the library's error; empty where there was none."""
    try:
        work()
    except ccxt.BaseError as error:
        return [type(error).__name__, str(error)]
    return []


def reducing(name: str) -> dict[str, Any]:
    """Parameters of a reduce-only order."""
    return {"reduceOnly": True, "clientOrderId": name}


def settings(asked: dict[str, str], **more: str) -> dict[str, Any]:
    """Key and address, for REST and for pushes."""
    place = {"rest": asked["url"], "ws": asked["url"].replace("http", "ws", 1) + "/ws/v5"}
    named = {"apiKey": asked["key"], "secret": asked["secret"], "password": asked["passphrase"]}
    return {**named, "urls": {"api": place, "test": place}, "timeout": PATIENCE * 1000, **more}


def exchange(asked: dict[str, str], **more: str) -> ccxt.okx:
    """The library's client at the asked address, in demo mode where asked."""
    made = ccxt.okx(settings(asked, **more))
    if asked["demo"] == "1":
        made.set_sandbox_mode(True)
    assert made.urls["api"]["rest"] == asked["url"]
    return made


async def heard(venue: ccxt.pro.okx, watch: Awaitable[Any], act: Awaitable[Any]) -> tuple[Any, Any]:
    """What a push said after an act, and what the act's answer was; the subscription is given two seconds first."""
    waiting = asyncio.ensure_future(watch)
    await asyncio.sleep(2)
    answer = await act
    return await asyncio.wait_for(waiting, PATIENCE), answer


async def listen(asked: dict[str, str], symbol: str, lot: float) -> dict[str, Any]:
    """Pushes of a book, of an order that rests and is cancelled, and of a trade, each beside the request's answer."""
    venue = ccxt.pro.okx(settings(asked))
    if asked["demo"] == "1":
        venue.set_sandbox_mode(True)
    seen: dict[str, Any] = {}
    try:
        await venue.load_markets()
        book = await asyncio.wait_for(venue.watch_order_book(symbol), PATIENCE)
        seen["top"] = [book["bids"][0][0], book["asks"][0][0]]
        low, post_only = book["bids"][0][0] * 0.99, {"postOnly": True, "clientOrderId": "ccxtHeard"}
        rest = venue.create_order(symbol, "limit", "buy", lot, low, post_only)
        orders, answer = await heard(venue, venue.watch_orders(symbol), rest)
        seen["opened"] = [[one["id"], one["status"]] for one in orders]
        seen["opened_id"] = answer["id"]
        orders, _ = await heard(venue, venue.watch_orders(symbol), venue.cancel_order(answer["id"], symbol))
        seen["closed"] = [[one["id"], one["status"]] for one in orders]
        buy = venue.create_order(symbol, "market", "buy", lot * 3, None, {"clientOrderId": "ccxtPushed"})
        trades, _ = await heard(venue, venue.watch_my_trades(symbol), buy)
        seen["trades"] = [[one["id"], one["amount"], one["price"]] for one in trades]
        await venue.create_order(symbol, "market", "sell", lot * 3, None, reducing("ccxtPushedBack"))
    finally:
        await venue.close()
    return seen


def drive(asked: dict[str, str]) -> dict[str, Any]:
    """Rest and cancel an order; buy at the market; close; read everything back."""
    venue = exchange(asked)
    seen: dict[str, Any] = {"client": "ccxt", "version": ccxt.__version__}
    seen["symbols"] = sorted(venue.load_markets())
    symbol = next(name for name, market in venue.markets.items() if market["id"] == asked["instrument"])
    market = venue.market(symbol)
    facts = ("id", "contractSize", "precision", "limits", "linear", "settle", "active")
    seen["market"] = {key: market[key] for key in facts}
    seen["time"] = venue.fetch_time()
    seen["ticker"] = venue.fetch_ticker(symbol)
    seen["book"] = venue.fetch_order_book(symbol, 5)
    seen["candles"] = venue.fetch_ohlcv(symbol, "1m", limit=5)
    seen["funding"] = venue.fetch_funding_rate(symbol)
    seen["accounts"] = venue.fetch_accounts()
    seen["balance"] = venue.fetch_balance()["USDT"]
    seen["leverage"] = venue.set_leverage(5, symbol, {"mgnMode": "cross"})
    lot = market["precision"]["amount"]
    low = seen["book"]["bids"][0][0] * 0.99
    rested = venue.create_order(symbol, "limit", "buy", lot * 2, low, {"postOnly": True, "clientOrderId": "ccxtRest"})
    seen["rest"] = rested
    seen["open"] = venue.fetch_open_orders(symbol)
    seen["cancelled"] = venue.cancel_order(rested["id"], symbol)
    seen["cancelled_order"] = venue.fetch_order(rested["id"], symbol)
    seen["cancelled_twice"] = refusal(lambda: venue.cancel_order(rested["id"], symbol))
    bought = venue.create_order(symbol, "market", "buy", lot * 4, None, {"clientOrderId": "ccxtBuy"})
    seen["bought"] = venue.fetch_order(bought["id"], symbol)
    seen["fills"] = venue.fetch_my_trades(symbol, params={"ordId": bought["id"]})
    seen["positions"] = venue.fetch_positions([symbol])
    seen["wrong_side"] = refusal(lambda: venue.create_order(symbol, "market", "buy", lot, None, reducing("ccxtWrong")))
    closed = venue.create_order(symbol, "market", "sell", lot * 4, None, reducing("ccxtClose"))
    seen["closed"] = venue.fetch_order(closed["id"], symbol)
    seen["positions_after"] = venue.fetch_positions([symbol])
    seen["pushed"] = asyncio.run(listen(asked, symbol, lot))
    seen["closed_orders"] = venue.fetch_closed_orders(symbol)
    seen["canceled_orders"] = venue.fetch_canceled_orders(symbol)
    seen["ledger"] = venue.fetch_ledger("USDT")
    seen["balance_after"] = venue.fetch_balance()["USDT"]
    seen["wrong_secret"] = refusal(lambda: exchange(asked, secret=asked["secret"] + "x").fetch_balance())
    seen["not_found"] = refusal(lambda: venue.fetch_order("1", symbol))
    return seen


if __name__ == "__main__":
    json.dump(drive(json.load(sys.stdin)), sys.stdout)
