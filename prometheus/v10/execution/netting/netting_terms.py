"""The words of netting: what an agent wants, what the exchange did, and the contract's whole numbers.

Sizes are lots, prices are ticks, notional is quanta: one quantum is one lot times one tick, in USDT. All three are
integers. Fees and funding are Decimal and exact: a result that would have to be rounded is an error (`exactly`).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from decimal import Context, Decimal, DivisionByZero, FloatOperation, Inexact, InvalidOperation, Overflow, localcontext
from enum import IntEnum
from typing import NamedTuple

from attrs import field, frozen

DIGITS = 90
"""Digits of exact money: rates and prices have some twenty, sums add a few, and every digit beyond is an error."""
CENT_FRACTION = Decimal("1e-8")
"""USDT: what a transfer or a shared penalty is cut to, and the tolerance of money against the exchange's bills."""


def exactly() -> AbstractContextManager[Context]:
    """A context in which Decimal never rounds: it raises instead."""
    return localcontext(
        Context(prec=DIGITS, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, FloatOperation])
    )


class Force(IntEnum):
    """Why a position is closed first; the number stands in the record."""

    NONE = 0
    DEATH = 1
    LIQUIDATION = 2
    REVIEW = 3
    STOP = 4


class Delta(NamedTuple):
    """What one agent wants at this bar.

    Attributes:
        agent: its number in the run, not negative.
        held: signed lots that it holds.
        lots: signed lots that it wants to trade; not 0 in a round.
        force: a `Force`; other than NONE only where ``lots`` closes some of ``held``.
    """

    agent: int
    held: int
    lots: int
    force: int = Force.NONE


class VenueTrade(NamedTuple):
    """One fill of an order of the account, as the exchange told it.

    Attributes:
        trade_id: unique for the instrument.
        lots: unsigned, at least 1.
        price: ticks, at least 1.
        fee: USDT as the balance moved: negative is charged.
    """

    trade_id: str
    lots: int
    price: int
    fee: Decimal


class SentOrder(NamedTuple):
    """One order of a round, as it was sent.

    Attributes:
        client_id: under which it was sent; no other order has it.
        lots: signed, what it asked for.
        trades: its fills; None while it is not proved what became of it.
    """

    client_id: str
    lots: int
    trades: tuple[VenueTrade, ...] | None


@frozen(kw_only=True)
class Contract:
    """An instrument's whole numbers and its fee.

    Attributes:
        lot_btc: base currency in one lot: contract value times lot.
        tick: USDT in one tick of price.
        min_lots: the smallest order.
        taker_rate: share of notional, not negative; read from the exchange.
    """

    lot_btc: Decimal = field()
    tick: Decimal = field()
    min_lots: int = field()
    taker_rate: Decimal = field()

    @lot_btc.validator
    @tick.validator
    def _positive(self, attribute: object, value: Decimal) -> None:
        if not value > 0:
            raise ValueError(f"a contract's {getattr(attribute, 'name', '')} is positive, not {value}")

    @min_lots.validator
    def _at_least_one(self, _: object, value: int) -> None:
        if value < 1:
            raise ValueError(f"the smallest order is at least 1 lot, not {value}")

    @taker_rate.validator
    def _not_negative(self, _: object, value: Decimal) -> None:
        if value < 0:
            raise ValueError(f"the rule knows no negative taker fee, such as {value}")

    @property
    def quantum(self) -> Decimal:
        """USDT in one lot times one tick."""
        with exactly():
            return self.lot_btc * self.tick


@frozen(kw_only=True)
class Touch:
    """Best bid and ask, in ticks, of the book that was recorded before the round, and the hash of its bytes."""

    bid: int
    ask: int = field()
    book_sha256: str

    @ask.validator
    def _in_order(self, _: object, value: int) -> None:
        if not 0 < self.bid <= value:
            raise ValueError(f"a book has 0 < bid <= ask, not {self.bid} and {value}")
