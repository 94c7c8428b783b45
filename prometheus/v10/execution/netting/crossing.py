"""What of a bar's wishes meets inside, what goes out as one order, and at which price each side trades.

Each agent trades as if it took alone at the touch: whoever is on the side of the net order gets the order's own mean
price, the other side gets the touch, or the mean where that is worse. So no agent gains from the presence of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from prometheus.v10.execution.netting.netting_terms import Delta, Touch, VenueTrade


class Sides(NamedTuple):
    """Lots of one round: bought, sold, crossed inside (the smaller), and the net order (signed)."""

    buy: int
    sell: int
    crossed: int
    net: int


class Prices(NamedTuple):
    """Exact prices in ticks: the mean of the order's fills, and what buyers pay and sellers get."""

    mean: Fraction
    buy: Fraction
    sell: Fraction


def sides_of(deltas: Iterable[Delta]) -> Sides:
    """B, S, X = min(B, S) and N = B - S."""
    buy = sell = 0
    for delta in deltas:
        if delta.lots > 0:
            buy += delta.lots
        else:
            sell -= delta.lots
    return Sides(buy, sell, min(buy, sell), buy - sell)


def prices_of(net: int, touch: Touch, trades: Sequence[VenueTrade]) -> Prices:
    """The prices of a round whose net order of ``net`` signed lots was filled by ``trades``.

    Without a fill the mean stands at the touch: the ask for a buying order, the bid for a selling one. Without a net
    order everything crossed: buyers pay the ask, sellers get the bid, and the mean is the middle of both.
    """
    bid, ask = Fraction(touch.bid), Fraction(touch.ask)
    if net == 0:
        return Prices((bid + ask) / 2, ask, bid)
    if lots := sum(trade.lots for trade in trades):
        mean = Fraction(sum(trade.lots * trade.price for trade in trades), lots)
    else:
        mean = ask if net > 0 else bid
    return Prices(mean, mean, min(bid, mean)) if net > 0 else Prices(mean, max(ask, mean), mean)


def mid_price_counterfactual(sides: Sides, touch: Touch, trades: Sequence[VenueTrade]) -> Prices:
    """What each side would have paid and got had the crossed lots met at the middle of the book. Nothing is booked so.

    The side of the order mixes the middle for the crossed lots with the order's own mean for the rest. Under this rule
    a dense population trades cheaper than a lone agent: density would be an edge. It is a figure for comparison.
    """
    middle = Fraction(touch.bid + touch.ask, 2)
    filled = sum(trade.lots for trade in trades)
    mean = prices_of(sides.net, touch, trades).mean
    lots = sides.crossed + filled
    heavy = (middle * sides.crossed + mean * filled) / lots if lots else middle
    return Prices(mean, heavy, middle) if sides.net >= 0 else Prices(mean, middle, heavy)
