"""``progress``: whether evolution gains anything from era to era, to be looked at whenever somebody likes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict
from rich.console import RenderableType

from prometheus.cli.names_of import existing
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples
from prometheus.cli.report import Report, table
from prometheus.cli.research.looking import chosen, left_out_lines, refuse_picture, some
from prometheus.v10.base.outputs import new_output
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.pools.descent import Line
from prometheus.v10.report.betting import FALSE_ALARM, THRESHOLD
from prometheus.v10.report.eras import Histories, History, read_histories
from prometheus.v10.report.gain import Comparison, Point, Verdict, gains
from prometheus.v10.report.gain_picture import draw_gains

TITLES = {Line.FRESH: "inherited against random founders", Line.NULL: "real against shuffled bars"}
ROWS = {Line.FRESH: "over random", Line.NULL: "over shuffled"}
WORDS = {
    (Line.FRESH, Verdict.GAINS): "inheritance gains; founders from survivors return more than random ones",
    (Line.FRESH, Verdict.LOSES): "inheritance loses; founders from survivors return less than random ones",
    (Line.NULL, Verdict.GAINS): "the line on real bars returns more than the line on shuffled bars",
    (Line.NULL, Verdict.LOSES): "the line on real bars returns less than the line on shuffled bars",
}
OTHER_WORDS = {
    Verdict.MIXED: "a gain was shown and a loss as well, in different eras",
    Verdict.NOTHING: "nothing shown yet",
    Verdict.NO_ERA: "no era to compare",
}
COLUMNS = ("inherited line", "eras", "e-value", "largest", "20 at era", "effect", "bounds")
NOTES = (
    "effect: how much more often an experiment of the inherited line returns more than one of the other than less,",
    "from 1 (always) to -1 (never); mean over the eras, and its bounds",
    f"e-value: a gain is shown when it reaches {THRESHOLD:g}; where there is none, the probability of that is at most "
    f"{FALSE_ALARM * 100:g} %, however often one looks",
)
MOST_E = 300.0
"""The largest power of ten that ``e_value`` takes; ``log10_e_value`` goes on."""


def progress(layout: Layout, instance: str | None, picture: Path | None) -> Report:
    """What one instance has gained, or each that has eras.

    Raises:
        UsageError: for an instance that is unknown, or a picture that cannot be meant.
        ConfigError: when a picture is asked for and matplotlib is missing.
        HostError: when runs cannot be listed, or the picture not be written.
    """
    histories = read_histories(layout)
    asked = [(history, gains(history.eras)) for history in _asked(layout, histories, instance)]
    found = [(history, comparisons) for history, comparisons in asked if history.found]
    if picture is not None:
        refuse_picture(picture, layout, [history.instance for history, _ in found])
    data: dict[str, Any] = {
        "threshold": THRESHOLD,
        "false_alarm": FALSE_ALARM,
        "instances": [_data(*one) for one in asked],
        "unknown": [asdict(one) for one in histories.unknown],
    }
    shown: list[RenderableType] = [] if found else [_nothing_yet(layout, [one for one, _ in asked], instance)]
    for history, comparisons in asked:
        shown += [_table(history, comparisons), *_said(comparisons)] if history.found else []
        shown += left_out_lines(history.left_out)
    shown += [*left_out_lines(histories.unknown), *(NOTES if found else ())]
    if picture is not None and found:
        [(history, comparisons)] = found
        titles = {one: TITLES[one.second] for one in comparisons}
        new_output(picture, draw_gains(f"instance {printable(history.instance)}", comparisons, titles), layout=layout)
        data["picture"] = str(picture)
        shown.append(f"picture: {picture}")
    return Report(data, shown)


def _asked(layout: Layout, histories: Histories, instance: str | None) -> list[History]:
    """The history of the instance that was named, or every one that there is."""
    names = chosen(layout, sorted(histories.by_instance), instance)
    return [histories.by_instance[name] for name in names]


def _nothing_yet(layout: Layout, asked: Sequence[History], instance: str | None) -> str:
    whose = f"of {printable(instance)} " if instance is not None else ""
    without = sum(history.without for history in asked)
    runs = f" (runs that are no eras: {without:,})" if without else ""
    return f"no era {whose}in {layout.lib} yet{runs}"


# ---- what is said ----------------------------------------------------------------------------------------------------


def words_of(one: Comparison) -> str:
    """What a comparison shows so far, for a stranger."""
    return WORDS.get((one.second, one.verdict)) or OTHER_WORDS[one.verdict]


def e_value(log_e: float) -> float:
    """An e-value from its natural logarithm, at most 10 to `MOST_E`."""
    return math.pow(10.0, min(MOST_E, log_e / math.log(10.0)))


def _short(log_e: float) -> str:
    """An e-value to three digits."""
    power = log_e / math.log(10.0)
    if abs(power) >= 6:
        return f"1e{power:+.0f}"
    return f"{e_value(log_e):,.0f}" if power >= 2 else f"{e_value(log_e):.3g}"


def _table(history: History, comparisons: Sequence[Comparison]) -> RenderableType:
    numbers = sorted(history.found)
    span = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
    title = f"instance {printable(history.instance)}: era {span}"
    return table(title, COLUMNS, [_row(one) for one in comparisons])


def _row(one: Comparison) -> tuple[object, ...]:
    title, now = ROWS[one.second], one.path[-1] if one.path else None
    if now is None:
        return (title, 0, None, None, None, None, None)
    values = (_short(now.log_e), _short(one.largest), one.shown_at)
    return (title, len(one.path), *values, f"{now.mean:+.2f}", f"{now.lower:+.2f}, {now.upper:+.2f}")


def _said(comparisons: Sequence[Comparison]) -> list[str]:
    return [f"{TITLES[one.second]}: {words_of(one)}" for one in comparisons] + [
        f"left out of {TITLES[one.second]}, without a completed experiment of both: "
        f"{some(f'era {number}' for number in one.missing)}"
        for one in comparisons
        if one.missing and one.path
    ]


# ---- what scripts get ------------------------------------------------------------------------------------------------


def _data(history: History, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    return {
        "instance": history.instance,
        "eras": sorted(history.found),
        "runs_without_era": history.without,
        "left_out": [asdict(one) for one in history.left_out],
        "comparisons": [_comparison(one) for one in comparisons],
    }


def _comparison(one: Comparison) -> Mapping[str, Any]:
    last = one.path[-1] if one.path else None
    return {
        "first": one.first.value,
        "second": one.second.value,
        "eras": len(one.path),
        "missing": list(one.missing),
        **(dict.fromkeys(_POINT) if last is None else _point(last)),
        "largest_e_value": e_value(one.largest),
        "largest_log10_e_value": one.largest / math.log(10.0),
        "reached_threshold_at_era": one.shown_at,
        "loss_reached_threshold_at_era": one.loss_shown_at,
        "verdict": one.verdict.value,
        "words": words_of(one),
        "path": [{"era": point.era, "effect": point.effect, **_point(point)} for point in one.path],
    }


_POINT = ("e_value", "log10_e_value", "loss_log10_e_value", "mean_effect", "lower", "upper")


def _point(point: Point) -> dict[str, float]:
    logs = (point.log_e / math.log(10.0), point.log_e_loss / math.log(10.0))
    return dict(zip(_POINT, (e_value(point.log_e), *logs, point.mean, point.lower, point.upper), strict=True))


# ---- on the command line ---------------------------------------------------------------------------------------------

PROGRESS_EXAMPLES = examples("progress", "progress HF --root var --plot progress.png", "progress HF --json")


def progress_command(
    instance: Annotated[
        str | None, typer.Argument(metavar="[INSTANCE]", help="Instance to look at; all that have eras by default.")
    ] = None,
    *,
    root: Root = DEFAULT_ROOT,
    picture: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw evidence and effect into this new file.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """Show whether evolution gains anything from era to era; look as often as you like."""
    return progress(existing(Layout.under(root)), instance, picture).asked(as_json=as_json, as_csv=as_csv)
