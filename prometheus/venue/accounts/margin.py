"""Margin: what an account's money is worth, what is bound, what is free, and how near liquidation is.

Cross: equity = cash + unrealised result of cross positions. Isolated margin lies outside of cash. An opening order
binds notional / leverage and the taker fee at its worst price; closing orders bind nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import frozen

from prometheus.venue.accounts.holdings import LONG_SHORT, Account, Position
from prometheus.venue.accounts.tickets import Order
from prometheus.venue.market.instruments import Instrument
from prometheus.venue.quanta import RATE, charge

Marks: TypeAlias = Callable[[str], int]
"""From an instrument's name to its mark, price units."""
LEVER: Final = 100
"""Leverage is in hundredths."""


@frozen
class Standing:
    """An account's sums in pico-USDT at a moment's marks."""

    cash: int
    cross_upl: int
    cross_imr: int
    cross_mmr: int
    """Maintenance margin and the fee of closing, cross."""
    iso_margin: int
    iso_upl: int
    ordered: int
    """Bound by pending orders."""
    notional: int
    cross_notional: int

    @property
    def equity(self) -> int:
        """Everything."""
        return self.cash + self.cross_upl + self.iso_margin + self.iso_upl

    @property
    def cross_equity(self) -> int:
        """What cross positions are liquidated against."""
        return self.cash + self.cross_upl

    @property
    def available(self) -> int:
        """What a new order may bind."""
        return max(0, self.cross_equity - self.cross_imr - self.ordered)


def initial(notional: int, lever: int) -> int:
    """Initial margin of a notional, rounded up."""
    return -(-notional * LEVER // lever)


def maintenance(account: Account, position: Position, mark: int) -> int:
    """Maintenance margin at the position's tier and the taker fee of closing it: the divisor of the margin ratio."""
    notional = position.notional(mark)
    return charge(notional, position.instrument.tier_of(position.pos).mmr) + charge(notional, account.taker)


def order_cost(order: Order, sz: int, account: Account) -> int:
    """What ``sz`` of an opening order binds."""
    notional = order.instrument.value(order.limit, sz)
    return initial(notional, order.lever) + charge(notional, account.taker)


def bound(account: Account) -> int:
    """What pending orders bind: in net mode, orders against a position bind only what goes beyond it."""
    total = 0
    covered: dict[tuple[str, str, int], int] = {}
    for order in account.pending.values():
        if order.closes:
            continue
        opening = order.left
        if account.pos_mode != LONG_SHORT:
            key = (order.instrument.inst_id, order.td_mode, order.side)
            if key not in covered:
                position = account.positions.get((*key[:2], "net"))
                covered[key] = max(0, -order.side * position.pos) if position is not None else 0
            free = min(opening, covered[key])
            covered[key] -= free
            opening -= free
        if opening > 0:
            total += order_cost(order, opening, account)
    return total


def standing(account: Account, marks: Marks, ordered: int | None = None) -> Standing:
    """The account's sums now; ``ordered`` where the caller knows what orders bind."""
    sums = [0] * 7
    for position in account.open_positions():
        mark = marks(position.instrument.inst_id)
        notional, upl = position.notional(mark), position.upl(mark)
        sums[5] += notional
        if position.mgn_mode == "cross":
            sums[0] += upl
            sums[1] += initial(notional, position.lever)
            sums[2] += maintenance(account, position, mark)
            sums[6] += notional
        else:
            sums[3] += position.margin
            sums[4] += upl
    binds = bound(account) if ordered is None else ordered
    return Standing(account.cash, sums[0], sums[1], sums[2], sums[3], sums[4], binds, sums[5], sums[6])


def isolated_ratio(account: Account, position: Position, mark: int) -> tuple[int, int]:
    """Margin ratio of an isolated position as a fraction; liquidation at 1 and below."""
    return position.margin + position.upl(mark), maintenance(account, position, mark)


def liquidation_price(account: Account, position: Position, marks: Marks) -> int | None:
    """The mark at which the margin ratio falls to 1, in price units; None where no positive price does that.

    For a cross position the marks of all others stand still.
    """
    mark = marks(position.instrument.inst_id)
    unit, pos = position.instrument.unit, position.pos
    tier = position.instrument.tier_of(pos).mmr + account.taker
    if position.mgn_mode == "isolated":
        money, need = position.margin, 0
    else:
        at = standing(account, marks, 0)
        money = at.cross_equity - position.upl(mark)
        need = at.cross_mmr - maintenance(account, position, mark)
    # money + (p pos - cost) unit = need + p |pos| unit tier / RATE
    over = (position.cost * unit + need - money) * RATE
    under = unit * (pos * RATE - abs(pos) * tier)
    if under == 0:
        return None
    price = over // under
    return price if price > 0 else None


def largest_opening(account: Account, instrument: Instrument, px: int, lever: int, marks: Mapping[str, int]) -> int:
    """How much the free money opens at a price, in size units, on the lot."""
    free = standing(account, marks.__getitem__).available
    each = instrument.value(px, instrument.lot)
    cost = initial(each, lever) + charge(each, account.taker)
    return free // cost * instrument.lot if cost else 0
