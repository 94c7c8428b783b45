"""Close the runs that an instance left cut off, and end: for an instance that systemd does not start again.

    python -m prometheus.v10.ops.close_run stage1-HF [--root DIR]

A killed instance that is started again closes them itself (`ops.instance.interrupted`). One that is not, because
the kill switch is pulled, or it was started too often, or its end forbids a restart, is closed by this, from the unit
that systemd starts when a stage failed. The kill switch does not keep it away: it begins nothing. Exit codes are those
of contracts, section 6; 75 when the instance is at work after all, which then closes them.
"""

from __future__ import annotations

if __name__ == "__main__":  # before anything else is imported
    from prometheus.v10.base.isolation import isolate

    isolate("prometheus.v10.ops.close_run")

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.error_lines import error_lines
from prometheus.v10.base.errors import ExitCode, PrometheusError, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.instance.interrupted import Closed
from prometheus.v10.ops.service.session import close_cut_off, locked
from prometheus.v10.runs.request.profile import load_profile


def parse_name(name: str) -> tuple[Stage, str]:
    """``stage1-HF`` as stage and instance.

    Raises:
        UsageError: for anything else.
    """
    stage, dash, instance = name.partition("-")
    if not dash or stage not in {known.value for known in Stage}:
        raise UsageError(f"{name!r} names no stage's instance", hint="for example stage1-HF")
    return Stage(stage), instance


def close(name: str, layout: Layout, clock: Clock) -> list[Closed]:
    """Close the cut-off runs of the instance that ``name`` means; errors as `close_interrupted` and `load_profile`.

    Raises:
        LockHeldError: when the instance is at work.
    """
    stage, instance = parse_name(name)
    mode = load_profile(instance, layout).mode
    journal = Journal.open(instance=instance, mode=mode, stage=stage, run_id=None)
    with locked(layout, clock, instance, journal) as own:
        return close_cut_off(layout, own, clock, journal)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m prometheus.v10.ops.close_run", description="Seal the run that a killed service left behind."
    )
    parser.add_argument(
        "name", metavar="STAGE-INSTANCE", help="stage and instance of the service, for example stage1-HF"
    )
    parser.add_argument("--root", type=Path, help="installation to work in; by default the system's own places")
    asked = parser.parse_args(arguments)
    layout = Layout.system() if asked.root is None else Layout.under(asked.root)
    try:
        done = close(asked.name, layout, SystemClock())
    except PrometheusError as error:
        sys.stderr.write("\n".join(error_lines(error)) + "\n")
        return error.exit_code
    sys.stderr.write(f"{len(done)} runs of {asked.name} were closed\n")
    return ExitCode.DONE


if __name__ == "__main__":
    raise SystemExit(main())
