"""Whether a world's tick and lot fit a market's prices: elsewhere every result is about rounding, not about trading."""

from __future__ import annotations

import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.market.bars import Bars

MOST_TICK = 1e-3  # of the price: the spread is a tick at least, and at this one it costs as much as both fees
FITTING_TICK = 1e-4


def require_fitting(bars: Bars, config: WorldConfig) -> None:
    """Refuse a market whose price scale makes the world's tick or lot meaningless.

    Raises:
        ConfigError: naming the number, the price, and what to set.
    """
    price = float(np.median(bars.close))
    share = config.tick_size / price
    if share > MOST_TICK:
        raise ConfigError(
            f"[world] tick_size = {config.tick_size:g} is {share:.2%} of the price of {bars.symbol} "
            f"({price:.6g}): {MOST_TICK:.1%} at most",
            hint=f"set [world] tick_size (at most {price * FITTING_TICK:.1g} would fit), and contract_btc, "
            "the face value of a contract in this market's base currency",
        )
    stake = config.initial_total * config.allocation_ratio / config.founders * config.leverage_cap
    lot = config.lot_btc * price
    if lot > stake:
        raise ConfigError(
            f"[world] contract_btc x lot_contracts: one lot of {bars.symbol} is worth {lot:.6g}, and a founder can "
            f"buy for {stake:.6g} at most: nobody could trade",
            hint="set [world] contract_btc or lot_contracts smaller, or initial_total larger",
        )
