"""The 33 feature channels, in the order E1-E12, I1-I4, M1-M12, C1-C5 (contracts, section 3; version below).

All are known at the close of tick t: trailing windows only. They are built from + - * / sqrt and comparisons, each
within [-1, 1] or [0, 1] (M9, the inverse liquidation distance, within [0, 100]). No indicators.

E, the environment, is the same for everyone and for the whole run. ``position in range`` of a price p is
``2 (p - lo) / (hi - lo) - 1`` with lo and hi the extremes of the last ``range_ticks`` bars, clipped to [-1, 1] and 0
when hi = lo. The offline world has no order book: E6-E10 are stated approximations from the bar.

====  ==========================  ====================================================================================
E1    close                       position in range of the close
E2    high                        position in range of the high
E3    low                         position in range of the low
E4    open                        position in range of the open
E5    volume                      v / (v + mean volume)
E6    bid price                   position in range of close - spread / 2
E7    ask price                   position in range of close + spread / 2
E8    bid volume                  b / (b + mean volume), b = v (close - low) / (high - low), or v / 2 when high = low
E9    ask volume                  the same with a = v - b
E10   spread                      spread / (spread + high - low)
E11   24 h high                   position in range of the highest high of the last day
E12   24 h low                    position in range of the lowest low of the last day
====  ==========================  ====================================================================================

I is the agent's own state, M its impedance (what trading has cost it and would cost it), C its community.

====  ==========================  ====================================================================================
I1    has position                0 or 1
I2    direction                   -1, 0, +1
I3    state machine               0 OUT_MARKET, 1 IN_MARKET
I4    last signal                 the signal it last acted on, [-1, 1]
M1    fill                        EMA of 1 - filled / ordered
M2    time                        EMA of ticks to fill / reference
M3    size                        largest order it could send / market depth, at most 1
M4    urgency                     |I4| (M5 + M6)
M5    slippage                    EMA of |fill price - expected| / expected
M6    impact                      EMA of the price fraction its own orders moved
M7    total cost                  M5 + M6 + taker fee
M8    leverage risk               L^2 / (L^2 + k), L = notional / equity
M9    liquidation                 1 / max(distance to liquidation, 0.01); 0 when flat
M10   volatility stress           notional x volatility / margin excess, at most 1
M11   pnl signal quality          |unrealised profit| / equity / ticks held, at most 1
M12   comfort                     |direction x trend| (1 - noise), trend = signed efficiency ratio, noise = 1 - |trend|
C1    group position ratio        holders / alive
C2    long-short bias             (longs - shorts) / holders
C3    average pnl                 mean of period ROI, each clipped to [-1, 1]
C4    death rate                  d / (d + alive), d = deaths of the last ``community_ticks``
C5    top performers              mean last signal of the top 10 % by period ROI
====  ==========================  ====================================================================================

C3 and C5 are averaged as integers (steps of 2^-20), so that they do not depend on the order of the agents.
"""

from __future__ import annotations

import numpy as np

from prometheus.v10.core import capital, exchange, fences, genome
from prometheus.v10.core.compiled import compiled
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import (
    Agents,
    Array32,
    Array64,
    Books,
    Environment,
    IntArray,
    Market,
    Scratch,
)

FEATURE_CONTRACT = "v10/features-33/1"
NAMES = (
    "E1_close_price_norm", "E2_high_price_norm", "E3_low_price_norm", "E4_open_price_norm", "E5_volume_norm",
    "E6_bid_price_norm", "E7_ask_price_norm", "E8_bid_volume_norm", "E9_ask_volume_norm", "E10_spread_norm",
    "E11_24h_high_norm", "E12_24h_low_norm", "I1_has_position", "I2_position_direction", "I3_state_machine_state",
    "I4_last_signal", "M1_fill_impedance", "M2_time_impedance", "M3_size_impedance", "M4_urgency_penalty",
    "M5_slippage_impedance", "M6_impact_impedance", "M7_total_cost_impedance", "M8_leverage_risk_impedance",
    "M9_liquidation_impedance", "M10_volatility_stress", "M11_pnl_signal_quality", "M12_comfort_signal_strength",
    "C1_group_position_ratio", "C2_group_long_short_bias", "C3_group_avg_pnl_pct", "C4_group_death_rate",
    "C5_top_performers_signal",
)  # fmt: skip
E_FIRST, I_FIRST, M_FIRST, C_FIRST = 0, 12, 16, 28
E_COUNT = I_FIRST - E_FIRST
OWN_COUNT = C_FIRST - I_FIRST

