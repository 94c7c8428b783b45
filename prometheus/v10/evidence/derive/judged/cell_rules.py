"""The rules by which stage 2 makes cells: their length, beginning, world and crowds, for the run and for its verifier.

A stretch is a window in a timeframe; a cell is a stretch, a seed and a company. What runs them is
`prometheus.v10.runs.stage2.stage2_batch`. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ALONE, CROWD = "alone", "crowd"
ALLOCATED = 0.5
"""Of an experiment's capital; the rest is the reserve, as much as all stakes together."""
DAY_S = 86_400
DELAY_STREAM, CROWD_STREAM = 1 << 32, 2 << 32
"""Of the Philox words keyed by the seed; births use none above a million."""
VERDICT, DEFINITIONS = "stage2_verdict/1", "stage2_labels/1"


def ticks_of(bars: int, stagger: float) -> int:
    """How long every experiment on a stretch of ``bars`` bars is: what no seed may leave out at its beginning."""
    return bars - int(bars * stagger)


def stricter(
    world: Mapping[str, Any], friction: Mapping[str, Any], review_days: float | None, timeframe_s: int, ticks: int
) -> dict[str, Any]:
    """The numbers in which a cell's world differs from the profile's, but for those that depend on how many live in it.

    Args:
        world: every number of the profile's world.
        friction: ``[stage2.friction]``.
        review_days: a review after so many days, in which nobody breeds; None holds none.
        timeframe_s: seconds a bar.
        ticks: length of the experiment.
    """
    return {
        "taker_fee": world["taker_fee"] * friction["fees"],
        "maker_fee": world["maker_fee"] * friction["fees"],
        "liquidation_fee": world["liquidation_fee"] * friction["fees"],
        "spread_volatility": world["spread_volatility"] * friction["spread"],
        "impact": world["impact"] * friction["impact"],
        "max_participation": world["max_participation"] / friction["participation"],
        "review_ticks": ticks + 1 if review_days is None else max(1, round(review_days * DAY_S / timeframe_s)),
        "breed_roi": float("inf"),
        "allocation_ratio": ALLOCATED,
    }


def numbers_of(stake: float, count: int) -> dict[str, Any]:
    """The numbers that depend on how many live in it; exact, because the stake's multiples are."""
    return {"initial_total": stake * count / ALLOCATED, "founders": count}


def crowds_of(count: int, size: int) -> int:
    """Into how many crowds of about ``size`` a batch of ``count`` is dealt; 0 where everyone is judged alone only."""
    return max(1, round(count / size)) if size else 0


def dealt(order: list[int], crowds: int) -> tuple[tuple[int, ...], ...]:
    """A batch's rows in ``order``, dealt into crowds: the first ones have one more where it does not divide."""
    least, more = divmod(len(order), crowds) if crowds else (0, 0)
    groups, at = [], 0
    for number in range(crowds):
        size = least + (number < more)
        groups.append(tuple(sorted(order[at : at + size])))
        at += size
    return tuple(groups)


def experiments_of(count: int, places: int, seeds: int, crowd: int) -> int:
    """How many experiments a batch of ``count`` genomes takes on so many stretches, with so many seeds."""
    return places * seeds * (1 + crowds_of(count, crowd))
