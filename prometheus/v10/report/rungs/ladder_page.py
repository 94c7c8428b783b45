"""The verdict on the C ladder as one self-contained page: rungs, then each condition with where it was found.

The same verdict gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from prometheus.v10.report.pages.figures_made import Cell, Grid, Page, Section, Tile
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.templating import render
from prometheus.v10.report.rungs.ladder_records import Condition, Kind, LadderVerdict, Rung, Verdict

TONES: Final = {Verdict.PASS.value: "good", Verdict.FAIL.value: "bad", Verdict.INSUFFICIENT.value: "warn"}
UNMET: Final = {Kind.REQUIRED.value: "does not hold", Kind.EXERCISED.value: "not shown", Kind.PLACE.value: "not here"}
WORDS: Final = frozenset(range(6))


def ladder_page(verdict: LadderVerdict, *, version: str = "") -> Page:
    """Everything that the page shows.

    Args:
        verdict: of the ladder.
        version: of this suite.
    """
    said = [verdict.conclusion, verdict.time]
    if verdict.next_change:
        said.append(f"Smallest next change: {verdict.next_change}.")
    parts = [
        _overview(verdict.rungs), *(_group(name, list(some)) for name, some in groupby(verdict.rungs, _of_group)),
        _departures(verdict.rungs), _sessions(verdict),
    ]  # fmt: skip
    tiles = [Tile(words=one.value, value=str(verdict.counts[one.value]), tone=TONES[one.value]) for one in Verdict]
    made_from = [*(f"{one.run_id} {one.seal or '–'} verify said {one.verified}" for one in verdict.sessions),
                 f"prometheus-quant {version}"]  # fmt: skip
    return Page(
        title=f"C ladder: {verdict.verdict}", kicker="Exchange", verdict=said,
        chips=[(verdict.verdict, TONES[verdict.verdict])], tiles=tiles, sections=parts, made_from=made_from,
        menu=[(f"#{one.name}", one.title) for one in parts],
    )  # fmt: skip


def ladder_bytes(verdict: LadderVerdict, version: str) -> bytes:
    """The page's bytes.

    Raises:
        ConfigError: when jinja2 is not installed.
    """
    return render(ladder_page(verdict, version=version), Phrases())


def refuse_without_pages() -> None:
    """Refuse before any work where no page can be made.

    Raises:
        ConfigError: when jinja2 is not installed.
    """
    render(Page(title="", kicker="", verdict=[""]), Phrases())


def _of_group(rung: Rung) -> str:
    return rung.group


def anchor(name: str) -> str:
    """A name as the address of a part of the page."""
    return name.lower().replace(" ", "-").replace(".", "-").replace("/", "-")


def _verdict(said: str) -> Cell:
    return Cell(said, tone=TONES[said])


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}".removesuffix(".0")


def _overview(rungs: Sequence[Rung]) -> Section:
    rows = [
        (one.rung, _verdict(one.verdict), one.asks, one.conclusion, one.next_change or "–", one.run_id or "–",
         _seconds(one.venue_seconds), _seconds(one.wall_seconds)) for one in rungs
    ]  # fmt: skip
    columns = (
        "rung",
        "verdict",
        "asks",
        "conclusion",
        "smallest next change",
        "session",
        "venue time, s",
        "wall time, s",
    )
    return Section(
        name="rungs", title="Rungs", grids=[Grid(columns=columns, rows=rows, left=WORDS)],
        lead="Pass: every condition holds. Fail: one that must hold does not. Insufficient: no session shows it, or it "
        "cannot be shown where the sessions were. Gates 1 to 3 are not judged here: prometheus-quant gate does that.",
    )  # fmt: skip


def _group(name: str, rungs: list[Rung]) -> Section:
    grids = []
    for rung in rungs:
        rows = [
            (one.says, _state(one), one.file, one.field, "–" if one.value is None else str(one.value), one.wanted,
             one.run_id or "–") for one in rung.conditions
        ]  # fmt: skip
        columns = ("condition", "state", "file", "field", "value", "wanted", "run")
        caption = f"{rung.rung}: {rung.verdict}. {rung.asks}"
        grids.append(Grid(columns=columns, rows=rows, left=frozenset(range(7)), caption=caption))
        if rung.also_judged:
            others = [(one.run_id, _verdict(one.verdict), one.lacks or "–") for one in rung.also_judged]
            grids.append(Grid(
                columns=("other session", "verdict", "does not hold"), rows=others, left=frozenset(range(3)),
                caption=f"{rung.rung}: other sessions of its kind",
            ))  # fmt: skip
    return Section(name=anchor(name), title=name, grids=grids)


def _state(one: Condition) -> Cell:
    if one.holds:
        return Cell("holds", tone="good")
    return Cell(UNMET[one.kind], tone="bad" if one.kind == Kind.REQUIRED.value else "warn")


def _departures(rungs: Sequence[Rung]) -> Section:
    rows = [(one.rung, one.asks, one.departure) for one in rungs if one.departure]
    grid = Grid(columns=("rung", "asks", "here"), rows=rows, left=frozenset(range(3)))
    return Section(name="departures", title="What is named or done otherwise here", grids=[grid])


def _sessions(verdict: LadderVerdict) -> Section:
    rows = [
        (one.run_id, one.verified, one.status, one.mode, one.site or "–", one.library, one.bars,
         _seconds(one.venue_seconds), _seconds(one.wall_seconds)) for one in verdict.sessions
    ]  # fmt: skip
    columns = ("run", "verify", "status", "mode", "site", "library", "bars", "venue time, s", "wall time, s")
    return Section(
        name="sessions", title="Sessions", grids=[Grid(columns=columns, rows=rows, left=WORDS)], lead=verdict.time,
        empty="" if rows else "There is no session.",
    )  # fmt: skip
