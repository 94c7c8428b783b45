"""Worked examples of the decision: tiny genomes, signals, and the orders they give (`desk` gives the world)."""

from __future__ import annotations

from math import copysign, tanh

import numpy as np
import pytest

from prometheus.v10.core import capital, decision, exchange, fences
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.numeric import tanh32
from prometheus.v10.core.state import NETS, empty_tiles

from .desk import CONFIG, SLOTS, Desk, near, near32, new_desk

OUT, IN = 0, 170  # first locus of each net; W1[feature, unit] is at base + 5 x feature + unit, W2[unit] at base + 165
C4 = 31  # index of the death rate among the 33 features
M7, M9 = 10, 12  # rows of an agent's own features


@pytest.mark.parametrize(
    ("x", "value"),
    [
        (0.0, 0.0), (0.25, 0.24491866), (0.5, 0.46211716), (1.0, 0.76159416), (2.0, 0.96402758), (3.0, 0.99505475),
        (-1.0, -0.76159416), (9.0, 1.0), (50.0, 1.0), (-50.0, -1.0),
    ],
)  # fmt: skip
def test_tanh_has_the_values_of_the_table(x: float, value: float) -> None:
    assert tanh32(np.float32(x)) == pytest.approx(value, abs=7e-7)


@pytest.mark.parametrize(
    ("unit", "feature", "at"), [(0, 0, 0), (4, 0, 4), (0, 1, 5), (4, 32, 164), (5, 0, 170), (6, 2, 181), (9, 32, 334)]
)
def test_the_locus_of_a_weight_is_feature_major(unit: int, feature: int, at: int) -> None:
    assert decision.locus(unit, feature) == at


def test_the_environment_drives_each_unit_by_twelve_products() -> None:
    nets = empty_tiles(NETS, 2 * SLOTS)
    for feature in range(12):
        for unit in range(5):
            nets[1]["loci"][OUT + 5 * feature + unit, 3] = 1 + feature + 20 * unit
            nets[1]["loci"][IN + 5 * feature + unit, 3] = -(1 + feature + 20 * unit)
    environment = np.zeros((6, 12), dtype=np.float32)
    environment[3] = np.arange(2, 14)  # whole numbers: float32 sums them exactly
    environment[4] = 1.0
    decision.environment_drive(environment, 2, 5, nets)
    drive = nets[1]["drive"]
    # Tick 3: sum over j = 0 .. 11 of (j + 2) (j + 1 + 20 unit) = 728 + 90 x 20 unit. Tick 4: 78 + 12 x 20 unit.
    for unit in range(5):
        assert drive[:, unit, 3].tolist() == [0.0] * 3 + [728 + 1800 * unit, 78 + 240 * unit] + [0.0] * 11
        assert drive[:, 5 + unit, 3].tolist() == [0.0] * 3 + [-728 - 1800 * unit, -78 - 240 * unit] + [0.0] * 11
    assert not drive[:, :, :3].any()
    assert not nets[0]["drive"].any()


@pytest.mark.parametrize("base", [OUT, IN])
@pytest.mark.parametrize("unit", range(5))
def test_each_feature_of_ones_own_reaches_each_hidden_unit(base: int, unit: int) -> None:
    desk = new_desk()
    loci = desk.net["loci"]
    for row in range(16):  # lane r hears feature 12 + r, and only through this unit
        desk.net["own"][row] = (row + 1) / 16
        loci[base + 5 * (12 + row) + unit, row] = 2.0
    loci[base + 165 + unit] = 0.5
    heard, other = both(desk, base)
    assert heard.tolist() == pytest.approx([tanh(0.5 * tanh(2.0 * (r + 1) / 16)) for r in range(16)], abs=1e-6)
    assert not other.any()


