"""Lies: what an answer says, changed. Each takes the rows of an answer and gives the rows that are sent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeAlias

from prometheus.venue.faults.injections import Injection
from prometheus.venue.gateway.exchange_messages import Call

Rows: TypeAlias = list[Any]
Lie: TypeAlias = Callable[[Injection, Call, Rows], Rows]
_LISTS: Final = ("orders-history", "orders-pending", "fills", "bills", "positions-history", "candles")


def plain(value: Decimal) -> str:
    """A number as the interface writes it."""
    said = f"{value:f}"
    return said.rstrip("0").rstrip(".") if "." in said else said


def _scaled(row: dict[str, Any], names: tuple[str, ...], change: Callable[[Decimal], Decimal]) -> None:
    for name in names:
        if row.get(name):
            row[name] = plain(change(Decimal(row[name])))


def _balance(one: Injection, call: Call, rows: Rows) -> Rows:
    if call.asked.path.endswith("account/balance"):
        off = one.decimal("usdt")
        for row in rows:
            _scaled(row, ("totalEq",), lambda value: value + off)
            for detail in row["details"]:
                _scaled(detail, ("cashBal", "eq", "eqUsd", "availBal", "availEq", "disEq"), lambda value: value + off)
    return rows


def _equity(one: Injection, call: Call, rows: Rows) -> Rows:
    if call.asked.path.endswith("account/balance"):
        factor = one.decimal("factor")
        for row in rows:
            _scaled(row, ("totalEq",), lambda value: value * factor)
            for detail in row["details"]:
                _scaled(detail, ("eq", "eqUsd", "disEq"), lambda value: value * factor)
    return rows


def _depeg(one: Injection, call: Call, rows: Rows) -> Rows:
    if call.asked.path.endswith("account/balance"):
        worth = one.decimal("usd")
        for row in rows:
            _scaled(row, ("totalEq", "isoEq"), lambda value: value * worth)
            for detail in row["details"]:
                _scaled(detail, ("eqUsd", "disEq"), lambda value: value * worth)
    return rows


def _no_positions(one: Injection, call: Call, rows: Rows) -> Rows:
    del one
    return [] if call.asked.path.endswith("account/positions") else rows


def _stale_positions(one: Injection, call: Call, rows: Rows) -> Rows:
    """What was answered first is answered until it is old enough, then what was seen meanwhile."""
    if not call.asked.path.endswith("account/positions"):
        return rows
    kept = one.memory.setdefault(f"{call.owner.uid} {call.asked.target}", [])
    kept.append((call.now, rows))
    old = [seen for at, seen in kept if at <= call.now - int(one.arguments["age_ms"])]
    shown: Rows = old[-1] if old else []
    one.memory[f"{call.owner.uid} {call.asked.target}"] = kept[-200:]
    return shown


def _is_fills(call: Call) -> bool:
    return call.asked.path.endswith(("trade/fills", "trade/fills-history"))


def _late_fills(one: Injection, call: Call, rows: Rows) -> Rows:
    young = call.now - int(one.arguments["age_ms"])
    return [row for row in rows if int(row["ts"]) <= young] if _is_fills(call) else rows


def _fill_fee(one: Injection, call: Call, rows: Rows) -> Rows:
    if _is_fills(call):
        factor = one.decimal("factor")
        for row in rows:
            _scaled(row, ("fee",), lambda value: value * factor)
    return rows


def _fills_twice(one: Injection, call: Call, rows: Rows) -> Rows:
    del one
    return [row for row in rows for _ in range(2)] if _is_fills(call) else rows


def _fills_twice_new(one: Injection, call: Call, rows: Rows) -> Rows:
    del one
    if not _is_fills(call):
        return rows
    return [each for row in rows for each in (row | {"billId": str(int(row["billId"]) + 1)}, row)]


def _terminal_twice(one: Injection, call: Call, rows: Rows) -> Rows:
    del one
    if "orders-history" not in call.asked.path:
        return rows
    return [each for row in rows for each in (row | {"uTime": str(int(row["uTime"]) + 1)}, row)]


def _shuffled(one: Injection, call: Call, rows: Rows) -> Rows:
    del one
    return rows[1::2] + rows[::2] if _is_fills(call) else rows


def _state_first(one: Injection, call: Call, rows: Rows) -> Rows:
    del one
    return [] if _is_fills(call) else rows


def _is_list(call: Call) -> bool:
    return any(word in call.asked.path for word in _LISTS)


def _hole(one: Injection, call: Call, rows: Rows) -> Rows:
    del one
    return rows[: len(rows) // 2] + rows[len(rows) // 2 + 1 :] if _is_list(call) and len(rows) > 2 else rows


def _short(one: Injection, call: Call, rows: Rows) -> Rows:
    del one
    return rows[: max(1, len(rows) // 2)] if _is_list(call) and rows else rows


LIES: Final[dict[str, Lie]] = {
    "lie.balance": _balance,
    "lie.equity_jump": _equity,
    "lie.depeg": _depeg,
    "lie.positions_empty": _no_positions,
    "lie.positions_stale": _stale_positions,
    "lie.fills_late": _late_fills,
    "lie.fill_fee": _fill_fee,
    "double.fill": _fills_twice,
    "double.fill_new_bill": _fills_twice_new,
    "double.terminal": _terminal_twice,
    "order.fills_shuffled": _shuffled,
    "order.state_before_fill": _state_first,
    "page.hole": _hole,
    "page.short": _short,
}
CURSORS: Final = {"page.repeated": ("after", "before"), "page.limit_ignored": ("limit",)}
"""Faults that forget parameters of a list before it is made."""


def forgets(name: str, call: Call) -> bool:
    """Take the parameters away that a paging fault ignores; True when the request is for a list."""
    if not _is_list(call):
        return False
    for parameter in CURSORS[name]:
        call.params.pop(parameter, None)
    return True
