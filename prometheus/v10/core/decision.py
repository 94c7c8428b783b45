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
import numpy.typing as npt

from prometheus.v10.core import capital, exchange, fences, genome
from prometheus.v10.core.compiled import compiled
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.features import C_FIRST, I_FIRST, M7, M9, OWN_COUNT
from prometheus.v10.core.numeric import tanh32
from prometheus.v10.core.state import HIDDEN_UNITS, LANES, Agents, Array32, Books, IntArray, Scratch

ZERO = np.float32(0.0)

# Hidden units of one net, added to feature by feature.
Hidden = tuple[np.float32, np.float32, np.float32, np.float32, np.float32]


@compiled
def locus(unit: int, feature: int) -> int:
    """Locus of W1[feature, hidden] for hidden unit ``unit`` (0-4 of the OUT net, 5-9 of the IN net)."""
    base = genome.OUT_NET if unit < genome.HIDDEN else genome.IN_NET
    return base + feature * genome.HIDDEN + unit % genome.HIDDEN


@compiled
def environment_drive(environment: Array32, first: int, ticks: int, nets: npt.NDArray[np.void]) -> None:
    """The environment's share of every hidden unit for ``ticks`` ticks from ``first``: a tile's drive[k, unit, lane].

    E comes first in feature order and is the same for every agent and state, so these partial sums are the very ones
    a tick-by-tick sum would start with; computing them ahead reads the weights once for many ticks.
    """
    for tile in range(nets.shape[0]):
        w, drive = nets[tile]["loci"], nets[tile]["drive"]
        for unit in range(HIDDEN_UNITS):
            at = locus(unit, 0)
            for k in range(ticks):
                x = environment[first + k]
                x0, x1, x2, x3, x4, x5 = x[0], x[1], x[2], x[3], x[4], x[5]
                x6, x7, x8, x9, x10, x11 = x[6], x[7], x[8], x[9], x[10], x[11]
                for i in range(LANES):
                    half = (x0 * w[at, i] + x1 * w[at + 5, i]) + x2 * w[at + 10, i]
                    half = ((half + x3 * w[at + 15, i]) + x4 * w[at + 20, i]) + x5 * w[at + 25, i]
                    half = ((half + x6 * w[at + 30, i]) + x7 * w[at + 35, i]) + x8 * w[at + 40, i]
                    drive[k, unit, i] = ((half + x9 * w[at + 45, i]) + x10 * w[at + 50, i]) + x11 * w[at + 55, i]


@compiled
def add(h: Hidden, x: np.float32, w: Array32, at: int, i: int) -> Hidden:
    """Add one feature to the five hidden units of a net, whose weights for it begin at locus ``at``."""
    return (
        h[0] + x * w[at, i], h[1] + x * w[at + 1, i], h[2] + x * w[at + 2, i], h[3] + x * w[at + 3, i],
        h[4] + x * w[at + 4, i],
    )  # fmt: skip


@compiled
def net(tile: np.void, base: int, first: int, shared: Array32, signal: Array32) -> None:
    """Signal = tanh(W2 tanh(W1 x)) of the net at ``base``, whose hidden units begin at row ``first``, for every lane.

    E is in ``now`` already; I and M, each agent's own, and C, everyone's, follow in feature order.
    """
    w, now, own = tile["loci"], tile["now"], tile["own"]
    c1, c2, c3 = shared[C_FIRST], shared[C_FIRST + 1], shared[C_FIRST + 2]
    c4, c5 = shared[C_FIRST + 3], shared[C_FIRST + 4]
    at, c, v = base + I_FIRST * 5, base + C_FIRST * 5, base + genome.W1_LOCI
    for i in range(LANES):
        h = (now[first, i], now[first + 1, i], now[first + 2, i], now[first + 3, i], now[first + 4, i])
        h = add(add(h, own[0, i], w, at, i), own[1, i], w, at + 5, i)
        h = add(add(h, own[2, i], w, at + 10, i), own[3, i], w, at + 15, i)
        h = add(add(h, own[4, i], w, at + 20, i), own[5, i], w, at + 25, i)
        h = add(add(h, own[6, i], w, at + 30, i), own[7, i], w, at + 35, i)
        h = add(add(h, own[8, i], w, at + 40, i), own[9, i], w, at + 45, i)
        h = add(add(h, own[10, i], w, at + 50, i), own[11, i], w, at + 55, i)
        h = add(add(h, own[12, i], w, at + 60, i), own[13, i], w, at + 65, i)
        h = add(add(h, own[14, i], w, at + 70, i), own[15, i], w, at + 75, i)
        h = add(add(add(h, c1, w, c, i), c2, w, c + 5, i), c3, w, c + 10, i)
        h = add(add(h, c4, w, c + 15, i), c5, w, c + 20, i)
        s = tanh32(h[0]) * w[v, i] + tanh32(h[1]) * w[v + 1, i]
        s = (s + tanh32(h[2]) * w[v + 2, i]) + tanh32(h[3]) * w[v + 3, i]
        signal[i] = tanh32(s + tanh32(h[4]) * w[v + 4, i])


