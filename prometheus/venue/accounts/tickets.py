"""An order of the venue: what was asked, what became of it, and the words of its states."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import define

if TYPE_CHECKING:
    from prometheus.venue.accounts.holdings import Account
    from prometheus.venue.market.instruments import Instrument


class State(StrEnum):
    """States of an order; the last two are terminal."""

    LIVE = "live"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"


class Kind(StrEnum):
    """`ordType` of those that are accepted."""

    LIMIT = "limit"
    MARKET = "market"
    POST_ONLY = "post_only"
    FOK = "fok"
    IOC = "ioc"
    OPTIMAL = "optimal_limit_ioc"
    RPI = "rpi"
    ELP = "elp"


PRICED: Final = frozenset({Kind.LIMIT, Kind.POST_ONLY, Kind.FOK, Kind.IOC, Kind.RPI, Kind.ELP})
PASSIVE: Final = frozenset({Kind.POST_ONLY, Kind.RPI, Kind.ELP})
NEVER_RESTS: Final = frozenset({Kind.FOK, Kind.IOC, Kind.OPTIMAL})


class Stp(StrEnum):
    """What a taker does when it reaches an order of its own master account."""

    CANCEL_MAKER = "cancel_maker"
    CANCEL_TAKER = "cancel_taker"
    CANCEL_BOTH = "cancel_both"


class CancelSource(StrEnum):
    """Why an order was cancelled, with the interface's numbers."""

    SYSTEM = "0"
    USER = "1"
    REDUCE_ONLY_MARGIN = "2"
    RISK = "3"
    ADL = "6"
    AFTER_FUNDING = "9"
    FOK = "13"
    IOC = "14"
    ALREADY_CLOSED = "17"
    CANCEL_ALL_AFTER = "20"
    DISPLACED = "22"
    DISPLACED_BY_EARLIER = "23"
    FAR_COUNTERPARTY = "27"
    POST_ONLY = "31"
    STP = "32"
    MANY_MAKERS = "33"


REASONS: Final = {
    CancelSource.SYSTEM: "Order canceled by system",
    CancelSource.USER: "Order canceled by user",
    CancelSource.REDUCE_ONLY_MARGIN: "Reduce-only order canceled due to insufficient margin in the position",
    CancelSource.RISK: "Order canceled: maintenance margin is not met",
    CancelSource.ADL: "Order canceled by auto-deleveraging",
    CancelSource.AFTER_FUNDING: "Order canceled: balance is short after funding",
    CancelSource.FOK: "FOK order was canceled because it could not be filled in full",
    CancelSource.IOC: "The unfilled part of an IOC order was canceled",
    CancelSource.ALREADY_CLOSED: "Close order was canceled: the position is already closed",
    CancelSource.CANCEL_ALL_AFTER: "Cancel all after was triggered",
    CancelSource.DISPLACED: "Reduce-only order was canceled: a newer one has a better price",
    CancelSource.DISPLACED_BY_EARLIER: "Reduce-only order was canceled: earlier ones have a better price",
    CancelSource.FAR_COUNTERPARTY: "Order canceled by the price limit check",
    CancelSource.POST_ONLY: "Post-only order was canceled because it would take liquidity",
    CancelSource.STP: "Self-trade prevention",
    CancelSource.MANY_MAKERS: "The order would match too many makers",
}


@define(eq=False, kw_only=True)
class Order:
    """One order. Prices and sizes in units of the instrument, money in pico-USDT, times in ms of the venue's clock."""

    ord_id: int
    account: Account
    instrument: Instrument
    side: int
    """+1 buys, -1 sells."""
    pos_side: str
    td_mode: str
    kind: Kind
    px: int
    """0 where the order has no price of its own."""
    limit: int
    """The worst price at which it may trade."""
    sz: int
    c_time: int
    cl_ord_id: str = ""
    tag: str = ""
    reduce_only: bool = False
    closes: bool = False
    """Shrinks a position by nature: a closing side in long/short mode, or reduce-only."""
    stp: Stp = Stp.CANCEL_MAKER
    lever: int = 300
    """Hundredths."""
    category: str = "normal"
    source: str = ""
    tgt_ccy: str = ""
    state: State = State.LIVE
    filled: int = 0
    paid: int = 0
    """Sum of price times size over the fills."""
    fee: int = 0
    pnl: int = 0
    u_time: int = 0
    fill_px: int = 0
    fill_sz: int = 0
    fill_time: int = 0
    trade_id: int = 0
    cancel_source: CancelSource | None = None
    amend_source: str = ""
    req_id: str = ""
    ahead: int = 0
    """What strangers show before it at its price."""
    behind_of: int = 0
    """What strangers showed at its price when its queue was last looked at."""
    makers: int = 0
    resting: bool = False

    @property
    def left(self) -> int:
        """What is not filled."""
        return self.sz - self.filled

    @property
    def room(self) -> int:
        """How much of it may trade: where it shrinks a position, no more than the position."""
        if not self.closes:
            return self.left
        position = self.account.positions.get((self.instrument.inst_id, self.td_mode, self.pos_side))
        if position is None or position.pos * self.side >= 0:
            return 0
        return min(self.left, abs(position.pos))

    @property
    def over(self) -> bool:
        """Whether the state is terminal."""
        return self.state in {State.FILLED, State.CANCELED}
