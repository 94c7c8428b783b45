"""``custodian``: writes one instance's evidence for its payload; systemd starts it when the payload connects."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from prometheus.cli.options import DEFAULT_ROOT, Root
from prometheus.v10.base.errors import HostError, PrometheusError, UsageError
from prometheus.v10.base.files import tighten_umask
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import is_instance
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.ops.custodian.rules import Rules
from prometheus.v10.ops.custodian.server import serve

IDLE_SECONDS = 1.0
"""It goes with its payload: a tree that is moved away or mounted over meets a custodian that looks anew."""
FIRST_PASSED = 3
"""The first descriptor that systemd passes."""


def custodian_command(
    whose: Annotated[
        str,
        typer.Argument(
            metavar="STAGE-INSTANCE", help="Stage and instance whose evidence it writes, for example stage1-HF."
        ),
    ],
    root: Root = DEFAULT_ROOT,
    place: Annotated[
        Path | None,
        typer.Option("--socket", help="Socket on which it listens; by default the one that systemd passes."),
    ] = None,
) -> None:
    """Write one instance's evidence for its payload, by the custodian's rules; with --socket until it is stopped."""
    stage, _, instance = whose.partition("-")
    if stage not in {one.value for one in Stage} or not is_instance(instance):
        raise UsageError(f"{whose!r} is no stage and instance", hint="for example stage1-HF")
    tighten_umask()
    rules = Rules(Layout.under(root), Stage(stage), instance)
    with suppress(PrometheusError):  # whoever asks first hears of it; nobody waits for the reading under a lock
        ledger_now(rules.layout.ledger)
    with _listening(place) as listening:
        serve(listening, rules, _say, idle_seconds=IDLE_SECONDS if place is None else None)


def _listening(place: Path | None) -> socket.socket:
    if place is None:
        if os.environ.get("LISTEN_FDS") != "1" or os.environ.get("LISTEN_PID") != str(os.getpid()):
            raise UsageError("systemd passed no socket", hint="systemctl start the socket unit, or give --socket")
        return socket.socket(fileno=FIRST_PASSED)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        place.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            made.bind(str(place))
        finally:
            os.umask(before)
        made.listen()
    except OSError as error:
        made.close()
        raise HostError(f"cannot listen at {place}: {error.strerror or error}", hint="give a shorter path") from error
    return made


def _say(what: str) -> None:
    """Refusals go to standard error, which is the journal's: a line each."""
    sys.stderr.write(f"<4>{printable(what)}\n")
    sys.stderr.flush()
