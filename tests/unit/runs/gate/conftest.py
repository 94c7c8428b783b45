"""Gates small enough to do many of."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.gate.design import GateDesign
from prometheus.v10.gate.gate_run import GateOutcome, run_gate
from prometheus.v10.runs.workers.cluster import open_executor
from prometheus.v10.runs.workers.hands import Hands, Progress

SMALL: dict[str, Any] = {
    "name": "small",
    "ablations": ["M_zeroed"],
    "fences": ["FENCE_CORE_LONG_ONLY"],
    "market": {"source": "synthetic", "timeframe_s": 3600, "seed": 4, "bars": 360},
    "windows": [{"name": "W1", "start": 0, "len": 180}, {"name": "W2", "start": 180, "len": 180}],
    "world": {"founders": 6, "review_ticks": 60, "death_roi": -0.05, "breed_roi": 0.01},
    "paths": {"count": 41, "seeds": 2},
    "signs": {"draws": 5},
}


def small(**changes: Any) -> GateDesign:
    """The small design with top-level keys or tables changed; None takes a key out."""
    merged = {**SMALL}
    for key, value in changes.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return structure_config({k: v for k, v in merged.items() if v is not None}, GateDesign, source="small")


def no_tail(*_: object) -> None:
    raise AssertionError("a torn ledger")


def do_gate(
    layout: Layout, design: GateDesign, *, workers: int = 1, stop_after: int | None = None, ahead: int = 2
) -> GateOutcome:
    """One gate, stopped once so many experiments are on the disk."""
    layout.prepare()
    seen = [0]

    def told(progress: Progress) -> None:
        seen[0] = progress.done

    with open_executor(workers) as executor:
        hands = Hands(
            executor=executor,
            ahead=ahead,
            stop=lambda: stop_after is not None and seen[0] >= stop_after,
            told=told,
        )
        ledger = InstallationLedger(layout, clock=SystemClock(), instance="T", on_torn=no_tail)
        return run_gate(design, layout, clock=SystemClock(), ledger=ledger, hands=hands)


@pytest.fixture(name="small", scope="session")
def small_fixture():
    return small


@pytest.fixture(name="do_gate")
def do_gate_fixture(layout):
    return partial(do_gate, layout)


@pytest.fixture(name="gate_in", scope="session")
def gate_in_fixture():
    """A gate in a tree that the caller names."""
    return do_gate
