"""Sharded artifacts (contracts, section 10): an index covers every part and nothing else, by name, count and hash.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path
from typing import Any

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.chains.scan import file_sha256
from prometheus.v10.evidence.derive.orders import Orders
from prometheus.v10.evidence.derive.typed import differing
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.schemas.schema_file import schema_of
from prometheus.v10.evidence.verify.unpacking import RunFiles
from prometheus.v10.evidence.verify.verify_raw import check_raw, is_raw_index

INDEXES = {
    Artifact.DECISION_TRACE_INDEX: Artifact.DECISION_TRACE,
    Artifact.EXECUTION_RAW_INDEX: Artifact.EXECUTION_RAW,
    Artifact.POSITIONS_RAW_INDEX: Artifact.POSITIONS_RAW,
}


def check_parts(
    run_dir: Path,
    files: RunFiles,
    report: VerifyReport,
    *,
    explained: Set[str] = frozenset(),
    cut_off: bool = False,
    orders: Orders | None = None,
) -> None:
    """Check every sharded artifact of a run against its index.

    Args:
        run_dir: the run.
        files: its files.
        report: where findings go.
        cut_off: the run carries ``interrupted.json``, or says itself that it failed.
        orders: holds each raw record against lives and world, where these are known.
        explained: names of files that are gone, and whose absence the ledger explains (`evidence.chains.absences`).

    Raises:
        OSError: when a file cannot be read.
    """
    present = files.names()
    explained = explained - present
    for index, part in INDEXES.items():
        parts = {name for name in present if re.fullmatch(_pattern(part), name)}
        owed = orders is not None and index is Artifact.EXECUTION_RAW_INDEX  # whatever it calls itself
        if index in present and (owed or is_raw_index(run_dir / index)):
            report.findings += check_raw(run_dir, cut_off=cut_off, explained=explained, orders=orders)
        elif index in present:
            _check_index(run_dir, files, index, parts, report, explained)
        elif parts:
            report.fail(run_dir / index, f"missing, and there are {len(parts)} parts of it")


def _pattern(part: Artifact) -> str:
    before, after = str(part).split("{part:04d}")
    return re.escape(before) + r"\d{4,}" + re.escape(after)


def _check_index(
    run_dir: Path, files: RunFiles, index: Artifact, parts: set[str], report: VerifyReport, explained: Set[str]
) -> None:
    path = run_dir / index
    try:
        found = strict_loads(path.read_bytes())
        shards = found["shards"]
        if index is not Artifact.EXECUTION_RAW_INDEX and (what := schema_of(Schema.PARTS_INDEX).first(found)):
            report.fail(path, what)
            return
        listed = {str(shard["filename"]): shard for shard in shards}
    except (ValueError, KeyError, TypeError) as error:
        report.fail(path, f"not an index of parts: {error!r}")
        return
    if len(listed) != len(shards):
        report.fail(path, "a part is listed twice")
    for name in sorted(parts - listed.keys()):
        report.fail(run_dir / name, f"not in {index}")
    for name in sorted(listed.keys() - parts - explained):
        report.fail(path, f"lists {name}, which is not there")
    for name in sorted(parts & listed.keys()):
        _check_part(files.place(name), run_dir / name, listed[name], report)
    if index is not Artifact.EXECUTION_RAW_INDEX and not explained & listed.keys():
        _check_totals(files, path, found, sorted(parts), report)


def _check_totals(files: RunFiles, path: Path, found: dict[str, Any], parts: list[str], report: VerifyReport) -> None:
    """The whole index, as the parts make it: sizes and numbers of records, their sums, and whose it is."""
    shards: list[dict[str, Any]] = []
    for name in sorted(parts, key=lambda one: (len(one), one)):
        data = files.place(name).stat().st_size
        with files.place(name).open("rb") as file:
            records = sum(line.startswith(b"{") for line in file)
        digest = next((one.get("sha256") for one in found["shards"] if one.get("filename") == name), None)
        shards.append({"filename": name, "bytes": data, "records_count": records, "sha256": digest})
    derived = {
        "schema": Schema.PARTS_INDEX.value, "run_id": path.parent.name, "shards": shards, "total_shards": len(shards),
        "total_records": sum(one["records_count"] for one in shards),
        "total_bytes": sum(one["bytes"] for one in shards),
    }  # fmt: skip
    for what in differing(found, derived):
        report.fail(path, what)


def _check_part(place: Path, path: Path, shard: dict[str, Any], report: VerifyReport) -> None:
    """An index names a part's hash in full (``sha256``) or by its first 16 digits (``sha256_16``)."""
    said = shard.get("sha256") or shard.get("sha256_16")
    if not isinstance(said, str) or len(said) not in {16, 64}:
        report.fail(path, "its index has no hash of it")
    elif not file_sha256(place).startswith(said):
        report.fail(path, "its sha256 is not that of its index")
