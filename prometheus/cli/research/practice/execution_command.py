"""``execution align|log``: commands about trading at an exchange; what each does is in a module of its own."""

from __future__ import annotations

from prometheus.cli.options import group
from prometheus.cli.research.practice.align_command import ALIGN_EXAMPLES, LOG_EXAMPLES, align_command, log_command

app = group("Trading at an exchange: both libraries held together.")
app.command("align", epilog=ALIGN_EXAMPLES)(align_command)
app.command("log", epilog=LOG_EXAMPLES)(log_command)
