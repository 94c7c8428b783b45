"""The same decision as a JAX program: one agent's tick is a pure function, mapped over agents, scanned over ticks.

The 33 channels, the nets and the state machine are the core's (core/features.py, core/decision.py), in float32; there
are no fills, no margin, no lifecycle. The weights are laid out once, agent by agent, as XLA likes them best here, and
the program is given the core's own two tricks: the environment's share of the hidden units is computed for many ticks
at once, and the best tenth is found by selection, not by sorting. JAX is optional: without it there is nothing to
measure.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import numpy as np
from attrs import field, frozen

from bench.bench_kernel import Scale, naive_inputs
from bench.lanes import Work
from prometheus.v10.core import genome
from prometheus.v10.core.config import WorldConfig

AHEAD = 32  # ticks for which the environment's share is computed at once
ENVIRONMENT, OWN, COMMUNITY = 12, 16, 5
SIGN = -(2**31)


def layers(genomes: genome.Genomes) -> tuple[Any, Any]:
    """Weights from the loci: W1 (n, 33, 10) with the OUT net's five units first, W2 (n, 2, 5)."""
    nets = genomes[:, : 2 * genome.NET_LOCI].reshape(len(genomes), 2, genome.NET_LOCI)
    by_net = nets[:, :, : genome.W1_LOCI].reshape(-1, 2, genome.FEATURES, genome.HIDDEN)
    w1 = by_net.transpose(0, 2, 1, 3).reshape(-1, genome.FEATURES, 2 * genome.HIDDEN)
    return np.ascontiguousarray(w1), np.ascontiguousarray(nets[:, :, genome.W1_LOCI :])


