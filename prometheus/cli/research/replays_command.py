"""``replay``: do a sealed run again elsewhere and compare every artifact that is a function of its manifest."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from attrs import asdict
from rich.console import Console

from prometheus.cli.foreground import Bar
from prometheus.cli.names_of import layout_around, run_of
from prometheus.cli.options import DEFAULT_ROOT, RUN_HELP, AsJson, examples
from prometheus.cli.report import Report, table
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.paths import Layout
from prometheus.v10.runs.control import Undisturbed
from prometheus.v10.runs.replay import replay

REPLAY_EXAMPLES = examples("replay var/runs_hf/HF_20260101T000000Z_1a2b3c4_5d6e", "replay HF/latest --workers 1 --json")


def replay_run(
    run_dir: Path, root: Path | None, *, workers: int, clock: Clock, console: Console, bars: Path | None = None
) -> Report:
    """Replay a run in a temporary tree; the verdict is pass only if all bytes agree; errors as `replay`."""
    layout = Layout.under(root or run_dir.absolute().parent.parent)
    with tempfile.TemporaryDirectory(prefix="prometheus-replay-") as scratch, Bar(Undisturbed(), console) as bar:
        found = replay(run_dir, layout, Path(scratch), clock=clock, control=bar, workers=workers, bars=bars)
    rows = [
        (found.verified.name, "passes" if found.verified.same else "FAILS", found.verified.detail),
        *((one.name, "identical" if one.same else "DIFFERENT", one.detail) for one in found.comparisons),
    ]
    verdict = "identical" if found.identical else "DIFFERENT"
    return Report(
        {**asdict(found), "identical": found.identical},
        [
            table(f"replay of {found.run_id}", ("artifact", "bytes", "detail"), rows),
            f"{verdict}: {found.agent_ticks:,} agent-ticks in {found.seconds:.1f} s",
        ],
        ExitCode.DONE if found.identical else ExitCode.VERIFY_FAILED,
    )


def replay_command(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    *,
    root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Installation of the run; by default the one in which it lies.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Number of processes (0: one for each processor).")] = 0,
    bars: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File of its bars, for a run whose market is a file.")
    ] = None,
    as_json: AsJson = False,
) -> Report:
    """Do a run again from its manifest and compare; exit 0 only if every byte agrees."""
    place = run_of(run, layout_around(run, root, DEFAULT_ROOT)).path
    found = replay_run(place, root, workers=workers, clock=SystemClock(), console=context.obj, bars=bars)
    return found.asked(as_json=as_json)
