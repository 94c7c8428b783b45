"""What the ledger says of a run's beginning and end is held against the run, field by field.

The run is as it was written. Its entry in the ledger says something else, and the ledger's chain is redone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.verify.verify_contents import REPEATED
from tests.integration.test_forged_history import entries, layout, original, runs, write_ledger

__all__ = ["layout", "original"]  # fixtures

OTHER: dict[str, Callable[[Any], Any]] = {
    "instance": lambda _: "MF", "tier": lambda _: "tier2_full", "stage": lambda _: "stage2",
    "mode": lambda _: "okx_demo", "run_counter": lambda count: count + 5,
    "config_hash": lambda text: text[::-1], "core_hash": lambda text: text[::-1],
    "git_commit": lambda text: text[::-1],
}  # fmt: skip


def test_every_field_that_is_said_twice_has_a_case():
    assert OTHER.keys() == {"instance", "tier", *REPEATED}


def found_by_both(layout: Layout, run: Path) -> list[str]:
    """The sentences of the audit; `verify` of the run alone, which finds the ledger itself, refuses as well."""
    report, alone = audit(layout), verify_path(run)
    assert (report.exit_code, alone.exit_code) == (1, 1), (report.lines(), alone.lines())
    return [*report.lines(), *alone.lines()]


@pytest.mark.parametrize("name", OTHER)
def test_a_beginning_that_is_not_the_runs_is_found(layout: Layout, name: str) -> None:
    run, known = runs(layout)[-1], entries(layout)
    begun = next(one for one in known if one["type"] == "run_started" and one["payload"]["run_id"] == run.name)
    place = begun if name == "instance" else begun["payload"]
    place[name] = OTHER[name](place[name])
    write_ledger(layout, known)
    assert any(f"{name} is " in line for line in found_by_both(layout, run))


@pytest.mark.parametrize("name", ["files", "bytes"])
def test_a_seal_that_counts_otherwise_is_found(layout: Layout, name: str) -> None:
    run, known = runs(layout)[-1], entries(layout)
    sealed = next(one for one in known if one["type"] == "run_sealed" and one["payload"]["run_id"] == run.name)
    sealed["payload"][name] += 1
    write_ledger(layout, known)
    assert any("the ledger sealed" in line for line in found_by_both(layout, run))