# Rows of Scratch.own.
I1, I2, I3, I4, M1, M2, M3, M4, M5, M6, M7, M8, M9, M10, M11, M12 = range(16)

STEPS_PER_UNIT = np.float32(1048576.0)  # 2^20: the grid on which community averages are summed
STEPS_PER_UNIT_64 = 1048576.0
HALF = np.float32(0.5)
F32 = np.float32
ZERO, ONE = F32(0.0), F32(1.0)
TINY = F32(1e-9)  # USDT: keeps a quotient finite where there is no equity
NEAREST = F32(0.01)  # M9's floor of the distance, so at most 100


# ---------------------------------------------------------------------------------------------- E: the environment


@compiled
def trailing_extreme(values: Array64, window: int, sign: float, queue: IntArray, out: Array64) -> None:
    """out[t] = max (sign +1) or min (sign -1) of values[max(0, t - window + 1) .. t], by a monotonic queue.

    ``queue`` (T,) is working memory.
    """
    count = values.shape[0]
    head, tail = 0, 0
    for t in range(count):
        while tail > head and sign * values[queue[tail - 1]] <= sign * values[t]:
            tail -= 1
        queue[tail] = t
        tail += 1
        if queue[head] <= t - window:
            head += 1
        out[t] = values[queue[head]]


@compiled
def position_in_range(price: float, low: float, high: float) -> np.float32:
    """Where ``price`` lies between ``low`` (-1) and ``high`` (+1), clipped; 0 when the range is empty."""
    if high <= low:
        return F32(0.0)
    return F32(min(max(2.0 * (price - low) / (high - low) - 1.0, -1.0), 1.0))


@compiled
def fill_environment(
    market: Market,
    config: WorldConfig,
    features: Array32,
    volatility: Array64,
    mean_volume: Array64,
    spread: Array64,
    trend: Array64,
    extremes: Array64,
    queue: IntArray,
) -> None:
    """Compute every array of `Environment` over the whole window, tick by tick, from what is known at each close.

    ``extremes`` (4, T) and ``queue`` (T,) are working memory.
    """
    ticks = market.close.shape[0]
    high_range, low_range, high_day, low_day = extremes[0], extremes[1], extremes[2], extremes[3]
    trailing_extreme(market.high, config.range_ticks, 1.0, queue, high_range)
    trailing_extreme(market.low, config.range_ticks, -1.0, queue, low_range)
    trailing_extreme(market.high, config.day_ticks, 1.0, queue, high_day)
    trailing_extreme(market.low, config.day_ticks, -1.0, queue, low_day)
    alpha = 2.0 / (config.day_ticks + 1.0)
    variance = 0.0
    mean = market.volume[0]
    path = 0.0
    for t in range(ticks):
        opened, high, low, close, volume = (
            market.open[t],
            market.high[t],
            market.low[t],
            market.close[t],
            market.volume[t],
        )
        before = market.close[t - 1] if t > 0 else opened
        change = close / before - 1.0
        variance = variance + alpha * (change * change - variance) if t > 0 else change * change
        mean = mean + alpha * (volume - mean) if t > 0 else mean
        volatility[t] = np.sqrt(variance)
        mean_volume[t] = mean
        spread[t] = max(config.tick_size, config.spread_volatility * volatility[t] * close)

        # Efficiency ratio of the last day: net move over the path walked, both in price.
        path += abs(close - before)
        first = t - config.day_ticks
        if first >= 0:
            path -= abs(market.close[first] - (market.close[first - 1] if first > 0 else market.open[first]))
        start = market.close[first] if first >= 0 else market.open[0]
        trend[t] = min(max((close - start) / path, -1.0), 1.0) if path > 0.0 else 0.0

        lo, hi = low_range[t], high_range[t]
        bid_volume = volume * (close - low) / (high - low) if high > low else 0.5 * volume
        ask_volume = volume - bid_volume
        row = features[t]
        row[0] = position_in_range(close, lo, hi)
        row[1] = position_in_range(high, lo, hi)
        row[2] = position_in_range(low, lo, hi)
        row[3] = position_in_range(opened, lo, hi)
        row[4] = F32(volume / (volume + mean)) if volume + mean > 0.0 else F32(0.0)
        row[5] = position_in_range(close - 0.5 * spread[t], lo, hi)
        row[6] = position_in_range(close + 0.5 * spread[t], lo, hi)
        row[7] = F32(bid_volume / (bid_volume + mean)) if bid_volume + mean > 0.0 else F32(0.0)
        row[8] = F32(ask_volume / (ask_volume + mean)) if ask_volume + mean > 0.0 else F32(0.0)
        row[9] = F32(spread[t] / (spread[t] + high - low))
        row[10] = position_in_range(high_day[t], lo, hi)
        row[11] = position_in_range(low_day[t], lo, hi)


