"""What an order does once it is admitted: it trades by price and time, and rests, or ends.

Self-trade prevention acts on orders of the same master account that the taker reaches, by the taker's mode.
"""

from __future__ import annotations

from typing import Final

from prometheus.venue.accounts.holdings import Done
from prometheus.venue.accounts.tickets import NEVER_RESTS, PASSIVE, CancelSource, Kind, Order, State, Stp
from prometheus.venue.floor.ladder import MOST_MAKERS
from prometheus.venue.floor.trading import Market, Trading
from prometheus.venue.quanta import charge

VOID_MS: Final = 2 * 3_600_000
"""How long a cancelled order without a fill is kept."""
DONE_MS: Final = 92 * 86_400_000


def execute(state: Trading, order: Order) -> None:
    """Let an admitted order trade, then rest or end."""
    ladder = state.market(order.instrument).ladder
    if order.kind in PASSIVE and ladder.crosses(order.side, order.limit):
        end(state, order, CancelSource.POST_ONLY)
        return
    if order.kind is Kind.FOK:
        missing = _cannot_fill(state, order)
        if missing is not None:
            end(state, order, missing)
            return
    if order.amend_source != "1":
        state.heard(order, None)
    for px, size, maker in ladder.offers(order.side, order.limit):
        if maker is None or _meets(state, order, maker):
            trade(state, order, maker, px, min(size, order.left))
        if order.over or order.left == 0:
            break
    if order.state is State.CANCELED:
        return
    if order.left == 0:
        _settle(state, order)
    elif order.kind in NEVER_RESTS:
        end(state, order, CancelSource.IOC)
    else:
        ladder.rest(order)


def _meets(state: Trading, order: Order, maker: Order) -> bool:
    """Whether a taker trades with the client's order that it reached; self-trade prevention acts here."""
    if maker.account.main_uid == order.account.main_uid:
        if order.stp is not Stp.CANCEL_TAKER:
            end(state, maker, CancelSource.STP)
        if order.stp is not Stp.CANCEL_MAKER:
            end(state, order, CancelSource.STP)
        return False
    if maker.room == 0:
        end(state, maker, CancelSource.ALREADY_CLOSED)
        return False
    order.makers += 1
    if order.makers > MOST_MAKERS:
        end(state, order, CancelSource.MANY_MAKERS)
        return False
    return True


def _cannot_fill(state: Trading, order: Order) -> CancelSource | None:
    """Why a fill-or-kill order cannot be filled whole; None when it can."""
    left = order.left
    for _, size, maker in state.market(order.instrument).ladder.offers(order.side, order.limit):
        if maker is not None and maker.account.main_uid == order.account.main_uid:
            if order.stp is Stp.CANCEL_TAKER:
                return CancelSource.STP
            continue
        left -= size
        if left <= 0:
            return None
    return CancelSource.FOK


def trade(state: Trading, taker: Order, maker: Order | None, px: int, sz: int) -> None:
    """One trade: the taker with a client's order, or with strangers."""
    market = state.market(taker.instrument)
    market.trade_id += 1
    value = taker.instrument.value(px, sz)
    fee = -charge(value, taker.account.taker)
    state.touched[taker.account.uid] = taker.account
    filled = state.books.fill(taker, _done(state, market, px, sz, fee, taker=True))
    taker.state = State.FILLED if taker.left == 0 else State.PARTIALLY_FILLED
    state.heard(taker, filled)
    if maker is None:
        market.ladder.ate(-taker.side, px, sz)
        state.books.other.trade(taker.instrument, px, -taker.side * sz)
    else:
        _made(state, maker, px, sz)
    state.note("match", inst=taker.instrument.inst_id, trade=market.trade_id, px=px, sz=sz, side=taker.side,
               taker=taker.ord_id, maker=maker.ord_id if maker is not None else 0)  # fmt: skip


def _done(state: Trading, market: Market, px: int, sz: int, fee: int, *, taker: bool) -> Done:
    return Done(
        trade_id=market.trade_id, px=px, sz=sz, ts=state.now, fee=fee, taker=taker, mark=market.reference.mark,
        index=market.reference.index,
    )  # fmt: skip


def _made(state: Trading, maker: Order, px: int, sz: int) -> None:
    """The maker's half of a trade."""
    market = state.market(maker.instrument)
    fee = -charge(maker.instrument.value(px, sz), maker.account.maker)
    state.touched[maker.account.uid] = maker.account
    filled = state.books.fill(maker, _done(state, market, px, sz, fee, taker=False))
    maker.state = State.FILLED if maker.left == 0 else State.PARTIALLY_FILLED
    state.heard(maker, filled)
    if maker.left == 0:
        market.ladder.remove(maker)
        _settle(state, maker)


def pass_by(state: Trading, inst_id: str) -> None:
    """The path made a step: resting orders that it reached trade as makers."""
    market = state.markets[inst_id]
    quote = market.tape.quote
    for order, reached in market.ladder.passed(quote.last, quote.volume):
        sz = min(reached, order.room)
        if sz == 0:
            end(state, order, CancelSource.ALREADY_CLOSED)
            continue
        market.trade_id += 1
        _made(state, order, order.limit, sz)
        state.books.other.trade(order.instrument, order.limit, -order.side * sz)
        state.note("match", inst=inst_id, trade=market.trade_id, px=order.limit, sz=sz, side=-order.side, taker=0,
                   maker=order.ord_id)  # fmt: skip


def _settle(state: Trading, order: Order) -> None:
    order.state = State.FILLED
    _file(state, order)


def end(state: Trading, order: Order, source: CancelSource) -> None:
    """Cancel what is left of an order, wherever it is."""
    if order.resting:
        state.market(order.instrument).ladder.remove(order)
    order.state, order.cancel_source, order.u_time = State.CANCELED, source, state.now
    _file(state, order)
    state.heard(order, None)
    state.note("cancel", order=order.ord_id, source=source.value, left=order.left)


def complete(state: Trading, order: Order) -> None:
    """An amendment left nothing to fill: the order is filled."""
    state.market(order.instrument).ladder.remove(order)
    order.u_time = state.now
    _settle(state, order)
    state.heard(order, None)


def _file(state: Trading, order: Order) -> None:
    """Move an order from the pending ones to the records."""
    account = order.account
    account.version += 1
    account.pending.pop(order.ord_id, None)
    if account.by_client.get(order.cl_ord_id) is order:
        del account.by_client[order.cl_ord_id]
    kept, span = (account.done, DONE_MS) if order.filled else (account.void, VOID_MS)
    kept.append(order)
    while kept[0].u_time < state.now - span:
        kept.popleft()
