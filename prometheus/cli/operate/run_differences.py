"""What makes two runs different: what was asked of them, in the order in which it matters, then what came out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import PrometheusError

Difference = tuple[str, str, str, str]
"""What it concerns, the key, and both values as text."""
Figure = tuple[str, float, float, float]
ABSENT = "-"
LONGEST = 60
"""Characters of a value in the table; the data have it whole."""
PLACES = (
    ("core", ("core_hash",)),
    ("image", ("image_digest",)),
    ("commit", ("git_commit", "git_dirty")),
    ("bars", ("market.sha256", "market.source", "market.symbol", "market.timeframe_s", "market.rows")),
    ("window", ("window.name", "window.start", "window.len")),
    ("arm", ("arm", "ablation.name")),
    ("seeds", ("seeds",)),
    ("founding", ("founding.policy", "founding.snapshot")),
)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Everything that differs between what two manifests ask for: the config key by key, then the rest.

    Args:
        first: a manifest as plain values.
        second: the other one.
    """
    found = [("config", *one) for one in _of_trees(first.get("config"), second.get("config"))]
    if not found and first.get("config_hash") != second.get("config_hash"):
        found.append(("config", "config_hash", _text(first.get("config_hash")), _text(second.get("config_hash"))))
    for what, keys in PLACES:
        for key in keys:
            one, other = _at(first, key), _at(second, key)
            if one != other:
                found.append((what, key, _text(one), _text(other)))
    return found


def figures_of_both(first: Path, second: Path) -> tuple[list[Figure], str | None]:
    """Medians of both runs and Cliff's delta, figure by figure; none, and why, where one has no summary.

    They need numpy, which an installed host does not have: there the image compares figures (``report``).
    """
    try:
        from prometheus.v10.evidence.records.summary import quantiles  # noqa: PLC0415
        from prometheus.v10.report.ecology import compare, read_ecology  # noqa: PLC0415
    except ImportError:
        return [], "they need numpy; prometheus-quant report compares them"
    try:
        one, other = read_ecology(first), read_ecology(second)
        deltas = compare(one, other)
    except PrometheusError as error:
        return [], error.message
    rows: list[Figure] = []
    for name in one.figures:
        first_median, second_median = (quantiles(run.figures[name])["median"] for run in (one, other))
        rows.append((name, _short(first_median), _short(second_median), round(deltas[name], 3)))
    return rows, None


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _of_trees(first: Any, second: Any) -> Iterator[tuple[str, str, str]]:
    one, other = dict(_leaves(first)), dict(_leaves(second))
    for key in sorted({*one, *other}):
        if key not in one or key not in other or one[key] != other[key]:
            yield key, _text(one.get(key)), _text(other.get(key))


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{path}.{name}" if path else str(name))
    elif path:
        yield path, tree


def _at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _text(value: Any) -> str:
    if value is None:
        return ABSENT
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= LONGEST + 4 else f"{text[:LONGEST]} ... ({len(text)} characters)"
