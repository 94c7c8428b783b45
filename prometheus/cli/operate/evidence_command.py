"""``verify`` and ``audit``: is everything there, and is it what was written? Exit 0 pass, 1 fail, 2 could not check."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from prometheus.cli.names_of import is_latest, run_of
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report
from prometheus.v10.base.errors import ExitCode, UsageError, host_error
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import SMALL, read_whole
from prometheus.v10.evidence.auditing.audit import audit, audit_bytes
from prometheus.v10.evidence.auditing.audit_witness import Witnesses
from prometheus.v10.evidence.auditing.budget import Budget
from prometheus.v10.evidence.records.findings import Progress, VerifyReport
from prometheus.v10.evidence.verify.program import runs_in, verify_path
from prometheus.v10.evidence.witnesses.checkpoint_kept import find_checkpoints
from prometheus.v10.evidence.witnesses.journal_seals import HostJournal, JournalFile
from prometheus.v10.evidence.witnesses.signed_note import Verifier, parse_verifiers
from prometheus.v10.evidence.witnesses.witness import witness_directory
from prometheus.v10.ops.host.witnessing import read_settings
from prometheus.v10.ops.instance.alive import is_alive

VERIFY_EXAMPLES = examples(
    "verify var/runs_hf/HF_20260101T000000Z_1a2b3c4_5d6e",
    "verify latest",
    "verify var/runs_hf var/pools/stage1/pool.jsonl --json",
    "audit --root var  (everything under a root, against the ledger of seals)",
)


REDRAW_SECONDS = 0.1


@contextmanager
def bytes_bar(console: Console, what: str, total: int) -> Iterator[Progress]:
    """A bar over bytes; silent unless the console is a terminal.

    It is drawn by who works: a thread that draws it would keep verification from sharing its work among processes.
    """
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    silent = not console.is_terminal
    with Bar(*columns, console=console, transient=True, disable=silent, auto_refresh=False) as bar:
        task, drawn = bar.add_task(what, total=total), time.monotonic()

        def advance(more: int) -> None:
            nonlocal drawn
            bar.advance(task, more)
            if not silent and time.monotonic() - drawn >= REDRAW_SECONDS:
                bar.refresh()
                drawn = time.monotonic()

        yield advance


def weigh(reports: Sequence[VerifyReport]) -> ExitCode:
    """The code for several verdicts: a failure weighs more than what could not be checked, that more than a pass."""
    codes = {report.exit_code for report in reports}
    order = (ExitCode.VERIFY_FAILED, ExitCode.VERIFY_ERROR)
    return next((code for code in order if code in codes), ExitCode.DONE)


def as_report(reports: Sequence[VerifyReport]) -> Report:
    """Findings, a line each, and the verdicts."""
    data = {"exit_code": int(weigh(reports)), "reports": [report.plain() for report in reports]}
    return Report(data, [line for report in reports for line in report.lines()], weigh(reports))


def verify_all(paths: Sequence[Path], console: Console, *, alone: bool = False, nothing: str = "") -> Report:
    """Verify runs, pools, snapshots, ledgers, and directories of runs; ``alone``: against nothing but themselves.

    ``nothing`` is what is said where there is no path: nothing was checked, which is no pass.
    """
    if not paths:
        data = {"exit_code": int(ExitCode.VERIFY_ERROR), "reports": []}
        return Report(data, [f"COULD NOT CHECK {nothing}: nothing was checked"], ExitCode.VERIFY_ERROR)
    found = [path for given in paths for path in runs_in(given)]
    total = sum(_size(path) for path in found)
    with bytes_bar(console, "verify", total) as progress:
        return as_report([verify_path(path, progress=progress, alone=alone) for path in found])


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def audit_all(
    layout: Layout, console: Console, witnesses: Witnesses, budget: Budget | None = None, *, unused_ok: bool = False
) -> Report:
    """Walk everything: runs, pools, snapshots, the ledger of seals, what it says should be there, and its witnesses."""
    alive = partial(is_alive, layout)
    with bytes_bar(console, "audit", audit_bytes(layout)) as progress:
        found = audit(
            layout, progress=progress, is_alive=alive, witnesses=witnesses, budget=budget, unused_ok=unused_ok
        )
    return as_report([found])


def witnesses_of(layout: Layout, *, checkpoints: Sequence[Path], key: str | None, journal: Path | None) -> Witnesses:
    """Whom an audit asks: a host's own witness and journal, and what the caller names.

    Raises:
        UsageError: when what is named is not there, holds no checkpoint, or is no public key.
        PrometheusError: when ``witness.toml`` or the key cannot be read.
    """
    for place in checkpoints:
        if not find_checkpoints(place):
            raise UsageError(f"no checkpoint is in {place}", hint="a checkpoint's name ends with .checkpoint")
    own = witness_directory(layout)
    heard: HostJournal | JournalFile | None = JournalFile(journal) if journal is not None else None
    if heard is None and own is not None and layout.lib.is_dir():
        try:
            uid = layout.lib.stat().st_uid
        except OSError as error:
            raise host_error(error, f"cannot look at {layout.lib}") from error
        heard = HostJournal(uid, read_settings(layout).journal_since)
    keys = _keys(key) if key is not None else None
    hosts = [(own, None)] if own is not None and own.is_dir() else []
    return Witnesses([*hosts, *((place, keys) for place in checkpoints)], heard)


def _keys(given: str) -> list[Verifier]:
    """``--checkpoint-key`` as a key itself, or as a file of keys."""
    if "+" in given and not Path(given).exists():
        return parse_verifiers(given)
    return parse_verifiers(read_whole(Path(given), at_most=SMALL, follow=True).decode("utf-8", "replace"))


# ---- on the command line ---------------------------------------------------------------------------------------------


def verify_command(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="RUN|PATH...", help="Runs by name, or paths of runs, gates, pools, snapshots, ledgers."),
    ],
    *,
    root: Root = DEFAULT_ROOT,
    alone: Annotated[bool, typer.Option("--alone", help="Verify a run by itself, without a ledger.")] = False,
    as_json: AsJson = False,
) -> Report:
    """Verify evidence, and runs against their installation's ledger; exit 0 pass, 1 fail, 2 could not check."""
    named = [_named(path, root) for path in paths]
    return verify_all(named, context.obj, alone=alone).asked(as_json=as_json)


