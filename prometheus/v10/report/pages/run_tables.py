"""The tables of a run's page: experiments, genomes that were handed to the pool, and patterns among deaths."""

from __future__ import annotations

from prometheus.v10.report.pages.figures_made import Grid, Section
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.run_read import RunRead
from prometheus.v10.report.pages.scales import number, percent

MOST_ROWS = 200
MOST_GENOMES = 10
MOST_PATTERNS = 25


def experiments_section(run: RunRead, _: Phrases) -> Section:
    """Every experiment, one row."""
    title = _("Every experiment")
    if not run.rows:
        return Section(name="experiments", title=title, empty=_("There is no summary to draw from."))
    lines = run.manifest.get("lines")
    named = isinstance(lines, list) and len(lines) == len(run.rows)
    rows = []
    for place, row in enumerate(run.rows[:MOST_ROWS]):
        collapse = row["collapse"]
        end = _("window's end") if row.get("completed") else _("cut by a stop")
        if collapse.get("detected"):
            end = _("collapse: {reason}", reason=str(collapse.get("reason")))
        cells = [
            str(row["experiment"]), *([str(lines[place])] if named and isinstance(lines, list) else []),
            number(row["seed"], 12), number(row["ticks"]), end, number(row["alive_agents"]), number(row["births"]),
            number(row["deaths"]), percent(row["system_roi"], 2), percent(row["max_drawdown"], 2),
            number(row.get("trades")), number(row.get("lineages_alive")),
        ]  # fmt: skip
        rows.append(cells)
    columns = [
        _("experiment"), *([_("line")] if named else []), _("seed"), _("ticks"), _("end"), _("alive"), _("births"),
        _("deaths"), _("return"), _("drawdown"), _("trades"), _("lineages"),
    ]  # fmt: skip
    left = frozenset([0, 1, 4] if named else [0, 3])
    rest = len(run.rows) - len(rows)
    notes = [_("{count} more experiments are in the summary's file.", count=number(rest))] if rest else []
    return Section(name="experiments", title=title, grids=[Grid(columns=columns, rows=rows, left=left)], notes=notes)


def genomes_section(run: RunRead, _: Phrases) -> Section:
    """The best of the survivors that were handed to the pool."""
    title = _("Genomes handed to the pool")
    pooled = sorted((one for one in run.survivors if one.pooled), key=lambda one: (-one.roi, one.agent, one.experiment))
    appended = run.table("pool_appends").get("appended")
    if not pooled:
        return Section(name="genomes", title=title, empty=_("No survivor was handed to the pool."))
    rows = [
        (
            one.genome[:16], one.agent, str(one.experiment), percent(one.roi, 2), number(one.trades),
            percent(one.wins / one.trades, 0) if one.trades else "–", number(one.age), one.founder,
        )
        for one in pooled[:MOST_GENOMES]
    ]  # fmt: skip
    columns = (
        _("genome sha256"), _("agent"), _("experiment"), _("return"), _("trades"), _("won"), _("age, ticks"),
        _("founder"),
    )  # fmt: skip
    lead = _(
        "{count} survivors were handed over, {records} records in all; the best by return over life:",
        count=number(len(pooled)), records=number(appended) if type(appended) is int else "–",
    )  # fmt: skip
    return Section(
        name="genomes", title=title, lead=lead, grids=[Grid(columns=columns, rows=rows, left=frozenset([0, 1, 2, 7]))]
    )


def patterns_section(run: RunRead, _: Phrases) -> Section:
    """Patterns among deaths."""
    title = _("Patterns among deaths")
    if not run.patterns:
        return Section(name="patterns", title=title, empty=_("No pattern was found among the deaths."))
    rows = [
        (one.pattern, str(one.experiment), f"{number(one.first)} – {number(one.last)}", number(one.deaths), one.detail)
        for one in run.patterns[:MOST_PATTERNS]
    ]
    rest = len(run.patterns) - len(rows)
    notes = [_("{count} more are in interesting_deaths.jsonl.", count=number(rest))] if rest else []
    columns = (_("pattern"), _("experiment"), _("ticks"), _("deaths"), _("detail"))
    return Section(
        name="patterns", title=title, grids=[Grid(columns=columns, rows=rows, left=frozenset([0, 1, 4]))], notes=notes
    )
