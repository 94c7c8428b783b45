"""What a person at a terminal sees of a run: a bar while it works, its verdicts when it is done."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from prometheus.cli.report import facts, table
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.catalog import artifact_of
from prometheus.v10.ops.instance.collapse_intervals import IntervalFigures
from prometheus.v10.ops.storage.written import bytes_of_run, ticks_a_byte
from prometheus.v10.runs.control import Progress as RunProgress
from prometheus.v10.runs.control import RunControl, RunOutcome, StopReason


class Bar:
    """A `RunControl` that draws what it passes on to another; silent unless the console is a terminal."""

    def __init__(self, control: RunControl, console: Console) -> None:
        self._control = control
        self._mib = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("experiments  {task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("opening", total=None, figures="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def preparing(self, what: str) -> None:
        """See `RunControl`."""
        self._control.preparing(what)
        self._bar.update(self._task, description=what)

    def able(self) -> None:
        """See `RunControl`."""
        self._control.able()

    def checked(self, nbytes: int) -> None:
        """See `RunControl`."""
        self._control.checked(nbytes)
        self._mib += nbytes / (1 << 20)
        self._bar.update(self._task, description=f"checked {self._mib:,.0f} MiB")

    def run_opened(self, run_id: str, path: Path) -> None:
        """See `RunControl`."""
        self._control.run_opened(run_id, path)
        self._bar.update(self._task, description=run_id)

    def progress(self, progress: RunProgress) -> None:
        """See `RunControl`."""
        self._control.progress(progress)
        rate = progress.agent_ticks / progress.seconds / 1e6 if progress.seconds > 0 else 0.0
        within = progress.tick / progress.ticks_total if progress.ticks_total else 0.0
        self._bar.update(
            self._task,
            total=progress.experiments_total,
            completed=progress.experiments_done + (within if progress.experiments_done == 0 else 0.0),
            figures=f"{progress.alive} alive, {progress.deaths} deaths, {rate:.1f} M agent-ticks/s",
        )

    def sealing(self) -> None:
        """See `RunControl`."""
        self._control.sealing()
        self._bar.update(self._task, description="sealing")

    def stop_requested(self) -> StopReason | None:
        """See `RunControl`."""
        return self._control.stop_requested()


SHOWN_QUANTILES = ("min", "q25", "median", "q75", "max")
SHOWN_FIGURES = (
    ("system_roi", "system ROI"),
    ("max_drawdown", "largest drawdown"),
    ("alive_agents", "alive at the end"),
    ("deaths", "deaths"),
    ("births", "births"),
    ("trades_median", "median trades an agent"),
    ("zero_trade_share", "share that never traded"),
    ("liquidated_share", "share liquidated"),
)


def owed_artifact(run: Path, artifact: Artifact) -> dict[str, Any]:
    """A JSON artifact of a run that was done a moment ago, as plain values.

    Raises:
        EvidenceError: when it is gone, or as `artifact_of`.
        HostError: as `artifact_of`.
    """
    found = artifact_of(run, artifact)
    if found is None:
        raise EvidenceError(f"{run / artifact.file_name(run_id=run.name)} is gone", hint="verify the run's directory")
    return found


def verdicts(outcome: RunOutcome, intervals: IntervalFigures) -> tuple[dict[str, Any], list[RenderableType]]:
    """A run's result as data and as tables; errors as `owed_artifact`."""
    manifest = owed_artifact(outcome.path, Artifact.MANIFEST)
    rate = outcome.agent_ticks / outcome.seconds if outcome.seconds > 0 else 0.0
    head: dict[str, Any] = {
        "run": outcome.run_id,
        "status": outcome.status,
        "stop_reason": outcome.stop_reason.value if outcome.stop_reason else None,
        "directory": str(outcome.path),
        "experiments": outcome.experiments,
        "agent_ticks": outcome.agent_ticks,
        "seconds": round(outcome.seconds, 3),
        "agent_ticks_per_second": round(rate),
        "agent_ticks_a_byte": ticks_a_byte(outcome.agent_ticks, bytes_of_run(outcome.path, manifest)),
        "pool_records": manifest["counts"]["pool_records"],
    }
    shown: list[RenderableType] = [facts("run", head)]
    data: dict[str, Any] = dict(head)
    if (outcome.path / Artifact.SUMMARY).exists():
        more, tables = _summary(owed_artifact(outcome.path, Artifact.SUMMARY))
        data |= more
        shown += tables
    survival = {
        "collapses_of_this_run": outcome.collapses,
        "time_to_first_collapse_ticks": manifest["time_to_first_internal_collapse_ticks"],
        "time_to_first_collapse_seconds": manifest["time_to_first_internal_collapse_seconds"],
        "collapses_of_this_instance": intervals.collapses,
        "stratum": intervals.stratum,
        "median_interval_ticks": intervals.median_interval_ticks,
        "ticks_lived": intervals.stratum_ticks,
    }
    data["survival"] = survival
    shown.append(facts("survival", survival))
    shown.append(f"verify it: prometheus-quant verify {outcome.path}")
    return data, shown


def _summary(summary: dict[str, Any]) -> tuple[dict[str, Any], list[RenderableType]]:
    figures = {name: summary["summary_stats"].get(name) for name, _ in SHOWN_FIGURES}
    columns = ("over experiments", *SHOWN_QUANTILES)
    rows = [
        (words, *(figures[name].get(column) for column in SHOWN_QUANTILES))
        for name, words in SHOWN_FIGURES
        if figures[name]
    ]
    reasons: dict[str, int] = {}
    for row in summary["all_stats"]:
        for reason, count in row["deaths_by_reason"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    invariants = summary["invariants"]
    checks = [(i["name"], i["residual"], i["limit"], "holds" if i["passed"] else "BROKEN") for i in invariants]
    return (
        {"summary_stats": figures, "deaths_by_reason": reasons, "invariants": invariants},
        [
            table("results", columns, rows),
            facts("deaths by reason", reasons),
            table("invariants", ("promise", "residual", "limit", "verdict"), checks),
        ],
    )
