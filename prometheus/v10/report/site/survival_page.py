"""``kpi.html``: how long populations live before they collapse, stratum by stratum, and whether that grows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from attrs import frozen

from prometheus.v10.report.lifetimes import CONFIDENCE, Figures, Interval, Life, Word, releases, watched
from prometheus.v10.report.pages.drawing import Plot, stepped
from prometheus.v10.report.pages.figures_made import Figure, Grid, Page, Section
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.scales import number, percent, percents, plain, scale
from prometheus.v10.report.site.run_lines import site_menu
from prometheus.v10.report.strata import Stratum
from prometheus.v10.report.survival_curve import kaplan_meier

MOST_STRATA = 24
MOST_CURVES = 6
MOST_RELEASES = 8
DIGITS = 8


@frozen
class Named:
    """A stratum with its number, its lives in the order of runs and experiments, and its figures."""

    number: int
    stratum: Stratum
    lives: Sequence[Life]
    figures: Figures


def survival_page(found: Sequence[Named], as_of: str, _: Phrases) -> Page:
    """The page.

    Args:
        found: every stratum, in the order of its first run.
        as_of: the ledger's entry that the site was built at.
        _: the page's language.
    """
    said = [
        _("{count} collapses in {ticks} ticks lived by {experiments} experiments.",
          count=number(sum(one.figures.collapses for one in found)),
          ticks=number(sum(one.figures.ticks for one in found)),
          experiments=number(sum(one.figures.experiments for one in found)))
    ]  # fmt: skip
    words = [trend_words(one.figures, _) for one in found]
    collapsed = [one for one in found[-MOST_CURVES:] if one.figures.collapses]
    empty = "" if any(one.figures.collapses for one in found) else _("No collapse is on record.")
    if found:
        said.append(_("Whether intervals lengthen: {words}.", words=", ".join(dict.fromkeys(words))))
    notes = [
        _("Only like runs are counted together: a stratum has one instance, stage, configuration, core, arm, line, "
          "market."),
        _("Experiments of one configuration are independent draws: no trend is expected within a stratum that inherits "
          "nothing. Growth shows between strata."),
    ]  # fmt: skip
    parts = [
        Section(name="rates", title=_("Ticks lived for each collapse"), figures=[_marks(found, _)] if found else [],
                notes=notes, empty="" if found else _("No experiment of a sealed run counts yet.")),
        Section(name="lives", title=_("Share of experiments that live on"),
                figures=[_living(one, _) for one in collapsed], empty=empty),
        Section(name="curves", title=_("Collapses over ticks lived"),
                figures=[_curve(one, _) for one in collapsed], empty=empty),
        Section(name="strata", title=_("Strata"), grids=[_strata(found, _)] if found else []),
    ]  # fmt: skip
    return Page(
        title=_("How long populations live"), kicker=_("Survival"), verdict=said, sections=parts, made_from=[as_of],
        home="index.html", menu=site_menu(_),
    )  # fmt: skip


def trend_words(figures: Figures, _: Phrases) -> str:
    """Whether intervals lengthen, in the page's language."""
    known = {
        Word.LENGTHENING: _("lengthening"),
        Word.NO_TREND: _("no trend shown"),
        Word.SHORTENING: _("shortening"),
    }
    return known.get(figures.word) or _("too few to say")


