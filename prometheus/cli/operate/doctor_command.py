"""``doctor``: is this host fit? Exit 0 nothing fails, 1 something fails, 2 something could not be looked at."""

from __future__ import annotations

from prometheus.cli.names_of import existing
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples
from prometheus.cli.report import Report, table
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.witnesses.witness import witness_directory
from prometheus.v10.ops.host.doctor import Level, examine, weigh
from prometheus.v10.ops.host.doctor_machine import Machine
from prometheus.v10.ops.host.doctor_suite import Suite
from prometheus.v10.ops.host.runner import Runner, run_command
from prometheus.v10.ops.host.systemd import Systemd

DOCTOR_EXAMPLES = examples("doctor --root /", "doctor --root var  (only what concerns the tree itself)")


def diagnose(layout: Layout, runner: Runner = run_command) -> Report:
    """Everything that can be said; the machine is looked at only for an installed host."""
    machine = Machine(runner).checks() if layout == Layout.system() else {}
    suite = Suite(layout, Systemd.of(layout, runner), runner, witness_directory(layout))
    found = examine({**machine, **suite.checks()})
    code = weigh(found)
    data = {"exit_code": int(code), "root": str(layout.lib), "findings": [finding.plain() for finding in found]}
    rows = [(finding.level.value, finding.check, finding.what) for finding in found]
    lines: list[str] = []
    for finding in found:
        if finding.level is not Level.OK:
            lines += [
                f"{finding.level.value}: {finding.what}",
                f"  why: {finding.why}",
                f"  mend: {finding.mend or '-'}",
            ]
    return Report(data, [table("doctor", ("level", "check", "found"), rows), *lines], code)


# ---- on the command line ---------------------------------------------------------------------------------------------


def doctor_command(*, root: Root = DEFAULT_ROOT, as_json: AsJson = False, as_csv: AsCsv = False) -> Report:
    """Check this host and say how to mend what is wrong; exit 0 fit, 1 something fails, 2 could not check."""
    return diagnose(existing(Layout.under(root))).asked(as_json=as_json, as_csv=as_csv)
