"""``progress.html``: whether evolution gains anything from era to era, by e-values to be looked at at any time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from prometheus.v10.evidence.pools.descent import Line
from prometheus.v10.report.betting import FALSE_ALARM, THRESHOLD
from prometheus.v10.report.gain import Comparison, Verdict
from prometheus.v10.report.pages.drawing import Plot
from prometheus.v10.report.pages.figures_made import Figure, Grid, Page, Section
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.scales import number, percent, scale
from prometheus.v10.report.site.run_lines import site_menu

MOST_ROWS = 60
History = tuple[str, Sequence[Comparison]]
"""An instance's name and its comparisons."""


def evolution_page(histories: Sequence[History], as_of: str, _: Phrases) -> Page:
    """The page.

    Args:
        histories: of each instance that has eras.
        as_of: the ledger's entry that the site was built at.
        _: the page's language.
    """
    said = [
        f"{name}, {_title(one, _)}: {_verdict(one, _)}"
        for name, comparisons in histories
        for one in comparisons
        if one.path
    ]
    parts = [
        Section(
            name=f"instance-{place}", title=_("Instance {name}", name=name),
            figures=[part for one in comparisons if one.path for part in (_evidence(one, _), _effects(one, _))],
            empty="" if any(one.path for one in comparisons) else _("No era has two lines to compare."),
        )
        for place, (name, comparisons) in enumerate(histories)
    ]  # fmt: skip
    note = _(
        "An e-value of {threshold} shows a gain. Where there is none, it comes with a probability of at most {share}, "
        "however often one looks.",
        threshold=number(THRESHOLD), share=percent(FALSE_ALARM, 0),
    )  # fmt: skip
    return Page(
        title=_("What evolution gains"), kicker=_("Evolution"),
        verdict=said or [_("No era is on record: no profile here founds one run on another.")],
        sections=[*parts, Section(name="reading", title=_("How to read it"), lead=note)], made_from=[as_of],
        home="index.html", menu=site_menu(_),
    )  # fmt: skip


def _title(one: Comparison, _: Phrases) -> str:
    return _("inherited against random founders") if one.second is Line.FRESH else _("real against shuffled bars")


def _verdict(one: Comparison, _: Phrases) -> str:
    known = {
        Verdict.GAINS: _("a gain is shown"),
        Verdict.LOSES: _("a loss is shown"),
        Verdict.MIXED: _("a gain and a loss were shown, in different eras"),
        Verdict.NOTHING: _("nothing shown yet"),
        Verdict.NO_ERA: _("no era"),
    }
    return known[one.verdict]


def _evidence(one: Comparison, _: Phrases) -> Figure:
    eras = [point.era for point in one.path]
    logs = [point.log_e / math.log(10.0) for point in one.path]
    losses = [point.log_e_loss / math.log(10.0) for point in one.path]
    bar = math.log10(THRESHOLD)
    plot = Plot(
        title=_("Evidence for a gain and for a loss, era by era"), x=scale(min(eras) - 0.5, max(eras) + 0.5, 5,
        whole=True, wide=False), y=scale(min(-0.5, *logs, *losses), max(1.2 * bar, *logs, *losses), 5),
        x_label=_("era"), y_label=_("e-value, power of ten"),
    )  # fmt: skip
    plot.level(bar, "zr")
    for values, css in ((logs, "c1"), (losses, "c2")):
        plot.line(list(zip(eras, values, strict=True)), css)
        for era, value in zip(eras, values, strict=True):
            plot.dot(era, value, css, f"{era}: {number(10 ** min(value, 300.0), 3)}")
    legend = [
        ("c1 line", _("for a gain")), ("c2 line", _("for a loss")),
        ("c6 line", _("shown from {threshold} on", threshold=number(THRESHOLD))),
    ]  # fmt: skip
    rows = [
        (
            str(point.era),
            number(math.exp(min(point.log_e, 700.0)), 3),
            number(math.exp(min(point.log_e_loss, 700.0)), 3),
        )
        for point in one.path[-MOST_ROWS:]
    ]
    grid = Grid(columns=(_("era"), _("for a gain"), _("for a loss")), rows=rows)
    return Figure(
        heading=_("{what}: evidence", what=_title(one, _)), svg=plot.svg(), legend=legend, numbers=grid,
        notes=[_verdict(one, _)],
    )  # fmt: skip


def _effects(one: Comparison, _: Phrases) -> Figure:
    eras = [point.era for point in one.path]
    plot = Plot(
        title=_("Effect of each era, and the mean so far with its bounds"),
        x=scale(min(eras) - 0.5, max(eras) + 0.5, 5, whole=True, wide=False), y=scale(-1.0, 1.0, 4), x_label=_("era"),
        y_label=_("effect, -1 to 1"),
    )  # fmt: skip
    plot.level(0.0, "zr")
    upper = [(point.era, min(1.0, point.upper)) for point in one.path]
    lower = [(point.era, max(-1.0, point.lower)) for point in one.path]
    plot.band(upper, lower, "c1 pale")
    plot.line([(point.era, point.mean) for point in one.path], "c1")
    for point in one.path:
        plot.dot(point.era, point.effect, "c5", f"{point.era}: {number(point.effect, 3)}")
    rows = [
        (str(point.era), number(point.effect, 3), number(point.mean, 3),
         f"{number(point.lower, 3)} – {number(point.upper, 3)}")
        for point in one.path[-MOST_ROWS:]
    ]  # fmt: skip
    legend = [("c5 full", _("an era")), ("c1 line", _("mean so far")), ("c1 pale", _("bounds of the mean"))]
    grid = Grid(columns=(_("era"), _("effect"), _("mean so far"), _("bounds")), rows=rows)
    return Figure(heading=_("{what}: effect", what=_title(one, _)), svg=plot.svg(), legend=legend, numbers=grid)
