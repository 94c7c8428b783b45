"""``kpi``: how long populations live before they collapse, and whether that grows; strata are never mixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict, frozen
from rich.console import RenderableType

from prometheus.cli.names_of import existing
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples
from prometheus.cli.report import Report, table
from prometheus.cli.research.looking import chosen, left_out_lines, refuse_picture, some
from prometheus.v10.base.outputs import new_output
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.report.lifetimes import CONFIDENCE, FEWEST, Figures, Interval, figures_of
from prometheus.v10.report.lifetimes_picture import MOST_PANELS, draw_lifetimes
from prometheus.v10.report.strata import Census, Stratum, read_census

DIGITS = 12
"""Of a hash, in text."""
PER = 1_000_000
CERTAINTY = f"{CONFIDENCE * 100:g} % interval"
RATE = (f"collapses per {PER:,} ticks lived",
        ("stratum", "experiments", "collapses", "ticks lived", "rate", CERTAINTY))  # fmt: skip
LIFE = ("ticks to a collapse", ("stratum", "mean", CERTAINTY, "median", "longest", "live on"))
TREND = ("whether the intervals lengthen", ("stratum", "beta", CERTAINTY, "mean now", "trend"))
NOTES = (
    "stratum: compared with nothing else; one experiment is one observation",
    "live on: the share of experiments that live through the longest life seen",
    "trend: lengthening if the interval of beta is below 1, shortening if above;",
    f"fewer than {FEWEST} collapses are too few to say",
)


@frozen
class Named:
    """A stratum with its number on the page."""

    number: int
    stratum: Stratum
    figures: Figures


def kpi(layout: Layout, instance: str | None, picture: Path | None) -> Report:
    """The survival figures of one instance, or of each that has runs.

    Raises:
        UsageError: for an instance that is unknown, or a picture that cannot be meant.
        ConfigError: when a picture is asked for and matplotlib is missing.
        HostError: when runs cannot be listed, or the picture not be written.
    """
    census = read_census(layout)
    instances = chosen(layout, sorted(census.left_out), instance)
    found = _named(census, instances)
    if picture is not None:
        refuse_picture(picture, layout, sorted({one.stratum.instance for one in found}))
    left_out = {name: census.left_out[name] for name in instances}
    data: dict[str, Any] = {
        "confidence": CONFIDENCE,
        "fewest_collapses_for_a_trend": FEWEST,
        "strata": [_data(one) for one in found],
        "left_out": {name: [asdict(one) for one in runs] for name, runs in left_out.items()},
        "unknown": [asdict(one) for one in census.unknown],
    }
    shown: list[RenderableType] = []
    if found:
        shown += [line for one in found for line in _heading(one)]
        shown += [_table(RATE, _rate, found), _table(LIFE, _life, found), _table(TREND, _trend, found)]
        shown += [*_clusters(found), *_cut(found)]
    else:
        whose = f"of {printable(instance)} " if instance is not None else ""
        shown.append(f"no experiment {whose}of a sealed run in {layout.lib} yet")
    for name in instances:
        lines = left_out_lines(left_out[name])
        shown += [f"{printable(name)}: {line}" for line in lines] if len(instances) > 1 else lines
    shown += [*left_out_lines(census.unknown), *(NOTES if found else ())]
    if picture is not None and found:
        title = f"instance {printable(found[0].stratum.instance)}"
        panels = [(_short_name(one), one.figures) for one in found]
        new_output(picture, draw_lifetimes(title, panels), layout=layout)
        data["picture"] = str(picture)
        shown.append(f"picture: {picture}" + (f" (the last {MOST_PANELS} strata)" if len(found) > MOST_PANELS else ""))
    return Report(data, shown)


def _named(census: Census, instances: Sequence[str]) -> list[Named]:
    """The strata of some instances, instance by instance, in the order of their first runs."""
    ordered = [
        (stratum, figures_of(list(lives.values())))
        for name in instances
        for stratum, lives in census.strata.items()
        if stratum.instance == name
    ]
    return [Named(number, *one) for number, one in enumerate(ordered, 1)]


# ---- what is said ----------------------------------------------------------------------------------------------------


def _short_name(one: Named) -> str:
    line = "" if one.stratum.line is None else f", {one.stratum.line}"
    return f"stratum {one.number}: {printable(one.stratum.arm)}{line}"


def _heading(one: Named) -> list[str]:
    """What a stratum is, in three short lines."""
    what = one.stratum
    bars = f"eras, window {printable(str(what.policy))}" if what.bars is None else f"sha256 {what.bars[:DIGITS]}"
    bars = bars if what.library is None else f"as they come, through {printable(what.library)}"
    line = "" if what.line is None else f", line {what.line}"
    return [
        f"stratum {one.number}: {printable(what.instance)}, {printable(what.stage)}, {printable(what.arm)}{line}; "
        f"{_some_runs(one.figures.runs)}",
        f"  bars {printable(what.market)}; {printable(bars)}",
        f"  config {printable(what.config_hash[:DIGITS])}, core {printable(what.core_hash[:DIGITS])}",
    ]


def _some_runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def _table(
    page: tuple[str, Sequence[str]], row: Callable[[Figures], tuple[object, ...]], found: Sequence[Named]
) -> RenderableType:
    title, columns = page
    return table(title, columns, [(one.number, *row(one.figures)) for one in found])


def _rate(found: Figures) -> tuple[object, ...]:
    rate = None if found.rate is None else short(found.rate * PER)
    return (found.experiments, found.collapses, found.ticks, rate, _between(found.rate_bounds, PER))


def _life(found: Figures) -> tuple[object, ...]:
    times = (_number(found.mean), _between(found.mean_bounds), _number(found.median), _number(found.longest))
    return (*times, f"{found.alive_at_longest * 100:.0f} %")


def _trend(found: Figures) -> tuple[object, ...]:
    fit = found.trend
    if fit is None:
        return (None, None, None, found.word.value)
    return (f"{fit.beta:.2f}", _between(fit.bounds), short(fit.now), found.word.value)


def short(value: float) -> str:
    """A figure to three digits, or in whole numbers."""
    return f"{value:,.0f}" if 1000.0 <= value < 1e7 else f"{value:.3g}"


def _number(value: float | None) -> str | None:
    return None if value is None else short(value)


def _between(bounds: Interval | None, factor: int = 1) -> str | None:
    if bounds is None:
        return None
    lower = short(bounds.lower * factor)
    return f"{lower} or more" if bounds.upper is None else f"{lower} to {short(bounds.upper * factor)}"


def _clusters(found: Sequence[Named]) -> list[str]:
    clustered = [f"stratum {one.number}" for one in found if one.figures.clustered]
    if not clustered:
        return []
    return [f"collapses come together in runs, and the intervals are wider for it: {some(clustered)}"]


def _cut(found: Sequence[Named]) -> list[str]:
    cut = [f"{one.figures.cut:,} of stratum {one.number}" for one in found if one.figures.cut]
    return [f"experiments that a stop cut, counted as far as they lived: {some(cut)}"] if cut else []


# ---- what scripts get ------------------------------------------------------------------------------------------------


def _data(one: Named) -> dict[str, Any]:
    figures = asdict(one.figures)
    return {
        "stratum": one.number,
        **asdict(one.stratum),
        **figures,
        "times": list(one.figures.times),
        "word": one.figures.word.value,
    }


# ---- on the command line ---------------------------------------------------------------------------------------------

KPI_EXAMPLES = examples("kpi", "kpi HF --root var --plot kpi.png", "kpi HF --json")


def kpi_command(
    instance: Annotated[
        str | None, typer.Argument(metavar="[INSTANCE]", help="Instance to look at; all that have runs by default.")
    ] = None,
    *,
    root: Root = DEFAULT_ROOT,
    picture: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw collapses over ticks into this new file.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """Show how long populations live before they collapse, and whether that grows."""
    return kpi(existing(Layout.under(root)), instance, picture).asked(as_json=as_json, as_csv=as_csv)
