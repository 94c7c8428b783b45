"""From a genome's figures in every experiment to what its verdict says: one rule for the run and for its verifier.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from prometheus.v10.evidence.derive.judged.cell_rules import DEFINITIONS, VERDICT
from prometheus.v10.evidence.derive.judged.label_rules import Cell, Thresholds, labels, median
from prometheus.v10.evidence.pools.exposure import Interval, covered, market_of, meets, plain, union

LINEAGE = "lineage"
"""Key of a verdict's origin; verdicts of versions before ADR 0086 do not have it."""


class CellName(NamedTuple):
    """Window, timeframe and company, as a verdict names a cell."""

    window: str
    timeframe: str
    company: str


class Figures(NamedTuple):
    """One genome in one experiment; ``survived`` is 1 or 0."""

    survived: int
    roi: float
    drawdown: float
    trades: int
    wins: int
    fees: float
    funding: float
    slippage: float


def cells_of(rows: Sequence[tuple[CellName, Figures]]) -> list[Cell]:
    """One genome's figures, the seeds of each cell taken together; cells in the order in which they first come."""
    grouped: dict[CellName, list[Figures]] = {}
    for name, figures in rows:
        grouped.setdefault(name, []).append(figures)
    return [
        Cell(
            window=name.window,
            timeframe=name.timeframe,
            company=name.company,
            experiments=len(seeds),
            survived=sum(one.survived for one in seeds),
            roi=median([one.roi for one in seeds]),
            drawdown=max(one.drawdown for one in seeds),
            trades=min(one.trades for one in seeds),
        )
        for name, seeds in grouped.items()
    ]


def metrics_of(
    rows: Sequence[tuple[CellName, Figures]], thresholds: Thresholds, evaluation: str, origin: Mapping[str, Any], *,
    finite: bool,
) -> dict[str, Any]:  # fmt: skip
    """``metrics_summary`` of a verdict.

    Args:
        rows: the genome in each experiment, in order.
        thresholds: of the labels.
        evaluation: under which it is judged.
        origin: its record in the snapshot.
        finite: whether all loci are finite numbers.
    """
    cells, every = cells_of(rows), [figures for _, figures in rows]
    roi = [one.roi for one in every]
    survived, trades = sum(one.survived for one in every), sum(one.trades for one in every)
    return {
        "survived": survived == len(every),
        "survival_share": survived / len(every),
        "roi_lifetime": median(roi),
        "roi_worst": min(roi),
        "roi_best": max(roi),
        "drawdown_worst": max(one.drawdown for one in every),
        "trades": trades,
        "wins": sum(one.wins for one in every),
        "experiments": len(every),
        "costs": {name: added(getattr(one, name) for one in every) for name in ("fees", "funding", "slippage")},
        "sanity": {"finite": finite, "has_traded": trades > 0},
        "origin": dict(origin),
        "verdict": {
            "schema": VERDICT,
            "evaluation": evaluation,
            "definitions": DEFINITIONS,
            "labels": labels(cells, thresholds, accountable=origin["git_commit"] is not None),
            "cells": {
                f"{cell.window}/{cell.timeframe}/{cell.company}": {
                    "survived": cell.survived,
                    "roi": cell.roi,
                    "drawdown": cell.drawdown,
                    "trades": cell.trades,
                }
                for cell in cells
            },
        },
    }


def added(values: Iterable[float]) -> float:
    """The sum as `sum` of Python 3.12 makes it (Neumaier's): of another version the last digit is another."""
    total, rest = 0.0, 0.0
    for value in values:
        larger = total + value
        rest += (total - larger) + value if abs(total) >= abs(value) else (value - larger) + total
        total = larger
    return total + rest if rest and isfinite(rest) else total


def origin_of(snapshot: str, record: Mapping[str, Any], windows: Sequence[tuple[str, Interval]]) -> dict[str, Any]:
    """Where a genome comes from: its record in the snapshot, and that one's run.

    Args:
        snapshot: id of the snapshot.
        record: of the genome in it.
        windows: names and intervals of what it is judged on. A record that knows what its ancestors lived through gets
            ``seen``: the windows of which they saw any bar; and ``lineage``: its own, with an exposure that now has
            these windows as well, so that whoever descends from a judged genome is known to have seen them (ADR 0086).
    """
    source = record["source"]
    lineage = source.get("lineage")
    known: dict[str, Any] = {}
    if lineage is not None:
        lived = union(lineage["exposure"], [bars for _, bars in windows])
        known = {"seen": seen_of(lineage["exposure"], windows), LINEAGE: {**lineage, "exposure": plain(lived)}}
    return {
        "snapshot": snapshot,
        "n": record["n"],
        "id": record["id"],
        **{name: source[name] for name in ("run_id", "experiment", "genome_index")},
        "git_commit": source.get("git_commit"),
        **known,
    }


def seen_of(exposure: Iterable[Sequence[Any]], windows: Sequence[tuple[str, Interval]]) -> list[str]:
    """Names of the windows of which any bar was lived through, each once, in order."""
    known = list(exposure)
    return sorted({name for name, interval in windows if meets(known, interval)})


def intervals_of(
    market: Mapping[str, Any], stretches: Iterable[tuple[str, int, int, int]]
) -> list[tuple[str, Interval]]:
    """The intervals of the windows that a run judges on.

    Args:
        market: what the manifest says of the market.
        stretches: of each window and timeframe: name, open of the first bar (UTC seconds), bars, seconds a bar.
    """
    key, span = market_of({"market": market})
    return [(name, covered(key, span, first, bars * step)) for name, first, bars, step in stretches]
