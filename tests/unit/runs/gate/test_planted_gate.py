"""The planted truth, small: the gate passes on a market with structure and not on one without."""

from __future__ import annotations

from attrs import evolve

from prometheus.v10.gate.design import PathsTable, SeedsTable
from prometheus.v10.gate.planted_gate import DESIGN, PlantedRow, PlantedTable, run_planted
from prometheus.v10.runs.workers.cluster import open_executor
from prometheus.v10.runs.workers.hands import Hands

QUICK = evolve(DESIGN, paths=PathsTable(count=41, seeds=6), seeds=SeedsTable(first=1, count=30))


def hands(executor, *, stop=lambda: False):
    return Hands(executor=executor, ahead=2, stop=stop, told=lambda _: None)


def test_the_gate_tells_structure_from_none():
    with open_executor(1) as executor:
        found = run_planted(1, 3, hands(executor), QUICK)
    structured, empty = found.rows
    assert (structured.gates, structured.passed) == (1, 1)
    assert (empty.gates, empty.passed) == (1, 0)
    assert (structured.windows, structured.windows_told_apart) == (2, 2)
    assert found.as_it_should


def test_a_stop_leaves_whole_gates_only():
    with open_executor(1) as executor:
        found = run_planted(1, 3, hands(executor, stop=lambda: True), QUICK)
    assert [row.gates for row in found.rows] == [0, 0]
    assert not found.as_it_should


def row(passed, gates=40):
    return PlantedRow(
        market="m", pull=0.0, gates=gates, passed=passed, insufficient=0, failed=gates - passed,
        without_path_control=0, windows=2 * gates,
        windows_told_apart=0, asked="",
    )  # fmt: skip


def test_the_bars_are_those_of_the_acceptance():
    assert PlantedTable(rows=[row(38), row(2)]).as_it_should
    assert not PlantedTable(rows=[row(37), row(0)]).as_it_should
    assert not PlantedTable(rows=[row(40), row(3)]).as_it_should
