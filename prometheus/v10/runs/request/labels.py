"""``[stage2.labels]`` of a profile: thresholds of what `prometheus.v10.evidence.derive.judged.label_rules` defines."""

from __future__ import annotations

from attrs import field, frozen, validators

from prometheus.v10.evidence.derive.judged.label_rules import (
    BALLAST,
    CHAMPION,
    CONTRIBUTOR,
    LABELS,
    Cell,
    labels,
    median,
)

__all__ = ["BALLAST", "CHAMPION", "CONTRIBUTOR", "LABELS", "Cell", "LabelsTable", "labels", "median"]


@frozen(kw_only=True)
class LabelsTable:
    """``[stage2.labels]``: the thresholds of the definitions (see the head of the module).

    Attributes:
        ballast_survival: share of all experiments survived.
        ballast_drawdown: largest loss from a peak of its equity, as a fraction of the peak, in any experiment.
        trades_at_least: closed round trips in a cell, the fewest of its seeds.
        contributor_roi: median ROI of a window.
        contributor_share: share of the windows in which it must hold.
        champion_roi: median ROI of one cell.
    """

    ballast_survival: float = field(default=1.0, validator=[validators.ge(0.0), validators.le(1.0)])
    ballast_drawdown: float = field(default=0.25, validator=[validators.ge(0.0), validators.le(1.0)])
    trades_at_least: int = field(default=3, validator=validators.ge(1))
    contributor_roi: float = 0.01
    contributor_share: float = field(default=0.75, validator=[validators.gt(0.0), validators.le(1.0)])
    champion_roi: float = 0.5