class Decision:
    """The equations. State of an agent: position, entry price, cash, last signal, ticks held, impedance (4,)."""

    def __init__(self, config: WorldConfig, stake: float) -> None:
        self.jax: Any = import_module("jax")
        self.jnp: Any = import_module("jax.numpy")
        self.config, self.stake = config, stake

    def own(self, bar: Any, agent: Any) -> Any:
        """I1-I4 and M1-M12 of one agent, (16,)."""
        jnp, c = self.jnp, self.config
        close, volatility, trend, depth = bar
        position, entry, cash, last, held, (shortfall, delay, slippage, impact) = agent
        lot = c.contract_btc * c.lot_contracts
        quantity = position * lot
        profit = quantity * (close - entry)
        worth = jnp.maximum(cash + profit, 1e-9)
        size = jnp.abs(quantity)
        notional = size * close
        has, side = jnp.abs(jnp.sign(position)), jnp.sign(position)
        excess = cash + profit - c.maintenance_margin * notional
        slope = (size - c.maintenance_margin * quantity) * close
        nearness = slope / jnp.maximum(jnp.maximum(excess, 0.01 * slope), 1e-9)
        return jnp.stack([
            has, side, has, last, shortfall, delay,
            jnp.minimum(worth * c.leverage_cap / depth, 1.0),
            jnp.abs(last) * (slippage + impact), slippage, impact,
            jnp.minimum(slippage + impact + c.taker_fee, 1.0),
            notional * notional / (notional * notional + c.leverage_k * worth * worth),
            jnp.where(position != 0.0, nearness, 0.0),
            jnp.minimum(notional * volatility / jnp.maximum(excess, 1e-9), 1.0),
            jnp.minimum(jnp.abs(profit) / (worth * held), 1.0),
            has * trend * trend,
        ])  # fmt: skip

    def community(self, close: Any, agents: Any) -> Any:
        """C1-C5, (5,). Nobody dies here, so C4 is 0."""
        jnp, c = self.jnp, self.config
        position, entry, cash, last, *_ = agents
        count = position.shape[0]
        roi = (cash + position * (c.contract_btc * c.lot_contracts) * (close - entry)) / self.stake - 1.0
        holders = (position != 0.0).sum()
        best = roi >= self.kth_largest(roi, max(1, int(count * c.top_share)))
        return jnp.stack([
            holders / count,
            jnp.sign(position).sum() / jnp.maximum(holders, 1),
            jnp.clip(roi, -1.0, 1.0).mean(),
            jnp.float32(0.0),
            (last * best).sum() / best.sum(),
        ]).astype(jnp.float32)  # fmt: skip

    def kth_largest(self, values: Any, k: int) -> Any:
        """The ``k``-th largest of float32 values: bit by bit, on integers in the floats' own order."""
        jnp, as_type = self.jnp, self.jax.lax.bitcast_convert_type
        bits = as_type(values, jnp.int32)
        ordered = as_type(jnp.where(bits < 0, ~bits, bits ^ jnp.int32(SIGN)), jnp.uint32)
        found = jnp.uint32(0)
        for bit in range(31, -1, -1):
            higher = found | jnp.uint32(1 << bit)
            found = jnp.where((ordered >= higher).sum() >= k, higher, found)
        back = as_type(found, jnp.int32)
        return as_type(jnp.where(back < 0, back ^ jnp.int32(SIGN), ~back), jnp.float32)

    def signals(self, drive: Any, w1: Any, w2: Any, own: Any, community: Any) -> Any:
        """Both nets of one agent: (s_out, s_in); ``drive`` (10,) is the environment's share."""
        jnp = self.jnp
        hidden = jnp.tanh(drive + jnp.concatenate([own, community]) @ w1)
        return jnp.tanh((hidden.reshape(2, genome.HIDDEN) * w2).sum(axis=1))

    def act(self, close: Any, agent: Any, s_out: Any, s_in: Any) -> Any:
        """The state machine: the agent after a fill at this close."""
        jnp, c = self.jnp, self.config
        position, entry, cash, _, held, impedance = agent
        lot = c.contract_btc * c.lot_contracts
        flat = position == 0.0
        enters = flat & (s_out > 0.0)
        leaves = ~flat & (position * s_in <= 0.0)
        per_lot = close * lot * (1.0 / c.leverage_cap + c.taker_fee)
        lots = jnp.sign(s_in) * jnp.floor(jnp.abs(s_in) * jnp.floor(cash / per_lot))
        fee = c.taker_fee * lot * close
        left = cash + position * lot * (close - entry) - jnp.abs(position) * fee
        return (
            jnp.where(enters, lots, jnp.where(leaves, 0.0, position)),
            jnp.where(enters, close, entry),
            jnp.where(leaves, left, jnp.where(enters, cash - jnp.abs(lots) * fee, cash)),
            jnp.where(flat, s_out, s_in),
            jnp.where(enters, 1.0, held + 1.0),
            impedance,
        )

    def run(self, w1: Any, w2: Any, environment: Any, bars: Any, agents: Any) -> Any:
        """Scan over (T, 12) and four series (T,), T a multiple of AHEAD; returns the agents at the end."""
        jax, jnp = self.jax, self.jnp
        axes = (0, 0, 0, 0, 0, 1)
        shared, rest = w1[:, :ENVIRONMENT], w1[:, ENVIRONMENT:]

        def one(drive: Any, w1: Any, w2: Any, agent: Any, bar: Any, community: Any) -> Any:
            return self.act(bar[0], agent, *self.signals(drive, w1, w2, self.own(bar, agent), community))

        every = jax.vmap(one, in_axes=(0, 0, 0, axes, None, None), out_axes=axes)

        def tick(agents: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
            drive, bar = now
            return every(drive, rest, w2, agents, bar, self.community(bar[0], agents)), None

        def ticks(agents: Any, ahead: tuple[Any, Any]) -> tuple[Any, None]:
            drive = jnp.einsum("tf,nfh->tnh", ahead[0], shared)
            return jax.lax.scan(tick, agents, (drive, ahead[1]))[0], None

        folded = jax.tree.map(lambda series: series.reshape(-1, AHEAD, *series.shape[1:]), (environment, bars))
        return jax.lax.scan(ticks, agents, folded)[0]


@frozen
class JaxScan:
    """The program, compiled; a process and its threads keep to one processor, so that one is compared with one.

    Attributes:
        place: which of the processors that this process may use.
    """

    scale: Scale
    place: int
    _ready: dict[int, Any] = field(factory=dict, init=False)

    def prepare(self, agents: int) -> None:
        """Import, compile, and one pass; raises ImportError where JAX is not installed."""
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {usable[self.place % len(usable)]})
        market, environment, genomes, config = naive_inputs(self.scale, agents)
        stake = config.initial_total * config.allocation_ratio / agents
        decision = Decision(config, stake)
        ticks = self.scale.ticks // AHEAD * AHEAD
        depth = np.maximum(config.depth_share * environment.mean_volume * market.close, 1e-9)
        series = (market.close, environment.volatility, environment.trend, depth)
        zeros = np.zeros(agents, dtype=np.float32)
        data = (
            *layers(genomes), environment.features[:ticks], tuple(s[:ticks].astype(np.float32) for s in series),
            (zeros, zeros + 1, zeros + np.float32(stake), zeros, zeros + 1, np.zeros((4, agents), dtype=np.float32)),
        )  # fmt: skip
        program = decision.jax.jit(decision.run)
        data = decision.jax.device_put(data)
        decision.jax.block_until_ready(program(*data))
        self._ready[agents] = decision.jax, program, data, ticks

    def turn(self, agents: int, share: int, shares: int) -> Work:  # noqa: ARG002  (every process does the same)
        """As many passes over the window as make the agent-ticks of the scale."""
        jax, program, data, ticks = self._ready[agents]
        passes = max(1, self.scale.jax_agent_ticks // (ticks * agents))
        for _ in range(passes):
            jax.block_until_ready(program(*data))
        return Work(passes * ticks * agents, passes * ticks)

    def tidy(self) -> None:
        """Nothing is left behind."""
