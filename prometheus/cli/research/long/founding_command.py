"""``founding``: trials of ways of founding: on markets of planted truth, and side by side on a profile's market."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import asdict, evolve
from rich.console import Console

from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples
from prometheus.cli.report import Report, table
from prometheus.cli.research.long.long_work import Cluster, Workers, hands, refuse_if_stopped
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.paths import Layout

if TYPE_CHECKING:
    from prometheus.v10.market.bars import Bars
    from prometheus.v10.runs.workers.hands import Hands
    from prometheus.v10.trials.planted_trials import TrialRow
    from prometheus.v10.trials.side_by_side import LineRow

# Modules of trials are imported where they are used: the command line starts without them.

PRELOAD = ("prometheus.v10.trials.trial_history",)
STOPPED = "stopped; histories that had not ended are left out"

app = typer.Typer(
    rich_markup_mode="rich",
    no_args_is_help=True,
    help="Trials of ways of founding: on markets of planted truth, and side by side on a profile's market.",
)


@contextmanager
def _hands(
    layout: Layout, workers: int, cluster: str | None, console: Console
) -> Iterator[tuple[Hands, str, list[bool]]]:
    """Workers, the file that stops the histories under way, and whether that happened."""
    refuse_if_stopped(layout)
    with tempfile.TemporaryDirectory() as directory:
        flag, stopped = Path(directory) / "stopped", [False]
        with hands(layout, workers, cluster, SystemClock(), console, preload=PRELOAD) as (held, _):

            def stop() -> bool:
                if not stopped[0] and held.stop():
                    flag.touch()
                    stopped[0] = True
                return stopped[0]

            yield evolve(held, stop=stop), str(flag), stopped


@app.command("planted", epilog=examples("founding planted", "founding planted --runs 4 --shuffled btc_1h --root var"))
def planted_command(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    runs: Annotated[int, typer.Option(min=1, help="Number of histories on each kind of market.")] = 40,
    first: Annotated[int, typer.Option(min=0, help="Seed of the first history.")] = 1,
    shuffled: Annotated[
        str | None,
        typer.Option(metavar="MARKET", help="Imported market; histories on its shuffled returns are lived as well."),
    ] = None,
    workers: Workers = 0,
    cluster: Cluster = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """Live through eras on markets whose truth is known; progress must be shown where there is any to make.

    Ends with 0 when every kind of market came out as it must, else with 1.
    """
    from prometheus.v10.trials.planted_trials import run_planted_trials  # noqa: PLC0415

    layout = Layout.under(root)
    market = None if shuffled is None else (shuffled, _bars(layout, shuffled))
    with _hands(layout, workers, cluster, context.obj) as (held, flag, stopped):
        rows = run_planted_trials(runs, first, held, stop_file=flag, shuffled=market)
    return _planted_report(rows, stopped=stopped[0]).asked(as_json=as_json, as_csv=as_csv)


@app.command(
    "compare",
    epilog=examples("founding compare --profile BTC_1H_ERAS --root var", "founding compare --runs 4 --eras 8"),
)
def compare_command(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    profile: Annotated[str, typer.Option(metavar="NAME|FILE", help="Profile whose founding is compared.")] = "HF",
    runs: Annotated[int, typer.Option(min=1, help="Number of histories of each way.")] = 20,
    eras: Annotated[int, typer.Option(min=2, help="Eras of a history, at most; a market may have fewer.")] = 40,
    workers: Workers = 0,
    cluster: Cluster = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """Compare all ways of choosing parents on a profile's market: returns, survival, collapses, diversity, pace."""
    from prometheus.v10.market.resolve import resolve_market  # noqa: PLC0415
    from prometheus.v10.runs.request.eras_table import Parents  # noqa: PLC0415
    from prometheus.v10.runs.request.profile import load_profile  # noqa: PLC0415
    from prometheus.v10.runs.request.setup import market_spec  # noqa: PLC0415
    from prometheus.v10.trials.side_by_side import run_side_by_side  # noqa: PLC0415

    layout = Layout.under(root)
    chosen = load_profile(profile, layout)
    bars = resolve_market(market_spec(chosen.market), layout.market)
    with _hands(layout, workers, cluster, context.obj) as (held, flag, stopped):
        rows = run_side_by_side(chosen, bars, tuple(Parents), runs, held, eras=eras, stop_file=flag)
    return _compared(rows, profile, stopped=stopped[0]).asked(as_json=as_json, as_csv=as_csv)


def _bars(layout: Layout, name: str) -> Bars:
    from prometheus.v10.market.resolve import MarketSpec, resolve_market  # noqa: PLC0415

    return resolve_market(MarketSpec(source=name), layout.market)


def _planted_report(rows: list[TrialRow], *, stopped: bool) -> Report:
    columns = (
        "market", "eras", "histories", "gain over random", "gain over shuffled", "both by era", "returns, inherited",
        "returns, random", "asked", "holds",
    )  # fmt: skip
    cells = [
        (
            one.market, one.eras, one.histories, one.over_random, one.over_shuffled, one.latest, one.inherited,
            one.random, one.asked, "yes" if one.holds else "NO",
        )
        for one in rows
    ]  # fmt: skip
    shown = table("founding on markets of planted truth", columns, cells)
    if stopped:
        return Report({"rows": [asdict(row) for row in rows], "as_it_should": None, "stopped": True}, [shown, STOPPED])
    good = all(one.holds for one in rows)
    said = "progress is shown where it is, and nowhere else" if good else "progress is NOT shown as it should be"
    code = ExitCode.DONE if good else ExitCode.VERIFY_FAILED
    return Report({"rows": [asdict(row) for row in rows], "as_it_should": good, "stopped": False}, [shown, said], code)


def _compared(rows: list[LineRow], profile: str, *, stopped: bool) -> Report:
    columns = (
        "parents", "line", "histories", "ROI % first quarter", "ROI % middle", "ROI % last quarter",
        "alive first quarter", "alive last quarter", "collapses", "of", "diversity first quarter",
        "diversity last quarter", "trades first quarter", "trades last quarter", "over random",
        "shown over random", "over shuffled", "shown over shuffled",
    )  # fmt: skip
    cells = [
        (
            one.parents, one.line, one.histories, 100 * one.roi_first, 100 * one.roi_middle, 100 * one.roi_last,
            one.alive_first, one.alive_last, one.collapses, one.experiments, one.diversity_first, one.diversity_last,
            one.pace_first, one.pace_last, one.over_random, one.shown_over_random, one.over_shuffled,
            one.shown_over_shuffled,
        )
        for one in rows
    ]  # fmt: skip
    shown = table(f"ways of founding under {profile}", columns, cells)
    return Report(
        {"profile": profile, "rows": [asdict(row) for row in rows], "stopped": stopped},
        [shown, STOPPED] if stopped else [shown],
    )
