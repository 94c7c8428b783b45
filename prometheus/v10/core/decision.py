"""Decision: genome + features + state -> signal, next state, intent (contracts, section 3). Pure arithmetic.

A net is ``h = tanh(W1 x)``, ``s = tanh(W2 h)``: 33 inputs, 5 hidden, no bias, float32, sums in feature order.

* OUT_MARKET: enter iff ``s_out > 0``; the side is the sign of the IN net's signal on the same features, the size |s_in|
  of the largest notional that margin allows. A signal of exactly 0 has no side, and nothing is sent.
* IN_MARKET: leave iff ``side * s_in <= 0``; the whole position.

No other threshold gates it. The historic gates (M7, M9, C4, long only) are named fences, off by default, and exist for
counterfactual arms. What is decided at the close of t is filled at the open of t+1 (exchange.py).
"""

from __future__ import annotations

import numpy as np

from prometheus.v10.core import capital, exchange, fences, genome
from prometheus.v10.core.compiled import compiled
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.features import C_FIRST, I_FIRST, M7, M9, OWN_COUNT
from prometheus.v10.core.numeric import tanh32
from prometheus.v10.core.state import Agents, Array32, Books, IntArray, Scratch

ZERO = np.float32(0.0)
UNITS = 2 * genome.HIDDEN  # hidden units of both nets: OUT's five, then IN's five
DRIVE_TICKS = 16  # how many ticks the environment's share is computed ahead


@compiled
def locus(unit: int, feature: int) -> int:
    """Locus of W1[feature, hidden] for hidden unit ``unit`` (0-4 of the OUT net, 5-9 of the IN net)."""
    base = genome.OUT_NET if unit < genome.HIDDEN else genome.IN_NET
    return base + feature * genome.HIDDEN + unit % genome.HIDDEN


@compiled
def environment_drive(environment: Array32, first: int, ticks: int, loci: Array32, drive: Array32, n: int) -> None:
    """The environment's share of every hidden unit for ``ticks`` ticks from ``first``: drive[k, unit, agent].

    E comes first in feature order and is the same for every agent and state, so these partial sums are the very ones
    a tick-by-tick sum would start with; computing them ahead reads the weights once for many ticks.
    """
    for unit in range(UNITS):
        w0, w1, w2, w3 = loci[locus(unit, 0)], loci[locus(unit, 1)], loci[locus(unit, 2)], loci[locus(unit, 3)]
        w4, w5, w6, w7 = loci[locus(unit, 4)], loci[locus(unit, 5)], loci[locus(unit, 6)], loci[locus(unit, 7)]
        w8, w9, w10, w11 = loci[locus(unit, 8)], loci[locus(unit, 9)], loci[locus(unit, 10)], loci[locus(unit, 11)]
        for k in range(ticks):
            x = environment[first + k]
            out = drive[k, unit]
            x0, x1, x2, x3, x4, x5 = x[0], x[1], x[2], x[3], x[4], x[5]
            for i in range(n):
                out[i] = ((((x0 * w0[i] + x1 * w1[i]) + x2 * w2[i]) + x3 * w3[i]) + x4 * w4[i]) + x5 * w5[i]
            x6, x7, x8, x9, x10, x11 = x[6], x[7], x[8], x[9], x[10], x[11]
            for i in range(n):
                out[i] = (
                    ((((out[i] + x6 * w6[i]) + x7 * w7[i]) + x8 * w8[i]) + x9 * w9[i]) + x10 * w10[i]
                ) + x11 * w11[i]


@compiled
def own_drive(unit: int, own: Array32, loci: Array32, hidden: Array32, n: int) -> None:
    """Add I and M, in feature order, four at a time."""
    for row in range(0, OWN_COUNT, 4):
        x0, x1, x2, x3 = own[row], own[row + 1], own[row + 2], own[row + 3]
        feature = I_FIRST + row
        w0, w1 = loci[locus(unit, feature)], loci[locus(unit, feature + 1)]
        w2, w3 = loci[locus(unit, feature + 2)], loci[locus(unit, feature + 3)]
        for i in range(n):
            hidden[i] = (((hidden[i] + x0[i] * w0[i]) + x1[i] * w1[i]) + x2[i] * w2[i]) + x3[i] * w3[i]


@compiled
def community_drive(unit: int, shared: Array32, loci: Array32, hidden: Array32, n: int) -> None:
    """Add C, in feature order."""
    w0, w1, w2 = loci[locus(unit, C_FIRST)], loci[locus(unit, C_FIRST + 1)], loci[locus(unit, C_FIRST + 2)]
    w3, w4 = loci[locus(unit, C_FIRST + 3)], loci[locus(unit, C_FIRST + 4)]
    x0, x1, x2, x3, x4 = (
        shared[C_FIRST], shared[C_FIRST + 1], shared[C_FIRST + 2], shared[C_FIRST + 3], shared[C_FIRST + 4],
    )  # fmt: skip
    for i in range(n):
        hidden[i] = ((((hidden[i] + x0 * w0[i]) + x1 * w1[i]) + x2 * w2[i]) + x3 * w3[i]) + x4 * w4[i]


