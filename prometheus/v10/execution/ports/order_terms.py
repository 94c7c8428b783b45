"""An order: what is asked for, what the exchange says about it, and its fills. Sizes are lots, prices are ticks."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from enum import StrEnum

from attrs import field, frozen

CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
"""A client order id: letters and digits, at most 32, case counts."""
TAG = re.compile(r"[A-Za-z0-9]{0,16}")


class Side(StrEnum):
    """Which way an order goes."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """The kinds of orders that are sent. Market orders go as ``optimal_limit_ioc``: what is not filled is cancelled."""

    MARKET_IOC = "optimal_limit_ioc"
    LIMIT = "limit"
    LIMIT_IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"

    @property
    def has_price(self) -> bool:
        """Whether the order names a price."""
        return self is not OrderType.MARKET_IOC


class MarginMode(StrEnum):
    """How a position is margined."""

    CROSS = "cross"
    ISOLATED = "isolated"


class StpMode(StrEnum):
    """What happens when an order would meet another of the same owner; always sent, never left to a default."""

    CANCEL_MAKER = "cancel_maker"
    CANCEL_TAKER = "cancel_taker"
    CANCEL_BOTH = "cancel_both"


class VenueState(StrEnum):
    """The exchange's own states of an order."""

    LIVE = "live"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    MMP_CANCELED = "mmp_canceled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can follow."""
        return self not in {VenueState.LIVE, VenueState.PARTIALLY_FILLED}


def _positive(_: object, attribute: object, value: int) -> None:
    if type(value) is not int or value <= 0:
        raise ValueError(f"{getattr(attribute, 'name', 'value')} is {value!r}, not a whole number above 0")


def _client_id(_: object, __: object, value: str) -> None:
    if CLIENT_ID.fullmatch(value) is None:
        raise ValueError(f"client id {value!r} is not 1 to 32 letters and digits")


def _tag(_: object, __: object, value: str) -> None:
    if TAG.fullmatch(value) is None:
        raise ValueError(f"tag {value!r} is not at most 16 letters and digits")


@frozen(kw_only=True)
class OrderRequest:
    """One order of the account in net mode; every field is given, none has a default.

    Attributes:
        price_ticks: None exactly for an order at market.
        expire_ms: Unix ms on the exchange's clock after which the exchange must drop the request.
    """

    inst_id: str
    client_id: str = field(validator=_client_id)
    side: Side
    order_type: OrderType
    lots: int = field(validator=_positive)
    price_ticks: int | None = field()
    reduce_only: bool
    margin_mode: MarginMode
    stp_mode: StpMode
    tag: str = field(validator=_tag)
    expire_ms: int = field(validator=_positive)

    @price_ticks.validator
    def _priced(self, _: object, value: int | None) -> None:
        if self.order_type.has_price != (value is not None):
            raise ValueError(f"an order of type {self.order_type.value} with price {value!r}")


@frozen(kw_only=True)
class PreparedOrder:
    """An order as it will stand on the wire: ``body`` is what is sent, byte for byte."""

    request: OrderRequest
    path: str
    body: bytes

    @property
    def sha256(self) -> str:
        """Of the body, in hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()


@frozen(kw_only=True)
class Ack:
    """The exchange took a request: no more than that. What became of the order is asked for."""

    client_id: str
    order_id: str
    ts_ms: int | None


@frozen(kw_only=True)
class OrderReport:
    """An order as the exchange has it on record.

    Attributes:
        client_id: '' when the order carries none (forced orders, orders of other tools).
        filled_lots: the running total of its fills.
        average_price: of the fills; None before the first.
        cancel_source: the exchange's number; None unless cancelled.
        category: ``normal``, or what forced it: ``full_liquidation``, ``partial_liquidation``, ``adl`` ...
        stp_mode: as the exchange says; None when it says nothing.
    """

    inst_id: str
    order_id: str
    client_id: str
    tag: str
    state: VenueState
    side: Side
    order_type: str
    lots: int
    filled_lots: int
    average_price: Decimal | None
    reduce_only: bool
    cancel_source: str | None
    category: str
    stp_mode: str | None
    created_ms: int
    updated_ms: int


@frozen(kw_only=True)
class Fill:
    """One fill; known by its instrument and ``trade_id``.

    Attributes:
        bill_id: of the account's bill for it; digits, larger is later.
        price_ticks: None for a price between two ticks: fills that the exchange forces (liquidation, deleveraging) may
            have one; a fill of an order has not.
        fee: settlement currency; negative is a charge, positive a rebate.
        exec_type: ``T`` taker or ``M`` maker.
        ts_ms: Unix ms of the trade.
    """

    inst_id: str
    trade_id: str
    order_id: str
    client_id: str
    bill_id: str
    side: Side
    lots: int = field(validator=_positive)
    price: Decimal
    price_ticks: int | None
    fee: Decimal
    fee_currency: str
    exec_type: str
    ts_ms: int

    @property
    def key(self) -> tuple[str, str]:
        """What makes a fill the same fill: instrument and trade id."""
        return (self.inst_id, self.trade_id)
