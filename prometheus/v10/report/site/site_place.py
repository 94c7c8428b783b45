"""Where a site lies, and what it remembers of its last build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.files import write_atomic
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.records.canonical import strict_loads

SYSTEM_SITE = Path("/var/lib/prometheus-quant-site")
MADE = "made.json"


def site_place(layout: Layout) -> Path:
    """The directory of an installation's site: of a host beside the evidence, which stays read-only to its builder."""
    return SYSTEM_SITE if layout == Layout.system() else layout.lib / "site"


@frozen(kw_only=True)
class Made:
    """What a site was made from: derived, and safe to delete.

    Attributes:
        basis: what all pages follow from (`basis_of`); None before the first build.
        runs: by run id, what its page follows from, and the word of `verify` then.
    """

    basis: dict[str, Any] | None = None
    runs: dict[str, list[str]] = field(factory=dict)


def read_made(out: Path) -> Made:
    """What the last build left; nothing where it cannot be read: everything is then built again."""
    try:
        data = read_if_there(out / MADE, at_most=LARGE)
        said = {} if data is None else strict_loads(data)
        runs, basis = said.get("runs"), said.get("basis")
    except (PrometheusError, ValueError, AttributeError):
        return Made()
    if not isinstance(runs, dict) or not isinstance(basis, dict | None):
        return Made()
    return Made(basis=basis, runs={key: value for key, value in runs.items() if _is_entry(value)})


def _is_entry(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)


def write_made(out: Path, made: Made) -> None:
    """Keep it for the next build.

    Raises:
        HostError: when the disk refuses.
    """
    data = json.dumps(asdict(made), sort_keys=True, indent=1).encode("ascii") + b"\n"
    write_atomic(out / MADE, data, mode=0o644, durable=False)
