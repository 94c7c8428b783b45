"""What the core, the loop and the scan decide in the very same moment of a world; printed as JSON.

    python tests/bench/same_decision.py naive|jax

A program of its own, because JAX starts threads, and a process with threads is not one that other tests may fork.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from bench.bench_kernel import QUICK, bench_world
from bench.jax_scan import COMMUNITY, ENVIRONMENT, Decision, layers
from bench.naive import NaiveAgent
from prometheus.v10.core import decision, features
from prometheus.v10.core.world import NO_MASK, Experiment

AGENTS, TICKS = 64, 90


def core_decides():
    """Signals of both nets and the positions wanted, of every agent, by the core's own functions."""
    world, market = bench_world(QUICK, AGENTS)
    e = Experiment(market, world.config, 5)
    e.step(TICKS)
    tick, n = e.tick - 1, len(e.agents.cash)
    assert (n, e.alive) == (AGENTS, AGENTS)
    before = e.agents.last_signal.copy()
    features.community(e.agents, e.books, e.scratch, n, world.config, NO_MASK)
    features.own_features(tick, market, e.environment, e.agents, e.books, e.scratch.own, n, world.config, NO_MASK)
    decision.environment_drive(e.environment.features, tick, 1, e.agents.nets)
    decision.signals(e.scratch, 0, e.agents.nets)
    e.agents.order[:] = 0.0
    decision.intents(e.agents, e.books, e.scratch, n, market.close[tick], world.config)
    e.agents.last_signal[:] = before
    return e, tick, world.config


def bar_at(e, tick, config):
    close = float(e.market.close[tick])
    depth = max(config.depth_share * float(e.environment.mean_volume[tick]) * close, 1e-9)
    return close, float(e.environment.volatility[tick]), float(e.environment.trend[tick]), depth


def naive_decides(e, tick, config):
    close, volatility, trend, depth = bar_at(e, tick, config)
    shared = tuple(float(value) for value in e.scratch.shared[-COMMUNITY:])
    decided = []
    for i, genes in enumerate(e.genomes):
        a = NaiveAgent(genes, float(e.agents.cash[i]))
        a.position, a.entry = float(e.agents.position[i]), float(e.agents.entry_price[i])
        a.held, a.last_signal = tick - int(e.agents.entry_tick[i]), float(e.agents.last_signal[i])
        a.shortfall, a.delay, a.slippage, a.impact = (float(value) for value in e.agents.impedance[:, i])
        wanted = a.decide(e.environment.features[tick], shared, close, volatility, trend, depth, config)
        decided.append((a.signal(0), a.signal(1), wanted))
    return decided


def jax_decides(e, tick, config):
    made = Decision(config, config.initial_total * config.allocation_ratio / AGENTS)
    bar = bar_at(e, tick, config)
    w1, w2 = layers(np.stack(e.genomes[:AGENTS]))
    a = e.agents
    held = (tick - a.entry_tick + 1).astype(np.float32)
    series = (a.position, a.entry_price, a.cash, a.last_signal, held)
    agents = (*(np.asarray(values, dtype=np.float32) for values in series), a.impedance)
    drive = np.einsum("f,nfh->nh", e.environment.features[tick], w1[:, :ENVIRONMENT])
    community = made.community(bar[0], agents)

    def one(drive, w1, w2, agent):
        s_out, s_in = made.signals(drive, w1, w2, made.own(bar, agent), community)
        return s_out, s_in, made.act(bar[0], agent, s_out, s_in)[0]

    axes = (0, 0, 0, 0, 0, 1)
    found = made.jax.vmap(one, in_axes=(0, 0, 0, axes))(drive, w1[:, ENVIRONMENT:], w2, agents)
    return [tuple(float(value) for value in row) for row in zip(*found, strict=True)]


def kth_largest_agrees() -> bool:
    made = Decision(bench_world(QUICK, AGENTS)[0].config, 1.0)
    odd = np.array([0.0, -0.0, 1.0, -1.0, 1.0, 3e-9, -7.5, 1.0], dtype=np.float32)
    found = [float(made.kth_largest(odd, k)) for k in range(1, 9)]
    return found == sorted(odd.tolist(), reverse=True)


def main() -> None:
    e, tick, config = core_decides()
    s, a = e.scratch, e.agents
    core = np.stack([s.signal_out, s.signal_in, a.position + a.order], axis=1).tolist()
    decides = {"naive": naive_decides, "jax": jax_decides}[sys.argv[1]]
    theirs = decides(e, tick, config)
    found = {"core": core, "theirs": theirs, "holders": int(np.count_nonzero(a.position))}
    if sys.argv[1] == "jax":
        found["selection_sorts"] = kth_largest_agrees()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
