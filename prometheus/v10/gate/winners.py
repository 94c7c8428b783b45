"""Who won, by thresholds fixed beforehand (contracts, section 14): an absolute one, and one anchored in A.

Winners are counted among everyone who lived, dead or alive. The anchor is a quantile of A's lifetime ROI, applied to
both arms: the first of the design's quantiles that is above 0; where none is, a quantile of A's positive ROIs, if there
are enough of them; else the absolute threshold. Which one it was, and its value, is part of the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from prometheus.v10.base.modes import Arm
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.gate.cells import cell_name
from prometheus.v10.gate.compare import ByCell
from prometheus.v10.gate.design import GateDesign, WinnersTable
from prometheus.v10.gate.outcome import GateExperiment

Floats = npt.NDArray[np.float64]
NOBODY = "nobody reached the threshold"


@frozen(kw_only=True)
class ArmWinners:
    """Winners of one arm by one threshold; trades are closed round trips."""

    agents: int
    winners: int
    rate: float
    trades_median: float | None
    trades_p90: float | None
    trades_max: int | None
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Winners:
    """Winners of one window by one threshold.

    Attributes:
        kind: ``absolute`` or ``anchored``.
        method: how the threshold was found.
        threshold: lifetime ROI, a fraction.
    """

    window: str
    kind: str
    method: str
    threshold: float
    a: ArmWinners
    b: ArmWinners
    extra: dict[str, Any] = field(factory=dict)


def anchor(roi_of_a: Floats, table: WinnersTable) -> tuple[str, float]:
    """The anchored threshold and how it was found."""
    for quantile in table.anchor_quantiles:
        value = float(np.quantile(roi_of_a, quantile))
        if value > 0.0:
            return f"q{100 * quantile:g} of A", value
    positive = roi_of_a[roi_of_a > 0.0]
    if len(positive) >= table.positives_least:
        q = table.positives_quantile
        return f"q{100 * q:g} of A's {len(positive)} positive ROIs", float(np.quantile(positive, q))
    return "the absolute one: too few of A's ROIs are positive", table.absolute


def winners(design: GateDesign, by_cell: ByCell) -> list[Winners]:
    """Both thresholds in every window."""
    found = []
    for window in design.windows:
        arms = [by_cell[cell_name(window.name, arm)] for arm in Arm]
        kinds = [("absolute", "fixed", design.winners.absolute)]
        kinds.append(("anchored", *anchor(_roi(arms[0]), design.winners)))
        for kind, method, threshold in kinds:
            a, b = (_count(arm, threshold) for arm in arms)
            found.append(Winners(window=window.name, kind=kind, method=method, threshold=threshold, a=a, b=b))
    return found


def _roi(arm: Sequence[GateExperiment]) -> Floats:
    return np.concatenate([np.asarray(one.roi_lifetime, dtype=np.float64) for one in arm])


def _count(arm: Sequence[GateExperiment], threshold: float) -> ArmWinners:
    roi, nulls = _roi(arm), Nulls()
    trades = np.concatenate([np.asarray(one.agent_trades, dtype=np.int64) for one in arm])[roi >= threshold]
    some = len(trades) > 0
    return ArmWinners(
        agents=len(roi),
        winners=len(trades),
        rate=len(trades) / len(roi),
        trades_median=nulls.known("trades_median", float(np.median(trades)) if some else None, NOBODY),
        trades_p90=nulls.known("trades_p90", float(np.quantile(trades, 0.9)) if some else None, NOBODY),
        trades_max=nulls.known("trades_max", int(trades.max()) if some else None, NOBODY),
        null_reasons=nulls.reasons,
    )
