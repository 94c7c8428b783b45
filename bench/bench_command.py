"""``python -m bench``: how fast the world runs, what its evidence costs, how much memory it takes."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.bench_report import Part, measure, save, shown, steps
from prometheus.cli.app import run_app
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import host_error
from prometheus.v10.base.paths import Layout
from prometheus.v10.runs.workers.invariance import check_core

COMMAND = "python -m bench"
BENCH_EXAMPLES = examples("--root var", "--only speed --only memory", "--quick --json", command=COMMAND)
FOLDER = "bench"


def bench_once(layout: Layout, parts: Collection[Part], *, quick: bool, clock: Clock, console: Console) -> Report:
    """Measure each part once; the document is written below the root, whatever is measured leaves nothing.

    Raises:
        PrometheusError: when something cannot be measured. A bar that is not met is a finding, not an error.
    """
    check_core()
    folder = layout.lib / FOLDER
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix="scratch-", dir=folder)
    except OSError as error:
        raise host_error(error, f"cannot measure in {folder}") from error
    with scratch, progress:
        task = progress.add_task("starting", total=steps(parts, quick=quick), completed=-1)
        document = measure(
            Path(scratch.name),
            parts,
            quick=quick,
            clock=clock,
            said=lambda what: progress.update(task, description=what, advance=1),
        )
    place = save(document, folder, clock)
    return Report(document, shown(document, place))


def bench(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do little, to show that it works; the timings mean nothing.")
    ] = False,
    only: Annotated[list[Part] | None, typer.Option(help="Part to measure; may be given again.")] = None,
    as_json: AsJson = False,
) -> Report:
    """Measure the world beside a per-agent loop and a JAX scan, with and without evidence."""
    parts = set(only or Part)
    found = bench_once(Layout.under(root), parts, quick=quick, clock=SystemClock(), console=context.obj)
    return found.asked(as_json=as_json)


app = typer.Typer(
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=BENCH_EXAMPLES)(bench)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (contracts, section 6)."""
    return run_app(app, arguments, command=COMMAND)
