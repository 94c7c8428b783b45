"""Worked examples of I1-I4, M1-M12 and C1-C5 at one tick (`desk` gives the world)."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.v10.core import capital, community, features, fences
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import Environment

from .desk import CONFIG, Desk, bars, known, near32, new_desk

TICK = 7  # closes at 1000 USDT: one lot is worth 10 USDT
MARKET = bars(*[(500, 600, 400, 500, 1)] * 7, (990, 1010, 980, 1000, 1))
# Volatility 2 %, mean volume 4 BTC, trend +0.5. Market depth: 2 % of 4 BTC x 1000 = 80 USDT.
KNOWN = known([0.9] * 7 + [0.02], [99.0] * 7 + [4.0], [9.0] * 8)
ALL = np.ones(33, dtype=np.float32)
LONG, SHORT, FLAT = 0, 1, 2
ROWS = {name.split("_")[0]: row for row, name in enumerate(features.NAMES[12:28])}


def three_agents() -> Desk:
    """A long and a short of 4 lots (40 USDT) and a flat one; each is worth 20 USDT."""
    desk = new_desk()
    desk.seat(LONG, cash=19.6, position=4.0, entry=990.0)  # +0.04 x 10 = +0.4 USDT
    desk.seat(SHORT, cash=20.4, position=-4.0, entry=990.0)  # -0.4 USDT
    desk.seat(FLAT, cash=20.0)
    desk.account["equity"][:3] = 20.0
    desk.net["entry_tick"][:3] = (4, 7, 0)
    desk.net["last_signal"][:3] = (-0.5, 0.25, 0.0)
    desk.net["impedance"][:, LONG] = (0.1, 0.2, 0.003, 0.002)
    desk.net["impedance"][:, SHORT] = (0.4, 0.3, 0.5, 0.6)
    return desk


def feel(
    desk: Desk, mask: np.ndarray = ALL, known_then: Environment = KNOWN, config: WorldConfig = CONFIG
) -> np.ndarray:
    bar = features.bar_at(TICK, MARKET, known_then, config)
    features.narrow_all(desk.agents, bar)
    desk.books.fence[fences.FEATURE_CLIP, fences.TRIGGERS] += features.own_features(desk.net, bar, mask)
    return desk.net["own"]


@pytest.mark.parametrize(
    ("code", "long", "short", "flat"),
    [
        ("I1", 1.0, 1.0, 0.0),
        ("I2", 1.0, -1.0, 0.0),
        ("I3", 1.0, 1.0, 0.0),
        ("I4", -0.5, 0.25, 0.0),
        ("M1", 0.1, 0.4, 0.0),
        ("M2", 0.2, 0.3, 0.0),
        ("M3", 0.5, 0.5, 0.5),  # 2 x 20 USDT against a depth of 80
        ("M4", 0.5 * (0.003 + 0.002), 0.25 * (0.5 + 0.6), 0.0),
        ("M5", 0.003, 0.5, 0.0),
        ("M6", 0.002, 0.6, 0.0),
        ("M7", 0.003 + 0.002 + 0.001, 1.0, 0.001),  # and the taker fee; 1.101 is capped
        ("M8", 4 / (4 + 2), 4 / (4 + 2), 0.0),  # leverage 40 / 20 = 2, k = 2
        # Liquidation price of the long (39.6 - 19.6) / (0.04 x 0.9) = 555.56: 44.4 % below the close.
        ("M9", 36 / 16, 44 / 16, 0.0),  # the short's (39.6 + 20.4) / (0.04 x 1.1) = 1363.64: 36.4 % above
        ("M10", 40 * 0.02 / (20 - 4), 40 * 0.02 / (20 - 4), 0.0),  # maintenance margin is 10 % of 40
        ("M11", 0.4 / 20 / 4, 0.4 / 20 / 1, 0.0),  # held for the ticks 4, 5, 6 and 7; for the tick 7
        ("M12", 0.25, 0.25, 0.0),  # 0.5 x 0.5, either way
    ],
)
def test_each_feature_of_an_agent(code: str, long: float, short: float, flat: float) -> None:
    assert feel(three_agents())[ROWS[code], :3].tolist() == near32([long, short, flat])


def test_a_position_of_one_lot_is_a_position() -> None:
    desk = new_desk()
    desk.seat(0, cash=20.0, position=1.0, entry=1000.0)
    desk.seat(1, cash=20.0, position=-1.0, entry=1000.0)
    own = feel(desk)
    assert own[:3, :2].tolist() == [[1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    # One lot of long is 10 USDT; slope (0.01 - 0.001) x 1000 = 9 over an excess of 20 - 1 = 19.
    assert own[ROWS["M9"], :2].tolist() == near32([9 / 19, 11 / 19])


def test_caps_hold_and_each_clip_is_counted() -> None:
    desk = new_desk()
    desk.seat(0, cash=40.0)  # 2 x 40 = 80 USDT: exactly the depth
    desk.seat(1, cash=400.0)  # ten times the depth
    desk.seat(2, cash=4.1, position=4.0, entry=1000.0)  # 0.1 USDT above the maintenance margin, 0.8 of volatility
    desk.seat(3, cash=-5.0, position=4.0, entry=1000.0)  # a debt
    desk.seat(4, cash=20.0, position=4.0, entry=3000.0)  # an unrealised loss of 80 USDT on an equity of 20
    own = feel(desk)
    assert own[ROWS["M3"], :5].tolist() == near32([1.0, 1.0, 2 * 4.1 / 80, 0.0, 0.5])
    assert own[ROWS["M9"], 3] == near32(100.0)  # no distance left: 1 / 0.01
    assert own[ROWS["M10"], :4].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert own[ROWS["M8"], 3] == near32(1.0)
    assert own[ROWS["M11"], 4] == near32(80 / 20 / 8)
    assert desk.fence(fences.FEATURE_CLIP) == (0, 4, 0)


def test_the_nearest_liquidation_counts_as_one_percent_away() -> None:
    desk = new_desk()
    # 0.18 USDT of excess over a slope of 36 is 0.5 %; 0.72 is 2 %.
    desk.seat(0, cash=4.18, position=4.0, entry=1000.0)
    desk.seat(1, cash=4.72, position=4.0, entry=1000.0)
    assert feel(desk)[ROWS["M9"], :2].tolist() == pytest.approx([100.0, 50.0], rel=1e-5)


def test_the_quality_of_a_profit_is_capped_at_one() -> None:
    desk = three_agents()
    desk.account["entry_price"][SHORT] = 200.0  # a loss of 32 USDT in the tick it was opened, on an equity of 20
    assert feel(desk)[ROWS["M11"], SHORT] == 1.0


def test_no_volume_makes_no_depth_and_every_order_too_large() -> None:
    desk = new_desk()
    desk.seat(0, cash=0.25)  # were the depth 1 USDT, 2 x 0.25 would be half of it
    dry = known([0.02] * 8, [0.0] * 8, [1.0] * 8)
    assert feel(desk, known_then=dry)[ROWS["M3"], 0] == 1.0


@pytest.mark.parametrize("feature", [12, 16, 27])
def test_an_ablated_feature_of_ones_own_is_zero_alone(feature: int) -> None:
    mask = ALL.copy()
    mask[feature] = 0.0
    whole, ablated = feel(three_agents()), feel(three_agents(), mask)
    others = [row for row in range(16) if row != feature - 12]
    assert not ablated[feature - 12].any()
    assert (ablated[others] == whole[others]).all()


def four_in_company() -> Desk:
    """Four of the living, and two empty slots between and after them."""
    desk = new_desk()
    for slot, position, equity, signal in (
        (0, 2.0, 1.125, -1.0),
        (1, 2.0, 1.25, -0.25),
        (3, -1.0, 0.5, 0.75),
        (4, 0.0, 4.0, 0.5),
    ):
        desk.seat(slot, equity * 100, position, 1000.0)
        desk.account["period_capital"][slot] = 100.0
        desk.net["last_signal"][slot] = signal
    desk.books.tally[capital.RECENT_DEATHS] = 1
    return desk


def gather(desk: Desk, mask: np.ndarray = ALL, config: WorldConfig = CONFIG) -> list[float]:
    features.narrow_all(desk.agents, features.bar_at(TICK, MARKET, KNOWN, config))
    community.community(desk.agents, desk.books, desk.scratch, config, mask)
    result: list[float] = desk.scratch.shared.tolist()
    return result


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("C1", 3 / 4),  # three of four hold
        ("C2", (2 - 1) / 3),  # two longs, one short
        ("C3", (0.125 + 0.25 - 0.5 + 1.0) / 4),  # the last earned 300 %, which counts as 100 %
        ("C4", 1 / (1 + 4)),
        ("C5", (0.5 - 0.25) / 2),  # the better half: +300 % and +25 %
    ],
)
def test_each_feature_of_the_community(code: str, value: float) -> None:
    index = [name.split("_")[0] for name in features.NAMES].index(code)
    assert gather(four_in_company())[index] == near32(value)


def test_who_holds_is_counted_as_an_attempt_of_liquidation() -> None:
    desk = four_in_company()
    gather(desk)
    assert desk.fence(fences.LIQUIDATION) == (3, 0, 0)


def test_one_lot_is_a_holding_and_a_side() -> None:
    desk = new_desk()
    desk.seat(0, 10.0, 1.0, 1000.0)
    desk.seat(1, 10.0, -1.0, 1000.0)
    desk.seat(2, 10.0, -1.0, 1000.0)
    assert gather(desk)[28:30] == near32([1.0, -1 / 3])


def test_one_short_alone_is_the_whole_community() -> None:
    desk = new_desk()
    desk.seat(0, 10.0, -1.0, 1000.0)
    assert gather(desk)[28:30] == [1.0, -1.0]


def test_a_community_of_nobody_is_silent() -> None:
    assert gather(new_desk())[28:] == [0.0] * 5


def test_everybody_dead_lately_is_a_death_rate_of_one() -> None:
    desk = new_desk()
    desk.books.tally[capital.RECENT_DEATHS] = 1
    assert gather(desk)[31] == 1.0


def test_averages_are_rounded_to_the_grid_of_two_to_the_twentieth() -> None:
    desk = new_desk()
    desk.seat(0, 100.0)
    desk.account["period_capital"][0] = 100.0
    desk.net["last_signal"][0] = 0.3  # 314572.8 steps: 314573
    assert gather(desk)[32] == np.float32(314573 / 1048576)
    desk.net["last_signal"][0] = 0.1  # 104857.6 steps: 104858
    desk.account["equity"][0] = 130.0
    shared = gather(desk)
    assert shared[32] == np.float32(104858 / 1048576)
    assert shared[30] == np.float32(314573 / 1048576)


def test_an_ablated_feature_of_the_community_is_zero_alone() -> None:
    mask = ALL.copy()
    mask[29] = 0.0
    whole, ablated = gather(four_in_company()), gather(four_in_company(), mask)
    assert ablated[29] == 0.0
    assert ablated[28] == whole[28]
    assert ablated[30:] == whole[30:]


def test_everyone_at_the_threshold_is_among_the_best() -> None:
    desk = four_in_company()
    desk.account["equity"][[0, 1]] = 150.0
    desk.account["equity"][[3, 4]] = 100.0
    # The best quarter would be one of four; two share its ROI: (-1 - 0.25) / 2.
    assert gather(desk, config=CONFIG._replace(top_share=0.25))[32] == near32(-0.625)


def test_at_least_one_is_the_best_and_the_dead_are_not() -> None:
    desk = four_in_company()
    assert gather(desk, config=CONFIG._replace(top_share=0.1))[32] == near32(0.5)  # 0.4 of an agent: one
    desk.net["last_signal"][2] = 1.0  # a dead slot; its ROI is -1
    desk.account["equity"][0] = 0.0  # and so is that of one of the living
    assert gather(desk, config=CONFIG._replace(top_share=1.0))[32] == near32((-1.0 - 0.25 + 0.75 + 0.5) / 4)


@pytest.mark.parametrize(
    ("least", "most"),
    [(-np.inf, -1.5), (-1.5, -1.0), (-1.0, -1e-9), (-1e-9, 0.0), (0.0, 1e-30), (1e-30, 2.0), (2.0, np.inf)],
)
def test_ranks_have_the_order_of_the_numbers(least: float, most: float) -> None:
    assert community.rank_of(np.float32(least)) < community.rank_of(np.float32(most))


def test_equal_numbers_have_one_rank() -> None:
    assert community.rank_of(np.float32(0.25)) == community.rank_of(np.float32(0.5) - np.float32(0.25))


@pytest.mark.parametrize("start", range(7))
@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize(
    "given",
    [
        (3, 1, 4, 1, 5, 9, 2), (1, 2, 3, 4, 5, 6, 7), (7, 6, 5, 4, 3, 2, 1), (2,) * 7,
        (2**31 - 2, -(2**31), 0, -1, 1, 2**31 - 2, -(2**31)),
    ],
)  # fmt: skip
def test_the_kth_largest_of_seven_wherever_the_search_begins(given: tuple[int, ...], k: int, start: int) -> None:
    assert community.kth_largest(np.array(given, dtype=np.int32), k, start) == sorted(given, reverse=True)[k - 1]


@pytest.mark.parametrize("start", [0, 50, 99])
@pytest.mark.parametrize("k", [1, 30, 34, 67, 100])
def test_the_kth_largest_is_found_where_the_walk_would_be_too_long(k: int, start: int) -> None:
    ranks = np.arange(-5000, 5000, 100, dtype=np.int32)
    assert community.kth_largest(ranks, k, start) == 5000 - 100 * k


@pytest.mark.parametrize(
    ("here", "way", "there"), [(4, 1, 7), (4, -1, -3), (7, -1, 4), (-3, 1, 4), (5, 1, 7), (5, -1, 4)]
)
def test_the_next_rank_either_way(here: int, way: int, there: int) -> None:
    ranks = np.array([7, -3, 4, 4], dtype=np.int32)
    assert community.next_rank(ranks, np.int32(here), way) == there


def test_how_many_reach_a_rank() -> None:
    ranks = np.array([7, -3, 4, 4], dtype=np.int32)
    assert [community.how_many_reach(ranks, rank) for rank in (-3, -2, 4, 5, 7, 8)] == [4, 3, 3, 1, 1, 0]


def test_where_the_search_begins_is_kept_and_has_no_say_in_the_result() -> None:
    desk = four_in_company()
    first = gather(desk)
    assert desk.scratch.last_best[0] == 1  # the second best of four: +25 %
    desk.scratch.last_best[0] = 5  # an empty slot
    assert gather(desk) == first
    assert desk.scratch.last_best[0] == 1
