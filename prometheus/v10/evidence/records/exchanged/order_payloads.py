"""The lines of ``order_chain.jsonl``: one class for the line, one for the payload of each kind.

What is not known of a payload is left out, and nothing is null. Money is text, sizes are lots, prices are ticks, times
are Unix ms on the exchange's clock.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import field, frozen

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.schemas.shapes import COUNT, SHA256, UTC, absent, listed, pattern, shape, words

NAMED: Final = pattern(r"[^\x00-\x1f\x7f]{1,300}")
MONEY: Final = pattern(r"-?[0-9]+(\.[0-9]+)?")
DIGITS: Final = pattern("[0-9]{1,40}")
POSITIVE: Final = shape(minimum=1)
SIDE: Final = words("buy", "sell")
KINDS: Final = (
    "INTENT", "SENT", "ACK", "REFUSED", "UNKNOWN", "QUERY", "FILL", "TERMINAL", "ALLOC", "CROSS", "INCIDENT",
    "TRADING", "OPENING", "RECONCILED",
)  # fmt: skip


@frozen(kw_only=True)
class OrderChainLine:
    """One line of the chain: ``n``, ``prev`` and ``id`` as in the pool's.

    Attributes:
        client_id: whose order it is about; '' where it is about none.
        payload: the fields of its kind.
    """

    client_id: str = field(metadata=pattern("[A-Za-z0-9]{0,32}"))
    id: str
    kind: str = field(metadata=words(*KINDS))
    n: int = field(metadata=COUNT)
    payload: dict[str, Any]
    prev: str = field(metadata=SHA256)
    schema: str = Schema.ORDER_CHAIN.value
    ts_utc: str = field(metadata=UTC)


@frozen(kw_only=True)
class Intent:
    """What is meant, durable before it is sent: the order, its bytes, and which agents want how many lots of it.

    Attributes:
        parts: pairs of an agent's name and signed lots.
        purpose: ``net``, ``stop`` or ``flatten_before_opening``.
    """

    run_id: str = field(metadata=NAMED)
    tick: int = field(metadata=COUNT)
    attempt: int = field(metadata=COUNT)
    purpose: str = field(metadata=NAMED)
    inst_id: str = field(metadata=NAMED)
    side: str = field(metadata=SIDE)
    order_type: str = field(metadata=NAMED)
    lots: int = field(metadata=POSITIVE)
    price_ticks: int | None = field(default=None, metadata=absent(POSITIVE))
    reduce_only: bool
    margin_mode: str = field(metadata=NAMED)
    stp_mode: str = field(metadata=NAMED)
    tag: str
    path: str = field(metadata=NAMED)
    body: str = field(metadata=pattern(r"[\x20-\x7e]+"))
    body_sha256: str = field(metadata=SHA256)
    parts: list[list[Any]]
    planned_ms: int = field(metadata=POSITIVE)
    expire_ms: int = field(metadata=POSITIVE)


@frozen(kw_only=True)
class Sent:
    """The request left this process, or its sending failed midway."""

    body_sha256: str = field(metadata=SHA256)
    started_ms: int = field(metadata=POSITIVE)


@frozen(kw_only=True)
class Acked:
    """The exchange's answer that it has the order; no proof of what became of it."""

    order_id: str = field(metadata=DIGITS)
    ts_ms: int | None = field(default=None, metadata=absent(POSITIVE))


@frozen(kw_only=True)
class Refused:
    """The exchange's answer that nothing was placed."""

    code: str = field(metadata=NAMED)
    detail: str


@frozen(kw_only=True)
class Unknown:
    """Nothing is proved."""

    code: str
    detail: str


@frozen(kw_only=True)
class Queried:
    """The exchange was asked for the order.

    Attributes:
        sources: where was looked: ``order``, ``pending``, ``history``, ``fills``.
    """

    asked_ms: int = field(metadata=POSITIVE)
    sources: list[str] = field(metadata=listed(NAMED))
    found: bool
    order_id: str | None = field(default=None, metadata=absent(DIGITS))
    state: str | None = field(default=None, metadata=absent(NAMED))
    filled_lots: int | None = field(default=None, metadata=absent(COUNT))
    cancel_source: str | None = field(default=None, metadata=absent())
    average_price: str | None = field(default=None, metadata=absent(MONEY))


