"""Enters the beginning of a run that a test leaves cut off, as the run itself does before it makes its directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.files import FILES, Files
from prometheus.v10.base.modes import RunPrefix, Stage
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.chain import Link
from prometheus.v10.evidence.pools.anchors import pool_state
from prometheus.v10.evidence.pools.pool_claims import Claim, place_of
from prometheus.v10.evidence.writing.installation import InstallationLedger


def enter_beginning(
    layout: Layout,
    run_id: str,
    *,
    instance: str = "HF",
    stage: Stage = Stage.STAGE1,
    clock: Clock | None = None,
    files: Files = FILES,
    manifest: Mapping[str, Any] | None = None,
) -> None:
    """One ``run_started`` entry for ``run_id``; with the hashes of its manifest, where it has one that is verified."""
    own = manifest or {"config_hash": "0" * 64, "core_hash": "0" * 64}
    tier = RunPrefix(run_id.split("_", maxsplit=1)[0]).tier
    pool = layout.pool(stage)
    ledger = InstallationLedger(
        layout, clock=clock or SystemClock(), instance=instance, on_torn=lambda _: None, files=files
    )
    ledger.append(
        LedgerEntryType.RUN_STARTED,
        {
            "run_id": run_id, "run_dir": f"{tier.root_name}/{run_id}", "tier": tier.value, "stage": stage.value,
            "mode": "offline", "run_counter": None, "git_commit": None,
            "config_hash": own["config_hash"], "core_hash": own["core_hash"],
            "pool": {"path": str(pool.relative_to(layout.lib)), **place_of(pool)}, "curve": None,
        },
        null_reasons={"payload.git_commit": "a test", "payload.run_counter": "a test", "payload.curve": "a test"},
    )  # fmt: skip


def untouched_pool(layout: Layout, stage: Stage = Stage.STAGE1) -> dict[str, Any]:
    """What the seal of a run says that appended nothing to its pool."""
    now = place_of(layout.pool(stage))
    place = Link(now["records"], now["head"])
    return pool_state(layout, stage, place, place, Claim())
