"""The front door: parses, calls a command, prints its report, and turns an error into a line and a code.

There is no logic here. Help: ``prometheus-quant --help``; completion: ``prometheus-quant --install-completion``.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.app import new_app, run_app
from prometheus.cli.operate import custodian_command as custodian
from prometheus.cli.operate import doctor_command as doctor
from prometheus.cli.operate import evidence_command as evidence
from prometheus.cli.operate import incident_command as incident
from prometheus.cli.operate import ledger_command as ledger
from prometheus.cli.operate import release_command as release
from prometheus.cli.operate import retention_command as retention
from prometheus.cli.operate import status_command as status
from prometheus.cli.operate import stopping_command as stopping
from prometheus.cli.research import core_command as core
from prometheus.cli.research import ecology_command as ecology
from prometheus.cli.research import fences_command as fences
from prometheus.cli.research import gate_command as gate
from prometheus.cli.research import genome_command as genome
from prometheus.cli.research import market_command as market
from prometheus.cli.research import pools_command as pools
from prometheus.cli.research import profiles_command as profiles
from prometheus.cli.research import promote_command as promote
from prometheus.cli.research import replays_command as replays
from prometheus.cli.research import runs_command as runs
from prometheus.cli.research import snapshots_command as snapshots

ABOUT = "Evolve populations of tiny trading agents, and prove what ran."

app = new_app(ABOUT)
app.command(epilog=runs.RUN_EXAMPLES)(runs.run)
app.command("report", epilog=ecology.REPORT_EXAMPLES)(ecology.report_command)
app.command("replay", epilog=replays.REPLAY_EXAMPLES)(replays.replay_command)
app.command("promote", epilog=promote.PROMOTE_EXAMPLES)(promote.promote_command)
app.command("verify", epilog=evidence.VERIFY_EXAMPLES)(evidence.verify_command)
app.command("audit", epilog=evidence.VERIFY_EXAMPLES)(evidence.audit_command)
app.command(epilog=incident.INCIDENT_EXAMPLES)(incident.incident)
app.command()(fences.fences)
app.command("status", epilog=status.STATUS_EXAMPLES)(status.status_command)
app.command("doctor", epilog=doctor.DOCTOR_EXAMPLES)(doctor.doctor_command)
app.command("stop", epilog=stopping.STOP_EXAMPLES)(stopping.stop_command)
app.command("clear-stop", epilog=stopping.CLEAR_EXAMPLES)(stopping.clear_command)
app.command("custodian")(custodian.custodian_command)
for _name, _group in {
    "pool": pools.app,
    "genome": genome.app,
    "market": market.app,
    "profile": profiles.app,
    "snapshot": snapshots.app,
    "ledger": ledger.app,
    "core": core.app,
    "retention": retention.app,
    "release": release.app,
    "gate": gate.app,
}.items():
    app.add_typer(_group, name=_name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code (contracts, section 6)."""
    return run_app(app, arguments)
