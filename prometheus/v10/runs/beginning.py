"""What a run says of the pool: where it stood when the run began, and what the run appended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import CURVE_FILE
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.chain import Link
from prometheus.v10.evidence.pools.pool_claims import Claim, claims_of, place_of
from prometheus.v10.evidence.records.manifest_parts import PoolAppends, PoolHead
from prometheus.v10.evidence.writing.manifest import RunManifest


def beginning_of(
    run: RunManifest, layout: Layout, stage: Stage, before: Link, counter: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Payload and null reasons of the ledger's ``run_started``."""
    lib = layout.lib
    place = layout.runs(Tier(run.meta.tier)) / run.run_id
    curve = layout.state / run.instance / CURVE_FILE
    payload = {
        "run_id": run.run_id,
        "run_dir": str(place.relative_to(lib)),
        "tier": run.meta.tier,
        "stage": run.stage,
        "mode": run.mode,
        "run_counter": counter,
        "config_hash": run.config_hash,
        "core_hash": run.core_hash,
        "git_commit": run.git_commit,
        "pool": {"path": str(layout.pool(stage).relative_to(lib)), "records": before.n, "head": before.prev},
        "curve": {"path": str(curve.relative_to(lib)), **place_of(curve)} if curve.exists() else None,
    }
    if run.meta.tier == Tier.TIER1_HF.value and (era := run.extra.get("era")) is not None:
        payload["era"] = era["number"]
    nulls = {
        **({} if run.git_commit else {"payload.git_commit": run.null_reasons["git_commit"]}),
        **({} if counter is not None else {"payload.run_counter": "nobody counts the runs"}),
        **({} if curve.exists() else {"payload.curve": "nobody keeps a survival curve for it"}),
    }
    return payload, nulls


def appends_of(layout: Layout, stage: Stage, pool: Mapping[str, Any], claim: Claim) -> PoolAppends:
    """The manifest's ``pool_appends``."""
    return PoolAppends(
        pool=str(layout.pool(stage).relative_to(layout.lib)),
        first_n=claim.first if claim.appended else None,
        last_n=claim.last if claim.appended else None,
        before=PoolHead(**pool["before"]),
        after=PoolHead(**pool["after"]),
        appended=claim.appended,
        records_sha256=claim.records_sha256,
    )


def recounted(pool: Path, run_id: str, before: Link) -> tuple[Claim, Link]:
    """What the pool really holds of the run, behind the place where it began, and where its chain ends now."""
    now = place_of(pool)
    return claims_of(pool, first=before.n).get(run_id, Claim()), Link(now["records"], now["head"])
