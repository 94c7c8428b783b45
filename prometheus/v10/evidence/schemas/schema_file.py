"""The schemas of records as files beside this module, and a check of a value against one of them.

A schema is read when it is first asked for, once, and made into functions, so that a check costs little more than the
look at each value. Exactly the keywords of `KEYWORDS` are understood; another one in a file is an error, so that
nothing that a schema says is passed over. Numbers are told apart as canonical text does: 1 is an integer, 1.0 is none.
Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SUFFIX = ".schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
KEYWORDS = frozenset([
    "$schema", "$id", "title", "description", "type", "required", "properties", "additionalProperties", "items", "enum",
    "const", "pattern", "minimum", "maximum", "maxLength", "since_installation",
])  # fmt: skip
"""What `json_schema` emits; the last is our own, which other validators take for a note."""
SHOWN = 80
LACKS = "is missing"

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "object": (dict,),
    "array": (list,), "null": (type(None),),
}  # fmt: skip

Wrong = tuple[str, str]
"""Where (a dotted path), and what is wrong there."""
Check = Callable[[Any], list[Wrong]]
_FINE: list[Wrong] = []


@dataclass(frozen=True)
class RecordSchema:
    """The schema of one record.

    Attributes:
        name: of its file, without `SUFFIX`.
        fields: every field that its class knows.
        required: those that it must have.
        since: those of ``required`` that only ledger entries after the installation's owe.
        closed: whether it may have no others.
    """

    name: str
    fields: frozenset[str]
    required: frozenset[str]
    since: frozenset[str]
    closed: bool
    by_field: Mapping[str, Check]

    def wrong(self, value: object, *, left_out: Collection[str] = ()) -> list[str]:
        """Everything that is wrong with a value, one sentence each; empty when it is such a record.

        Args:
            value: plain JSON.
            left_out: fields that it may lack, and is not asked for.
        """
        if type(value) is not dict:
            return ["it is not an object"]
        found = _inside(value, self.by_field, closed=self.closed)
        if not self.required <= value.keys():
            found = [*((name, LACKS) for name in sorted(self.required - value.keys()) if name not in left_out), *found]
        return [f"{_plain(path)} {what}" for path, what in found]

    def first(self, value: object, *, left_out: Collection[str] = ()) -> str | None:
        """The first thing that is wrong with a value; None when it is such a record."""
        found = self.wrong(value, left_out=left_out)
        return found[0] if found else None


@cache
def schema_of(name: str) -> RecordSchema:
    """The schema of a record by the name of its file, or by its ``schema`` (``run_manifest/2``).

    Raises:
        ValueError: when the file holds a keyword that is not understood, or there is no such file.
    """
    stem = name.split("/", 1)[0]
    try:
        data = Path(__file__).with_name(stem + SUFFIX).read_text(encoding="ascii")
    except OSError as error:
        raise ValueError(f"the package has no schema {stem}: {error.strerror}") from error
    return compiled(stem, json.loads(data))


def compiled(name: str, schema: Mapping[str, Any]) -> RecordSchema:
    """The schema of a record from its parsed text.

    Raises:
        ValueError: when it holds a keyword that is not understood.
    """
    _refuse_odd(schema, name)
    properties = schema.get("properties", {})
    return RecordSchema(
        name=name,
        fields=frozenset(properties),
        required=frozenset(schema.get("required", ())),
        since=frozenset(schema.get("since_installation", ())),
        closed=schema.get("additionalProperties") is False,
        by_field={field: _check(inner, f"{name}.{field}") for field, inner in properties.items()},
    )


def _refuse_odd(schema: Mapping[str, Any], where: str) -> None:
    if odd := sorted(schema.keys() - KEYWORDS):
        raise ValueError(f"schema {where}: the keyword {odd[0]!r} is not understood")


def _check(schema: Mapping[str, Any], where: str) -> Check:
    """What a value must be, as one function."""
    _refuse_odd(schema, where)
    names = schema.get("type", [])
    types = frozenset(kind for name in ([names] if isinstance(names, str) else names) for kind in _TYPES[name])
    further = [*_of_values(schema), *_of_parts(schema, where)]
    only = further[0] if len(further) == 1 else None

    def check(value: Any) -> list[Wrong]:
        if type(value) not in types and types:
            return [("", "is null, and may not be" if value is None else f"is {_shown(value)}, not of its type")]
        if not further or value is None:
            return _FINE
        if only is not None:
            return only(value)
        for one in further:
            if found := one(value):
                return found
        return _FINE

    return check


def _of_values(schema: Mapping[str, Any]) -> list[Check]:
    """Keywords that look at one text or number."""
    checks: list[Check] = []
    if "const" in schema:
        wanted = schema["const"]
        checks.append(lambda value: _FINE if value == wanted else [("", f"is {_shown(value)}, not {_shown(wanted)}")])
    if "enum" in schema:
        known = tuple(schema["enum"])
        said = f"not one of {', '.join(str(one) for one in known if one is not None)}"
        checks.append(lambda value: _FINE if value in known else [("", f"is {_shown(value)}, {said}")])
    if "pattern" in schema:
        form = re.compile(schema["pattern"]).fullmatch
        checks.append(lambda value: _FINE if form(value) else [("", f"is {_shown(value)}, which it cannot be")])
    if "maxLength" in schema:
        most = schema["maxLength"]
        checks.append(lambda value: _FINE if len(value) <= most else [("", f"is {_shown(value)}, which is too long")])
    if "minimum" in schema or "maximum" in schema:
        least, largest = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
        out = "which is out of its range"
        checks.append(lambda value: _FINE if least <= value <= largest else [("", f"is {_shown(value)}, {out}")])
    return checks


def _of_parts(schema: Mapping[str, Any], where: str) -> list[Check]:
    """Keywords that look into lists and objects."""
    checks: list[Check] = []
    if "items" in schema:
        item = _check(schema["items"], f"{where}.*")
        checks.append(lambda value: [
            (_at(str(place), path), what) for place, one in enumerate(value) for path, what in item(one)
        ])  # fmt: skip
    if "required" in schema:
        required = frozenset(schema["required"])
        checks.append(lambda value: _lacking(value, required))
    if "properties" in schema:
        fields = {name: _check(inner, f"{where}.{name}") for name, inner in schema["properties"].items()}
        closed = schema.get("additionalProperties") is False
        checks.append(lambda value: _inside(value, fields, closed=closed))
    elif isinstance(more := schema.get("additionalProperties"), dict):
        every = _check(more, f"{where}.*")
        checks.append(lambda value: [
            (_at(str(name), path), what) for name, one in value.items() for path, what in every(one)
        ])  # fmt: skip
    return checks


def _lacking(value: Mapping[str, Any], required: frozenset[str]) -> list[Wrong]:
    return _FINE if required <= value.keys() else [(name, LACKS) for name in sorted(required - value.keys())]


def _inside(value: Mapping[str, Any], fields: Mapping[str, Check], *, closed: bool) -> list[Wrong]:
    found: list[Wrong] = []
    for name, one in value.items():
        check = fields.get(name)
        if check is not None:
            if wrong := check(one):
                found += [(_at(name, path), what) for path, what in wrong]
        elif closed:
            found.append((name, "is not a field of it"))
    return found


def _at(name: str, path: str) -> str:
    return f"{name}.{path}" if path else name


def _plain(path: str) -> str:
    """A path that may hold foreign names, as one short line of ASCII."""
    return path if len(path) <= SHOWN and path.isascii() and path.isprintable() else _shown(path)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
