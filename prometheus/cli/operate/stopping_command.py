"""``stop`` and ``clear-stop``: the kill switch, with reason and name (contracts, section 7).

``stop`` ends with 0 when nothing runs any more, 75 when something still does, or with the code of what went wrong.
"""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report, facts
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExitCode, UsageError
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.host.host_records import HostRecords, who_asks
from prometheus.v10.ops.host.stopping import Stopped, clear, stop_all, stop_one
from prometheus.v10.ops.host.systemd import Systemd

STOP_EXAMPLES = examples(
    'stop --root / --reason "exchange maintenance"',
    "stop --root / --instance HF  (that one alone; it may be started again)",
)
CLEAR_EXAMPLES = examples('clear-stop --root / --reason "maintenance is over"')
WAIT_SECONDS = 160.0
"""Longer than a service may take to seal: 30 s, and two minutes that it may ask for."""

Reason = Annotated[str | None, typer.Option(metavar="TEXT", help="Reason, kept in the record of stops.")]


def report_of(done: Stopped, layout: Layout) -> Report:
    """The outcome of a stop, and its code."""
    code = ExitCode.TRY_AGAIN if done.running else ExitCode.DONE
    if done.error is not None and not done.running:
        code = done.error.exit_code
    pairs: dict[str, object] = {"kill switch": "not touched"}
    if done.order is not None:
        before = " (was pulled before; the first reason stands)" if done.latched_before else ""
        pairs = {"kill switch": f"{layout.stop_file}{before}", **done.order.plain()}
    pairs |= {
        "ended": ", ".join(done.ended) or "nothing ran",
        "still running": ", ".join(done.running) or "nothing",
        "seconds": round(done.seconds, 3),
    }
    data = {
        "stop_file": str(layout.stop_file) if done.order is not None else None,
        "order": None if done.order is None else done.order.plain(),
        "latched_before": done.latched_before,
        "ended": done.ended,
        "running": done.running,
        "seconds": round(done.seconds, 3),
        "problems": done.problems,
    }
    return Report(data, [facts("stop", pairs), *(f"warning: {problem}" for problem in done.problems)], code)


# ---- on the command line ---------------------------------------------------------------------------------------------


def stop_command(
    *,
    root: Root = DEFAULT_ROOT,
    everything: Annotated[bool, typer.Option("--all", help="Stop every instance; this is the default.")] = False,
    instance: Annotated[
        str | None, typer.Option(help="Stop this instance only; the kill switch is not pulled.")
    ] = None,
    reason: Reason = None,
    wait: Annotated[float, typer.Option(min=0.0, metavar="SECONDS", help="Longest time to wait.")] = WAIT_SECONDS,
    as_json: AsJson = False,
) -> Report:
    """Pull the kill switch and wait until nothing runs; exit 0 all ended, 75 something still runs."""
    if everything and instance is not None:
        raise UsageError("--all and --instance exclude each other", hint="--all pulls the kill switch for every one")
    layout = Layout.under(root)
    records = HostRecords(layout, SystemClock())
    systemd, who = Systemd.of(layout), who_asks(os.environ)
    if instance is None:
        done = stop_all(layout, records, systemd, reason=reason, who=who, wait=wait, pause=time.sleep)
    else:
        done = stop_one(
            layout, records, systemd, instance=instance, reason=reason, who=who, wait=wait, pause=time.sleep
        )
    return report_of(done, layout).asked(as_json=as_json)


def clear_command(*, root: Root = DEFAULT_ROOT, reason: Reason = None, as_json: AsJson = False) -> Report:
    """Release the kill switch; nothing starts by itself."""
    layout = Layout.under(root)
    records = HostRecords(layout, SystemClock())
    order = clear(
        layout, records, Systemd.of(layout), reason=reason, who=who_asks(os.environ), pause=time.sleep
    )  # fmt: skip
    data = {"stop_file": str(layout.stop_file), "cleared": order is not None}
    if order is None:
        said = f"{layout.stop_file} is not there: nothing to clear"
        return Report({**data, "order": None}, [said]).asked(as_json=as_json)
    data |= {"order": order.plain(), "problems": records.unheard}
    shown = [facts("released", {"kill switch": layout.stop_file, **order.plain()})]
    again = "systemctl start prometheus.target" if layout == Layout.system() else "prometheus-quant run starts a run"
    more = [f"nothing was started: {again}", *(f"warning: {why}" for why in records.unheard)]
    return Report(data, [*shown, *more]).asked(as_json=as_json)
