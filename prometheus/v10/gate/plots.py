"""The pictures of a verdict: distributions, equity fans, survival curves, effects. Same figures, same bytes.

SVG with text as text, without dates, with a fixed salt for its ids. Blue is A, the real order; orange is B2, the null;
grey is the path control. No picture has a figure that the experiments or the verdict do not have.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from prometheus.v10.base.modes import Arm
from prometheus.v10.gate.cells import NO_ABLATION, NO_FENCE, cell_name, path_cell
from prometheus.v10.gate.compare import SYSTEM_ROI, ByCell, Comparison, path_figure
from prometheus.v10.gate.design import GateDesign
from prometheus.v10.gate.outcome import CURVE_POINTS
from prometheus.v10.gate.statistics import extra
from prometheus.v10.gate.verdict import GateVerdict

ROI, EQUITY, SURVIVAL, EFFECTS = "gate_roi.svg", "gate_equity.svg", "gate_survival.svg", "gate_effects.svg"
COLOURS = {Arm.A_REAL: "#0072b2", Arm.B2_SHUFFLE_RETURNS: "#d55e00"}
LABELS = {Arm.A_REAL: "A: real order", Arm.B2_SHUFFLE_RETURNS: "B2: shuffled returns"}
WIDTHS = {Arm.A_REAL: 3.4, Arm.B2_SHUFFLE_RETURNS: 1.4}  # so that both are seen where they coincide
GREY = "#777777"
STYLE = {
    "svg.hashsalt": "prometheus-quant",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
Axes = Any


def draw(design: GateDesign, verdict: GateVerdict, by_cell: ByCell) -> dict[str, bytes]:
    """Every picture of a gate by its file's name."""
    return {
        ROI: _panels(design, "system ROI, %", lambda axes, window: _roi(axes, design, by_cell, window)),
        EQUITY: _panels(design, "equity / initial capital", lambda axes, window: _fan(axes, by_cell, window)),
        SURVIVAL: _panels(design, "share", lambda axes, window: _survival(axes, by_cell, window)),
        EFFECTS: _effects(verdict),
    }


