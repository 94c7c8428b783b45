"""Where a site lies, and what it remembers of its last build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.files import write_atomic
from prometheus.v10.base.names import is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.report.site.run_lines import RunLine, line_again

SYSTEM_SITE = Path("/var/lib/prometheus-quant-site")
MADE = "made.json"


def site_place(layout: Layout) -> Path:
    """The directory of an installation's site: of a host beside the evidence, which stays read-only to its builder."""
    return SYSTEM_SITE if layout == Layout.system() else layout.lib / "site"


@frozen(kw_only=True)
class Known:
    """A run that has a page: what it follows from, the word of `verify` then, and the run's line."""

    key: str
    word: str
    line: RunLine


@frozen(kw_only=True)
class Made:
    """What a site was made from: derived, and safe to delete.

    Attributes:
        basis: what all pages follow from (`basis_of`); None before the first build.
        slow: the moment of the ledger at which the pages were built that read every run.
        runs: what is known of the runs that have a page.
    """

    basis: dict[str, Any] | None = None
    slow: str = ""
    runs: dict[str, Known] = field(factory=dict)


def read_made(out: Path) -> Made:
    """What the last build left; nothing where it cannot be read: everything is then built again."""
    try:
        data = read_if_there(out / MADE, at_most=LARGE)
        said = {} if data is None else strict_loads(data)
        runs, basis, slow = said.get("runs"), said.get("basis"), said.get("slow")
    except (PrometheusError, ValueError, AttributeError):
        return Made()
    if not isinstance(runs, dict) or not isinstance(basis, dict | None) or not isinstance(slow, str):
        return Made()
    known = {name: found for name, value in runs.items() if (found := _known(name, value)) is not None}
    return Made(basis=basis, slow=slow, runs=known)


def _known(name: str, value: object) -> Known | None:
    if not is_run_id(name) or not isinstance(value, dict) or set(value) != {"key", "word", "line"}:
        return None
    key, word, line = value["key"], value["word"], value["line"]
    if not (isinstance(key, str) and isinstance(word, str) and isinstance(line, dict)):
        return None
    again = line_again(line)
    return None if again is None or again.run_id != name else Known(key=key, word=word, line=again)


def write_made(out: Path, made: Made) -> None:
    """Keep it for the next build.

    Raises:
        HostError: when the disk refuses.
    """
    data = json.dumps(asdict(made), sort_keys=True, indent=1).encode("ascii") + b"\n"
    write_atomic(out / MADE, data, mode=0o644, durable=False)
