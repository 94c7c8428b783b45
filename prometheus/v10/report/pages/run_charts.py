"""The pictures of a run's page."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.v10.evidence.records.figures import quantiles
from prometheus.v10.report.pages.deaths_seen import (
    DEPLETED,
    LIQUIDATION,
    REASONS,
    REVIEW,
    Buried,
    Period,
)
from prometheus.v10.report.pages.drawing import Plot, Points, stepped
from prometheus.v10.report.pages.figures_made import Figure, Grid
from prometheus.v10.report.pages.over_time import QUANTILES, Fan, Lineages
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.run_read import RunRead
from prometheus.v10.report.pages.scales import Format, number, percent, percents, plain, scale
from prometheus.v10.report.survival_curve import Curve

COLOURS = {REVIEW: "c1", LIQUIDATION: "c2", DEPLETED: "c3"}
ROOM = 1.08
"""An axis is so much longer than its highest bar, whose figure stands above it."""
MOST_TABLE = 70
"""Rows of numbers below a picture; where there are more, every so many is shown."""


def fan_figure(
    fan: Fan, words: tuple[str, str, str], _: Phrases, *, stairs: bool = False, share: bool = True,
    reviews: Sequence[int] = (), crosses: Sequence[tuple[int, float, str]] = (), zero: bool = False,
) -> Figure:  # fmt: skip
    """Quantiles over experiments as a fan.

    Args:
        fan: what is drawn.
        words: heading, sentence for the picture, and the name of the vertical axis.
        _: the page's language.
        stairs: whether a value holds until the next moment.
        share: whether the figures are fractions, written in percent.
        reviews: ticks with a thin upright line.
        crosses: tick, height and hint of single experiments.
        zero: whether a line marks 0.
    """
    heading, title, label = words
    low = min(row["q05"] for row in fan.rows)
    high = max(row["q95"] for row in fan.rows)
    y = scale(min(low, 0.0), max(high, 0.0), 5, whole=not share)
    plot = Plot(
        title=title, x=scale(0, fan.ticks[-1], 4, wide=False), y=y, x_label=_("ticks lived"), y_label=label,
        y_format=percents(y) if share else plain,
    )  # fmt: skip
    form: Format = percents(y) if share else number
    for tick in reviews if len(reviews) <= 60 else ():
        plot.upright(tick, "rv")
    if zero:
        plot.level(0.0, "zr")
    at = list(zip(fan.ticks, fan.rows, strict=True))
    curve: dict[str, Points] = {name: [(tick, row[name]) for tick, row in at] for name in QUANTILES}
    if stairs:
        curve = {name: stepped(points) for name, points in curve.items()}
    alone = max(fan.counts) == 1
    if not alone:
        plot.band(curve["q95"], curve["q05"], "c1 pale")
        plot.band(curve["q75"], curve["q25"], "c1 half")
    plot.line(curve["median"], "c1")
    for tick, height, hint in crosses:
        plot.cross(tick, height, "bad", hint)
    legend = [("c1 line", _("the experiment") if alone else _("median experiment"))]
    if not alone:
        legend += [("c1 half", _("half of the experiments")), ("c1 pale", _("nine in ten"))]
    if reviews:
        legend.append(("rv line", _("review")))
    if crosses:
        legend.append(("bad line", _("collapse")))
    every = -(-len(fan.ticks) // MOST_TABLE)
    rows = [
        (number(tick), *(form(row[name]) for name in QUANTILES), number(count))
        for tick, row, count in list(zip(fan.ticks, fan.rows, fan.counts, strict=True))[::every]
    ]
    columns = (_("tick"), "5 %", "25 %", _("median"), "75 %", "95 %", _("experiments"))
    return Figure(heading=heading, svg=plot.svg(), legend=legend, numbers=Grid(columns=columns, rows=rows))


def deaths_figure(found: Sequence[Period], _: Phrases) -> Figure:
    """Deaths by reason, review by review, as shares of who was alive before."""
    words = reason_words(_)
    shares = [{reason: one.deaths[reason] / one.alive if one.alive else 0.0 for reason in REASONS} for one in found]
    y = scale(0.0, max(0.01, *(sum(one.values()) for one in shares)), 5)
    plot = Plot(
        title=_("Deaths by reason before each review, as shares of the agents alive at its start"),
        x=scale(0.4, len(found) + 0.6, 5, wide=False), y=y, x_label=_("review period"), y_label=_("died"),
        y_format=percents(y), numbers=False,
    )  # fmt: skip
    for place, (one, share) in enumerate(zip(found, shares, strict=True), 1):
        base = 0.0
        for reason in REASONS:
            if one.deaths[reason]:
                hint = f"{_span(one)}: {words[reason]} {number(one.deaths[reason])}, {percent(share[reason])}"
                plot.bar(place - 0.38, place + 0.38, base, base + share[reason], COLOURS[reason], hint)
                base += share[reason]
    every = -(-len(found) // 12)
    plot.names((place, _span(one)) for place, one in enumerate(found, 1) if (place - 1) % every == 0)

    def counts(one: Period) -> list[str]:
        return [number(one.deaths[reason]) for reason in REASONS]

    columns = (_("reviews"), _("alive before"), *(words[reason] for reason in REASONS), _("died"))
    rows = [
        (_span(one), number(one.alive), *counts(one), percent(sum(share.values())))
        for one, share in zip(found, shares, strict=True)
    ]
    legend = [(f"{COLOURS[reason]} full", words[reason]) for reason in REASONS]
    return Figure(
        heading=_("Deaths by reason"), svg=plot.svg(), legend=legend, numbers=Grid(columns=columns, rows=rows)
    )


def _span(one: Period) -> str:
    return str(one.first) if one.first == one.last else f"{one.first}–{one.last}"


def reason_words(_: Phrases) -> dict[str, str]:
    """The reasons of death in words."""
    return {REVIEW: _("review"), LIQUIDATION: _("liquidation"), DEPLETED: _("capital depleted")}


def buried_figure(found: Buried, _: Phrases) -> Figure:
    """What stood between the buried and their life."""
    classes = (
        (_("never traded"), found.never_traded, "c6"),
        (_("lost by costs alone"), found.by_costs, "c5"),
        (_("lost before costs"), found.before_costs, "c2"),
    )
    y = scale(0.0, ROOM * max(count for _words, count, _css in classes) / found.count, 5)
    plot = Plot(
        title=_("Agents that a review removed before they had bred, by cause"), x=scale(0.4, 3.6, 3, wide=False), y=y,
        x_label=_("cause"), y_label=_("share of them"), y_format=percents(y), numbers=False,
    )  # fmt: skip
    for place, (words, count, css) in enumerate(classes, 1):
        share = count / found.count
        if count:
            plot.bar(place - 0.3, place + 0.3, 0.0, share, css, f"{words}: {number(count)}")
        plot.text(place, share, percent(share))
    plot.names((place, words) for place, (words, _count, _css) in enumerate(classes, 1))
    rows = [(words, number(count), percent(count / found.count)) for words, count, _css in classes]
    note = _("{count} agents; the review asks for a return that costs alone can prevent.", count=number(found.count))
    return Figure(
        heading=_("Why reviews remove agents"), svg=plot.svg(), notes=[note],
        numbers=Grid(columns=(_("cause"), _("agents"), _("share of them")), rows=rows),
    )  # fmt: skip


def survival_figure(curves: Sequence[tuple[str, str, Curve]], reviews: Sequence[int], _: Phrases) -> Figure:
    """Survival by age; ``curves`` are words, class and curve of each group."""
    last = max(curve.times[-1] for _words, _css, curve in curves)
    y = scale(0.0, 1.0, 4)
    plot = Plot(
        title=_("Share of agents that live beyond an age"), x=scale(0, last, 4, wide=False), y=y,
        x_label=_("age, ticks"), y_label=_("still alive"), y_format=percents(y),
    )  # fmt: skip
    for tick in reviews if len(reviews) <= 60 else ():
        plot.upright(tick, "rv")
    rows = []
    for words, css, curve in curves:
        plot.band_of_stairs(curve.times, curve.upper, curve.lower, f"{css} pale")
        plot.stairs(curve.times, curve.share, css)
        every = -(-len(curve.times) // (MOST_TABLE // 2))
        for age, share, low, high in curve.steps()[::every]:
            rows.append((words, number(age), percent(share), f"{percent(low)} – {percent(high)}"))
    legend = [(f"{css} line", f"{words} ({number(curve.count)})") for words, css, curve in curves]
    columns = (_("agents"), _("age, ticks"), _("still alive"), _("95 % interval"))
    return Figure(
        heading=_("Survival by age"), svg=plot.svg(), legend=legend, numbers=Grid(columns=columns, rows=rows),
        notes=[_("Kaplan-Meier; who lives at the end is censored there. The band is the 95 % interval.")],
    )  # fmt: skip


def money_figure(run: RunRead, _: Phrases) -> Figure:
    """Where the money goes: the mean experiment's profit before costs, costs, and what is left."""
    money = {name: [float(row["costs"][name]) for row in run.rows] for name in ("fees", "slippage", "funding")}
    net = [_net(row) for row in run.rows]
    gross = [left + sum(paid) for left, paid in zip(net, zip(*money.values(), strict=True), strict=True)]
    steps = (
        (_("before costs"), gross, "c4"),
        (_("fees"), money["fees"], "c5"),
        (_("slippage"), money["slippage"], "c5"),
        (_("funding"), money["funding"], "c5"),
        (_("net"), net, "c1"),
    )
    level, bars = 0.0, list[tuple[str, float, float, str]]()
    for place, (words, values, css) in enumerate(steps):
        mean = sum(values) / len(values)
        if place in {0, len(steps) - 1}:
            bars.append((words, 0.0, mean, css))
            level = mean
        else:
            bars.append((words, level, level - mean, css))
            level -= mean
    low = min(0.0, *(min(start, end) for _w, start, end, _c in bars))
    y = scale(low, ROOM * max(0.0, *(max(start, end) for _w, start, end, _c in bars)), 5)
    plot = Plot(
        title=_("From profit before costs to net profit, mean of the experiments"), x=scale(0.4, 5.6, 5, wide=False),
        y=y, x_label=_("mean of the experiments"), y_label="USDT", numbers=False,
    )  # fmt: skip
    plot.level(0.0, "zr")
    for place, (words, start, end, css) in enumerate(bars, 1):
        change = end - start if css != "c5" else -(start - end)
        plot.bar(place - 0.34, place + 0.34, start, end, css, f"{words}: {number(change)} USDT")
        plot.text(place, max(start, end), number(change, 3))
    plot.names((place, words) for place, (words, _a, _b, _c) in enumerate(bars, 1))
    rows = []
    for words, values, _css in steps:
        spread = quantiles(values)
        rows.append((words, *(number(spread[name]) for name in ("mean", "q05", "median", "q95"))))
    columns = ("USDT", _("mean"), "5 %", _("median"), "95 %")
    return Figure(heading=_("Money"), svg=plot.svg(), numbers=Grid(columns=columns, rows=rows))


