"""Evidence that may be looked at after every era: a betting e-process, and bounds for the mean effect.

Era t gives one figure d_t in [-1, 1]. Nothing else is assumed: neither that eras are independent, nor that they are
alike.

**The e-process.** Hypothesis: whatever happened before an era, the mean of its d_t is at most m (m = 0: no gain).
Somebody begins with 1 and stakes a share b of what the worst d_t could cost on every era. His capital is

    W_t(b) = product over s <= t of (1 + b (d_s - m) / (1 + m)),    0 < b < 1.

No factor is negative, and under the hypothesis none has a mean above 1, so W_t(b) is a nonnegative supermartingale
that begins at 1. So is the mean E_t of the capitals of several b: that is the e-value. Ville's inequality:

    P(E_t >= 1 / a for some t) <= a.

E_t >= 20 at any moment, however often one looks and whenever one stops, therefore happens under the hypothesis with a
probability of at most 5 %.

**The bounds.** The lower bound after era t is the largest m against which ("at most m") the e-value is now 20 or more;
the upper bound is the same of -d, turned round. For an effect that is the same in every era, each bound holds at all
moments together but for 5 % (both, but for 10 %). For one that changes they say: in some era the mean of d was at least
the lower bound, in some at most the upper. The observed mean always lies between them. The lower bound reaches 0
exactly when E_t is 20 or more.

Sources: J. Ville, Étude critique de la notion de collectif, 1939 (the inequality); I. Waudby-Smith and A. Ramdas,
Estimating means of bounded random variables by betting, Journal of the Royal Statistical Society B 86 (2024) 1-27,
arXiv 2010.09686 (capital process, bounds by inverting it over a grid). A mean over fixed stakes needs no tuning and
looks at no era ahead.

Standard library only; pure functions. E-values are natural logarithms, so that no number of eras overflows.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

THRESHOLD = 20.0
"""The e-value that is an alarm; 1 / THRESHOLD bounds the probability of a false one."""
FALSE_ALARM = 1.0 / THRESHOLD
STAKES = tuple((2 * k + 1) / 40 for k in range(20))
"""Shares b of the capital that the worst d could cost: midpoints of 20 equal parts of [0, 1], equally weighted."""
MOST_HELD = 1e200
STEPS = 50
GRID = tuple(k / STEPS for k in range(1 - STEPS, STEPS))
"""Means that a bound can be: every 0.02 between -1 and 1. Bounds are rounded outwards to it."""


class Capital:
    """What betting against "the mean is at most ``mean``" has made of 1."""

    def __init__(self, mean: float = 0.0) -> None:
        """Begin with 1; ``mean`` lies in (-1, 1)."""
        if not -1.0 < mean < 1.0:
            raise ValueError(f"a mean of {mean} cannot be bet against")
        self._stakes = [(1.0 - b, b / (1.0 + mean)) for b in STAKES]
        self._capitals = [1.0] * len(STAKES)
        self._logs = [0.0] * len(STAKES)  # what was taken out of the capitals, so that none overflows
        self._taken = False

    def see(self, effect: float) -> None:
        """The bets of one more era are settled.

        Raises:
            ValueError: for an effect outside [-1, 1].
        """
        if not -1.0 <= effect <= 1.0:
            raise ValueError(f"an effect of {effect} is not between -1 and 1")
        up = 1.0 + effect  # 1 + b (d - m) / (1 + m) = (1 - b) + b (1 + d) / (1 + m)
        held = [capital * (kept + b * up) for capital, (kept, b) in zip(self._capitals, self._stakes, strict=True)]
        if max(held) > MOST_HELD or min(held) < 1.0 / MOST_HELD:
            self._logs = [log + math.log(capital) for log, capital in zip(self._logs, held, strict=True)]
            held, self._taken = [1.0] * len(STAKES), True
        self._capitals = held

    @property
    def log(self) -> float:
        """The natural logarithm of the e-value: of the mean capital over all stakes."""
        if not self._taken:
            return math.log(sum(self._capitals) / len(STAKES))
        most = max(self._logs)
        held = zip(self._logs, self._capitals, strict=True)
        return most + math.log(sum(math.exp(log - most) * capital for log, capital in held) / len(STAKES))


def log_e_values(effects: Iterable[float], mean: float = 0.0) -> list[float]:
    """The logarithm of the e-value against "the mean is at most ``mean``" after each era.

    Raises:
        ValueError: for an effect outside [-1, 1], or a mean that is not inside.
    """
    capital, found = Capital(mean), []
    for effect in effects:
        capital.see(effect)
        found.append(capital.log)
    return found


def lower_bounds(effects: Iterable[float]) -> list[float]:
    """The lower bound of the mean effect after each era, a number of `GRID`; -1 where nothing is excluded.

    Raises:
        ValueError: for an effect outside [-1, 1].
    """
    capitals, found, alarm = [Capital(mean) for mean in GRID], [], math.log(THRESHOLD)
    for effect in effects:
        for capital in capitals:
            capital.see(effect)
        # The capital falls as the mean rises that it bets against.
        excluded = bisect_right(capitals, -alarm, key=lambda capital: -capital.log)
        found.append(GRID[excluded - 1] if excluded else -1.0)
    return found


def upper_bounds(effects: Sequence[float]) -> list[float]:
    """The upper bound of the mean effect after each era; as `lower_bounds`."""
    return [-bound for bound in lower_bounds([-effect for effect in effects])]


def first_alarm(logs: Iterable[float]) -> int | None:
    """The index of the first e-value of at least `THRESHOLD`; None where none is."""
    return next((at for at, log in enumerate(logs) if log >= math.log(THRESHOLD)), None)
