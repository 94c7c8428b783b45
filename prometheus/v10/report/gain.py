"""What evolution gains from era to era: two comparisons of an instance's lines, each with its evidence so far.

1. The effect of an era is Cliff's delta of its experiments' returns, one line against another: +1 where every
   experiment of the first returned more, -1 where every one returned less. It looks at order alone: one huge return
   weighs as much as one just ahead. Ties count 0. Experiments of an era share their bars, so an era is one figure,
   however many experiments it has.
2. The evidence is an e-value against "whatever happened before an era, its mean effect is at most 0"
   (`prometheus.v10.report.betting`). An e-value of 20 at any moment is a gain that is shown; it stays shown.
3. The same test of the turned effect shows a loss. Either is shown wrongly with a probability of at most 5 %.
4. An era that lacks one of two lines counts for the other comparison only.

What "inherit against null" needs: that both begin an era with founders of the same ancestors (``[founding]
null_founders = "inherit"``, ADR 0076). A shuffled line with a history of its own may be the lucky or the unlucky one of
the two for good, and no test of eras alone tells that from a use of the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate

from attrs import frozen

from prometheus.v10.evidence.pools.descent import Line
from prometheus.v10.report import betting
from prometheus.v10.report.cliff import cliffs_delta
from prometheus.v10.report.eras import Era

COMPARISONS = ((Line.INHERIT, Line.FRESH), (Line.INHERIT, Line.NULL))


class Verdict(StrEnum):
    """What the eras show so far."""

    GAINS = "gains"
    LOSES = "loses"
    MIXED = "mixed"
    NOTHING = "nothing shown yet"
    NO_ERA = "no era"


@frozen
class Point:
    """How a comparison stood after an era.

    Attributes:
        era: its number.
        effect: of this era.
        log_e: natural logarithm of the e-value for a gain; ``log_e_loss`` for a loss.
        mean: of the effects so far; ``lower`` and ``upper`` are its bounds.
    """

    era: int
    effect: float
    log_e: float
    log_e_loss: float
    mean: float
    lower: float
    upper: float


@frozen
class Comparison:
    """One line against another, over all eras that have both; ``missing`` are the numbers of those that have not."""

    first: Line
    second: Line
    path: tuple[Point, ...]
    missing: tuple[int, ...]

    @property
    def largest(self) -> float:
        """The largest ``log_e`` so far: 0, the capital of the beginning, where there was none above."""
        return max([0.0, *(point.log_e for point in self.path)])

    @property
    def shown_at(self) -> int | None:
        """Number of the first era at which the e-value reached the threshold."""
        at = betting.first_alarm(point.log_e for point in self.path)
        return None if at is None else self.path[at].era

    @property
    def loss_shown_at(self) -> int | None:
        """The same of the loss."""
        at = betting.first_alarm(point.log_e_loss for point in self.path)
        return None if at is None else self.path[at].era

    @property
    def verdict(self) -> Verdict:
        """What has been shown at some era; later eras take nothing back."""
        if not self.path:
            return Verdict.NO_ERA
        gains, loses = self.shown_at is not None, self.loss_shown_at is not None
        if gains and loses:
            return Verdict.MIXED
        return Verdict.GAINS if gains else Verdict.LOSES if loses else Verdict.NOTHING


def compare_lines(eras: Sequence[Era], first: Line, second: Line) -> Comparison:
    """``first`` against ``second`` over ``eras``, which stand in their order."""
    both = [era for era in eras if first in era.returns and second in era.returns]
    effects = [cliffs_delta(era.returns[first], era.returns[second]) for era in both]
    columns = (
        (era.number for era in both),
        effects,
        betting.log_e_values(effects),
        betting.log_e_values([-effect for effect in effects]),
        (total / n for n, total in enumerate(accumulate(effects), 1)),
        betting.lower_bounds(effects),
        betting.upper_bounds(effects),
    )
    missing = tuple(era.number for era in eras if first not in era.returns or second not in era.returns)
    return Comparison(first, second, tuple(Point(*row) for row in zip(*columns, strict=True)), missing)


def gains(eras: Sequence[Era]) -> list[Comparison]:
    """Both comparisons of an instance."""
    return [compare_lines(eras, first, second) for first, second in COMPARISONS]
