"""Admission: every rule that a new order must meet, in the order in which the venue looks; then the order itself."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from prometheus.venue.accounts.holdings import LONG_SHORT, Account
from prometheus.venue.accounts.margin import bound, order_cost, standing
from prometheus.venue.accounts.tickets import PASSIVE, PRICED, CancelSource, Kind, Order, Stp
from prometheus.venue.error_codes import Refused
from prometheus.venue.floor.trading import Market, Trading
from prometheus.venue.market.instruments import Instrument
from prometheus.venue.matching.execution_steps import end, execute
from prometheus.venue.matching.shrinking import Allowance, allowance, closes_by_nature, trim
from prometheus.venue.quanta import USDT

MOST_PENDING: Final = 500
"""Pending orders in one instrument."""


@frozen(kw_only=True)
class Wish:
    """What a client asks for; sizes and prices in units of the instrument."""

    instrument: Instrument
    side: int
    kind: Kind
    sz: int
    td_mode: str = "cross"
    pos_side: str = "net"
    px: int = 0
    cl_ord_id: str = ""
    tag: str = ""
    reduce_only: bool = False
    stp: Stp | None = None
    px_amend: bool = False
    tgt_ccy: str = ""


def place(state: Trading, account: Account, wish: Wish) -> Order:
    """Admit an order and let it trade; the order that is returned may be over already.

    Raises:
        Refused: with the code of the first rule that it breaks.
    """
    market = state.market(wish.instrument)
    shrinks = wish.reduce_only or (account.pos_mode == LONG_SHORT and closes_by_nature(wish.side, wish.pos_side))
    check_open(state, account, market, wish.kind, shrinks=shrinks)
    check_size(wish.instrument, wish.sz, wish.kind)
    px = checked_price(market, wish)
    if wish.cl_ord_id and wish.cl_ord_id in account.by_client:
        raise Refused("51016")
    if len(account.orders_of(wish.instrument.inst_id)) >= MOST_PENDING:
        raise Refused("51025")
    order = _order(state, account, wish, px, shrinks=shrinks)
    allowed = Allowance(order.sz)
    if shrinks:
        place_of = (wish.instrument.inst_id, wish.td_mode, wish.pos_side)
        allowed = allowance(account, account.positions.get(place_of), order)
    else:
        check_room(state, account, order)
    order.ord_id = state.books.ids.next(state.now)
    if allowed.cut:
        order.sz, order.amend_source = allowed.sz, "2"
    _enter(state, account, order, displaced=allowed.displaced)
    return order


def _enter(state: Trading, account: Account, order: Order, *, displaced: bool) -> None:
    account.pending[order.ord_id] = order
    account.version += 1
    if order.cl_ord_id:
        account.by_client[order.cl_ord_id] = order
    state.note("order", uid=account.uid, order=order.ord_id, inst=order.instrument.inst_id, side=order.side,
               kind=order.kind.value, px=order.limit, sz=order.sz, client=order.cl_ord_id)  # fmt: skip
    if displaced:
        end(state, order, CancelSource.DISPLACED_BY_EARLIER)
        return
    run(state, order)


def run(state: Trading, order: Order) -> None:
    """Let an order trade, then hold everyone's shrinking orders to their positions."""
    execute(state, order)
    if order.closes:
        state.touched[order.account.uid] = order.account
    tidy(state, order.instrument)


def tidy(state: Trading, instrument: Instrument) -> None:
    """Hold the shrinking orders of everyone who traded to what they hold now."""
    for account in list(state.touched.values()):
        trim(state, account, instrument)
    state.touched.clear()


def _order(state: Trading, account: Account, wish: Wish, px: int, *, shrinks: bool) -> Order:
    return Order(
        ord_id=0, account=account, instrument=wish.instrument, side=wish.side, pos_side=wish.pos_side,
        td_mode=wish.td_mode, kind=wish.kind, px=px if wish.kind in PRICED else 0, limit=px, sz=wish.sz,
        c_time=state.now, u_time=state.now, cl_ord_id=wish.cl_ord_id, tag=wish.tag, reduce_only=wish.reduce_only,
        closes=shrinks, stp=wish.stp or Stp(account.stp),
        lever=account.lever(wish.instrument.inst_id, wish.td_mode, wish.pos_side), tgt_ccy=wish.tgt_ccy,
    )  # fmt: skip


def check_open(state: Trading, account: Account, market: Market, kind: Kind, *, shrinks: bool) -> None:
    """Whether this account may place this kind of order in this instrument now.

    Raises:
        Refused: a code of a frozen account, 54094, 51022, 51124, 51021, 51030.
    """
    if account.frozen:
        raise Refused(account.frozen, "USDT")
    if account.cool_off_until > state.now and not shrinks:
        raise Refused("54094")
    stands = market.instrument.state
    if stands == "post_only" and kind not in PASSIVE:
        raise Refused("51124")
    if stands in {"suspend", "rebase"}:
        raise Refused("51022")
    if stands in {"preopen", "test"}:
        raise Refused("51021")
    if state.now < market.settling_until:
        raise Refused("51030")


def check_size(instrument: Instrument, sz: int, kind: Kind) -> None:
    """Lot, smallest and largest size.

    Raises:
        Refused: 51121, 51020, 51202, 51101.
    """
    if sz % instrument.lot:
        raise Refused("51121")
    if sz < instrument.min_sz:
        raise Refused("51020")
    if kind not in PRICED and sz > instrument.max_mkt_sz:
        raise Refused("51202")
    if kind in PRICED and sz > instrument.max_lmt_sz:
        raise Refused("51101")


def checked_price(market: Market, wish: Wish) -> int:
    """The worst price at which the order may trade: its own, or the price limit.

    Raises:
        Refused: 51000 off the tick, 51006 beyond the limit, 51005 above the largest value.
    """
    high, low = market.reference.limits()
    inst = wish.instrument
    edge = high if wish.side > 0 else low
    if wish.kind not in PRICED:
        return edge
    if wish.px <= 0 or wish.px % inst.tick:
        raise Refused("51000", "px")
    px = wish.px
    if market.reference.enabled and (px - edge) * wish.side > 0:
        if not wish.px_amend:
            raise Refused("51006", inst.px(high), inst.px(low))
        px = edge
    if inst.value(px, wish.sz) > inst.max_lmt_usdt * USDT:
        raise Refused("51005")
    return px


def check_room(state: Trading, account: Account, order: Order) -> None:
    """Whether an opening order fits the tier of its leverage and the free money.

    Raises:
        Refused: 51004, 51008.
    """
    inst = order.instrument
    position = account.positions.get((inst.inst_id, order.td_mode, order.pos_side))
    held = position.pos * order.side if position is not None else 0
    waiting = sum(
        one.left for one in account.pending.values()
        if one.instrument is inst and one.td_mode == order.td_mode and one.side == order.side
        and one.pos_side == order.pos_side and not one.closes
    )  # fmt: skip
    if held + waiting + order.left > inst.most_at(order.lever):
        raise Refused("51004", inst.inst_id)
    covered = max(0, -held - waiting) if account.pos_mode != LONG_SHORT else 0
    opening = max(0, order.left - covered)
    now = standing(account, state.mark, bound(account))
    if opening and order_cost(order, opening, account) > now.available:
        raise Refused("51008")
