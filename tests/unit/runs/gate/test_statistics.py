"""Every p-value of the record comes back from its U, and each method agrees with its definition."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.gate.statistics import (
    cliffs_delta,
    extra,
    fisher_exact,
    holm,
    mann_whitney,
    median,
    median_difference,
    p_of_u,
    rank_p,
)

# The historic record (contracts, section 14): name, seeds an arm, U, p, delta, extinct in A, extinct in B2, Fisher's p.
RECORD = [
    ("baseline", 30, 700, 2.25e-4, 0.556, 17, 18, 1.0),
    ("M zero", 30, 687, 4.71e-4, 0.527, 21, 23, 0.771),
    ("C zero", 30, 814, 7.7e-8, 0.809, 14, 21, 0.115),
    ("E OHLCV only", 30, 720, 6.8e-5, 0.600, 16, 21, 0.288),
    ("I zero", 30, 796, 3.3e-7, 0.769, 24, 18, 0.158),
    ("I zero n=100", 100, 8517, 8.5e-18, 0.703, 78, 63, 0.0295),
    ("I_min_13", 100, 8298, 7.8e-16, 0.660, 59, 48, 0.156),
    ("I_min_123", 100, 7928, 8.5e-13, 0.586, 62, 61, 1.0),
    ("I_min_134 = W1", 100, 8245, 2.2e-15, 0.649, 56, 51, 0.571),
    ("W1b", 100, 8500, 1.2e-17, 0.700, 0, 7, 0.0140),
    ("W2", 100, 7525, 6.9e-10, 0.505, 1, 0, 1.0),
]
HISTORIC = pytest.mark.parametrize("row", RECORD, ids=[row[0] for row in RECORD])

values = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
samples = st.lists(values, min_size=2, max_size=25)


def digits(number: float, like: float) -> float:
    """``number`` with as many digits as the record prints of ``like``."""
    shown = f"{like:g}".split("e")[0].replace(".", "").lstrip("0")
    return float(f"{number:.{max(len(shown), 1) - 1}e}")


@HISTORIC
def test_every_p_of_the_record_comes_back_from_its_u(row):
    _, n, u, p, *_ = row
    assert digits(p_of_u(u, n, n), p) == p


@HISTORIC
def test_every_delta_of_the_record_comes_back_from_its_u(row):
    _, n, u, _, delta, *_ = row
    assert 2.0 * u / (n * n) - 1.0 == pytest.approx(delta, abs=6e-4)


@HISTORIC
def test_every_fisher_p_of_the_record_comes_back_from_its_counts(row):
    _, n, _, _, _, in_a, in_b, p = row
    assert fisher_exact(in_a, n, in_b, n) == pytest.approx(p, abs=6e-4)


@HISTORIC
def test_without_the_continuity_correction_they_would_not_come_back(row):
    """The test above can fail: the plain approximation gives another number where three digits are printed."""
    _, n, u, p, *_ = row
    plain = 2.0 * extra("scipy.stats").norm.sf((u - n * n / 2.0) / math.sqrt(n * n * (2 * n + 1) / 12.0))
    assert plain < p_of_u(u, n, n)
    if n == 30 and p > 1e-4:
        assert digits(float(plain), p) != p


@given(samples, samples)
def test_mann_whitney_is_scipys_with_ties_and_continuity(first, second):
    ours, theirs = (
        mann_whitney(first, second),
        extra("scipy.stats").mannwhitneyu(first, second, method="asymptotic", use_continuity=True)
        if len({*first, *second}) > 1
        else None,
    )
    if theirs is None:
        assert ours.p == 1.0
    else:
        assert ours.statistic == theirs.statistic
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-300)


@given(samples, samples)
def test_delta_is_u_in_other_words_and_turns_with_the_samples(first, second):
    found, turned = cliffs_delta(first, second), cliffs_delta(second, first)
    u = mann_whitney(first, second).statistic
    assert found.value == pytest.approx(2.0 * u / (len(first) * len(second)) - 1.0, abs=1e-12)
    assert -1.0 <= found.low <= found.value <= found.high <= 1.0
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low), abs=1e-12)


def test_the_interval_of_delta_covers_the_truth_about_as_often_as_it_says():
    """Normal samples half a standard deviation apart: delta is 2 Phi(0.5 / sqrt 2) - 1."""
    truth = 2.0 * float(extra("scipy.stats").norm.cdf(0.5 / math.sqrt(2.0))) - 1.0
    draw = np.random.default_rng(7)
    found = [cliffs_delta(list(draw.normal(0.5, 1, 30)), list(draw.normal(0, 1, 30))) for _ in range(400)]
    covered = sum(one.low <= truth <= one.high for one in found)
    assert 0.91 <= covered / len(found) <= 0.98


def test_samples_that_do_not_overlap_have_an_interval_that_narrows_with_their_number():
    few, many = (cliffs_delta([1.0] * n, [0.0] * n) for n in (10, 100))
    assert (few.value, few.high) == (1.0, 1.0)
    assert 0.0 < few.low < many.low < 1.0
    assert cliffs_delta([0.0] * 10, [1.0] * 10).high == -few.low


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_holm_lies_between_the_raw_values_and_bonferronis_and_keeps_their_order(raw):
    adjusted = holm(raw)
    assert all(p <= q <= min(1.0, len(raw) * p) + 1e-12 for p, q in zip(raw, adjusted, strict=True))
    order = sorted(range(len(raw)), key=lambda k: raw[k])
    assert [adjusted[k] for k in order] == sorted(adjusted)


@given(st.lists(values, min_size=5, max_size=40))
def test_the_rank_among_placebos_is_uniform_when_one_of_them_is_drawn(placebos):
    """For every level at most that share of all values has a p at or below it: the test is exact."""
    ps = [rank_p(value, placebos[:k] + placebos[k + 1 :]) for k, value in enumerate(placebos)]
    for level in (0.05, 0.1, 0.25, 0.5):
        assert sum(p <= level for p in ps) <= level * len(placebos) + 1e-9


def test_fisher_refuses_counts_that_cannot_be():
    with pytest.raises(ValueError, match="31 of 30"):
        fisher_exact(31, 30, 0, 30)


def test_the_bootstrap_interval_of_medians_is_repeatable_and_holds_the_difference():
    draw = np.random.default_rng(3)
    a, b = list(draw.normal(1.0, 1.0, 60)), list(draw.normal(0.0, 1.0, 60))
    found = median_difference(a, b, seed=5)
    assert found == median_difference(a, b, seed=5)
    assert found != median_difference(a, b, seed=6)
    assert found.low < found.value < found.high
    assert found.value == median(a) - median(b)
    assert found.low > 0.0


def test_a_missing_extra_is_one_line_that_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(ConfigError, match="the gate needs scipy") as caught:
        mann_whitney([1.0], [2.0])
    assert "prometheus-quant[analysis]" in str(caught.value.hint)
