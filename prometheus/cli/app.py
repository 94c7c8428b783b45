"""What both command lines share: a report is printed, an error becomes a line and a code, a bare group shows its help.

`main` has every command; `host` has those of an installed host. There is no logic here.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.color import ColorSystem
from rich.console import Console, ConsoleDimensions

from prometheus import __version__
from prometheus.cli.complaints import BAD_COMMAND_LINE, complaint_of, path_of
from prometheus.cli.options import COMMAND
from prometheus.cli.report import Report
from prometheus.cli.sheets import toned, wrapped
from prometheus.v10.base.error_lines import as_host_error, error_lines, one_line
from prometheus.v10.base.errors import ExitCode, PrometheusError
from prometheus.v10.base.files import tighten_umask
from prometheus.v10.base.output import closed_pipe, flush, silence
from prometheus.v10.base.text import printable

PIPE_WIDTH = 200
"""Columns of what goes into a file or a pipe, unless ``COLUMNS`` says otherwise; a terminal has its own width."""
LEAST_WIDTH, PIPE_HEIGHT = 40, 25
JSON, CSV = "--json", "--csv"
ERROR_SCHEMA = "error/1"
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


class _Console(Console):
    """A console that leaves the exit code alone when the reader of its output goes away.

    Colours are the terminal's own sixteen: truecolour does not survive ssh. A file, a pipe, ``TERM=dumb`` and
    ``NO_COLOR`` get none.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, color_system=None)
        if self.is_terminal and not self.is_dumb_terminal and not os.environ.get("NO_COLOR"):
            self._color_system = ColorSystem.STANDARD
        if not self.is_terminal:
            self.size = ConsoleDimensions(pipe_width(), PIPE_HEIGHT)  # of a dumb terminal rich would take 80 for both

    def on_broken_pipe(self) -> None:
        """Hand the error on: `run_app` knows what the command came to."""
        raise BrokenPipeError


def pipe_width() -> int:
    """Columns of output that goes to no terminal: ``COLUMNS``, or 200."""
    said = os.environ.get("COLUMNS", "")
    return max(LEAST_WIDTH, int(said)) if said.isdecimal() and len(said) < 6 and int(said) > 0 else PIPE_WIDTH


def _show(report: Report, name: str) -> None:
    if report.as_json:
        data = {**report.data, "schema": f"{name}/1"}
        typer.echo(json.dumps(data, indent=2, sort_keys=True, allow_nan=False))
        return
    if report.as_csv:
        typer.echo(report.csv(), nl=False)
        return
    console = _Console()
    for part in report.shown:
        if not isinstance(part, str):
            console.print(part)
            continue
        for line in part.split("\n"):  # it may quote a file: whatever moves a terminal is shown, not sent
            safe = printable(line, longest=LONGEST_LINE)
            first, *rest = wrapped(safe, console.width) if console.is_terminal else [safe]
            console.print(toned(first), *rest, sep="\n", markup=False, soft_wrap=True)


def _fail(error: PrometheusError, *, as_json: bool = False) -> int:
    """Say an error on standard error: two lines, or one JSON object; returns its code."""
    if as_json:
        said = {
            "schema": ERROR_SCHEMA,
            "error": one_line(error.message),
            "hint": one_line(error.hint) if error.hint else None,
            "exit_code": int(error.exit_code),
        }
        typer.echo(json.dumps(said, sort_keys=True), err=True)
        return error.exit_code
    console = _Console(stderr=True)
    for line in error_lines(error):
        console.print(toned(line), markup=False, soft_wrap=True)
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


def _show_while_read(report: Report, name: str) -> None:
    try:
        _show(report, name)
        flush()
    except OSError as error:
        if not closed_pipe(error):
            raise
        silence()


def _run(app: typer.Typer, arguments: Sequence[str] | None, name: str) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    command: Any = typer.main.get_command(app)
    try:
        outcome = command.main(args=words, prog_name=name, standalone_mode=False, obj=_Console(stderr=True))
        if isinstance(outcome, Report):
            _show_while_read(outcome, "_".join(path_of(command, words)).replace("-", "_"))
            return outcome.code
        return int(outcome or 0)
    except Exception as error:  # noqa: BLE001  (each ends as a line and a code; the last resort says all it knows)
        return _failed(error, command, words, name)


def _failed(error: Exception, command: Any, words: Sequence[str], name: str) -> int:
    as_json = JSON in words
    if isinstance(error, BAD_COMMAND_LINE):
        complaint = complaint_of(error, command, words, name)
        if complaint is not None:
            return _fail(complaint, as_json=as_json)
        if help_text := str(error).strip():  # the command alone: its help is the answer; some versions print it before
            typer.echo(help_text)
        return ExitCode.USAGE
    if isinstance(error, PrometheusError):
        return _fail(error, as_json=as_json)
    fault = as_host_error(error) if isinstance(error, OSError) else None
    if fault is not None:
        code = _fail(fault, as_json=as_json)
        silence()
        return code
    traceback.print_exception(error)
    return ExitCode.BUG
