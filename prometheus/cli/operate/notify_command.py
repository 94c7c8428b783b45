"""``notify``: messages for a person who is not looking. It sends; what comes back changes nothing."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from prometheus.cli.options import AsJson, examples, group
from prometheus.cli.report import Report
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExitCode, HostError
from prometheus.v10.base.text import printable
from prometheus.v10.ops.alerts.alert import clean
from prometheus.v10.ops.alerts.channels import Channels, find_credential, read_channels
from prometheus.v10.ops.alerts.notifying import Notifier, forbid_dumps, send_test
from prometheus.v10.ops.alerts.notifying import notify as look_once
from prometheus.v10.ops.alerts.textfile import SYSTEM_METRICS

SYSTEM_STATE = Path("/var/lib/prometheus-quant-notify")

app = group("Alerts: tell a person who is not looking, through a webhook, healthchecks or apprise. It only sends.")
Credential = Annotated[
    Path | None,
    typer.Option(
        "--credential", metavar="FILE", help="Addresses and tokens; by default what systemd hands to the unit."
    ),
]


@app.command(epilog=examples("notify send --credential notify.toml --state /tmp/notify"))
def send(
    *,
    credential: Credential = None,
    state: Annotated[
        Path, typer.Option("--state", metavar="DIR", help="Directory of what was told before.")
    ] = SYSTEM_STATE,
    figures: Annotated[
        Path, typer.Option("--figures", metavar="FILE", help="File that metrics --out writes.")
    ] = SYSTEM_METRICS,
    as_json: AsJson = False,
) -> Report:
    """Look once at the journal and the figures, and send what is to be told. A channel that is down only warns."""
    channels = _channels(credential)
    if not state.is_dir():
        raise HostError(f"{printable(str(state))} is not there", hint="--state names the directory of what was told")
    job = Notifier(state=state, figures=figures, channels=channels, clock=SystemClock(), say=_say)
    done = look_once(job)
    data = {
        "alerts": done.alerts,
        "message": None if done.message is None else f"{done.message.title}\n{done.message.text}",
        "sent": done.sent,
        "failed": done.failed,
        "waiting": done.waiting,
    }
    said = "nothing to tell" if done.message is None else f"told: {done.message.title}"
    return Report(data, [said] if done.message or done.waiting else []).asked(as_json=as_json)


@app.command("test", epilog=examples("notify test --credential /etc/prometheus-quant/credentials/notify.toml"))
def send_tests(*, credential: Credential = None, as_json: AsJson = False) -> Report:
    """Send one message to each channel that the credential names; exit 0 where all took it, 69 where one did not."""
    channels = _channels(credential)
    title = f"prometheus-quant {clean(socket.gethostname(), 60)}: a test"
    said = send_test(channels, title, SystemClock().now().timestamp())
    shown = [f"{name}: {'it took the message' if why is None else f'FAIL: {why}'}" for name, why in said.items()]
    code = ExitCode.DONE if not any(said.values()) else ExitCode.EXCHANGE_UNAVAILABLE
    rows = [{"channel": name, "error": why} for name, why in said.items()]
    return Report({"channels": rows}, shown, code).asked(as_json=as_json)


def _channels(credential: Path | None) -> Channels:
    forbid_dumps()
    return read_channels(find_credential(credential, os.environ))


def _say(line: str) -> None:
    sys.stderr.write(f"{printable(line)}\n")
