"""Worked examples of the lifecycle: review, death, birth, collapse (`desk` gives the world)."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.v10.core import capital, fences, lifecycle

from .desk import CONFIG, near, new_desk


def test_codes_are_the_published_ones() -> None:
    assert lifecycle.REASONS == ("quarterly_review", "capital_depleted", "liquidation", "unknown")
    assert lifecycle.DEAD_REVIEW == 0
    assert (lifecycle.NO_COLLAPSE, lifecycle.EXTINCTION, lifecycle.FINANCIAL, lifecycle.BOTH) == (0, 1, 2, 3)
    assert lifecycle.COLLAPSE_NAMES == (None, "extinction", "financial", "both")
    assert (lifecycle.KEEP, lifecycle.DIES, lifecycle.BREEDS) == (0, 1, 2)


def test_a_review_falls_at_the_close_of_every_fourth_tick() -> None:
    assert [tick for tick in range(12) if lifecycle.review_due(tick, CONFIG)] == [3, 7, 11]


def test_period_roi_counts_from_birth_or_the_last_breeding() -> None:
    desk = new_desk()
    desk.seat(1, cash=110.0)
    desk.account["period_capital"][1], desk.agents.birth_capital[1] = 88.0, 50.0
    assert lifecycle.period_roi(desk.agents, 1) == near(0.25)  # 110 / 88 - 1


@pytest.mark.parametrize(
    ("cash", "verdict"),
    [
        (100.9, lifecycle.DIES),  # 0.9 % is below 1 %
        (50.0, lifecycle.DIES),
        (101.1, lifecycle.KEEP),
        (104.9, lifecycle.KEEP),
        (105.1, lifecycle.BREEDS),  # 5.1 % is above 5 %
    ],
)
def test_who_dies_who_stays_and_who_breeds(cash: float, verdict: int) -> None:
    desk = new_desk()
    desk.seat(0, cash)
    desk.account["period_capital"][0] = 100.0
    verdicts = np.full(1, 9)
    breeders = lifecycle.judge(desk.agents, desk.books, desk.scratch, verdicts, CONFIG)
    assert (verdicts[0], breeders) == (verdict, int(verdict == lifecycle.BREEDS))


def test_a_review_judges_the_living_and_both_thresholds_are_inclusive() -> None:
    config = CONFIG._replace(death_roi=0.25, breed_roi=0.5)  # binary fractions, so that 125 / 100 - 1 is exact
    desk = new_desk()
    for slot, cash in enumerate((125.0, 150.0, 124.0, 0.0, 200.0, 100.0)):
        desk.seat(slot, cash)
        desk.account["period_capital"][slot] = 100.0
    desk.net["alive"][3] = 0  # dead before
    desk.scratch.side[:] = 9.0
    verdicts = np.full(6, 9)
    assert lifecycle.judge(desk.agents, desk.books, desk.scratch, verdicts, config) == 2
    assert verdicts.tolist() == [
        lifecycle.KEEP, lifecycle.BREEDS, lifecycle.DIES, lifecycle.KEEP, lifecycle.BREEDS, lifecycle.DIES,
    ]  # fmt: skip
    assert desk.dying == [(2, lifecycle.DEAD_REVIEW), (5, lifecycle.DEAD_REVIEW)]
    assert desk.scratch.side[:6].tolist() == [9.0, 9.0, 0.0, 9.0, 9.0, 0.0]
    assert desk.fence(fences.REVIEW_DEATH) == (5, 2, 2)
    assert desk.fence(fences.REVIEW_BREED) == (5, 2, 0)


@pytest.mark.parametrize("cash", [101.0, 0.1 + 0.2])
def test_a_parent_halves_its_cash_and_counts_anew(cash: float) -> None:
    desk = new_desk()
    desk.seat(0, cash)
    desk.account["period_capital"][0] = 80.0
    child = lifecycle.split_capital(desk.agents, 0)
    assert child == near(cash / 2)
    assert child + desk.account["cash"][0] == cash  # nothing is lost to rounding
    assert desk.account["period_capital"][0] == desk.account["cash"][0]


@pytest.mark.parametrize(
    ("alive", "reserve", "kind", "extinctions", "bankruptcies"),
    [
        (1, 0.5, lifecycle.NO_COLLAPSE, 0, 0),
        (0, 0.5, lifecycle.EXTINCTION, 1, 0),
        (3, 0.0, lifecycle.FINANCIAL, 0, 1),  # a reserve of exactly 0 has collapsed
        (3, -2.0, lifecycle.FINANCIAL, 0, 1),
        (0, 0.0, lifecycle.BOTH, 1, 1),
    ],
)
def test_a_collapse_is_extinction_or_an_empty_reserve_or_both(
    alive: int, reserve: float, kind: int, extinctions: int, bankruptcies: int
) -> None:
    desk = new_desk()
    desk.books.tally[capital.ALIVE], desk.books.money[capital.RESERVE] = alive, reserve
    assert lifecycle.collapse(desk.books) == kind
    assert desk.fence(fences.EXTINCTION) == (0, extinctions, 0)
    assert desk.fence(fences.RESERVE_COLLAPSE) == (0, bankruptcies, 0)


def test_deaths_older_than_the_window_are_forgotten() -> None:
    desk = new_desk()
    desk.books.deaths_by_tick[:4] = (1, 2, 4, 8)
    recent = []
    for tick in range(4):
        lifecycle.forget_old_deaths(desk.books, tick, 2)
        recent.append(int(desk.books.tally[capital.RECENT_DEATHS]))
    assert recent == [1, 1 + 2, 2 + 4, 4 + 8]
