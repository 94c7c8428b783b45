"""A run's manifest for who audits: what is wrong with it, verification of the run says. Standard library only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.reading import LARGE, read_whole
from prometheus.v10.evidence.records.canonical import strict_loads


def manifest_there(run_dir: Path) -> dict[str, Any] | None:
    """The manifest of a run, as plain values; None where there is none that could be read."""
    try:
        found = strict_loads(read_whole(run_dir / Artifact.MANIFEST, at_most=LARGE))
    except (PrometheusError, ValueError):
        return None
    return found if isinstance(found, dict) else None
