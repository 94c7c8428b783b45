"""A picture of survival: collapses so far over the ticks lived, a panel for each stratum, with the fitted curve.

PNG. The same lives give the same bytes. Needs the extra ``analysis`` (matplotlib).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from prometheus.v10.base.extras import analysis_module
from prometheus.v10.report.lifetimes import Figures

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#777777"
COLUMNS, POINTS = 2, 200
MOST_PANELS = 12
"""Strata that one picture shows: the last ones that began."""
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 9.0, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.6, "axes.axisbelow": True,
    "legend.frameon": False,
}  # fmt: skip


def draw_lifetimes(title: str, strata: Sequence[tuple[str, Figures]]) -> bytes:
    """One panel a stratum, under its name; the last `MOST_PANELS` of them.

    Raises:
        ConfigError: when matplotlib is not installed.
    """
    matplotlib, figures = (analysis_module(name, "--plot") for name in ("matplotlib", "matplotlib.figure"))
    shown = strata[-MOST_PANELS:]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    with matplotlib.rc_context(STYLE):
        figure = figures.Figure(figsize=(5.2 * columns, 3.2 * rows), layout="constrained", facecolor="white")
        panels = figure.subplots(rows, columns, squeeze=False)
        for at, axes in enumerate(panels.flat):
            if at < len(shown):
                _panel(axes, *shown[at])
            else:
                axes.set_visible(False)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        held = io.BytesIO()
        figure.savefig(held, format="png", dpi=120, metadata={"Software": "prometheus-quant"})
    return held.getvalue()


def _panel(axes: Any, name: str, found: Figures) -> None:
    axes.step(
        [0, *found.times, found.ticks], [*range(found.collapses + 1), found.collapses], where="post", color=BLUE,
        linewidth=1.6, label="collapses",
    )  # fmt: skip
    if found.trend is not None:
        fit = found.trend
        at = [found.ticks * n / POINTS for n in range(POINTS + 1)]
        axes.plot(
            at, [fit.scale * tick**fit.beta for tick in at], color=ORANGE, linewidth=1.4,
            label=f"fit, beta {fit.beta:.2f}",
        )  # fmt: skip
    axes.plot([0, found.ticks], [0, found.collapses], color=GREY, linewidth=0.8, linestyle=":", label="no trend")
    axes.set_title(f"{name}\n{found.word}", loc="left", fontsize=9)
    axes.set_xlabel("ticks lived")
    axes.set_ylabel("collapses")
    axes.set_xlim(0, max(1, found.ticks))
    axes.set_ylim(0, max(1, found.collapses) * 1.05)
    axes.get_yaxis().get_major_locator().set_params(integer=True)
    axes.legend(loc="upper left", fontsize=8)
