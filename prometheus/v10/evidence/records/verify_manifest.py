"""What a run's manifest must say (contracts, sections 4 and 11), and what must agree in it.

Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from prometheus.v10.base.modes import RunPrefix
from prometheus.v10.base.names import is_run_id
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.evidence.records.nulls import violations

Say = Callable[[str], None]


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
    for broken in violations(manifest):
        say(f"null rule: {broken}")
    if manifest.get("run_id") != run_id:
        say(f"it is the manifest of {manifest.get('run_id')!r}, in the directory of {run_id}")
    _check_identity(manifest, run_id, say)
    _check_hash(manifest, say)
    _check_status(manifest, say, cut_off=cut_off)
    _check_pairs(manifest, say)


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
