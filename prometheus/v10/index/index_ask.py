"""The shipped questions (``datasette.json``), answered here as datasette would: by name, with at most one value.

Standard library only: an installed host answers them with its own Python.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from attrs import frozen

from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.index.index_file import failed, file_of, meta, reading
from prometheus.v10.index.index_read import as_of_text, pool_as_of

SHIPPED = files("prometheus.v10.index") / "datasette.json"


@frozen
class Question:
    """A question to a file of the index.

    Attributes:
        base: the file's name without its suffix.
        wants: name of the value that it takes; None for a question that takes none.
    """

    name: str
    title: str
    base: str
    sql: str
    wants: str | None


@frozen(kw_only=True)
class Told:
    """What came of a question.

    Attributes:
        columns: names of the columns of ``rows``.
        more: whether there are rows beyond the last one.
        as_of: up to where the index speaks.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool
    as_of: str


@cache
def questions() -> Mapping[str, Question]:
    """Every question by its name."""
    found: dict[str, Question] = {}
    for base, one in json.loads(SHIPPED.read_text("utf-8"))["databases"].items():
        for name, query in one["queries"].items():
            wants = dict.fromkeys(re.findall(r":([a-z]\w*)", query["sql"]))
            found[name] = Question(name, query["title"], base, query["sql"], next(iter(wants), None))
    return found


def question(name: str, value: str | None) -> Question:
    """A question by its name, to be asked with a value or without.

    Raises:
        UsageError: when there is no such question, or it takes another number of values.
    """
    if name not in questions():
        alike = [one for one in questions() if name in one]
        hint = f"there are: {', '.join(questions())}"
        raise UsageError(f"no question {printable(name)!r}", hint=f"did you mean {alike[0]}? {hint}" if alike else hint)
    one = questions()[name]
    if one.wants is not None and value is None:
        raise UsageError(f"{name} wants a value: {one.wants}", hint=f"prometheus-quant index ask {name} VALUE")
    if one.wants is None and value is not None:
        raise UsageError(f"{name} takes no value", hint=f"prometheus-quant index ask {name}")
    return one


def ask(layout: Layout, asked: Question, value: str | None, limit: int) -> Told | None:
    """The answer to a question; None where its file of the index is not there.

    Args:
        layout: of the installation.
        asked: the question.
        value: the value that it wants, as text; SQLite compares it with a number as one.
        limit: most rows that are given back.

    Raises:
        HostError: when the file cannot be read.
    """
    place = file_of(layout, f"{asked.base}.sqlite")
    with reading(layout, place.name) as db:
        if db is None:
            return None
        given = {} if asked.wants is None else {asked.wants: value}
        try:
            cursor = db.execute(asked.sql, given)
            rows = cursor.fetchmany(limit + 1)
        except sqlite3.Error as error:
            raise failed(error, place) from error
        columns = tuple(str(one[0]) for one in cursor.description)
        said = meta(db)
        as_of = pool_as_of(said) if "n" in said else as_of_text(said)
        return Told(columns=columns, rows=rows[:limit], more=len(rows) > limit, as_of=as_of)