def environment(market: Market, config: WorldConfig, mask: Array32) -> Environment:
    """The environment of a window; ``mask`` (33,) zeroes ablated channels."""
    ticks = len(market.close)
    result = Environment(
        np.zeros((ticks, E_COUNT), dtype=np.float32), np.zeros(ticks), np.zeros(ticks), np.zeros(ticks), np.zeros(ticks)
    )
    fill_environment(market, config, *result, np.zeros((4, ticks)), np.zeros(ticks, dtype=np.int64))
    result.features[:] *= mask[E_FIRST:I_FIRST]
    return result


# -------------------------------------------------------------------------------- I and M: the agent and its impedance


@compiled
def identity(agents: Agents, own: Array32, n: int) -> None:
    """I1-I4."""
    position, last_signal = agents.position, agents.last_signal
    has, direction, state, last = own[I1], own[I2], own[I3], own[I4]
    for i in range(n):
        has[i] = F32(1.0) if position[i] != 0.0 else F32(0.0)
    for i in range(n):
        direction[i] = F32(1.0) if position[i] > 0.0 else (F32(-1.0) if position[i] < 0.0 else F32(0.0))
    for i in range(n):
        state[i] = has[i]
    for i in range(n):
        last[i] = last_signal[i]


@compiled
def experienced_impedance(agents: Agents, own: Array32, n: int, fee: np.float32) -> None:
    """M1, M2, M5, M6 (moving averages the fills have fed), and M4 and M7, which are made of them."""
    for average, row in enumerate((M1, M2, M5, M6)):
        experienced, mine = agents.impedance[average], own[row]
        for i in range(n):
            mine[i] = experienced[i]
    last_signal, slippage, impact, m4, m7 = agents.last_signal, own[M5], own[M6], own[M4], own[M7]
    for i in range(n):
        m4[i] = abs(last_signal[i]) * (slippage[i] + impact[i])
    for i in range(n):
        m7[i] = min(slippage[i] + impact[i] + fee, ONE)


@compiled
def size_impedance(agents: Agents, own: Array32, n: int, orders_per_depth: np.float32) -> None:
    """M3: the largest notional the agent could send, against the market's depth (``leverage / depth``, per USDT)."""
    equity, m3 = agents.equity, own[M3]
    for i in range(n):
        m3[i] = min(max(F32(equity[i]) * orders_per_depth, ZERO), ONE)


