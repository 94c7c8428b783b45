"""Price-time priority in as few words as possible: the second opinion on what the venue matches.

Written from the published rules alone (orders of type limit, post_only, ioc, fok and optimal_limit_ioc; the three modes
of self-trade prevention; cancel and amend). No latency, no queue model, no account: an order is accepted whenever it is
well formed. One list of resting orders, searched anew at every step; slow, and easy to check by eye.

Prices are whole ticks, sizes whole lots.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

BUY, SELL = 1, -1
FOK_CANCELLED, IOC_CANCELLED, WOULD_TAKE, SELF_TRADE, TOO_MANY_MAKERS, BY_USER = "13", "14", "31", "32", "33", "1"
"""cancelSource of the exchange's records."""
MOST_MAKERS = 1000
"""A taker meets at most so many makers; the rest of it is cancelled."""


@define(frozen=True)
class Trade:
    """One maker met: who, at the maker's price, how much."""

    maker: int
    taker: int
    price: int
    size: int


@define
class Order:
    """An order and what became of it. ``owner`` is the master account; its sub-accounts do not trade together."""

    identity: int
    owner: int
    side: int
    kind: str
    price: int | None
    size: int
    stp: str = "cancel_maker"
    filled: int = 0
    state: str = "live"
    source: str = ""
    priority: int = 0

    @property
    def left(self) -> int:
        return self.size - self.filled

    @property
    def open(self) -> bool:
        return self.state in {"live", "partially_filled"}

    def take(self, size: int) -> None:
        """Count a fill."""
        self.filled += size
        self.state = "filled" if self.left == 0 else "partially_filled"

    def cancel(self, source: str) -> None:
        """Take it from the market; what was filled stands."""
        self.state, self.source = "canceled", source


@define
class ReferenceMatcher:
    """Every order that ever came, in order of arrival; what rests is searched among them."""

    orders: dict[int, Order] = field(factory=dict)
    resting: list[Order] = field(factory=list)
    trades: list[Trade] = field(factory=list)
    clock: int = 0

    def best(self, side: int) -> Order | None:
        """The first of a side to be served: the best price, then the earliest."""
        mine = [order for order in self.resting if order.side == side]
        return min(mine, key=lambda order: (-side * order.price, order.priority), default=None)

    def _queue(self, taker: Order) -> Iterator[Order]:
        """Makers that the taker reaches, one after the other."""
        opposite = [order for order in self.resting if order.side == -taker.side]
        for maker in sorted(opposite, key=lambda order: (taker.side * order.price, order.priority)):
            if taker.price is not None and taker.side * (taker.price - maker.price) < 0:
                return
            yield maker

    def place(self, order: Order) -> None:
        """Match an order, then rest or cancel what is left."""
        self.orders[order.identity] = order
        self._enter(order)

    def _enter(self, order: Order) -> None:
        self.clock += 1
        order.priority = self.clock
        queue = list(self._queue(order))
        if order.kind == "post_only" and queue:
            order.cancel(WOULD_TAKE)
            return
        if order.kind == "fok" and not self._all_at_once(order, queue):
            return
        for met, maker in enumerate(queue):
            if order.left == 0:
                break
            if met == MOST_MAKERS:
                order.cancel(TOO_MANY_MAKERS)
                return
            if maker.owner == order.owner:
                if order.stp in {"cancel_maker", "cancel_both"}:
                    maker.cancel(SELF_TRADE)
                    self.resting.remove(maker)
                if order.stp in {"cancel_taker", "cancel_both"}:
                    order.cancel(SELF_TRADE)
                    return
                continue
            self._trade(maker, order)
        if order.left == 0:
            return
        if order.kind in {"ioc", "optimal_limit_ioc"}:
            order.cancel(IOC_CANCELLED)
        else:
            self.resting.append(order)

    def _all_at_once(self, order: Order, queue: list[Order]) -> bool:
        """Whether a fill-or-kill order fills whole; cancels it where it does not. Nobody else is touched then."""
        reachable = 0
        for maker in queue:
            if maker.owner != order.owner:
                reachable += maker.left
            elif order.stp == "cancel_taker" and reachable < order.size:
                order.cancel(SELF_TRADE)
                return False
        if reachable < order.size:
            order.cancel(FOK_CANCELLED)
        return reachable >= order.size

    def _trade(self, maker: Order, taker: Order) -> None:
        size = min(maker.left, taker.left)
        self.trades.append(Trade(maker.identity, taker.identity, maker.price, size))
        maker.take(size)
        taker.take(size)
        if maker.left == 0:
            self.resting.remove(maker)

    def cancel(self, identity: int) -> bool:
        """Cancel by the user; False where the order does not rest."""
        order = self.orders.get(identity)
        if order is None or order not in self.resting:
            return False
        order.cancel(BY_USER)
        self.resting.remove(order)
        return True

    def amend(self, identity: int, size: int, price: int) -> bool:
        """Change a resting order; False where it does not rest.

        A smaller size keeps the place in the queue. A larger size or another price loses it, and may match. A size that
        is filled already completes the order. A post-only order that would take by its new price stays as it was.
        """
        order = self.orders.get(identity)
        if order is None or order not in self.resting:
            return False
        best = self.best(-order.side)
        if order.kind == "post_only" and best is not None and order.side * (price - best.price) >= 0:
            return False
        keeps = price == order.price and size <= order.size
        order.size, order.price = max(size, order.filled), price
        if order.left == 0:
            order.state = "filled"
            self.resting.remove(order)
        elif not keeps:
            self.resting.remove(order)
            self._enter(order)
        return True

    def depth(self, side: int) -> list[tuple[int, int]]:
        """Levels of a side, best first: price, total size."""
        totals: dict[int, int] = {}
        for order in self.resting:
            if order.side == side:
                totals[order.price] = totals.get(order.price, 0) + order.left
        return sorted(totals.items(), key=lambda level: -side * level[0])

    def conserved(self) -> bool:
        """Whether every fill has two sides, no order more than its size, and the book is not crossed."""
        taken = dict.fromkeys(self.orders, 0)
        for trade in self.trades:
            taken[trade.maker] += trade.size
            taken[trade.taker] += trade.size
        bid, ask = self.best(BUY), self.best(SELL)
        return (
            all(order.filled == taken[order.identity] and order.left >= 0 for order in self.orders.values())
            and (bid is None or ask is None or bid.price < ask.price)
            and all(order.open and order.left > 0 for order in self.resting)
        )
