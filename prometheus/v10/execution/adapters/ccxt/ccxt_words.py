"""ccxt in its own words: the order that its ``create_order`` makes, and rows in its unified names. Nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import ccxt

from prometheus.v10.execution.adapters.okx_rest.answer_rows import Row
from prometheus.v10.execution.ports.contract_units import Instrument

PATHS: Final = {"privatePostTradeBatchOrders": "trade/batch-orders", "privatePostTradeOrder": "trade/order"}
CANDLE: Final = ("timestamp", "open", "high", "low", "close", "volume")


class CcxtWords:
    """See `OwnWords`."""

    def __init__(self) -> None:
        self._ccxt = ccxt.okx()
        self._market: Any = None

    def learn(self, row: Row, found: Instrument) -> None:  # noqa: ARG002 - the protocol's
        """See `OwnWords`."""
        self._market = self._ccxt.parse_market(dict(row))
        self._ccxt.set_markets([self._market])

    def order(self, asked: Mapping[str, Any]) -> tuple[str, Any]:
        """See `OwnWords`: a field that it has a name of its own for is given by that name."""
        given = {("positionSide" if name == "posSide" else name): value for name, value in asked.items()}
        main = [given.pop(name, None) for name in ("ordType", "side", "sz", "px")]
        given.pop("instId", None)
        method = str(self._ccxt.safe_string(self._ccxt.options, "createOrder", "privatePostTradeBatchOrders"))
        made = self._ccxt.create_order_request(self._market["symbol"], *main, given)
        return PATHS[method], [made] if method.endswith("BatchOrders") else made

    def reading(self, path: str, row: Any) -> Mapping[str, Any]:
        """See `OwnWords`.

        Raises:
            KeyError: for a path whose rows it is not asked about.
        """
        own, market = self._ccxt, self._market
        if path == "market/candles":
            return dict(zip(CANDLE, own.parse_ohlcv(list(row), market), strict=True))
        if path == "account/balance":
            told = own.parse_trading_balance({"code": "0", "data": [row]})
            return {name: told.get("USDT", {}).get(name) for name in ("free", "used", "total")}
        if path == "public/position-tiers":
            return _flat(own.parse_market_leverage_tiers([row], market)[0])
        parse = {
            "trade/order": own.parse_order, "trade/orders-history": own.parse_order, "trade/fills": own.parse_trade,
            "account/positions": own.parse_position, "account/trade-fee": own.parse_trading_fee,
        }.get(path)  # fmt: skip
        if path == "account/bills":
            return _flat(own.parse_ledger_entry(dict(row)))
        if path == "public/instruments":
            return _flat(market)
        if parse is None:
            raise KeyError(path)
        return _flat(parse(dict(row), market))


def _flat(told: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in told.items():
        if name == "info":  # the row as it came
            continue
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found