@compiled
def signals(scratch: Scratch, ahead: int, nets: npt.NDArray[np.void]) -> None:
    """Both nets of every agent: ``scratch.signal_out`` and ``scratch.signal_in``; ``ahead`` is the row of the drive."""
    features, result = scratch.own_by_tile, scratch.signals_by_tile
    for k in range(nets.shape[0]):
        tile = nets[k]
        now, drive, own, signal_out, signal_in = (
            tile["now"], tile["drive"], tile["own"], tile["signal_out"], tile["signal_in"]
        )  # fmt: skip
        for unit in range(HIDDEN_UNITS):
            for i in range(LANES):
                now[unit, i] = drive[ahead, unit, i]
        for row in range(OWN_COUNT):
            for i in range(LANES):
                own[row, i] = features[row, k, i]
        net(tile, genome.OUT_NET, 0, scratch.shared, signal_out)
        net(tile, genome.IN_NET, genome.HIDDEN, scratch.shared, signal_in)
        for i in range(LANES):
            result[0, k, i] = signal_out[i]
        for i in range(LANES):
            result[1, k, i] = signal_in[i]


@compiled
def deciding(agents: Agents, scratch: Scratch, n: int, config: WorldConfig) -> int:
    """List in ``ordering`` who wants to enter and who leaves; returns how many.

    Nothing branches here: who trades cannot be predicted, and a wrong guess costs more than the whole test.
    """
    position, ordering, m9 = agents.position, scratch.ordering, scratch.own[M9]
    signal_out, signal_in = scratch.signal_out, scratch.signal_in
    all_leave = scratch.shared[C_FIRST + 3] > config.exit_c4_above
    count = 0
    for i in range(n):
        enters = signal_out[i] > ZERO
        leaves = (position[i] * signal_in[i] <= 0.0) | (m9[i] > config.exit_m9_above) | all_leave
        ordering[count] = i
        count += 1 if (enters if position[i] == 0.0 else leaves) else 0
    return count


@compiled
def intents(agents: Agents, books: Books, scratch: Scratch, n: int, close: float, config: WorldConfig) -> None:
    """Turn signals into orders for the next open, and remember the signal each agent acted on."""
    position, cash, last_signal, ordering = agents.position, agents.cash, agents.last_signal, scratch.ordering
    signal_out, signal_in = scratch.signal_out, scratch.signal_in
    m7, m9 = scratch.own[M7], scratch.own[M9]
    for i in range(n):
        last_signal[i] = signal_out[i] if position[i] == 0.0 else signal_in[i]
    margin_per_lot = exchange.lot_margin(close, config)
    open_orders = 0
    for k in range(deciding(agents, scratch, n, config)):
        i = ordering[k]
        if position[i] == 0.0:
            wanted = entry_order(cash[i], signal_in[i], m7[i], books.fence, margin_per_lot, config)
        else:
            wanted = -position[i]
            if position[i] * signal_in[i] > 0.0:
                by = fences.EXIT_M9 if m9[i] > config.exit_m9_above else fences.EXIT_C4
                books.fence[by, fences.TRIGGERS] += 1
        if wanted != 0.0:
            agents.order[i] = wanted
            ordering[open_orders] = i
            open_orders += 1
    books.tally[capital.OPEN_ORDERS] = open_orders


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
    alive = books.tally[capital.ALIVE]
    for row in range(books.fence.shape[0]):
        books.fence[row, fences.STEPS] += alive
