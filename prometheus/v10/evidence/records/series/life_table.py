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
    last = ticks // review
    counts = Counter([
        (
            (born + 1) // review if born >= 0 else 0,
            (died + 1) // review if died >= 0 else last,
            end,
            ALIVE if end == ALIVE
            else NEVER_TRADED if trades == 0
            else HAD_BRED if bred
            else COSTS if final / initial - 1.0 + (fees + funding + slippage) / initial >= death_roi
            else LOSSES,
        )
        for born, died, end, trades, bred, initial, final, (fees, funding, slippage) in lives
    ])  # fmt: skip
    names = ("born", "ended", "end", "cause")
    return [{**dict(zip(names, key, strict=True)), "agents": count} for key, count in sorted(counts.items())]
