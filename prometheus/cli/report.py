"""What a command found, once as data for scripts (``--json``) and once as something to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.text import printable

GAP, LAST_WIDTH = 3, 10  # of a table's columns; only the last may be folded, down to this width
KEY_WIDTH = 24  # what the first column of a table keeps in a narrow terminal


@frozen
class Report:
    """The outcome of a command.

    Attributes:
        data: plain JSON values; what ``--json`` prints, one object.
        shown: what a person sees, from top to bottom.
        code: the process's exit code.
        as_json: whether the caller asked for the data.
    """

    data: Mapping[str, Any]
    shown: Sequence[RenderableType] = field(factory=list)
    code: ExitCode = ExitCode.DONE
    as_json: bool = False

    def asked(self, *, as_json: bool) -> Report:
        """The same report, to be printed as the caller asked."""
        return evolve(self, as_json=as_json)


def cell(value: object) -> str:
    """A value as a table shows it: numbers short, unknown as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return "\n".join(map(printable, str(value).split("\n")))


class _Rows(Table):
    """A table that, where the terminal is too narrow for one, prints each row as lines of name and value."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cells: list[list[str]] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = [str(column.header) for column in self.columns]
        widths = [max(map(cell_len, column)) + GAP for column in zip(names, *self.cells, strict=True)]
        if sum(widths[:-1]) + LAST_WIDTH <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        yield Text(str(self.title or ""), overflow="fold")
        for row in self.cells:
            yield Text("")
            for name, value in zip(names, row, strict=True):
                yield Text(f"{name}: {value}", overflow="fold")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table; columns whose every value is a number stand to the right, the first and the last are folded.

    The first names what a row is about: it keeps room for its longest word, however narrow the terminal is.
    """
    rows = [list(row) for row in rows]
    made = _Rows(title=title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for at, name in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[at], int | float) or row[at] is None for row in rows)
        last = at == len(columns) - 1
        key = at == 0
        made.add_column(
            name,
            justify="right" if numbers else "left",
            overflow="fold" if last or key else "ellipsis",
            no_wrap=not (last or key),
            min_width=min(KEY_WIDTH, max((len(cell(row[0])) for row in rows), default=0)) if key else None,
        )
    for row in rows:
        made.add_row(*(Text(cell(value)) for value in row))
        made.cells.append([cell(value) for value in row])
    return made


def facts(title: str, pairs: Mapping[str, object]) -> Table:
    """Name and value, one pair a line."""
    made = Table(title=title, box=None, show_header=False, title_justify="left", pad_edge=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        made.add_row(name, Text(cell(value)))
    return made
