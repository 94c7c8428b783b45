"""Capital: the triplet allocated / reserve / total, and its conservation (contracts, section 3).

``current_total = allocated_capital + system_reserve``. Allocated capital is the equity of the living. It changes by
profit, fees and funding, which are booked as they happen; births and deaths only move it. So at every tick

    reserve + sum(equity)  ==  initial + realised + sum(unrealised) - fees - funding

up to rounding, and the largest gap ever seen is kept. What the dead leave, and every debt, goes to the reserve.
Capital is never injected.
"""

from __future__ import annotations

from prometheus.v10.core import genome
from prometheus.v10.core.compiled import compiled
from prometheus.v10.core.state import LANES, Agents, Books

# Rows of Books.money, in USDT (RESIDUAL and DRAWDOWN are fractions of the total).
INITIAL, RESERVE, REALISED, FEES, FUNDING, SLIPPAGE, TOTAL, ALLOCATED, PEAK, DRAWDOWN, RESIDUAL = range(11)
MONEY_ROWS = 11

# Rows of Books.tally.
ALIVE, BORN, DIED, ORDERS, ROUND_TRIPS, DYING, AGENT_TICKS, RECENT_DEATHS, OPEN_ORDERS = range(9)
COUNT_ROWS = 9


@compiled
def unrealised(position: float, lot_btc: float, entry_price: float, price: float) -> float:
    """Profit of an open position at ``price``, USDT."""
    return position * lot_btc * (price - entry_price)


@compiled
def mark_to_market(agents: Agents, books: Books, close: float, lot_btc: float, tick: int) -> None:
    """Revalue everyone at ``close``, write the triplet of this tick and keep the largest conservation gap."""
    allocated = 0.0
    paper = 0.0
    for tile in range(agents.accounts.shape[0]):
        account = agents.accounts[tile]
        cash, position, entry = account["cash"], account["position"], account["entry_price"]
        equity, profit = account["equity"], account["unrealised"]
        for i in range(LANES):
            profit[i] = unrealised(position[i], lot_btc, entry[i], close)
            equity[i] = cash[i] + profit[i]
        for i in range(LANES):
            allocated += equity[i]
            paper += profit[i]
    money = books.money
    money[ALLOCATED] = allocated
    money[TOTAL] = allocated + money[RESERVE]
    booked = money[INITIAL] + money[REALISED] + paper - money[FEES] - money[FUNDING]
    gap = abs(money[TOTAL] - booked) / max(abs(booked), 1.0)
    money[RESIDUAL] = max(money[RESIDUAL], gap)
    money[PEAK] = max(money[PEAK], money[TOTAL])
    money[DRAWDOWN] = max(money[DRAWDOWN], 1.0 - money[TOTAL] / money[PEAK])
    books.total_by_tick[tick] = money[TOTAL]


@compiled
def clear_genome(agents: Agents, slot: int) -> None:
    """A genome of zeros: its nets say 0 whatever they see."""
    loci, lane = agents.nets[slot // LANES]["loci"], slot % LANES
    for locus in range(genome.LOCI):
        loci[locus, lane] = 0.0


@compiled
def remove_agent(agents: Agents, books: Books, slot: int) -> None:
    """Move what a flat, dead agent leaves (or owes) to the reserve, and make its slot neutral."""
    account, lane = agents.accounts[slot // LANES], slot % LANES
    books.money[RESERVE] += account["cash"][lane]
    account["cash"][lane] = 0.0
    account["equity"][lane] = 0.0
    account["order"][lane] = 0.0
    account["period_capital"][lane] = 1.0
    agents.nets[slot // LANES]["alive"][lane] = 0
    clear_genome(agents, slot)
    books.tally[ALIVE] -= 1
    books.tally[DIED] += 1
