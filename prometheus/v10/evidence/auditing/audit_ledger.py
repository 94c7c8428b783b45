"""The audit of what the ledger's entries say: each exception has a rule of its own, and speaks of what is there.

1. A sealed run or a locked gate is there, or has its tombstone.
2. A tombstone is allowed for a part of a run's raw samples, for a whole Tier-2 run and for a snapshot only.
3. A promotion is proven by a Tier-2 run whose seal the ledger has.
4. A torn tail that was moved aside holds the bytes that the entry says; one that is gone is noted.

Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.chains.absences import EVENT_LINES, is_raw_part
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.records.findings import VerifyReport


def check_entries(layout: Layout, view: LedgerView, report: VerifyReport) -> None:
    """Hold every entry against what it speaks of."""
    _check_runs(layout, view, report)
    _check_gates(layout, view, report)
    for payload in view.tombstones:
        if (wrong := forbidden(payload, view)) is not None:
            report.fail(layout.lib / str(payload["path"]), wrong)
    for payload in view.promotions:
        if payload["status"] == "proven" and (wrong := _unproven(payload, view)) is not None:
            report.fail(layout.ledger, f"the promotion {payload['promotion']}: {wrong}")
    for payload in view.torn:
        _check_torn(layout.lib / payload["kept"], payload, report)


def _check_torn(kept: Path, payload: Mapping[str, Any], report: VerifyReport) -> None:
    """What was moved aside may go, and the entry stays; what is there must be the bytes that were moved."""
    data = read_if_there(kept, at_most=LARGE)
    if data is None:
        report.note(kept, "the torn tail that was moved here is not kept any more")
    elif "sha256" in payload and hashlib.sha256(data).hexdigest() != payload["sha256"]:
        report.fail(kept, "it is not the torn tail that the ledger says was moved here")


def _check_runs(layout: Layout, view: LedgerView, report: VerifyReport) -> None:
    for run_id, seals in sorted(view.seals.items()):
        place = str(seals[-1].get("run_dir", run_id))
        if (layout.lib / place).is_dir():
            continue
        buried = view.deleted.get(place)
        if buried is None:
            report.fail(layout.lib / place, "the ledger has its seal, and it is gone without a tombstone")
        elif buried != seals[-1].get("seal"):
            report.fail(layout.lib / place, f"its tombstone names the seal {buried}, the ledger another")
    for run_id in sorted(view.unsealed()):
        place = view.started[run_id].payload["run_dir"]
        if not (layout.lib / place).exists():
            report.note(layout.lib / place, "was begun, and ended before it had a directory")


def _check_gates(layout: Layout, view: LedgerView, report: VerifyReport) -> None:
    for name, entries in sorted(view.gates.items()):
        place = str(entries[-1].payload.get("gate_dir", name))
        if not (layout.lib / place).is_dir():
            report.fail(layout.lib / place, "the ledger has this gate, and it is gone: no policy may delete a gate")


def forbidden(payload: Mapping[str, Any], view: LedgerView) -> str | None:
    """Why no policy may delete what a tombstone speaks of; None when one may."""
    parts = PurePosixPath(str(payload["path"])).parts
    kind = payload["kind"]
    tier1, tier2 = Tier.TIER1_HF.root_name, Tier.TIER2_FULL.root_name
    if kind == "file":
        of_run = len(parts) == 3 and parts[0] in {tier1, tier2} and is_run_id(parts[1])
        if of_run and (is_raw_part(parts[2]) or (parts[0] == tier1 and parts[2] in EVENT_LINES)):
            return None
        return "has a tombstone, and no policy may delete it: of a run's files only raw samples and event lines may go"
    if kind == "run":
        if len(parts) != 2 or parts[0] != tier2 or not is_run_id(parts[1]):
            return "has a tombstone, and no policy may delete it: only whole Tier-2 runs may go"
        return None if str(payload["reason"]).strip() else "has a tombstone that gives no reason"
    snapshots = {("pools", stage.value, "snapshots") for stage in Stage}
    if len(parts) != 4 or parts[:3] not in snapshots:
        return "has the tombstone of a snapshot, and is none"
    known = {str(entry.get("file")) for entry in view.snapshots}
    return None if parts[3] in known else "has the tombstone of a snapshot that the ledger never had"


def _unproven(payload: Mapping[str, Any], view: LedgerView) -> str | None:
    run_id = payload.get("run_id")
    if run_id is None or not str(run_id).startswith(("PROMOTE_", "AUDIT_")):
        return "is proven by no Tier-2 run"
    seals = view.seals.get(str(run_id))
    if not seals:
        return f"is proven by {run_id}, which the ledger does not have"
    if "seal" in payload and payload["seal"] != seals[-1]["seal"]:
        return f"names another seal of {run_id} than the ledger has"
    if payload["from_run_id"] not in view.seals:
        return f"comes from {payload['from_run_id']}, which the ledger does not have"
    return None
