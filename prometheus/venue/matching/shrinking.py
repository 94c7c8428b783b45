"""Reduce-only orders and closing orders: what they may do to a position, and what happens to them as it shrinks."""

from __future__ import annotations

from attrs import define

from prometheus.venue.accounts.holdings import LONG_SHORT, Account, Position
from prometheus.venue.accounts.tickets import CancelSource, Order
from prometheus.venue.error_codes import Refused
from prometheus.venue.floor.trading import Trading
from prometheus.venue.market.instruments import Instrument
from prometheus.venue.matching.execution_steps import end


@define
class Allowance:
    """How much of a shrinking order may stand."""

    sz: int
    cut: bool = False
    displaced: bool = False
    """Nothing is left for it: it is accepted and cancelled (23)."""


def closes_by_nature(side: int, pos_side: str) -> bool:
    """Whether an order of long/short mode closes: sell and long, buy and short."""
    return (side < 0 and pos_side == "long") or (side > 0 and pos_side == "short")


def allowance(account: Account, position: Position | None, order: Order) -> Allowance:
    """What a new shrinking order may do.

    Raises:
        Refused: 51169 nothing to reduce, 51170 same direction, 51148 others would flip it, 51112 larger than the
            position that is free to close.
    """
    size = abs(position.pos) if position is not None else 0
    if account.pos_mode == LONG_SHORT:
        free = size - sum(one.left for one in _beside(account, order) if one.closes)
        if size == 0:
            raise Refused("51169")
        if order.sz > free:
            raise Refused("51112")
        return Allowance(order.sz)
    if position is None or size == 0:
        raise Refused("51169")
    if position.pos * order.side > 0:
        raise Refused("51170")
    beside = _beside(account, order)
    plain = sum(one.left for one in beside if not one.closes and _first(one, order))
    if plain and plain + order.sz > size:
        raise Refused("51148")
    free = size - sum(one.left for one in beside if one.closes and _first(one, order))
    if free <= 0:
        return Allowance(0, displaced=True)
    return Allowance(min(free, order.sz), cut=order.sz > free)


def _beside(account: Account, order: Order) -> list[Order]:
    """Pending orders that work on the same position from the same side."""
    return [
        one
        for one in account.pending.values()
        if one is not order
        and one.instrument is order.instrument
        and one.td_mode == order.td_mode
        and one.pos_side == order.pos_side
        and one.side == order.side
    ]


def _first(one: Order, other: Order) -> bool:
    """Whether ``one``, which is older, is served before ``other``: by price, then by time."""
    return (one.limit - other.limit) * other.side >= 0


def trim(state: Trading, account: Account, instrument: Instrument) -> None:
    """Hold resting shrinking orders to the position: cut what is too large (amendSource 2), cancel what has no room."""
    resting = [one for one in account.pending.values() if one.closes and one.instrument is instrument]
    if not resting:
        return
    resting.sort(key=lambda one: (-one.side * one.limit, one.ord_id))
    room: dict[tuple[str, str, int], int] = {}
    for order in resting:
        position = account.positions.get((instrument.inst_id, order.td_mode, order.pos_side))
        size = 0 if position is None or position.pos * order.side > 0 else abs(position.pos)
        key = (order.td_mode, order.pos_side, order.side)
        left = room.setdefault(key, size)
        if size == 0:
            end(state, order, CancelSource.ALREADY_CLOSED)
        elif left == 0:
            end(state, order, CancelSource.DISPLACED)
        elif order.left > left:
            order.sz = order.filled + left
            order.amend_source, order.u_time = "2", state.now
            room[key] = 0
            state.note("cut", order=order.ord_id, sz=order.sz)
        else:
            room[key] = left - order.left
