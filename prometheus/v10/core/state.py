"""The arrays one experiment lives in. Slots are agents; LANES of them share a tile.

What every tick touches of a tile lies in two records: the account, in 64 bits, and the nets with all that they see and
say, in 32. Fields of a record are at fixed distances, so the compiler knows that they do not overlap; and a loop over
the lanes of one width is straight vector code. That is why nothing wider or narrower is mixed into either. What only
trades and deaths touch lies in plain columns.

A slot whose agent is dead keeps neutral values (no cash, no position, a genome of zeros, a period capital of 1), so
that loops over all slots need no special case: a dead agent is silent, flat and worth nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prometheus.v10.core import fences, genome

Array64 = npt.NDArray[np.float64]
Array32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
Tiles = npt.NDArray[np.void]  # (n / LANES,) of a record

LANES = 16  # slots of a tile: a multiple of every vector's width, so that loops over them have no scalar rest
CACHE_LINE = 64  # bytes

HIDDEN_UNITS = 2 * genome.HIDDEN  # of both nets: OUT's five, then IN's five
OWN_ROWS = 16  # I1-I4, M1-M12
DRIVE_TICKS = 16  # how many ticks the environment's share of the hidden units is computed ahead


def tile_record(*fields: tuple[str, type, tuple[int, ...]]) -> np.dtype[np.void]:
    """A record of (name, type, shape) that takes an odd number of cache lines.

    Were the number a power of two, the same field of many tiles would compete for the same few places of a cache.
    """
    size = np.dtype(list(fields), align=True).itemsize
    lines = -(-size // CACHE_LINE) | 1
    return np.dtype([*fields, ("unused", np.uint8, (lines * CACHE_LINE - size,))], align=True)


F64, F32, I32 = np.float64, np.float32, np.int32

ACCOUNTS = tile_record(
    ("cash", F64, (LANES,)),  # USDT, without unrealised profit
    ("position", F64, (LANES,)),  # signed lots; 0 is flat
    ("entry_price", F64, (LANES,)),
    ("equity", F64, (LANES,)),  # cash and unrealised profit at the last mark
    ("unrealised", F64, (LANES,)),  # profit of the position at the last mark
    ("margin", F64, (LANES,)),  # equity above maintenance at the bar's worst price
    ("order", F64, (LANES,)),  # signed lots wanted at the next open; 0 is none
    ("period_capital", F64, (LANES,)),  # capital at birth or at the last breeding
)
NETS = tile_record(
    ("alive", I32, (LANES,)),
    ("entry_tick", I32, (LANES,)),
    ("last_signal", F32, (LANES,)),
    ("impedance", F32, (4, LANES)),  # moving averages of shortfall, delay, slippage, impact (M1, M2, M5, M6)
    ("lots", F32, (LANES,)),  # the position
    ("equity", F32, (LANES,)),
    ("profit", F32, (LANES,)),  # unrealised
    ("excess", F32, (LANES,)),  # equity above the maintenance margin at the close
    ("slope", F32, (LANES,)),  # USDT of that excess lost when the price moves by all of itself
    ("roi", F32, (LANES,)),  # of the period
    ("own", F32, (OWN_ROWS, LANES)),  # I and M of this tick
    ("hidden", F32, (HIDDEN_UNITS, LANES)),  # hidden units of this tick
    ("signal_out", F32, (LANES,)),
    ("signal_in", F32, (LANES,)),
    ("wants", I32, (LANES,)),  # 1: to enter, or to leave
    ("loci", F32, (genome.LOCI, LANES)),  # genomes, locus-major
    ("drive", F32, (DRIVE_TICKS, HIDDEN_UNITS, LANES)),  # the environment's share, computed ahead
)
# Fields of a tile that a survivor does not take along: what every tick makes anew before it reads it, and genomes,
# which `lifecycle.copy_genomes` moves.
NOT_CARRIED = ("unused", "drive", "hidden", "own", "signal_out", "signal_in", "wants", "loci")


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
    """The population: tiles for what every tick touches, one column a slot for the rest."""

    accounts: Tiles  # of ACCOUNTS
    nets: Tiles  # of NETS
    birth_capital: Array64  # (n,)
    costs: Array64  # (3, n): fees, funding, slippage paid so far
    genome_index: IntArray  # (n,) everyone who ever lived, in order of birth
    birth_tick: IntArray  # (n,)
    unfilled: IntArray  # (n,) ticks an exit has waited
    trades: IntArray  # (n,) closed round trips
    wins: IntArray  # (n,) of which with a profit after both fees


class Scratch(NamedTuple):
    """Working memory of one tick."""

    shared: Array32  # (33,): E and C of this tick at their feature index
    ranks: Int32Array  # (n,) period ROI as integers of the same order
    last_best: IntArray  # (1,) see features.kth_largest; the one thing that outlives a tick, and only for speed
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


def empty_tiles(record: np.dtype[np.void], n: int) -> Tiles:
    """Records of ``n`` slots, all zero, beginning on a cache line: vectors that straddle two lines cost twice."""
    size = n // LANES * record.itemsize
    raw = np.zeros(size + CACHE_LINE, dtype=np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size].view(record)


def empty_agents(n: int) -> Agents:
    """``n`` dead slots."""

    def integers() -> IntArray:
        return np.zeros(n, dtype=np.int64)

    accounts = empty_tiles(ACCOUNTS, n)
    accounts["period_capital"] = 1.0
    return Agents(
        accounts, empty_tiles(NETS, n), np.ones(n), np.zeros((3, n)), integers() - 1, integers(), integers(),
        integers(), integers(),
    )  # fmt: skip


def empty_scratch(n: int) -> Scratch:
    """Working memory for ``n`` slots."""

    def integers() -> IntArray:
        return np.zeros(n, dtype=np.int64)

    return Scratch(
        np.zeros(genome.FEATURES, dtype=np.float32), np.zeros(n, dtype=np.int32), np.zeros(1, dtype=np.int64),
        np.zeros(n), integers(), integers(), integers(),
    )  # fmt: skip


def by_slot(field: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy of a field of all tiles, one column a slot: (n,), or (rows, n) where the field has rows."""
    rows = field.shape[1:-1]
    return np.moveaxis(field, 0, -2).reshape(*rows, -1)


