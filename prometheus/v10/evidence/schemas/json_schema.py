"""The JSON Schema (draft 2020-12) of a record class: attrs' or, where the standard library must do, a dataclass.

1. A field's type gives ``type``; a nested record is spelt out in place; what `shapes` says is laid over it.
2. A field without a default is required. So are ``schema``, ``type`` and ``ts_basis``, whose defaults are constants,
   and ``null_reasons``: every version writes them. Other fields with a default came later, and old records lack them.
3. A class with ``extra`` is evidence and keeps unknown keys; one without is closed.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

from prometheus.v10.evidence.schemas.schema_file import DIALECT
from prometheus.v10.evidence.schemas.shapes import ABSENT, RECORD, SHAPE, SINCE

ALWAYS = frozenset(["schema", "type", "ts_basis"])
"""Names of fields whose default is the only value that they have."""
EXTRA, NULL_REASONS = "extra", "null_reasons"
_PLAIN: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema(cls: type, name: str) -> dict[str, Any]:
    """The schema of a record class under the name of its file.

    Raises:
        TypeError: for a field whose type has no place in JSON.
    """
    first = (cls.__doc__ or name).strip().splitlines()[0]
    return {"$schema": DIALECT, "$id": name, "title": cls.__name__, "description": first, **_record(cls)}


def _record(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    fields = {field.name: field for field in _fields(cls)}
    properties: dict[str, Any] = {}
    required, since = [], []
    for name, field in fields.items():
        if name == EXTRA:
            continue
        properties[name] = _laid_over(_of_type(hints[name], f"{cls.__name__}.{name}"), field.metadata)
        if name in ALWAYS and not field.metadata and _has_default(field):
            properties[name]["const"] = getattr(field.default, "value", field.default)
        elif name == "schema" and not field.metadata:
            raise TypeError(f"{cls.__name__}: its schema is neither a default nor a list of words")
        if name in ALWAYS or name == NULL_REASONS or not _has_default(field):
            required.append(name)
        if field.metadata.get(SINCE):
            since.append(name)
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": sorted(required)}
    if EXTRA not in fields:
        schema["additionalProperties"] = False
    if since:
        schema[SINCE] = sorted(since)
    return schema


def _fields(cls: type) -> list[Any]:
    """The fields that are given when a record is made; what is worked out from them is not written."""
    found = attrs.fields(cls) if attrs.has(cls) else dataclasses.fields(cls)
    return [field for field in found if field.init]


def _has_default(field: Any) -> bool:
    if isinstance(field, attrs.Attribute):
        return field.default is not attrs.NOTHING
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _of_type(hint: Any, where: str) -> dict[str, Any]:
    """What a type says of a value."""
    origin, members = get_origin(hint), get_args(hint)
    if hint is Any or hint in _PLAIN:
        return {} if hint is Any else {"type": _PLAIN[hint]}
    if origin in {Union, types.UnionType}:
        return _or_null([one for one in members if one is not type(None)], where)
    if origin in {list, tuple}:
        return {"type": "array", "items": _of_type(members[0], f"{where}.*")}
    if origin in {dict, Mapping}:
        inner = _of_type(members[1], f"{where}.*")
        return {"type": "object", **({"additionalProperties": inner} if inner else {})}
    if isinstance(hint, type) and (attrs.has(hint) or dataclasses.is_dataclass(hint)):
        return _record(hint)
    raise TypeError(f"{where}: {hint!r} has no place in a schema")


def _or_null(members: list[Any], where: str) -> dict[str, Any]:
    if len(members) != 1:
        raise TypeError(f"{where}: one type or null, not {len(members)} types")
    schema = _of_type(members[0], where)
    return {**schema, "type": [schema["type"], "null"]}


def _laid_over(schema: dict[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a field with what its class says beyond the type."""
    if (other := metadata.get(RECORD)) is not None:
        schema = {key: value for key, value in _record(other).items() if key != "additionalProperties"}
    nullable = isinstance(schema.get("type"), list)
    if nullable and metadata.get(ABSENT):
        schema = {**schema, "type": schema["type"][0]}
        nullable = False
    found = _merged(schema, metadata.get(SHAPE, {}))
    if nullable and "enum" in found and None not in found["enum"]:
        found["enum"] = [*found["enum"], None]
    return found


def _merged(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(one)
    for key, value in other.items():
        before = found.get(key)
        found[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found
