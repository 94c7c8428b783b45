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
from prometheus.v10.core.features import C_FIRST, I_FIRST, M7, M9, Bar, own_features
from prometheus.v10.core.numeric import tanh32
from prometheus.v10.core.state import (
    DRIVE_TICKS,
    HIDDEN_UNITS,
    LANES,
    Agents,
    Array32,
    Books,
    IntArray,
    Scratch,
    Tiles,
)

I32 = np.int32
ZERO = np.float32(0.0)

# Hidden units of one net, added to feature by feature.
Hidden = tuple[np.float32, np.float32, np.float32, np.float32, np.float32]


@compiled
def locus(unit: int, feature: int) -> int:
    """Locus of W1[feature, hidden] for hidden unit ``unit`` (0-4 of the OUT net, 5-9 of the IN net)."""
    base = genome.OUT_NET if unit < genome.HIDDEN else genome.IN_NET
    return base + feature * genome.HIDDEN + unit % genome.HIDDEN


@compiled
def add(h: Hidden, x: np.float32, w: Array32, at: int, i: int) -> Hidden:
    """Add one feature to the five hidden units of a net, whose weights for it begin at locus ``at``."""
    return (
        h[0] + x * w[at, i], h[1] + x * w[at + 1, i], h[2] + x * w[at + 2, i], h[3] + x * w[at + 3, i],
        h[4] + x * w[at + 4, i],
    )  # fmt: skip


@compiled
def begin(x: np.float32, w: Array32, at: int, i: int) -> Hidden:
    """The five hidden units of a net after their first feature, whose weights begin at locus ``at``."""
    return (x * w[at, i], x * w[at + 1, i], x * w[at + 2, i], x * w[at + 3, i], x * w[at + 4, i])


@compiled
def keep(h: Hidden, hidden: Array32, first: int, i: int) -> None:
    """Put five hidden units into the rows of a tile from ``first``."""
    hidden[first, i], hidden[first + 1, i], hidden[first + 2, i] = h[0], h[1], h[2]
    hidden[first + 3, i], hidden[first + 4, i] = h[3], h[4]


@compiled
def environment_share(net: np.void, x: Array32) -> None:
    """What E, ``x`` (12,), gives every hidden unit of a tile. Ten sums in step: a lone one would wait for itself."""
    w, hidden = net["loci"], net["hidden"]
    x0, x1, x2, x3, x4, x5 = x[0], x[1], x[2], x[3], x[4], x[5]
    x6, x7, x8, x9, x10, x11 = x[6], x[7], x[8], x[9], x[10], x[11]
    inside = genome.IN_NET
    for i in range(LANES):
        h, g = begin(x0, w, 0, i), begin(x0, w, inside, i)
        h, g = add(h, x1, w, 5, i), add(g, x1, w, inside + 5, i)
        h, g = add(h, x2, w, 10, i), add(g, x2, w, inside + 10, i)
        h, g = add(h, x3, w, 15, i), add(g, x3, w, inside + 15, i)
        h, g = add(h, x4, w, 20, i), add(g, x4, w, inside + 20, i)
        h, g = add(h, x5, w, 25, i), add(g, x5, w, inside + 25, i)
        h, g = add(h, x6, w, 30, i), add(g, x6, w, inside + 30, i)
        h, g = add(h, x7, w, 35, i), add(g, x7, w, inside + 35, i)
        h, g = add(h, x8, w, 40, i), add(g, x8, w, inside + 40, i)
        h, g = add(h, x9, w, 45, i), add(g, x9, w, inside + 45, i)
        h, g = add(h, x10, w, 50, i), add(g, x10, w, inside + 50, i)
        h, g = add(h, x11, w, 55, i), add(g, x11, w, inside + 55, i)
        keep(h, hidden, 0, i)
        keep(g, hidden, genome.HIDDEN, i)


@compiled
def environment_drive(environment: Array32, first: int, last: int, nets: Tiles) -> None:
    """The environment's share of every hidden unit at the ticks ``first`` .. ``last`` - 1, at most DRIVE_TICKS.

    That of a tick is in row tick % DRIVE_TICKS of a tile's drive[row, unit, lane]. E comes first in feature order and
    is the same for every agent and state, so these partial sums are the very ones a tick-by-tick sum would start with;
    computing them ahead reads the weights once for many ticks.
    """
    for tile in range(nets.shape[0]):
        net = nets[tile]
        drive, hidden = net["drive"], net["hidden"]
        for tick in range(first, last):
            environment_share(net, environment[tick])
            row = tick % DRIVE_TICKS
            for unit in range(HIDDEN_UNITS):
                for i in range(LANES):
                    drive[row, unit, i] = hidden[unit, i]


