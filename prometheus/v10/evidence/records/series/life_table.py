"""Who lived how long, and of what it died: lives counted by the reviews between which they lie. Standard library only.

Writer and verifier share these rules, so the table stands for the lines of births, deaths and survivors when retention
lets those go.

The cause says whether a death by money was one of trading or of its costs. Profit before costs is what an agent left
over what it was given, plus the fees, slippage and funding that it paid:

* ``never_traded``: it has no closed round trip;
* ``had_bred``: half of its capital went to a child, so its return is not what it made;
* ``costs``: before costs its return would have passed a review;
* ``losses``: it would not have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

ALIVE = "alive"
NEVER_TRADED, HAD_BRED, COSTS, LOSSES = CAUSES = ("never_traded", "had_bred", "costs", "losses")


class Lived(NamedTuple):
    """One life, as its lines tell it.

    Attributes:
        born: tick of its birth; -1 for a founder.
        died: tick of its death; -1 while it lives.
        end: the reason of its death; `ALIVE` while it lives.
        bred: whether it has children.
        initial: capital that it was given, USDT; ``final`` likewise what it left.
        costs: fees, funding and slippage that it paid, USDT.
    """

    born: int
    died: int
    end: str
    trades: int
    bred: bool
    initial: float
    final: float
    costs: tuple[float, float, float]


def cause_of(life: Lived, death_roi: float) -> str:
    """See the head of the module; `ALIVE` for who lives."""
    if life.end == ALIVE:
        return ALIVE
    if life.trades == 0:
        return NEVER_TRADED
    if life.bred:
        return HAD_BRED
    fees, funding, slippage = life.costs
    gross = life.final / life.initial - 1.0 + (fees + funding + slippage) / life.initial
    return COSTS if gross >= death_roi else LOSSES


def life_table(lives: Iterable[Lived], *, ticks: int, review: int, death_roi: float) -> list[dict[str, Any]]:
    """The lives of an experiment, counted; rows in the order of their keys.

    Args:
        lives: of everyone who ever lived.
        ticks: that the experiment lived.
        review: ticks between two reviews.
        death_roi: the return that a review asks for.

    Returns:
        Rows with ``born`` and ``ended``, the numbers of reviews that were done by then, ``end``, ``cause``, ``agents``.
        Who is removed by review k ended at k; who dies between two reviews ended at the one before.
    """
    counts = Counter(
        (
            (life.born + 1) // review if life.born >= 0 else 0,
            (life.died + 1) // review if life.died >= 0 else ticks // review,
            life.end,
            cause_of(life, death_roi),
        )
        for life in lives
    )
    names = ("born", "ended", "end", "cause")
    return [{**dict(zip(names, key, strict=True)), "agents": count} for key, count in sorted(counts.items())]
