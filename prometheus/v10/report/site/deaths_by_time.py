"""Why they die, over all runs of an installation: deaths by reason, day by day, week by week or month by month."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date

from prometheus.v10.report.pages.deaths_seen import REASONS
from prometheus.v10.report.pages.drawing import Plot
from prometheus.v10.report.pages.figures_made import Figure, Grid, Section
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.run_charts import COLOURS, reason_words
from prometheus.v10.report.pages.scales import number, percent, scale
from prometheus.v10.report.site.run_lines import RunLine

MOST_BARS = 16
"""Days, weeks or months that one picture shows; more days are counted by weeks, more weeks by months."""
MOST_NAMES = 8
Dead = tuple[str, Counter[str]]
"""A span of time, and the deaths of runs that began in it."""


def deaths_section(lines: Sequence[RunLine], _: Phrases) -> Section:
    """Deaths by reason over time, each life once.

    Args:
        lines: every run, in any order.
        _: the page's language.
    """
    title = _("Why they die")
    spans = by_time(lines)
    if not spans:
        return Section(name="deaths", title=title, empty=_("No run has ended yet."))
    total = Counter[str]()
    for _span, deaths in spans:
        total.update(deaths)
    if not total.total():
        return Section(name="deaths", title=title, empty=_("Nobody has died in any run."))
    words = reason_words(_)
    shares = (
        f"{words[reason]} {number(total[reason])} ({percent(total[reason] / total.total(), 0)})" for reason in REASONS
    )
    lead = _("{count} deaths: {shares}.", count=number(total.total()), shares=", ".join(shares))
    return Section(name="deaths", title=title, lead=lead, figures=[_figure(spans, _)])


def by_time(lines: Sequence[RunLine]) -> list[Dead]:
    """Deaths by span of time, the oldest first; the spans are as short as `MOST_BARS` allows, and months at most."""
    counted = [
        (day, line.deaths_by_reason)
        for line in lines
        if line.deaths_by_reason is not None and (day := _day(line.started)) is not None
    ]
    found: dict[str, Counter[str]] = {}
    for name in SPANS:
        found = {}
        for day, deaths in counted:
            found.setdefault(name(day), Counter()).update(deaths)
        if len(found) <= MOST_BARS:
            break
    return sorted(found.items())


def _week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


SPANS: Sequence[Callable[[date], str]] = (date.isoformat, _week, lambda day: day.isoformat()[:7])


def _day(started: str) -> date | None:
    try:
        return date.fromisoformat(started[:10])
    except ValueError:
        return None


def _figure(spans: Sequence[Dead], _: Phrases) -> Figure:
    words = reason_words(_)
    plot = Plot(
        title=_("Deaths by reason over time, of runs that began then"),
        x=scale(0.4, len(spans) + 0.6, 5, wide=False), y=scale(0.0, max(sum(dead.values()) for _, dead in spans), 5),
        x_label=_("runs that began"), y_label=_("deaths"), numbers=False,
    )  # fmt: skip
    for place, (span, dead) in enumerate(spans, 1):
        base = 0
        for reason in REASONS:
            if dead[reason]:
                hint = f"{span}: {words[reason]} {number(dead[reason])}"
                plot.bar(place - 0.38, place + 0.38, base, base + dead[reason], COLOURS[reason], hint)
                base += dead[reason]
    every = -(-len(spans) // MOST_NAMES)
    plot.names((place, span) for place, (span, _) in enumerate(spans, 1) if (place - 1) % every == 0)
    columns = (_("runs that began"), *(words[reason] for reason in REASONS), _("deaths"))
    rows = [(span, *(number(dead[reason]) for reason in REASONS), number(dead.total())) for span, dead in spans]
    return Figure(
        heading=_("Deaths by reason"), svg=plot.svg(), numbers=Grid(columns=columns, rows=rows),
        legend=[(f"{COLOURS[reason]} full", words[reason]) for reason in REASONS],
    )  # fmt: skip
