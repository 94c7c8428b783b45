"""What a run's manifest says at its end of how its experiments were timed, and of why it failed."""

from __future__ import annotations

import time

from prometheus.v10.base.names import required
from prometheus.v10.evidence.records.manifest_parts import ExperimentTiming, Failure
from prometheus.v10.evidence.writing.rundir import RunDirectory
from prometheus.v10.runs.harvest import Harvest


def timing_of(harvest: Harvest, origin: float, *, elsewhere: bool) -> ExperimentTiming:
    """When an experiment ran, seconds since the run's start.

    Args:
        harvest: what it came to, with its span on its machine's monotonic clock.
        origin: the run's start on this machine's monotonic clock.
        elsewhere: another machine of a cluster ran it: it is placed so that it ends when it arrives.
    """
    started, ended = (moment - origin for moment in harvest.span)
    if elsewhere:
        arrived = time.monotonic() - origin
        started, ended = max(0.0, arrived - (ended - started)), arrived
    return ExperimentTiming(
        experiment=harvest.experiment, wall_seconds=ended - started, started_seconds=started, ended_seconds=ended
    )


def failure_of(directory: RunDirectory, error: Exception) -> Failure:
    """Why a run failed, and which files of its tier are not there; the raw text of a bug is cut to one short line."""
    owed = [artifact.file_name(run_id=directory.run_id) for artifact in required(directory.tier)]
    said = " ".join(f"{type(error).__name__}: {error}".split()).encode("ascii", "replace").decode("ascii")
    return Failure(error=said[:500], missing=[name for name in owed if not (directory.path / name).is_file()])
