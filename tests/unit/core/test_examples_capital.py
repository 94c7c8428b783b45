"""Worked examples of capital: marks, the triplet, conservation, drawdown, removal (`desk` gives the world)."""

from __future__ import annotations

import pytest

from prometheus.v10.core import capital, genome

from .desk import LOT, Desk, near, new_desk


def mark(desk: Desk, close: float, tick: int = 0) -> None:
    capital.mark_to_market(desk.agents, desk.books, close, LOT, tick)


@pytest.mark.parametrize(
    ("position", "price", "profit"), [(3.0, 1010.0, 0.3), (-3.0, 1010.0, -0.3), (0.0, 1010.0, 0.0)]
)
def test_unrealised_profit_is_lots_times_lot_times_move(position: float, price: float, profit: float) -> None:
    assert capital.unrealised(position, LOT, 1000.0, price) == near(profit)


def test_rows_of_the_books_are_the_published_ones() -> None:
    money = (
        capital.INITIAL, capital.RESERVE, capital.REALISED, capital.FEES, capital.FUNDING, capital.SLIPPAGE,
        capital.TOTAL, capital.ALLOCATED, capital.PEAK, capital.DRAWDOWN, capital.RESIDUAL,
    )  # fmt: skip
    assert money == tuple(range(capital.MONEY_ROWS))
    assert capital.MONEY_ROWS == 11
    tally = (
        capital.ALIVE, capital.BORN, capital.DIED, capital.ORDERS, capital.ROUND_TRIPS, capital.DYING,
        capital.AGENT_TICKS, capital.RECENT_DEATHS, capital.OPEN_ORDERS,
    )  # fmt: skip
    assert tally == tuple(range(capital.COUNT_ROWS))
    assert capital.COUNT_ROWS == 9


def test_the_triplet_is_conserved_when_everything_was_booked() -> None:
    desk = new_desk()
    desk.seat(0, cash=55.5, position=3.0, entry=1000.0)
    desk.seat(1, cash=40.0, position=-1.0, entry=1000.0)
    money = desk.books.money
    # Booked: 100 of initial capital, 1 earned, 0.3 of fees and 0.2 of funding paid, in USDT.
    # 100 + 1 - 0.3 - 0.2 = 100.5, held as 95.5 of cash + 5 of reserve.
    money[capital.INITIAL], money[capital.RESERVE] = 100.0, 5.0
    money[capital.REALISED], money[capital.FEES], money[capital.FUNDING] = 1.0, 0.3, 0.2
    mark(desk, 1010.0, tick=3)
    assert desk.account["equity"][:2].tolist() == near([55.8, 39.9])  # +0.3 and -0.1 USDT on paper
    assert money[capital.ALLOCATED] == near(95.7)
    assert money[capital.TOTAL] == near(100.7)
    assert money[capital.RESIDUAL] == pytest.approx(0.0, abs=1e-15)
    assert desk.books.total_by_tick.tolist() == near([0.0, 0.0, 0.0, 100.7, 0.0, 0.0, 0.0, 0.0])


def test_a_gap_is_kept_as_a_fraction_of_what_was_booked() -> None:
    desk = new_desk()
    desk.seat(0, cash=99.0)
    money = desk.books.money
    money[capital.INITIAL], money[capital.RESERVE] = 100.0, 2.0
    mark(desk, 1000.0)
    assert money[capital.RESIDUAL] == near(0.01)  # 101 held, 100 booked
    money[capital.RESERVE] = 1.0
    mark(desk, 1000.0)
    assert money[capital.RESIDUAL] == near(0.01)  # the largest gap stays


def test_a_gap_of_a_small_total_is_kept_in_usdt() -> None:
    desk = new_desk()
    desk.seat(0, cash=0.75)
    desk.books.money[capital.INITIAL] = 0.5
    mark(desk, 1000.0)
    assert desk.books.money[capital.RESIDUAL] == near(0.25)  # divided by max(0.5, 1)


def test_the_peak_and_the_deepest_drawdown_stay() -> None:
    desk = new_desk()
    desk.seat(0, cash=100.0)
    for cash, peak, drawdown in ((100.0, 100.0, 0.0), (80.0, 100.0, 0.2), (120.0, 120.0, 0.2), (90.0, 120.0, 0.25)):
        desk.account["cash"][0] = cash
        mark(desk, 1000.0)
        assert desk.books.money[[capital.PEAK, capital.DRAWDOWN]].tolist() == near([peak, drawdown])


def test_a_genome_is_cleared_alone_and_at_every_locus() -> None:
    desk = new_desk()
    desk.net["loci"][:] = 2.0
    capital.clear_genome(desk.agents, 5)
    loci = desk.net["loci"]
    assert loci.shape == (genome.LOCI, 16)
    assert (loci[:, 5] == 0.0).all()
    assert (loci[:, :5] == 2.0).all()
    assert (loci[:, 6:] == 2.0).all()


@pytest.mark.parametrize(("left", "reserve"), [(7.0, 27.0), (-7.0, 13.0)])
def test_what_the_dead_leave_or_owe_goes_to_the_reserve(left: float, reserve: float) -> None:
    desk = new_desk()
    desk.seat(2, cash=left, order=4.0)
    desk.seat(3, cash=50.0)
    desk.account["period_capital"][2] = 80.0
    desk.net["loci"][:] = 2.0
    desk.books.money[capital.RESERVE] = 20.0
    desk.books.tally[capital.DIED] = 4
    capital.remove_agent(desk.agents, desk.books, 2)
    assert desk.books.money[capital.RESERVE] == near(reserve)
    left_behind = [desk.account[field][2] for field in ("cash", "equity", "order", "period_capital")]
    assert (left_behind, desk.net["alive"][2]) == ([0.0, 0.0, 0.0, 1.0], 0)
    assert (desk.net["loci"][:, 2] == 0.0).all()
    assert (desk.books.tally[capital.ALIVE], desk.books.tally[capital.DIED]) == (1, 5)
    assert (desk.account["cash"][3], desk.net["alive"][3]) == (50.0, 1)
