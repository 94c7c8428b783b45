"""Quantiles over experiments, and rows that answer for their nulls."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.records.canonical import pretty_bytes
from prometheus.v10.evidence.records.codec import json_pieces, to_plain
from prometheus.v10.evidence.records.events import CapitalTriplet
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.records.summary import (
    AuditDeclaration,
    Costs,
    ExperimentStats,
    Invariant,
    collapse_outcome,
    deaths_by_reason,
    quantiles,
    summarise,
    summary_stats,
)

finite = st.floats(-1e12, 1e12)


def row(experiment: int, *, collapsed: bool = False, **changes: Any) -> ExperimentStats:
    nulls = Nulls()
    outcome = (
        collapse_outcome("extinction", 99, "2024-01-02T03:00:00.000000Z", nulls)
        if collapsed
        else collapse_outcome(None, None, None, nulls)
    )
    diversity = nulls.known("gene_diversity", None if collapsed else 0.1, "nobody lives")
    lineages = nulls.known("lineage_diversity", None if collapsed else 8.5, "nobody lives")
    fields: dict[str, Any] = {
        "experiment": experiment,
        "seed": 1000 + experiment,
        "arm": "A_real",
        "completed": True,
        "ticks": 100,
        "reviews": 1,
        "system_roi": 0.01 * experiment,
        "max_drawdown": 0.2,
        "founders": 100,
        "alive_agents": 0 if collapsed else 40,
        "total_agents_ever": 120,
        "births": 20,
        "deaths": 120 if collapsed else 80,
        "deaths_by_reason": deaths_by_reason([70, 5, 5, 0]),
        "trades": 300,
        "trades_median": 2.0,
        "zero_trade_share": 0.1,
        "liquidated_share": 5 / 120,
        "profitable_agents_all": 30,
        "profitable_agents_alive": 0 if collapsed else 25,
        "costs": Costs(fees=10.0, slippage=2.5, funding=-0.5),
        "capital_triplet": CapitalTriplet(allocated_capital=7000.0, system_reserve=3000.0, current_total=10000.0),
        "collapse": outcome,
        "roi_quantiles": quantiles([0.1, -0.2, 0.3]),
        "founder_out_in_correlation": 0.001,
        "gene_diversity": diversity,
        "lineages_alive": 0 if collapsed else 12,
        "lineage_diversity": lineages,
        "has_nan": False,
        "has_inf": False,
        "null_reasons": nulls.reasons,
    }
    return ExperimentStats(**(fields | changes))


def declaration() -> AuditDeclaration:
    return AuditDeclaration(
        mode="offline",
        capital_semantics="current_total = allocated_capital + system_reserve",
        group_id="A_real",
        ablation="none",
        ablation_detail="all 33 channels live",
        null_hypothesis="returns in random order do as well",
        window={"name": "all", "start": 0, "len": 100},
    )


@given(st.lists(finite, min_size=1, max_size=50))
def test_quantiles_are_ordered_and_agree_with_the_standard_library(values: list[float]) -> None:
    found = quantiles(values)
    assert found["min"] == min(values)
    assert found["max"] == max(values)
    ladder = [found[name] for name in ("min", "q05", "q25", "median", "q75", "q95", "max")]
    slack = 1e-9 * max(1.0, *map(abs, values))
    assert all(a <= b + slack for a, b in pairwise(ladder))
    assert found["median"] == pytest.approx(statistics.median(values), abs=1e-3)
    assert found["mean"] == pytest.approx(statistics.fmean(values), abs=1e-3)
    if len(values) > 1:
        assert found["q25"] == pytest.approx(statistics.quantiles(values, n=4, method="inclusive")[0], abs=1e-3)


def test_quantiles_by_hand() -> None:
    assert quantiles([4.0, 1.0, 2.0, 3.0]) == {
        "mean": 2.5,
        "min": 1.0,
        "max": 4.0,
        "q05": 1.15,
        "q25": 1.75,
        "median": 2.5,
        "q75": 3.25,
        "q95": 3.8499999999999996,
    }
    with pytest.raises(ValueError, match="of nothing"):
        quantiles([])


def test_a_figure_that_a_row_does_not_know_is_left_out_of_its_quantiles() -> None:
    stats = summary_stats([row(0), row(1), row(2, collapsed=True)])
    assert stats["gene_diversity"]["n"] == 2
    assert stats["collapse.tick"]["n"] == 1
    assert stats["system_roi"]["n"] == 3
    assert stats["system_roi"]["median"] == 0.01
    assert stats["costs.funding"]["mean"] == -0.5
    assert stats["deaths_by_reason.quarterly_review"]["min"] == 70
    assert not {"experiment", "seed", "arm", "has_nan", "collapse.detected"} & stats.keys()


def test_a_summary_can_be_written() -> None:
    invariant = Invariant(name="capital_conservation", passed=True, residual=1e-12, limit=1e-9, detail="largest gap")
    made = summarise("HF_x", {"instance": "HF"}, declaration(), [row(0), row(1, collapsed=True)], [invariant])
    plain = to_plain(made)
    assert [r["experiment"] for r in plain["all_stats"]] == [0, 1]
    assert plain["all_stats"][0]["null_reasons"].keys() == {"collapse.reason", "collapse.tick", "collapse.market_time"}
    assert plain["all_stats"][1]["null_reasons"].keys() == {"gene_diversity", "lineage_diversity"}
    assert not {"wall_seconds", "duration_seconds"} & plain["all_stats"][0].keys()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_rows_are_written_one_by_one_as_if_all_at_once(count: int) -> None:
    made = summarise("HF_x", {"instance": 'a "line"\nand another'}, declaration(), [row(i) for i in range(count)], [])
    pieces = list(json_pieces(made))
    assert b"".join(pieces) == pretty_bytes(to_plain(made))
    assert sum(b'"experiment": ' in piece for piece in pieces) == count


def test_rows_that_break_a_rule_are_refused() -> None:
    with pytest.raises(EvidenceError, match="system_roi is nan"):
        summarise("HF_x", {}, declaration(), [row(0, system_roi=float("nan"))], [])
    with pytest.raises(EvidenceError, match="gene_diversity is null without a reason"):
        summarise("HF_x", {}, declaration(), [attrs.evolve(row(0), gene_diversity=None)], [])


def test_death_counts_follow_the_order_of_the_reasons() -> None:
    assert deaths_by_reason([4, 3, 2, 1]) == {
        "quarterly_review": 4,
        "capital_depleted": 3,
        "liquidation": 2,
        "unknown": 1,
    }
    with pytest.raises(ValueError, match="zip"):
        deaths_by_reason([1, 2, 3])
