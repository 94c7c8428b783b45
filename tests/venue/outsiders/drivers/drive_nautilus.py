"""Trade with NautilusTrader's OKX client as it is: a JSON request on stdin, a JSON record of what it parsed on stdout.

Its parser is strict: a record that lacks a field, or has one of another type, fails the call. Runs in the client's own
environment; it imports nothing of this project.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable
from importlib.metadata import version
from typing import Any

from nautilus_trader.core import nautilus_pyo3 as nautilus


async def refusal(work: Awaitable[Any]) -> str:
    """The client's error as text; empty where there was none."""
    try:
        await work
    except Exception as error:  # noqa: BLE001  what a compiled client raises has no narrower class
        return f"{type(error).__name__}: {error}"
    return ""


def plain(report: Any) -> dict[str, Any]:
    """A report as plain values."""
    record = report.to_dict()
    return {key: value if isinstance(value, int | float | bool | None) else str(value) for key, value in record.items()}


def client(asked: dict[str, str], secret: str | None = None) -> nautilus.OKXHttpClient:
    """The library's client at the asked address."""
    environment = nautilus.OKXEnvironment.DEMO if asked["demo"] == "1" else nautilus.OKXEnvironment.LIVE
    key, passphrase = asked["key"], asked["passphrase"]
    return nautilus.OKXHttpClient(
        key,
        secret or asked["secret"],
        passphrase,
        asked["url"],
        timeout_secs=120,
        max_retries=0,
        environment=environment,
    )


async def drive(asked: dict[str, str]) -> dict[str, Any]:
    """Rest and cancel an order; buy at the market; close; read all reports back."""
    seen: dict[str, Any] = {"client": "nautilus_trader", "version": version("nautilus_trader")}
    http, swap = client(asked), nautilus.OKXInstrumentType.SWAP
    account = nautilus.AccountId("OKX-001")
    identity = nautilus.InstrumentId.from_str(asked["instrument"] + ".OKX")
    seen["time"] = await http.get_server_time()
    instruments, codes = await http.request_instruments(swap)
    seen["instruments"], seen["codes"] = [plain(one) for one in instruments], codes
    http.cache_instruments(instruments)
    (instrument,) = [one for one in instruments if one.id == identity]
    seen["state"] = plain(await http.request_account_state(account))
    seen["balances"] = [[one.ccy, one.cash_bal, one.liab] for one in await http.get_balance()]
    mark = await http.request_mark_price(identity)
    seen["mark"] = str(mark.value)
    funding = await http.request_funding_rates(identity)
    seen["funding"] = len(funding)
    book = await http.request_orderbook_snapshot(identity, 5)
    levels = [delta.order for delta in book.deltas if delta.order is not None]
    seen["book"] = [[str(level.side), str(level.price), str(level.size)] for level in levels]
    bids = [level.price for level in levels if level.side == nautilus.OrderSide.BUY]
    bars = nautilus.BarType.from_str(f"{identity}-1-MINUTE-LAST-EXTERNAL")
    seen["bars"] = len(await http.request_bars(bars, limit=5))
    who = (nautilus.TraderId("TRADER-001"), nautilus.StrategyId("S-001"), identity, nautilus.OKXTradeMode.CROSS)
    low = nautilus.Price(float(max(bids)) * 0.99, instrument.price_precision)
    lot = float(instrument.size_increment)

    def size(lots: int) -> nautilus.Quantity:
        return nautilus.Quantity(lot * lots, instrument.size_precision)

    rest = nautilus.ClientOrderId("nautilusRest")
    placed = await http.place_order(
        *who, rest, nautilus.OrderSide.BUY, nautilus.OrderType.LIMIT, size(2), price=low, post_only=True
    )
    seen["rest"] = str(placed)
    seen["open"] = [plain(r) for r in await http.request_order_status_reports(account, swap, identity, open_only=True)]
    seen["cancelled"] = str(await http.cancel_order(identity, client_order_id=rest))
    seen["cancelled_twice"] = await refusal(http.cancel_order(identity, client_order_id=rest))
    market = nautilus.OrderType.MARKET
    await http.place_order(*who, nautilus.ClientOrderId("nautilusBuy"), nautilus.OrderSide.BUY, market, size(4))
    seen["positions"] = [plain(r) for r in await http.request_position_status_reports(account, swap, identity)]
    seen["wrong_side"] = await refusal(
        http.place_order(
            *who, nautilus.ClientOrderId("nautilusWrong"), nautilus.OrderSide.BUY, market, size(1), reduce_only=True
        )
    )
    await http.place_order(
        *who, nautilus.ClientOrderId("nautilusClose"), nautilus.OrderSide.SELL, market, size(4), reduce_only=True
    )
    seen["positions_after"] = [plain(r) for r in await http.request_position_status_reports(account, swap, identity)]
    seen["orders"] = [plain(r) for r in await http.request_order_status_reports(account, swap, identity)]
    seen["fills"] = [plain(r) for r in await http.request_fill_reports(account, swap, identity)]
    seen["balances_after"] = [[one.ccy, one.cash_bal, one.liab] for one in await http.get_balance()]
    seen["wrong_secret"] = await refusal(client(asked, "x" + asked["secret"]).get_balance())
    return seen


if __name__ == "__main__":
    json.dump(asyncio.run(drive(json.load(sys.stdin))), sys.stdout)
