"""The labels are the written definitions, threshold by threshold; nothing of the core knows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10 import core
from prometheus.v10.runs.request.labels import BALLAST, CHAMPION, CONTRIBUTOR, LABELS, Cell, LabelsTable, labels, median

TABLE = LabelsTable()


def cells(**changes: Any) -> list[Cell]:
    """Four windows, alone and in a crowd, of a genome that survives and trades and earns nothing."""
    return [
        replace(
            Cell(
                window=window,
                timeframe="1h",
                company=company,
                experiments=3,
                survived=3,
                roi=0.0,
                drawdown=0.1,
                trades=5,
            ),
            **changes,
        )
        for window in ("V1", "V2", "V3", "V4")
        for company in ("alone", "crowd")
    ]


def said(found: list[Cell], *, accountable: bool = True, table: LabelsTable = TABLE) -> list[str]:
    return labels(found, table, accountable=accountable)


def test_who_survives_with_little_drawdown_and_trades_is_ballast() -> None:
    assert said(cells()) == [BALLAST]


@pytest.mark.parametrize("changes", [{"survived": 2}, {"drawdown": 0.26}, {"trades": 2}])
def test_one_death_a_deep_fall_or_no_trades_is_no_ballast(changes: dict[str, Any]) -> None:
    assert BALLAST not in said(cells(**changes))


def test_half_of_the_cells_must_be_traded_in() -> None:
    idle = [replace(cell, trades=0) if n < 4 else cell for n, cell in enumerate(cells())]
    assert BALLAST in said(idle)
    assert BALLAST not in said([replace(idle[4], trades=0) if n == 4 else cell for n, cell in enumerate(idle)])


def test_a_contributor_repeats_itself_in_three_of_four_windows_and_in_company() -> None:
    good = cells(roi=0.02)
    assert CONTRIBUTOR in said(good)
    one_bad = [replace(cell, roi=-0.5) if cell.window == "V1" else cell for cell in good]
    assert CONTRIBUTOR in said(one_bad)
    assert CONTRIBUTOR not in said([replace(c, roi=-0.5) if c.window == "V2" else c for c in one_bad])
    assert CONTRIBUTOR not in said([replace(c, roi=-0.5) if c.company == "crowd" else c for c in good])
    assert CONTRIBUTOR not in said(cells(roi=0.02, trades=0))


def test_a_champion_needs_one_cell_all_seeds_and_an_origin() -> None:
    peak = [replace(cell, roi=0.5) if n == 0 else cell for n, cell in enumerate(cells(survived=2, roi=-0.5))]
    assert said(peak) == []
    peak[0] = replace(peak[0], survived=3)
    assert said(peak) == [CHAMPION]
    assert said(peak, accountable=False) == []
    assert said(peak, table=LabelsTable(champion_roi=0.51)) == []


@given(st.lists(st.floats(-1, 10), min_size=1, max_size=9))
def test_the_median_is_one_of_the_values_and_has_half_on_either_side(values: list[float]) -> None:
    found = median(values)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) / 2
    assert sum(value >= found for value in values) >= (len(values) - 1) / 2


def test_no_file_of_the_core_knows_a_label() -> None:
    for path in Path(core.__file__).parent.glob("*.py"):
        assert not [name for name in LABELS if name in path.read_text().lower()], path