def _named(given: Path, root: Path) -> Path:
    """A path that is there, or the run that a text names; a path that is not there is the verifier's finding."""
    if os.path.lexists(given) and not is_latest(str(given)):
        return given
    try:
        return run_of(given, Layout.under(root)).path
    except UsageError:
        if is_latest(str(given)) or ("/" not in str(given) and Path(root).is_dir()):
            raise
        return given


def audit_command(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(metavar="FILE|DIR", help="Compare the ledger with these checkpoints as well.")
    ] = None,
    checkpoint_key: Annotated[
        str | None,
        typer.Option(metavar="KEY|FILE", help="Public key that signed them; by default checkpoint.pub beside them."),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Journal entries that `journalctl -o json` wrote; sealed runs are compared with them."
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(min=1.0, metavar="SECONDS", help="Time limit; what is left when it ends counts as not checked."),
    ] = None,
    unused_ok: Annotated[
        bool, typer.Option("--unused-ok", help="Let an installation pass in which nothing ever ran.")
    ] = False,
    as_json: AsJson = False,
) -> Report:
    """Audit everything under a root against the ledger of seals; exit 0 pass, 1 fail, 2 could not check."""
    layout = Layout.under(root)
    asked = witnesses_of(layout, checkpoints=checkpoint or [], key=checkpoint_key, journal=journal)
    time = None if budget is None else Budget(budget)
    return audit_all(layout, context.obj, asked, time, unused_ok=unused_ok).asked(as_json=as_json)
