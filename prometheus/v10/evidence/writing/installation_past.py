"""What of a past an installation has: the things that a ledger speaks of. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import CURVE_FILE, is_run_id
from prometheus.v10.base.paths import Layout


def run_ids(layout: Layout) -> set[str]:
    """Every run directory that is there, by name."""
    folders = [layout.runs(tier) for tier in Tier]
    return {entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir() if is_run_id(entry.name)}


def past_of(layout: Layout) -> Iterator[str]:
    """What is there, in words: runs, gates, snapshots, pools that hold records, curves of survival."""
    for tier in Tier:
        folder = layout.runs(tier)
        if folder.is_dir() and any(is_run_id(entry.name) for entry in folder.iterdir()):
            yield f"there are runs in {folder}"
    if layout.gates.is_dir() and any(layout.gates.iterdir()):
        yield f"there are gates in {layout.gates}"
    for stage in Stage:
        pool, folder = layout.pool(stage), layout.snapshots(stage)
        if pool.exists() and pool.stat().st_size > 0:
            yield f"there are records in {pool}"
        if folder.is_dir() and any(folder.glob("*.jsonl")):
            yield f"there are snapshots in {folder}"
    for curve in sorted(layout.state.glob(f"*/{CURVE_FILE}")):
        if curve.stat().st_size > 0:
            yield f"there is a survival curve in {curve.parent}"
