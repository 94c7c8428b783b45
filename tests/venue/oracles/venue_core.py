"""The venue's matching behind the steps of a stream: its orders by three owners with two sub-accounts each.

The market's own liquidity is replaced by none, or made so thin that the orders of a stream reach through it; accounts
are rich. All other rules of admission stand: streams keep to sizes and prices that they allow.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field

from prometheus.v10.market.synthetic import synthetic
from prometheus.venue.accounts.entries import Books
from prometheus.venue.accounts.holdings import Account
from prometheus.venue.accounts.tickets import Kind, Stp
from prometheus.venue.accounts.tickets import Order as VenueOrder
from prometheus.venue.error_codes import Refused
from prometheus.venue.exchange_world import WorldPlan, open_world
from prometheus.venue.floor.conservation import check
from prometheus.venue.floor.ladder import Ladder
from prometheus.venue.floor.trading import Market, Trading
from prometheus.venue.gateway.calls.order_records import fill_row
from prometheus.venue.market.depth import BUY, SELL, Depth
from prometheus.venue.matching.order_changes import amend, cancel
from prometheus.venue.matching.order_entry import Wish, place
from prometheus.venue.quanta import RATE, USDT
from tests.venue.oracles.order_streams import MIDDLE, Amend, Cancel, Place, Step

OWNERS, SUBS = 3, 2
STRANGERS = -1


class Nobody:
    """A market without strangers."""

    version = 0

    def best(self, _side: int) -> int:
        return 0

    def level(self, _side: int, _px: int) -> int:
        return 0

    def eat(self, _side: int, _px: int, _sz: int) -> None:
        raise AssertionError("strangers traded, and there are none")


def _unheard(*said: object, **more: object) -> None:
    """Keep no journal."""


def one_market() -> Trading:
    """An environment of the venue with a market that stands still."""
    bars = synthetic(7, 3, 60)
    state = open_world(WorldPlan(bars=[bars], warm_up=1, limits=False, checked=False)).environments["demo"]
    state.note = _unheard
    return state


@define
class VenueCore:
    """The venue's matching for one stream, which may share its market with earlier ones.

    ``crowded``: strangers show a few lots at each price; else there are none.
    """

    state: Trading
    crowded: bool = False
    market: Market = field(init=False)
    orders: dict[int, VenueOrder] = field(factory=dict)
    middle: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        (self.market,) = self.state.markets.values()
        tick = self.market.instrument.tick
        self.middle = self.market.reference.mark // tick * tick
        strangers: Nobody | Depth = self._thin() if self.crowded else Nobody()
        self.market.ladder = Ladder(strangers, lambda: tick)
        self.state.books = Books()
        self.state.accounts = {}
        self.state.touched.clear()
        for owner in range(OWNERS):
            for sub in range(SUBS):
                account = Account(uid=f"{owner}{sub}", main_uid=str(owner), label="")
                self.state.accounts[account.uid] = account
                self.state.books.deposit(account, self.state.now, 10**9 * USDT)

    def _thin(self) -> Depth:
        """The market's liquidity as it was at first, a tick apart and about six lots at the best price."""
        depth, lot = self.market.depth, self.market.instrument.lot
        self.market.tape.quote.range = 0
        depth.eaten.clear()
        depth.scale = RATE
        depth.scale = RATE * 6 * lot // depth.level(BUY, depth.best(BUY))
        self.middle = depth.best(BUY)
        return depth

    def crowd(self) -> list[tuple[int, int, int]]:
        """What strangers show: side, price and lots of the stream; the hundred best prices of each side."""
        tick, lot = self.market.instrument.tick, self.market.instrument.lot
        return [
            (side, MIDDLE + (px - self.middle) // tick, sz // lot)
            for side in (BUY, SELL)
            for px, sz in self.market.depth.levels(side, 100)
        ]

    def price(self, price: int) -> int:
        """A price of a stream in the venue's units."""
        return self.middle + (price - MIDDLE) * self.market.instrument.tick

    def apply(self, step: Step) -> bool:
        """Do a step; False where the venue refused it."""
        instrument = self.market.instrument
        try:
            match step:
                case Place(order):
                    wish = Wish(
                        instrument=instrument, side=order.side, kind=Kind(order.kind), sz=order.size * instrument.lot,
                        px=0 if order.price is None else self.price(order.price), stp=Stp(order.stp),
                    )  # fmt: skip
                    account = self.state.accounts[f"{order.owner}{order.identity % SUBS}"]
                    self.orders[order.identity] = place(self.state, account, wish)
                case Cancel(identity):
                    known = self.orders[identity]
                    cancel(self.state, known.account, instrument, str(known.ord_id), "")
                case Amend(identity, size, price):
                    known = self.orders[identity]
                    amend(self.state, known.account, known, size * instrument.lot, self.price(price))
        except Refused:
            return False
        return True

    def seen(self, identity: int) -> tuple[str, int, str]:
        """State, filled lots and cancelSource of an order."""
        order = self.orders[identity]
        filled, rest = divmod(order.filled, self.market.instrument.lot)
        assert rest == 0
        return str(order.state), filled, "" if order.cancel_source is None else str(order.cancel_source)

    def trades(self) -> list[tuple[int, int, int, int]]:
        """Every trade in order: maker's uid and taker's uid as numbers, price and lots; strangers are -1."""
        instrument = self.market.instrument
        lot, tick = Decimal(instrument.sz(instrument.lot)), Decimal(instrument.px(instrument.tick))
        middle = Decimal(instrument.px(self.middle))
        sides: dict[int, dict[str, tuple[int, int, int]]] = {}
        for account in self.state.accounts.values():
            for row in map(fill_row, account.fills):
                ticks = MIDDLE + int((Decimal(row["fillPx"]) - middle) / tick)
                side = (int(account.uid), ticks, int(Decimal(row["fillSz"]) / lot))
                sides.setdefault(int(row["tradeId"]), {})[row["execType"]] = side
        found = []
        for _, both in sorted(sides.items()):
            taker = both["T"]
            maker = both.get("M", (STRANGERS, *taker[1:]))
            assert maker[1:] == taker[1:], "the two sides of a trade differ"
            found.append((maker[0], taker[0], *maker[1:]))
        return found

    def check(self) -> None:
        """The venue's own sums of money and contracts."""
        check(self.state)
