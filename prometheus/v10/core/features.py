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

E, I and M are computed here, C in `community`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from prometheus.v10.core import exchange
from prometheus.v10.core.compiled import compiled
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import (
    LANES,
    Agents,
    Array32,
    Array64,
    Environment,
    IntArray,
    Market,
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

# Rows of a tile's own features.
I1, I2, I3, I4, M1, M2, M3, M4, M5, M6, M7, M8, M9, M10, M11, M12 = range(16)

F32, I32 = np.float32, np.int32
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


class Bar(NamedTuple):
    """What of a bar's close I and M need, the same for everyone."""

    tick: int
    close: float
    lot_btc: float
    maintenance: float  # of notional
    orders_per_depth: np.float32  # leverage over market depth, per USDT
    lot_value: np.float32  # USDT
    leverage_k: np.float32
    volatility: np.float32
    fee: np.float32
    strength: np.float32  # of the trend: squared


@compiled
def bar_at(tick: int, market: Market, environment: Environment, config: WorldConfig) -> Bar:
    """The bar of ``tick`` as everyone's features see it."""
    close, trend, lot_btc = market.close[tick], environment.trend[tick], exchange.lot_quantity(config)
    depth = max(config.depth_share * environment.mean_volume[tick] * close, 1e-9)
    return Bar(
        tick, close, lot_btc, config.maintenance_margin, F32(config.leverage_cap / depth), F32(lot_btc * close),
        F32(config.leverage_k), F32(environment.volatility[tick]), F32(config.taker_fee), F32(trend * trend),
    )  # fmt: skip


@compiled
def narrow_all(agents: Agents, bar: Bar) -> None:
    """`narrow` every tile. A pass of its own: a tile is read in whole rows, which are long written by then."""
    for tile in range(agents.nets.shape[0]):
        narrow(agents.accounts[tile], agents.nets[tile], bar)


@compiled
def narrow(account: np.void, net: np.void, bar: Bar) -> None:
    """An account in 32 bits, as I, M and C see it. Money is 64 bits wide, and what it leaves is rounded here alone."""
    cash, position, entry = account["cash"], account["position"], account["entry_price"]
    value, period_capital = account["equity"], account["period_capital"]
    lots, equity, profit, excess, slope, roi = (
        net["lots"], net["equity"], net["profit"], net["excess"], net["slope"], net["roi"]
    )  # fmt: skip
    for i in range(LANES):
        held = position[i] * bar.lot_btc
        size = abs(held)
        gain = held * (bar.close - entry[i])
        lots[i] = F32(position[i])
        equity[i] = F32(value[i])
        profit[i] = F32(gain)
        excess[i] = F32(cash[i] + gain - bar.maintenance * size * bar.close)
        slope[i] = F32((size - bar.maintenance * held) * bar.close)
        roi[i] = F32(value[i]) / F32(period_capital[i]) - ONE


@compiled
def identity(net: np.void) -> None:
    """I1-I4."""
    own, lots, last_signal = net["own"], net["lots"], net["last_signal"]
    for i in range(LANES):
        own[I1, i] = ONE if lots[i] != ZERO else ZERO
        own[I2, i] = ONE if lots[i] > ZERO else (-ONE if lots[i] < ZERO else ZERO)
        own[I3, i] = ONE if lots[i] != ZERO else ZERO
        own[I4, i] = last_signal[i]


@compiled
def experienced_impedance(net: np.void, fee: np.float32) -> None:
    """M1, M2, M5, M6 (moving averages the fills have fed), and M4 and M7, which are made of them."""
    own, experienced, last_signal = net["own"], net["impedance"], net["last_signal"]
    for i in range(LANES):
        slippage, impact = experienced[2, i], experienced[3, i]
        own[M1, i] = experienced[0, i]
        own[M2, i] = experienced[1, i]
        own[M4, i] = abs(last_signal[i]) * (slippage + impact)
        own[M5, i] = slippage
        own[M6, i] = impact
        own[M7, i] = min(slippage + impact + fee, ONE)


@compiled
def size_impedance(net: np.void, orders_per_depth: np.float32) -> None:
    """M3: the largest notional the agent could send, against the market's depth."""
    own, equity = net["own"], net["equity"]
    for i in range(LANES):
        own[M3, i] = min(max(equity[i] * orders_per_depth, ZERO), ONE)


@compiled
def leverage_risk(net: np.void, lot_value: np.float32, k: np.float32) -> None:
    """M8 from leverage L = notional / equity, as notional^2 / (notional^2 + k equity^2)."""
    own, equity, lots = net["own"], net["equity"], net["lots"]
    for i in range(LANES):
        notional = lots[i] * lot_value
        worth = max(equity[i], TINY)
        own[M8, i] = notional * notional / (notional * notional + k * worth * worth)


@compiled
def liquidation_nearness(net: np.void) -> None:
    """M9: inverse distance to the liquidation price as a fraction of the close; 0 when flat.

    Solved for the distance: margin excess at the close, over how fast it shrinks per unit of price.
    """
    own, lots, excess, slope = net["own"], net["lots"], net["excess"], net["slope"]
    for i in range(LANES):
        nearness = slope[i] / max(excess[i], NEAREST * slope[i], TINY)
        own[M9, i] = nearness if lots[i] != ZERO else ZERO


@compiled
def volatility_stress(net: np.void, lot_value: np.float32, volatility: np.float32, maintenance: np.float32) -> None:
    """M10: one bar's typical move of the position against the margin it has left."""
    own, equity, lots = net["own"], net["equity"], net["lots"]
    for i in range(LANES):
        notional = abs(lots[i]) * lot_value
        left = max(equity[i] - maintenance * notional, TINY)
        own[M10, i] = min(notional * volatility / left, ONE)


@compiled
def pnl_quality(net: np.void, tick: int) -> None:
    """M11: unrealised profit per tick held, as a fraction of equity."""
    own, equity, profit, entry_tick = net["own"], net["equity"], net["profit"], net["entry_tick"]
    for i in range(LANES):
        held = F32(I32(tick - entry_tick[i] + 1))
        own[M11, i] = min(abs(profit[i]) / (max(equity[i], TINY) * held), ONE)


@compiled
def comfort(net: np.void, strength: np.float32) -> None:
    """M12: how strongly the market moves along the agent's axis, either way."""
    own = net["own"]
    for i in range(LANES):
        own[M12, i] = abs(own[I2, i]) * strength


@compiled
def count_clips(net: np.void) -> np.int32:
    """How often a cap of [0, 1] was reached (M3, M10)."""
    own, clipped = net["own"], I32(0)
    for i in range(LANES):
        clipped = I32(clipped + I32(own[M3, i] >= ONE) + I32(own[M10, i] >= ONE))
    return clipped


@compiled
def ablate(net: np.void, mask: Array32) -> None:
    """Zero the rows of I and M that ``mask`` switches off."""
    own = net["own"]
    for row in range(OWN_COUNT):
        if mask[I_FIRST + row] == ZERO:
            for i in range(LANES):
                own[row, i] = ZERO


@compiled
def own_features(net: np.void, bar: Bar, mask: Array32) -> int:
    """All of I and M of a tile, ablated rows zero; returns how often a cap was reached."""
    identity(net)
    experienced_impedance(net, bar.fee)
    size_impedance(net, bar.orders_per_depth)
    leverage_risk(net, bar.lot_value, bar.leverage_k)
    liquidation_nearness(net)
    volatility_stress(net, bar.lot_value, bar.volatility, F32(bar.maintenance))
    pnl_quality(net, bar.tick)
    comfort(net, bar.strength)
    clipped = count_clips(net)
    ablate(net, mask)
    return int(clipped)
