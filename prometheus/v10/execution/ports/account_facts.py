"""The account as the exchange tells it: settings, money, positions, fees, bills. None: the exchange did not say."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from prometheus.v10.execution.ports.order_terms import MarginMode


@frozen(kw_only=True)
class AccountConfig:
    """Settings of the account and of the key that asked.

    Attributes:
        level: 1 spot, 2 futures, 3 multi-currency, 4 portfolio.
        position_mode: ``net_mode`` or ``long_short_mode``.
        stp_default: the account's own mode of self-trade prevention.
        permissions: of the key, e.g. ``read_only``, ``trade``.
        addresses: IP addresses that the key is bound to; empty when it is bound to none.
    """

    uid: str
    main_uid: str
    level: str
    position_mode: str
    stp_default: str | None
    permissions: tuple[str, ...]
    addresses: tuple[str, ...]
    label: str


@frozen(kw_only=True)
class Balance:
    """One currency of the account. ``total_equity_usd`` is the whole account's, in USD: another unit."""

    currency: str
    equity: Decimal
    cash: Decimal
    available: Decimal | None
    unrealised: Decimal | None
    total_equity_usd: Decimal | None
    ts_ms: int


@frozen(kw_only=True)
class Position:
    """A position in net mode; ``lots`` is signed, and 0 for one that was closed.

    Attributes:
        margin_ratio: of the exchange's kind: at or below 1 it liquidates; None when not told.
        liquidation_penalty: settlement currency, negative; None when not told.
        adl_rank: 0 to 5, place in the queue for auto-deleveraging; None when not told.
    """

    inst_id: str
    position_id: str
    margin_mode: MarginMode
    position_side: str
    lots: int
    average_price: Decimal | None
    mark_price: Decimal | None
    leverage: Decimal | None
    unrealised: Decimal | None
    realised: Decimal | None
    fee: Decimal | None
    funding: Decimal | None
    liquidation_penalty: Decimal | None
    liquidation_price: Decimal | None
    margin_ratio: Decimal | None
    adl_rank: int | None
    updated_ms: int


@frozen(kw_only=True)
class FeeRate:
    """Fees of an instrument's group as shares of notional; negative is a charge."""

    group_id: str
    taker: Decimal
    maker: Decimal
    level: str


@frozen(kw_only=True)
class LeverageFact:
    """The leverage that the exchange says is set."""

    inst_id: str
    margin_mode: MarginMode
    leverage: Decimal


@frozen(kw_only=True)
class Bill:
    """One movement of the account's money.

    Attributes:
        bill_id: digits; larger is later.
        kind: 2 trade, 5 liquidation, 8 funding, 9 auto-deleveraging, 1 transfer ...
        sub_kind: the exchange's finer number, e.g. 173 funding paid.
        balance_change: settlement currency, as the account's cash moved.
        order_id: '' for a movement without an order.
    """

    bill_id: str
    kind: str
    sub_kind: str
    currency: str
    balance_change: Decimal
    balance: Decimal
    fee: Decimal | None
    pnl: Decimal | None
    inst_id: str
    order_id: str
    client_id: str
    trade_id: str
    ts_ms: int


@frozen(kw_only=True)
class StatusNotice:
    """One notice of the exchange's status page; ``state`` e.g. ``ongoing``, ``env`` 1 production, 2 demo."""

    title: str
    state: str
    service: str
    env: str
    begin_ms: int | None
    end_ms: int | None
