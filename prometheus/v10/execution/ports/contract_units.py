"""An instrument and its whole numbers: sizes are lots, prices are ticks, money is Decimal.

A linear swap: one contract is ``contract_value`` of the base currency; an order's size is a number of lots of
``lot`` contracts; a price is a number of ticks. One lot times one tick is ``money_quantum`` of the settlement
currency, so every notional of fills is a whole number of quanta.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import field, frozen

from prometheus.v10.execution.ports.exchange_errors import AnswerError


class InstrumentState(StrEnum):
    """What may be done with an instrument now; only ``live`` takes every order."""

    LIVE = "live"
    SUSPEND = "suspend"
    REBASE = "rebase"
    POST_ONLY = "post_only"
    PREOPEN = "preopen"
    TEST = "test"


def whole(amount: Decimal, unit: Decimal, what: str) -> int:
    """``amount`` as a number of ``unit``.

    Raises:
        AnswerError: when it is no whole number of them; nothing is rounded.
    """
    count = amount / unit
    if count != count.to_integral_value():
        raise AnswerError(f"{what} is {amount}, which is no multiple of {unit}")
    return int(count)


@frozen(kw_only=True)
class Instrument:
    """A linear swap as the exchange describes it.

    Attributes:
        inst_id: e.g. ``BTC-USDT-SWAP``.
        family: e.g. ``BTC-USDT``: what position tiers are listed under.
        group_id: which group of fees it belongs to; None when the exchange does not say.
        contract_value: base currency in one contract.
        lot: contracts in one lot.
        tick: settlement currency in one tick of price.
        min_lots: the smallest order, in lots.
        max_market_lots: the largest order at market, in lots.
        max_limit_lots: the largest order with a price, in lots.
        changes: announced changes: (parameter, new value, Unix ms of effect).
    """

    inst_id: str
    family: str
    settle_currency: str
    group_id: str | None
    contract_value: Decimal
    lot: Decimal
    tick: Decimal
    min_lots: int
    max_market_lots: int
    max_limit_lots: int
    max_leverage: Decimal
    state: InstrumentState
    changes: tuple[tuple[str, str, int], ...] = field(default=())

    @property
    def base_per_lot(self) -> Decimal:
        """Base currency in one lot."""
        return self.contract_value * self.lot

    @property
    def money_quantum(self) -> Decimal:
        """Settlement currency in one lot times one tick."""
        return self.base_per_lot * self.tick

    def lots(self, size: Decimal) -> int:
        """A signed size in contracts as lots.

        Raises:
            AnswerError: when they are no whole number of lots.
        """
        return whole(size, self.lot, f"a size of {self.inst_id}")

    def ticks(self, price: Decimal) -> int:
        """A price as ticks.

        Raises:
            AnswerError: when it is no whole number of ticks.
        """
        return whole(price, self.tick, f"a price of {self.inst_id}")

    def contracts(self, lots: int) -> Decimal:
        """So many lots, in contracts: what an order says as ``sz``."""
        return self.lot * lots

    def price(self, ticks: int) -> Decimal:
        """Ticks as a price."""
        return self.tick * ticks


@frozen(kw_only=True)
class TopOfBook:
    """The best prices of a moment, in ticks, with what is offered there, in lots."""

    inst_id: str
    ts_ms: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


@frozen(kw_only=True)
class Candle:
    """One bar of the last price: Unix ms of its open, prices in the settlement currency, volume in the base currency.

    Attributes:
        complete: whether its time is over.
    """

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    complete: bool


@frozen(kw_only=True)
class PositionTier:
    """One step of the margin table: up to ``max_contracts``; the rates are shares of the position's value."""

    tier: int
    max_contracts: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    max_leverage: Decimal
