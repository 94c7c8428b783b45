"""The Incident Evidence Bundle (contracts, section 10): what a run leaves for whoever looks into an incident.

1. ``<lib>/incidents/IEB_<run_id>_<label>_<yyyymmdd_hhmmss>.tar.gz``, its report beside it, and the sha256 of both.
   Nothing is ever overwritten, and nothing in the run is touched.
2. Inside: the run's records (`ops.incident.incident_bundle`) under ``run/``, ``incident.json``, the report, the
   verifier's findings, and what the ledger of seals says about the run; ``SHA256SUMS.txt`` covers it all.
3. Packaging and evidence are two verdicts: whether every required file is there, and whether the run verifies. A bundle
   is made in either case; what is missing is counted and named.
4. Causes are for people: the report leaves room for at most three hypotheses, and names none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from attrs import frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import EvidenceError, PrometheusError, UsageError, host_error
from prometheus.v10.base.files import FILES, Files, write_new
from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.names import Event, LedgerEntryType, is_run_id
from prometheus.v10.base.paths import Layout, refuse_links_below
from prometheus.v10.evidence import catalog
from prometheus.v10.evidence.records.canonical import canonical_line, pretty_bytes
from prometheus.v10.evidence.records.codec import CONVERTER, to_json_bytes
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.records.verify_manifest import at
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.incident.incident_bundle import Content, Member, Shards, gather, pack
from prometheus.v10.ops.incident.incident_record import Bundled, IncidentRecord, Severity, report_text

FOLDER = "incidents"
DIFF_LOG = "docs/v10/V10_EXECUTION_INTERFACE_DIFF_LOG_OKX_CCXT.md"
CONTEXT = (
    "instance", "stage", "meta.tier", "mode", "arm", "status", "git_commit", "docker_image", "image_digest",
    "python_version", "core_hash", "config_hash", "results_dir", "start_time", "end_time", "stop_detected", "stop_time",
    "stop_reason", "internal_collapse_detected", "internal_collapse_reason", "exchange_lib", "env", "symbol_in_use",
    "positions_quality", "impedance_fidelity", "self_trade_prevention.stp_supported",
    "self_trade_prevention.stp_enabled", "self_trade_prevention.execution_netting_enabled",
    "self_trade_prevention.self_trade_policy", "self_trade_prevention.self_trade_detection_capability",
)  # fmt: skip
"""What the manifest says of the run's circumstances: code, mode, place, how it ended, self-trade prevention."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}")


@frozen(kw_only=True)
class FoundRun:
    """A run's directory, and what its manifest says; ``unread`` is why it cannot be read, if it cannot."""

    run_id: str
    path: Path
    tier: Tier
    manifest: Mapping[str, Any]
    unread: str | None

    @property
    def mode(self) -> Mode:
        """The run's mode; offline where it does not say."""
        said = self.manifest.get("mode")
        return Mode(said) if said in set(Mode) else Mode.OFFLINE

    @property
    def stage(self) -> Stage:
        """The run's stage; the first where it does not say."""
        said = self.manifest.get("stage")
        return Stage(said) if said in set(Stage) else Stage.STAGE1


@frozen(kw_only=True)
class IncidentBundle:
    """A bundle that was made.

    Attributes:
        path: the archive; ``sha256_path`` names its sha256 and the report's, for ``sha256sum -c``.
    """

    path: Path
    report_path: Path
    sha256_path: Path
    sha256: str
    bytes: int
    record: IncidentRecord


def incidents_dir(layout: Layout) -> Path:
    """Where bundles lie."""
    return layout.lib / FOLDER


def find_run(layout: Layout, run_id: str) -> FoundRun:
    """Find a run by its id.

    Raises:
        UsageError: when it is no run id, or no such run is there; names the places looked at.
    """
    if not is_run_id(run_id):
        hint = "give the name of a run's directory, <PREFIX>_<utc>_<commit>_<4 hex>"
        raise UsageError(f"{run_id!r} is not a run id", hint=hint)
    run = catalog.find_run(layout, run_id)
    if run is not None:
        manifest, unread = _manifest(run.path)
        return FoundRun(run_id=run_id, path=run.path, tier=run.tier, manifest=manifest, unread=unread)
    looked = " or ".join(str(layout.runs(tier)) for tier in Tier)
    raise UsageError(f"no run {run_id} in {looked}", hint="check the id, or give the --root that it lies under")


