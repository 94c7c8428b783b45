"""Trade with freqtrade's exchange layer in live mode: a JSON request on stdin, a JSON record of what it said on stdout.

freqtrade knows no demo mode for this exchange, and isolated margin alone. Runs in the client's own environment; it
imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from freqtrade.enums import CandleType, RunMode
from freqtrade.exceptions import FreqtradeException
from freqtrade.resolvers import ExchangeResolver
from freqtrade.util import dt_from_ts


def refusal(work: Callable[[], Any]) -> list[str]:
    """The name and text of the library's error; empty where there was none."""
    try:
        work()
    except FreqtradeException as error:
        return [type(error).__name__, str(error)]
    return []


def configuration(asked: dict[str, str], place: Path, pair: str) -> dict[str, Any]:
    """What a user would write for a live bot, with the address changed."""
    address = {"urls": {"api": {"rest": asked["url"]}, "test": {"rest": asked["url"]}}, "timeout": 120_000}
    return {
        "dry_run": False,
        "runmode": RunMode.LIVE,
        "trading_mode": "futures",
        "margin_mode": "isolated",
        "stake_currency": "USDT",
        "timeframe": "1m",
        "user_data_dir": place,
        "datadir": place / "data",
        "candle_type_def": CandleType.FUTURES,
        "order_types": {"entry": "limit", "exit": "limit", "stoploss": "limit", "stoploss_on_exchange": False},
        "entry_pricing": {"price_side": "same", "use_order_book": True, "order_book_top": 1},
        "exit_pricing": {"price_side": "same", "use_order_book": True, "order_book_top": 1},
        "exchange": {
            "name": "okx",
            "key": asked["key"],
            "secret": asked["secret"],
            "password": asked["passphrase"],
            "enable_ws": False,
            "pair_whitelist": [pair],
            "ccxt_config": address,
        },
    }


def drive(asked: dict[str, str], place: Path) -> dict[str, Any]:
    """Create, fetch and cancel an order; buy and sell at the market; read balance and positions."""
    seen: dict[str, Any] = {"client": "freqtrade", "version": version("freqtrade")}
    base, quote, _ = asked["instrument"].split("-")
    pair = f"{base}/{quote}:{quote}"
    config = configuration(asked, place, pair)
    exchange = ExchangeResolver.load_exchange(config, validate=True, load_leverage_tiers=True)
    try:
        market = exchange.markets[pair]
        contract, lot = market["contractSize"], market["precision"]["amount"]
        seen["markets"] = sorted(exchange.markets)
        seen["leverage"] = exchange.get_max_leverage(pair, 1.0)
        seen["maintenance"] = exchange.get_maintenance_ratio_and_amt(pair, 100.0)
        seen["balances"] = exchange.get_balances()[quote]
        book = exchange.fetch_l2_order_book(pair, 5)
        bid, ask = book["bids"][0][0], book["asks"][0][0]
        how = {"pair": pair, "leverage": 5.0}
        made = exchange.create_order(ordertype="limit", side="buy", amount=lot * 2 * contract, rate=bid * 0.99, **how)
        seen["created"] = made
        seen["fetched"] = exchange.fetch_order(made["id"], pair)
        seen["cancelled"] = exchange.cancel_order_with_result(made["id"], pair, lot * 2 * contract)
        bought = exchange.create_order(ordertype="market", side="buy", amount=lot * 4 * contract, rate=ask, **how)
        seen["bought"] = exchange.fetch_order(bought["id"], pair)
        seen["positions"] = exchange.fetch_positions(pair)
        seen["trades"] = exchange.get_trades_for_order(bought["id"], pair, dt_from_ts(seen["bought"]["timestamp"]))
        sold = exchange.create_order(
            ordertype="market", side="sell", amount=lot * 4 * contract, rate=bid, reduceOnly=True, **how
        )
        seen["sold"] = exchange.fetch_order(sold["id"], pair)
        seen["positions_after"] = exchange.fetch_positions(pair)
        seen["balances_after"] = exchange.get_balances()[quote]
        seen["gone"] = refusal(lambda: exchange.cancel_order(made["id"], pair))
    finally:
        exchange.close()
    return seen


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        json.dump(drive(json.load(sys.stdin), Path(temporary)), sys.stdout, default=str)
