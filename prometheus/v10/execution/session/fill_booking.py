"""Fills from outside written into the core's arrays, as `exchange.enter`, `leave` and `close_position` write their own.

The core computes a fill and books it in one function. Here the fill is given, so only the booking is left: the same
additions to the same places in the same order. That a session fed with the simulated exchange's fills gives the bits of
`Experiment` is what shows that nothing is missing (`tests/unit/execution/test_session_bits.py`).

"""

from __future__ import annotations

from typing import NamedTuple

from prometheus.v10.core import capital, exchange, fences
from prometheus.v10.core.compiled import compiled
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import LANES, Agents, Array64, Books, IntArray, OrderLog, Scratch

SLOT, KIND = range(2)
# Signed lots; then `AgentFill` without its agent.
ORDERED, ALLOWED, FILLED, PRICE, EXPECTED, FEE, FEE_RATE, IMPACT, SLIPPAGE = range(9)
COLUMNS = 9


class Batch(NamedTuple):
    """Fills of one moment, one row an order."""

    tick: int
    who: IntArray  # (n, 2): SLOT, KIND
    told: Array64  # (n, COLUMNS)


@compiled
def book_openings(
    batch: Batch, margin_per_lot: float, agents: Agents, books: Books, scratch: Scratch, log: OrderLog,
    config: WorldConfig,
) -> None:  # fmt: skip
    """Book the fills of one open; an agent that is flat afterwards and cannot margin one lot is depleted."""
    fence, tick, who, told = books.fence, batch.tick, batch.who, batch.told
    for k in range(who.shape[0]):
        i = who[k, SLOT]
        account, lane = agents.accounts[i // LANES], i % LANES
        account["order"][lane] = 0.0
        if account["position"][lane] == 0.0:
            book_entry(tick, i, told[k], agents, books, log, config)
        else:
            book_exit(tick, i, told[k], agents, books, log, config)
        if account["position"][lane] == 0.0:
            fence[fences.CAPITAL_DEPLETED, fences.ATTEMPTS] += 1
            if exchange.largest_order(account["cash"][lane], margin_per_lot) < 1.0:
                fence[fences.CAPITAL_DEPLETED, fences.TRIGGERS] += 1
                fence[fences.CAPITAL_DEPLETED, fences.BLOCKS] += 1
                scratch.side[i] = 0.0
                exchange.add_death(books, scratch, i, exchange.DEAD_DEPLETED)


@compiled
def book_entry(
    tick: int, slot: int, told: Array64, agents: Agents, books: Books, log: OrderLog, config: WorldConfig
) -> None:
    """A position opened, in whole or in part, or an entry of which nothing was filled."""
    fence, flags, account, lane = books.fence, 0, agents.accounts[slot // LANES], slot % LANES
    wanted, allowed, filled = told[ORDERED], told[ALLOWED], told[FILLED]
    fence[fences.MARGIN_CAP, fences.ATTEMPTS] += 1
    if abs(wanted) > allowed:
        fence[fences.MARGIN_CAP, fences.TRIGGERS] += 1
        flags |= exchange.FLAG_MARGIN_CAPPED
    if allowed <= 0.0:
        fence[fences.MARGIN_CAP, fences.BLOCKS] += 1
    flags |= count_volume(allowed, filled, books)
    if filled <= 0.0:
        book_refusal(tick, slot, flags, told, agents, books, log, config)
        return
    side = 1.0 if wanted > 0.0 else -1.0
    price, fee = told[PRICE], told[FEE]
    book_slippage(slot, told[SLIPPAGE], agents, books)
    account["cash"][lane] -= fee
    agents.costs[0, slot] += fee
    books.money[capital.FEES] += fee
    book_experience(slot, told, agents, config)
    account["position"][lane] = side * filled
    account["entry_price"][lane] = price
    agents.nets[slot // LANES]["entry_tick"][lane] = tick
    agents.unfilled[slot] = 0
    exchange.log_order(log, books, tick, agents.genome_index[slot], exchange.ENTRY, flags, wanted, side * filled, price,
                       told[EXPECTED], fee, told[IMPACT], 0.0, side * filled)  # fmt: skip


@compiled
def book_exit(
    tick: int, slot: int, told: Array64, agents: Agents, books: Books, log: OrderLog, config: WorldConfig
) -> None:
    """A position closed, in whole or in part, or an exit of which nothing was filled."""
    wanted, filled = told[ORDERED], told[FILLED]
    flags = count_volume(abs(wanted), filled, books)
    if filled <= 0.0:
        book_refusal(tick, slot, flags, told, agents, books, log, config)
        return
    side = 1.0 if wanted > 0.0 else -1.0
    book_slippage(slot, told[SLIPPAGE], agents, books)
    book_experience(slot, told, agents, config)
    if filled < abs(wanted):
        agents.unfilled[slot] += 1
    realised = book_close(slot, told, agents, books, exchange.lot_quantity(config))
    exchange.log_order(log, books, tick, agents.genome_index[slot], exchange.EXIT, flags, wanted, side * filled,
                       told[PRICE], told[EXPECTED], told[FEE], told[IMPACT], realised,
                       exchange.held(slot, agents))  # fmt: skip


@compiled
def book_forced(
    batch: Batch, agents: Agents, books: Books, scratch: Scratch, log: OrderLog, config: WorldConfig
) -> None:
    """Positions closed because their margin gave out: their agents are dying."""
    fence, lot_btc = books.fence, exchange.lot_quantity(config)
    tick, who, told = batch.tick, batch.who, batch.told
    for k in range(who.shape[0]):
        i, row = who[k, SLOT], told[k]
        position = agents.accounts[i // LANES]["position"][i % LANES]
        scratch.side[i] = 1.0 if position > 0.0 else -1.0
        realised = book_close(i, row, agents, books, lot_btc)
        exchange.log_order(log, books, tick, agents.genome_index[i], exchange.LIQUIDATION, exchange.FLAG_FORCED,
                           -position, -position, row[PRICE], row[EXPECTED], row[FEE], row[IMPACT], realised,
                           0.0)  # fmt: skip
        fence[fences.LIQUIDATION, fences.ATTEMPTS] += 1
        fence[fences.LIQUIDATION, fences.TRIGGERS] += 1
        fence[fences.LIQUIDATION, fences.BLOCKS] += 1
        exchange.add_death(books, scratch, i, exchange.DEAD_LIQUIDATION)


@compiled
def book_flat(batch: Batch, agents: Agents, books: Books, log: OrderLog, config: WorldConfig) -> None:
    """Positions closed at a bar's close, for a review or at the end."""
    lot_btc = exchange.lot_quantity(config)
    tick, who, told = batch.tick, batch.who, batch.told
    for k in range(who.shape[0]):
        i, row = who[k, SLOT], told[k]
        position = agents.accounts[i // LANES]["position"][i % LANES]
        book_slippage(i, row[SLIPPAGE], agents, books)
        realised = book_close(i, row, agents, books, lot_btc)
        exchange.log_order(log, books, tick, agents.genome_index[i], who[k, KIND], 0, -position, -position, row[PRICE],
                           row[EXPECTED], row[FEE], row[IMPACT], realised, 0.0)  # fmt: skip


@compiled
def book_close(slot: int, told: Array64, agents: Agents, books: Books, lot_btc: float) -> float:
    """`exchange.close_position` with the fee that was charged; returns the realised profit before it."""
    account, lane = agents.accounts[slot // LANES], slot % LANES
    position, entry_price = account["position"][lane], account["entry_price"][lane]
    lots, fee = told[FILLED], told[FEE]
    side = 1.0 if position > 0.0 else -1.0
    realised = capital.unrealised(side * lots, lot_btc, entry_price, told[PRICE])
    entry_fee = lots * lot_btc * entry_price * told[FEE_RATE]
    account["cash"][lane] += realised - fee
    agents.costs[0, slot] += fee
    books.money[capital.REALISED] += realised
    books.money[capital.FEES] += fee
    rest = abs(position) - lots
    account["position"][lane] = side * rest if rest > 0.0 else 0.0
    if rest <= 0.0:
        agents.trades[slot] += 1
        agents.unfilled[slot] = 0
        books.tally[capital.ROUND_TRIPS] += 1
        if realised > fee + entry_fee:
            agents.wins[slot] += 1
    return realised


@compiled
def count_volume(lots: float, filled: float, books: Books) -> int:
    """Count what the market let one order have of ``lots``; returns the flag of a part fill, or 0."""
    fence = books.fence
    fence[fences.PARTICIPATION_CAP, fences.ATTEMPTS] += 1
    if filled >= lots:
        return 0
    fence[fences.PARTICIPATION_CAP, fences.TRIGGERS] += 1
    if filled <= 0.0:
        fence[fences.PARTICIPATION_CAP, fences.BLOCKS] += 1
    return exchange.FLAG_PARTIAL


@compiled
def book_slippage(slot: int, slippage: float, agents: Agents, books: Books) -> None:
    """What a fill cost against its reference price."""
    agents.costs[2, slot] += slippage
    books.money[capital.SLIPPAGE] += slippage


@compiled
def book_experience(slot: int, told: Array64, agents: Agents, config: WorldConfig) -> None:
    """Feed a fill into the agent's impedance averages."""
    price, expected = told[PRICE], told[EXPECTED]
    slip = abs(price - expected) / expected
    exchange.note_fill(agents, slot, 1.0 - told[FILLED] / abs(told[ORDERED]), exchange.waited(slot, agents, config),
                       slip, told[IMPACT], config.ema_alpha)  # fmt: skip


@compiled
def book_refusal(
    tick: int, slot: int, flags: int, told: Array64, agents: Agents, books: Books, log: OrderLog, config: WorldConfig
) -> None:
    """Record an order of which nothing was filled: an entry by who is flat, an exit by who is not."""
    kind = exchange.ENTRY if exchange.held(slot, agents) == 0.0 else exchange.EXIT
    exchange.note_fill(agents, slot, 1.0, exchange.waited(slot, agents, config), 0.0, 0.0, config.ema_alpha)
    agents.unfilled[slot] += 1
    exchange.log_order(log, books, tick, agents.genome_index[slot], kind, flags | exchange.FLAG_UNFILLED,
                       told[ORDERED], 0.0, 0.0, told[EXPECTED], 0.0, 0.0, 0.0,
                       exchange.held(slot, agents))  # fmt: skip
