"""What makes two runs different: what was asked of them, in the order in which it matters, then what came out.

Standard library only: an installed host compares runs with its own Python.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from prometheus.v10.evidence.records.figures import quantiles
from prometheus.v10.report.cliff import cliffs_delta
from prometheus.v10.report.experiment_figures import Row, figures_by_name

Difference = tuple[str, str, str, str]
"""What it concerns, the key, and both values as text."""
FIRST = ("config", "core", "image", "bars")
"""What must be the same where figures are compared for anything else."""
ABSENT = "-"
LONGEST = 60
"""Characters of a value that are shown."""
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


def kinds_of(found: Sequence[Difference]) -> list[str]:
    """What differs, each once, in the order in which it matters: `FIRST` before the rest."""
    kinds = list(dict.fromkeys(what for what, *_ in found))
    return [*(one for one in FIRST if one in kinds), *(one for one in kinds if one not in FIRST)]


class Compared(NamedTuple):
    """A figure of two runs: quantiles over their experiments (`quantiles`), and Cliff's delta of the first."""

    name: str
    first: Mapping[str, float]
    second: Mapping[str, float]
    delta: float


def figures_of_both(first: Sequence[Row], second: Sequence[Row]) -> tuple[list[Compared], str | None]:
    """Both runs figure by figure; none, and why, where one has no whole summary.

    Args:
        first: plain rows of a run's summary, one an experiment.
        second: those of the other one.
    """
    if not first or not second:
        which = "neither run has a" if not first and not second else f"the {'second' if first else 'first'} run has no"
        return [], f"{which} summary of an experiment"
    try:
        one, other = figures_by_name(first), figures_by_name(second)
        compared = [
            Compared(name, quantiles(values), quantiles(other[name]), cliffs_delta(values, other[name]))
            for name, values in one.items()
        ]
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        return [], f"a summary is not what it should be: {error!r}"
    return compared, None


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
