"""Options that many commands share, and how a command's help ends with examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prometheus.cli.places import COMMAND, DEFAULT_ROOT
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.modes import Stage

__all__ = ["COMMAND", "DEFAULT_ROOT", "AsCsv", "AsJson", "InstanceOption", "Root", "StageOption", "examples", "group"]


def _root(text: str | Path) -> Path:
    """``--root`` as typed; an unset shell variable must not mean the working directory."""
    if not str(text).strip():
        raise UsageError("--root is empty", hint="name a directory; . is the working directory")
    return Path(text)


Root = Annotated[
    Path,
    typer.Option(
        "--root",
        metavar="DIR",
        parser=_root,
        help="Installation to work in: runs, pools, market and state; / is an installed host.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
RUN_HELP = "Run: its id, the beginning of one, its directory, latest, latest~2 or HF/latest."
AsCsv = Annotated[bool, typer.Option("--csv", help="Print the first table as CSV instead of text.")]
StageOption = Annotated[Stage, typer.Option("--stage", help="Stage whose pool is used.")]
InstanceOption = Annotated[str, typer.Option("--instance", help="Instance recorded in the ledger entry.")]


def examples(*lines: str, command: str = COMMAND) -> str:
    """The end of a command's help."""
    return "Examples:\n\n" + "\n\n".join(f"$ {command} {line}" for line in lines)


def group(text: str) -> typer.Typer:
    """A group of commands; called bare it is a mistake that is told the commands."""
    return typer.Typer(help=text, rich_markup_mode="rich")