@frozen(kw_only=True)
class Filled:
    """One trade of an order, booked once. ``fee`` is signed: negative is a charge."""

    inst_id: str = field(metadata=NAMED)
    trade_id: str = field(metadata=DIGITS)
    order_id: str = field(metadata=DIGITS)
    bill_id: str = field(metadata=DIGITS)
    side: str = field(metadata=SIDE)
    lots: int = field(metadata=POSITIVE)
    price_ticks: int = field(metadata=POSITIVE)
    fee: str = field(metadata=MONEY)
    fee_currency: str = field(metadata=NAMED)
    exec_type: str = field(metadata=words("T", "M"))
    ts_ms: int = field(metadata=POSITIVE)


@frozen(kw_only=True)
class Ended:
    """How an order ended, with how many lots."""

    state: str = field(metadata=NAMED)
    filled_lots: int = field(metadata=COUNT)
    order_id: str | None = field(default=None, metadata=absent(DIGITS))
    cancel_source: str | None = field(default=None, metadata=absent())


@frozen(kw_only=True)
class Allocated:
    """Which agent got how many lots of which trade: triples."""

    allocations: list[list[Any]]
    round_sha256: str | None = field(default=None, metadata=absent(SHA256))


@frozen(kw_only=True)
class Crossed:
    """Lots that agents of one account exchanged among themselves."""

    tick: int = field(metadata=COUNT)
    inst_id: str = field(metadata=NAMED)
    lots: int = field(metadata=POSITIVE)
    parts: list[list[Any]]
    buy_price: str = field(metadata=MONEY)
    sell_price: str = field(metadata=MONEY)
    round_sha256: str | None = field(default=None, metadata=absent(SHA256))


@frozen(kw_only=True)
class ChainIncident:
    """Something that an operator must look at."""

    reason: str = field(metadata=NAMED)
    detail: str
    order_id: str | None = field(default=None, metadata=absent(DIGITS))


@frozen(kw_only=True)
class Trading:
    """The trading state from here on, with its reasons; ``by`` is ``program`` or an operator."""

    state: str = field(metadata=words("ACTIVE", "REDUCING", "HALTED"))
    reasons: list[str] = field(metadata=listed(NAMED))
    by: str = field(metadata=NAMED)
    detail: str


@frozen(kw_only=True)
class OpeningLine:
    """What the account held when trading began: nothing but money.

    Attributes:
        taker: as the exchange says it, with ``maker``: negative is a charge.
        quantum: USDT of one lot and one tick.
    """

    run_id: str = field(metadata=NAMED)
    inst_id: str = field(metadata=NAMED)
    uid: str = field(metadata=NAMED)
    opened_ms: int = field(metadata=POSITIVE)
    cash: str = field(metadata=MONEY)
    equity: str = field(metadata=MONEY)
    last_bill: str | None = field(default=None, metadata=absent(DIGITS))
    taker: str = field(metadata=MONEY)
    maker: str = field(metadata=MONEY)
    leverage: str = field(metadata=MONEY)
    margin_mode: str = field(metadata=NAMED)
    quantum: str = field(metadata=MONEY)


@frozen(kw_only=True)
class Reconciled:
    """A reconciliation that found nothing wrong: from here the next one goes on. Sums are since the opening."""

    inst_id: str = field(metadata=NAMED)
    looked_ms: int = field(metadata=POSITIVE)
    position_lots: int
    cash: str = field(metadata=MONEY)
    equity: str = field(metadata=MONEY)
    fees: str = field(metadata=MONEY)
    funding: str = field(metadata=MONEY)
    last_bill: str | None = field(default=None, metadata=absent(DIGITS))
    last_bill_ms: int | None = field(default=None, metadata=absent(POSITIVE))
    last_fill: str | None = field(default=None, metadata=absent(DIGITS))
    last_fill_ms: int | None = field(default=None, metadata=absent(POSITIVE))


PAYLOAD_OF: Final[dict[str, type]] = dict(zip(KINDS, (
    Intent, Sent, Acked, Refused, Unknown, Queried, Filled, Ended, Allocated, Crossed, ChainIncident, Trading,
    OpeningLine, Reconciled,
), strict=True))  # fmt: skip
"""The class of each kind's payload."""
