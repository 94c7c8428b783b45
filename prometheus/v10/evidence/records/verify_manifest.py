"""What a run's manifest must say (contracts, sections 4 and 11), and what must agree in it.

Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from prometheus.v10.base.modes import Arm, Mode, RunPrefix, Tier
from prometheus.v10.base.names import Schema, is_run_id
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.evidence.records.nulls import violations

Say = Callable[[str], None]
_NUMBER = (int, float)

FIELDS: dict[str, tuple[type, ...]] = {
    "schema": (str,),
    "run_id": (str,),
    "status": (str,),
    "meta.tier": (str,),
    "git_commit": (str,),
    "docker_image": (str,),
    "python_version": (str,),
    "mode": (str,),
    "window": (dict,),
    "ablation": (dict,),
    "config": (dict,),
    "config_hash": (str,),
    "results_dir": (str,),
    "start_time": (str,),
    "end_time": (str,),
    "positions_quality": (str,),
    "impedance_fidelity": (str,),
    "self_trade_prevention.stp_supported": (bool,),
    "self_trade_prevention.stp_enabled": (bool,),
    "self_trade_prevention.execution_netting_enabled": (bool,),
    "self_trade_prevention.self_trade_policy": (str,),
    "self_trade_prevention.self_trade_detection_capability": (str,),
    "internal_collapse_detected": (bool,),
    "internal_collapse_reason": (str,),
    "internal_collapse_time": (str,),
    "time_to_first_internal_collapse_seconds": _NUMBER,
    "restart_time_seconds": _NUMBER,
    "stop_detected": (bool,),
    "stop_time": (str,),
    "stop_reason": (str,),
    "core_hash": (str,),
    "genome_schema": (str,),
    "feature_contract": (str,),
    "seeds": (list,),
    "arm": (str,),
    "host": (dict,),
    "exchange_lib": (str,),
    "env": (str,),
    "symbol_in_use": (str,),
    "world": (dict,),
    "fence_inventory_hash": (str,),
    "retention": (dict,),
    "counts": (dict,),
    "evidence": (dict,),
}
"""Every minimum field and its type; any of them may be null with a reason but those in `NEVER_NULL`."""

NEVER_NULL = frozenset(
    [
        "schema",
        "run_id",
        "status",
        "meta.tier",
        "python_version",
        "mode",
        "config",
        "config_hash",
        "results_dir",
        "start_time",
        "seeds",
        "arm",
        "world",
        "counts",
        "internal_collapse_detected",
        "stop_detected",
        "core_hash",
        "genome_schema",
        "feature_contract",
        "fence_inventory_hash",
        "impedance_fidelity",
        "self_trade_prevention.execution_netting_enabled",
        "self_trade_prevention.self_trade_policy",
        "self_trade_prevention.self_trade_detection_capability",
    ]
)

VOCABULARY: dict[str, frozenset[str]] = {
    "schema": frozenset([Schema.MANIFEST.value, Schema.MANIFEST_1.value]),
    "status": frozenset(["running", "completed", "interrupted", "aborted", "failed"]),
    "mode": frozenset(Mode),
    "arm": frozenset(Arm),
    "meta.tier": frozenset(Tier),
    "positions_quality": frozenset(["exchange_reported", "reconstructed_from_fills", "unreliable", "unknown"]),
    "impedance_fidelity": frozenset(["simulated", "demo_proxy", "live_calibrated", "unknown"]),
    "self_trade_prevention.self_trade_policy": frozenset(["forbid", "allow", "unknown"]),
    "self_trade_prevention.self_trade_detection_capability": frozenset(["strong", "weak", "none"]),
    "internal_collapse_reason": frozenset(["extinction", "financial", "both"]),
}


def at(tree: object, path: str) -> Any:
    """The value at a dotted path.

    Raises:
        KeyError: when there is none.
    """
    for name in path.split("."):
        if not isinstance(tree, dict):
            raise KeyError(path)
        tree = tree[name]
    return tree


def check_manifest(manifest: dict[str, Any], run_id: str, say: Say, *, cut_off: bool) -> None:
    """Say everything that is wrong with a manifest.

    Args:
        manifest: as parsed.
        run_id: what the run's directory is called.
        say: called with one sentence for each thing that is wrong.
        cut_off: the run carries ``interrupted.json``: its manifest may be the one it began with.
    """
    _check_fields(manifest, say)
    for broken in violations(manifest):
        say(f"null rule: {broken}")
    if manifest.get("run_id") != run_id:
        say(f"it is the manifest of {manifest.get('run_id')!r}, in the directory of {run_id}")
    _check_identity(manifest, run_id, say)
    _check_hash(manifest, say)
    _check_status(manifest, say, cut_off=cut_off)
    _check_pairs(manifest, say)


def _check_fields(manifest: dict[str, Any], say: Say) -> None:
    for path, types in FIELDS.items():
        try:
            value = at(manifest, path)
        except KeyError:
            say(f"{path} is missing")
            continue
        if value is None:
            if path in NEVER_NULL:
                say(f"{path} is null, and may not be")
        elif type(value) not in types:
            say(f"{path} is {value!r}, not of its type")
        elif path in VOCABULARY and value not in VOCABULARY[path]:
            say(f"{path} is {value!r}, not one of {', '.join(sorted(VOCABULARY[path]))}")


def _check_identity(manifest: dict[str, Any], run_id: str, say: Say) -> None:
    if not is_run_id(run_id):
        say(f"the directory's name {run_id!r} is not a run id")
        return
    prefix = RunPrefix(run_id.split("_", 1)[0])
    meta = manifest.get("meta")
    tier = meta.get("tier") if isinstance(meta, dict) else None
    if tier != prefix.tier.value:
        say(f"meta.tier is {tier!r}, and {prefix} runs are {prefix.tier}")
    commit = manifest.get("git_commit")
    claimed = run_id.split("_")[2]
    if isinstance(commit, str) and not commit.startswith(claimed):
        say(f"git_commit is {commit}, the run id says {claimed}")


def _check_hash(manifest: dict[str, Any], say: Say) -> None:
    config = manifest.get("config")
    if not isinstance(config, dict):
        return
    try:
        found = hashlib.sha256(canonical_bytes(config)).hexdigest()
    except (TypeError, ValueError) as error:
        say(f"config has no canonical form: {error}")
        return
    if found != manifest.get("config_hash"):
        say(f"config_hash is {manifest.get('config_hash')!r}, that of config is {found}")


def _check_status(manifest: dict[str, Any], say: Say, *, cut_off: bool) -> None:
    status = manifest.get("status")
    if status == "running":
        if not cut_off:
            say("status is running: the run was not closed, and no interrupted.json says why")
        return
    for name in ("end_time", "evidence"):
        if manifest.get(name) is None:
            say(f"status is {status}, and {name} is null")
    start, end = moment(manifest.get("start_time")), moment(manifest.get("end_time"))
    if manifest.get("start_time") is not None and start is None:
        say(f"start_time is {manifest.get('start_time')!r}, not UTC as records carry it")
    if manifest.get("end_time") is not None and end is None:
        say(f"end_time is {manifest.get('end_time')!r}, not UTC as records carry it")


def _check_pairs(manifest: dict[str, Any], say: Say) -> None:
    """What must be known together."""
    for flag, names in (
        ("stop_detected", ("stop_time", "stop_reason")),
        ("internal_collapse_detected", ("internal_collapse_reason", "time_to_first_internal_collapse_seconds")),
    ):
        for name in names:
            if isinstance(manifest.get(flag), bool) and (manifest.get(name) is not None) != manifest[flag]:
                say(f"{flag} is {str(manifest[flag]).lower()}, and {name} is {manifest.get(name)!r}")


def moment(text: object) -> datetime | None:
    """A moment as records carry it; None for anything else."""
    if not isinstance(text, str) or not text.endswith("Z"):
        return None
    try:
        return datetime.fromisoformat(text[:-1] + "+00:00")
    except ValueError:
        return None
