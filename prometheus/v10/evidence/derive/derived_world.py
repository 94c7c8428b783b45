"""The published defaults of the world and the names of ablations, for readers that have no numpy.

A test holds both against `prometheus.v10.core.config` and `prometheus.v10.runs.request.ablation`. Standard library
only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

OFF = "off"
DEFAULTS: dict[str, Any] = {
    "timeframe_s": 3600,
    "taker_fee": 0.0005,
    "maker_fee": 0.0002,
    "contract_btc": 0.01,
    "lot_contracts": 0.01,
    "tick_size": 0.1,
    "leverage_cap": 3.0,
    "maintenance_margin": 0.004,
    "liquidation_fee": 0.0005,
    "funding_default": 0.0001,
    "spread_volatility": 0.01,
    "impact": 1.0,
    "max_participation": 0.1,
    "depth_share": 0.01,
    "initial_total": 10_000.0,
    "allocation_ratio": 0.8,
    "founders": 100,
    "review_ticks": 2190,
    "death_roi": 0.01,
    "breed_roi": 0.05,
    "mutation_rate": 0.10,
    "mutation_scale": 0.05,
    "day_ticks": 24,
    "range_ticks": 168,
    "ema_alpha": 0.1,
    "reference_fill_ticks": 10.0,
    "leverage_k": 1.0,
    "community_ticks": 2190,
    "top_share": 0.10,
    "entry_m7_below": OFF,
    "exit_m9_above": OFF,
    "exit_c4_above": OFF,
    "long_only": 0,
}
"""Every number of the world; a fence that is off is the text ``off``."""
ABLATIONS: dict[str, str] = {
    "none": "all 33 channels are live",
    "M_zeroed": "M1-M12 read 0",
    "C_zeroed": "C1-C5 read 0",
    "I_zeroed": "I1-I4 read 0",
    "E_ob_only": "E1-E5 are live, E6-E12 read 0",
    "I_min_13": "of I only I1 and I3 are live",
    "I_min_123": "of I only I1, I2 and I3 are live",
    "I_min_134": "of I only I1, I3 and I4 are live",
}
DAY_S = 86_400


def world_of(table: Mapping[str, Any], timeframe_s: int) -> dict[str, Any]:
    """Every number of the world of bars of ``timeframe_s`` seconds, with what a profile's ``[world]`` sets."""
    day = max(1, DAY_S // timeframe_s)
    given = {name: OFF if value in (math.inf, "inf") else value for name, value in table.items()}
    return DEFAULTS | {"timeframe_s": timeframe_s, "day_ticks": day, "range_ticks": 7 * day} | given


AT_LEAST = ("taker_fee", "maintenance_margin", "liquidation_fee", "spread_volatility", "impact")
AT_MOST = ("leverage_cap", "max_participation", "depth_share")
FENCES = ("entry_m7_below", "exit_m9_above", "exit_c4_above")


def outside_contract(world: Mapping[str, Any]) -> list[str]:
    """Why a world is another than the contract's (section 3), a clause a number; empty when it is not.

    Trading is cheaper or less bounded there, or a man-made fence is on. What lives in it is a counterfactual: its
    genomes are not handed to the pool, where nobody could tell them from the others. Dearer trading is no reason, nor
    are the numbers of an instrument (contract, lot, tick), of capital and of ecology.

    Args:
        world: every number, as `world_of` gives them and a manifest has them.
    """
    numbers = {name: value for name, value in world.items() if isinstance(value, (int, float))}
    cheap = [(name, "at least") for name in AT_LEAST if numbers.get(name, math.inf) < DEFAULTS[name]]
    free = [(name, "at most") for name in AT_MOST if numbers.get(name, -math.inf) > DEFAULTS[name]]
    said = [f"{name} is {numbers[name]}, {bound} {DEFAULTS[name]} in the contract" for name, bound in cheap + free]
    return said + [f"{name} is on" for name in FENCES if world.get(name, OFF) not in (OFF, math.inf)]


def timeframe_name(seconds: int) -> str:
    """``5m``, ``1h``, ``1d``: the largest unit that divides evenly."""
    for size, letter in ((DAY_S, "d"), (3_600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"
