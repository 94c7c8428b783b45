"""The written-out transcendental functions keep the error bounds that they state."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from prometheus.v10.core import numeric


def test_tanh_is_within_its_stated_error_everywhere() -> None:
    x = np.concatenate([np.linspace(-12, 12, 40_001), [0.0, 1e-30, 1e-8, 1e30, -1e30]]).astype(np.float32)
    ours = np.array([numeric.tanh32(v) for v in x])
    assert (ours == ours.astype(np.float32)).all()
    assert np.abs(ours.astype(np.float64) - np.tanh(x.astype(np.float64))).max() < 7e-7
    assert np.abs(ours).max() <= 1.0


def test_tanh_is_odd_to_the_bit() -> None:
    x = np.linspace(0, 20, 5_001).astype(np.float32)
    assert all(numeric.tanh32(-v) == -numeric.tanh32(v) for v in x)


def test_logarithm_is_within_its_stated_error() -> None:
    x = np.concatenate([np.logspace(-300, 300, 5_001), np.linspace(0.5, 2.0, 5_001)])
    ours, exact = np.array([[numeric.natural_log(v), math.log(v)] for v in x]).T
    away = np.abs(exact) > 1e-3
    assert (np.abs(ours - exact)[away] / np.abs(exact)[away]).max() < 1e-13
    assert np.abs(ours - exact)[~away].max() < 1e-15


def test_normal_quantiles_agree_with_the_standard_library() -> None:
    u = np.concatenate([(np.arange(0, 2**32, 2**20) + 0.5) / 2**32, [0.5 / 2**32, 1 - 0.5 / 2**32]])
    exact = np.array([NormalDist().inv_cdf(v) for v in u])
    ours = numeric.normals(u)
    assert np.abs(ours - exact).max() < 1e-11


def test_uniforms_depend_on_the_key_alone() -> None:
    long, short = numeric.uniforms(7, [3, 4], 500), numeric.uniforms(7, [9, 3], 100)
    assert (long[0, :100] == short[1]).all()
    assert not (long[1, :100] == short[1]).any()
    assert 0.0 < long.min() < long.max() < 1.0


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 5, 2**64 - 1])
@pytest.mark.parametrize("count", [1, 4, 683])
def test_uniforms_are_made_of_the_words_of_numpys_philox(seed: int, count: int) -> None:
    births = [0, 3, 10**12]
    for birth, ours in zip(births, numeric.uniforms(seed, births, count), strict=True):
        words = np.random.Philox(key=np.array([seed, birth], dtype=np.uint64)).random_raw(count)
        assert ((words >> np.uint64(32)).astype(np.float64) + 0.5).tolist() == (ours * 2.0**32).tolist()


@pytest.mark.parametrize(
    ("a", "b"), [(0, 5), (2**64 - 1, 2**64 - 1), (0xD2E7470EE14C6C93, 2**63 + 12345), (2**32, 2**32)]
)
def test_the_high_word_of_a_product(a: int, b: int) -> None:
    assert int(numeric.high_word(np.uint64(a), np.uint64(b))) == a * b >> 64


@pytest.mark.parametrize("count", [100_000])
def test_normals_have_the_moments_of_a_normal(count: int) -> None:
    z = numeric.normals(numeric.uniforms(11, [0], count)[0])
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1.0) < 0.01
    assert abs((z**4).mean() - 3.0) < 0.1
