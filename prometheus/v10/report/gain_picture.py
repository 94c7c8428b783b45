"""A picture of what was gained: the e-value over the eras, in powers of ten, and below it the effect with its bounds.

PNG. The same eras give the same bytes. Needs the extra ``analysis`` (matplotlib).
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.v10.base.extras import analysis_module
from prometheus.v10.evidence.pools.descent import Line
from prometheus.v10.report.betting import THRESHOLD
from prometheus.v10.report.gain import Comparison

COLOURS = {Line.FRESH: "#0072b2", Line.NULL: "#d55e00"}
GREY = "#777777"
MOST, LEAST = 300.0, -30.0
"""Powers of ten between which an e-value is drawn; what lies outside is drawn at the edge."""
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 9.0, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.6, "axes.axisbelow": True,
    "legend.frameon": False,
}  # fmt: skip


def draw_gains(title: str, comparisons: Sequence[Comparison], names: Mapping[Comparison, str]) -> bytes:
    """One column a comparison; ``names`` are the titles of the columns.

    Raises:
        ConfigError: when matplotlib is not installed.
    """
    matplotlib, figures = (analysis_module(name, "--plot") for name in ("matplotlib", "matplotlib.figure"))
    with matplotlib.rc_context(STYLE):
        figure = figures.Figure(figsize=(5.2 * len(comparisons), 6.0), layout="constrained", facecolor="white")
        panels = figure.subplots(2, len(comparisons), sharex="col", squeeze=False)
        for column, one in enumerate(comparisons):
            _evidence(panels[0][column], one)
            _effect(panels[1][column], one)
            panels[0][column].set_title(names[one], loc="left", fontweight="bold")
            panels[1][column].set_xlabel("era")
            panels[1][column].xaxis.get_major_locator().set_params(integer=True)
            if one.path:
                panels[1][column].set_xlim(one.path[0].era - 1, one.path[-1].era + 1)
        panels[0][0].set_ylabel("e-value")
        panels[1][0].set_ylabel("effect")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        held = io.BytesIO()
        figure.savefig(held, format="png", dpi=120, metadata={"Software": "prometheus-quant"})
    return held.getvalue()


def _evidence(axes: Any, one: Comparison) -> None:
    eras = [point.era for point in one.path]
    values = [10.0 ** min(MOST, max(LEAST, point.log_e / math.log(10.0))) for point in one.path]
    axes.plot(eras, values, color=COLOURS[one.second], linewidth=1.8, marker="o", markersize=3)
    axes.axhline(THRESHOLD, color="black", linewidth=1.0)
    axes.annotate(
        f"{THRESHOLD:g}: shown", (1.0, THRESHOLD), xycoords=("axes fraction", "data"), xytext=(0, 3),
        textcoords="offset points", ha="right", va="bottom",
    )  # fmt: skip
    axes.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    axes.set_ylim(min([0.05, *values]) / 1.5, max([2.0 * THRESHOLD, *values]) * 1.5)
    if one.shown_at is not None:
        axes.axvline(one.shown_at, color=COLOURS[one.second], linewidth=0.8, linestyle="--")


def _effect(axes: Any, one: Comparison) -> None:
    eras = [point.era for point in one.path]
    colour = COLOURS[one.second]
    axes.plot(
        eras, [point.effect for point in one.path], "o", color=colour, alpha=0.45, markersize=4, label="of the era"
    )  # fmt: skip
    axes.plot(eras, [point.mean for point in one.path], color=colour, linewidth=1.8, label="mean so far")
    lower, upper = [point.lower for point in one.path], [point.upper for point in one.path]
    axes.fill_between(eras, lower, upper, color=colour, alpha=0.15, linewidth=0, label="between its bounds")
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set_ylim(-1.35, 1.05)
    if eras:
        axes.legend(loc="lower right", ncols=3, fontsize=8)
