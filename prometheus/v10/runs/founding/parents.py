"""How parents are chosen among the ancestors: functions of what the pool says of them, and of uniform draws.

Nothing but figures of whole lives is looked at: no choice here knows a price, an order or a position. Every policy
works on the same candidates: one for each genome, of those that traded, with the return of each era that it lived in,
or, where stage 2 judged it, of each cell of its verdict.

* ``truncation``: the best, all alike.
* ``tournament``: the best of a few that are drawn.
* ``lexicase``: eras (or cells) in an order that is drawn; in each, those within the median absolute deviation of the
  best stay (La Cava, Spector and Danai 2016, "Epsilon-lexicase selection for regression"). Who did not live in an era
  counts as one who did nothing in it: a return of 0.
* ``niches``: a grid over behaviour, trades a tick by share of wins, at quantiles of the candidates; the best of each
  cell, all cells alike (Mouret and Clune 2015, "Illuminating search spaces by mapping elites").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from prometheus.v10.core.numeric import uniforms
from prometheus.v10.evidence.derive.eras.era_rules import share
from prometheus.v10.runs.founding.ancestors import Ancestor
from prometheus.v10.runs.request.eras_table import FoundingTable, Parents

STREAM = 1 << 62
"""In place of the number of a birth: the draws of selection are nobody's birth."""
CELLS = 5
"""Of the grid of niches, along each side."""
MOST_AT_ONCE = 1 << 20
"""Children times candidates that lexicase looks at together: what bounds its memory."""

Ints = NDArray[np.int64]


@frozen(eq=False)
class Candidates:
    """One row a genome, best return in its latest era first; equal ones in the order of their records.

    Attributes:
        latest: the genome's latest record.
        roi: of that life, shape (candidates,).
        by_case: return in each era, oldest first, or in each cell by name; NaN where it did not live, shape
            (candidates, cases).
    """

    latest: tuple[Ancestor, ...]
    roi: NDArray[np.float64]
    by_case: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of genomes."""
        return len(self.latest)


def candidates_of(ancestors: Sequence[Ancestor]) -> Candidates:
    """The candidates among one line's ancestors: genomes that traded in their latest era."""
    latest: dict[str, Ancestor] = {}
    for one in ancestors:
        latest[one.sha256] = max(one, latest.get(one.sha256, one), key=lambda life: (life.era, life.n))
    chosen = sorted((one for one in latest.values() if one.trades > 0), key=lambda one: (-one.roi, one.n))
    cases = sorted({case for one in ancestors for case in one.cases}, key=lambda case: (str(type(case)), case))
    column = {case: place for place, case in enumerate(cases)}
    rows = {one.sha256: row for row, one in enumerate(chosen)}
    by_case = np.full((len(chosen), len(cases)), np.nan)
    for one in ancestors:
        if one.sha256 in rows:
            for case, roi in one.cases.items():
                by_case[rows[one.sha256], column[case]] = roi
    return Candidates(tuple(chosen), np.array([one.roi for one in chosen], dtype=np.float64), by_case)


@frozen(eq=False)
class Choice:
    """Rows of `Candidates`: ``elites`` in their order, and one parent for each of the ``offspring``."""

    elites: Ints
    offspring: Ints


def choose(candidates: Candidates, table: FoundingTable, founders: int, seed: int) -> Choice:
    """Who is an elite, and who the parent of each offspring.

    Args:
        candidates: of one line.
        table: ``[founding]``.
        founders: of the experiment.
        seed: of the experiment.
    """
    if not len(candidates):
        return Choice(np.zeros(0, np.int64), np.zeros(0, np.int64))
    order = champions(candidates) if table.parents is Parents.NICHES else np.arange(len(candidates))
    elites = order[: min(share(table.elites, founders), table.keep)]
    children = share(table.offspring, founders)
    return Choice(elites, _parents(candidates, order, table, children, seed))


def _parents(candidates: Candidates, order: Ints, table: FoundingTable, children: int, seed: int) -> Ints:
    kept = order[: table.keep]
    if table.parents is Parents.TOURNAMENT:
        drawn = _below(seed, children * table.tournament, len(kept)).reshape(children, table.tournament)
        return kept[drawn.min(axis=1)] if children else kept[:0]  # rows are ordered by return
    if table.parents is Parents.LEXICASE:
        return _lexicase(candidates, kept, children, seed)
    return kept[_below(seed, children, len(kept))]


def _below(seed: int, count: int, end: int) -> Ints:
    """``count`` whole numbers from 0 to ``end`` - 1."""
    return np.minimum((uniforms(seed, [STREAM], max(count, 1))[0, :count] * end).astype(np.int64), end - 1)


def _lexicase(candidates: Candidates, kept: Ints, children: int, seed: int) -> Ints:
    values = np.nan_to_num(candidates.by_case[kept], nan=0.0)
    cases = values.shape[1]
    draws = uniforms(seed, [STREAM], max(children * (cases + 1), 1))[0, : children * (cases + 1)]
    draws = draws.reshape(children, cases + 1)
    together = max(1, MOST_AT_ONCE // len(kept))
    places = [sifted(values, draws[first : first + together]) for first in range(0, children, together)]
    return np.asarray(kept[np.concatenate([np.empty(0, dtype=np.int64), *places])], dtype=np.int64)


def sifted(values: NDArray[np.float64], draws: NDArray[np.float64]) -> Ints:
    """The candidate that lexicase leaves to each child: int64[children].

    Args:
        values: return of each candidate in each case, float64[candidates, cases].
        draws: a child's row gives the order of its cases and, last, which of those that are left it takes;
            float64[children, cases + 1] in [0, 1).
    """
    cases = values.shape[1]
    spread = np.median(np.abs(values - np.median(values, axis=0)), axis=0)
    left = np.ones((len(draws), len(values)), dtype=np.bool_)
    for case in np.argsort(draws[:, :cases], axis=1, kind="stable").T:  # one case of each child
        column = values.T[case]
        best = np.where(left, column, -np.inf).max(axis=1)
        left &= column >= (best - spread[case])[:, None]
    count = left.sum(axis=1)
    taken = np.minimum((draws[:, cases] * count).astype(np.int64), count - 1)
    return np.asarray((left & (left.cumsum(axis=1) == taken[:, None] + 1)).argmax(axis=1), dtype=np.int64)


def champions(candidates: Candidates) -> Ints:
    """The best of each niche, best first."""
    pace = np.array([one.trades / one.span for one in candidates.latest])
    wins = np.array([one.wins / one.trades for one in candidates.latest])
    cells = [(int(a), int(b)) for a, b in zip(_bins(pace), _bins(wins), strict=True)]
    best: dict[tuple[int, int], int] = {}
    for row, cell in enumerate(cells):  # rows are ordered by return
        best.setdefault(cell, row)
    return np.array(sorted(best.values()), dtype=np.int64)


def _bins(values: NDArray[np.float64]) -> Ints:
    """Which fifth of the candidates each value lies in; equal values lie in the same."""
    ordered = np.sort(values)
    edges = ordered[[len(ordered) * k // CELLS for k in range(1, CELLS)]]
    return np.searchsorted(edges, values, side="right")
