"""What the ledger and the manifests of sealed runs add up to, kept between two measurements.

A counter of a monitoring system only grows, and retention deletes runs: so the sums are kept, with the place in the
ledger up to which they were made. New entries are read from there. Where the ledger is another one than it was, the
sums are made anew, which a monitoring system takes for a restart. What is kept is derived, and safe to delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import asdict, define, field

from prometheus.v10.base.errors import EvidenceError, PrometheusError
from prometheus.v10.base.files import write_atomic
from prometheus.v10.base.names import LedgerEntryType, is_instance
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.catalog import entries_after, manifest_of
from prometheus.v10.evidence.chains.chain import Link, Place
from prometheus.v10.evidence.records.canonical import canonical_line, strict_loads

FILE = "counted.json"
SCHEMA = "counted/1"
AT_ONCE = 4 << 20
"""Bytes of the ledger that one measurement counts: some thousand runs."""

_SEALS = {LedgerEntryType.RUN_SEALED, LedgerEntryType.RUN_INTERRUPTED, LedgerEntryType.RUN_ADOPTED}
_UNKNOWN = "unknown"


@define
class Counted:
    """Sums by instance, or by instance and a word (``HF completed``).

    Attributes:
        size: bytes of the ledger that are counted; ``n`` and ``prev`` are its chain there.
        unread: sealed runs whose manifest told nothing.
        audit: when the last audit that was seen ended, and whether it passed: systemd forgets it at a boot.
    """

    size: int = 0
    n: int = 0
    prev: str = "0" * 64
    begun: dict[str, int] = field(factory=dict)
    runs: dict[str, int] = field(factory=dict)
    collapses: dict[str, int] = field(factory=dict)
    deaths: dict[str, int] = field(factory=dict)
    births: dict[str, int] = field(factory=dict)
    agent_ticks: dict[str, int] = field(factory=dict)
    last_seal: dict[str, float] = field(factory=dict)
    pool_records: dict[str, int] = field(factory=dict)
    unread: int = 0
    audit: dict[str, Any] = field(factory=dict)
    schema: str = SCHEMA

    @property
    def place(self) -> Place:
        """In the ledger."""
        return Place(self.size, Link(self.n, self.prev))


def read_counted(place: Path) -> Counted:
    """What was kept; empty where it cannot be read or is not in its form: then everything is counted again."""
    try:
        data = read_if_there(place, at_most=LARGE)
        said = {} if data is None else strict_loads(data)
        if not isinstance(said, dict):
            return Counted()
        kept = Counted(**said)
    except (PrometheusError, ValueError, TypeError):
        return Counted()
    return kept if _in_form(kept) else Counted()


def _in_form(kept: Counted) -> bool:
    empty = Counted()
    for name, value in asdict(kept).items():
        if type(value) is not type(getattr(empty, name)):
            return False
        if isinstance(value, dict) and name != "audit":
            if not all(isinstance(key, str) and type(one) in {int, float} and one >= 0 for key, one in value.items()):
                return False
        elif isinstance(value, int) and value < 0:
            return False
    return kept.schema == SCHEMA and len(kept.prev) == 64


def write_counted(place: Path, counted: Counted) -> None:
    """Keep it for the next time.

    Raises:
        HostError: when the disk refuses.
    """
    write_atomic(place, canonical_line(asdict(counted)), mode=0o644, durable=False)


def count_on(layout: Layout, kept: Counted, *, at_most: int = AT_ONCE) -> Counted:
    """Count what the ledger has got since; what was kept is changed and given back, or begun anew.

    Raises:
        EvidenceError: when the ledger is damaged.
        HostError: when it cannot be read.
    """
    try:
        new, place = entries_after(layout.ledger, kept.place, at_most=at_most)
    except EvidenceError:
        if kept.n == 0:
            raise
        kept = Counted(audit=kept.audit)
        new, place = entries_after(layout.ledger, kept.place, at_most=at_most)
    if place.link.n < kept.n:  # there is no ledger any more
        kept = Counted(audit=kept.audit)
    for entry in new:
        _take(kept, layout, entry)
    kept.size, (kept.n, kept.prev) = place.size, place.link
    return kept


def _take(kept: Counted, layout: Layout, entry: Mapping[str, Any]) -> None:
    kind, payload, instance = entry["type"], entry["payload"], str(entry["instance"])
    if not is_instance(instance):
        instance = _UNKNOWN
    if kind == LedgerEntryType.RUN_STARTED:
        _add(kept.begun, instance, 1)
    elif kind in _SEALS:
        interrupted = kind == LedgerEntryType.RUN_INTERRUPTED
        status = payload.get("status") or ("interrupted" if interrupted else _UNKNOWN)
        _add(kept.runs, f"{instance} {status}", 1)
        kept.last_seal[instance] = datetime.fromisoformat(str(entry["ts_utc"])).timestamp()
        pool = payload.get("pool")
        if pool is not None:
            kept.pool_records[str(pool["path"])] = int(pool["after"]["records"])
        _take_manifest(kept, layout.lib / str(payload["run_dir"]), instance)


def _take_manifest(kept: Counted, run: Path, instance: str) -> None:
    """Add what a sealed run says of itself; one that retention deleted before it was counted says nothing."""
    try:
        told = _told_by(manifest_of(run))
    except (PrometheusError, ValueError, TypeError, KeyError, AttributeError):
        told = None
    if told is None:
        kept.unread += 1
        return
    deaths, births, ticks, reasons = told
    _add(kept.deaths, instance, deaths)
    _add(kept.births, instance, births)
    _add(kept.agent_ticks, instance, ticks)
    for reason in reasons:
        _add(kept.collapses, f"{instance} {reason}", 1)


def _told_by(manifest: dict[str, Any] | None) -> tuple[int, int, int, list[str]] | None:
    """Deaths, births, agent-ticks and the reasons of collapses; None where the manifest does not tell them."""
    if manifest is None:
        return None
    counts, timing = manifest.get("counts") or {}, manifest.get("timing") or {}
    figures = (int(counts.get("deaths", 0)), int(counts.get("births", 0)), int(timing.get("agent_ticks", 0)))
    reasons = [str(row["reason"]) for row in manifest.get("internal_collapses") or []]
    return (*figures, reasons) if min(figures) >= 0 and all(map(str.isidentifier, reasons)) else None


def _add(sums: dict[str, int], key: str, more: int) -> None:
    sums[key] = sums.get(key, 0) + more
