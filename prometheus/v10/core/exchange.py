"""Exchange physics of a linear perpetual swap: fees, slippage, funding, margin, liquidation (contracts, section 3).

* An order fills at the open of the tick after the one it was decided in, as taker, all or part, never later.
* Fill price: open, plus half the quoted spread, plus impact by the square-root law from last tick's volatility and mean
  volume, rounded to the tick size against the trader.
* Nobody fills more than a share of the bar's volume, nor opens more than margin allows at the fill price.
* Funding is paid at 00:00, 08:00 and 16:00 UTC on the position's notional: by longs when the rate is positive.
* A position is liquidated when, at the bar's worst price, equity falls to the maintenance margin; it closes at the
  price where that happened, or at the open when the bar opened beyond it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from prometheus.v10.core import capital, fences
from prometheus.v10.core.compiled import compiled
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import LANES, Agents, Array64, Books, Environment, IntArray, Market, OrderLog, Scratch

FUNDING_PERIOD_S = 8 * 3600

# Kinds of orders in the log.
ENTRY, EXIT, REVIEW_FLATTEN, LIQUIDATION, SETTLEMENT = range(5)
# Flags of an order: what happened to it besides a plain fill.
FLAG_PARTIAL, FLAG_UNFILLED, FLAG_MARGIN_CAPPED, FLAG_BELOW_LOT, FLAG_FORCED = 1, 2, 4, 8, 16

# Reasons for a death at once (lifecycle.py adds the review's).
DEAD_LIQUIDATION = 2
DEAD_DEPLETED = 1


@compiled
def lot_quantity(config: WorldConfig) -> float:
    """BTC in one lot."""
    return config.contract_btc * config.lot_contracts


@compiled
def lot_margin(price: float, config: WorldConfig) -> float:
    """USDT that one lot at ``price`` ties up and costs at once: initial margin and taker fee."""
    return price * lot_quantity(config) * (1.0 / config.leverage_cap + config.taker_fee)


@compiled
def largest_order(cash: float, margin_per_lot: float) -> float:
    """Whole lots that ``cash`` can margin; 0 when not even one."""
    return max(np.floor(cash / margin_per_lot), 0.0)


@compiled
def impact_fraction(quantity: float, volatility: float, mean_volume: float, config: WorldConfig) -> float:
    """Price moved by an order of ``quantity`` BTC, as a fraction: square-root law, at most 10 %."""
    if mean_volume <= 0.0:
        return 0.1
    return min(config.impact * volatility * np.sqrt(quantity / mean_volume), 0.1)


@compiled
def fill_price(reference: float, side: float, half_spread: float, impact: float, tick_size: float) -> float:
    """Price a taker gets: side +1 buys above the reference, -1 sells below, rounded to a tick against it."""
    if side > 0.0:
        return np.ceil((reference + half_spread + reference * impact) / tick_size - 1e-6) * tick_size
    price = np.floor((reference - half_spread - reference * impact) / tick_size + 1e-6) * tick_size
    return max(price, tick_size)


@compiled
def log_order(
    log: OrderLog, books: Books, tick: int, index: int, kind: int, flags: int,
    ordered: float, filled: float, price: float, expected: float, fee: float, impact: float, realised: float,
    after: float,
) -> None:  # fmt: skip
    """Number an order and keep it if it was eventful or its number falls on the sample."""
    number = books.tally[capital.ORDERS]
    books.tally[capital.ORDERS] = number + 1
    keep_one_in = log.state[1]
    if flags == 0 and (keep_one_in <= 0 or number % keep_one_in != 0):
        return
    row = log.state[0]
    log.state[0] = row + 1
    ids, values = log.ids[row], log.values[row]
    ids[0], ids[1], ids[2], ids[3], ids[4] = tick, index, kind, flags, number
    values[0], values[1], values[2], values[3] = ordered, filled, price, expected
    values[4], values[5], values[6], values[7] = fee, impact, realised, after


@compiled
def close_position(
    agents: Agents, books: Books, slot: int, lots: float, price: float, fee_rate: float, lot_btc: float
) -> float:
    """Close ``lots`` (unsigned) of a position at ``price``; returns the realised profit before the fee."""
    account, lane = agents.accounts[slot // LANES], slot % LANES
    position, entry_price = account["position"][lane], account["entry_price"][lane]
    side = 1.0 if position > 0.0 else -1.0
    realised = capital.unrealised(side * lots, lot_btc, entry_price, price)
    fee = lots * lot_btc * price * fee_rate
    entry_fee = lots * lot_btc * entry_price * fee_rate
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
def note_fill(
    agents: Agents, slot: int, shortfall: float, delay: float, slip: float, impact: float, alpha: float
) -> None:
    """Feed one order's experience into the agent's impedance averages (M1, M2, M5, M6).

    Exponential moving averages that start at their first sample; before it the delay is 0, after it never.
    """
    impedance, lane = agents.nets[slot // LANES]["impedance"], slot % LANES
    weight = 1.0 if impedance[1, lane] == 0.0 else alpha
    for row, sample in enumerate((shortfall, delay, slip, impact)):
        before = np.float64(impedance[row, lane])
        impedance[row, lane] = before + weight * (sample - before)


@compiled
def add_death(books: Books, scratch: Scratch, slot: int, reason: int) -> None:
    """Put a slot on this tick's list of deaths."""
    k = books.tally[capital.DYING]
    scratch.dying[k] = slot
    scratch.reason[k] = reason
    books.tally[capital.DYING] = k + 1


