"""The front door: parses, calls a command, prints its report, and turns an error into a line and a code.

There is no logic here. Help: ``prometheus-quant --help``; completion: ``prometheus-quant --install-completion``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from prometheus.cli.app import run_app
from prometheus.cli.commands import COMMANDS, command_line
from prometheus.cli.completing import answer, asked

ABOUT = "Evolve populations of tiny trading agents, and prove what ran."


def whole() -> typer.Typer:
    """The command line with every command imported."""
    return command_line(ABOUT, COMMANDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code (contracts, section 6)."""
    if arguments is None and asked(os.environ):
        return answer(os.environ)
    words = sys.argv[1:] if arguments is None else list(arguments)
    return run_app(command_line(ABOUT, COMMANDS, words), words)
