"""``run``: one run in the foreground, with the service's own rules (lock, STOP file, disk, survival curve)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Annotated

import attrs
import typer
from attrs import frozen
from rich.console import Console

from prometheus.cli.foreground import Bar, verdicts
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import ExitCode, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.service.liveness import Liveness
from prometheus.v10.ops.service.session import Site, refuse_a_stop_file, session
from prometheus.v10.ops.service.stage1_runs import stage1_in
from prometheus.v10.ops.service.stop import StopWatch
from prometheus.v10.ops.storage.disk import refuse_without_room
from prometheus.v10.runs.control import StoppedError, StopReason
from prometheus.v10.runs.request.eras_table import unsound_eras
from prometheus.v10.runs.request.profile import Profile, load_profile
from prometheus.v10.runs.request.ranges import unsound_numbers
from prometheus.v10.runs.workers.invariance import check_core


@frozen
class Changes:
    """What the command line changes in a profile; None leaves it."""

    seed: int | None = None
    experiments: int | None = None
    workers: int | None = None
    market: str | None = None


def changed(profile: Profile, changes: Changes) -> Profile:
    """``profile`` with what the command line says.

    Raises:
        UsageError: for a number that cannot be.
    """
    given = {name: value for name, value in attrs.asdict(changes).items() if value is not None}
    for name, least in (("seed", 0), ("experiments", 1), ("workers", 0)):
        if given.get(name, least) < least:
            raise UsageError(f"--{name} {given[name]}: expected at least {least}")
    before, table = profile.experiments.count, profile.founding
    experiments = {key: given[name] for name, key in (("seed", "seed"), ("experiments", "count")) if name in given}
    if experiments:
        profile = attrs.evolve(profile, experiments=attrs.evolve(profile.experiments, **experiments))
    if table is not None:  # controls keep their share of the experiments
        count = profile.experiments.count
        table = attrs.evolve(table, fresh=table.fresh * count // before, null=table.null * count // before)
        profile = attrs.evolve(profile, founding=table)
    if "workers" in given:
        profile = attrs.evolve(profile, workers=given["workers"])
    if "market" in given and not given["market"].strip():
        raise UsageError("--market is empty", hint="name a market of the library, or a file")
    if "market" in given:
        market = attrs.evolve(profile.market, source=given["market"], timeframe_s=None, bars=None, start=None)
        profile = attrs.evolve(profile, market=market, window=None)
    if wrong := unsound_numbers(profile) or unsound_eras(profile):
        raise UsageError("; ".join(wrong[:5]), hint="give smaller numbers on the command line")
    return profile


def run_all(
    layout: Layout, name: str, changes: Changes, *, instance: str, clock: Clock, environ: Mapping[str, str],
    console: Console, cluster: str | None = None, eras: int = 1,
) -> Report:  # fmt: skip
    """Runs one after the other, each sealed; the report is of the last.

    Ctrl-C, SIGTERM, the STOP file and a full disk stop a run, which is sealed then as well, and no further one begins.
    The seeds are the profile's, so the same command gives the same result; the service draws new ones each time. A run
    that a full disk ended reports 74.

    Raises:
        PrometheusError: whatever makes a run impossible; its hint says what to do.
    """
    if eras < 1:
        raise UsageError(f"--eras {eras}: expected at least 1")
    refuse_a_stop_file(layout)
    check_core()
    profile = changed(load_profile(name, layout), changes)
    if profile.stage is not Stage.STAGE1:
        raise UsageError(f"profile {name} is for {profile.stage.value}", hint="this command runs stage1")
    site = Site.of(layout, clock, instance, profile, name)
    outcome = None
    with (
        suppress(StoppedError),
        StopWatch(layout.stop_file, clock) as stop,
        closing(Liveness(environ, clock)) as live,
        session(site, stop, live) as at_work,
        Bar(at_work.control, console) as bar,
    ):
        run_one = stage1_in(profile.mode)
        for _ in range(eras):
            refuse_without_room(at_work.disk.before_run())
            outcome = run_one(at_work.next_run(counted=eras > 1), at_work.around(bar, cluster))
            at_work.ended(outcome)
            figures = at_work.own.intervals.figures()
            if outcome.stop_reason is not None:
                break
    if outcome is None:
        return Report({"run": None}, ["stopped before a run was opened: nothing was written"])
    data, shown = verdicts(outcome, figures)
    return Report(data, shown, ExitCode.IO if outcome.stop_reason is StopReason.DISK_BUDGET else ExitCode.DONE)


# ---- on the command line ---------------------------------------------------------------------------------------------

RUN_EXAMPLES = examples(
    "run --root var", "run --profile HF --experiments 4 --seed 7 --workers 2", "run --market BTC-1h --json"
)


def run(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    profile: Annotated[str, typer.Option(metavar="NAME|FILE", help="Profile to run.")] = "HF",
    seed: Annotated[int | None, typer.Option(help="Seed of the first experiment.")] = None,
    experiments: Annotated[int | None, typer.Option(help="Number of experiments.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes (0: one for each processor); no result depends on it.")
    ] = None,
    market: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Imported market or file whose bars are used, all of them.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="tcp://…", help="Address of a Dask scheduler; its workers run the experiments."),
    ] = None,
    eras: Annotated[
        int, typer.Option(metavar="N", help="Number of runs, one after another; each goes on where the last one ended.")
    ] = 1,
    instance: Annotated[str, typer.Option(help="Instance name; its lock and its collapse history are used.")] = "local",
    as_json: AsJson = False,
) -> Report:
    """Do one run in the foreground, seal it, verify it, and print the verdicts."""
    changes = Changes(seed=seed, experiments=experiments, workers=workers, market=market)
    return run_all(
        Layout.under(root),
        profile,
        changes,
        instance=instance,
        clock=SystemClock(),
        environ=os.environ,
        console=context.obj,
        cluster=cluster,
        eras=eras,
    ).asked(as_json=as_json)