def _net(row: dict[str, object]) -> float:
    """USDT that the total has grown by, from the return that the row states."""
    total = float(row["capital_triplet"]["current_total"])  # type: ignore[index]
    roi = float(row["system_roi"])  # type: ignore[arg-type]
    return total - total / (1.0 + roi) if roi > -1.0 else total


def lineages_figure(found: Lineages, _: Phrases) -> Figure:
    """The living by founder, stacked."""
    totals = [sum(column[place] for column in found.living) for place in range(len(found.ticks))]
    plot = Plot(
        title=_("Living agents by founder in experiment {number}", number=found.experiment),
        x=scale(0, found.ticks[-1], 4, wide=False), y=scale(0, max(1, *totals), 5, whole=True),
        x_label=_("ticks lived"), y_label=_("agents alive"),
    )  # fmt: skip
    base = [0.0] * len(found.ticks)
    for place, (name, column) in enumerate(zip(found.names, found.living, strict=True)):
        top = [below + count for below, count in zip(base, column, strict=True)]
        points = [list(zip(found.ticks, edge, strict=True)) for edge in (top, base)]
        css = "lx" if name is None else f"l{place % 12}"
        plot.band(stepped(points[0]), stepped(points[1]), css)
        base = top
    legend = [
        ("lx full", _("all others")) if name is None else (f"l{place % 12} full", short_name(name))
        for place, name in enumerate(found.names)
    ]
    columns = (_("founder"), _("most alive at a time"), _("alive at the end"))
    rows = [
        (_("all others") if name is None else name, number(max(column)), number(column[-1]))
        for name, column in zip(found.names, found.living, strict=True)
    ]
    note = _(
        "{left} of {all} founders have living descendants at the end.", left=found.founders_left[-1],
        all=found.founders_left[0],
    )  # fmt: skip
    return Figure(
        heading=_("Lineages of the median experiment"), svg=plot.svg(), legend=legend, notes=[note],
        numbers=Grid(columns=columns, rows=rows),
    )  # fmt: skip


