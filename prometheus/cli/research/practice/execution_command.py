"""``execution state|release|align|log|ladder|judge``: what each does is in a module of its own."""

from __future__ import annotations

from prometheus.cli.options import group
from prometheus.cli.research.practice.align_command import ALIGN_EXAMPLES, LOG_EXAMPLES, align_command, log_command
from prometheus.cli.research.practice.halt_command import (
    RELEASE_EXAMPLES,
    STATE_EXAMPLES,
    release_command,
    state_command,
)
from prometheus.cli.research.practice.ladder_command import (
    JUDGE_EXAMPLES,
    LADDER_EXAMPLES,
    judge_command,
    ladder_command,
)

app = group("Trading at an exchange: halts and their release, both libraries held together, and the C ladder.")
app.command("state", epilog=STATE_EXAMPLES)(state_command)
app.command("release", epilog=RELEASE_EXAMPLES)(release_command)
app.command("align", epilog=ALIGN_EXAMPLES)(align_command)
app.command("log", epilog=LOG_EXAMPLES)(log_command)
app.command("ladder", epilog=LADDER_EXAMPLES)(ladder_command)
app.command("judge", epilog=JUDGE_EXAMPLES)(judge_command)
