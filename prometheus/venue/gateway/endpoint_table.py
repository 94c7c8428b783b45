"""Every endpoint: its method and path, its rate bucket and what that counts, who may call it, and what answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from attrs import frozen

from prometheus.venue.gateway.calls import (
    account_calls,
    holding_calls,
    market_calls,
    order_calls,
    order_records,
    public_calls,
)
from prometheus.venue.gateway.exchange_messages import Call, Envelope

Answer: TypeAlias = Callable[[Call], "Envelope | list[Any]"]


@frozen
class Endpoint:
    """One endpoint. ``by`` says what the bucket counts: ip, ip+type, ip+inst, uid, uid+type, uid+inst, uid+tag, all."""

    method: str
    path: str
    limit: int
    window_ms: int
    by: str
    answer: Answer
    private: bool = False
    trades: bool = False
    """Needs the permission to trade."""
    orders: str = ""
    """``new``, ``amend`` or ``cancel``; expTime and the sub-account's rate hold for the first two."""
    live_only: bool = False
    """Missing in demo (50038)."""
    batch: bool = False
    """Its bucket counts orders; a batch of one counts in the bucket of the single call."""


def _public(path: str, limit: int, by: str, answer: Answer, window_ms: int = 2000) -> Endpoint:
    return Endpoint("GET", f"/api/v5/{path}", limit, window_ms, by, answer)


def _private(
    path: str, limit: int, answer: Answer, by: str = "uid", window_ms: int = 2000, *, live_only: bool = False
) -> Endpoint:
    return Endpoint("GET", f"/api/v5/{path}", limit, window_ms, by, answer, private=True, live_only=live_only)


def _post(path: str, limit: int, answer: Answer, by: str = "uid", **more: Any) -> Endpoint:
    more.setdefault("window_ms", 2000)
    return Endpoint("POST", f"/api/v5/{path}", limit, by=by, answer=answer, private=True, trades=True, **more)


_market, _public_data, _account = market_calls, public_calls, account_calls
ENDPOINTS: Final = (
    _public("public/time", 10, "ip", _public_data.server_time),
    _public("system/status", 1, "ip", _public_data.status, 5000),
    _public("public/instruments", 20, "ip+type", _public_data.instruments),
    _public("public/price-limit", 20, "ip+inst", _public_data.price_limit),
    _public("public/mark-price", 10, "ip+inst", _public_data.mark_price),
    _public("public/funding-rate", 10, "ip+inst", _public_data.funding_rate),
    _public("public/funding-rate-history", 10, "ip+inst", _public_data.funding_history),
    _public("public/position-tiers", 10, "ip", _public_data.position_tiers),
    _public("public/open-interest", 20, "ip+inst", _public_data.open_interest),
    _public("market/index-tickers", 20, "ip", _public_data.index_tickers),
    _public("market/candles", 40, "ip", _market.candles),
    _public("market/history-candles", 20, "ip", _market.history_candles),
    _public("market/mark-price-candles", 20, "ip", _market.mark_candles),
    _public("market/history-mark-price-candles", 10, "ip", _market.mark_history),
    _public("market/books", 40, "ip", _market.books),
    _public("market/books-full", 10, "ip", _market.books),
    _public("market/ticker", 20, "ip", _market.ticker),
    _public("market/tickers", 20, "ip", _market.tickers),
    _public("market/trades", 100, "ip", _market.trades),
    _private("account/instruments", 20, _public_data.instruments, "uid+type"),
    _private("account/config", 5, _account.config),
    _private("account/balance", 10, _account.balance),
    _private("account/positions", 10, holding_calls.positions),
    _private("account/positions-history", 10, holding_calls.positions_history),
    _private("account/account-position-risk", 10, _account.position_risk),
    _private("account/bills", 5, holding_calls.bills, window_ms=1000),
    _private("account/bills-archive", 5, holding_calls.bills_archive),
    _private("account/subtypes", 5, holding_calls.subtypes),
    _private("account/trade-fee", 5, _account.trade_fee),
    _private("account/max-size", 20, _account.max_size),
    _private("account/max-avail-size", 20, _account.max_avail_size),
    _private("account/leverage-info", 20, _account.leverage_info),
    _post("account/set-leverage", 20, _account.set_leverage),
    _post("account/set-position-mode", 5, _account.set_position_mode),
    _private("asset/balances", 6, _account.funding_balances, window_ms=1000, live_only=True),
    _private("asset/currencies", 6, _account.currencies, window_ms=1000, live_only=True),
    _post("trade/order", 60, order_calls.place_order, "uid+inst", orders="new"),
    _post("trade/batch-orders", 300, order_calls.place_batch, "uid+inst", orders="new", batch=True),
    _post("trade/amend-order", 60, order_calls.amend_order, "uid+inst", orders="amend"),
    _post("trade/amend-batch-orders", 300, order_calls.amend_batch, "uid+inst", orders="amend", batch=True),
    _post("trade/cancel-order", 60, order_calls.cancel_order, "uid+inst", orders="cancel"),
    _post("trade/cancel-batch-orders", 300, order_calls.cancel_batch, "uid+inst", orders="cancel", batch=True),
    _post("trade/close-position", 20, order_calls.close, "uid+inst"),
    _post("trade/cancel-all-after", 1, order_calls.cancel_all_after, "uid+tag", window_ms=1000),
    _private("trade/order", 60, order_records.one_order, "uid+inst"),
    _private("trade/orders-pending", 60, order_records.orders_pending),
    _private("trade/orders-history", 40, order_records.orders_history),
    _private("trade/orders-history-archive", 20, order_records.orders_archive),
    _private("trade/fills", 60, order_records.fills),
    _private("trade/fills-history", 10, order_records.fills_history),
    _private("trade/account-rate-limit", 1, _account.rate_limit, window_ms=1000),
    _private("trade/orders-algo-pending", 20, _public_data.nothing),
    _private("trade/orders-algo-history", 20, _public_data.nothing),
)
SINGLE: Final = {"batch-orders": "order", "amend-batch-orders": "amend-order", "cancel-batch-orders": "cancel-order"}
BY_PLACE: Final = {(one.method, one.path): one for one in ENDPOINTS}
PATHS: Final = frozenset(one.path for one in ENDPOINTS)
