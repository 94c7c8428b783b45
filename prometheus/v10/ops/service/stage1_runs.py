"""Which runs stage 1 has: in the simulated world or at an exchange, whose code is loaded only where it is used."""

from __future__ import annotations

from collections.abc import Callable

from prometheus.v10.base.modes import Mode
from prometheus.v10.runs.control import RunOutcome
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.workload import RunRequest, Surroundings

Runs = Callable[[RunRequest, Surroundings], RunOutcome]
"""Does one run."""


def stage1_in(mode: Mode) -> Runs:
    """What does one run of stage 1: in the simulated world, or at an exchange."""
    if mode is Mode.OFFLINE:
        return run_stage1
    from prometheus.v10.ops.service.exchange_service import run_at_exchange  # noqa: PLC0415  (a tenth of a second)

    return run_at_exchange
