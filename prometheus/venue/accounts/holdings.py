"""What an account holds: cash, positions, leverage, pending orders, and the records that it can ask for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from attrs import define, field, frozen

from prometheus.venue.accounts.tickets import Order
from prometheus.venue.market.instruments import Instrument

Place: TypeAlias = tuple[str, str, str]
"""Instrument, margin mode, position side: what a position is known by."""
TRADE: Final = "2"
"""Bill type of trades."""
NET: Final = "net_mode"
LONG_SHORT: Final = "long_short_mode"
DEFAULT_LEVER: Final = 300
"""Hundredths: 3 times."""


@define(kw_only=True)
class Position:
    """A position. ``pos`` is signed in net mode and for shorts in long/short mode; cost is signed as it."""

    pos_id: int
    instrument: Instrument
    mgn_mode: str
    pos_side: str
    pos: int = 0
    cost: int = 0
    """Sum of price times signed size that is open, in units."""
    margin: int = 0
    """Pico-USDT; of isolated positions."""
    lever: int = DEFAULT_LEVER
    pnl: int = 0
    fee: int = 0
    funding_fee: int = 0
    liq_penalty: int = 0
    trade_id: int = 0
    c_time: int = 0
    u_time: int = 0
    opened: int = 0
    """Size that was opened since it was flat, and what it cost: the open average."""
    opened_cost: int = 0
    closed: int = 0
    closed_cost: int = 0
    largest: int = 0

    def upl(self, px: int) -> int:
        """Unrealised result at a price, pico-USDT."""
        return (px * self.pos - self.cost) * self.instrument.unit

    def notional(self, px: int) -> int:
        """Absolute value at a price, pico-USDT."""
        return self.instrument.value(px, abs(self.pos))

    @property
    def realized(self) -> int:
        """Realised result with fee, funding and penalty."""
        return self.pnl + self.fee + self.funding_fee + self.liq_penalty


@define(kw_only=True)
class Closing:
    """A row of the positions history: what became of a position since it was last flat."""

    position: Position
    long: bool
    c_time: int
    whole: bool = False
    kind: str = "1"
    """1 part, 2 whole, 3 liquidation, 4 partial liquidation, 5 ADL."""
    trigger_px: int = 0
    u_time: int = 0
    opened: int = 0
    opened_cost: int = 0
    closed: int = 0
    closed_cost: int = 0
    largest: int = 0
    pnl: int = 0
    fee: int = 0
    funding_fee: int = 0
    liq_penalty: int = 0
    lever: int = 0

    def take(self, now: int) -> None:
        """Take over the position's figures as they are now."""
        self.u_time = now
        for name in ("opened", "opened_cost", "closed", "closed_cost", "largest", "pnl", "fee", "funding_fee",
                     "liq_penalty", "lever"):  # fmt: skip
            setattr(self, name, getattr(self.position, name))

    @property
    def realized(self) -> int:
        """Realised result with fee, funding and penalty."""
        return self.pnl + self.fee + self.funding_fee + self.liq_penalty


@frozen(kw_only=True)
class Done:
    """One trade from one side: what happened, at which mark and index, for which fee (negative: a charge)."""

    trade_id: int
    px: int
    sz: int
    ts: int
    fee: int
    taker: bool
    mark: int
    index: int
    kind: str = TRADE
    """Type of its bill."""
    sub_types: tuple[str, str] | None = None
    """Of the bill of a buy and of a sell, where they do not follow from the order."""


@frozen
class Fill:
    """One fill of one account, as `trade/fills` shows it."""

    bill_id: int
    order: Order
    done: Done
    pnl: int
    sub_type: str


@frozen(kw_only=True)
class Bill:
    """One movement of money, as `account/bills` shows it."""

    bill_id: int
    ts: int
    kind: str
    sub_type: str
    bal_chg: int
    bal: int
    inst: Instrument | None = None
    mgn_mode: str = ""
    sz: str = ""
    px: str = ""
    pos_bal_chg: int = 0
    pos_bal: int = 0
    pnl: int = 0
    fee: int = 0
    ord_id: str = ""
    cl_ord_id: str = ""
    tag: str = ""
    trade_id: str = ""
    exec_type: str = ""
    fill_time: str = ""
    notes: str = ""


@define(kw_only=True)
class Account:
    """A master account or a sub-account: everything of it lives under its user id."""

    uid: str
    main_uid: str
    label: str
    cash: int = 0
    pos_mode: str = NET
    stp: str = "cancel_maker"
    acct_lv: str = "2"
    taker: int = 50_000
    maker: int = 20_000
    """Fee rates in 1e-8."""
    positions: dict[Place, Position] = field(factory=dict)
    levers: dict[Place, int] = field(factory=dict)
    pending: dict[int, Order] = field(factory=dict)
    by_client: dict[str, Order] = field(factory=dict)
    """Pending orders by client id."""
    done: deque[Order] = field(factory=deque)
    """Terminal orders that traded, in the order in which they ended."""
    void: deque[Order] = field(factory=deque)
    """Cancelled orders that never traded: kept for two hours."""
    fills: deque[Fill] = field(factory=deque)
    bills: deque[Bill] = field(factory=deque)
    closings: deque[Closing] = field(factory=deque)
    """Rows of the positions history, newest last."""
    held: dict[Place, Position] = field(factory=dict)
    """Positions that are flat now and were held once."""
    frozen: str = ""
    """An error code while the venue works on the account."""
    cool_off_until: int = 0
    switches: dict[str, tuple[int, int]] = field(factory=dict)
    """cancel-all-after: trigger time and set time by tag."""
    u_time: int = 0
    version: int = 0
    """Grows with every bill and every order that begins or ends."""

    @property
    def is_main(self) -> bool:
        """Whether it is the master account."""
        return self.uid == self.main_uid

    def lever(self, inst_id: str, mgn_mode: str, pos_side: str) -> int:
        """The leverage that holds for an order, in hundredths."""
        side = pos_side if mgn_mode == "isolated" and self.pos_mode == LONG_SHORT else ""
        return self.levers.get((inst_id, mgn_mode, side), DEFAULT_LEVER)

    def open_positions(self) -> Iterator[Position]:
        """Positions that are not flat."""
        return (one for one in self.positions.values() if one.pos != 0)

    def orders_of(self, inst_id: str, keep: Callable[[Order], bool] = lambda _: True) -> list[Order]:
        """Pending orders in an instrument, oldest first."""
        return [one for one in self.pending.values() if one.instrument.inst_id == inst_id and keep(one)]
