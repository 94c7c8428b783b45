"""Typed parsing before use: what a JSON value is, before anything is done with it. Standard library only."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from prometheus.v10.evidence.records.canonical import spell

SHA256 = re.compile(r"[0-9a-f]{64}")
_FIRST, _PAST = -(2**63), 2**63


def is_int(value: object) -> TypeGuard[int]:
    """Whether it is a whole number of 64 bits (true and false are none)."""
    return type(value) is int and _FIRST <= value < _PAST


def is_count(value: object) -> TypeGuard[int]:
    """Whether it is a whole number of 64 bits that is not negative."""
    return type(value) is int and 0 <= value < _PAST


def is_real(value: object) -> TypeGuard[float]:
    """Whether it is a finite number that is spelt as a real one."""
    return type(value) is float and math.isfinite(value)


def is_sha256(value: object) -> TypeGuard[str]:
    """Whether it is a sha256 in lower-case hexadecimal."""
    return type(value) is str and SHA256.fullmatch(value) is not None


def is_text(value: object) -> bool:
    """Whether it is a text."""
    return type(value) is str


def same(left: object, right: object) -> bool:
    """Whether two plain values are equal with equal types: 1, 1.0 and true are three values; NaN equals nothing."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def differing(found: object, derived: object, path: str = "") -> list[str]:
    """Where two plain values differ: ``path is found, derived expected``, one sentence a leaf.

    One spelling is one value, so that most calls end with one comparison of texts.
    """
    try:
        if spell(found) == spell(derived):
            return []
    except (ValueError, TypeError, RecursionError):
        pass  # what JSON cannot hold differs leaf by leaf
    return _leaves(found, derived, path)


def _leaves(found: object, derived: object, path: str) -> list[str]:
    if isinstance(found, dict) and isinstance(derived, dict):
        sentences = []
        for name in sorted(found.keys() | derived.keys()):
            at = f"{path}.{name}" if path else str(name)
            if name not in found:
                sentences.append(f"{at} is missing")
            elif name not in derived:
                sentences.append(f"{at} is not a field of it")
            else:
                sentences += _leaves(found[name], derived[name], at)
        return sentences
    if isinstance(found, list) and isinstance(derived, list) and len(found) == len(derived):
        return [
            sentence
            for index, (one, other) in enumerate(zip(found, derived, strict=True))
            for sentence in _leaves(one, other, f"{path}.{index}")
        ]
    return [] if same(found, derived) else [f"{path} is {shown(found)}, derived is {shown(derived)}"]


def plain_json(text: str | bytes) -> object:
    """A text as JSON; None for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def shown(value: object) -> str:
    """A value for a finding: short, and in ASCII."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = ascii(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def table(value: object) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one: for looking up what was found to be missing elsewhere."""
    return value if isinstance(value, dict) else {}