def _marks(found: Sequence[Named], _: Phrases) -> Figure:
    """One mark with its interval for each stratum, in the order of time."""
    shown = found[-MOST_STRATA:]
    bounds = [one.figures.mean_bounds or Interval(0.0, None) for one in shown]
    tops = [one.upper for one in bounds if one.upper is not None]
    highest = max([*tops, *(one.figures.mean or 0.0 for one in shown), *(2.0 * one.lower for one in bounds), 1.0])
    y = scale(0.0, highest, 5)
    plot = Plot(
        title=_("Mean ticks lived for each collapse, with its interval, stratum by stratum"),
        x=scale(0.4, len(shown) + 0.6, 5, wide=False), y=y, x_label=_("stratum, in order of time"),
        y_label=_("ticks a collapse"), numbers=False, y_format=plain,
    )  # fmt: skip
    for place, (one, bound) in enumerate(zip(shown, bounds, strict=True), 1):
        top = highest if bound.upper is None else bound.upper
        plot.bar(place - 0.12, place + 0.12, bound.lower, top, "c1 half", _range(bound))
        if one.figures.mean is not None:
            plot.dot(place, one.figures.mean, "c1", f"{one.number}: {number(one.figures.mean)}")
    commits = [releases(one.lives)[0][1] for one in shown]
    changes = [place for place, (before, now) in enumerate(pairwise(commits), 1) if before != now]
    for place in changes:
        plot.upright(place + 0.5, "rv")
    every = -(-len(shown) // 12)
    plot.names((place, str(one.number)) for place, one in enumerate(shown, 1) if (place - 1) % every == 0)
    rows = [
        (str(one.number), number(one.figures.collapses), number(one.figures.mean), _range(bound), commit)
        for one, bound, commit in zip(shown, bounds, commits, strict=True)
    ]
    interval = _("{share} interval", share=percent(CONFIDENCE, 0))
    columns = (_("stratum"), _("collapses"), _("mean ticks"), interval, _("first release"))
    return Figure(
        heading=_("Mean ticks to a collapse"), svg=plot.svg(),
        legend=[("c1 full", _("mean")), ("c1 half", interval)], numbers=Grid(columns=columns, rows=rows),
        notes=[_("A dashed line: another release began the next stratum.")] if changes else [],
    )  # fmt: skip


def _range(bound: Interval) -> str:
    return f"{number(bound.lower)} – {'∞' if bound.upper is None else number(bound.upper)}"


def _curve(one: Named, _: Phrases) -> Figure:
    figures = one.figures
    plot = Plot(
        title=_("Collapses over ticks lived, stratum {number}", number=one.number),
        x=scale(0, max(1, figures.ticks), 4, wide=False), y=scale(0, figures.collapses, 4, whole=True),
        x_label=_("ticks lived"), y_label=_("collapses"),
    )  # fmt: skip
    points = [(0.0, 0.0), *((float(tick), float(place)) for place, tick in enumerate(figures.times, 1))]
    points.append((float(figures.ticks), float(figures.collapses)))
    changes = releases(one.lives)[1:]
    for tick, _commit in changes:
        plot.upright(tick, "rv")
    plot.line([(0.0, 0.0), (float(figures.ticks), float(figures.collapses))], "c6")
    plot.line(stepped(points), "c1")
    legend = [("c1 line", _("collapses")), ("c6 line", _("no trend"))]
    if figures.trend is not None:
        fit, parts = figures.trend, 60
        at = [figures.ticks * place / parts for place in range(parts + 1)]
        plot.line([(tick, fit.scale * tick**fit.beta) for tick in at], "c2")
        legend.append(("c2 line", f"beta {number(fit.beta, 3)}"))
    heading = _("Stratum {number}: {word}", number=one.number, word=trend_words(figures, _))
    said = ", ".join(f"{commit} ({number(tick)})" for tick, commit in changes[:MOST_RELEASES])
    more = " …" if len(changes) > MOST_RELEASES else ""
    notes = [_("Dashed lines are releases, each at the tick of its first run: {names}.", names=said + more)]
    return Figure(heading=heading, svg=plot.svg(), legend=legend, notes=notes if changes else [])


def _living(one: Named, _: Phrases) -> Figure:
    """The product-limit curve of a stratum with its band."""
    curve = kaplan_meier(*watched(one.lives))
    y = scale(0.0, 1.0, 4)
    plot = Plot(
        title=_("Share of experiments that live on, stratum {number}", number=one.number),
        x=scale(0, max(1, curve.times[-1]), 4, wide=False), y=y, x_label=_("ticks lived"),
        y_label=_("not collapsed"), y_format=percents(y),
    )  # fmt: skip
    plot.band_of_stairs(curve.times, curve.upper, curve.lower, "c1 pale")
    plot.stairs(curve.times, curve.share, "c1")
    rows = [
        (number(tick), percent(share), f"{percent(low)} – {percent(high)}") for tick, share, low, high in curve.steps()
    ]
    columns = (_("ticks lived"), _("not collapsed"), _("{share} interval", share=percent(CONFIDENCE, 0)))
    note = _("Kaplan-Meier; an experiment that reached the end of its window, or that a stop cut, is censored there.")
    return Figure(
        heading=_("Stratum {number}", number=one.number), svg=plot.svg(),
        legend=[("c1 line", _("{count} experiments", count=number(curve.count)))],
        numbers=Grid(columns=columns, rows=rows), notes=[note],
    )  # fmt: skip


def _strata(found: Sequence[Named], _: Phrases) -> Grid:
    rows = []
    for one in found:
        what, figures = one.stratum, one.figures
        line = "–" if what.line is None else str(what.line.value)
        beta = "–" if figures.trend is None else number(figures.trend.beta, 3)
        rows.append(
            (
                str(one.number), what.instance, what.arm, line, what.market, what.config_hash[:DIGITS],
                what.core_hash[:DIGITS], number(figures.runs), number(figures.experiments), number(figures.collapses),
                number(figures.ticks), number(figures.median), beta, trend_words(figures, _),
            )
        )  # fmt: skip
    columns = (
        _("stratum"), _("instance"), _("arm"), _("line"), _("market"), _("configuration"), _("core"), _("runs"),
        _("experiments"), _("collapses"), _("ticks lived"), _("median life"), "beta", _("trend"),
    )  # fmt: skip
    return Grid(columns=columns, rows=rows, left=frozenset([0, 1, 2, 3, 4, 5, 6, 13]))
