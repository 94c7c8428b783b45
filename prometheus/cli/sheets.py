"""Tables and lists of facts that fit: at every width each number, id and time is whole.

1. A column has a kind. Numbers and words (ids, times, names, states) are never folded or cut; text folds at spaces.
2. A table that does not fit is printed as blocks, one a record, a line for each name and value.
3. A header folds at spaces, and a word of it is never cut.
4. A verdict is coloured, in the terminal's own sixteen colours, and always said in words as well: green holds, yellow
   warns, red failed or is pulled.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum

from attrs import frozen
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from prometheus.v10.base.text import printable

GAPS = (3, 2, 1)
"""Spaces between columns: as many as there is room for."""
TEXT_LEAST = 16
"""Columns of the screen that a column of text keeps before a table is printed as blocks."""
WORD_MOST = 40
"""Longest text that is kept whole as a word: a run id has 37. What is longer (a path, a hash) is folded."""
INDENT = 2
NAMES_MOST = 30
"""Widest column of names in a list; where a name is longer, its value stands below it."""

GREEN, YELLOW, RED = "green", "yellow", "red"
TONES = {
    **dict.fromkeys(
        ["PASS", "pass", "passes", "passed", "holds", "ok", "identical", "completed", "lengthening"], GREEN
    ),
    **dict.fromkeys(["warn", "warning", "stopped", "interrupted", "WARN", "NOTE", "shortening"], YELLOW),
    **dict.fromkeys(["insufficient evidence", "COULD NOT CHECK", "cannot see"], YELLOW),
    **dict.fromkeys(["FAIL", "FAILED", "FAILS", "fail", "failed", "error", "ERROR", "BROKEN", "DIFFERENT"], RED),
    **dict.fromkeys(["PULLED", "damaged", "different"], RED),
}
"""What a word always says, wherever it begins a cell or a line."""
_FIRST = re.compile(rf"(?:{'|'.join(map(re.escape, sorted(TONES, key=len, reverse=True)))})(?=$|[\s:;,.])")
_NUMBER = re.compile(r"[+-]?(?:[\d,]*\d(?:\.\d+)?(?:e[+-]?\d+)?|nan|inf)(?: ?(?:%|pp|s|[kKMGTP]?i?B|bytes))?")


class Kind(Enum):
    """What a column holds, which decides how it may be laid out."""

    NUMBER = "number"
    WORD = "word"
    TEXT = "text"


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


def toned(text: str) -> Text:
    """A line whose first word carries its colour, where that word is a verdict."""
    made = _line(text)
    if (match := _FIRST.match(text)) is not None:
        made.stylize(TONES[match.group()], 0, match.end())
    return made


# ---- tables ----------------------------------------------------------------------------------------------------------


@frozen
class Sheet:
    """A table.

    Attributes:
        columns: headers.
        rows: values as they are; `cell` makes them text.
        kinds: one for each column.
        optional: columns that are left out, the first one first, where the table does not fit otherwise; the line below
            it names them.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    kinds: Sequence[Kind]
    optional: Sequence[str] = ()

    def csv(self) -> str:
        """Header and rows as CSV: numbers without separators, unknown as nothing, lines end with a line feed."""
        made = io.StringIO()
        writer = csv.writer(made, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_raw(value) for value in row] for row in self.rows)
        return made.getvalue()

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, if need be without its optional columns, or its records as blocks."""
        width = options.max_width
        if self.title:
            yield from _folded(self.title, width, style="bold")
        for left_out in range(len(self.optional) + 1):
            kept = self.without(self.optional[:left_out])
            frame = frame_of(kept, width, dense=left_out == len(self.optional))
            if frame is not None:
                yield from _grid(kept, frame)
                if left_out:
                    hidden = ", ".join(self.optional[:left_out])
                    yield from _folded(f"not shown: {hidden} (a wider terminal, --csv and --json have them)", width)
                return
        for row in self.rows:
            yield Text("")
            yield from _named([(name, cell(value)) for name, value in zip(self.columns, row, strict=True)], width)
        yield Text("")

    def without(self, names: Sequence[str]) -> Sheet:
        """The table without some of its columns, and without its title."""
        keep = [at for at, name in enumerate(self.columns) if name not in names]
        rows = [[row[at] for at in keep] for row in self.rows]
        return Sheet("", [self.columns[at] for at in keep], rows, [self.kinds[at] for at in keep])


@frozen
class Frame:
    """How a table is laid out: the width of each column, which stand to the right, and what is between them."""

    widths: Sequence[int]
    right: Sequence[bool]
    gap: int
    edge: str


def frame_of(sheet: Sheet, width: int, *, dense: bool) -> Frame | None:
    """The layout of a table within ``width`` columns of the screen; None where it does not fit.

    Args:
        sheet: the table.
        width: of the screen.
        dense: whether one space between columns is enough.
    """
    cells = [[cell(value) for value in row] for row in sheet.rows]
    for gap in GAPS if dense else GAPS[:-1]:
        edge = " " if gap > 1 else ""
        widths = _widths(sheet, cells, width - gap * (len(sheet.columns) - 1) - len(edge))
        if widths is not None:
            return Frame(widths, [kind is Kind.NUMBER for kind in sheet.kinds], gap, edge)
    return None


def _widths(sheet: Sheet, cells: Sequence[Sequence[str]], room: int) -> list[int] | None:
    whole, widths = [], []
    for at, (name, kind) in enumerate(zip(sheet.columns, sheet.kinds, strict=True)):
        longest = max((_width(row[at]) for row in cells), default=0)
        word = max((_longest_word(row[at]) for row in cells), default=0)
        least = max(min(longest, TEXT_LEAST), min(word, WORD_MOST)) if kind is Kind.TEXT else longest
        whole.append(max(longest, cell_len(name)))
        widths.append(max(_longest_word(name), least))
    spare = room - sum(widths)
    if spare < 0:
        return None
    for texts in (True, False):  # texts first: a folded header costs one line, a folded text one in each row
        for at, kind in enumerate(sheet.kinds):
            if (kind is Kind.TEXT) is texts:
                more = min(spare, whole[at] - widths[at])
                widths[at] += more
                spare -= more
    return widths


def _grid(sheet: Sheet, frame: Frame) -> Iterator[Text]:
    headers = [wrapped(name, width) for name, width in zip(sheet.columns, frame.widths, strict=True)]
    deep = max(map(len, headers))
    yield from _lines([[""] * (deep - len(lines)) + lines for lines in headers], frame, style="bold")
    yield _line(frame.edge + "─" * (sum(frame.widths) + frame.gap * (len(frame.widths) - 1)))
    for row in sheet.rows:
        folded = [wrapped(cell(value), width) for value, width in zip(row, frame.widths, strict=True)]
        yield from _lines(folded, frame)
    yield Text("")


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    kinds: Mapping[str, Kind] | None = None,
    optional: Sequence[str] = (),
) -> Sheet:
    """A table; what a column holds is seen from its values unless ``kinds`` says it."""
    rows = [list(row) for row in rows]
    given = kinds or {}
    found = [given.get(name) or _kind([row[at] for row in rows]) for at, name in enumerate(columns)]
    return Sheet(title, list(columns), rows, found, optional)


def _kind(values: Sequence[object]) -> Kind:
    """Numbers, with or without a unit, are numbers; what has a space or is long is text; the rest are words."""
    known = [value for value in values if value is not None and value != ""]
    if known and all(_is_number(value) for value in known):
        return Kind.NUMBER
    shown = [cell(value) for value in known]
    return Kind.TEXT if any(" " in text or "\n" in text or len(text) > WORD_MOST for text in shown) else Kind.WORD


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value) is not None)


def _raw(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(value)
    return value if isinstance(value, int) else cell(value)


# ---- name and value --------------------------------------------------------------------------------------------------


@frozen
class Facts:
    """Name and value, one pair a line; a long value is folded beside its name or stands below it."""

    title: str
    pairs: Sequence[tuple[str, str]]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """The pairs, in the width that there is."""
        if self.title:
            yield from _folded(self.title, options.max_width, style="bold")
        yield from _named(self.pairs, options.max_width)
        yield Text("")


def facts(title: str, pairs: Mapping[str, object]) -> Facts:
    """Name and value, one pair a line."""
    return Facts(title, [(name, cell(value)) for name, value in pairs.items()])


def _named(pairs: Sequence[tuple[str, str]], width: int) -> Iterator[Text]:
    names = min(max((cell_len(name) for name, _ in pairs), default=0), NAMES_MOST, width // 2)
    for name, value in pairs:
        room = width - names - INDENT
        beside = cell_len(name) <= names and _longest_word(value) <= room
        lines = wrapped(value, room if beside else width - INDENT)
        label = Text(name, style="bold")
        if not beside:
            yield from _folded(name, width, style="bold")
            yield from (_toned_line(" " * INDENT, line, first=at == 0) for at, line in enumerate(lines))
            continue
        label.append(" " * (names + INDENT - cell_len(name)), style="not bold")
        yield _joined(label, toned(lines[0]))
        yield from (_line(" " * (names + INDENT) + line) for line in lines[1:])


# ---- lines -----------------------------------------------------------------------------------------------------------


def _lines(columns: Sequence[Sequence[str]], frame: Frame, style: str = "") -> Iterator[Text]:
    """The lines of one row: as many as its deepest cell has."""
    for at in range(max(map(len, columns))):
        made = _line(frame.edge)
        for number, (lines, width) in enumerate(zip(columns, frame.widths, strict=True)):
            text = lines[at] if at < len(lines) else ""
            pad = " " * (width - cell_len(text))
            made.append(" " * (frame.gap if number else 0))
            made.append(pad if frame.right[number] else "")
            made.append_text(Text(text, style=style) if style or at else toned(text))
            made.append("" if frame.right[number] else pad)
        made.rstrip()
        yield made


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _joined(first: Text, second: Text) -> Text:
    made = _line("")
    return made.append_text(first).append_text(second)


def _toned_line(indent: str, text: str, *, first: bool) -> Text:
    return _joined(Text(indent), toned(text) if first else Text(text))


def _folded(text: str, width: int, style: str = "") -> Iterator[Text]:
    return (_line(line, style) for line in wrapped(text, width))


def _width(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def _longest_word(text: str) -> int:
    return max((cell_len(word) for word in text.split()), default=0)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` columns of the screen: broken at spaces, within a word only where it has no room."""
    lines: list[str] = []
    for part in text.split("\n"):
        line, used = "", 0
        for word in part.split(" "):
            size = cell_len(word)
            if used and used + 1 + size <= width:
                line, used = f"{line} {word}", used + 1 + size
                continue
            if line:
                lines.append(line)
            *full, word = _pieces(word, max(1, width))  # noqa: PLW2901
            lines += full
            line, used = word, cell_len(word)
        lines.append(line)
    return lines


def _pieces(word: str, width: int) -> list[str]:
    pieces, piece, used = [], "", 0
    for character in word:
        size = cell_len(character)
        if piece and used + size > width:
            pieces.append(piece)
            piece, used = "", 0
        piece, used = piece + character, used + size
    return [*pieces, piece]
