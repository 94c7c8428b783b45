"""Runs as a ledger and a monitoring system see them: entries, and the manifest of one that ended."""

from __future__ import annotations

import json
from pathlib import Path

from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.installation import InstallationLedger

NO_HASH = "0" * 64


def seal_run(layout: Layout, ledger: InstallationLedger, repository: Path, number: int) -> Path:
    """Begin and seal run ``number`` of the instance HF; its manifest is the golden one."""
    run_id = f"HF_20260102T030405Z_0123456_{number:04x}"
    run = layout.runs(Tier.TIER1_HF) / run_id
    pool = str(layout.pool(Stage.STAGE1).relative_to(layout.lib))
    common = {"run_id": run_id, "run_dir": str(run.relative_to(layout.lib)), "tier": Tier.TIER1_HF.value}
    place = {"path": pool, "records": 0, "head": NO_HASH}
    ledger.append(
        LedgerEntryType.RUN_STARTED,
        {
            **common, "stage": Stage.STAGE1.value, "mode": Mode.OFFLINE.value, "run_counter": number,
            "config_hash": NO_HASH, "core_hash": NO_HASH, "git_commit": "a" * 40, "pool": place, "curve": None,
        },
        null_reasons={"payload.curve": "a test"},
    )  # fmt: skip
    golden = json.loads((repository / "tests/unit/evidence/goldens/run_manifest.completed.json").read_text())
    run.mkdir()
    (run / "run_manifest.json").write_text(json.dumps({**golden, "run_id": run_id}))
    ends = {"records": 0, "head": NO_HASH}
    ledger.append(
        LedgerEntryType.RUN_SEALED,
        {
            **common, "seal": NO_HASH, "files": 8, "bytes": 1000, "status": "completed",
            "pool": {"path": pool, "before": ends, "after": ends, "appended": 0, "records_sha256": NO_HASH},
        },
    )  # fmt: skip
    return run
