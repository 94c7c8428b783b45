"""What each type of ledger entry says: a closed table that the writer and the verifier share.

An entry of an unknown type, without a field that it owes, with a field that no version wrote, or with a value of
another type is damage, whoever made it and however well it is chained. ``INSTALLATION`` begins a ledger, or is appended
once to a ledger of the version before; fields marked ``since`` are owed by every entry after it. Standard library
only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.names import LedgerEntryType, is_instance, is_run_id

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PATH = re.compile(r"(?!/)(?!.*(?:^|/)\.\.?(?:/|$))[^\x00-\x1f\x7f]{1,512}")
_SNAPSHOT = re.compile(r"\d{12}-[0-9a-f]{8}")
_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")
_MOST = 1 << 62

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 100_000


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


sha256 = _matches(_SHA256)
relative = _matches(_PATH)
run_id: Check = lambda value: isinstance(value, str) and is_run_id(value)  # noqa: E731
instance: Check = lambda value: isinstance(value, str) and is_instance(value)  # noqa: E731
tier = _one_of(*(one.value for one in Tier))
stage = _one_of(*(one.value for one in Stage))


def _place(value: Any) -> bool:
    """Where a chained file stands: ``records`` lines, and the hash of the last."""
    if not isinstance(value, dict) or value.keys() != {"records", "head"}:
        return False
    return _count(value["records"]) and sha256(value["head"])


def _chain_place(value: Any) -> bool:
    """`_place` of a named file."""
    return (
        isinstance(value, dict)
        and value.keys() == {"path", "records", "head"}
        and relative(value["path"])
        and _count(value["records"])
        and sha256(value["head"])
    )


def _pool(value: Any) -> bool:
    """What a run did to its pool: the place before and after, how many records are its own, and their digest."""
    return (
        isinstance(value, dict)
        and value.keys() == {"path", "before", "after", "appended", "records_sha256"}
        and relative(value["path"])
        and _place(value["before"])
        and _place(value["after"])
        and _count(value["appended"])
        and sha256(value["records_sha256"])
        and value["appended"] <= value["after"]["records"] - value["before"]["records"]
    )


@dataclass(frozen=True)
class Form:
    """Fields of a payload: ``owed`` always, ``since`` by entries after the installation's, ``may`` be there."""

    owed: Mapping[str, Check]
    since: Mapping[str, Check] = field(default_factory=dict)
    may: Mapping[str, Check] = field(default_factory=dict)


_SEALED = Form(
    {"run_id": run_id, "run_dir": relative, "seal": sha256, "files": _count, "bytes": _count},
    since={"tier": tier, "status": _one_of("completed", "interrupted", "failed", "aborted"), "pool": _pool},
)  # fmt: skip

TABLE: dict[str, Form] = {
    LedgerEntryType.INSTALLATION: Form(
        {"installation_id": _matches(_ID), "suite_version": _text, "entries_before": _count, "reason": _text,
         "open_runs": lambda value: isinstance(value, list) and all(map(run_id, value))}
    ),
    LedgerEntryType.RUN_STARTED: Form(
        {"run_id": run_id, "run_dir": relative, "tier": tier, "stage": stage, "mode": _one_of(*(m.value for m in Mode)),
         "run_counter": _or_null(_count), "config_hash": sha256, "core_hash": sha256,
         "git_commit": _or_null(_matches(_COMMIT)), "pool": _chain_place, "curve": _or_null(_chain_place)}
    ),
    LedgerEntryType.RUN_SEALED: _SEALED,
    LedgerEntryType.RUN_INTERRUPTED: _SEALED,
    LedgerEntryType.RUN_ADOPTED: _SEALED,
    LedgerEntryType.SNAPSHOT: Form(
        {"id": _matches(_SNAPSHOT), "file": _matches(_NAME), "pool_path": _text, "count": _count,
         "head_hash": sha256, "sha256": sha256, "bytes": _count}
    ),
    LedgerEntryType.PROMOTION: Form(
        {"promotion": _text, "from_run_id": run_id, "experiment": _count, "trigger": _text, "detail": _text,
         "status": _one_of("queued", "proven", "not_proven")},
        may={"genome_index": _count, "record_id": _text, "genome_sha256": sha256, "run_id": run_id, "seal": sha256,
             "deaths_compared": lambda value: type(value) is int, "compared": lambda value: isinstance(value, dict),
             "reason": _text},
    ),
    LedgerEntryType.RETENTION_DELETION: Form(
        {"kind": _one_of("run", "file", "snapshot"), "path": relative, "sha256": sha256, "bytes": _count,
         "reason": _text, "policy": _text},
        may={"run_id": run_id},
    ),
    LedgerEntryType.COMPRESSION: Form(
        {"path": relative, "sha256": sha256, "bytes": _count, "packed_sha256": sha256, "packed_bytes": _count},
        may={"run_id": run_id, "kind": _text, "packed_path": relative, "codec": _text, "policy": _text},
    ),
    LedgerEntryType.TORN_TAIL: Form(
        {"path": relative, "kept": relative, "offset": _count, "bytes": _count},
        may={"sha256": sha256, "records_before": _count},
    ),
    LedgerEntryType.INCIDENT: Form(
        {"run_id": run_id, "label": _text, "bundle": relative, "sha256": sha256, "bytes": _count,
         "missing_required_files_count": _count, "verification": _text}
    ),
    LedgerEntryType.GATE_LOCKED: Form(
        {"gate": _matches(_NAME), "gate_dir": relative, "config_hash": sha256, "lock_sha256": sha256,
         "core_hash": sha256},
        may={"batches": lambda value: value is True},
    ),
    LedgerEntryType.GATE_BATCH: Form(
        {"gate": _matches(_NAME), "gate_dir": relative, "records": _count, "head": sha256}
    ),
    LedgerEntryType.GATE_SEALED: Form(
        {"gate": _matches(_NAME), "gate_dir": relative, "config_hash": sha256, "seal": sha256, "files": _count,
         "bytes": _count, "verdict": _text}
    ),
}  # fmt: skip
"""Types of ``state/ledger.jsonl``. Stops and releases of the host have files and types of their own."""


def problem(kind: str, payload: Mapping[str, Any], *, installed: bool) -> str | None:
    """What is wrong with a payload; None when nothing is.

    Args:
        kind: the entry's type.
        payload: its payload.
        installed: whether an `LedgerEntryType.INSTALLATION` entry stands before it.
    """
    form = TABLE.get(kind)
    if form is None:
        return f"{kind!r} is no type of this ledger"
    checks = {**form.may, **form.owed, **form.since}
    if unknown := sorted(payload.keys() - checks.keys()):
        return f"{kind}: unknown fields {', '.join(map(repr, unknown[:3]))}"
    owed = {*form.owed, *(form.since if installed else ())}
    if missing := sorted(owed - payload.keys()):
        return f"{kind}: {', '.join(missing)} missing"
    for name, value in payload.items():
        if not checks[name](value):
            return f"{kind}: {name} is {value!r:.80}, which it cannot be"
    return None
