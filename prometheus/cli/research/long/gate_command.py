"""``gate``: A against its null by a design locked before the run; ``gate planted``: whether the gate can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType

from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report, facts, table
from prometheus.cli.research.long.long_work import Cluster, Workers, hands, refuse_if_stopped
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal

if TYPE_CHECKING:
    from prometheus.v10.gate.gate_run import GateOutcome
    from prometheus.v10.gate.planted_gate import PlantedTable

# Modules of the gate are imported where they are used: the command line starts without them.

CODES = {"pass": ExitCode.DONE, "fail": ExitCode.VERIFY_FAILED, "insufficient evidence": ExitCode.VERIFY_ERROR}
GATE_PRELOAD = ("prometheus.v10.gate.outcome",)


def gate_once(
    layout: Layout, name: str, *, workers: int, cluster: str | None, instance: str, clock: Clock, console: Console
) -> Report:
    """Do a gate, go on with one that was stopped, or judge a finished one again.

    Raises:
        PrometheusError: whatever makes it impossible. A verdict is none: 0 pass, 1 fail, 2 insufficient evidence.
    """
    from prometheus.v10.gate.design import load_design, shortcomings  # noqa: PLC0415
    from prometheus.v10.gate.gate_run import require_analysis, run_gate, settle  # noqa: PLC0415

    refuse_if_stopped(layout)
    require_analysis()
    design = load_design(name)
    layout.prepare()
    settle(design, layout)
    if lacking := shortcomings(design):
        data: dict[str, Any] = {"gate": design.name, "verdict": "insufficient evidence", "reasons": lacking}
        return Report(data, [f"insufficient evidence: {'; '.join(lacking)}; nothing was run"], ExitCode.VERIFY_ERROR)
    journal = Journal.open(instance=instance, mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    ledger = InstallationLedger(layout, clock=clock, instance=instance, on_torn=journal.send_torn)
    with hands(layout, workers, cluster, clock, console, preload=GATE_PRELOAD) as (held, _):
        outcome = run_gate(design, layout, clock=clock, ledger=ledger, hands=held)
    return _report(outcome)


def planted_once(
    layout: Layout, *, runs: int, first: int, workers: int, cluster: str | None, clock: Clock, console: Console
) -> Report:
    """Gates on markets whose truth is known; 0 when the gate can tell them apart as it should.

    Raises:
        PrometheusError: whatever makes it impossible.
    """
    from prometheus.v10.gate.gate_run import require_analysis  # noqa: PLC0415
    from prometheus.v10.gate.planted_gate import run_planted  # noqa: PLC0415

    refuse_if_stopped(layout)
    require_analysis()
    with hands(layout, workers, cluster, clock, console, preload=GATE_PRELOAD) as (held, stop):
        found = run_planted(runs, first, held)
    return _planted_report(found, stopped=stop.reason is not None)


def _report(outcome: GateOutcome) -> Report:
    head: dict[str, Any] = {
        "directory": outcome.directory,
        "experiments": outcome.done,
        "of": outcome.total,
        "cut_off_bytes": outcome.cut_off,
    }
    verdict = outcome.verdict
    if verdict is None:
        data = {**head, "verdict": None, "null_reasons": {"verdict": "stopped before all experiments were done"}}
        return Report(data, [facts("stopped", head), "the same command goes on where it ended"])
    data = {
        **head,
        "gate": verdict.gate,
        "verdict": verdict.verdict,
        "reasons": verdict.reasons,
        "config_hash": verdict.config_hash,
        "judged_again": outcome.again,
    }
    rows = [
        (
            one.window, one.difference_pp, one.delta, one.delta_low, one.delta_high, one.p_holm,
            f"{one.a.extinct}/{one.a.n}", f"{one.b.extinct}/{one.b.n}", one.fisher_p_holm,
        )
        for one in verdict.comparisons
    ]  # fmt: skip
    columns = (
        "window", "ROI A less B2, pp", "delta", "from", "to", "p (Holm)", "extinct A", "extinct B2", "Fisher p (Holm)",
    )  # fmt: skip
    paths = [
        (one.endpoint, one.real, min(one.placebos), max(one.placebos), one.p, one.p_holm)
        for one in verdict.path_controls
    ]
    shown: list[RenderableType] = [
        facts(f"gate {verdict.gate}", head),
        table("A against B2", columns, rows),
        table("path control, pp", ("endpoint", "real path", "shuffled from", "to", "p", "p (Holm)"), paths),
        *(f"- {reason}" for reason in verdict.reasons),
        f"verdict: {verdict.verdict}" + (" (sealed before; judged again to the same bytes)" if outcome.again else ""),
    ]
    return Report(data, shown, CODES[verdict.verdict])


def _planted_report(found: PlantedTable, *, stopped: bool) -> Report:
    columns = (
        "market", "gates", "pass", "insufficient", "fail", "pass %", "endpoints alone", "U test alone, windows",
        "asked",
    )  # fmt: skip
    rows = [
        (
            one.market, one.gates, one.passed, one.insufficient, one.failed,
            None if one.gates == 0 else round(100.0 * one.passed / one.gates, 1), one.without_path_control,
            f"{one.windows_told_apart} of {one.windows}", one.asked,
        )
        for one in found.rows
    ]  # fmt: skip
    data = found.plain()
    if stopped:
        return Report({**data, "stopped": True}, [table("stopped", columns, rows)])
    code = ExitCode.DONE if found.as_it_should else ExitCode.VERIFY_FAILED
    said = "the gate tells them apart" if found.as_it_should else "the gate does NOT tell them apart as it should"
    return Report(data, [table("planted truth", columns, rows), said], code)


# ---- on the command line ---------------------------------------------------------------------------------------------

GATE_EXAMPLES = examples(
    "gate --root var --config BTC_1H", "gate --root var --config my_gate.toml --workers 2", "gate planted --runs 40"
)
app = typer.Typer(rich_markup_mode="rich", invoke_without_command=True)


@app.callback(epilog=GATE_EXAMPLES)
def gate_command(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    config: Annotated[str, typer.Option(metavar="NAME|FILE", help="Design of the gate.")] = "SYNTHETIC",
    workers: Workers = 0,
    cluster: Cluster = None,
    instance: Annotated[str, typer.Option(help="Instance recorded in the ledger entry.")] = "local",
    as_json: AsJson = False,
) -> Report | None:
    """Test whether evolution used the order of returns: A against its null, by a design locked before the run.

    Ends with 0 for pass, 1 for fail, 2 for insufficient evidence.
    """
    if context.invoked_subcommand is not None:
        return None
    return gate_once(
        Layout.under(root), config, workers=workers, cluster=cluster, instance=instance, clock=SystemClock(),
        console=context.obj,
    ).asked(as_json=as_json)  # fmt: skip


@app.command("planted", epilog=examples("gate planted", "gate planted --runs 4 --workers 1"))
def planted_command(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    runs: Annotated[int, typer.Option(min=1, help="Number of gates on each market.")] = 40,
    first: Annotated[int, typer.Option(min=0, help="Seed of the first market.")] = 1,
    workers: Workers = 0,
    cluster: Cluster = None,
    as_json: AsJson = False,
) -> Report:
    """Run gates on markets whose truth is known; they must pass where there is structure and nowhere else."""
    return planted_once(
        Layout.under(root), runs=runs, first=first, workers=workers, cluster=cluster, clock=SystemClock(),
        console=context.obj,
    ).asked(as_json=as_json)  # fmt: skip


@app.command("replay", epilog=examples("gate replay my_gate --root var --sample 20"))
def replay_command(
    context: typer.Context,
    gate: Annotated[str, typer.Argument(metavar="GATE", help="Name of the gate's directory.")],
    *,
    root: Root = DEFAULT_ROOT,
    sample: Annotated[int, typer.Option(min=1, metavar="N", help="Number of experiments to run again.")] = 10,
    seed: Annotated[
        int, typer.Option(min=0, metavar="S", help="Seed of the draw; the same seed draws the same experiments.")
    ] = 0,
    as_json: AsJson = False,
) -> Report:
    """Run a sample of a gate's experiments again and compare their lines; exit 1 when one differs."""
    del context
    from prometheus.v10.gate.gate_replay import replay_gate  # noqa: PLC0415

    found = replay_gate(gate, Layout.under(root), sample=sample, seed=seed)
    data: dict[str, Any] = {
        "gate": found.gate, "compared": found.compared, "of": found.total, "differing": list(found.differing),
    }  # fmt: skip
    said = "identical" if not found.differing else f"DIFFERENT: {', '.join(found.differing)}"
    code = ExitCode.DONE if not found.differing else ExitCode.VERIFY_FAILED
    return Report(data, [facts("gate replay", data), said], code).asked(as_json=as_json)