@pytest.mark.parametrize("unit", range(5))
def test_the_flat_hear_what_can_be_other_than_zero_for_them(unit: int) -> None:
    desk = new_desk()
    for row in range(16):
        desk.net["own"][row] = (row + 1) / 16
        desk.net["loci"][OUT + 5 * (12 + row) + unit, row] = 2.0
    desk.net["loci"][OUT + 165 + unit] = 0.5
    decision.signals(desk.net, 0, desk.scratch.shared)
    heard = [row for row in range(16) if desk.net["signal_out"][row] != 0.0]
    assert heard == [3, 4, 5, 6, 7, 8, 9, 10]  # I4, M1-M7
    assert desk.net["signal_out"][heard].tolist() == pytest.approx(
        [tanh(0.5 * tanh(2.0 * (r + 1) / 16)) for r in heard], abs=1e-6
    )


@pytest.mark.parametrize(("alive", "lots", "sign"), [(1, 0.0, 1.0), (0, 0.0, -1.0), (1, 1.0, -1.0)])
def test_a_zero_of_the_flat_has_the_sign_that_every_feature_gives_it(alive: int, lots: float, sign: float) -> None:
    desk = new_desk()
    desk.net["loci"][OUT : OUT + 170, 0] = -0.0  # times a feature of +0 each: a sum of -0
    desk.net["loci"][OUT + 165 : OUT + 170, 0] = 1.0
    desk.net["drive"][0, :5, 0] = -0.0
    desk.net["loci"][OUT + 5 * 12 : OUT + 5 * 13, 0] = 0.0  # but I1, which the flat leave out, makes it +0
    desk.net["alive"][0], desk.net["lots"][0] = alive, lots
    decision.signals(desk.net, 0, desk.scratch.shared)
    assert copysign(1.0, desk.net["signal_out"][0]) == sign


@pytest.mark.parametrize("base", [OUT, IN])
@pytest.mark.parametrize("unit", range(5))
def test_each_feature_of_the_community_and_the_drive_reach_each_hidden_unit(base: int, unit: int) -> None:
    desk = new_desk()
    tile = desk.net
    desk.scratch.shared[28:] = (0.1, 0.2, 0.3, 0.4, 0.5)
    for k in range(5):
        tile["loci"][base + 5 * (28 + k) + unit, k] = 2.0
    tile["loci"][base + 165 + unit] = 0.5
    tile["drive"][7, (0 if base == OUT else 5) + unit, 5] = 0.75  # lane 5 hears only the environment
    decision.signals(desk.net, 7, desk.scratch.shared)
    heard = desk.net["signal_out"] if base == OUT else desk.net["signal_in"]
    sums = [0.2, 0.4, 0.6, 0.8, 1.0, 0.75] + [0.0] * 10
    assert heard.tolist() == pytest.approx([tanh(0.5 * tanh(s)) for s in sums], abs=1e-6)


def test_a_genome_of_two_units_adds_what_they_say() -> None:
    desk = new_desk()
    tile = desk.net
    desk.net["own"][4], desk.net["own"][3] = 1.0, -0.5  # M1 and I4
    tile["loci"][OUT + 5 * 16 + 1, 2], tile["loci"][OUT + 5 * 15 + 1, 2] = 0.5, 0.4  # h1 = 0.5 - 0.2 = 0.3
    tile["loci"][OUT + 5 * 16 + 4, 2] = -1.0  # h4 = -1
    tile["loci"][OUT + 165 + 1, 2], tile["loci"][OUT + 165 + 4, 2] = 2.0, 0.25
    decision.signals(desk.net, 0, desk.scratch.shared)
    # tanh(0.3) = 0.291313, tanh(-1) = -0.761594: 2 x 0.291313 - 0.25 x 0.761594 = 0.392227, and its tanh.
    assert desk.net["signal_out"][2] == pytest.approx(0.373278, abs=2e-6)


def test_sums_run_in_feature_order_in_float32() -> None:
    desk = new_desk()
    desk.net["own"][3:6] = 1.0
    for base in (OUT, IN):
        for row, weight in enumerate((2.0**24, 1.0, -(2.0**24)), start=3):
            desk.net["loci"][base + 5 * (12 + row), 0] = weight
        desk.net["loci"][base + 165, 0] = 1.0
    decision.signals(desk.net, 0, desk.scratch.shared)
    assert (
        desk.net["signal_out"][0] == desk.net["signal_in"][0] == 0.0
    )  # 2^24 + 1 rounds to 2^24; in another order 1 would be left


