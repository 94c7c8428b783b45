"""``incident``: an Incident Evidence Bundle of one run, with its report and hash."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from prometheus.cli.names_of import run_in
from prometheus.cli.options import DEFAULT_ROOT, RUN_HELP, AsJson, InstanceOption, Root, examples
from prometheus.cli.report import Report, facts
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.records.codec import to_plain
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.incident.incident_close import find_run, make_incident
from prometheus.v10.ops.incident.incident_record import Severity


def bundle(
    layout: Layout,
    run_id: str,
    label: str,
    *,
    severity: Severity | None,
    detail: str | None,
    instance: str,
    clock: Clock,
) -> Report:
    """Make the bundle; errors as `make_incident`."""
    found = find_run(layout, run_id)
    journal = Journal.open(instance=instance, mode=found.mode, stage=found.stage, run_id=run_id)
    made = make_incident(layout, run_id, label, clock=clock, journal=journal, severity=severity, detail=detail)
    shown: dict[str, Any] = {
        "bundle": str(made.path),
        "report": str(made.report_path),
        "sha256": made.sha256,
        "bytes": made.bytes,
        "packaging": made.record.packaging,
        "missing_required_files_count": made.record.missing_required_files_count,
        "verification": made.record.verification,
    }
    return Report({**shown, "incident": to_plain(made.record)}, [facts("incident evidence bundle", shown)])


# ---- on the command line ---------------------------------------------------------------------------------------------

INCIDENT_EXAMPLES = examples(
    "incident HF_20260102T030405Z_0123456_0000 --label stop_ignored --root var",
    "incident HF/latest --label nan --severity high --detail 'summary holds NaN'",
)


def incident(
    run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    *,
    label: Annotated[str, typer.Option(help="Short name of the incident: letters, digits, '_' and '-'.")],
    root: Root = DEFAULT_ROOT,
    severity: Annotated[Severity | None, typer.Option(help="Severity, if it is known.")] = None,
    detail: Annotated[str | None, typer.Option(help="Observation, in one line.")] = None,
    instance: InstanceOption = "local",
    as_json: AsJson = False,
) -> Report:
    """Pack the evidence of a run for an investigation; the run itself is not touched."""
    layout = Layout.under(root)
    made = bundle(
        layout,
        run_in(run, layout).run_id,
        label,
        severity=severity,
        detail=detail,
        instance=instance,
        clock=SystemClock(),
    )
    return made.asked(as_json=as_json)
