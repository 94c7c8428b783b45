"""Lays a funding series over bars: the sum of the rates booked inside each bar, and NaN where the series does not say.

The rule: a rate belongs to the bar in whose ``[open, open + timeframe)`` its booking time lies. A bar's funding is
known when every 8 h boundary inside it has a rate; a bar without a boundary is known (0.0) when the series covers its
time. Bars longer than 8 h hold several bookings, and one missing makes the sum unknown.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import FUNDING_INTERVAL_S, Floats, Ints, bar_time, funding_boundaries
from prometheus.v10.market.sources.tables import span

WITHOUT = "market import FILE NAME --funding none leaves the series out: the world's own rate is booked then"
JITTER_S = 60  # exchanges stamp a booking some milliseconds, at times seconds, after its boundary


def lay_funding(
    open_time: Ints, timeframe_s: int, booked: Ints, rates: Floats, source: Path
) -> tuple[Floats, str | None]:
    """Sum funding into bars.

    Args:
        open_time: int64[T], seconds UTC, rising.
        timeframe_s: seconds per bar.
        booked: int64[F], booking times, seconds UTC.
        rates: float64[F], fractions of notional.
        source: the series' file, for messages.

    Returns:
        float64[T], NaN where unknown; and the reason, None when nothing is unknown.

    Raises:
        ConfigError: when the series is empty, out of order, off the 8 h boundaries, or holds what is no rate.
    """
    booked, rates = _on_boundaries(booked, rates)
    boundary = _checked(booked, rates, source)
    funding = np.zeros(len(open_time))
    have = np.zeros(len(open_time), dtype=np.int64)
    bar = np.searchsorted(open_time, boundary, side="right") - 1
    inside = (bar >= 0) & (boundary < open_time[bar] + timeframe_s)
    np.add.at(funding, bar[inside], rates[inside])  # one after the other, in order of time
    np.add.at(have, bar[inside], 1)

    wanted = funding_boundaries(open_time, timeframe_s)
    covered = (open_time >= boundary[0]) & (open_time < boundary[-1] + FUNDING_INTERVAL_S)
    known = (have == wanted) & (covered | (wanted > 0))
    if bool(known.all()):
        return funding, None
    funding[~known] = np.nan
    return (
        funding,
        f"the series covers {span(boundary)}; {int((~known).sum())} of {len(open_time)} bars are not covered",
    )


def _on_boundaries(booked: Ints, rates: Floats) -> tuple[Ints, Floats]:
    """The bookings without the zeros between the boundaries, which some sources fill in and which book nothing."""
    away = np.abs(booked - (booked + JITTER_S) // FUNDING_INTERVAL_S * FUNDING_INTERVAL_S) > JITTER_S
    keep = ~(away & (rates == 0.0))
    return booked[keep], rates[keep]


def _interval(booked: Ints) -> str:
    """How often the series books, in words."""
    steps, counts = np.unique(np.diff(booked), return_counts=True)
    hours = round(int(steps[np.argmax(counts)]) / 3600) if len(steps) else 0
    return f"; the series books every {hours} h" if hours else ""


def _checked(booked: Ints, rates: Floats, source: Path) -> Ints:
    """The boundaries that the booking times stand for, after every rate has been found sound."""
    if len(booked) == 0:
        raise ConfigError(f"{source}: holds no funding rate", hint=WITHOUT)
    boundary = (booked + JITTER_S) // FUNDING_INTERVAL_S * FUNDING_INTERVAL_S
    checks = (
        (np.abs(booked - boundary) > JITTER_S, f"is not on an 8 h boundary (00, 08, 16 UTC){_interval(booked)}"),
        (np.diff(boundary, prepend=boundary[0] - 1) <= 0, "repeats or precedes the booking before it"),
        (~np.isfinite(rates) | (np.abs(rates) > 0.1), "carries a rate that is no number or beyond 10 %"),
    )
    for wrong, what in checks:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ConfigError(f"{source}: row {row + 1} ({bar_time(int(booked[row]))}) {what}", hint=WITHOUT)
    return np.asarray(boundary, dtype=np.int64)
