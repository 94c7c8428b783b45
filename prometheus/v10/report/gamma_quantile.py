"""Quantiles of the gamma and the chi-square distribution, without scipy: a host has none.

P(a, x) is the regularised lower incomplete gamma function: the probability that a gamma variable of shape a and scale 1
is at most x. Below a + 1 it is a series, above it 1 minus a continued fraction (Lentz's method); its quantile is found
by bisection. A chi-square variable of k degrees of freedom is twice a gamma variable of shape k / 2.

Source: NIST Digital Library of Mathematical Functions, 8.11.4 (the series) and 8.9.2 (the continued fraction);
W. H. Press and others, Numerical Recipes, section 6.2 (when to use which).
"""

from __future__ import annotations

import math
from functools import lru_cache

SMALL = 1e-15
"""Relative size of the last term of a series that still counts."""
LEAST = 1e-300


def gamma_share(shape: float, at: float) -> float:
    """P(shape, at): the share of the gamma distribution of this shape that lies at or below ``at``.

    Raises:
        ValueError: for a shape that is not above 0, or an ``at`` below 0.
    """
    if not shape > 0.0 or not at >= 0.0:
        raise ValueError(f"expected a shape above 0 and a value from 0, not {shape} and {at}")
    if at == 0.0:
        return 0.0
    front = math.exp(shape * math.log(at) - at - math.lgamma(shape))
    return front * _series(shape, at) if at < shape + 1.0 else 1.0 - front * _fraction(shape, at)


def _series(shape: float, at: float) -> float:
    """The sum over n from 0 of at^n / (shape (shape + 1) ... (shape + n))."""
    term = total = 1.0 / shape
    while term > total * SMALL:
        shape += 1.0
        term *= at / shape
        total += term
    return total


def _fraction(shape: float, at: float) -> float:
    """The continued fraction 1 / (at + 1 - shape - 1 (1 - shape) / (at + 3 - shape - ...))."""
    below = at + 1.0 - shape
    c, d = 1.0 / LEAST, 1.0 / below
    value, n, change = d, 0, 2.0
    while abs(change - 1.0) > SMALL:
        n += 1
        factor = -n * (n - shape)
        below += 2.0
        d = factor * d + below
        c = below + factor / c
        d = 1.0 / (d if abs(d) > LEAST else LEAST)
        c = c if abs(c) > LEAST else LEAST
        change = d * c
        value *= change
        if n > 100_000 + 10 * int(math.sqrt(abs(shape))):
            break  # what is left is rounding
    return value


@lru_cache(maxsize=4096)
def gamma_quantile(share: float, shape: float) -> float:
    """The value below which ``share`` of the gamma distribution lies, to about 12 digits.

    Raises:
        ValueError: for a share that is not between 0 and 1, or a shape that is not above 0.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"a share of {share} is not between 0 and 1")
    lower, upper = 0.0, max(1.0, shape)
    while gamma_share(shape, upper) < share:
        lower, upper = upper, 2.0 * upper
    while upper - lower > 1e-13 * upper:
        middle = (lower + upper) / 2.0
        if not lower < middle < upper:
            break
        if gamma_share(shape, middle) < share:
            lower = middle
        else:
            upper = middle
    return (lower + upper) / 2.0


def chi_square_quantile(share: float, degrees: float) -> float:
    """The value below which ``share`` of the chi-square distribution of so many degrees of freedom lies."""
    return 2.0 * gamma_quantile(share, degrees / 2.0)
