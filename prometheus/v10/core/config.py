"""Every number of the world, with its unit and source. Part of an experiment's identity."""

from __future__ import annotations

import math
from typing import NamedTuple


class WorldConfig(NamedTuple):
    """Physics, capital and ecology of one experiment (contracts, section 3).

    Rates are fractions (0.0005 is 0.05 %), money is USDT, windows are ticks of the run's timeframe.
    """

    timeframe_s: int = 3600

    # Exchange: OKX BTC-USDT-SWAP, regular tier.
    taker_fee: float = 0.0005
    maker_fee: float = 0.0002  # recorded; every order here takes liquidity
    contract_btc: float = 0.01  # face value of one contract
    lot_contracts: float = 0.01  # smallest order and step
    tick_size: float = 0.1  # USDT
    leverage_cap: float = 3.0
    maintenance_margin: float = 0.004  # of notional
    liquidation_fee: float = 0.0005  # taker fee on the forced fill
    funding_default: float = 0.0001  # per 8 h boundary where the market has no series
    spread_volatility: float = 0.01  # quoted spread as a share of one bar's volatility, at least one tick
    impact: float = 1.0  # square-root law: impact x volatility x sqrt(quantity / mean bar volume)
    max_participation: float = 0.1  # of the bar's volume: nobody fills more than that
    depth_share: float = 0.01  # of the mean bar volume: what M3 calls market depth

    # Capital.
    initial_total: float = 10_000.0
    allocation_ratio: float = 0.8
    founders: int = 100

    # Ecology.
    review_ticks: int = 2190
    death_roi: float = 0.01
    breed_roi: float = 0.05
    mutation_rate: float = 0.10
    mutation_scale: float = 0.05

    # Features.
    day_ticks: int = 24
    range_ticks: int = 168  # the price range that E1-E4, E6, E7, E11, E12 are positions in
    ema_alpha: float = 0.1  # M1, M2, M5, M6
    reference_fill_ticks: float = 10.0  # M2
    leverage_k: float = 1.0  # M8 = L^2 / (L^2 + k)
    community_ticks: int = 2190  # C4's "recent"
    top_share: float = 0.10  # C5's "top performers"

    # Man-made fences of the historic engine, for counterfactual arms only. Infinite or zero: off.
    entry_m7_below: float = math.inf
    exit_m9_above: float = math.inf
    exit_c4_above: float = math.inf
    long_only: int = 0

    @property
    def lot_btc(self) -> float:
        """Quantity of one lot in BTC."""
        return self.contract_btc * self.lot_contracts


def for_timeframe(timeframe_s: int, **changes: float) -> WorldConfig:
    """The default world at another bar length: windows that mean a day or a week keep meaning that."""
    day = max(1, 86_400 // timeframe_s)
    return WorldConfig(timeframe_s=timeframe_s, day_ticks=day, range_ticks=7 * day)._replace(**changes)  # type: ignore[arg-type]