def _figure(width: float, height: float, panels: int) -> tuple[Any, Sequence[Axes]]:
    figure = extra("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, panels, sharey=True)))


def _svg(figure: Any) -> bytes:
    held = io.BytesIO()
    figure.savefig(held, format="svg", metadata={"Date": None, "Creator": "prometheus-quant"})
    return held.getvalue()


def _panels(design: GateDesign, label: str, panel: Callable[[Axes, str], None]) -> bytes:
    """One panel a window, side by side."""
    with extra("matplotlib").rc_context(STYLE):
        figure, panels = _figure(1.0 + 3.6 * len(design.windows), 3.6, len(design.windows))
        for axes, window in zip(panels, design.windows, strict=True):
            panel(axes, window.name)
            axes.set_title(window.name, loc="left", fontweight="bold")
        panels[0].set_ylabel(label)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        return _svg(figure)


def _roi(axes: Axes, design: GateDesign, by_cell: ByCell, window: str) -> None:
    """Every experiment of both arms, their quartiles, and the medians of the shuffled paths."""
    for at, arm in enumerate(Arm):
        roi = 100.0 * np.array([one.system_roi for one in by_cell[cell_name(window, arm)]])
        place = at + _scatter(len(roi))
        axes.plot(place, roi, "o", markersize=3, alpha=0.6, color=COLOURS[arm], label=LABELS[arm])
        low, middle, high = np.quantile(roi, (0.25, 0.5, 0.75))
        axes.vlines(at, low, high, color="black", linewidth=1.2)
        axes.hlines(middle, at - 0.22, at + 0.22, color="black", linewidth=1.6)
    paths = [100.0 * path_figure(SYSTEM_ROI, by_cell[path_cell(window, path)]) for path in range(design.paths.count)]
    axes.plot(2 + _scatter(len(paths)), paths, "x", markersize=4, color=GREY, label="median on one shuffled path")
    real = by_cell[cell_name(window, Arm.A_REAL)][: design.paths.seeds]
    middle = 100.0 * path_figure(SYSTEM_ROI, real)
    axes.plot([2], [middle], "D", markersize=6, color=COLOURS[Arm.A_REAL], label="median on the real path, same seeds")
    axes.set_xticks([0, 1, 2], ["A", "B2", "path control"])
    axes.set_xlim(-0.5, 2.5)


def _scatter(count: int) -> npt.NDArray[np.float64]:
    """Sideways places that keep points apart: a fixed pattern, no chance."""
    return np.asarray(((np.arange(count) * 7) % 11 / 10.0 - 0.5) * 0.5, dtype=np.float64)


def _curves(by_cell: ByCell, window: str, arm: Arm, name: str) -> npt.NDArray[np.float64]:
    """Curves of an arm, shape (experiments, CURVE_POINTS)."""
    return np.array([getattr(one, name) for one in by_cell[cell_name(window, arm)]], dtype=np.float64)


def _shares() -> npt.NDArray[np.float64]:
    return np.linspace(0.0, 100.0, CURVE_POINTS)


def _fan(axes: Axes, by_cell: ByCell, window: str) -> None:
    """Bands of 90 % and 50 % of the experiments around their median."""
    for arm in Arm:
        bands = np.quantile(_curves(by_cell, window, arm, "equity"), (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
        axes.fill_between(_shares(), bands[0], bands[4], color=COLOURS[arm], alpha=0.15, linewidth=0)
        axes.fill_between(_shares(), bands[1], bands[3], color=COLOURS[arm], alpha=0.25, linewidth=0)
        axes.plot(_shares(), bands[2], color=COLOURS[arm], linewidth=1.6, label=f"{LABELS[arm]}, median, 50 %, 90 %")
    axes.axhline(1.0, color=GREY, linewidth=0.8)
    axes.set_xlabel("% of the window")


def _survival(axes: Axes, by_cell: ByCell, window: str) -> None:
    """Experiments with anybody alive, and agents alive over founders (median experiment)."""
    for arm in Arm:
        living = _curves(by_cell, window, arm, "living")
        founders = by_cell[cell_name(window, arm)][0].founders
        axes.step(
            _shares(), (living > 0).mean(axis=0), where="post", color=COLOURS[arm], linewidth=WIDTHS[arm],
            label=f"{LABELS[arm]}: experiments alive",
        )  # fmt: skip
        axes.plot(
            _shares(), np.median(living, axis=0) / founders, color=COLOURS[arm], linewidth=1.2, linestyle=":",
            label=f"{LABELS[arm]}: agents / founders",
        )  # fmt: skip
    axes.axhline(0.0, color=GREY, linewidth=0.8)  # the scale begins there
    axes.set_xlabel("% of the window")


def _effects(verdict: GateVerdict) -> bytes:
    """Cliff's delta and the difference of medians of every comparison, with their intervals."""
    rows = [*verdict.comparisons, *verdict.explored]
    names = [_row_name(one) for one in rows]
    columns: Mapping[str, tuple[str, str, str]] = {
        "Cliff's delta, A over B2": ("delta", "delta_low", "delta_high"),
        "median system ROI, A less B2, pp": ("difference_pp", "difference_low_pp", "difference_high_pp"),
    }
    with extra("matplotlib").rc_context(STYLE):
        figure, panels = _figure(9.0, 1.2 + 0.24 * len(rows), 2)
        places = np.arange(len(rows))[::-1]
        for axes, (title, keys) in zip(panels, columns.items(), strict=True):
            for place, one in zip(places, rows, strict=True):
                value, low, high = (getattr(one, key) for key in keys)
                first = (one.ablation, one.fence) == (NO_ABLATION, NO_FENCE)
                colour = COLOURS[Arm.A_REAL] if first else GREY
                axes.hlines(place, low, high, color=colour, linewidth=2.0 if first else 1.2)
                axes.plot([value], [place], "o", markersize=5 if first else 4, color=colour)
            axes.axvline(0.0, color="black", linewidth=0.8)
            axes.set_title(title, loc="left", fontsize=9)
        panels[0].set_yticks(places, names)
        panels[0].set_xlim(-1.05, 1.05)
        return _svg(figure)


def _row_name(one: Comparison) -> str:
    changed = [name.removeprefix("FENCE_CORE_") for name in (one.ablation, one.fence) if name != NO_ABLATION]
    return f"{one.window} {changed[0] if changed else 'PRIMARY'}"
