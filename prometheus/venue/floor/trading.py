"""The state of one environment (demo or live): its market, books and accounts; every rule works on this object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from prometheus.venue.accounts.entries import Books
from prometheus.venue.accounts.holdings import Account, Fill
from prometheus.venue.accounts.tickets import Order
from prometheus.venue.floor.ladder import Ladder
from prometheus.venue.market.depth import Depth
from prometheus.venue.market.instruments import Instrument
from prometheus.venue.market.reference import Reference
from prometheus.venue.market.tape import Tape
from prometheus.venue.quanta import mixed

FIRST_TRADE: Final = 1_500_000_000
SETTLING_MS: Final = 1000
"""How long orders are refused (51030) after a funding time."""


def _silent(kind: str, /, **said: Any) -> None:
    """Write nothing."""


def _deaf(order: Order, fill: Fill | None) -> None:
    """Tell nobody."""


@define
class Market:
    """One instrument of an environment."""

    instrument: Instrument
    tape: Tape
    depth: Depth
    reference: Reference
    ladder: Ladder = field(init=False)
    trade_id: int = FIRST_TRADE
    settling_until: int = 0

    def __attrs_post_init__(self) -> None:
        """Lay the clients' orders among the strangers'."""
        self.ladder = Ladder(self.depth, lambda: self.instrument.tick)


@define
class Trading:
    """An environment. ``note`` writes into the venue's journal."""

    name: str
    now: int
    markets: dict[str, Market] = field(factory=dict)
    accounts: dict[str, Account] = field(factory=dict)
    books: Books = field(factory=Books)
    touched: dict[str, Account] = field(factory=dict)
    """Who traded since shrinking orders were last held to positions."""
    note: Callable[..., None] = _silent
    heard: Callable[[Order, Fill | None], None] = _deaf
    """Hears of every change of an order, with its fill where it traded."""

    @property
    def demo(self) -> bool:
        """Whether it is the demo environment."""
        return self.name == "demo"

    def mark(self, inst_id: str) -> int:
        """The mark of an instrument, price units."""
        return self.markets[inst_id].reference.mark

    def family(self, account: Account) -> list[Account]:
        """The master account and all its sub-accounts."""
        return [one for one in self.accounts.values() if one.main_uid == account.main_uid]

    def market(self, instrument: Instrument) -> Market:
        """The market of an instrument."""
        return self.markets[instrument.inst_id]


def market_of(
    tape: Tape, instrument: Instrument, seed: int, recorded: list[tuple[int, int]], funding_ms: int
) -> Market:
    """A market on a tape, seeded by ``seed`` and the instrument's name."""
    own = mixed(seed, *instrument.inst_id.encode())
    return Market(
        instrument,
        tape,
        Depth(instrument, tape.quote, own),
        Reference(instrument, tape.quote, own, recorded, funding_ms),
    )
