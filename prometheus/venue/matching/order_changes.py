"""Changing and ending orders: cancel, amend, close a position, and the switch that cancels all after a time."""

from __future__ import annotations

from typing import Final

from prometheus.venue.accounts.holdings import LONG_SHORT, Account
from prometheus.venue.accounts.tickets import PASSIVE, CancelSource, Kind, Order, State
from prometheus.venue.error_codes import Refused
from prometheus.venue.floor.trading import Trading
from prometheus.venue.market.instruments import Instrument
from prometheus.venue.matching.execution_steps import complete, end
from prometheus.venue.matching.order_entry import Wish, check_open, check_room, check_size, checked_price, place, run
from prometheus.venue.matching.shrinking import trim

MOST_TAGS: Final = 20


def find(account: Account, instrument: Instrument, ord_id: str, cl_ord_id: str) -> Order | None:
    """The latest order with this id (it wins) or client id, pending or over."""
    if ord_id:
        number = int(ord_id) if ord_id.isdigit() and len(ord_id) < 30 else -1
        pending = account.pending.get(number)
        found = [pending] if pending is not None else _over(account, lambda one: one.ord_id == number)
    else:
        waiting = account.by_client.get(cl_ord_id)
        found = [waiting] if waiting is not None else _over(account, lambda one: one.cl_ord_id == cl_ord_id)
    found = [one for one in found if one.instrument is instrument]
    return max(found, key=lambda one: one.ord_id, default=None)


def _over(account: Account, wanted: object) -> list[Order]:
    return [one for kept in (account.void, account.done) for one in kept if wanted(one)]  # type: ignore[operator]


def cancel(state: Trading, account: Account, instrument: Instrument, ord_id: str, cl_ord_id: str) -> Order:
    """Cancel a pending order.

    Raises:
        Refused: 51400 when it is filled, cancelled or unknown.
    """
    order = find(account, instrument, ord_id, cl_ord_id)
    if order is None or order.over:
        raise Refused("51400")
    end(state, order, CancelSource.USER)
    return order


def amend(
    state: Trading, account: Account, order: Order, new_sz: int | None, new_px: int | None, *, px_amend: bool = False
) -> None:
    """Change size (the total, with what is filled) or price of a pending order.

    A smaller size keeps its place in the queue; a larger one and a new price lose it, and a new price may trade. With
    ``px_amend`` a price beyond the price limit becomes the limit.

    Raises:
        Refused: 51509, 51510 when it is over; 51511 when a post-only order would take; the rules of a new order.
    """
    if order.over:
        raise Refused("51510" if order.state is State.FILLED else "51509")
    market = state.market(order.instrument)
    sz, px = order.sz if new_sz is None else new_sz, order.px if new_px is None else new_px
    check_open(state, account, market, order.kind, shrinks=order.closes)
    if sz > order.filled:
        check_size(order.instrument, sz, order.kind)
    wish = Wish(instrument=order.instrument, side=order.side, kind=order.kind, sz=max(sz, 1), px=px, px_amend=px_amend)
    limit = checked_price(market, wish) if new_px is not None else order.limit
    if limit != order.limit and order.kind in PASSIVE and market.ladder.crosses(order.side, limit):
        raise Refused("51511")
    if sz <= order.filled:
        order.sz, order.amend_source = order.filled, "1"
        complete(state, order)
        return
    _check_growth(state, account, order, sz, limit)
    order.amend_source, order.u_time = "1", state.now
    moves = limit != order.limit or sz > order.sz
    if moves:
        market.ladder.remove(order)
    order.sz, order.px, order.limit = sz, limit if order.px else 0, limit
    state.heard(order, None)
    if moves:
        run(state, order)
    else:
        trim(state, account, order.instrument)
    state.note("amend", order=order.ord_id, px=limit, sz=sz)


def _check_growth(state: Trading, account: Account, order: Order, sz: int, limit: int) -> None:
    """Whether the amended order fits the free money and the tier: it is asked for as if it were new."""
    if order.closes or (sz <= order.sz and limit == order.limit):
        return
    before = order.sz, order.limit
    del account.pending[order.ord_id]
    order.sz, order.limit = sz, limit
    try:
        check_room(state, account, order)
    finally:
        account.pending[order.ord_id] = order
        order.sz, order.limit = before


def close_position(state: Trading, account: Account, wish: Wish, *, auto_cancel: bool) -> Order:
    """Close a whole position at market; ``wish`` names instrument, mode, position side and client id.

    Nothing is cancelled for an order that is refused.

    Raises:
        Refused: 51023 no position, 51115 closing orders pend, 51108 too large for a market order, 51016 the client id
            is another order's; the rules of a new order.
    """
    place_of = (wish.instrument.inst_id, wish.td_mode, wish.pos_side)
    position = account.positions.get(place_of)
    if position is None or position.pos == 0:
        raise Refused("51023")
    side = -1 if position.pos > 0 else 1
    against = [one for one in account.pending.values() if one.instrument is wish.instrument and one.side == side
               and one.td_mode == wish.td_mode and one.pos_side == wish.pos_side
               and (one.closes or account.pos_mode != LONG_SHORT)]  # fmt: skip
    if against and not auto_cancel:
        raise Refused("51115")
    size = abs(position.pos)
    if size > wish.instrument.max_mkt_sz:
        raise Refused("51108")
    check_open(state, account, state.market(wish.instrument), Kind.MARKET, shrinks=True)
    check_size(wish.instrument, size, Kind.MARKET)
    namesake = account.by_client.get(wish.cl_ord_id)
    if namesake is not None and namesake not in against:
        raise Refused("51016")
    for order in against:
        end(state, order, CancelSource.USER)
    asked = Wish(
        instrument=wish.instrument, side=side, kind=Kind.MARKET, sz=size, td_mode=wish.td_mode, pos_side=wish.pos_side,
        cl_ord_id=wish.cl_ord_id, tag=wish.tag, reduce_only=True,
    )  # fmt: skip
    return place(state, account, asked)


def arm(state: Trading, account: Account, tag: str, seconds: int) -> int:
    """Set (10 to 120 s) or clear (0) the switch that cancels all orders (of a tag); returns its time, 0 when off.

    Raises:
        Refused: 51000 for another time, 51071 for more than 20 tags.
    """
    if seconds != 0 and not 10 <= seconds <= 120:
        raise Refused("51000", "timeOut")
    if seconds == 0:
        account.switches.pop(tag, None)
        return 0
    if tag not in account.switches and len(account.switches) >= MOST_TAGS:
        raise Refused("51071")
    account.switches[tag] = (state.now + seconds * 1000, state.now)
    return account.switches[tag][0]


def fire_switches(state: Trading, account: Account) -> None:
    """Cancel what the switches that are due name: all orders, or those of a tag."""
    for tag, (due, _) in sorted(account.switches.items()):
        if due <= state.now:
            del account.switches[tag]
            for order in list(account.pending.values()):
                if not tag or order.tag == tag:
                    end(state, order, CancelSource.CANCEL_ALL_AFTER)


def next_switch(state: Trading) -> int | None:
    """When the next switch of any account is due; ms."""
    return min((due for one in state.accounts.values() for due, _ in one.switches.values()), default=None)