def make_incident(
    layout: Layout,
    run_id: str,
    label: str,
    *,
    clock: Clock,
    journal: Journal,
    severity: Severity | None = None,
    detail: str | None = None,
    files: Files = FILES,
) -> IncidentBundle:
    """Make the bundle of a run, enter it into the ledger of seals, and tell the journal.

    Args:
        layout: the installation.
        run_id: of a run of either tier, sealed or not.
        label: a short name of the incident: letters, digits, ``_`` and ``-``.
        clock: gives the time of the bundle.
        journal: hears of it last; the ledger's entry is in the name of its instance.
        severity: an operator's judgement; None where there is none yet.
        detail: what was seen, in a line.
        files: the file layer.

    Raises:
        UsageError: for an unknown run, a label that cannot be one, or a bundle of that name that is there already.
        EvidenceError: when the ledger is damaged (the bundle is made before, and says so).
        HostError: when something cannot be read or written.
    """
    if _LABEL.fullmatch(label) is None:
        hint = "letters, digits, '_' and '-', at most 48, beginning with a letter or digit; for example stop_ignored"
        raise UsageError(f"{label!r} cannot label an incident", hint=hint)
    if detail is not None and (not detail.isprintable() or not detail.isascii()):
        raise UsageError("the detail of an incident is one line of ASCII text")
    found, now = find_run(layout, run_id), clock.now()
    name = f"IEB_{run_id}_{label}_{now.strftime('%Y%m%d_%H%M%S')}"
    content = gather(found.path, found.tier)
    verified = verify_run(found.path)
    lines, ledger_fault = _ledger_lines(layout, run_id)
    members = {f"run/{inner}": one for inner, one in content.members.items()}

    def put(inner: str, data: bytes) -> None:
        members[inner] = Member(data=data, mtime=int(now.timestamp()))

    put("verification.json", pretty_bytes(verified.plain()))
    if lines is not None:
        put("ledger_entries.jsonl", lines)
    head = _Head(name, label, utc_text(now), severity, detail)
    record = _record(head, found, content, verified, members, (lines, ledger_fault))
    report = report_text(record, verified).encode("ascii", "backslashreplace")
    put("incident.json", to_json_bytes(record))
    put(f"{label}.report.txt", report)
    bundle = _write(layout, name, pack(name, members), report, record, files)
    _tell(layout, bundle, clock, journal, journal.instance)
    return bundle


# ---- parts of it ----------------------------------------------------------------------------------------------------


class _Head(NamedTuple):
    """What somebody called an incident, when, and what they said of it."""

    name: str
    label: str
    created_at: str
    severity: Severity | None
    detail: str | None


def _record(
    head: _Head,
    found: FoundRun,
    content: Content,
    verified: VerifyReport,
    members: Mapping[str, Member],
    ledger: tuple[bytes | None, str | None],
) -> IncidentRecord:
    nulls, (lines, ledger_fault) = Nulls(), ledger
    return IncidentRecord(
        incident=head.name,
        run_id=found.run_id,
        label=head.label,
        created_at=head.created_at,
        severity=nulls.known("severity", head.severity and head.severity.value, "nobody has judged it yet"),
        detail=nulls.known("detail", head.detail, "none was given"),
        context=_context(found, nulls),
        packaging="incomplete" if content.missing else "complete",
        missing_required_files_count=len(content.missing),
        missing_required_files=list(content.missing),
        shards=_shards(content, nulls),
        left_out=list(content.left_out),
        verification=verified.verdict,
        findings=len(verified.findings),
        ledger_entries=nulls.known(
            "ledger_entries", None if lines is None else lines.count(b"\n"), ledger_fault or "there is no ledger"
        ),
        diff_log=nulls.known("diff_log", None if found.mode is Mode.OFFLINE else DIFF_LOG, "offline: no interface"),
        hypotheses=[],
        files=[
            Bundled(name=inner, bytes=len(one.data), sha256=hashlib.sha256(one.data).hexdigest())
            for inner, one in sorted(members.items())
        ],
        null_reasons=nulls.reasons,
    )


