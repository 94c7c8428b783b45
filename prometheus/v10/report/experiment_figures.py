"""One figure an experiment, by name, from the plain rows of a run's summary. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def _net(row: Row) -> float:
    """USDT: what the total has grown by, from the return that the row states."""
    total: float = row["capital_triplet"]["current_total"]
    return float(total - total / (1.0 + row["system_roi"]))


def _costs(row: Row) -> float:
    costs = row["costs"]
    return float(costs["fees"] + costs["slippage"] + costs["funding"])


FIGURES: Mapping[str, Callable[[Row], float]] = {
    "never_traded": lambda row: row["zero_trade_share"],
    "system_roi": lambda row: row["system_roi"],
    "max_drawdown": lambda row: row["max_drawdown"],
    "trades_median": lambda row: row["trades_median"],
    "liquidated_share": lambda row: row["liquidated_share"],
    "roi_q05": lambda row: row["roi_quantiles"]["q05"],
    "roi_median": lambda row: row["roi_quantiles"]["median"],
    "roi_q95": lambda row: row["roi_quantiles"]["q95"],
    "deaths": lambda row: float(row["deaths"]),
    "births": lambda row: float(row["births"]),
    "alive_agents": lambda row: float(row["alive_agents"]),
    "lineages_alive": lambda row: float(row["lineages_alive"]),
    "gross": lambda row: _net(row) + _costs(row),
    "fees": lambda row: row["costs"]["fees"],
    "slippage": lambda row: row["costs"]["slippage"],
    "funding": lambda row: row["costs"]["funding"],
    "costs": _costs,
    "net": _net,
}
"""What is read off a row; shares and returns are fractions, money is USDT an experiment."""
SHARES = frozenset(
    ["never_traded", "system_roi", "max_drawdown", "liquidated_share", "roi_q05", "roi_median", "roi_q95"]
)
"""Figures that are fractions, and are shown as percentages."""


def figures_by_name(rows: Sequence[Row]) -> dict[str, tuple[float, ...]]:
    """Every figure of every experiment, in the experiments' order.

    Raises:
        KeyError: when a row lacks a figure.
        TypeError: when one is no number.
    """
    return {name: tuple(read(row) for row in rows) for name, read in FIGURES.items()}
