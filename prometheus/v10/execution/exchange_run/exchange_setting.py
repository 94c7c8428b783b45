"""What a profile and an opened account settle: the plan of the account, the world's numbers, the market's grid."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

import numpy as np

from prometheus.v10.base.errors import ConfigError, UsageError
from prometheus.v10.base.modes import Arm, Mode
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.evidence.records.exchanged.exchange_claim import BootstrapClaim, InstrumentClaim
from prometheus.v10.evidence.records.manifest_parts import MarketSource
from prometheus.v10.execution.opening.account_plan import AGENT_MONEY, AccountPlan
from prometheus.v10.execution.ports.order_terms import MarginMode, StpMode
from prometheus.v10.market.bars import COLUMNS, Bars
from prometheus.v10.market.windows import Window
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.exchange_table import SOURCE, ExchangeTable
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.request.setup import World

ALL: Final = "all"
MOST_ULPS: Final = 1 << 16
"""So many doubles away from the equity the world's total may be."""
NO_FUNDING: Final = "the exchange's bills say what was paid, and nothing says what nobody paid"


def table_of(profile: Profile) -> ExchangeTable:
    """``[exchange]`` of a profile that a session at an exchange can follow.

    Raises:
        UsageError: for a profile whose mode has no exchange.
        ConfigError: for what a session cannot do.
    """
    table, market = profile.exchange, profile.market
    if profile.mode is Mode.OFFLINE:
        raise UsageError("mode offline has no exchange", hint="give a profile whose mode is okx_demo")
    if profile.mode is Mode.OKX_LIVE and not profile.allow_live:
        raise UsageError("mode okx_live: the profile does not say allow_live = true", hint="run --mode okx_demo")
    if table is None:
        raise ConfigError(
            f"mode {profile.mode.value}: the profile has no [exchange]", hint="copy that of OKX_DEMO.toml"
        )
    if market.source != SOURCE or market.timeframe_s is None or market.bars is None:
        raise ConfigError(
            "[market] of a run at an exchange needs source = 'exchange', timeframe_s and bars",
            hint="name the length of a bar and how many bars the run has",
        )
    if market.symbol not in {None, table.instrument} or profile.window is not None or profile.founding is not None:
        raise ConfigError("a run at an exchange has no [window], no [founding], and no symbol of its own")
    if profile.experiments.count != 1 or profile.experiments.arm is not Arm.A_REAL:
        raise ConfigError("a run at an exchange has one experiment, of the arm A_real")
    if market.timeframe_s % 60:
        raise ConfigError(f"[market] timeframe_s = {market.timeframe_s}: the exchange has bars of whole minutes")
    return table


def plan_of(profile: Profile) -> AccountPlan:
    """What is wanted of the account; errors as `table_of`."""
    table = table_of(profile)
    return AccountPlan(
        mode=profile.mode, inst_id=table.instrument, currency=table.currency,
        margin_mode=MarginMode(table.margin_mode), leverage=Decimal(table.leverage), stp_mode=StpMode(table.stp_mode),
        tag=table.tag, clock_tolerance_ms=table.clock_tolerance_ms, flatten_at_start=table.flatten_at_start,
        expire_after_ms=table.expire_after_ms, least_agents=table.least_agents, most_agents=table.most_agents,
    )  # fmt: skip


def planned_world(profile: Profile, first_open: int) -> World:
    """The world before the account is opened: the profile's numbers, and the grid of bars that are to come.

    Raises:
        ConfigError: for a number that cannot be.
    """
    table, step = table_of(profile), profile.market.timeframe_s or 0
    bars, config = no_bars(table.instrument, step), setup.world_config(profile, step)
    market = market_of(bars, profile, first_open)
    return World(
        bars=bars, window=Window(ALL, 0, profile.market.bars or 0), config=config, market=market, arm=Arm.A_REAL,
        ablation=profile.experiments.ablation,
    )  # fmt: skip


def settled_config(config: WorldConfig, instrument: InstrumentClaim, bootstrap: BootstrapClaim) -> WorldConfig:
    """The world's numbers with what account and instrument say: founders and capital, units, fees, leverage."""
    total, share = total_and_share(float(bootstrap.equity), bootstrap.agents)
    return config._replace(
        founders=bootstrap.agents, initial_total=total, allocation_ratio=share,
        contract_btc=float(instrument.contract_value), lot_contracts=float(instrument.lot),
        tick_size=float(instrument.tick), taker_fee=0.0 - float(instrument.taker),
        maker_fee=0.0 - float(instrument.maker), leverage_cap=float(instrument.leverage),
    )  # fmt: skip


def total_and_share(equity: float, agents: int) -> tuple[float, float]:
    """The core's total and the share of it by which the core gives each agent exactly its stake.

    The total is the equity. Of one equity in eight no double is such a share; the total is then the nearest double of
    which there is one, some 1e-11 USDT away. What the account holds is counted in Decimal elsewhere, and is not moved.

    Raises:
        ConfigError: when no double within `MOST_ULPS` has such a share.
    """
    stake, up, down = float(AGENT_MONEY), equity, equity
    for _ in range(MOST_ULPS):
        for total in (up, down):
            share = stake * agents / total
            for one in (share, math.nextafter(share, math.inf), math.nextafter(share, 0.0)):
                if total * one / agents == stake:
                    return total, one
        up, down = math.nextafter(up, math.inf), math.nextafter(down, 0.0)
    raise ConfigError(
        f"no number near {equity} USDT gives {agents} agents {AGENT_MONEY} USDT each", hint="change most_agents by one"
    )


def market_of(bars: Bars, profile: Profile, first_open: int) -> MarketSource:
    """The market's identity: the grid as planned, and the hash of the bars that came."""
    step, count = bars.timeframe_s, profile.market.bars or 0
    grid = no_bars(bars.symbol, step, np.array([first_open, first_open + (count - 1) * step], dtype=np.int64))
    ends = grid.identity()
    return MarketSource(
        source=f"{profile.mode.value} market/candles", sha256=bars.sha256(), symbol=bars.symbol,
        timeframe=setup.timeframe_name(step), rows=count, first_time=ends.first_open_utc, last_time=ends.last_open_utc,
        extra={"funding": "billed", "timeframe_s": step},
    )  # fmt: skip


def no_bars(symbol: str, step: int, open_time: np.ndarray[Any, Any] | None = None) -> Bars:
    """Bars of which nothing but their time is known; none at all by default."""
    times = np.zeros(0, dtype=np.int64) if open_time is None else open_time
    unknown = {name: np.full(len(times), np.nan) for name, _ in COLUMNS if name != "open_time"}
    return Bars(symbol=symbol, timeframe_s=step, open_time=times, source=SOURCE, **unknown,
                null_reasons={"funding": NO_FUNDING} if len(times) else {})  # fmt: skip
