"""Random numbers that are the same bits on every machine: Philox words by key, and exact arithmetic on them.

The Philox 4x64 counter generator is integer arithmetic alone. Only its raw words are used: the distributions of numpy
are not promised to stay as they are. A key is (seed, stream); a longer draw begins with the shorter one.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Words = np.uint64
WordArray: TypeAlias = npt.NDArray[np.uint64]

_LANE_MEAN = 4 * 65535 / 2  # four lanes, each uniform on 0 .. 65535
_LANE_SIGMA = math.sqrt(4 * (65536.0**2 - 1.0) / 12.0)


def words(seed: int, stream: int, count: int) -> WordArray:
    """The first ``count`` 64-bit words of the sequence keyed by (seed, stream): uint64[count]."""
    key = np.array([seed, stream], dtype=np.uint64)
    return np.asarray(np.random.Philox(key=key).random_raw(count), dtype=np.uint64)


def uniforms(raw: WordArray) -> npt.NDArray[np.float64]:
    """Each word's upper 53 bits as a float64 in [0, 1), same shape; exact."""
    return np.asarray((raw >> Words(11)).astype(np.float64) * 2.0**-53, dtype=np.float64)


def lanes_normal(raw: WordArray) -> npt.NDArray[np.float64]:
    """Each word as the standardised sum of its four 16-bit lanes, same shape: mean 0, variance 1, near normal.

    Bounded by 3.46 and slightly flat (excess kurtosis -0.3); sums of several of them are normal for every purpose here.
    """
    lane = Words(0xFFFF)
    total = (raw & lane) + ((raw >> Words(16)) & lane) + ((raw >> Words(32)) & lane) + (raw >> Words(48))
    return np.asarray((total.astype(np.float64) - _LANE_MEAN) / _LANE_SIGMA, dtype=np.float64)


def permutation(seed: int, stream: int, count: int) -> npt.NDArray[np.int64]:
    """A permutation of 0 .. count-1: the order of ``count`` words; equal words keep their order (chance below 1e-9)."""
    return np.asarray(np.argsort(words(seed, stream, count), kind="stable"), dtype=np.int64)
