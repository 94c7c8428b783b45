"""Whole results of many worlds: masks, guards, few and many agents, partial fills, extinction, genomes of odd zeros.

A change of the core that is meant to change speed alone keeps every digest here. Where the rules change, say so in
docs/adr and take the new ones from the failing tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prometheus.v10.core import genome
from prometheus.v10.core.state import Market

from .conftest import digest, make_market, run, small, wild

TICKS = 600
HOT = {"leverage_cap": 10.0, "death_roi": -0.5, "keep_orders_one_in": 1}  # margin is short, and every order is kept


def masked(*off: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A mask that leaves out some channels."""
    mask = np.ones(genome.FEATURES, dtype=np.float32)
    mask[list(off)] = 0.0
    return mask


def odd_genomes() -> genome.Genomes:
    """Forty genomes of which many weights are 0, -0 or too small to be normal numbers."""
    genomes = genome.founders(7, 40).copy()
    genomes[::3, 100:180] = -0.0
    genomes[::5, :170] = 0.0
    genomes[::7, 165:170] = -1e-42
    return genomes


WORLDS: dict[str, dict[str, Any]] = {
    "as usual": {"founders": 100},
    "every order": {"founders": 100, "keep_orders_one_in": 1},
    "one in seven": {"founders": 100, "keep_orders_one_in": 7},
    "a thousand": {"founders": 1000, "keep_orders_one_in": 5},
    "three": {"founders": 3, "death_roi": -0.9, "keep_orders_one_in": 1},
    "thirty-seven to extinction": {"founders": 37, "initial_total": 4000.0, "death_roi": 0.02, "breed_roi": 9.0},
    "everybody breeds": {"founders": 30, "death_roi": -2.0, "breed_roi": -1.0},
    "every guard": {
        "founders": 100,
        "entry_m7_below": 0.0012,
        "exit_m9_above": 4.0,
        "exit_c4_above": 0.3,
        "long_only": 1,
        "keep_orders_one_in": 2,
    },
    "guards of all": {"founders": 100, "death_roi": -0.1, "exit_m9_above": 4.1, "exit_c4_above": 0.01},
    "partial fills": {"founders": 100, "max_participation": 1e-6, "wild": 3.0, **HOT},
    "poor": {"founders": 100, "initial_total": 900.0, **HOT},
    "liquidations": {"founders": 64, "wild": 8.0, **HOT},
    "no fee": {"founders": 50, "taker_fee": 0.0, **HOT},
    "without E": {"founders": 100, "mask": masked(*range(12))},
    "without I": {"founders": 100, "mask": masked(*range(12, 16))},
    "without M": {"founders": 100, "mask": masked(*range(16, 28))},
    "without M7": {"founders": 100, "mask": masked(22)},
    "without C": {"founders": 100, "mask": masked(*range(28, 33))},
    "E alone": {"founders": 100, "mask": masked(*range(12, 33))},
    "without anything": {"founders": 50, "mask": masked(*range(33))},
    "odd genomes": {"founding": odd_genomes(), **HOT},
    "odd genomes that see C alone": {"founding": odd_genomes(), "mask": masked(*range(28)), **HOT},
    "odd genomes without a fee to feel": {
        "founding": odd_genomes(),
        "mask": masked(*range(12), 22, *range(28, 33)),
        **HOT,
    },
}
OPTIONS = ("mask", "keep_orders_one_in", "founding")

DIGESTS: dict[str, str] = {
    "as usual": "a2ff22083a0f25d14fc43c88fc8b23fe4020d27d23b663121f9efe02d0059ebd",
    "every order": "f6032d5af1342046b7d6573235fa3636315eff810f478c821dac1ea109e9ff3a",
    "one in seven": "cf5330273310712c3aa1d0af2a6afefd4527d36f5fb2d5eae87153e1f9a8ba3c",
    "a thousand": "48670a21105763bae41c530a0223b90a8218679f006ddb9bd791ff5dd045b67a",
    "three": "b421bb58696fdb3615807947145bddce840f1204d23299c2991e02f8be055e04",
    "thirty-seven to extinction": "72ebd4be6b6d8408942bd389d632c9a2d96c1a512e347af337ae60c77e0a988e",
    "everybody breeds": "8530b78d3ac5f5d1172c8b2aa7644e37192cc856a52b9bc8b1f39eda12690151",
    "every guard": "aa177133d2a4394ac695ab433346f0e4ebe3e2b35076df91794dc06274025838",
    "guards of all": "e9e96012e4e7adcd4ca8c2bb41e8ec76dba7b4df30590057df1e51da5a53e570",
    "partial fills": "f592a23bb90485fdb75cb03348f9c60020e3396cd7e4fa3c3ee82254977e3cbd",
    "poor": "f4e45eab5b533d04c9a87db2e2c0bc6d2f1f78e75b9eab155ff7d38fcf9bef62",
    "liquidations": "95ba093144283db470cdcbd07fc7fe686181b32c79cccaa3f88527bf91cdbf24",
    "no fee": "69ee6a121ddbf316ce3b1047fe56826da64daffc29da06834a8de9105b4083ca",
    "without E": "45f1ef0cd4c1284a9e681367915248a5908064fd31c1b361347434d5c869c410",
    "without I": "c38acc72b6e0d0dc8aa7e5401a77db23567e573d6d45502cb9703f4a61ffcf6a",
    "without M": "f8d3129a666d45c74a789af5c9dd8ca8274097d9e49dca85475026f056db52e4",
    "without M7": "2bd20cc09aad0fc44256d7ae17313a1368fcd58b7b43fa0b4523773cc125919b",
    "without C": "d9d8e1060a9055aeb6beb5003973c35aa74177172840f092afc7959c9891dc34",
    "E alone": "05e19e5fb61972770394e2d8bb22a1f0bfaa367c5d60db5a51bf7354467c221f",
    "without anything": "a79a272ab97df35f7210ef04f2a73e559b92da16c13eebf96372ee0dfd84cc52",
    "odd genomes": "a49789d5e56754412951675c334c022c7f68490743caf547df1c478dd21841bd",
    "odd genomes that see C alone": "4d8273866cf2ba1966ed8eb9a90e6fe3284968f943cc79390eb793040c003f47",
    "odd genomes without a fee to feel": "cf3056badb805a55edc807b3b6a2aba9a227ae69b141f24bb81ae563adbbaf34",
}


def digest_of(name: str, step: int = 97) -> str:
    """The digest of one world's result."""
    given = dict(WORLDS[name])
    factor = given.pop("wild", 1.0)
    options = {option: given.pop(option) for option in OPTIONS if option in given}
    config = small(review_ticks=150, community_ticks=150, **given)
    market: Market = wild(make_market(3, TICKS, config), factor)
    return digest(run(market, config, 11, step=step, **options))


@pytest.mark.parametrize("name", WORLDS)
def test_the_result_of_a_world_is_known(name: str) -> None:
    assert digest_of(name) == DIGESTS[name]
