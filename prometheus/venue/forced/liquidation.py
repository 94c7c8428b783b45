"""Forced trades: liquidation when the margin ratio falls to 1, and auto-deleveraging by hand of the venue.

Liquidation looks at the mark. Below tier 3 the whole position is taken over at its bankruptcy price. From tier 3 on it
is brought down by two tiers at the mark, and a penalty at the maintenance rate goes to the insurance fund. What the
exact share is on the live venue is not established.
"""

from __future__ import annotations

from prometheus.venue.accounts.entries import ADL, LIQUIDATION
from prometheus.venue.accounts.holdings import LONG_SHORT, Account, Done, Position
from prometheus.venue.accounts.margin import isolated_ratio, standing
from prometheus.venue.accounts.tickets import CancelSource, Kind, Order, State
from prometheus.venue.error_codes import Refused
from prometheus.venue.floor.trading import Trading
from prometheus.venue.matching.execution_steps import DONE_MS, end
from prometheus.venue.matching.shrinking import trim
from prometheus.venue.quanta import RATE, charge

_ROUNDS = 12
"""Of reductions at one moment; each takes two tiers."""


def watch(state: Trading, account: Account) -> None:
    """Liquidate what is due at the marks of this moment."""
    for position in [one for one in account.open_positions() if one.mgn_mode == "isolated"]:
        for _ in range(_ROUNDS):
            if position.pos == 0:
                break
            worth, needed = isolated_ratio(account, position, state.mark(position.instrument.inst_id))
            if worth > needed:
                break
            _cancel(state, account, CancelSource.RISK, position)
            _reduce(state, account, position)
    for _ in range(_ROUNDS):
        at = standing(account, state.mark, 0)
        if at.cross_mmr == 0 or at.cross_equity > at.cross_mmr:
            return
        _cancel(state, account, CancelSource.RISK, None)
        cross = [one for one in account.open_positions() if one.mgn_mode == "cross"]
        _reduce(state, account, max(cross, key=lambda one: one.notional(state.mark(one.instrument.inst_id))))


def _cancel(state: Trading, account: Account, source: CancelSource, position: Position | None) -> None:
    for order in list(account.pending.values()):
        if position is None or (order.instrument is position.instrument and order.td_mode == position.mgn_mode):
            end(state, order, source)


def _reduce(state: Trading, account: Account, position: Position) -> None:
    inst = position.instrument
    tiers, tier = inst.tiers, inst.tier_of(position.pos)
    mark = state.mark(inst.inst_id)
    size = abs(position.pos)
    if tier.number >= 3:
        target = tiers[tier.number - 3].max_sz
        sz = -(-(size - target) // inst.lot) * inst.lot
        penalty = charge(inst.value(mark, sz), tier.mmr)
        if _survives(state, account, position, sz, penalty):
            forced(state, account, position, sz, mark, "partial_liquidation")
            _penalty(state, account, position, penalty)
            trim(state, account, inst)
            return
    others = [one for one in account.open_positions() if one.mgn_mode == "cross" and one is not position]
    last = position.mgn_mode == "isolated" or not others
    px = _bankruptcy(account, position) if last else mark
    before = account.cash
    isolated = position.margin
    forced(state, account, position, size, px, "full_liquidation")
    left = account.cash - before if position.mgn_mode == "isolated" else account.cash
    if last and left > 0:
        _penalty(state, account, position, left if isolated or position.mgn_mode == "cross" else 0)
    trim(state, account, inst)


def _survives(state: Trading, account: Account, position: Position, sz: int, penalty: int) -> bool:
    """Whether the money covers a partial reduction at the mark with its fee and penalty."""
    mark = state.mark(position.instrument.inst_id)
    cost = penalty + charge(position.instrument.value(mark, sz), account.taker)
    if position.mgn_mode == "isolated":
        return position.margin + position.upl(mark) > cost
    return standing(account, state.mark, 0).cross_equity > cost


def _bankruptcy(account: Account, position: Position) -> int:
    """The price at which closing, with its fee, leaves nothing: rounded so that nothing is missing."""
    unit, pos, fee = position.instrument.unit, position.pos, account.taker
    money = position.margin if position.mgn_mode == "isolated" else account.cash
    # money + (p pos - cost) unit - p |pos| unit fee / RATE = 0
    over = (position.cost * unit - money) * RATE
    under = unit * (pos * RATE - abs(pos) * fee)
    price = -(-over // under) if under > 0 else over // under
    return max(1, price)


def forced(state: Trading, account: Account, position: Position, sz: int, px: int, category: str) -> Order:
    """Close ``sz`` of a position at a price, as the venue's own order: no client id, its category, its bills."""
    inst = position.instrument
    side = -1 if position.pos > 0 else 1
    market = state.market(inst)
    order = Order(
        ord_id=state.books.ids.next(state.now), account=account, instrument=inst, side=side,
        pos_side=position.pos_side, td_mode=position.mgn_mode, kind=Kind.LIMIT, px=px, limit=px, sz=sz,
        c_time=state.now, u_time=state.now, reduce_only=True, closes=True, lever=position.lever, category=category,
    )  # fmt: skip
    market.trade_id += 1
    kind, sub_types = _words(account, category)
    fee = -charge(inst.value(px, sz), account.taker)
    done = Done(
        trade_id=market.trade_id, px=px, sz=sz, ts=state.now, fee=fee, taker=True, mark=market.reference.mark,
        index=market.reference.index, kind=kind, sub_types=sub_types,
    )  # fmt: skip
    filled = state.books.fill(order, done)
    state.books.other.trade(inst, px, -side * sz)
    order.state = State.FILLED
    state.heard(order, filled)
    account.done.append(order)
    while account.done[0].u_time < state.now - DONE_MS:
        account.done.popleft()
    account.closings[-1].trigger_px = market.reference.mark
    state.note("forced", uid=account.uid, order=order.ord_id, inst=inst.inst_id, category=category, px=px, sz=sz,
               side=side)  # fmt: skip
    return order


def _words(account: Account, category: str) -> tuple[str, tuple[str, str]]:
    """Bill type and the sub-types of a buy and of a sell."""
    sided = account.pos_mode == LONG_SHORT
    if category == "adl":
        return ADL, ("126", "125") if sided else ("127", "128")
    if category == "partial_liquidation":
        return LIQUIDATION, ("101", "100") if sided else ("102", "103")
    return LIQUIDATION, ("105", "104") if sided else ("106", "107")


def _penalty(state: Trading, account: Account, position: Position, amount: int) -> None:
    if amount <= 0:
        return
    position.liq_penalty -= amount
    change, margin = -amount, 0
    if position.mgn_mode == "isolated" and position.pos:
        position.margin -= amount
        change, margin = 0, -amount
    state.books.bill(account, state.now, LIQUIDATION, "111", change, inst=position.instrument,
                     mgn_mode=position.mgn_mode, pnl=-amount, pos_bal_chg=margin, pos_bal=position.margin)  # fmt: skip
    state.books.other.insurance += amount
    account.closings[-1].take(state.now)


def deleverage(state: Trading, account: Account, inst_id: str, sz: int) -> Order:
    """Auto-deleverage ``sz`` of a position at the mark; its orders are cancelled first (6).

    Raises:
        Refused: 51023 without a position of at least this size.
    """
    position = next((one for one in account.open_positions() if one.instrument.inst_id == inst_id), None)
    if position is None or abs(position.pos) < sz or sz <= 0:
        raise Refused("51023")
    _cancel(state, account, CancelSource.ADL, position)
    order = forced(state, account, position, sz, state.mark(inst_id), "adl")
    trim(state, account, position.instrument)
    return order
