"""The command of an installed host: what an operator does there, with the host's own Python and without numpy.

Everything that evolves or deletes runs in the image instead, from units; what else needs numpy is handed to the image
as it is typed. `prometheus.cli` has all of it. Both command lines are made of the same commands.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from prometheus.cli import in_image
from prometheus.cli.app import new_app, run_app
from prometheus.cli.operate import custodian_command as custodian
from prometheus.cli.operate import doctor_command as doctor
from prometheus.cli.operate import evidence_command as evidence
from prometheus.cli.operate import ledger_command as ledger
from prometheus.cli.operate import release_command as release
from prometheus.cli.operate import status_command as status
from prometheus.cli.operate import stopping_command as stopping

ABOUT = "Watch, stop, release and check evolution on this host; systemctl start prometheus-stage1@HF starts it."

app = new_app(ABOUT)
app.command("status", epilog=status.STATUS_EXAMPLES)(status.status_command)
app.command("doctor", epilog=doctor.DOCTOR_EXAMPLES)(doctor.doctor_command)
app.command("stop", epilog=stopping.STOP_EXAMPLES)(stopping.stop_command)
app.command("clear-stop", epilog=stopping.CLEAR_EXAMPLES)(stopping.clear_command)
app.command("custodian")(custodian.custodian_command)
app.command("verify", epilog=evidence.VERIFY_EXAMPLES)(evidence.verify_command)
app.command("audit", epilog=evidence.VERIFY_EXAMPLES)(evidence.audit_command)
for _name in in_image.COMMANDS:
    app.command(_name, context_settings=in_image.AS_TYPED, add_help_option=False)(in_image.in_image(_name))
app.add_typer(release.app, name="release")
app.add_typer(ledger.app, name="ledger")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code (contracts, section 6)."""
    return run_app(app, arguments)


if __name__ == "__main__":
    sys.exit(main())