def short_name(agent: str) -> str:
    """The number of an agent within its experiment."""
    return agent.rpartition("a")[2].lstrip("0") or "0"


def fences_figure(run: RunRead, _: Phrases) -> Figure | None:
    """How often each fence blocked what came before it."""
    counters = run.telemetry.get("counters")
    found = []
    for name, one in counters.items() if isinstance(counters, dict) else ():
        if isinstance(one, dict) and type(one.get("attempts")) is int and type(one.get("block_count")) is int:
            found.append((name, one))
    met = [(name, one) for name, one in found if one["attempts"] > 0 and one.get("enabled") is True]
    if not found:
        return None
    blocked = [(name, one) for name, one in met if one["block_count"] > 0]
    blocked.sort(key=lambda pair: (-pair[1]["block_count"] / pair[1]["attempts"], pair[0]))
    shown = blocked[:14]
    if not shown:
        shown = met[:4]
    plot = Plot(
        title=_("Share of attempts that each fence blocked"), x=scale(0.0, 1.0, 4), y=scale(0.0, 1.0, 2),
        x_label=_("blocked, share of attempts"), y_label="", height=60 + 22 * max(1, len(shown)), left=224,
        x_format=percents(scale(0.0, 1.0, 4)), y_format=lambda _value: "", flat=True,
    )  # fmt: skip
    for place, (name, one) in enumerate(shown):
        share = one["block_count"] / one["attempts"]
        top, size = 1.0 - place / len(shown), 1.0 / len(shown)
        css = "c2" if one.get("category") == "man_made" else "c1"
        hint = f"{name}: {number(one['block_count'])} / {number(one['attempts'])}"
        plot.bar(0.0, share, top - 0.2 * size, top - 0.8 * size, css, hint)
        plot.text(0.0, top - 0.5 * size, name.removeprefix("FENCE_"), "end", 4)
    legend = [("c2 full", _("man-made")), ("c1 full", _("of the world"))]
    idle = _("{count} more fences are on, were met, and blocked nothing.", count=len(met) - len(blocked))
    rows = [
        (
            name, _("man-made") if one.get("category") == "man_made" else _("of the world"),
            _("on") if one.get("enabled") is True else _("off"), number(one["attempts"]), number(one["block_count"]),
            percent(one["block_count"] / one["attempts"]) if one["attempts"] else "–",
        )
        for name, one in sorted(found)
    ]  # fmt: skip
    columns = (_("fence"), _("kind"), _("state"), _("attempts"), _("blocked"), _("share"))
    return Figure(
        heading=_("Fences"), svg=plot.svg(), legend=legend, folded=True,
        notes=[idle] if len(met) > len(blocked) else [],
        numbers=Grid(columns=columns, rows=rows, left=frozenset([0, 1, 2])),
    )  # fmt: skip