class Terms(NamedTuple):
    """What every order that fills at one open meets."""

    tick: int
    reference: float  # the open
    expected: float  # the close the orders were decided at
    half_spread: float  # USDT
    volatility: float
    mean_volume: float  # BTC
    most_lots: float  # nobody fills more
    margin_per_lot: float


@compiled
def terms_of(tick: int, market: Market, environment: Environment, config: WorldConfig) -> Terms:
    """The terms at the open of ``tick``: liquidity as it was known at the close before, volume as it came."""
    most = np.floor(config.max_participation * market.volume[tick] / lot_quantity(config))
    return Terms(
        tick, market.open[tick], market.close[tick - 1], 0.5 * environment.spread[tick - 1],
        environment.volatility[tick - 1], environment.mean_volume[tick - 1], most,
        lot_margin(market.open[tick], config),
    )  # fmt: skip


@compiled
def fill_orders(
    tick: int, market: Market, environment: Environment, agents: Agents, books: Books, log: OrderLog, scratch: Scratch,
    config: WorldConfig,
) -> None:  # fmt: skip
    """Fill every order decided at the close of ``tick`` - 1 at the open of ``tick``.

    An agent that is flat afterwards and cannot margin one lot is depleted: it dies in this tick.
    """
    terms = terms_of(tick, market, environment, config)
    fence = books.fence
    for k in range(books.tally[capital.OPEN_ORDERS]):
        i = scratch.ordering[k]
        account, lane = agents.accounts[i // LANES], i % LANES
        wanted = account["order"][lane]
        if wanted == 0.0:  # withdrawn by a review
            continue
        account["order"][lane] = 0.0
        if account["position"][lane] == 0.0:
            enter(i, wanted, terms, agents, books, log, config)
        else:
            leave(i, wanted, terms, agents, books, log, config)
        if account["position"][lane] == 0.0:
            fence[fences.CAPITAL_DEPLETED, fences.ATTEMPTS] += 1
            if largest_order(account["cash"][lane], terms.margin_per_lot) < 1.0:
                fence[fences.CAPITAL_DEPLETED, fences.TRIGGERS] += 1
                fence[fences.CAPITAL_DEPLETED, fences.BLOCKS] += 1
                scratch.side[i] = 0.0
                add_death(books, scratch, i, DEAD_DEPLETED)


@compiled
def enter(
    slot: int, wanted: float, terms: Terms, agents: Agents, books: Books, log: OrderLog, config: WorldConfig
) -> None:
    """Open a position: as much of the order as margin at the fill price and the bar's volume allow."""
    fence, flags, lots = books.fence, 0, abs(wanted)
    account, lane = agents.accounts[slot // LANES], slot % LANES
    fence[fences.MARGIN_CAP, fences.ATTEMPTS] += 1
    affordable = largest_order(account["cash"][lane], terms.margin_per_lot)
    if lots > affordable:
        fence[fences.MARGIN_CAP, fences.TRIGGERS] += 1
        flags |= FLAG_MARGIN_CAPPED
        lots = affordable
    if lots <= 0.0:
        fence[fences.MARGIN_CAP, fences.BLOCKS] += 1
    filled = within_volume(lots, terms, books)
    if filled < lots:
        flags |= FLAG_PARTIAL
    if filled <= 0.0:
        refuse(slot, wanted, ENTRY, flags, terms, agents, books, log, config)
        return
    side = 1.0 if wanted > 0.0 else -1.0
    price, impact = taken_price(slot, side, filled, terms, agents, books, config)
    fee = filled * lot_quantity(config) * price * config.taker_fee
    account["cash"][lane] -= fee
    agents.costs[0, slot] += fee
    books.money[capital.FEES] += fee
    experience(slot, wanted, filled, price, impact, terms, agents, config)
    account["position"][lane] = side * filled
    account["entry_price"][lane] = price
    agents.nets[slot // LANES]["entry_tick"][lane] = terms.tick
    agents.unfilled[slot] = 0
    log_order(log, books, terms.tick, agents.genome_index[slot], ENTRY, flags, wanted, side * filled, price,
              terms.expected, fee, impact, 0.0, side * filled)  # fmt: skip


@compiled
def leave(
    slot: int, wanted: float, terms: Terms, agents: Agents, books: Books, log: OrderLog, config: WorldConfig
) -> None:
    """Close a position: as much of it as the bar's volume allows; the rest stays and waits."""
    lots, lot_btc = abs(wanted), lot_quantity(config)
    filled = within_volume(lots, terms, books)
    flags = FLAG_PARTIAL if filled < lots else 0
    if filled <= 0.0:
        refuse(slot, wanted, EXIT, flags, terms, agents, books, log, config)
        return
    side = 1.0 if wanted > 0.0 else -1.0
    price, impact = taken_price(slot, side, filled, terms, agents, books, config)
    fee = filled * lot_btc * price * config.taker_fee
    experience(slot, wanted, filled, price, impact, terms, agents, config)
    if filled < lots:
        agents.unfilled[slot] += 1
    realised = close_position(agents, books, slot, filled, price, config.taker_fee, lot_btc)
    log_order(log, books, terms.tick, agents.genome_index[slot], EXIT, flags, wanted, side * filled, price,
              terms.expected, fee, impact, realised, held(slot, agents))  # fmt: skip


@compiled
def within_volume(lots: float, terms: Terms, books: Books) -> float:
    """How many of ``lots`` the bar's volume lets one order have."""
    fence = books.fence
    fence[fences.PARTICIPATION_CAP, fences.ATTEMPTS] += 1
    filled = min(lots, terms.most_lots)
    if filled < lots:
        fence[fences.PARTICIPATION_CAP, fences.TRIGGERS] += 1
        if filled <= 0.0:
            fence[fences.PARTICIPATION_CAP, fences.BLOCKS] += 1
    return filled


@compiled
def taken_price(
    slot: int, side: float, filled: float, terms: Terms, agents: Agents, books: Books, config: WorldConfig
) -> tuple[float, float]:
    """Price and impact fraction of ``filled`` lots taken at the open; books what they cost against the reference."""
    quantity = filled * lot_quantity(config)
    impact = impact_fraction(quantity, terms.volatility, terms.mean_volume, config)
    price = fill_price(terms.reference, side, terms.half_spread, impact, config.tick_size)
    slippage = abs(price - terms.reference) * quantity
    agents.costs[2, slot] += slippage
    books.money[capital.SLIPPAGE] += slippage
    return price, impact


@compiled
def held(slot: int, agents: Agents) -> float:
    """Signed lots of a slot's position."""
    return agents.accounts[slot // LANES]["position"][slot % LANES]


@compiled
def waited(slot: int, agents: Agents, config: WorldConfig) -> float:
    """M2's sample: ticks since the order was first wanted, against the reference, at most 1."""
    return min((1.0 + agents.unfilled[slot]) / config.reference_fill_ticks, 1.0)


@compiled
def experience(
    slot: int, wanted: float, filled: float, price: float, impact: float, terms: Terms, agents: Agents,
    config: WorldConfig,
) -> None:  # fmt: skip
    """Feed a fill into the agent's impedance averages."""
    slip = abs(price - terms.expected) / terms.expected
    note_fill(agents, slot, 1.0 - filled / abs(wanted), waited(slot, agents, config), slip, impact, config.ema_alpha)


@compiled
def refuse(
    slot: int, wanted: float, kind: int, flags: int, terms: Terms, agents: Agents, books: Books, log: OrderLog,
    config: WorldConfig,
) -> None:  # fmt: skip
    """Record an order of which nothing was filled."""
    note_fill(agents, slot, 1.0, waited(slot, agents, config), 0.0, 0.0, config.ema_alpha)
    agents.unfilled[slot] += 1
    log_order(log, books, terms.tick, agents.genome_index[slot], kind, flags | FLAG_UNFILLED, wanted, 0.0, 0.0,
              terms.expected, 0.0, 0.0, 0.0, held(slot, agents))  # fmt: skip


@compiled
def pay_funding(price: float, rate: float, agents: Agents, books: Books, lot_btc: float) -> None:
    """Book funding on every open position at ``price``: longs pay a positive ``rate``, shorts receive it."""
    total = 0.0
    for tile in range(agents.accounts.shape[0]):
        cash, position = agents.accounts[tile]["cash"], agents.accounts[tile]["position"]
        for i in range(LANES):
            paid = position[i] * lot_btc * price * rate
            cash[i] -= paid
            agents.costs[1, tile * LANES + i] += paid
            total += paid
    books.money[capital.FUNDING] += total


@compiled
def liquidation_price(cash: float, position: float, entry: float, lot_btc: float, maintenance: float) -> float:
    """Price at which equity equals the maintenance margin of ``position`` (signed lots, not 0)."""
    quantity = abs(position) * lot_btc
    if position > 0.0:
        return (quantity * entry - cash) / (quantity * (1.0 - maintenance))
    return (quantity * entry + cash) / (quantity * (1.0 + maintenance))


@compiled
def margin_excess(
    cash: float, position: float, entry: float, worst: float, lot_btc: float, maintenance: float
) -> float:
    """Equity above the maintenance margin at ``worst``, USDT; at or below 0 an open position is liquidated."""
    return cash + capital.unrealised(position, lot_btc, entry, worst) - maintenance * abs(position) * lot_btc * worst


@compiled
def margins_hold(low: float, high: float, agents: Agents, lot_btc: float, maintenance: float) -> bool:
    """Fill ``margin`` of every account at the bar's worst price for it, 1 where it is flat; whether all are above 0."""
    gone = 0
    for tile in range(agents.accounts.shape[0]):
        account = agents.accounts[tile]
        cash, position, entry, margin = account["cash"], account["position"], account["entry_price"], account["margin"]
        for i in range(LANES):
            worst = low if position[i] > 0.0 else high
            excess = margin_excess(cash[i], position[i], entry[i], worst, lot_btc, maintenance)
            margin[i] = excess if position[i] != 0.0 else 1.0
        for i in range(LANES):
            gone += 1 if margin[i] <= 0.0 else 0
    return gone == 0


@compiled
def liquidate(
    tick: int, market: Market, agents: Agents, books: Books, log: OrderLog, scratch: Scratch, config: WorldConfig
) -> None:
    """Close every position whose margin gave out within the bar; its agent dies, its debt is the reserve's."""
    lot_btc, maintenance = lot_quantity(config), config.maintenance_margin
    if margins_hold(market.low[tick], market.high[tick], agents, lot_btc, maintenance):
        return
    fence = books.fence
    for i in range(scratch.dying.shape[0]):
        account, lane = agents.accounts[i // LANES], i % LANES
        if account["margin"][lane] > 0.0:
            continue
        position = account["position"][lane]
        limit = liquidation_price(account["cash"][lane], position, account["entry_price"][lane], lot_btc, maintenance)
        opened = market.open[tick]
        price = min(limit, opened) if position > 0.0 else max(limit, opened)
        price = max(price, config.tick_size)
        lots = abs(position)
        scratch.side[i] = 1.0 if position > 0.0 else -1.0
        realised = close_position(agents, books, i, lots, price, config.liquidation_fee, lot_btc)
        fee = lots * lot_btc * price * config.liquidation_fee
        log_order(log, books, tick, agents.genome_index[i], LIQUIDATION, FLAG_FORCED, -position, -position, price,
                  limit, fee, 0.0, realised, 0.0)  # fmt: skip
        # Who holds at the close is counted there (features.community); who does not live to see it, here.
        fence[fences.LIQUIDATION, fences.ATTEMPTS] += 1
        fence[fences.LIQUIDATION, fences.TRIGGERS] += 1
        fence[fences.LIQUIDATION, fences.BLOCKS] += 1
        add_death(books, scratch, i, DEAD_LIQUIDATION)


@compiled
def flatten_all(
    tick: int, market: Market, environment: Environment, agents: Agents, books: Books, log: OrderLog, kind: int,
    config: WorldConfig,
) -> None:  # fmt: skip
    """Close every position at this tick's close, as taker with spread and impact, and drop every open order."""
    lot_btc = lot_quantity(config)
    reference = market.close[tick]
    for i in range(agents.trades.shape[0]):
        account, lane = agents.accounts[i // LANES], i % LANES
        account["order"][lane] = 0.0
        position = account["position"][lane]
        if position == 0.0:
            continue
        lots = abs(position)
        impact = impact_fraction(lots * lot_btc, environment.volatility[tick], environment.mean_volume[tick], config)
        price = fill_price(reference, -position, 0.5 * environment.spread[tick], impact, config.tick_size)
        slippage = abs(price - reference) * lots * lot_btc
        agents.costs[2, i] += slippage
        books.money[capital.SLIPPAGE] += slippage
        realised = close_position(agents, books, i, lots, price, config.taker_fee, lot_btc)
        fee = lots * lot_btc * price * config.taker_fee
        log_order(log, books, tick, agents.genome_index[i], kind, 0, -position, -position, price, reference, fee,
                  impact, realised, 0.0)  # fmt: skip


def funding_by_tick(open_time: IntArray, series: Array64, config: WorldConfig) -> tuple[Array64, int]:
    """Rate booked in each bar, and in how many bars the default stood in for a missing series.

    A bar books the boundaries b (multiples of 8 h) with open_time <= b < open_time + timeframe.
    """
    first = -(-open_time // FUNDING_PERIOD_S)
    last = -(-(open_time + config.timeframe_s) // FUNDING_PERIOD_S)
    boundaries = (last - first).astype(np.float64)
    missing = np.isnan(series)
    rates = np.where(missing, boundaries * config.funding_default, series)
    return rates, int(np.count_nonzero(missing & (boundaries > 0)))
