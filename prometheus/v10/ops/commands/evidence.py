"""``verify`` and ``audit``: is everything there, and is it what was written? Exit 0 pass, 1 fail, 2 could not check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.audit import audit, audit_bytes
from prometheus.v10.evidence.findings import Progress, VerifyReport
from prometheus.v10.evidence.verify import runs_in, verify_path
from prometheus.v10.ops.alive import is_alive
from prometheus.v10.ops.commands.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.v10.ops.commands.report import Report

VERIFY_EXAMPLES = examples(
    "verify var/runs_hf/HF_20260101T000000Z_1a2b3c4_5d6e",
    "verify var/runs_hf var/pools/stage1/pool.jsonl --json",
    "audit --root var  (everything under a root, against the ledger of seals)",
)


@contextmanager
def bytes_bar(console: Console, what: str, total: int) -> Iterator[Progress]:
    """A bar over bytes; silent unless the console is a terminal."""
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)


def weigh(reports: Sequence[VerifyReport]) -> ExitCode:
    """The code for several verdicts: a failure weighs more than what could not be checked, that more than a pass."""
    codes = {report.exit_code for report in reports}
    order = (ExitCode.VERIFY_FAILED, ExitCode.VERIFY_ERROR)
    return next((code for code in order if code in codes), ExitCode.DONE)


def as_report(reports: Sequence[VerifyReport]) -> Report:
    """Findings, a line each, and the verdicts."""
    data = {"exit_code": int(weigh(reports)), "reports": [report.plain() for report in reports]}
    return Report(data, [line for report in reports for line in report.lines()], weigh(reports))


def verify_all(paths: Sequence[Path], console: Console, *, alone: bool = False) -> Report:
    """Verify runs, pools, snapshots, ledgers, and directories of runs; ``alone``: against nothing but themselves."""
    found = [path for given in paths for path in runs_in(given)]
    total = sum(_size(path) for path in found)
    with bytes_bar(console, "verify", total) as progress:
        return as_report([verify_path(path, progress=progress, alone=alone) for path in found])


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def audit_all(layout: Layout, console: Console) -> Report:
    """Walk everything: runs, pools, snapshots, the ledger of seals, and what it says should be there."""
    with bytes_bar(console, "audit", audit_bytes(layout)) as progress:
        return as_report([audit(layout, progress=progress, is_alive=partial(is_alive, layout))])


# ---- on the command line ---------------------------------------------------------------------------------------------


def verify_command(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Runs, pools, snapshots, ledgers.")],
    *,
    alone: Annotated[bool, typer.Option("--alone", help="Hold a run against nothing but itself: no ledger.")] = False,
    as_json: AsJson = False,
) -> Report:
    """Verify evidence, runs against their root's ledger; exit 0 pass, 1 fail, 2 could not check."""
    return verify_all(paths, context.obj, alone=alone).asked(as_json=as_json)


def audit_command(context: typer.Context, *, root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> Report:
    """Audit everything under a root against the ledger of seals; exit 0 pass, 1 fail, 2 could not check."""
    return audit_all(Layout.under(root), context.obj).asked(as_json=as_json)
