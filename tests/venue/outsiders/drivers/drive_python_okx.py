"""Trade with python-okx as it is: one JSON request on stdin, one JSON record of what the library said on stdout.

Runs in the client's own environment; it imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
import warnings
from decimal import Decimal
from importlib.metadata import version
from typing import Any

warnings.simplefilter("ignore")

from okx.Account import AccountAPI  # noqa: E402
from okx.MarketData import MarketAPI  # noqa: E402
from okx.PublicData import PublicAPI  # noqa: E402
from okx.Trade import TradeAPI  # noqa: E402


def drive(asked: dict[str, str]) -> dict[str, Any]:
    """Rest, amend and cancel an order; buy at the market; close; read everything back."""
    private = (asked["key"], asked["secret"], asked["passphrase"], None, asked["demo"], asked["url"])
    instrument = asked["instrument"]
    trade, account, public, market = (kind(*private) for kind in (TradeAPI, AccountAPI, PublicAPI, MarketAPI))
    for api in (trade, account, public, market):
        api.timeout = 120.0  # a busy machine is no fault of the venue
    seen: dict[str, Any] = {"client": "python-okx", "version": version("python-okx")}
    seen["time"] = public.get_system_time()
    seen["instruments"] = public.get_instruments(instType="SWAP", instId=instrument)
    (facts,) = seen["instruments"]["data"]
    seen["config"] = account.get_account_config()
    seen["balance"] = account.get_account_balance()
    seen["fees"] = account.get_fee_rates("SWAP")
    seen["leverage"] = account.set_leverage("5", "cross", instId=instrument)
    seen["book"] = market.get_orderbook(instrument, "5")
    seen["candles"] = market.get_candlesticks(instrument, bar="1m", limit="5")
    lot, tick = Decimal(facts["lotSz"]), Decimal(facts["tickSz"])
    bid = Decimal(seen["book"]["data"][0]["bids"][0][0])
    low = str((bid * Decimal("0.99") // tick) * tick)
    seen["rest"] = trade.place_order(instrument, "cross", "buy", "post_only", str(lot * 2), clOrdId="pyRest", px=low)
    order = seen["rest"]["data"][0]["ordId"]
    seen["pending"] = trade.get_order_list("SWAP")
    seen["amended"] = trade.amend_order(instrument, ordId=order, newSz=str(lot * 3))
    seen["amended_order"] = trade.get_order(instrument, ordId=order)
    seen["cancelled"] = trade.cancel_order(instrument, ordId=order)
    seen["cancelled_order"] = trade.get_order(instrument, clOrdId="pyRest")
    seen["cancelled_twice"] = trade.cancel_order(instrument, ordId=order)
    seen["below_minimum"] = trade.place_order(
        instrument, "cross", "buy", "optimal_limit_ioc", str(lot / 2), clOrdId="pySmall"
    )
    seen["bought"] = trade.place_order(instrument, "cross", "buy", "optimal_limit_ioc", str(lot * 4), clOrdId="pyBuy")
    seen["bought_order"] = trade.get_order(instrument, clOrdId="pyBuy")
    seen["fills"] = trade.get_fills("SWAP", ordId=seen["bought"]["data"][0]["ordId"])
    seen["positions"] = account.get_positions("SWAP", instrument)
    seen["too_much_reduced"] = trade.place_order(
        instrument, "cross", "buy", "optimal_limit_ioc", str(lot), clOrdId="pyWrongSide", reduceOnly=True
    )
    seen["batch"] = trade.place_multiple_orders(
        [
            {"instId": instrument, "tdMode": "cross", "side": "buy", "ordType": "post_only", "sz": str(lot), "px": low},
            {"instId": instrument, "tdMode": "cross", "side": "buy", "ordType": "post_only", "sz": "0", "px": low},
        ]
    )
    seen["batch_cancelled"] = trade.cancel_multiple_orders(
        [{"instId": instrument, "ordId": seen["batch"]["data"][0]["ordId"]}]
    )
    seen["closed"] = trade.place_order(
        instrument, "cross", "sell", "optimal_limit_ioc", str(lot * 4), clOrdId="pyClose", reduceOnly=True
    )
    seen["closed_order"] = trade.get_order(instrument, clOrdId="pyClose")
    seen["positions_after"] = account.get_positions("SWAP", instrument)
    seen["history"] = trade.get_orders_history("SWAP")
    seen["bills"] = account.get_account_bills("SWAP")
    seen["balance_after"] = account.get_account_balance("USDT")
    wrong = AccountAPI(asked["key"], asked["secret"] + "x", *private[2:])
    seen["wrong_secret"] = wrong.get_account_balance()
    other = AccountAPI(*private[:4], "0" if asked["demo"] == "1" else "1", asked["url"])
    seen["wrong_environment"] = other.get_account_balance()
    return seen


if __name__ == "__main__":
    json.dump(drive(json.load(sys.stdin)), sys.stdout)
