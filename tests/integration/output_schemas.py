"""A schema that takes what a command printed: how those in ``prometheus/cli/outputs/`` are made."""

from __future__ import annotations

import json
from typing import Any

from prometheus.v10.evidence.schemas.schema_file import DIALECT

MAPS = {
    "report.runs.*.figures", "report.runs.*.deaths", "report.runs.*.collapses", "report.runs.*.rules",
    "report.cliffs_delta", "runs_show.deaths_by_reason", "run.deaths_by_reason", "run.summary_stats",
    "pool_stats.figures", "pool_stats.flags", "kpi.left_out", "pool_show.records.*", "verify.reports.*.facts",
    "audit.reports.*.facts", "pool_verify.reports.*.facts", "snapshot_verify.reports.*.facts", "incident.incident",
    "ledger_show.entries.*.payload", "market_show.null_reasons", "market_import.null_reasons",
    "market_list.markets.*.null_reasons", "index_build.pools", "market_show.bars_null_reasons",
    "market_import.bars_null_reasons", "market_add.null_reasons", "market_add.bars_null_reasons",
    "market_list.markets.*.bars_null_reasons", "kpi.strata.*.null_reasons",
    "ledger_show.entries.*.null_reasons", "ledger_show.entries.*.extra", "market_show.figures", "status.null_reasons",
    "status.instances.*.null_reasons", "status.instances.*.last_run.null_reasons",
    "status.instances.*.collapses.null_reasons", "pool_export", "pool_stats", "metrics.figures.*.labels",
    "index_ask.rows.*", "execution_align.new",
}  # fmt: skip
"""Objects whose keys are names of things (figures, reasons, arms), not fields."""
REQUIRED = {"run": ["run", "schema"], "pool_stats": ["bytes", "figures", "flags", "pool", "records", "runs", "schema"]}
"""Fields that are there even where a run was stopped before it was opened, or a pool has other arms."""


def kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else kinds[type(value)]


def inferred(values: list[Any], path: str) -> dict[str, Any]:
    """A schema that takes all of ``values``; what is below the top may be null as well, for it is somewhere."""
    kinds = {kind(value) for value in values}
    if {"integer", "number"} <= kinds:
        kinds.discard("integer")
    known = [value for value in values if value is not None]
    if not known:
        return {}
    if "." in path and not path.endswith("*"):
        kinds.add("null")
    schema: dict[str, Any] = {"type": sorted(kinds) if len(kinds) > 1 else kinds.pop()}
    if path in MAPS and "." in path:
        return schema
    objects = [value for value in known if isinstance(value, dict)]
    if objects:
        schema["properties"] = {
            name: inferred([one[name] for one in objects if name in one], f"{path}.{name}")
            for name in sorted({name for one in objects for name in one})
        }
        owed = [name for name in schema["properties"] if all(name in one for one in objects)]
        schema["required"] = REQUIRED.get(path, [name for name in owed if " " not in name])
    if items := [item for one in known if isinstance(one, list) for item in one]:
        schema["items"] = inferred(items, f"{path}.*")
    return schema


def schema_of(name: str, values: list[Any]) -> str:
    found = inferred(values, name)
    found["properties"]["schema"] = {"type": "string", "const": f"{name}/1"}
    head = {"$schema": DIALECT, "$id": f"{name}/1", "title": f"prometheus-quant {name.replace('_', ' ')} --json"}
    return json.dumps({**head, **found}, indent=1) + "\n"
