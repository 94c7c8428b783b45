"""``incident.json`` and the report of an incident: what, when, which run and code, what is missing, what verifies."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.ops.incident.incident_bundle import Shards

HYPOTHESES = 3


class Severity(StrEnum):
    """How bad an operator judges an incident to be."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@frozen(kw_only=True)
class Bundled:
    """A file of the bundle."""

    name: str
    bytes: int
    sha256: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class IncidentRecord:
    """``incident.json``.

    Attributes:
        context: the run's circumstances by dotted name, as its manifest has them.
        packaging: ``complete`` or ``incomplete``; ``verification`` is the verifier's verdict on the run.
        left_out: parts of raw evidence that stay in ``results_dir``.
        diff_log: where interface differences are recorded, if the run spoke to an exchange.
        hypotheses: at most three, by people.
    """

    schema: str = Schema.INCIDENT.value
    incident: str
    run_id: str
    label: str
    created_at: str
    severity: str | None
    detail: str | None
    context: dict[str, Any]
    packaging: str
    missing_required_files_count: int
    missing_required_files: list[str]
    shards: list[Shards]
    left_out: list[str]
    verification: str
    findings: int
    ledger_entries: int | None
    diff_log: str | None
    hypotheses: list[str]
    files: list[Bundled]
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


def report_text(record: IncidentRecord, verified: VerifyReport) -> str:
    """The report: what, when, which run and code, what is missing, and room for what people conclude."""
    reasons = record.null_reasons

    def shown(value: object, path: str) -> str:
        return f"not known ({reasons.get(path, 'no reason was given')})" if value is None else str(value)

    lines = [
        f"Incident {record.incident}", "",
        f"label                         {record.label}",
        f"run_id                        {record.run_id}",
        f"created_at                    {record.created_at}",
        f"severity                      {shown(record.severity, 'severity')}",
        f"detail                        {shown(record.detail, 'detail')}", "",
        f"packaging                     {record.packaging}",
        f"missing_required_files_count  {record.missing_required_files_count}",
        *(f"  missing                     {name}" for name in record.missing_required_files),
        f"verification                  {record.verification} ({record.findings} findings)",
        *(f"  {line}" for line in verified.lines()[:-1]),
        f"ledger_entries                {shown(record.ledger_entries, 'ledger_entries')}", "",
        "Shards (listed by the index, in the run, in this bundle)",
        *(
            f"  {one.index:<44} {shown(one.listed, f'shards.{i}.listed')}, {one.there}, {one.bundled}"
            for i, one in enumerate(record.shards)
        ),
        *([f"  left in the run: {len(record.left_out)} parts"] if record.left_out else []), "",
        "Context, as the manifest has it",
        *(f"  {name:<56} {shown(value, f'context.{name}')}" for name, value in record.context.items()),
        f"  {'interface differences':<56} {shown(record.diff_log, 'diff_log')}", "",
        "Files (SHA256SUMS.txt covers them)",
        *(f"  {one.sha256}  {one.bytes:>12}  {one.name}" for one in record.files), "",
        f"Hypotheses (at most {HYPOTHESES}; for people to fill in)",
        *(f"  {number}." for number in range(1, HYPOTHESES + 1)), "",
        "Stop action taken:",
        "Owner:",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
