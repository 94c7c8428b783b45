"""``[stage2]`` of a profile: on what, and how strictly, stage 2 judges the genomes of a snapshot."""

from __future__ import annotations

from typing import Any

from attrs import Factory, field, frozen, validators

from prometheus.v10.market.windows import Window
from prometheus.v10.runs.request.labels import LabelsTable

STAKE_STEPS = 1024  # stakes in such parts of a USDT add up and divide without rounding, however many agents share


def _at_least_one(default: float) -> Any:
    return field(default=default, validator=validators.ge(1.0))


@frozen(kw_only=True)
class FrictionTable:
    """``[stage2.friction]``: by how much every cost of the exchange is larger than in ``[world]``.

    Attributes:
        fees: factor of taker, maker and liquidation fees.
        spread: factor of the quoted spread.
        impact: factor of the square-root law's impact.
        funding: factor of every funding rate, whoever pays it.
        participation: the share of a bar's volume that nobody may exceed is divided by it.
    """

    fees: float = _at_least_one(1.5)
    spread: float = _at_least_one(2.0)
    impact: float = _at_least_one(2.0)
    funding: float = _at_least_one(1.0)
    participation: float = _at_least_one(2.0)


def _stake(_: object, __: object, value: float) -> None:
    if not value > 0 or value * STAKE_STEPS != int(value * STAKE_STEPS):
        raise ValueError(f"expected a positive multiple of 1/{STAKE_STEPS} USDT, so that no rounding depends on peers")


def _distinct(_: object, attribute: Any, value: tuple[Any, ...]) -> None:
    if not value or len(set(value)) != len(value):
        raise ValueError(f"expected at least one, and each of {attribute.name} once")


def _windows(_: object, __: object, value: tuple[Window, ...]) -> None:
    names = [window.name for window in value]
    if len(set(names)) != len(names):
        raise ValueError("expected windows with names of their own")


@frozen(kw_only=True)
class Stage2Table:
    """``[stage2]``: the cells in which every genome is judged, and the definitions of the labels.

    Attributes:
        snapshot: id of the snapshot to judge; empty takes the newest.
        windows: rows of the market's own bars; empty takes the whole market. They should be windows that the genomes
            never saw.
        timeframes_s: seconds a bar; multiples of the market's.
        seeds: each draws where within ``stagger`` of the window an experiment begins, and who meets whom in a crowd.
        stagger: share of a window's bars by which its beginning may be put off.
        crowd: agents of a crowd; 0 judges everyone alone only.
        stake: USDT that each genome begins with.
        batch: genomes judged together; a batch's results are written when it is whole.
        batches_a_run: how many batches one run takes; 0 takes all that there are.
        review_days: a review (whoever is below ``[world] death_roi`` dies, nobody breeds) after so many days; None
            holds none.
        marks: how often, about, equity is looked at in an experiment for drawdowns.
    """

    snapshot: str = ""
    windows: tuple[Window, ...] = field(default=(), validator=_windows)
    timeframes_s: tuple[int, ...] = field(default=(3_600, 14_400, 86_400), validator=_distinct)
    seeds: tuple[int, ...] = field(default=(1, 2, 3), validator=_distinct)
    stagger: float = field(default=0.05, validator=[validators.ge(0.0), validators.le(0.5)])
    crowd: int = field(default=64, validator=validators.ge(0))
    stake: float = field(default=80.0, validator=_stake)
    batch: int = field(default=512, validator=validators.ge(1))
    batches_a_run: int = field(default=0, validator=validators.ge(0))
    review_days: float | None = field(default=None, validator=validators.optional(validators.gt(0.0)))
    marks: int = field(default=64, validator=validators.ge(1))
    friction: FrictionTable = Factory(FrictionTable)
    labels: LabelsTable = Factory(LabelsTable)