@compiled
def begin_with_drive(net: np.void, ahead: int) -> None:
    """Hidden units as the environment leaves them at this tick, row ``ahead`` of the drive."""
    drive, hidden = net["drive"], net["hidden"]
    for unit in range(HIDDEN_UNITS):
        for i in range(LANES):
            hidden[unit, i] = drive[ahead, unit, i]


@compiled
def add_community(h: Hidden, shared: Array32, w: Array32, at: int, i: int) -> Hidden:
    """Add C, the same for everyone, whose weights begin at locus ``at``."""
    h = add(add(h, shared[C_FIRST], w, at, i), shared[C_FIRST + 1], w, at + 5, i)
    h = add(add(h, shared[C_FIRST + 2], w, at + 10, i), shared[C_FIRST + 3], w, at + 15, i)
    return add(h, shared[C_FIRST + 4], w, at + 20, i)


@compiled
def add_the_rest(net: np.void, base: int, first: int, shared: Array32) -> None:
    """Add I and M, each agent's own, and C, everyone's, in feature order to the hidden units of the net at ``base``.

    They begin at row ``first`` and have the environment's share already.
    """
    w, own, hidden = net["loci"], net["own"], net["hidden"]
    at = base + I_FIRST * 5
    for i in range(LANES):
        h = (hidden[first, i], hidden[first + 1, i], hidden[first + 2, i], hidden[first + 3, i], hidden[first + 4, i])
        h = add(add(h, own[0, i], w, at, i), own[1, i], w, at + 5, i)
        h = add(add(h, own[2, i], w, at + 10, i), own[3, i], w, at + 15, i)
        h = add(add(h, own[4, i], w, at + 20, i), own[5, i], w, at + 25, i)
        h = add(add(h, own[6, i], w, at + 30, i), own[7, i], w, at + 35, i)
        h = add(add(h, own[8, i], w, at + 40, i), own[9, i], w, at + 45, i)
        h = add(add(h, own[10, i], w, at + 50, i), own[11, i], w, at + 55, i)
        h = add(add(h, own[12, i], w, at + 60, i), own[13, i], w, at + 65, i)
        h = add(add(h, own[14, i], w, at + 70, i), own[15, i], w, at + 75, i)
        h = add_community(h, shared, w, base + C_FIRST * 5, i)
        keep(h, hidden, first, i)


@compiled
def add_the_rest_of_the_flat(net: np.void, shared: Array32) -> None:
    """As `add_the_rest` for the OUT net of a tile, without the features that are 0 for whoever is flat.

    These are I1-I3 and M8-M12. Only the flat ask the OUT net. As weights are finite, each of these would add a zero,
    and that changes no sum but one that is itself zero, and of it no more than the sign: see `zeros_of_the_flat`.
    """
    w, own, hidden = net["loci"], net["own"], net["hidden"]
    at = I_FIRST * 5
    for i in range(LANES):
        h = (hidden[0, i], hidden[1, i], hidden[2, i], hidden[3, i], hidden[4, i])
        h = add(add(h, own[3, i], w, at + 15, i), own[4, i], w, at + 20, i)
        h = add(add(h, own[5, i], w, at + 25, i), own[6, i], w, at + 30, i)
        h = add(add(h, own[7, i], w, at + 35, i), own[8, i], w, at + 40, i)
        h = add(add(h, own[9, i], w, at + 45, i), own[10, i], w, at + 50, i)
        h = add_community(h, shared, w, C_FIRST * 5, i)
        keep(h, hidden, 0, i)


@compiled
def answer(net: np.void, base: int, first: int, signal: Array32) -> None:
    """Signal = tanh(W2 tanh(h)) of the net at ``base``, whose sums h are in the hidden rows from ``first``."""
    w, h, v = net["loci"], net["hidden"], base + genome.W1_LOCI
    for i in range(LANES):
        s = tanh32(h[first, i]) * w[v, i] + tanh32(h[first + 1, i]) * w[v + 1, i]
        s = (s + tanh32(h[first + 2, i]) * w[v + 2, i]) + tanh32(h[first + 3, i]) * w[v + 3, i]
        signal[i] = tanh32(s + tanh32(h[first + 4, i]) * w[v + 4, i])


@compiled
def zeros_of_the_flat(net: np.void) -> np.int32:
    """How many of a tile's living are flat with an OUT signal of zero."""
    lots, alive, signal_out, count = net["lots"], net["alive"], net["signal_out"], I32(0)
    for i in range(LANES):
        count = I32(count + I32((signal_out[i] == ZERO) & (lots[i] == ZERO) & (alive[i] != 0)))
    return count


