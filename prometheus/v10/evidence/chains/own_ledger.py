"""Which ledger a run or a gate is held against when it is verified by itself. Standard library only."""

from __future__ import annotations

import json
from pathlib import Path

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import LEDGER_FILE, Artifact
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.chains.ledger_view import LedgerView, read_ledger
from prometheus.v10.evidence.records.findings import VerifyReport

ROOMS = frozenset(["gates", *(tier.root_name for tier in Tier)])
"""Names of the directories of a root in which runs and gates lie."""


def ledger_of(run_dir: Path, report: VerifyReport, given: LedgerView | None, *, look: bool) -> LedgerView | None:
    """The ledger to hold a run or a gate against.

    It is the one given; else that of the root in which the directory really lies; else that of the root that its
    manifest names, where that is here and knows the run. A directory that lies in a root without a ledger could not be
    checked; one that lies by itself, as a copy does, gets a note.

    Args:
        run_dir: the run or gate.
        report: hears what could not be checked.
        given: what the caller read already.
        look: whether to look for one.
    """
    if given is not None or not look:
        return given
    # As it is named first: what lies behind another process's root (/proc/PID/root) has no name that could be resolved.
    places = (run_dir.absolute(), run_dir.resolve())
    for place in places:
        if _beside(place).is_file():
            return read_ledger(_beside(place), report)
    said = _said_place(run_dir)
    if said is not None and _beside(said).is_file():
        view = read_ledger(_beside(said), VerifyReport(run_dir, "ledger"))
        if view is not None and (run_dir.name in view.seals or run_dir.name in view.started):
            return view
    if any(place.parent.name in ROOMS for place in places):
        report.error(
            run_dir,
            f"there is no ledger at {_beside(places[0])}: whether this is what was sealed cannot be checked; --alone "
            "verifies what it says of itself",
        )
    else:
        report.note(run_dir, "not checked against a ledger: it lies by itself, and its root is not here")
    return None


def _beside(run_dir: Path) -> Path:
    return run_dir.parent.parent / "state" / LEDGER_FILE


def _said_place(run_dir: Path) -> Path | None:
    """Where the manifest says that the run was written."""
    try:
        data = read_if_there(run_dir / Artifact.MANIFEST.value, at_most=LARGE)
        said = json.loads(data or b"null")["results_dir"]
    except (PrometheusError, OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    named = isinstance(said, str) and said.startswith("/") and "\0" not in said and Path(said).name == run_dir.name
    return Path(said) if named else None
