"""What a command found, once as data for scripts (``--json``, ``--csv``) and once as something to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen
from rich.console import RenderableType

from prometheus.cli.sheets import Facts, Sheet, cell, facts, table
from prometheus.v10.base.errors import ExitCode, UsageError

__all__ = ["Facts", "Report", "Sheet", "cell", "facts", "table"]


@frozen
class Report:
    """The outcome of a command.

    Attributes:
        data: plain JSON values; what ``--json`` prints, one object, with the name of its schema.
        shown: what a person sees, from top to bottom.
        code: the process's exit code.
        as_json: whether the caller asked for the data.
        as_csv: whether the caller asked for the first table alone.
    """

    data: Mapping[str, Any]
    shown: Sequence[RenderableType] = field(factory=list)
    code: ExitCode = ExitCode.DONE
    as_json: bool = False
    as_csv: bool = False

    def asked(self, *, as_json: bool, as_csv: bool = False) -> Report:
        """The same report, to be printed as the caller asked.

        Raises:
            UsageError: when both forms are asked for.
        """
        if as_json and as_csv:
            raise UsageError("--json and --csv exclude each other", hint="--csv prints the first table alone")
        return evolve(self, as_json=as_json, as_csv=as_csv)

    def csv(self) -> str:
        """The first table as lines of CSV; a report without one has no line but an empty header."""
        sheets = [part for part in self.shown if isinstance(part, Sheet)]
        return sheets[0].csv() if sheets else "\n"
