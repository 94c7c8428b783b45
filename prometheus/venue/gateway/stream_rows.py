"""What the channels push: rows of orders, positions, the account, and of the market."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from prometheus.venue.accounts.holdings import Fill
from prometheus.venue.accounts.tickets import Order
from prometheus.venue.gateway.calls import account_calls, holding_calls, market_calls, public_calls
from prometheus.venue.gateway.calls.order_records import order_row
from prometheus.venue.gateway.exchange_messages import Call
from prometheus.venue.quanta import money


def order_push(order: Order, fill: Fill | None, last: int) -> dict[str, Any]:
    """An order as the orders channel pushes it: with the fill that caused it, ``avgPx`` "0" before one."""
    row, inst = order_row(order), order.instrument
    done = fill.done if fill is not None else None
    row |= {
        "amendResult": "0" if order.amend_source else "", "amendSource": order.amend_source, "code": "0",
        "execType": ("T" if done.taker else "M") if done is not None else "", "fillFee":
        money(done.fee) if done is not None else "0", "fillFeeCcy": "USDT" if done is not None else "",
        "fillFwdPx": "", "fillIdxPx": inst.px(done.index) if done is not None else "", "fillMarkPx":
        inst.px(done.mark) if done is not None else "", "fillMarkVol": "", "fillNotionalUsd":
        money(inst.value(done.px, done.sz)) if done is not None else "", "fillPnl":
        money(fill.pnl) if fill is not None else "0", "fillPxUsd": "", "fillPxVol": "", "lastPx": inst.px(last),
        "msg": "", "notionalUsd": money(inst.value(order.limit, order.sz)), "reqId": order.req_id,
    }  # fmt: skip
    if not row["avgPx"]:
        row["avgPx"] = "0"
    if done is None:
        row |= {"fillSz": "0", "fillPx": "", "tradeId": "", "fillTime": ""}
    return row


def position_push(call: Call) -> list[dict[str, Any]]:
    """Positions as their channel pushes them; one that became flat is pushed with 0."""
    account = call.owner
    held = [*account.positions.values(), *account.held.values()]
    return [holding_calls.position_row(call, account, one) | {"pTime": str(call.now)} for one in held]


def account_push(call: Call) -> list[dict[str, Any]]:
    """The account as its channel pushes it: with what a coin is worth in USD."""
    return [row | {"details": [one | {"coinUsdPrice": "1"} for one in row["details"]]}
            for row in account_calls.balance(call)]  # fmt: skip


def trades_push(call: Call) -> list[dict[str, Any]]:
    """Trades as their channel pushes them: with how many were aggregated."""
    return [row | {"count": "1"} for row in market_calls.trades(call)]


def status_push(call: Call) -> list[dict[str, Any]]:
    """A maintenance as its channel pushes it: with the time of the push."""
    return [row | {"ts": str(call.now)} for row in public_calls.status(call)]


def balance_and_position(call: Call) -> list[dict[str, Any]]:
    """The channel of the same name."""
    account = call.owner
    held = [*account.positions.values(), *account.held.values()]
    return [{
        "pTime": str(call.now), "eventType": "snapshot",
        "balData": [{"ccy": "USDT", "cashBal": money(account.cash), "uTime": str(account.u_time)}],
        "posData": [{key: value for key, value in holding_calls.position_row(call, account, one).items() if key in {
            "posId", "tradeId", "instId", "instType", "mgnMode", "posSide", "pos", "ccy", "posCcy", "avgPx", "uTime",
            "baseBal", "quoteBal",
        }} for one in held],
        "trades": [{"instId": one.order.instrument.inst_id, "tradeId": str(one.done.trade_id)}
                   for one in list(account.fills)[-1:]],
    }]  # fmt: skip


PRIVATE: Final[dict[str, Callable[[Call], list[Any]]]] = {
    "positions": position_push,
    "account": account_push,
    "balance_and_position": balance_and_position,
}
PUBLIC: Final[dict[str, Callable[[Call], list[Any]]]] = {
    "tickers": market_calls.ticker,
    "trades": trades_push,
    "mark-price": public_calls.mark_price,
    "price-limit": public_calls.price_limit,
    "funding-rate": public_calls.funding_rate,
    "instruments": public_calls.instruments,
    "index-tickers": public_calls.index_tickers,
    "status": status_push,
}
WHOLE_VENUE: Final = frozenset({"instruments", "status"})
"""Public channels that need no instrument."""
BOOKS: Final = {"books": 400, "books5": 5, "bbo-tbt": 1, "books-l2-tbt": 400, "books50-l2-tbt": 50}
WHOLE_BOOKS: Final = frozenset({"books5", "bbo-tbt"})
"""Pushed whole at every change; the others as a snapshot and then what changed."""


@define
class BookChain:
    """A book as one subscription has seen it."""

    count: int
    whole: bool
    seq: int = -1
    quiet_ms: int = 0
    seen: dict[str, dict[str, list[str]]] = field(factory=dict)

    def push(self, call: Call) -> dict[str, Any] | None:
        """The next push; None when nothing changed for less than a minute."""
        market = call.market()
        seq = market_calls.sequence(market)
        if seq == self.seq and call.now - self.quiet_ms < 60_000:
            return None
        self.quiet_ms = call.now
        row: dict[str, Any] = {"ts": str(call.now), "seqId": seq, "prevSeqId": self.seq, "checksum": 0}
        for side, name in ((-1, "asks"), (1, "bids")):
            levels = {level[0]: level for level in market_calls.side_of(market, side, self.count)}
            before = self.seen.get(name, {})
            if self.whole or self.seq == -1:
                row[name] = list(levels.values())
            else:
                gone = [[px, "0", "0", "0"] for px in before if px not in levels]
                row[name] = [level for px, level in levels.items() if before.get(px) != level] + gone
            self.seen[name] = levels
        first, self.seq = self.seq == -1, seq
        if self.whole:
            del row["checksum"]
            return {"data": [row | {"instId": market.instrument.inst_id}]}
        return {"action": "snapshot" if first else "update", "data": [row]}
