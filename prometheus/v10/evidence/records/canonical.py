"""Canonical bytes (contracts, section 5): one value has exactly one spelling, and that spelling is what gets hashed.

Keys sorted, no spaces, ASCII, no NaN or Infinity, floats as ``repr`` spells them. Reading is as strict as writing:
a repeated key, a constant such as ``NaN`` or bytes that are not ASCII are errors: two readers would disagree on them.
Standard library only: the verifier imports this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from math import isfinite
from operator import itemgetter
from typing import Any

spell = json.JSONEncoder(ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")).encode
"""A value of plain JSON as its canonical text: the inner part of `canonical_bytes`, without its check of the keys."""


_KEY = itemgetter(0)
_WORDS = {None: "null", True: "true", False: "false"}
MOST_DEPTH = 100
"""How deep a value is nested that is read: whatever looks into it calls itself so often at most."""


TOO_DEEP = "nested too deeply"


def is_deep(value: object, data: bytes, most: int = MOST_DEPTH) -> bool:
    """Whether ``value``, which was read from ``data``, is nested deeper than ``most``."""
    if data.count(b"{") + data.count(b"[") <= most:
        return False
    level: list[Any] = [value]
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def canonical_bytes(value: object) -> bytes:
    """The one spelling of ``value``, without a newline.

    Raises:
        ValueError: for NaN and infinities.
        TypeError: for what JSON cannot hold, and for keys that are not strings (JSON would turn them into strings).
    """
    _refuse_odd_keys(value)
    return spell(value).encode("ascii")


def canonical_line(value: Mapping[str, object]) -> bytes:
    r"""``canonical_bytes`` and the newline: one line of a JSONL file."""
    return canonical_bytes(value) + b"\n"


def pretty_bytes(value: object) -> bytes:
    """The spelling of artifacts that people open: sorted keys, indent 2, ASCII, no NaN, newline at the end.

    Raises:
        ValueError: for NaN and infinities.
        TypeError: as `canonical_bytes`.
    """
    pieces: list[str] = []
    _lay_out(value, "\n", pieces)
    pieces.append("\n")
    return "".join(pieces).encode("ascii")


def _lay_out(value: object, newline: str, pieces: list[str]) -> None:
    """As ``json.dumps`` does it with an indent, for which that has no fast way: this takes half of the time."""
    if not isinstance(value, dict | list | tuple) or not value:
        pieces.append("{}" if type(value) is dict else spell(value))
        return
    inner = newline + "  "
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"key {key!r} is not a string")
        items = [(f"{quoted(key)}: ", item) for key, item in sorted(value.items(), key=_KEY)]
        before, closed = "{" + inner, newline + "}"
    else:
        items = [("", item) for item in value]
        before, closed = "[" + inner, newline + "]"
    for name, item in items:
        kind = type(item)
        if kind is str:
            pieces.append(f"{before}{name}{quoted(item)}")
        elif kind is int or (kind is float and isfinite(item)):
            pieces.append(f"{before}{name}{item!r}")
        elif item is None or kind is bool:
            pieces.append(f"{before}{name}{_WORDS[item]}")
        else:
            pieces.append(before + name)
            _lay_out(item, inner, pieces)
        before = "," + inner
    pieces.append(closed)


def strict_loads(data: bytes) -> Any:
    """Read JSON as strictly as `canonical_bytes` writes it; spaces and key order are left to `is_canonical`.

    Raises:
        ValueError: for bytes that are not ASCII, a repeated key, NaN or Infinity, what is nested deeper than
            `MOST_DEPTH`, and everything that is not JSON.
    """
    if not data.isascii():
        raise ValueError("not ASCII")
    try:
        value = _DECODER.decode(data.decode("ascii"))
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if is_deep(value, data):
        raise ValueError(TOO_DEEP)
    return value


def is_canonical(data: bytes, value: object) -> bool:
    """Whether ``data`` is the canonical spelling of ``value``, which was read from it."""
    try:
        return spell(value).encode("ascii") == data
    except (ValueError, TypeError, RecursionError):
        return False


def object_of_line(line: bytes) -> dict[str, Any]:
    """What one line of a chained file holds.

    Raises:
        ValueError: when it is not one canonical JSON object and a newline.
    """
    if line[-1:] != b"\n":
        raise ValueError("no newline at the end")
    found = strict_loads(line[:-1])
    if not isinstance(found, dict) or not is_canonical(line[:-1], found):
        raise ValueError("not in canonical form (sorted keys, no spaces, one spelling of each number)")
    return found


def _refuse_odd_keys(value: object) -> None:
    """Refuse keys that are not strings: ``json`` would spell ``1`` and ``"1"`` alike."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"key {key!r} is not a string")
            _refuse_odd_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_odd_keys(item)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; a repeated key is an error."""
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {key!r} is given twice")
            seen.add(key)
    return made


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
