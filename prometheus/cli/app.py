"""What both command lines share: a report is printed, an error becomes a line and a code, a bare group shows its help.

`main` has every command; `host` has those of an installed host. There is no logic here.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from prometheus import __version__
from prometheus.cli.options import COMMAND
from prometheus.cli.report import Report
from prometheus.v10.base.error_lines import as_host_error, error_lines
from prometheus.v10.base.errors import ExitCode, PrometheusError, UsageError
from prometheus.v10.base.files import tighten_umask
from prometheus.v10.base.output import closed_pipe, flush, silence
from prometheus.v10.base.text import printable

PIPE_WIDTH = 200  # a file or a pager is not as narrow as rich takes it to be
LONGEST_LINE = 20_000  # characters of one line of a report: more is a file's fault, not a finding


def new_app(about: str) -> typer.Typer:
    """An empty command line that knows ``--help`` and ``--version``."""
    app = typer.Typer(
        name=COMMAND,
        help=about,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    return app


def _print_version(asked: bool) -> None:  # noqa: FBT001  (typer's signature)
    if asked:
        typer.echo(f"{COMMAND} {__version__}")
        raise typer.Exit


def _top(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options of the command as a whole."""


# The base of typer's own complaints about a command line; its place among typer's modules differs between versions.
_BAD_COMMAND_LINE: type[Exception] = typer.BadParameter.__bases__[0]


class _Console(Console):
    """A console that leaves the exit code alone when the reader of its output goes away."""

    def on_broken_pipe(self) -> None:
        """Hand the error on: `run_app` knows what the command came to."""
        raise BrokenPipeError


def _show(report: Report) -> None:
    if report.as_json:
        typer.echo(json.dumps(report.data, indent=2, sort_keys=True, allow_nan=False))
        return
    console = _Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    for part in report.shown:
        if isinstance(part, str):  # it may quote a file: whatever moves a terminal is shown, not sent
            part = "\n".join(printable(line, longest=LONGEST_LINE) for line in part.split("\n"))  # noqa: PLW2901
        console.print(part, markup=False, soft_wrap=isinstance(part, str))


def _complaint(error: Any, name: str) -> UsageError | None:
    """Typer's complaint in our words; None when a bare group was called, whose help is the answer."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return None
    where = error.ctx.command_path if getattr(error, "ctx", None) is not None else name
    return UsageError(str(error.format_message()), hint=f"{where} --help")


def _fail(error: PrometheusError) -> int:
    for line in error_lines(error):
        typer.echo(line, err=True)
    return error.exit_code


def _fail_to_write(error: OSError) -> int:
    fault = as_host_error(error)
    code = ExitCode.IO if fault is None else _fail(fault)
    silence()
    return code


def run_app(app: typer.Typer, arguments: Sequence[str] | None = None, *, command: str = COMMAND) -> int:
    """Run a command line; returns the exit code (contracts, section 6).

    A reader that closes the pipe early changes no exit code: the verdict stands, whoever read it to its end.
    """
    tighten_umask()
    try:
        code = _run(app, arguments, command)
        try:
            flush()
        except OSError as error:  # a full disk behind a redirection: said, and not met again when the process ends
            code = _fail_to_write(error)
    except SystemExit:  # rich ends so where nobody reads the help text any more
        silence()
        code = ExitCode.DONE
    return code


def _show_while_read(report: Report) -> None:
    try:
        _show(report)
        flush()
    except OSError as error:
        if not closed_pipe(error):
            raise
        silence()


def _run(app: typer.Typer, arguments: Sequence[str] | None, name: str) -> int:
    command: Callable[..., Any] = typer.main.get_command(app).main
    progress = _Console(stderr=True, highlight=False)
    try:
        outcome = command(args=arguments, prog_name=name, standalone_mode=False, obj=progress)
        if isinstance(outcome, Report):
            _show_while_read(outcome)
            return outcome.code
        return int(outcome or 0)
    except PrometheusError as error:
        return _fail(error)
    except _BAD_COMMAND_LINE as error:
        complaint = _complaint(error, name)
        return ExitCode.USAGE if complaint is None else _fail(complaint)
    except Exception as error:  # noqa: BLE001  (the last resort, and it says everything it knows)
        fault = as_host_error(error) if isinstance(error, OSError) else None
        if fault is not None:
            code = _fail(fault)
            silence()
            return code
        traceback.print_exc()
        return ExitCode.BUG