@compiled
def second_layer(hidden: Array32, loci: Array32, base: int, first: int, signal: Array32, n: int) -> None:
    """signal = tanh(W2 h) of the net at ``base`` whose hidden units start at row ``first``."""
    h0, h1, h2, h3, h4 = hidden[first], hidden[first + 1], hidden[first + 2], hidden[first + 3], hidden[first + 4]
    at = base + genome.W1_LOCI
    w0, w1, w2, w3, w4 = loci[at], loci[at + 1], loci[at + 2], loci[at + 3], loci[at + 4]
    for i in range(n):
        signal[i] = h0[i] * w0[i] + h1[i] * w1[i]
    for i in range(n):
        signal[i] = (signal[i] + h2[i] * w2[i]) + h3[i] * w3[i]
    for i in range(n):
        signal[i] = tanh32(signal[i] + h4[i] * w4[i])


@compiled
def signals(scratch: Scratch, ahead: int, loci: Array32, n: int) -> None:
    """Both nets of every agent: ``scratch.signal_out`` and ``scratch.signal_in``; ``ahead`` is the row of the drive."""
    hidden = scratch.hidden
    for unit in range(UNITS):
        row = hidden[unit]
        drive = scratch.drive[ahead, unit]
        for i in range(n):
            row[i] = drive[i]
        own_drive(unit, scratch.own, loci, row, n)
        community_drive(unit, scratch.shared, loci, row, n)
        for i in range(n):
            row[i] = tanh32(row[i])
    second_layer(hidden, loci, genome.OUT_NET, 0, scratch.signal_out, n)
    second_layer(hidden, loci, genome.IN_NET, genome.HIDDEN, scratch.signal_in, n)


@compiled
def intents(agents: Agents, books: Books, scratch: Scratch, n: int, close: float, config: WorldConfig) -> None:
    """Turn signals into orders for the next open, and remember the signal each agent acted on."""
    position, order, cash = agents.position, agents.order, agents.cash
    signal_out, signal_in, last_signal = scratch.signal_out, scratch.signal_in, agents.last_signal
    m7, m9 = scratch.own[M7], scratch.own[M9]
    c4 = scratch.shared[C_FIRST + 3]
    fence = books.fence
    for i in range(n):
        last_signal[i] = signal_out[i] if position[i] == 0.0 else signal_in[i]
    margin_per_lot = exchange.lot_margin(close, config)
    open_orders = 0
    for i in range(n):
        wanted = 0.0
        if position[i] != 0.0:
            if position[i] * signal_in[i] <= 0.0:
                wanted = -position[i]
            elif m9[i] > config.exit_m9_above:
                fence[fences.EXIT_M9, fences.TRIGGERS] += 1
                wanted = -position[i]
            elif c4 > config.exit_c4_above:
                fence[fences.EXIT_C4, fences.TRIGGERS] += 1
                wanted = -position[i]
        elif signal_out[i] > ZERO:
            wanted = entry_order(cash[i], signal_in[i], m7[i], fence, margin_per_lot, config)
        if wanted != 0.0:
            order[i] = wanted
            scratch.ordering[open_orders] = i
            open_orders += 1
    books.count[capital.OPEN_ORDERS] = open_orders


@compiled
def entry_order(
    cash: float, signal_in: np.float32, m7: np.float32, fence: IntArray, margin_per_lot: float, config: WorldConfig
) -> float:
    """Signed lots an agent that wants to enter sends: 0 when something physical, or a fence that is on, forbids it."""
    fence[fences.NO_SIDE, fences.ATTEMPTS] += 1
    if signal_in == ZERO:
        fence[fences.NO_SIDE, fences.TRIGGERS] += 1
        fence[fences.NO_SIDE, fences.BLOCKS] += 1
        return 0.0
    fence[fences.ENTRY_M7, fences.ATTEMPTS] += 1
    if not m7 < config.entry_m7_below:
        fence[fences.ENTRY_M7, fences.TRIGGERS] += 1
        fence[fences.ENTRY_M7, fences.BLOCKS] += 1
        return 0.0
    fence[fences.LONG_ONLY, fences.ATTEMPTS] += 1
    if config.long_only != 0 and signal_in < ZERO:
        fence[fences.LONG_ONLY, fences.TRIGGERS] += 1
        fence[fences.LONG_ONLY, fences.BLOCKS] += 1
        return 0.0
    side = 1.0 if signal_in > ZERO else -1.0
    lots = np.floor(abs(np.float64(signal_in)) * exchange.largest_order(cash, margin_per_lot))
    fence[fences.MIN_ORDER, fences.ATTEMPTS] += 1
    if lots < 1.0:
        fence[fences.MIN_ORDER, fences.TRIGGERS] += 1
        fence[fences.MIN_ORDER, fences.BLOCKS] += 1
        return 0.0
    return side * lots


@compiled
def count_steps(books: Books) -> None:
    """Denominators: one step per living agent and tick for every fence."""
    alive = books.count[capital.ALIVE]
    for row in range(books.fence.shape[0]):
        books.fence[row, fences.STEPS] += alive
