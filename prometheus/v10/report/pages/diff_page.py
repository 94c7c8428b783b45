"""The page of two runs: what was asked for differently first, then what came out, figure by figure.

The same two runs give the same bytes, as with the page of one run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from prometheus.v10.report.experiment_figures import SHARES
from prometheus.v10.report.pages.deaths_seen import REASONS
from prometheus.v10.report.pages.drawing import Plot, stepped
from prometheus.v10.report.pages.figures_made import Cell, Figure, Grid, Page, Section, Tile
from prometheus.v10.report.pages.over_time import Fan, alive_fan, grid, return_fan
from prometheus.v10.report.pages.phrases import Language, Phrases
from prometheus.v10.report.pages.run_charts import reason_words
from prometheus.v10.report.pages.run_evidence import made_rows
from prometheus.v10.report.pages.run_page import status_words
from prometheus.v10.report.pages.run_read import RunRead, read_run
from prometheus.v10.report.pages.run_verified import Verified, verified
from prometheus.v10.report.pages.scales import number, percent, percents, plain, scale
from prometheus.v10.report.pages.templating import render
from prometheus.v10.report.run_differences import (
    FIRST,
    Compared,
    Difference,
    differences,
    figures_of_both,
    kinds_of,
)

COLOURS = ("c1", "c2")


@frozen
class Side:
    """One of the two runs, and what `verify` said of it."""

    run: RunRead
    verified: Verified


def diff_page(first: Side, second: Side, _: Phrases, *, version: str = "") -> Page:
    """Everything that the page of two runs shows.

    Args:
        first: a run.
        second: another one.
        _: the page's language.
        version: of this suite.
    """
    sides = (first, second)
    asked = differences(first.run.manifest, second.run.manifest)
    compared, _why = figures_of_both(first.run.rows, second.run.rows)
    parts = [
        _differs(sides, asked, _),
        _came_out(sides, compared, _),
        _over_time(sides, _),
        _deaths(sides, _),
        _both(sides, _),
        _evidence(sides, _),
    ]
    made_from = [
        *(
            f"{one.run.run_id} {one.run.seal or '–'} {_('verify said {word}', word=one.verified.word)}"
            for one in sides
        ),
        f"prometheus-quant {version}",
    ]  # fmt: skip
    return Page(
        title=_("{first} against {second}", first=first.run.run_id, second=second.run.run_id), kicker=_("Two runs"),
        verdict=_verdict(asked, compared, _), chips=_chips(sides, asked, _), tiles=_tiles(compared, _), sections=parts,
        made_from=made_from, menu=[(f"#{one.name}", one.title) for one in parts],
    )  # fmt: skip


def diff_bytes(first: Path, second: Path, language: Language, version: str) -> bytes:
    """The page of two runs, verified for it.

    Raises:
        PrometheusError: as `read_run`, or when jinja2 is missing.
    """
    words = Phrases(language)
    one, other = (Side(read_run(run), verified(run)) for run in (first, second))
    return render(diff_page(one, other, words, version=version), words)


# ---- the head --------------------------------------------------------------------------------------------------------


def kind_words(_: Phrases) -> dict[str, str]:
    """What two runs can differ in, in words."""
    return {
        "config": _("configuration"), "core": _("core"), "image": _("image"), "commit": _("commit"), "bars": _("bars"),
        "window": _("window"), "arm": _("arm"), "seeds": _("seeds"), "founding": _("founding"),
    }  # fmt: skip


def _verdict(asked: Sequence[Difference], compared: Sequence[Compared], _: Phrases) -> list[str]:
    words, kinds = kind_words(_), kinds_of(asked)
    if not kinds:
        said = [
            _("Nothing was asked for differently: configuration, core, image, bars, window and seeds are the same.")
        ]
    else:
        said = [_("Different: {kinds}.", kinds=", ".join(words[one] for one in kinds))]
    if "bars" in kinds:
        said.append(_("They ran on different bars: their figures say little of each other."))
    by_name = {one.name: one for one in compared}
    if not compared:
        return [*said, _("There are no figures of both to compare.")]
    roi, alive = by_name["system_roi"], by_name["alive_agents"]
    return [
        *said,
        _("The median system returned {first} in the first and {second} in the second; Cliff's delta is {delta}.",
          first=percent(roi.first["median"], 2), second=percent(roi.second["median"], 2), delta=number(roi.delta, 3)),
        _("The median population has {first} and {second} agents at the end; Cliff's delta is {delta}.",
          first=number(alive.first["median"]), second=number(alive.second["median"]), delta=number(alive.delta, 3)),
    ]  # fmt: skip


def _chips(sides: Sequence[Side], asked: Sequence[Difference], _: Phrases) -> list[tuple[str, str]]:
    words, kinds = kind_words(_), set(kinds_of(asked))
    chips = [
        (_("{what}: different", what=words[one]), "bad" if one == "bars" else "warn")
        if one in kinds
        else (_("{what}: the same", what=words[one]), "good")
        for one in FIRST
    ]
    tones = {"PASS": "good", "FAIL": "bad"}
    names = (_("first"), _("second"))
    return [
        *chips,
        *(
            (f"{name}: verify {one.verified.word}", tones.get(one.verified.word, "warn"))
            for name, one in zip(names, sides, strict=True)
        ),
    ]


def _tiles(compared: Sequence[Compared], _: Phrases) -> list[Tile]:
    names = figure_words(_)
    shown = [one for one in compared if one.name in {"system_roi", "alive_agents", "max_drawdown", "deaths"}]
    return [
        Tile(words=names[one.name], value=" / ".join(_value(one.name, of, places=1) for of in (one.first, one.second)),
             beside=_("medians; Cliff's delta {delta}", delta=number(one.delta, 3)))
        for one in shown
    ]  # fmt: skip


# ---- the parts -------------------------------------------------------------------------------------------------------


def _differs(sides: Sequence[Side], asked: Sequence[Difference], _: Phrases) -> Section:
    words = kind_words(_)
    order = {kind: place for place, kind in enumerate(kinds_of(asked))}
    rows = [
        (words[what], key, first, second)
        for what, key, first, second in sorted(asked, key=lambda one: order[one[0]])
    ]  # fmt: skip
    columns = (_("what"), _("key"), *(one.run.run_id for one in sides))
    grids = [Grid(columns=columns, rows=rows, left=frozenset(range(4)))] if rows else []
    empty = "" if rows else _("Nothing was asked for differently.")
    return Section(name="differs", title=_("What was asked for differently"), grids=grids, empty=empty)


def figure_words(_: Phrases) -> dict[str, str]:
    """Figures of an experiment in words."""
    return {
        "never_traded": _("share that never traded"), "system_roi": _("return of the system"),
        "max_drawdown": _("largest drawdown"), "trades_median": _("trades of the median agent"),
        "liquidated_share": _("share liquidated"), "roi_q05": _("return of agents, 5 %"),
        "roi_median": _("return of the median agent"), "roi_q95": _("return of agents, 95 %"),
        "deaths": _("deaths"), "births": _("births"), "alive_agents": _("alive at the end"),
        "lineages_alive": _("lineages left"), "gross": _("profit before costs, USDT"), "fees": _("fees, USDT"),
        "slippage": _("slippage, USDT"), "funding": _("funding, USDT"), "costs": _("costs, USDT"),
        "net": _("profit, USDT"),
    }  # fmt: skip


def _value(name: str, found: Mapping[str, float], which: str = "median", places: int = 2) -> str:
    return percent(found[which], places) if name in SHARES else number(found[which])


def _came_out(sides: Sequence[Side], compared: Sequence[Compared], _: Phrases) -> Section:
    title = _("What came out")
    if not compared:
        return Section(name="figures", title=title, empty=_("There are no figures of both to compare."))
    words = figure_words(_)
    lead = _(
        "One value an experiment: {first} in the first run, {second} in the second. Cliff's delta says how much more "
        "often a value of the first lies above one of the second than below: 1 always, -1 never, 0 as often.",
        first=len(sides[0].run.rows), second=len(sides[1].run.rows),
    )  # fmt: skip
    plot = Plot(
        title=_("Cliff's delta of each figure, the first run against the second"), x=scale(-1.0, 1.0, 4),
        y=scale(0.4, len(compared) + 0.6, 4, wide=False), x_label=_("Cliff's delta"), y_label="", flat=True,
        height=46 + 22 * len(compared), left=212, y_format=lambda _value: "",
    )  # fmt: skip
    for place, one in enumerate(reversed(compared), 1):
        hint = f"{words[one.name]}: {number(one.delta, 3)}"
        plot.bar(0.0, one.delta, place - 0.34, place + 0.34, COLOURS[one.delta < 0], hint)
        plot.text(-1.0, place, words[one.name], "end", 4)
    rows = [
        (words[one.name], *(_value(one.name, of) for of in (one.first, one.second)),
         *(f"{_value(one.name, of, 'q25')} … {_value(one.name, of, 'q75')}" for of in (one.first, one.second)),
         number(one.delta, 3))
        for one in compared
    ]  # fmt: skip
    columns = (_("figure"), _("first, median"), _("second, median"), _("first, middle half"),
               _("second, middle half"), _("Cliff's delta"))  # fmt: skip
    legend = [("c1 full", _("the first is higher")), ("c2 full", _("the second is higher"))]
    figure = Figure(heading=_("How far apart"), svg=plot.svg(), legend=legend)
    return Section(name="figures", title=title, lead=lead, figures=[figure], grids=[Grid(columns=columns, rows=rows)])


def _over_time(sides: Sequence[Side], _: Phrases) -> Section:
    title = _("Over time")
    ticks = [grid(one.run) for one in sides]
    if not all(ticks) or not all(one.run.rows for one in sides):
        return Section(name="time", title=title, empty=_("There is no time that both can be drawn over."))
    pairs = list(zip(sides, ticks, strict=True))
    alive = [alive_fan(side.run, at) for side, at in pairs]
    returns = [return_fan(side.run, at) for side, at in pairs]
    figures = [
        _lines(alive, (_("Agents alive"), _("Agents alive in the median experiment of both runs"), _("agents alive")),
               _, share=False)
    ]  # fmt: skip
    notes = [_("Ticks are counted from the beginning of each run's own window.")]
    if all(len(fan.ticks) > 1 for fan in returns):
        words = (_("System return"), _("Return of the median system of both runs"), _("return"))
        figures.append(_lines(returns, words, _, share=True))
    else:
        notes.append(_("A run that keeps no series of its money is not drawn over time."))
    return Section(name="time", title=title, figures=figures, notes=notes)


def _lines(fans: Sequence[Fan], words: tuple[str, str, str], _: Phrases, *, share: bool) -> Figure:
    """Medians of two runs, and the half of their experiments that lies between the quartiles."""
    heading, title, label = words
    rows = [row for fan in fans for row in fan.rows]
    low, high = min(row["q25"] for row in rows), max(row["q75"] for row in rows)
    y = scale(min(low, 0.0), max(high, 0.0), 5, whole=not share)
    last = max(fan.ticks[-1] for fan in fans)
    plot = Plot(
        title=title, x=scale(0, last, 4, wide=False), y=y, x_label=_("ticks lived"), y_label=label,
        y_format=percents(y) if share else plain,
    )  # fmt: skip
    step: Callable[[Sequence[tuple[float, float]]], list[tuple[float, float]]] = list if share else stepped
    for fan, css in zip(fans, COLOURS, strict=True):
        curve = {
            name: step([(tick, row[name]) for tick, row in zip(fan.ticks, fan.rows, strict=True)])
            for name in ("q25", "median", "q75")
        }
        plot.band(curve["q75"], curve["q25"], f"{css} pale")
        plot.line(curve["median"], css)
    names = (_("first run"), _("second run"))
    legend = [
        *((f"{css} line", name) for css, name in zip(COLOURS, names, strict=True)),
        ("c1 pale", _("half of the experiments")),
    ]
    ends = [
        (name, number(fan.ticks[-1]), *(_said(fan.rows[-1][q], share=share) for q in ("q25", "median", "q75")))
        for name, fan in zip(names, fans, strict=True)
    ]
    columns = (_("run"), _("last tick"), "25 %", _("median"), "75 %")
    return Figure(heading=heading, svg=plot.svg(), legend=legend, numbers=Grid(columns=columns, rows=ends))


def _said(value: float, *, share: bool) -> str:
    return percent(value, 2) if share else number(value)


def _deaths(sides: Sequence[Side], _: Phrases) -> Section:
    title, words = _("Why they die"), reason_words(_)
    counts = [
        {reason: sum(int(row["deaths_by_reason"].get(reason) or 0) for row in one.run.rows) for reason in REASONS}
        for one in sides
    ]
    if not any(any(one.values()) for one in counts):
        return Section(name="deaths", title=title, empty=_("Nobody died in either run, as far as a summary says."))

    def cells(reason: str) -> list[str]:
        return [
            text
            for one in counts
            for text in (number(one[reason]), percent(one[reason] / max(1, sum(one.values())), 1))
        ]  # fmt: skip

    rows = [(words[reason], *cells(reason)) for reason in REASONS]
    columns = (_("reason"), _("first, deaths"), _("share"), _("second, deaths"), _("share"))
    return Section(name="deaths", title=title, grids=[Grid(columns=columns, rows=rows)])


def _both(sides: Sequence[Side], _: Phrases) -> Section:
    first, second = (dict(made_rows(one.run, _)) for one in sides)
    states = [status_words(one.run, _) for one in sides]
    rows: list[tuple[object, ...]] = [
        (_("how it ended"), *(Cell(words, "", tone if tone != "good" else "") for words, tone in states)),
        *((name, first.get(name, "–"), second.get(name, "–")) for name in {**first, **second}),
    ]  # fmt: skip
    columns = (_("what"), *(one.run.run_id for one in sides))
    return Section(
        name="both", title=_("How both were made"), grids=[Grid(columns=columns, rows=rows, left=frozenset(range(3)))]
    )


def _evidence(sides: Sequence[Side], _: Phrases) -> Section:
    rows = [(one.run.run_id, what) for one in sides for what in [*one.verified.findings, *one.run.odd]]
    grids = [Grid(columns=(_("run"), _("finding of verify")), rows=rows, left=frozenset([0, 1]))] if rows else []
    places = [f"{one.run.path.parent.name}/{one.run.run_id}" for one in sides]
    code = "".join(f"prometheus-quant verify {place}\n" for place in places)
    return Section(
        name="evidence", title=_("Evidence"), grids=grids, code=f"{code}prometheus-quant runs diff {' '.join(places)}",
        lead=_("Prove it: typed in the root of the installation, these verify both runs and compare them again."),
    )  # fmt: skip