@compiled
def leverage_risk(agents: Agents, own: Array32, n: int, lot_value: np.float32, k: np.float32) -> None:
    """M8 from leverage L = notional / equity, as notional^2 / (notional^2 + k equity^2)."""
    equity, position, m8 = agents.equity, agents.position, own[M8]
    for i in range(n):
        notional = F32(position[i]) * lot_value
        worth = max(F32(equity[i]), TINY)
        m8[i] = notional * notional / (notional * notional + k * worth * worth)


@compiled
def liquidation_nearness(
    agents: Agents, own: Array32, n: int, close: float, lot_btc: float, maintenance: float
) -> None:
    """M9: inverse distance to the liquidation price as a fraction of the close; 0 when flat.

    Solved for the distance: margin excess at the close, over how fast it shrinks per unit of price.
    """
    cash, position, entry, m9 = agents.cash, agents.position, agents.entry_price, own[M9]
    for i in range(n):
        held = position[i] * lot_btc
        size = abs(held)
        excess = F32(cash[i] + held * (close - entry[i]) - maintenance * size * close)
        slope = F32((size - maintenance * held) * close)
        nearness = slope / max(excess, NEAREST * slope, TINY)
        m9[i] = nearness if position[i] != 0.0 else ZERO


@compiled
def volatility_stress(
    agents: Agents, own: Array32, n: int, lot_value: np.float32, volatility: np.float32, maintenance: np.float32
) -> None:
    """M10: one bar's typical move of the position against the margin it has left."""
    equity, position, m10 = agents.equity, agents.position, own[M10]
    for i in range(n):
        notional = abs(F32(position[i])) * lot_value
        left = max(F32(equity[i]) - maintenance * notional, TINY)
        m10[i] = min(notional * volatility / left, ONE)


@compiled
def pnl_quality(agents: Agents, own: Array32, n: int, close: float, lot_btc: float, tick: int) -> None:
    """M11: unrealised profit per tick held, as a fraction of equity."""
    equity, position, entry, entered, m11 = (
        agents.equity,
        agents.position,
        agents.entry_price,
        agents.entry_tick,
        own[M11],
    )
    for i in range(n):
        held = F32(tick - entered[i] + 1)
        profit = abs(F32(position[i] * lot_btc * (close - entry[i])))
        m11[i] = min(profit / (max(F32(equity[i]), TINY) * held), ONE)


@compiled
def comfort(own: Array32, n: int, trend: float) -> None:
    """M12: how strongly the market moves along the agent's axis, either way."""
    direction, m12 = own[I2], own[M12]
    strength = F32(trend * trend)
    for i in range(n):
        m12[i] = abs(direction[i]) * strength


@compiled
def count_clips(own: Array32, books: Books, n: int) -> None:
    """Count where a cap of [0, 1] was reached (M3, M10)."""
    clipped = 0
    size, stress = own[M3], own[M10]
    for i in range(n):
        clipped += 1 if size[i] >= F32(1.0) else 0
    for i in range(n):
        clipped += 1 if stress[i] >= F32(1.0) else 0
    books.fence[fences.FEATURE_CLIP, fences.TRIGGERS] += clipped


@compiled
def own_features(
    tick: int, market: Market, environment: Environment, agents: Agents, books: Books, own: Array32, n: int,
    config: WorldConfig, mask: Array32,
) -> None:  # fmt: skip
    """All of I and M at the close of ``tick``; ablated rows are zero."""
    close = market.close[tick]
    lot_btc = exchange.lot_quantity(config)
    lot_value = F32(lot_btc * close)
    depth = max(config.depth_share * environment.mean_volume[tick] * close, 1e-9)
    maintenance = F32(config.maintenance_margin)
    identity(agents, own, n)
    experienced_impedance(agents, own, n, F32(config.taker_fee))
    size_impedance(agents, own, n, F32(config.leverage_cap / depth))
    leverage_risk(agents, own, n, lot_value, F32(config.leverage_k))
    liquidation_nearness(agents, own, n, close, lot_btc, config.maintenance_margin)
    volatility_stress(agents, own, n, lot_value, F32(environment.volatility[tick]), maintenance)
    pnl_quality(agents, own, n, close, lot_btc, tick)
    comfort(own, n, environment.trend[tick])
    count_clips(own, books, n)
    for row in range(OWN_COUNT):
        if mask[I_FIRST + row] == F32(0.0):
            own[row, :] = F32(0.0)


