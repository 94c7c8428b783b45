"""The arrays one experiment lives in. Slots are agents; columns that belong together lie together.

A slot whose agent is dead keeps neutral values (no cash, no position, a genome of zeros, a period capital of 1), so
that loops over all slots need no special case: a dead agent is silent, flat and worth nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from prometheus.v10.core import fences, genome

Array64 = npt.NDArray[np.float64]
Array32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

LANES = 16  # slots come in multiples of this, so that vector loops have no scalar rest

HIDDEN_UNITS = 2 * genome.HIDDEN  # of both nets: OUT's five, then IN's five
OWN_ROWS = 16  # I1-I4, M1-M12
DRIVE_TICKS = 16  # how many ticks the environment's share of the hidden units is computed ahead

# The nets of LANES agents: their genomes, and beside them what a decision works on. One record a tile, because rows at
# fixed distances from one another are known not to overlap: whole nets then become straight vector code.
NETS = np.dtype(
    [
        ("loci", np.float32, (genome.LOCI, LANES)),  # genomes, locus-major
        ("drive", np.float32, (DRIVE_TICKS, HIDDEN_UNITS, LANES)),  # the environment's share, computed ahead
        ("now", np.float32, (HIDDEN_UNITS, LANES)),  # the environment's share of this tick
        ("own", np.float32, (OWN_ROWS, LANES)),  # I and M of this tick
        ("signal_out", np.float32, (LANES,)),
        ("signal_in", np.float32, (LANES,)),
    ],
    align=True,
)
CACHE_LINE = 64  # bytes


class Market(NamedTuple):
    """Bars of one window, one row a tick: shape (T,) each. ``funding`` is NaN where the market has no series."""

    open_time: IntArray  # UTC epoch seconds of the bar's open
    open: Array64
    high: Array64
    low: Array64
    close: Array64
    volume: Array64  # BTC
    funding: Array64  # sum of the rates booked within the bar


class Environment(NamedTuple):
    """What is known of the market at the close of each tick."""

    features: Array32  # (T, 12): E1 .. E12
    volatility: Array64  # (T,): EWMA standard deviation of simple returns of one bar
    mean_volume: Array64  # (T,): EWMA of volume, BTC
    spread: Array64  # (T,): quoted spread, USDT
    trend: Array64  # (T,): signed efficiency ratio of the last day, in [-1, 1]


class Agents(NamedTuple):
    """The population, one column a slot."""

    cash: Array64  # (n,) USDT, without unrealised profit
    position: Array64  # (n,) signed lots; 0 is flat
    entry_price: Array64  # (n,)
    equity: Array64  # (n,) cash and unrealised profit at the last mark
    order: Array64  # (n,) signed lots wanted at the next open; 0 is none
    period_capital: Array64  # (n,) capital at birth or at the last breeding
    birth_capital: Array64  # (n,)
    costs: Array64  # (3, n): fees, funding, slippage paid so far
    impedance: Array32  # (4, n): moving averages of shortfall, delay, slippage, impact (M1, M2, M5, M6)
    last_signal: Array32  # (n,)
    alive: npt.NDArray[np.uint8]  # (n,)
    genome_index: IntArray  # (n,) everyone who ever lived, in order of birth
    birth_tick: IntArray  # (n,)
    entry_tick: IntArray  # (n,)
    unfilled: IntArray  # (n,) ticks an exit has waited
    trades: IntArray  # (n,) closed round trips
    wins: IntArray  # (n,) of which with a profit after both fees
    nets: npt.NDArray[np.void]  # (n / LANES,) of NETS


class Scratch(NamedTuple):
    """Working memory of one tick."""

    own: Array32  # (16, n): I1-I4, M1-M12
    own_by_tile: Array32  # (16, n / LANES, LANES): the same memory
    shared: Array32  # (33,): E and C of this tick at their feature index
    signal_out: Array32  # (n,)
    signal_in: Array32  # (n,)
    signals_by_tile: Array32  # (2, n / LANES, LANES): the memory of both
    roi: Array32  # (n,) period ROI
    ranked: Array32  # (n,) the best of them, being sorted
    cut: Array32  # (1,) see features.threshold_of_the_best; the one thing that outlives a tick, and only for speed
    margin: Array64  # (n,) equity above maintenance at the bar's worst price
    side: Array64  # (n,) side of the position a dying agent held
    dying: IntArray  # (n,): slots that died in this tick
    reason: IntArray  # (n,): why
    ordering: IntArray  # (n,): slots with an order for the next open


class Books(NamedTuple):
    """Running totals of the experiment."""

    money: Array64  # see capital.py for the rows
    tally: IntArray  # see capital.py for the rows
    fence: IntArray  # (fences, 4): steps, attempts, triggers, blocks
    total_by_tick: Array64  # (T,): current_total after each tick
    deaths_by_tick: IntArray  # (T,)


class OrderLog(NamedTuple):
    """A window of order records for the caller to take away; recording never changes what is recorded."""

    ids: IntArray  # (rows, 5): tick, genome_index, kind, flags, order number
    values: Array64  # (rows, 8): ordered, filled, price, expected, fee, impact, realised, position after
    state: IntArray  # (2,): rows used, one in how many is kept


def padded(slots: int) -> int:
    """Smallest multiple of LANES that holds ``slots``."""
    return max(LANES, (slots + LANES - 1) // LANES * LANES)


def empty_nets(n: int) -> npt.NDArray[np.void]:
    """Nets of ``n`` slots, all zero, beginning on a cache line: vectors that straddle two lines cost twice."""
    size = n // LANES * NETS.itemsize
    raw = np.zeros(size + CACHE_LINE, dtype=np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size].view(NETS)


def empty_agents(n: int) -> Agents:
    """``n`` dead slots."""

    def f(*shape: int) -> Array64:
        return np.zeros(shape, dtype=np.float64)

    def i() -> IntArray:
        return np.zeros(n, dtype=np.int64)

    return Agents(
        f(n), f(n), f(n), f(n), f(n), np.ones(n), np.ones(n), f(3, n), np.zeros((4, n), dtype=np.float32),
        np.zeros(n, dtype=np.float32),
        np.zeros(n, dtype=np.uint8), i() - 1, i(), i(), i(), i(), i(), empty_nets(n),
    )  # fmt: skip


def empty_scratch(n: int) -> Scratch:
    """Working memory for ``n`` slots."""

    def f32(*shape: int) -> Array32:
        return np.zeros(shape, dtype=np.float32)

    def integers() -> IntArray:
        return np.zeros(n, dtype=np.int64)

    own, both = f32(OWN_ROWS, n), f32(2, n)
    return Scratch(
        own, own.reshape(OWN_ROWS, -1, LANES), f32(genome.FEATURES), both[0], both[1], both.reshape(2, -1, LANES),
        f32(n), f32(n), np.full(1, np.inf, dtype=np.float32), np.zeros(n), np.zeros(n), integers(), integers(),
        integers(),
    )  # fmt: skip


def empty_books(ticks: int, money_rows: int, count_rows: int) -> Books:
    """Books of an experiment of ``ticks`` ticks, nothing booked yet."""
    return Books(
        np.zeros(money_rows), np.zeros(count_rows, dtype=np.int64),
        np.zeros((len(fences.NAMES), fences.COLUMNS), dtype=np.int64), np.zeros(ticks), np.zeros(ticks, dtype=np.int64),
    )  # fmt: skip


def order_log(rows: int, keep_one_in: int) -> OrderLog:
    """An order log of ``rows`` rows that keeps every eventful order and one in ``keep_one_in`` of the rest."""
    return OrderLog(np.zeros((rows, 5), np.int64), np.zeros((rows, 8)), np.array([0, keep_one_in], dtype=np.int64))
