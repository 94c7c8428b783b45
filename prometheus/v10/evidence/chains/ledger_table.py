"""Which types of entry the ledger has, and whether a payload is one: by its schema, which the writer reads as well.

An entry of an unknown type, without a field that it owes, with a field that no version wrote, or with a value of
another type is damage, whoever made it and however well it is chained. ``INSTALLATION`` begins a ledger, or is
appended once to a ledger of the version before; fields that the schema names under ``since_installation`` are owed by
every entry after it. The fields themselves stand in `prometheus.v10.evidence.writing.ledger_payloads`. Standard
library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.evidence.schemas.schema_file import schema_of

_SEALS = frozenset([LedgerEntryType.RUN_SEALED, LedgerEntryType.RUN_INTERRUPTED, LedgerEntryType.RUN_ADOPTED])

TABLE = (
    LedgerEntryType.INSTALLATION, LedgerEntryType.RUN_STARTED, LedgerEntryType.RUN_SEALED,
    LedgerEntryType.RUN_INTERRUPTED, LedgerEntryType.RUN_ADOPTED, LedgerEntryType.SNAPSHOT, LedgerEntryType.PROMOTION,
    LedgerEntryType.RETENTION_DELETION, LedgerEntryType.COMPRESSION, LedgerEntryType.TORN_TAIL,
    LedgerEntryType.INCIDENT, LedgerEntryType.GATE_LOCKED, LedgerEntryType.GATE_BATCH, LedgerEntryType.GATE_SEALED,
    LedgerEntryType.TRADING_RELEASED,
)  # fmt: skip
"""Types of ``state/ledger.jsonl``. Stops and releases of the host have files and types of their own."""


def schema_name(kind: str) -> str:
    """The name of a payload's schema; the three types of seal share one."""
    return f"ledger_entry.{LedgerEntryType.RUN_SEALED if kind in _SEALS else kind}"


def problem(kind: str, payload: Mapping[str, Any], *, installed: bool) -> str | None:
    """What is wrong with a payload; None when nothing is.

    Args:
        kind: the entry's type.
        payload: its payload.
        installed: whether an `LedgerEntryType.INSTALLATION` entry stands before it.
    """
    if kind not in TABLE:
        return f"{kind!r} is no type of this ledger"
    schema = schema_of(schema_name(kind))
    wrong = schema.first(payload, left_out=() if installed else schema.since)
    if wrong is None and kind in _SEALS and "pool" in payload:
        pool = payload["pool"]
        if pool["appended"] > pool["after"]["records"] - pool["before"]["records"]:
            wrong = f"pool.appended is {pool['appended']}, more than came between before and after"
    return None if wrong is None else f"{kind}: {wrong}"
