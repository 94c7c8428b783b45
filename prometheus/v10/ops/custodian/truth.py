"""Whether a ledger entry of a stage agrees with what lies on the disk: others believe it, and an audit fails for all.

Everything is looked at in bounded work; only a snapshot is read whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus.v10.base.modes import QUEUES, Mode, RunPrefix, Stage
from prometheus.v10.base.names import CURVE_FILE, SNAPSHOT_PREFIX, Artifact, LedgerEntryType
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.chains.chain import GENESIS, MAX_LINE, LineFormat, line_hash
from prometheus.v10.evidence.chains.exchanged.trading_halts import halt_of_run
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.seek import line_of
from prometheus.v10.ops.custodian.curve_line import CURVE_LINE
from prometheus.v10.ops.custodian.rules import TORN, Rules

BLOCK = 1 << 20


def untrue(rules: Rules, kind: LedgerEntryType, payload: Mapping[str, Any]) -> str | None:
    """What is untrue of an entry whose form is good; None when nothing is.

    Args:
        rules: whose entry it is.
        kind: its type.
        payload: as the closed table allows it.
    """
    checks = {
        LedgerEntryType.RUN_STARTED: _started,
        LedgerEntryType.RUN_SEALED: _sealed,
        LedgerEntryType.RUN_INTERRUPTED: _sealed,
        LedgerEntryType.RUN_ADOPTED: _sealed,
        LedgerEntryType.SNAPSHOT: _snapshot,
        LedgerEntryType.TORN_TAIL: _torn,
    }
    check = checks.get(kind)
    return None if check is None else check(rules, payload)


def _started(rules: Rules, payload: Mapping[str, Any]) -> str | None:
    prefix = RunPrefix(payload["run_id"].partition("_")[0])
    queue = rules.instance in QUEUES
    first = RunPrefix.HF if payload["mode"] == Mode.OFFLINE else RunPrefix.AUDIT  # a session at an exchange
    own = {Stage.STAGE1: RunPrefix(rules.instance) if queue else first, Stage.STAGE2: RunPrefix.STAGE2}
    if payload["stage"] != rules.stage.value or prefix is not own[rules.stage]:
        return f"{payload['run_id']} is no run of {rules.stage.value}"
    if payload["tier"] != prefix.tier.value or payload["run_dir"] != f"{prefix.tier.root_name}/{payload['run_id']}":
        return f"{payload['run_id']} does not lie in {payload['run_dir']}"
    pool, curve = payload["pool"], payload["curve"]
    lib = rules.layout.lib
    if lib / pool["path"] != rules.layout.pool(rules.stage) or not _stood(lib / pool["path"], POOL_LINE, pool):
        return f"the pool {pool['path']} never held {pool['records']} records"
    if curve is not None:
        place = rules.layout.state / rules.instance / CURVE_FILE
        if lib / curve["path"] != place or not _stood(place, CURVE_LINE, curve):
            return f"the curve {curve['path']} never held {curve['records']} lines"
    return None


def _sealed(rules: Rules, payload: Mapping[str, Any]) -> str | None:
    sums = rules.layout.lib / payload["run_dir"] / Artifact.SHA256SUMS.value
    data = read_if_there(sums, at_most=LARGE)
    if data is None or hashlib.sha256(data).hexdigest() != payload["seal"]:
        return f"the seal is not that of {payload['run_dir']}"
    if payload.get("halt") != halt_of_run(sums.parent).get("halt"):
        return f"its halt is not that of the order chain of {payload['run_dir']}"
    return None


def _snapshot(rules: Rules, payload: Mapping[str, Any]) -> str | None:
    place = rules.layout.snapshots(rules.stage) / f"{SNAPSHOT_PREFIX}{payload['id']}.jsonl"
    if payload["file"] != place.name or place.is_symlink() or not place.is_file():
        return f"there is no snapshot {payload['id']}"
    digest = hashlib.sha256()
    with place.open("rb") as reader:
        while block := reader.read(BLOCK):
            digest.update(block)
    if place.stat().st_size != payload["bytes"] or digest.hexdigest() != payload["sha256"]:
        return f"snapshot {payload['id']} holds other bytes"
    return None


def _torn(rules: Rules, payload: Mapping[str, Any]) -> str | None:
    lib = rules.layout.lib
    path, kept = lib / payload["path"], lib / payload["kept"]
    named = TORN.fullmatch(kept.name)
    if not rules.is_chain(path) or kept.parent != path.parent or named is None or named["name"] != path.name:
        return f"{payload['kept']} is no torn tail of {payload['path']}"
    data = read_if_there(kept, at_most=MAX_LINE)
    if data is None or len(data) != payload["bytes"] or hashlib.sha256(data).hexdigest() != payload.get("sha256"):
        return f"{payload['kept']} does not hold what the entry says"
    return None


def _stood(path: Path, form: LineFormat, place: Mapping[str, Any]) -> bool:
    """Whether a chained file once held so many lines, with that head: its line of that number is looked for."""
    if place["records"] == 0:
        return bool(place["head"] == GENESIS)
    found = line_of(path, form, place["records"] - 1)
    return found is not None and bool(line_hash(found[1]) == place["head"])
