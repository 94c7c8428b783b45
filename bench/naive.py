"""The design to beat: one object an agent, one numpy forward pass an agent and tick.

It makes the same decision as the core on the same 33 channels (E, I, M, C), with none of the world's books: no fills,
no margin, no lifecycle. Written the way such agents are usually written; nothing is slowed down on purpose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from prometheus.v10.core import genome
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import Environment, Market


class NaiveAgent:
    """One agent: two nets, a position, and what trading has cost it."""

    def __init__(self, genes: np.ndarray[Any, Any], cash: float) -> None:
        self.nets = []
        for base in (genome.OUT_NET, genome.IN_NET):
            w1 = genes[base : base + genome.W1_LOCI].reshape(genome.FEATURES, genome.HIDDEN).T.copy()
            self.nets.append((w1, genes[base + genome.W1_LOCI : base + genome.NET_LOCI].copy()))
        self.cash, self.position, self.entry, self.held = cash, 0.0, 0.0, 0
        self.last_signal = 0.0
        self.slippage = self.impact = self.shortfall = self.delay = 0.0
        self.x = np.zeros(genome.FEATURES, dtype=np.float32)

    def signal(self, net: int) -> float:
        """One forward pass."""
        w1, w2 = self.nets[net]
        return float(np.tanh(w2 @ np.tanh(w1 @ self.x)))

    def decide(
        self, env: np.ndarray[Any, Any], community: tuple[float, ...], close: float, volatility: float, trend: float,
        depth: float, config: WorldConfig,
    ) -> float:  # fmt: skip
        """Features, nets and the state machine; returns the position wanted, in lots."""
        lot = config.contract_btc * config.lot_contracts
        profit = self.position * lot * (close - self.entry)
        equity = max(self.cash + profit, 1e-9)
        notional = abs(self.position) * lot * close
        has = 1.0 if self.position else 0.0
        side = math.copysign(has, self.position)
        leverage = notional / equity
        liquidation = 0.0
        if self.position:
            quantity = abs(self.position) * lot
            edge = quantity * self.entry - math.copysign(self.cash, self.position)
            limit = edge / (quantity * (1.0 - math.copysign(config.maintenance_margin, self.position)))
            liquidation = 1.0 / max(abs(close - limit) / close, 0.01)
        x = self.x
        x[:12] = env
        x[12:28] = (
            has, side, has, self.last_signal, self.shortfall, self.delay,
            min(equity * config.leverage_cap / depth, 1.0),
            abs(self.last_signal) * (self.slippage + self.impact), self.slippage, self.impact,
            self.slippage + self.impact + config.taker_fee,
            leverage * leverage / (leverage * leverage + config.leverage_k),
            liquidation, min(notional * volatility / max(equity - config.maintenance_margin * notional, 1e-9), 1.0),
            min(abs(profit) / (equity * (self.held + 1)), 1.0), has * trend * trend,
        )  # fmt: skip
        x[28:] = community
        if not self.position:
            self.last_signal = self.signal(0)
            if self.last_signal <= 0.0:
                return 0.0
            strength = self.signal(1)
            per_lot = close * lot * (1.0 / config.leverage_cap + config.taker_fee)
            return math.copysign(math.floor(abs(strength) * self.cash / per_lot), strength)
        self.last_signal = self.signal(1)
        return 0.0 if self.position * self.last_signal <= 0.0 else self.position


def run_naive(
    market: Market, environment: Environment, genomes: np.ndarray[Any, Any], config: WorldConfig, ticks: int
) -> int:
    """Let a population decide for ``ticks`` ticks; returns agent-ticks done."""
    agents = [NaiveAgent(genes, config.initial_total * config.allocation_ratio / len(genomes)) for genes in genomes]
    best = max(1, len(agents) // 10)
    for tick in range(ticks):
        close = float(market.close[tick])
        longs = sum(agent.position > 0 for agent in agents)
        shorts = sum(agent.position < 0 for agent in agents)
        rois = [agent.cash + agent.position * 1e-4 * (close - agent.entry) for agent in agents]
        ranked = sorted(range(len(agents)), key=rois.__getitem__)[-best:]
        community = (
            (longs + shorts) / len(agents), (longs - shorts) / max(longs + shorts, 1),
            sum(rois) / len(rois) / rois[0] - 1.0, 0.0, sum(agents[i].last_signal for i in ranked) / best,
        )  # fmt: skip
        env, volatility, trend = (
            environment.features[tick],
            float(environment.volatility[tick]),
            float(environment.trend[tick]),
        )
        depth = max(config.depth_share * float(environment.mean_volume[tick]) * close, 1e-9)
        for agent in agents:
            wanted = agent.decide(env, community, close, volatility, trend, depth, config)
            if wanted != agent.position:
                agent.cash += agent.position * 1e-4 * (close - agent.entry)
                agent.position, agent.entry, agent.held = wanted, close, 0
            agent.held += 1
    return ticks * len(agents)
