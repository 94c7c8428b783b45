"""Runs in the form of the version before (``run_manifest/1``): small, of any size, and still to be verified for ever.

Tests of retention and of faults need many of them at once, with raw parts of chosen sizes; the installation that
holds them has no installation's entry, as one that was never started with this version.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus.v10.evidence.records.canonical import canonical_line, pretty_bytes

FILES = Path(__file__).parent / "version_1"
RUN_ID = "HF_20260102T030405Z_0123456_0000"
AS_FILED = {"bytes": 123456, "files": 8}


def write_old_run(run_dir: Path, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    """The files, made to agree with each other; ``change`` may spoil them before they are written."""
    tree: dict[str, Any] = {path.name: path.read_bytes() for path in FILES.iterdir() if path.suffix == ".jsonl"}
    lines = {name: [json.loads(line) for line in data.splitlines()] for name, data in tree.items()}
    for records in lines.values():
        for record in records:
            record["experiment"] = 0
    lines["collapse_events.jsonl"] = []
    manifest = json.loads((FILES / "run_manifest.completed.json").read_bytes())
    manifest["counts"] |= {name.split("_")[0] + "s": len(records) for name, records in lines.items()}
    manifest["counts"]["interesting_deaths"] = manifest["counts"].pop("interestings")
    artifacts = {
        name: json.loads((FILES / name).read_bytes())
        for name in ("multiple_experiments_summary.json", "execution_fingerprint.json", "gating_telemetry.json")
    }
    everything: dict[str, Any] = {**lines, **artifacts, "run_manifest.json": manifest}
    if change is not None:
        change(everything)
    run_dir.mkdir(parents=True)
    for name, value in everything.items():
        if name.endswith(".jsonl"):
            (run_dir / name).write_bytes(b"".join(map(canonical_line, value)))
        elif name != "run_manifest.json" and value is not None:
            (run_dir / name).write_bytes(pretty_bytes(value))
    if (manifest := everything["run_manifest.json"]) is not None:
        if manifest["evidence"] == AS_FILED:
            sizes = [path.stat().st_size for path in run_dir.iterdir()]
            manifest["evidence"] = {"files": len(sizes), "bytes": sum(sizes)}
        (run_dir / "run_manifest.json").write_bytes(pretty_bytes(manifest))