@compiled
def signals(net: np.void, ahead: int, shared: Array32) -> None:
    """Both nets of a tile: ``signal_in`` of all and ``signal_out`` of the flat; ``ahead`` is the row of the drive.

    What a holder's ``signal_out`` is then, nobody reads: `out_signals` gives it.
    """
    begin_with_drive(net, ahead)
    add_the_rest_of_the_flat(net, shared)
    add_the_rest(net, genome.IN_NET, genome.HIDDEN, shared)
    answer(net, genome.OUT_NET, 0, net["signal_out"])
    answer(net, genome.IN_NET, genome.HIDDEN, net["signal_in"])
    if zeros_of_the_flat(net) > 0:
        out_signals(net, ahead, shared)


@compiled
def out_signals(net: np.void, ahead: int, shared: Array32) -> None:
    """``signal_out`` of a whole tile, holders included, with every feature."""
    begin_with_drive(net, ahead)
    add_the_rest(net, genome.OUT_NET, 0, shared)
    answer(net, genome.OUT_NET, 0, net["signal_out"])


@compiled
def everyones_out_signals(nets: Tiles, ahead: int, shared: Array32) -> None:
    """``signal_out`` of everyone, for who looks from outside after a tick; nothing else of the tick is changed."""
    for tile in range(nets.shape[0]):
        out_signals(nets[tile], ahead, shared)


@compiled
def wants_of(net: np.void, all_leave: bool, exit_m9_above: float) -> None:  # noqa: FBT001
    """Mark in ``wants`` who wants to enter and who leaves, and remember the signal each agent acts on.

    Nothing branches here: who trades cannot be predicted, and a wrong guess costs more than the whole test.
    """
    lots, wants, last_signal, m9 = net["lots"], net["wants"], net["last_signal"], net["own"][M9]
    signal_out, signal_in = net["signal_out"], net["signal_in"]
    for i in range(LANES):
        flat, out, inside = lots[i] == ZERO, signal_out[i], signal_in[i]
        last_signal[i] = out if flat else inside
        leaves = (lots[i] * inside <= ZERO) | (np.float64(m9[i]) > exit_m9_above) | all_leave
        wants[i] = I32(out > ZERO) if flat else I32(leaves)


@compiled
def wishes(agents: Agents, scratch: Scratch, config: WorldConfig) -> int:
    """List in ``ordering`` who wants to enter and who leaves; returns how many."""
    ordering, count = scratch.ordering, 0
    all_leave = scratch.shared[C_FIRST + 3] > config.exit_c4_above
    for tile in range(agents.nets.shape[0]):
        net, first = agents.nets[tile], tile * LANES
        wants_of(net, all_leave, config.exit_m9_above)
        wants = net["wants"]
        for i in range(LANES):
            ordering[count] = first + i
            count += wants[i]
    return count


@compiled
def decide(agents: Agents, books: Books, scratch: Scratch, bar: Bar, mask: Array32, config: WorldConfig) -> None:
    """I and M and both nets of every tile; then wishes, and orders for the next open."""
    clipped = 0
    for tile in range(agents.nets.shape[0]):
        net = agents.nets[tile]
        clipped += own_features(net, bar, mask)
        signals(net, bar.tick % DRIVE_TICKS, scratch.shared)
    books.fence[fences.FEATURE_CLIP, fences.TRIGGERS] += clipped
    intents(agents, books, scratch, wishes(agents, scratch, config), bar.close, config)


@compiled
def intents(agents: Agents, books: Books, scratch: Scratch, count: int, close: float, config: WorldConfig) -> None:
    """Turn the wishes of the first ``count`` slots in ``ordering`` into orders for the next open."""
    ordering = scratch.ordering
    margin_per_lot = exchange.lot_margin(close, config)
    open_orders = 0
    for k in range(count):
        slot = ordering[k]
        account, net, i = agents.accounts[slot // LANES], agents.nets[slot // LANES], slot % LANES
        position, signal_in, own = account["position"][i], net["signal_in"][i], net["own"]
        if position == 0.0:
            wanted = entry_order(account["cash"][i], signal_in, own[M7, i], books.fence, margin_per_lot, config)
        else:
            wanted = -position
            if position * signal_in > 0.0:
                by = fences.EXIT_M9 if own[M9, i] > config.exit_m9_above else fences.EXIT_C4
                books.fence[by, fences.TRIGGERS] += 1
        if wanted != 0.0:
            account["order"][i] = wanted
            ordering[open_orders] = slot
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