# ------------------------------------------------------------------------------------------------ C: the community


@compiled
def kth_largest(values: Array32, n: int, k: int) -> float:
    """The ``k``-th largest (1-based) of ``values[:n]``, by selection in place."""
    left, right = 0, n - 1
    wanted = k - 1
    while left < right:
        pivot = values[(left + right) // 2]
        i, j = left, right
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                held = values[i]
                values[i] = values[j]
                values[j] = held
                i += 1
                j -= 1
        if wanted <= j:
            right = j
        elif wanted >= i:
            left = i
        else:
            break
    return values[wanted]


@compiled
def threshold_of_the_best(roi: Array32, ranked: Array32, cut: Array32, n: int, k: int) -> float:
    """The ``k``-th largest ROI.

    ``cut[0]`` is a ROI that, on earlier ticks, between k and 3 k of them reached. Where it still is, only those are
    ranked; else all are, and the cut is moved. It spares time and has no say in the result.
    """
    mark = cut[0]
    count = 0
    for i in range(n):
        ranked[count] = roi[i]
        count += 1 if roi[i] >= mark else 0
    if count < k:
        for i in range(n):
            ranked[i] = roi[i]
        count = n
    if count > 3 * k:
        cut[0] = kth_largest(ranked, count, 2 * k)
    return kth_largest(ranked, count, k)


@compiled
def top_signal(agents: Agents, scratch: Scratch, n: int, alive: int, share: float) -> float:
    """C5: mean last signal of the best ``share`` of the living by period ROI; everyone at the threshold counts."""
    roi, last_signal, alive_flag = scratch.roi, agents.last_signal, agents.alive
    threshold = threshold_of_the_best(roi, scratch.ranked, scratch.cut, n, max(1, int(alive * share)))
    steps = 0
    count = 0
    for i in range(n):
        if roi[i] >= threshold and alive_flag[i] == 1:
            steps += int(np.floor(last_signal[i] * STEPS_PER_UNIT + HALF))
            count += 1
    return steps / STEPS_PER_UNIT_64 / max(count, 1)


@compiled
def community(agents: Agents, books: Books, scratch: Scratch, n: int, config: WorldConfig, mask: Array32) -> None:
    """C1-C5 at the close of this tick, written to their places in ``scratch.shared``."""
    alive = books.tally[capital.ALIVE]
    position, equity, period_capital, roi = agents.position, agents.equity, agents.period_capital, scratch.roi
    for i in range(n):
        roi[i] = F32(equity[i]) / F32(period_capital[i]) - ONE
    longs = 0
    shorts = 0
    for i in range(n):
        longs += 1 if position[i] > 0.0 else 0
    for i in range(n):
        shorts += 1 if position[i] < 0.0 else 0
    steps = 0
    for i in range(n):
        # A dead slot has an ROI of exactly -1; it is taken out again below.
        steps += int(np.floor(min(max(roi[i], -ONE), ONE) * STEPS_PER_UNIT + HALF))
    steps += int(STEPS_PER_UNIT_64) * (n - alive)
    holders = longs + shorts
    books.fence[fences.LIQUIDATION, fences.ATTEMPTS] += holders
    recent = books.tally[capital.RECENT_DEATHS]
    shared = scratch.shared
    shared[C_FIRST] = F32(holders / max(alive, 1))
    shared[C_FIRST + 1] = F32((longs - shorts) / max(holders, 1))
    shared[C_FIRST + 2] = F32(steps / STEPS_PER_UNIT_64 / max(alive, 1))
    shared[C_FIRST + 3] = F32(recent / max(recent + alive, 1))
    shared[C_FIRST + 4] = F32(top_signal(agents, scratch, n, alive, config.top_share))
    for feature in range(C_FIRST, genome.FEATURES):
        shared[feature] *= mask[feature]
