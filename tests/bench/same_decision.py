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
from prometheus.v10.core import community, decision, features
from prometheus.v10.core.state import DRIVE_TICKS, by_slot
from prometheus.v10.core.world import NO_MASK, Experiment

AGENTS, TICKS = 64, 90


def core_decides():
    """Signals of both nets and the positions wanted, of every agent, by the core's own functions."""
    world, market = bench_world(QUICK, AGENTS)
    e = Experiment(market, world.config, 5)
    e.step(TICKS)
    tick, a = e.tick - 1, e.agents
    assert (len(a.trades), e.alive) == (AGENTS, AGENTS)
    before = a.nets["last_signal"].copy()
    bar = features.bar_at(tick, market, e.environment, world.config)
    features.narrow_all(a, bar)
    community.community(a, e.books, e.scratch, world.config, NO_MASK)
    decision.environment_drive(e.environment.features, tick, tick + 1, a.nets)
    a.accounts["order"] = 0.0
    decision.decide(a, e.books, e.scratch, bar, NO_MASK, world.config)
    decision.everyones_out_signals(a.nets, tick % DRIVE_TICKS, e.scratch.shared)
    a.nets["last_signal"] = before
    return e, tick, world.config


def columns(e):
    """Fields of all tiles by their name, one column an agent."""
    return {name: by_slot(tiles[name]) for tiles in (e.agents.nets, e.agents.accounts) for name in tiles.dtype.names}


def bar_at(e, tick, config):
    close = float(e.market.close[tick])
    depth = max(config.depth_share * float(e.environment.mean_volume[tick]) * close, 1e-9)
    return close, float(e.environment.volatility[tick]), float(e.environment.trend[tick]), depth


def naive_decides(e, tick, config):
    close, volatility, trend, depth = bar_at(e, tick, config)
    shared = tuple(float(value) for value in e.scratch.shared[-COMMUNITY:])
    decided, of = [], columns(e)
    for i, genes in enumerate(e.genomes):
        a = NaiveAgent(genes, float(of["cash"][i]))
        a.position, a.entry = float(of["position"][i]), float(of["entry_price"][i])
        a.held, a.last_signal = tick - int(of["entry_tick"][i]), float(of["last_signal"][i])
        a.shortfall, a.delay, a.slippage, a.impact = (float(value) for value in of["impedance"][:, i])
        wanted = a.decide(e.environment.features[tick], shared, close, volatility, trend, depth, config)
        decided.append((a.signal(0), a.signal(1), wanted))
    return decided


def jax_decides(e, tick, config):
    made = Decision(config, config.initial_total * config.allocation_ratio / AGENTS)
    bar = bar_at(e, tick, config)
    w1, w2 = layers(np.stack(e.genomes[:AGENTS]))
    of = columns(e)
    held = (tick - of["entry_tick"] + 1).astype(np.float32)
    series = (of["position"], of["entry_price"], of["cash"], of["last_signal"], held)
    agents = (*(np.asarray(values, dtype=np.float32) for values in series), of["impedance"])
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
    of = columns(e)
    core = np.stack([of["signal_out"], of["signal_in"], of["position"] + of["order"]], axis=1).tolist()
    decides = {"naive": naive_decides, "jax": jax_decides}[sys.argv[1]]
    theirs = decides(e, tick, config)
    found = {"core": core, "theirs": theirs, "holders": int(np.count_nonzero(of["position"]))}
    if sys.argv[1] == "jax":
        found["selection_sorts"] = kth_largest_agrees()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
