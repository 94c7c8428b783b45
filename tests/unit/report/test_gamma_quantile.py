"""The quantiles that intervals are made of: closed forms, printed tables, and scipy where it is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.v10.report.gamma_quantile import chi_square_quantile, gamma_quantile, gamma_share

SHARES = st.floats(0.001, 0.999)


@given(SHARES)
def test_two_degrees_of_freedom_are_an_exponential(share):
    assert chi_square_quantile(share, 2) == pytest.approx(-2.0 * math.log1p(-share), rel=1e-10)


@pytest.mark.parametrize("count", [1, 2, 7, 30])
@pytest.mark.parametrize("at", [0.01, 0.5, 3.0, 12.0, 60.0])
def test_a_whole_shape_counts_poisson_events(count, at):
    fewer = math.fsum(math.exp(-at + n * math.log(at) - math.lgamma(n + 1)) for n in range(count))
    assert gamma_share(count, at) == pytest.approx(1.0 - fewer, abs=1e-13)


@pytest.mark.parametrize("at", [0.1, 1.0, 4.0])
def test_half_a_shape_is_the_error_function(at):
    assert gamma_share(0.5, at) == pytest.approx(math.erf(math.sqrt(at)), rel=1e-13)


@pytest.mark.parametrize(
    ("share", "degrees", "printed"),
    [(0.95, 1, 3.841), (0.975, 5, 12.833), (0.025, 10, 3.247), (0.5, 30, 29.336), (0.05, 60, 43.188),
     (0.99, 100, 135.807)],
)  # fmt: skip
def test_printed_tables_agree(share, degrees, printed):
    assert round(chi_square_quantile(share, degrees), 3) == printed


@settings(max_examples=50)
@given(SHARES, st.floats(0.5, 1e5))
def test_a_quantile_has_its_share_below_it(share, shape):
    assert gamma_share(shape, gamma_quantile(share, shape)) == pytest.approx(share, abs=1e-9)


def test_scipy_agrees():
    stats = pytest.importorskip("scipy.stats", reason="the extra for analysis is not installed")
    for degrees in (1, 2, 9, 100, 20_000, 1_000_000):
        for share in (0.001, 0.025, 0.5, 0.975, 0.99):
            found = chi_square_quantile(share, degrees)
            assert found == pytest.approx(float(stats.chi2.ppf(share, degrees)), rel=1e-10)


@pytest.mark.parametrize(("shape", "at"), [(0.0, 1.0), (-1.0, 1.0), (1.0, -0.1), (math.nan, 1.0), (1.0, math.nan)])
def test_what_has_no_share_is_refused(shape, at):
    with pytest.raises(ValueError, match="shape above 0"):
        gamma_share(shape, at)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, math.nan])
def test_what_has_no_quantile_is_refused(share):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        gamma_quantile(share, 2.0)
