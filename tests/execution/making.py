"""Payloads of an order's life, for tests of the chain."""

from __future__ import annotations

import hashlib
from decimal import Decimal

from prometheus.v10.evidence.chains.exchanged.order_line import Kind
from prometheus.v10.execution.orders.client_ids import client_id
from prometheus.v10.execution.ports.order_terms import MarginMode, OrderRequest, OrderType, PreparedOrder, Side, StpMode

RUN = "HF_20260102T030405Z_abcdef0_0000"
INST = "BTC-USDT-SWAP"
PLANNED = 1_767_323_045_000
EXPIRES = PLANNED + 5_000
ALL = ["order", "pending", "history", "fills"]


def the_id(tick: int = 7, attempt: int = 0) -> str:
    return client_id(RUN, tick, INST, attempt)


def request(lots: int = 10, **more) -> OrderRequest:
    known = {
        "inst_id": INST, "client_id": the_id(), "side": Side.BUY, "order_type": OrderType.MARKET_IOC, "lots": lots,
        "price_ticks": None, "reduce_only": False, "margin_mode": MarginMode.CROSS, "stp_mode": StpMode.CANCEL_MAKER,
        "tag": "", "expire_ms": EXPIRES,
    }  # fmt: skip
    return OrderRequest(**{**known, **more})


def prepared(lots: int = 10, **more) -> PreparedOrder:
    return PreparedOrder(request=request(lots, **more), path="/api/v5/trade/order", body=b'{"sz":"%d"}' % lots)


def intent(lots: int = 10, tick: int = 7) -> dict:
    body = f'{{"sz":"{lots}"}}'
    return {
        "run_id": RUN, "tick": tick, "attempt": 0, "purpose": "net", "inst_id": INST, "side": "buy",
        "order_type": "optimal_limit_ioc", "lots": lots, "reduce_only": False, "margin_mode": "cross",
        "stp_mode": "cancel_maker", "tag": "", "path": "/api/v5/trade/order", "body": body,
        "body_sha256": hashlib.sha256(body.encode()).hexdigest(), "parts": [["a1", lots + 2], ["a2", -2]],
        "planned_ms": PLANNED, "expire_ms": EXPIRES,
    }  # fmt: skip


def sent(lots: int = 10) -> dict:
    return {"body_sha256": intent(lots)["body_sha256"], "started_ms": PLANNED}


def fill(trade: str = "100", lots: int = 10, **more) -> dict:
    return {
        "inst_id": INST, "trade_id": trade, "order_id": "9", "bill_id": f"5{trade}", "side": "buy", "lots": lots,
        "price_ticks": 500_000, "fee": "-0.25", "fee_currency": "USDT", "exec_type": "T", "ts_ms": PLANNED + 10,
        **more,
    }  # fmt: skip


def found(filled: int, state: str = "filled") -> dict:
    return {"asked_ms": PLANNED + 20, "sources": ["order"], "found": True, "order_id": "9", "state": state,
            "filled_lots": filled}  # fmt: skip


def absent(asked: int, sources: list[str] | None = None) -> dict:
    return {"asked_ms": asked, "sources": ALL if sources is None else sources, "found": False}


def life(lots: int = 10, parts: int = 2) -> list[list[tuple[Kind, str, dict]]]:
    """The appends of one order from its intent to its allocation: each inner list is one append."""
    name, each = the_id(), lots // parts
    trades = [str(100 + number) for number in range(parts)]
    return [
        [(Kind.INTENT, name, intent(lots))],
        [(Kind.SENT, name, sent(lots)), (Kind.ACK, name, {"order_id": "9", "ts_ms": PLANNED + 5})],
        [(Kind.QUERY, name, found(lots))],
        [(Kind.FILL, name, fill(trade, each)) for trade in trades],
        [(Kind.TERMINAL, name, {"state": "filled", "filled_lots": lots, "order_id": "9", "cancel_source": ""})],
        [(Kind.ALLOC, name, {"allocations": [[trade, "a1", each] for trade in trades]})],
    ]


ZERO = Decimal(0)