def _manifest(run_dir: Path) -> tuple[dict[str, Any], str | None]:
    """A run's manifest as plain values, or why there is none."""
    try:
        found = catalog.manifest_of(run_dir)
    except EvidenceError as error:
        return {}, error.message
    return ({}, "the run has no manifest") if found is None else (found, None)


def _context(found: FoundRun, nulls: Nulls) -> dict[str, Any]:
    """`CONTEXT`, each null with the reason that the manifest gives."""
    given = found.manifest.get("null_reasons")
    reasons = given if isinstance(given, dict) else {}
    context = {}
    for name in CONTEXT:
        try:
            value = at(dict(found.manifest), name)
        except KeyError:
            value = None
        why = found.unread or reasons.get(name) or "the manifest does not say"
        context[name] = nulls.known(f"context.{name}", value, str(why))
    return context


def _shards(content: Content, nulls: Nulls) -> list[Shards]:
    for number, one in enumerate(content.shards):
        nulls.known(f"shards.{number}.listed", one.listed, f"{one.index} is not there, or cannot be read")
    return list(content.shards)


def _ledger_lines(layout: Layout, run_id: str) -> tuple[bytes | None, str | None]:
    """The entries of the ledger that name the run; or None, and why."""
    if not layout.ledger.exists():
        return None, None
    try:
        own = list(catalog.entries(layout.ledger, where=lambda payload: payload.get("run_id") == run_id))
    except PrometheusError as error:
        return None, f"the ledger cannot be believed: {error.message}"
    return b"".join(canonical_line(CONVERTER.unstructure(entry)) for entry in own), None


def _write(
    layout: Layout, name: str, archive: bytes, report: bytes, record: IncidentRecord, files: Files
) -> IncidentBundle:
    """Write archive, report and sums, in this order and never over another file."""
    folder = incidents_dir(layout)
    refuse_links_below(layout.lib, folder)
    path, report_path, sums_path = (folder / f"{name}{end}" for end in (".tar.gz", ".report.txt", ".tar.gz.sha256"))
    digest = hashlib.sha256(archive).hexdigest()
    sums = f"{digest}  {path.name}\n{hashlib.sha256(report).hexdigest()}  {report_path.name}\n"
    try:
        folder.mkdir(mode=0o750, exist_ok=True)
    except OSError as error:
        raise host_error(error, f"cannot create {folder}") from error
    for place, data in ((path, archive), (report_path, report), (sums_path, sums.encode("ascii"))):
        try:
            write_new(place, data, files=files)
        except FileExistsError:
            hint = "bundles are never overwritten: choose another label, or wait a second"
            raise UsageError(f"{place} exists already", hint=hint) from None
    return IncidentBundle(
        path=path, report_path=report_path, sha256_path=sums_path, sha256=digest, bytes=len(archive), record=record
    )


def _tell(layout: Layout, bundle: IncidentBundle, clock: Clock, journal: Journal, instance: str) -> None:
    record = bundle.record
    layout.prepare()
    _enter(
        InstallationLedger(layout, clock=clock, instance=instance, on_torn=journal.send_torn),
        {
            "run_id": record.run_id,
            "label": record.label,
            "bundle": f"{FOLDER}/{bundle.path.name}",
            "sha256": bundle.sha256,
            "bytes": bundle.bytes,
            "missing_required_files_count": record.missing_required_files_count,
            "verification": record.verification,
        },
    )
    journal.send(
        Event.INCIDENT,
        f"incident {record.label} of {record.run_id}: packaging {record.packaging}, verification {record.verification}",
        severity=record.severity or "not judged", detail=record.detail or record.label, bundle=str(bundle.path),
    )  # fmt: skip


def _enter(ledger: InstallationLedger, payload: Mapping[str, Any]) -> None:
    """Enter the bundle; a ledger that is gone is the incident itself, and none is begun for the bundle."""
    if ledger.path.exists():
        ledger.append(LedgerEntryType.INCIDENT, payload)
