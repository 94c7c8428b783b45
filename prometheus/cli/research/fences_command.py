"""``fences``: everything that can block or change entering, leaving, sizing or sending an order."""

from __future__ import annotations

from attrs import asdict

from prometheus.cli.options import AsCsv, AsJson
from prometheus.cli.report import Report, table
from prometheus.v10.evidence.records.fence_registry import REGISTRY, inventory_hash

_COLUMNS = ("id", "layer", "type", "category", "on", "what it gates", "location")


def inventory() -> Report:
    """The registry, with the hash that manifests carry."""
    rows = [
        (f.id, f.layer.value, f.type.value, f.category.value, f.on_by_default, f.what_it_gates, f.location)
        for f in REGISTRY.values()
    ]
    data = {"fence_inventory_hash": inventory_hash(), "fences": [asdict(f) for f in REGISTRY.values()]}
    return Report(data, [table("fences", _COLUMNS, rows), f"inventory hash {data['fence_inventory_hash']}"])


# ---- on the command line ---------------------------------------------------------------------------------------------


def fences(*, as_json: AsJson = False, as_csv: AsCsv = False) -> Report:
    """List everything that can block or change an order, with the hash that manifests carry."""
    return inventory().asked(as_json=as_json, as_csv=as_csv)
