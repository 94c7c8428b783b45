"""``report``: what the world did to one run's population, or to two arms side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict
from rich.console import RenderableType

from prometheus.cli.names_of import run_of
from prometheus.cli.operate.catalogue_command import REASONS
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.outputs import new_output, refuse_output
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.records.summary import quantiles
from prometheus.v10.report.ecology import Ecology, compare, read_ecology
from prometheus.v10.report.ecology_picture import draw
from prometheus.v10.report.experiment_figures import SHARES

WORDS = {
    "system_roi": "system ROI",
    "max_drawdown": "largest drawdown",
    "never_traded": "share that never traded",
    "trades_median": "median trades an agent",
    "liquidated_share": "share liquidated",
    "roi_q05": "lifetime ROI, worst 5 % of agents",
    "roi_median": "lifetime ROI, median agent",
    "roi_q95": "lifetime ROI, best 5 % of agents",
    "deaths": "deaths",
    "births": "births",
    "alive_agents": "alive at the end",
    "lineages_alive": "founders with living descendants",
    "gross": "profit before costs, USDT",
    "fees": "- fees",
    "slippage": "- slippage",
    "funding": "- funding",
    "costs": "all costs, USDT",
    "net": "net profit, USDT",
}
SHOWN = ("q05", "q25", "median", "q75", "q95", "mean")
REVIEWED = {
    "net": "period ROI",
    "gross": "period ROI before costs",
    "costs": "costs / capital at birth",
    "trades": "trades",
}


def short(value: float | None) -> float | None:
    """A figure to four digits: more would be noise."""
    return None if value is None else float(f"{value:.4g}")


def _as_shown(name: str, value: float | None) -> str | float | None:
    """A figure as a table has it: a fraction as a percentage."""
    if value is None or name not in SHARES:
        return short(value)
    return f"{100.0 * value:.2f} %"


def report_runs(runs: Sequence[Path], picture: Path | None) -> Report:
    """The figures of one run or two.

    Raises:
        UsageError: for more than two runs, or a picture that exists; else as `read_ecology`.
        HostError: when the picture cannot be written.
    """
    if len(runs) > 2:
        raise UsageError(f"{len(runs)} runs given: expected one, or two to compare")
    if picture is not None:
        refuse_output(picture)
    found = [read_ecology(run) for run in runs]
    shown = [part for one in found for part in _shown(one)]
    data: dict[str, Any] = {"runs": [_data(one) for one in found]}
    if len(found) == 2:
        deltas = compare(*found)
        data["cliffs_delta"] = dict(deltas)
        shown += _comparison(found[0], found[1], deltas)
    if picture is not None:
        new_output(picture, draw(found).encode())
        data["picture"] = str(picture)
        shown.append(f"picture: {picture}")
    return Report(data, shown)


def _data(one: Ecology) -> dict[str, Any]:
    periods = [
        {**asdict(period), "died_share": period.died_share, "bred_share": period.bred_share} for period in one.periods
    ]
    return {
        **asdict(one),
        "figures": {name: quantiles(values) for name, values in one.figures.items()},
        "periods": periods,
        "collapse_ticks": quantiles(one.collapse_ticks) if one.collapse_ticks else None,
    }


def _shown(one: Ecology) -> list[RenderableType]:
    head = {
        "run": one.run_id,
        "arm": one.arm,
        "market": one.market,
        "market sha256": one.market_sha256,
        "window": one.window,
        "experiments": one.experiments,
        **{name.replace("_", " "): value for name, value in one.rules.items()},
    }
    rows = [
        (words, *(_as_shown(name, quantiles(one.figures[name])[column]) for column in SHOWN))
        for name, words in WORDS.items()
    ]
    collapses = {
        "collapsed experiments": len(one.collapse_ticks),
        **one.collapses,
        "first at tick": min(one.collapse_ticks, default=None),
        "last at tick": max(one.collapse_ticks, default=None),
    }
    return [
        facts("run", head),
        table("over experiments", ("figure", *SHOWN), rows),
        _reviews(one),
        facts("deaths by reason", {REASONS.get(reason, reason): count for reason, count in one.deaths.items()}),
        facts("collapses", collapses),
        *_buried(one),
    ]


def _reviews(one: Ecology) -> RenderableType:
    columns = ("review", "tick", "alive before", "liquidated", "depleted", "judged", "died", "bred", "% died", "% bred")
    rows = [
        (
            *(p.number, p.tick, p.start, p.liquidated, p.depleted, p.judged, p.died, p.bred),
            *(_percent(p.died_share), _percent(p.bred_share)),
        )
        for p in one.periods
    ]
    return table("reviews, all experiments together", columns, rows)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100.0 * share, 1)


def _buried(one: Ecology) -> list[RenderableType]:
    """Whether costs alone decide: the returns of those whom reviews removed, with and without their costs."""
    reviewed = one.reviewed
    if reviewed is None:
        return ["no review removed anybody who had never bred"]
    rows = [(words, *(short(getattr(reviewed, name)[column]) for column in SHOWN)) for name, words in REVIEWED.items()]
    return [
        table(f"removed by a review without having bred: {reviewed.count:,} agents", ("figure", *SHOWN), rows),
        facts(
            "of these",
            {
                "never traded, %": _percent(reviewed.never_traded),
                "would have passed without costs, %": _percent(reviewed.spared_without_costs),
            },
        ),
    ]


def _comparison(first: Ecology, second: Ecology, deltas: Any) -> list[RenderableType]:
    """The medians side by side, and before them what makes the two runs different questions."""
    named = (("first", first), ("second", second))
    medians = [
        (
            words,
            *(_as_shown(name, quantiles(one.figures[name])["median"]) for one in (first, second)),
            round(deltas[name], 3),
        )
        for name, words in WORDS.items()
    ]
    columns = ("medians over experiments", *(f"{order}: {one.label}" for order, one in named), "Cliff's delta")
    differing = [words for words, same in _alike(first, second) if not same]
    lines = [f"different {' and '.join(differing)}: the two are not the same question"] if differing else []
    return [*lines, table("first against second", columns, medians)]


def _alike(first: Ecology, second: Ecology) -> list[tuple[str, bool]]:
    """What two runs must share for their figures to be compared, and whether they do."""
    return [
        ("bars", first.market_sha256 == second.market_sha256),
        ("windows", first.window == second.window),
        ("rules", first.rules == second.rules),
        ("numbers of experiments", first.experiments == second.experiments),
    ]


# ---- on the command line ---------------------------------------------------------------------------------------------

REPORT_EXAMPLES = examples(
    "report latest", "report HF/latest HF/latest~1 --svg roi.svg", "report latest --html run.html --lang zh",
    "report HF_20260101T000000Z_1a2b3c4_5d6e --json",
)  # fmt: skip


def report_command(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN [OTHER]", help="Run, or two to compare: id, beginning of one, directory, latest."),
    ],
    *,
    root: Root = DEFAULT_ROOT,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the ROI of every experiment into this new file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one run as a self-contained page into this new file.")
    ] = None,
    lang: Annotated[str, typer.Option(metavar="en|zh", help="Language of the page.")] = "en",
    check: Annotated[bool, typer.Option("--check", help="Build the page again and compare it with the file.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """Report what happened to a run's population: trades, deaths, births, costs; compare two runs."""
    layout = Layout.under(root)
    places = [run_of(one, layout).path for one in runs]
    if html is not None:
        from prometheus.cli.research.views.page_command import page_options, report_page  # noqa: PLC0415  (an extra's)

        return report_page(*page_options(places, html, lang, svg), check=check).asked(as_json=as_json)
    if check or lang != "en":
        raise UsageError("--check and --lang are of a page", hint="name it: --html FILE")
    return report_runs(places, svg).asked(as_json=as_json, as_csv=as_csv)