def both(desk: Desk, base: int) -> tuple[np.ndarray, np.ndarray]:
    """Signals of the net at ``base``, every feature heard, and of the other net."""
    decision.signals(desk.net, 0, desk.scratch.shared)
    decision.everyones_out_signals(desk.agents.nets, 0, desk.scratch.shared)
    heard = desk.net["signal_out"], desk.net["signal_in"]
    return heard if base == OUT else heard[::-1]


def wish(desk: Desk, config: WorldConfig = CONFIG) -> int:
    desk.net["lots"][:] = desk.account["position"]
    return decision.wishes(desk.agents, desk.scratch, config)


def decide(desk: Desk, config: WorldConfig = CONFIG) -> None:
    decision.intents(desk.agents, desk.books, desk.scratch, wish(desk, config), 1000.0, config)


def say(desk: Desk, slot: int, out: float, inside: float) -> None:
    desk.net["signal_out"][slot], desk.net["signal_in"][slot] = out, inside


@pytest.mark.parametrize(
    ("cash", "position", "out", "inside", "order"),
    [
        (100.0, 0.0, 0.3, 0.5, 9.0),  # 100 / 5.01 = 19 lots, half of them 9.5: 9
        (100.0, 0.0, 0.3, -0.5, -9.0),
        (100.0, 0.0, 0.3, 1.0, 19.0),
        (100.0, 0.0, 0.0, 0.5, 0.0),  # exactly 0 does not enter
        (100.0, 0.0, -0.3, 0.5, 0.0),
        (100.0, 0.0, 0.3, 0.0, 0.0),  # no side
        (100.0, 0.0, 0.3, 0.04, 0.0),  # 0.76 lots: below the smallest order
        (80.2, 0.0, 0.3, 0.0625, 1.0),  # 16 lots / 16: one
        (4.0, 0.0, 0.3, 1.0, 0.0),  # cannot margin a lot
        (100.0, 4.0, -0.3, 0.1, 0.0),  # a long stays while IN says long, whatever OUT says
        (100.0, 4.0, 0.3, -0.1, -4.0),
        (100.0, 4.0, 0.3, 0.0, -4.0),  # exactly 0 leaves
        (100.0, 1.0, 0.3, 0.5, 0.0),
        (100.0, 1.0, -0.3, -0.5, -1.0),
        (100.0, -4.0, 0.3, -0.1, 0.0),
        (100.0, -4.0, 0.3, 0.1, 4.0),
    ],
)
def test_signals_become_orders(cash: float, position: float, out: float, inside: float, order: float) -> None:
    desk = new_desk()
    desk.seat(0, cash, position, 1000.0)
    say(desk, 0, out, inside)
    decide(desk)
    assert desk.account["order"][0] == order
    assert desk.books.tally[capital.OPEN_ORDERS] == int(order != 0.0)
    assert desk.net["last_signal"][0] == near32(inside if position else out)
    assert not desk.books.fence[[fences.EXIT_M9, fences.EXIT_C4]].any()


def test_orders_are_listed_by_slot_without_gaps() -> None:
    desk = new_desk()
    for slot, (position, inside) in enumerate(((0.0, 0.5), (0.0, 0.0), (3.0, 0.5), (3.0, -0.5), (0.0, -0.5))):
        desk.seat(slot, 100.0, position, 1000.0)
        say(desk, slot, 0.3, inside)
    assert wish(desk) == 4
    assert desk.scratch.ordering[:4].tolist() == [0, 1, 3, 4]  # slot 1 wants to enter, but will have no side
    decide(desk)
    assert desk.books.tally[capital.OPEN_ORDERS] == 3
    assert desk.scratch.ordering[:3].tolist() == [0, 3, 4]
    assert desk.account["order"][:5].tolist() == [9.0, 0.0, 0.0, -3.0, -9.0]


