"""The one interface through which the exchange world speaks to an exchange; every adapter fulfils it.

Reads raise `UnavailableError` or `AnswerError` when nothing is known, `RateLimitedError` when our own bucket is empty,
`OrderRefusedError` for a refusal, `MisconfiguredError` for wrong keys or settings. Lists are whole: an adapter walks
the pages to an empty one and refuses a walk with a hole. None in a field means that the exchange did not say.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from attrs import frozen

from prometheus.v10.execution.ports.account_facts import (
    AccountConfig,
    Balance,
    Bill,
    FeeRate,
    LeverageFact,
    Position,
    StatusNotice,
)
from prometheus.v10.execution.ports.contract_units import Candle, Instrument, PositionTier, TopOfBook
from prometheus.v10.execution.ports.order_terms import (
    Ack,
    Fill,
    MarginMode,
    OrderReport,
    OrderRequest,
    PreparedOrder,
)


@frozen(kw_only=True)
class LibraryFacts:
    """Which library sends: the manifest's ``exchange_lib`` and its proof."""

    name: str
    version: str
    sha256: str


class ExchangePort(Protocol):
    """See the module. Sizes are lots, prices ticks, money Decimal, times Unix ms on the exchange's clock."""

    @property
    def library(self) -> LibraryFacts:
        """The sender behind this adapter."""
        ...

    def close(self) -> None:
        """Close connections; closing twice is harmless."""
        ...

    def server_time(self) -> int:
        """The exchange's clock."""
        ...

    def status(self) -> tuple[StatusNotice, ...]:
        """Notices that are scheduled, ongoing or about to open."""
        ...

    def instrument(self, inst_id: str) -> Instrument:
        """An instrument, read anew."""
        ...

    def top_of_book(self, inst_id: str) -> TopOfBook:
        """The best bid and ask."""
        ...

    def candles(self, inst_id: str, seconds: int, most: int) -> tuple[Candle, ...]:
        """The last ``most`` bars of so many seconds, oldest first; the one that is forming is the last."""
        ...

    def tiers(self, instrument: Instrument, mode: MarginMode) -> tuple[PositionTier, ...]:
        """The margin table, smallest position first."""
        ...

    def account_config(self) -> AccountConfig:
        """Settings of the account and of the key."""
        ...

    def balance(self, currency: str) -> Balance:
        """Money in one currency; `AnswerError` when equity or cash is not told. Left out by the exchange is 0."""
        ...

    def positions(self) -> tuple[Position, ...]:
        """Every position of the account that is not flat."""
        ...

    def fee(self, instrument: Instrument) -> FeeRate:
        """The account's fees for the instrument's group; `AnswerError` when they are not told."""
        ...

    def leverage(self, inst_id: str, mode: MarginMode) -> LeverageFact:
        """The leverage as it is set."""
        ...

    def set_leverage(self, inst_id: str, mode: MarginMode, leverage: Decimal) -> None:
        """Ask for a leverage; only `leverage` proves that it took."""
        ...

    def set_position_mode(self, mode: str) -> None:
        """Ask for ``net_mode``; only `account_config` proves that it took."""
        ...

    def prepare(self, request: OrderRequest) -> PreparedOrder:
        """The bytes of an order, without sending anything; needs the instrument read before."""
        ...

    def send(self, prepared: PreparedOrder) -> Ack:
        """Send an order once, its bytes as prepared.

        Raises:
            OrderRefusedError: proved: nothing was placed.
            OutcomeUnknownError: nothing is proved.
            RateLimitedError: nothing was sent.
        """
        ...

    def cancel(self, inst_id: str, order_id: str) -> None:
        """Ask for a cancellation; only `order` proves it. Raises as `send`."""
        ...

    def order(self, inst_id: str, client_id: str) -> OrderReport | None:
        """The latest order with this client id; None when the exchange says that it knows none: no proof by itself."""
        ...

    def pending(self) -> tuple[OrderReport, ...]:
        """Every resting order of the account."""
        ...

    def history(self, *, since_ms: int) -> tuple[OrderReport, ...]:
        """Orders that ended, created at or after ``since_ms``; cancelled ones without a fill are kept 2 hours."""
        ...

    def fills(self, *, after_bill: str | None, since_ms: int) -> tuple[Fill, ...]:
        """Fills since ``since_ms``, oldest first, each once; the walk reaches back to ``after_bill`` when given."""
        ...

    def bills(self, *, after_bill: str | None, since_ms: int) -> tuple[Bill, ...]:
        """Bills since ``since_ms``, oldest first, each once; the walk reaches back to ``after_bill`` when given."""
        ...
