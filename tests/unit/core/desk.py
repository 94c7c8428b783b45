"""A few agents, their books and a market with round numbers, for examples that a person can redo by hand.

One lot is 0.5 BTC x 0.02 = 0.01 BTC. At 1000 USDT it is worth 10 USDT and ties up 10 x (1/2 + 0.001) = 5.01 USDT.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from prometheus.v10.core import capital
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import (
    Agents,
    Books,
    Environment,
    Market,
    OrderLog,
    Scratch,
    empty_agents,
    empty_books,
    empty_scratch,
    order_log,
)

CONFIG = WorldConfig(
    taker_fee=0.001, maker_fee=0.0004, contract_btc=0.5, lot_contracts=0.02, tick_size=0.5, leverage_cap=2.0,
    maintenance_margin=0.1, liquidation_fee=0.002, funding_default=0.0003, spread_volatility=0.25, impact=0.5,
    max_participation=0.1, depth_share=0.02, review_ticks=4, death_roi=0.01, breed_roi=0.05, day_ticks=3, range_ticks=4,
    ema_alpha=0.25, reference_fill_ticks=4.0, leverage_k=2.0, community_ticks=2, top_share=0.5,
)  # fmt: skip
LOT = 0.01  # BTC
SLOTS = 16


class Desk(NamedTuple):
    """What the rules of one tick work on."""

    agents: Agents
    books: Books
    scratch: Scratch
    log: OrderLog

    @property
    def account(self) -> Any:
        """What the sixteen own: the only tile."""
        return self.agents.accounts[0]

    @property
    def net(self) -> Any:
        """Their nets, what they see and what they say."""
        return self.agents.nets[0]

    def seat(self, slot: int, cash: float, position: float = 0.0, entry: float = 0.0, order: float = 0.0) -> None:
        """A living agent; its genome index is 100 + slot."""
        account = self.account
        account["cash"][slot], account["position"][slot], account["entry_price"][slot] = cash, position, entry
        account["order"][slot], account["equity"][slot] = order, cash
        self.net["alive"][slot], self.agents.genome_index[slot] = 1, 100 + slot
        self.books.tally[capital.ALIVE] += 1

    def fence(self, row: int) -> tuple[int, ...]:
        """Attempts, triggers, blocks of a fence."""
        return tuple(int(x) for x in self.books.fence[row, 1:])

    def order_record(self, row: int) -> tuple[list[int], list[float]]:
        """One row of the log: (tick, genome, kind, flags, number) and the eight values."""
        return self.log.ids[row].tolist(), self.log.values[row].tolist()

    @property
    def dying(self) -> list[tuple[int, int]]:
        """(slot, reason) of the dying."""
        k = self.books.tally[capital.DYING]
        return list(zip(self.scratch.dying[:k].tolist(), self.scratch.reason[:k].tolist(), strict=True))


def new_desk(keep_one_in: int = 1) -> Desk:
    """Sixteen empty slots."""
    books = empty_books(8, capital.MONEY_ROWS, capital.COUNT_ROWS)
    return Desk(empty_agents(SLOTS), books, empty_scratch(SLOTS), order_log(8, keep_one_in))


def bars(*rows: tuple[float, float, float, float, float], funding: float = 0.0) -> Market:
    """Hourly bars from rows of (open, high, low, close, volume in BTC)."""
    columns = np.array(rows, dtype=np.float64).T
    return Market(  # type: ignore[call-arg]
        np.arange(len(rows), dtype=np.int64) * 3600,
        *(np.array(column) for column in columns),
        np.full(len(rows), funding),
    )


def known(volatility: list[float], mean_volume: list[float], spread: list[float]) -> Environment:
    """An environment written down tick by tick; its E features are zero and its trend is 0.5."""
    count = len(volatility)
    return Environment(
        np.zeros((count, 12), dtype=np.float32),
        np.array(volatility),
        np.array(mean_volume),
        np.array(spread),
        np.full(count, 0.5),
    )


def near(value: Any) -> Any:
    """Equal but for the rounding of float64."""
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def near32(value: Any) -> Any:
    """Equal but for the rounding of float32."""
    return pytest.approx(value, rel=1e-6, abs=1e-7)
