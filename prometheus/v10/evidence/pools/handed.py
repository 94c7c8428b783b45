"""Which survivors of an experiment are handed to the pool: a rule that runs follow and verification computes again.

Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Handing:
    """``[pool]`` of a profile, as far as survivors are concerned.

    Attributes:
        survivors: so many at most, the best by return among those that traded enough; None hands over all.
        least_trades: what is enough.
        witnesses: so many of the others, drawn by the experiment's seed: what the rule leaves out can be looked at.
    """

    survivors: int | None = None
    least_trades: int = 1
    witnesses: int = 0


EVERYONE = Handing()


def handed(rule: Handing, seed: int, survivors: Iterable[tuple[int, float, int]]) -> set[int]:
    """Who is handed over.

    Args:
        rule: the rule.
        seed: of the experiment.
        survivors: ``genome_index``, return over the whole life, and trades of each that could be.
    """
    everyone = list(survivors)
    if rule.survivors is None:
        return {index for index, _, _ in everyone}
    ranked = sorted((-roi, index) for index, roi, trades in everyone if trades >= rule.least_trades)
    best = {index for _, index in ranked[: rule.survivors]}
    others = sorted((_ticket(seed, index), index) for index, _, _ in everyone if index not in best)
    return best | {index for _, index in others[: rule.witnesses]}


def _ticket(seed: int, index: int) -> bytes:
    return hashlib.sha256(f"witness {seed} {index}".encode("ascii")).digest()