def of_slots(field: npt.NDArray[Any], slots: IntArray) -> npt.NDArray[Any]:
    """A copy of a field of all tiles at some slots: (count,), or (count, rows) where the field has rows."""
    picked: npt.NDArray[Any] = field[slots // LANES, ..., slots % LANES]
    return picked


def carry_over(old: Agents, new: Agents, slots: IntArray) -> None:
    """Copy everything but genomes of the agents in ``slots`` of ``old`` to the first slots of ``new``."""
    places = np.arange(len(slots))
    for was, now in zip(old[:2], new[:2], strict=True):
        for field in was.dtype.names or ():
            if field not in NOT_CARRIED:
                now[field][places // LANES, ..., places % LANES] = of_slots(was[field], slots)
    for column, fresh in zip(old[2:], new[2:], strict=True):
        fresh[..., : len(slots)] = column[..., slots]


def empty_books(ticks: int, money_rows: int, count_rows: int) -> Books:
    """Books of an experiment of ``ticks`` ticks, nothing booked yet."""
    return Books(
        np.zeros(money_rows), np.zeros(count_rows, dtype=np.int64),
        np.zeros((len(fences.NAMES), fences.COLUMNS), dtype=np.int64), np.zeros(ticks), np.zeros(ticks, dtype=np.int64),
    )  # fmt: skip


def order_log(rows: int, keep_one_in: int) -> OrderLog:
    """An order log of ``rows`` rows that keeps every eventful order and one in ``keep_one_in`` of the rest."""
    return OrderLog(np.zeros((rows, 5), np.int64), np.zeros((rows, 8)), np.array([0, keep_one_in], dtype=np.int64))