@pytest.mark.parametrize(
    ("signal", "m7", "changes", "order", "counts"),
    [
        # Counts: (attempts, triggers, blocks) of NO_SIDE, ENTRY_M7, LONG_ONLY, MIN_ORDER.
        (0.5, 0.9, {}, 9.0, ((1, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0))),
        (-0.5, 0.9, {}, -9.0, ((1, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0))),
        (0.0, 0.9, {}, 0.0, ((1, 1, 1), (0, 0, 0), (0, 0, 0), (0, 0, 0))),
        (0.5, 0.5, {"entry_m7_below": 0.5}, 0.0, ((1, 0, 0), (1, 1, 1), (0, 0, 0), (0, 0, 0))),
        (0.5, 0.25, {"entry_m7_below": 0.5}, 9.0, ((1, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0))),
        (-0.5, 0.0, {"long_only": 1}, 0.0, ((1, 0, 0), (1, 0, 0), (1, 1, 1), (0, 0, 0))),
        (0.5, 0.0, {"long_only": 1}, 9.0, ((1, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0))),
        (0.04, 0.0, {}, 0.0, ((1, 0, 0), (1, 0, 0), (1, 0, 0), (1, 1, 1))),
    ],
)
def test_an_entry_passes_four_fences_and_each_counts(
    signal: float, m7: float, changes: dict[str, float], order: float, counts: tuple[tuple[int, int, int], ...]
) -> None:
    desk = new_desk()
    config = CONFIG._replace(**changes)  # type: ignore[arg-type]
    margin = exchange.lot_margin(1000.0, config)
    assert margin == near(5.01)
    lots = decision.entry_order(100.0, np.float32(signal), np.float32(m7), desk.books.fence, margin, config)
    assert lots == order
    rows = (fences.NO_SIDE, fences.ENTRY_M7, fences.LONG_ONLY, fences.MIN_ORDER)
    assert tuple(desk.fence(row) for row in rows) == counts


def test_a_costly_agent_may_not_enter_where_m7_is_a_fence() -> None:
    desk = new_desk()
    for slot, m7 in enumerate((0.25, 0.5)):
        desk.seat(slot, 100.0)
        say(desk, slot, 0.3, 0.5)
        desk.net["own"][M7, slot] = m7
    decide(desk, CONFIG._replace(entry_m7_below=0.5))
    assert desk.account["order"][:2].tolist() == [9.0, 0.0]


def test_the_exit_fence_of_m9_closes_what_the_signal_would_hold() -> None:
    desk = new_desk()
    for slot, (m9, inside) in enumerate(((5.0, 0.5), (6.0, 0.5), (6.0, 0.0), (6.0, -0.5))):
        desk.seat(slot, 100.0, 1.0, 1000.0)
        say(desk, slot, 0.0, inside)
        desk.net["own"][M9, slot] = m9
    decide(desk, CONFIG._replace(exit_m9_above=5.0))
    assert desk.account["order"][:4].tolist() == [0.0, -1.0, -1.0, -1.0]
    assert desk.fence(fences.EXIT_M9) == (0, 1, 0)  # the last two left by their own signal
    assert desk.fence(fences.EXIT_C4) == (0, 0, 0)


@pytest.mark.parametrize(("death_rate", "order", "triggers"), [(0.25, 0.0, 0), (0.5, -1.0, 1)])
def test_the_exit_fence_of_c4_closes_everything(death_rate: float, order: float, triggers: int) -> None:
    desk = new_desk()
    desk.seat(0, 100.0, 1.0, 1000.0)
    say(desk, 0, 0.0, 0.5)
    desk.scratch.shared[C4] = death_rate
    desk.net["own"][M9, 0] = 5.0
    decide(desk, CONFIG._replace(exit_c4_above=0.25, exit_m9_above=5.0))
    assert desk.account["order"][0] == order
    assert desk.fence(fences.EXIT_C4) == (0, triggers, 0)
    assert desk.fence(fences.EXIT_M9) == (0, 0, 0)


def test_every_fence_counts_a_step_for_each_of_the_living() -> None:
    desk = new_desk()
    desk.seat(0, 1.0)
    desk.seat(1, 1.0)
    decision.count_steps(desk.books)
    decision.count_steps(desk.books)
    assert desk.books.fence[:, fences.STEPS].tolist() == [4] * 15
    assert not desk.books.fence[:, 1:].any()
