"""Philox words by key, as `prometheus.v10.market.philox` draws them, for readers that have no numpy.

A test holds both against each other. Standard library only.
"""

from __future__ import annotations

_WORD = (1 << 64) - 1
_MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_STEPS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
_ROUNDS = 10


def words(seed: int, stream: int, count: int) -> list[int]:
    """The first ``count`` 64-bit words of the sequence keyed by (seed, stream)."""
    drawn: list[int] = []
    block = 0
    while len(drawn) < count:
        block += 1
        drawn += _block(block, seed & _WORD, stream & _WORD)
    return drawn[:count]


def permutation(seed: int, stream: int, count: int) -> list[int]:
    """A permutation of 0 .. count-1: the order of ``count`` words."""
    drawn = words(seed, stream, count)
    return sorted(range(count), key=drawn.__getitem__)


def _block(counter: int, key: int, other: int) -> tuple[int, int, int, int]:
    a, b, c, d = counter, 0, 0, 0
    for _ in range(_ROUNDS):
        first, second = _MULTIPLIERS[0] * a, _MULTIPLIERS[1] * c
        a, b, c, d = (second >> 64) ^ b ^ key, second & _WORD, (first >> 64) ^ d ^ other, first & _WORD
        key, other = (key + _STEPS[0]) & _WORD, (other + _STEPS[1]) & _WORD
    return a, b, c, d
