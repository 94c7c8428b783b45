"""What a survival curve says of strata: ticks that add up from line to line, and names that a run's manifest gives.

A line without strata was written by an earlier version, or closes a run that could not say. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.derive.eras.stratum import strata_of
from prometheus.v10.evidence.derive.typed import is_count, table
from prometheus.v10.evidence.records.canonical import strict_loads

STRATUM, TICKS, SINCE = "stratum", "stratum_ticks", "stratum_ticks_since_previous"


class StratumTicks:
    """Ticks lived in each stratum, and at its last collapse, as far as the lines before say."""

    def __init__(self) -> None:
        self._lived: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self.grown: dict[str, dict[str, int]] = {}  # by run: ticks that each stratum grew by

    def wrong_collapse(self, line: dict[str, Any]) -> str | None:
        """What does not follow from the lines before; None when all does."""
        name, ticks, since = (line.get(key) for key in (STRATUM, TICKS, SINCE))
        if name is None:
            return None if ticks is None and since is None else f"{TICKS} without {STRATUM}"
        if not isinstance(name, str) or not is_count(ticks) or ticks <= self._lived.get(name, 0):
            return f"{TICKS} is {ticks!r}, not after the runs before"
        before = self._last.get(name)
        self._last[name] = ticks
        expected = None if before is None else ticks - before
        return None if since == expected else f"{SINCE} is {since!r}, expected {expected}"

    def wrong_run(self, line: dict[str, Any]) -> str | None:
        """What does not follow from the lines before; None when all does."""
        strata, main = line.get("strata"), line.get(STRATUM)
        if strata is None:
            return None if main is None else f"{STRATUM} without strata"
        if not isinstance(strata, dict) or main not in strata or not all(is_count(one) for one in strata.values()):
            return "strata are not counts of ticks, or do not have the stratum"
        grown = {name: ticks - self._lived.get(name, 0) for name, ticks in strata.items()}
        falls = any(ticks < max(self._lived.get(name, 0), self._last.get(name, 0)) for name, ticks in strata.items())
        self._lived.update(strata)
        self.grown[line["run_id"]] = grown
        return "ticks of a stratum fall" if falls else None


def wrong_strata(
    run: Path, line: dict[str, Any], grown: Mapping[str, int], collapsed: Iterable[tuple[int, object]]
) -> str | None:
    """What a run's manifest and summary say otherwise than its lines; None where they agree, or either does not say.

    Args:
        run: its directory.
        line: that closes the run in the curve.
        grown: ticks that each stratum grew by with it.
        collapsed: experiment and stratum of each of its collapses.
    """
    strata = table(line.get("strata"))
    data, rows = (read_if_there(run / one, at_most=LARGE) for one in (Artifact.MANIFEST, Artifact.SUMMARY))
    if not strata or data is None or rows is None:
        return None
    try:
        named = strata_of(table(strict_loads(data)))
    except PrometheusError as error:
        return error.message
    if set(named) != set(strata) or line.get(STRATUM) != named[0]:
        return f"its strata are not {', '.join(sorted(set(named)))}, as its manifest says"
    for experiment, name in collapsed:
        if experiment >= len(named) or name != named[experiment]:
            return f"the collapse of experiment {experiment} is of stratum {name}, its manifest says another"
    lived = dict.fromkeys(named, 0)
    for row in strict_loads(rows)["all_stats"]:
        lived[named[row["experiment"]]] += row["ticks"]
    return None if lived == grown else f"its strata grew by {dict(grown)} ticks, its experiments lived {lived}"
