"""Unknown is ``null`` plus a reason (architecture, section 4): the helper that makes the pair, and the check.

A record carries ``null_reasons``, an object from dotted path to reason. Every null of the record has its reason there,
and every reason has its null. A nested object that carries ``null_reasons`` of its own answers for itself: its paths
start at that object, and the outer record does not repeat them. Elements of a list are named by their index
(``parts.3.sha256``). Standard library only, so that an auditor can apply the same check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

KEY = "null_reasons"

T = TypeVar("T")


class Nulls:
    """Collects the reasons of one record while its fields are being filled.

    Attributes:
        reasons: what becomes the record's ``null_reasons``.
    """

    def __init__(self, reasons: Mapping[str, str] | None = None) -> None:
        self.reasons: dict[str, str] = dict(reasons or {})

    def unknown(self, path: str, reason: str) -> Any:
        """Record why the value at ``path`` is not known; returns None, which is the value to write.

        (Typed as Any, so that it may stand where an optional value is assigned.)

        Raises:
            ValueError: for an empty reason, or for a second reason for the same path.
        """
        if not reason.strip():
            raise ValueError(f"{path}: a null needs a reason")
        if self.reasons.setdefault(path, reason) != reason:
            raise ValueError(f"{path}: already null because {self.reasons[path]!r}, not {reason!r}")
        return None

    def known(self, path: str, value: T | None, reason: str) -> T | None:
        """``value`` itself, after recording ``reason`` for ``path`` when it is None."""
        if value is None:
            self.unknown(path, reason)
        return value

    def forget(self, *paths: str) -> None:
        """Drop the reasons of values that have become known."""
        for path in paths:
            self.reasons.pop(path, None)


def owners(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in ``tree`` that answers for its nulls, with its dotted path: the record, then nested ones."""
    yield path, tree
    inner: list[tuple[str, dict[str, Any]]] = []
    _survey(tree, f"{path}." if path else "", [], inner)
    for inner_path, owner in inner:
        yield from owners(owner, inner_path)


def violations(record: dict[str, Any]) -> list[str]:
    """What breaks the rule in a record of plain JSON values, one sentence each, sorted; empty when the rule holds."""
    found: list[str] = []
    for path, owner in owners(record):
        prefix = f"{path}." if path else ""
        reasons = owner.get(KEY, {})
        if not isinstance(reasons, dict):
            found.append(f"{prefix}{KEY} is not an object")
            continue
        paths: list[str] = []
        _survey(owner, "", paths, [])
        nulls = set(paths)
        found += [f"{prefix}{p} is null without a reason" for p in nulls - reasons.keys()]
        found += [f"{prefix}{p} has a reason but is not null" for p in reasons.keys() - nulls]
        found += [
            f"{prefix}{p} has an empty reason" for p, r in reasons.items() if not (isinstance(r, str) and r.strip())
        ]
    return sorted(found)


def _survey(
    value: dict[str, Any] | list[Any], prefix: str, nulls: list[str], nested: list[tuple[str, dict[str, Any]]]
) -> None:
    """Paths of the nulls that ``value`` itself answers for, and the nearest objects below it that answer themselves.

    Every record of a pool passes here once when it is made and again whenever it is read: paths are spelt only where
    there is something to name.
    """
    for name, child in value.items() if isinstance(value, dict) else enumerate(value):
        if name == KEY:
            continue
        if child is None:
            nulls.append(f"{prefix}{name}")
        elif isinstance(child, dict):
            if KEY in child:
                nested.append((f"{prefix}{name}", child))
            elif child:
                _survey(child, f"{prefix}{name}.", nulls, nested)
        elif isinstance(child, list):
            _survey(child, f"{prefix}{name}.", nulls, nested)
