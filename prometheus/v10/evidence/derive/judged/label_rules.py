"""Ballast, contributor, champion: what stage 2 says of a genome (contracts, section 14). Audit labels only.

No label reaches the world: they are made from finished experiments, by the definitions below, and stand in the stage-2
pool. A cell is one window, timeframe and company (alone, or in a crowd); its figures are taken over its seeds.

Version 1, with the thresholds of ``[stage2.labels]``:

* **ballast**: it survived in at least ``ballast_survival`` of all experiments, its worst drawdown was at most
  ``ballast_drawdown``, and it closed at least ``trades_at_least`` trades in at least half of the cells: who never
  trades escapes the pressure and stabilises nothing.
* **contributor**: in at least ``contributor_share`` of the windows it is repeatably positive: in each company the
  median over seeds and timeframes of its ROI is at least ``contributor_roi``, and it traded there.
* **champion**: in at least one window some cell's median ROI over the seeds is at least ``champion_roi``, with all
  seeds survived and traded in; and it is accountable: commit and run of its origin are known, so that it can be run
  again.

A genome may carry none of them, or several.

Standard library only: a run labels with them, and its verifier labels again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

BALLAST, CONTRIBUTOR, CHAMPION = LABELS = ("ballast", "contributor", "champion")
HALF = 0.5


class Thresholds(Protocol):
    """The thresholds of the definitions: ``[stage2.labels]``."""

    @property
    def ballast_survival(self) -> float:
        """Share of all experiments survived."""

    @property
    def ballast_drawdown(self) -> float:
        """Largest loss from a peak, as a fraction of the peak."""

    @property
    def trades_at_least(self) -> int:
        """Closed round trips in a cell, the fewest of its seeds."""

    @property
    def contributor_roi(self) -> float:
        """Median ROI of a window."""

    @property
    def contributor_share(self) -> float:
        """Share of the windows in which it must hold."""

    @property
    def champion_roi(self) -> float:
        """Median ROI of one cell."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One genome in one window, timeframe and company, over its seeds.

    Attributes:
        survived: experiments survived, of ``experiments``.
        roi: median over seeds (of an even number the upper one: no average, so no rounding).
        drawdown: the worst of its seeds.
        trades: the fewest of its seeds.
    """

    window: str
    timeframe: str
    company: str
    experiments: int
    survived: int
    roi: float
    drawdown: float
    trades: int


def median(values: Sequence[float]) -> float:
    """The middle value; of an even number the upper one."""
    return sorted(values)[len(values) // 2]


def labels(cells: Sequence[Cell], table: Thresholds, *, accountable: bool) -> list[str]:
    """The labels that a genome carries, in the order of `LABELS`.

    Args:
        cells: all of them.
        table: thresholds.
        accountable: whether its origin is known well enough to be run again.
    """
    said = {
        BALLAST: _is_ballast(cells, table),
        CONTRIBUTOR: _is_contributor(cells, table),
        CHAMPION: accountable and any(_is_peak(cell, table) for cell in cells),
    }
    return [name for name in LABELS if said[name]]


def _is_ballast(cells: Sequence[Cell], table: Thresholds) -> bool:
    experiments, survived = (sum(getattr(cell, name) for cell in cells) for name in ("experiments", "survived"))
    traded = sum(cell.trades >= table.trades_at_least for cell in cells)
    return (
        survived >= table.ballast_survival * experiments
        and max(cell.drawdown for cell in cells) <= table.ballast_drawdown
        and traded >= HALF * len(cells)
    )


def _is_contributor(cells: Sequence[Cell], table: Thresholds) -> bool:
    windows = list(dict.fromkeys(cell.window for cell in cells))
    good = 0
    for window in windows:
        here = [cell for cell in cells if cell.window == window]
        companies = dict.fromkeys(cell.company for cell in here)
        good += all(_contributes([cell for cell in here if cell.company == company], table) for company in companies)
    return good >= table.contributor_share * len(windows)


def _contributes(cells: Sequence[Cell], table: Thresholds) -> bool:
    rois, trades = [cell.roi for cell in cells], [float(cell.trades) for cell in cells]
    return median(rois) >= table.contributor_roi and median(trades) >= table.trades_at_least


def _is_peak(cell: Cell, table: Thresholds) -> bool:
    return cell.roi >= table.champion_roi and cell.survived == cell.experiments and cell.trades >= table.trades_at_least
