"""What a summary says of all rows together, computed again from the rows. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.derive.typed import is_count, is_real, table
from prometheus.v10.evidence.records.figures import figures_of, quantiles

CONSERVATION_LIMIT = 1e-9
CAPITAL_SEMANTICS = (
    "current_total = allocated_capital (equity of the living) + system_reserve; what the dead leave and what they owe "
    "go to the reserve; capital is never injected; at the end every position is settled at the last close"
)
NULL_HYPOTHESIS = "B2_shuffle_returns: log-returns shuffled, price rebuilt"
DETAILS = {
    "capital_conservation": "largest |reserve + equity - (initial + profit - fees - funding)| / total over all ticks",
    "population_conservation": "founders + births - deaths - alive",
    "deaths_by_reason": "deaths by reason - deaths",
    "finite": "experiments with NaN or infinity",
    "no_unknown_death": "deaths without a reason",
}
"""The invariants of a run, in their order; a test holds them against `prometheus.v10.runs.account`."""


def statistics_of(rows: Sequence[Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """``summary_stats``: quantiles of every figure over the rows of completed experiments."""
    every = manifest.get("schema") == Schema.MANIFEST_1.value
    figures: dict[str, list[float]] = {}
    for row in rows:
        if isinstance(row, dict) and (every or row.get("completed") is True):
            for name, value in figures_of(row):
                figures.setdefault(name, []).append(value)
    return {name: {"n": float(len(values)), **quantiles(values)} for name, values in sorted(figures.items())}


def declaration_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """``audit_declaration``."""
    ablation, window = table(manifest.get("ablation")), table(manifest.get("window"))
    return {
        "mode": manifest.get("mode"),
        "capital_semantics": CAPITAL_SEMANTICS,
        "group_id": manifest.get("arm"),
        "ablation": ablation.get("name"),
        "ablation_detail": ablation.get("detail"),
        "null_hypothesis": NULL_HYPOTHESIS,
        "window": {name: window.get(name) for name in ("name", "start", "len")},
    }


def invariants_of(rows: Sequence[Any], said: object) -> list[dict[str, Any]]:
    """``invariants``; the residual of capital is asserted below its limit, the others are counted."""
    first = table(said[0]) if isinstance(said, list) and said else {}
    residual = first.get("residual")
    held = is_real(residual) and isinstance(residual, float) and 0.0 <= residual <= CONSERVATION_LIMIT
    derived = [_invariant("capital_conservation", residual if held else 0.0, CONSERVATION_LIMIT)]
    for name, gap in (
        ("population_conservation", lambda row: row["founders"] + row["births"] - row["deaths"] - row["alive_agents"]),
        ("deaths_by_reason", lambda row: sum(row["deaths_by_reason"].values()) - row["deaths"]),
        ("finite", lambda row: int(row["has_nan"]) + int(row["has_inf"])),
        ("no_unknown_death", lambda row: row["deaths_by_reason"]["unknown"]),
    ):
        derived.append(_invariant(name, float(max((abs(gap(row)) for row in rows if _countable(row)), default=0)), 0.0))
    return derived


def _invariant(name: str, residual: object, limit: float) -> dict[str, Any]:
    return {"name": name, "passed": True, "residual": residual, "limit": limit, "detail": DETAILS[name]}


def _countable(row: object) -> bool:
    one = table(row)
    reasons = table(one.get("deaths_by_reason"))
    return (
        all(is_count(one.get(name)) for name in ("founders", "births", "deaths", "alive_agents"))
        and all(map(is_count, reasons.values()))
        and "unknown" in reasons
        and all(type(one.get(name)) is bool for name in ("has_nan", "has_inf"))
    )
