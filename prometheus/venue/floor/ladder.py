"""Resting orders of clients in one instrument, by price and then by time, among what strangers show.

A client's order stands behind what strangers showed at its price when it came (`Order.ahead`) and behind the clients
that came before it. A taker, and the volume of the path, meet strangers and clients in that order.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from heapq import merge
from typing import Final, Protocol

from attrs import define, field

from prometheus.venue.accounts.tickets import Order
from prometheus.venue.market.depth import BUY, LEVELS, SELL

MOST_MAKERS: Final = 1000


class Strangers(Protocol):
    """Liquidity that is no client's."""

    version: int

    def best(self, side: int) -> int:
        """The best price of a side."""
        ...

    def level(self, side: int, px: int) -> int:
        """Size at a price of a side."""
        ...

    def eat(self, side: int, px: int, sz: int) -> None:
        """Take size away."""
        ...


@define
class Side:
    """One side of the resting orders: prices in ascending order of badness, each with its queue."""

    side: int
    keys: list[int] = field(factory=list)
    """``-side * px``, ascending: the best price first."""
    queues: dict[int, list[Order]] = field(factory=dict)

    def add(self, order: Order) -> None:
        """Put an order at the end of its price's queue."""
        queue = self.queues.get(order.limit)
        if queue is None:
            self.queues[order.limit] = [order]
            insort(self.keys, -self.side * order.limit)
        else:
            queue.append(order)

    def remove(self, order: Order) -> None:
        """Take an order out."""
        queue = self.queues[order.limit]
        queue.remove(order)
        if not queue:
            del self.queues[order.limit]
            del self.keys[bisect_left(self.keys, -self.side * order.limit)]

    def best(self) -> int | None:
        """The best price; None when nothing rests."""
        return -self.side * self.keys[0] if self.keys else None

    def orders(self) -> Iterator[Order]:
        """All orders, the best price first, then the oldest."""
        for key in self.keys:
            yield from self.queues[-self.side * key]


@define
class Ladder:
    """Both sides of one instrument."""

    strangers: Strangers
    tick: Callable[[], int]
    sides: dict[int, Side] = field(init=False)
    version: int = 0

    def __attrs_post_init__(self) -> None:
        """Begin empty."""
        self.sides = {BUY: Side(BUY), SELL: Side(SELL)}

    def rest(self, order: Order) -> None:
        """Let an order rest: behind everything that is at its price now."""
        order.ahead = order.behind_of = self.strangers.level(order.side, order.limit)
        self.sides[order.side].add(order)
        order.resting = True
        self.version += 1

    def remove(self, order: Order) -> None:
        """Take a resting order out."""
        self.sides[order.side].remove(order)
        order.resting = False
        self.version += 1

    def touch(self, side: int) -> int:
        """The best price of a side, of strangers and clients."""
        strange, own = self.strangers.best(side), self.sides[side].best()
        if own is None or (strange > 0 and (strange - own) * side >= 0):
            return strange
        return own

    def crosses(self, side: int, limit: int) -> bool:
        """Whether an order of ``side`` with this worst price meets anything."""
        return next(self.offers(side, limit), None) is not None

    def offers(self, side: int, limit: int) -> Iterator[tuple[int, int, Order | None]]:
        """What a taker of ``side`` meets up to its worst price, in order: price, size, and the client's order or None.

        The taker may take, and cancel makers, between two offers; sizes are looked up when they are reached.
        """
        other, best = -side, self.strangers.best(-side)
        step = side * self.tick()
        grid = (best + at * step for at in range(LEVELS)) if best > 0 else iter(())
        own = [side * key for key in self.sides[other].keys]
        before = None
        for px in merge(grid, own, key=lambda price: price * side):
            if (limit - px) * side < 0:
                return
            if px > 0 and px != before:
                yield from self._at(other, px)
            before = px

    def _at(self, side: int, px: int) -> Iterator[tuple[int, int, Order | None]]:
        """The queue of one price: strangers up to each client's place, the client, and the strangers behind."""
        shown, passed = self.strangers.level(side, px), 0
        for order, ahead in [(order, order.ahead) for order in self.sides[side].queues.get(px, ())]:
            if order.over:
                continue
            chunk = min(ahead, shown) - passed
            if chunk > 0:
                yield px, chunk, None
                passed += chunk
            if not order.over:
                yield px, order.room, order
        if shown > passed:
            yield px, shown - passed, None

    def ate(self, side: int, px: int, sz: int) -> None:
        """Strangers of a side lost ``sz`` at a price to a taker: clients there move up."""
        self.strangers.eat(side, px, sz)
        for order in self.sides[side].queues.get(px, ()):
            order.ahead = max(0, order.ahead - sz)
            order.behind_of = max(0, order.behind_of - sz)

    def passed(self, last: int, volume: int) -> list[tuple[Order, int]]:
        """What a step of the path fills: clients' orders beyond the last price whole, those at it from its volume.

        Returns the orders and sizes in the order in which they trade; the ladder itself is not changed but for queues.
        """
        found: list[tuple[Order, int]] = []
        for side in (BUY, SELL):
            resting = self.sides[side]
            if not resting.keys:
                continue
            for order in resting.orders():
                if (order.limit - last) * side <= 0:
                    break
                found.append((order, order.left))
            if last in resting.queues:
                found += self._served(side, last, volume)
            self._advance(side, last)
        return found

    def _served(self, side: int, px: int, volume: int) -> list[tuple[Order, int]]:
        found, passed, lot_left = [], 0, volume
        for order in self.sides[side].queues[px]:
            chunk = min(max(0, order.ahead - passed), lot_left)
            passed += chunk
            lot_left -= chunk
            if lot_left <= 0:
                break
            size = min(order.left, lot_left)
            found.append((order, size))
            lot_left -= size
        for order in self.sides[side].queues[px]:
            order.ahead = max(0, order.ahead - passed)
        return found

    def _advance(self, side: int, last: int) -> None:
        """Strangers ahead leave as the level thins: by the square of what is ahead against that of what is behind."""
        for px, queue in self.sides[side].queues.items():
            if px == last:
                continue
            shown = self.strangers.level(side, px)
            for order in queue:
                gone = order.behind_of - shown
                if gone > 0 and order.ahead > 0:
                    ahead, behind = order.ahead, max(0, order.behind_of - order.ahead)
                    order.ahead = max(0, ahead - gone * ahead * ahead // (ahead * ahead + behind * behind))
                order.ahead = min(order.ahead, shown)
                order.behind_of = shown
