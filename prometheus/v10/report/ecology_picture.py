"""A picture of one or two runs: every experiment's system ROI as a mark, an arm a strip, in plain SVG.

Marks of one arm are spread over the strip's height by their number, so that equal values stay visible. The same runs
give the same bytes. The colours read on light and dark paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from prometheus.v10.evidence.records.summary import quantiles
from prometheus.v10.report.ecology import Ecology

WIDTH, STRIP, LEFT, RIGHT, TOP, FOOT = 760, 84, 24, 24, 34, 44
COLOURS = ("#2f6fb0", "#b0642f")
INK = "#6b7280"
FONT = 'font-family="sans-serif" font-size="13"'
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
MOST_TICKS = 9


def draw(runs: Sequence[Ecology]) -> str:
    """The SVG of at least one run's ``system_roi``."""
    values = [value for run in runs for value in run.figures["system_roi"]]
    step = next((s for s in STEPS if (max(values) - min(values)) / s < MOST_TICKS - 2), STEPS[-1])
    first, last = int(min(*values, 0.0) // step), int(-(-max(*values, 0.0) // step))
    low, high = first * step, max(last, first + 1) * step
    height = TOP + STRIP * len(runs) + FOOT

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" '
        f'aria-label="system ROI of every experiment">',
        f'<g {FONT} fill="{INK}">',
    ]
    base = TOP + STRIP * len(runs)
    for k in range(first, max(last, first + 1) + 1):
        at = x(k * step)
        dash = "" if k == 0 else ' stroke-dasharray="2 4"'
        parts.append(f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{base}" stroke="{INK}"{dash}/>')
        label = f"{k * step:+.0%}" if k else "0"
        parts.append(f'<text x="{at:.1f}" y="{base + 18}" text-anchor="middle">{label}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{base + 36}" text-anchor="middle">system ROI, one mark an experiment</text>'
    )
    parts.append("</g>")
    for number, run in enumerate(runs):
        parts += _strip(run, TOP + STRIP * number, COLOURS[number % len(COLOURS)], x)
    return "\n".join([*parts, "</svg>", ""])


def _strip(run: Ecology, top: int, colour: str, x: Callable[[float], float]) -> list[str]:
    rois = run.figures["system_roi"]
    found = quantiles(rois)
    band = STRIP - 34
    title = escape(
        f"{run.label}: median {found['median']:+.1%}, half between {found['q25']:+.1%} and {found['q75']:+.1%}"
    )
    parts = [f'<text x="{LEFT}" y="{top + 14}" {FONT} fill="{colour}">{title}</text>']
    for number, roi in enumerate(rois):
        y = top + 24 + (number * 7 % 13) / 12 * band
        parts.append(f'<circle cx="{x(roi):.1f}" cy="{y:.1f}" r="3.2" fill="{colour}" fill-opacity="0.55"/>')
    at, end = x(found["median"]), top + 29 + band
    parts.append(f'<path d="M{at:.1f} {top + 19}V{end}" stroke="{colour}" stroke-width="2.5"/>')
    return parts
