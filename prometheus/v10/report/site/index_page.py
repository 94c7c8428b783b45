"""The first page of a site: does it live, what ran last, and how long the disk lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.v10.report.pages.drawing import Plot
from prometheus.v10.report.pages.figures_made import Cell, Figure, Grid, Page, Section, Tile
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.scales import bytes_text, number, percent, percents, scale
from prometheus.v10.report.site.deaths_by_time import deaths_section
from prometheus.v10.report.site.run_lines import RunLine, cells_of, columns_of, site_menu

TONES = {"PASS": "good", "FAIL": "bad", "ERROR": "warn"}
Words = Mapping[str, str]
"""What `verify` said of a run when its page was made, by run id."""
MOST_SHOWN = 200
MOST_NAMED = 3


def run_grid(lines: Sequence[RunLine], words: Words, folder: str, _: Phrases) -> Grid:
    """A table of runs; those that have a page are links to it, in ``folder``."""
    rows = []
    for line in lines:
        word = words.get(line.run_id)
        name = line.run_id if word is None else Cell(line.run_id, f"{folder}{line.run_id}.html")
        cells: list[object] = list(cells_of(line, "", _))
        cells[2] = Cell("–" if word is None else word, "", TONES.get(word or "", ""))
        tone = {"completed": "", "interrupted": "warn", "running": "warn"}.get(line.status, "bad")
        cells[1] = Cell(str(cells[1]), "", tone)
        if line.collapses:
            cells[5] = Cell(str(cells[5]), "", "bad")
        rows.append((name, *cells))
    return Grid(columns=columns_of(_), rows=rows, left=frozenset([0, 1, 2, 3, 4]))


def index_page(status: Mapping[str, Any], every: Sequence[RunLine], words: Words, as_of: str, _: Phrases) -> Page:
    """The first page.

    Args:
        status: what ``status --json`` says of the installation.
        every: its runs, the newest first; the newest `MOST_SHOWN` are listed.
        words: what `verify` said of them.
        as_of: the ledger's entry that the site was built at.
        _: the page's language.
    """
    lines = every[:MOST_SHOWN]
    instances = [one for one in status.get("instances", []) if isinstance(one, dict)]
    parts = [
        Section(name="instances", title=_("Instances"), grids=[_instances(instances, _)] if instances else [],
                empty="" if instances else _("No instance has run here yet.")),
        Section(name="returns", title=_("Returns of the last runs"), figures=_returns(lines, _),
                empty="" if any(line.roi is not None for line in lines) else _("No run has ended yet.")),
        deaths_section(every, _),
        Section(name="runs", title=_("The last runs"),
                grids=[run_grid(lines, words, "runs/", _)] if lines else [],
                empty="" if lines else _("No run has ended yet.")),
    ]  # fmt: skip
    return Page(
        title=_("What lives here"),
        kicker=_("Site"),
        verdict=_verdict(status, instances, every, words, _),
        tiles=_tiles(status, every, words, _),
        sections=parts,
        made_from=[as_of],
        home="index.html",
        menu=site_menu(_),
    )  # fmt: skip


def _verdict(
    status: Mapping[str, Any], instances: Sequence[Mapping[str, Any]], every: Sequence[RunLine], words: Words,
    _: Phrases,
) -> list[str]:  # fmt: skip
    lines = every[:MOST_SHOWN]
    working = [str(one.get("instance")) for one in instances if one.get("working") is True]
    said = []
    if status.get("stop", {}).get("pulled"):
        said.append(_("The kill switch is pulled: nothing starts."))
    if working:
        said.append(_("At work: {names}.", names=", ".join(working)))
    elif not instances and not lines:
        said.append(_("No instance has run here yet."))
    else:
        said.append(_("Nothing is at work."))
    bad = [line.run_id for line in every if words.get(line.run_id) == "FAIL"]
    if bad:
        more = [_("and {count} more", count=len(bad) - MOST_NAMED)] if len(bad) > MOST_NAMED else []
        said.insert(0, _("Runs that do not verify: {names}.", names=", ".join([*bad[:MOST_NAMED], *more])))
    lost = [line for line in lines if line.status in {"failed", "cut off", "unreadable"}]
    if lost:
        said.append(
            _("{count} of the last {all} runs were cut off, failed or cannot be read.", count=len(lost), all=len(lines))
        )
    collapsed = sum(line.collapses or 0 for line in lines)
    of = sum(line.experiments or 0 for line in lines)
    if of:
        said.append(
            _("{count} of {all} experiments of the last {runs} runs collapsed.", count=number(collapsed),
              all=number(of), runs=number(len(lines)))
        )  # fmt: skip
    return said


def _tiles(status: Mapping[str, Any], lines: Sequence[RunLine], words: Words, _: Phrases) -> list[Tile]:
    disk, audit = status.get("disk") or {}, status.get("last_audit")
    checked = [words[line.run_id] for line in lines if line.run_id in words]
    failed = sum(word != "PASS" for word in checked)
    full = disk.get("budget_full_at")
    used, budget, a_day = disk.get("used_bytes"), disk.get("budget_bytes"), disk.get("written_a_day")
    passed = None if not isinstance(audit, dict) else audit.get("passed")
    return [
        Tile(words=_("runs verified here"), value=_("{count} of {all}", count=number(len(checked)),
             all=number(len(lines))), beside=_("{count} do not pass", count=failed), tone="bad" if failed else
             "good" if len(checked) == len(lines) else "warn"),
        Tile(words=_("last audit"), value="–" if passed is None else _("passed") if passed else _("FAILED"),
             beside="" if passed is None or not isinstance(audit, dict) else str(audit.get("ended_at"))[:16],
             tone="" if passed is None else "good" if passed else "bad"),
        Tile(words=_("evidence"), value="–" if used is None else bytes_text(used),
             beside="" if budget is None else _("of {size}", size=bytes_text(budget))),
        Tile(words=_("written a day"), value="–" if a_day is None else bytes_text(a_day),
             beside=_("budget full on {day}", day=str(full)[:10]) if full else _("not full within a century")),
    ]  # fmt: skip


def _instances(instances: Sequence[Mapping[str, Any]], _: Phrases) -> Grid:
    rows = []
    for one in instances:
        last, curve = one.get("last_run") or {}, one.get("collapses") or {}
        working = one.get("working")
        state = Cell(_("at work"), "", "good") if working is True else str(one.get("state") or "–")
        rows.append(
            (
                str(one.get("instance")), str(one.get("stage") or "–"), state, str(last.get("run_id", "–")),
                str(last.get("start_time", "–"))[:19].replace("T", " "), number(curve.get("count")),
                str(curve.get("last_utc") or "–")[:19].replace("T", " "), number(one.get("restarts")),
            )
        )  # fmt: skip
    columns = (
        _("instance"), _("stage"), _("state"), _("last run"), _("started, UTC"), _("collapses"),
        _("last collapse, UTC"), _("restarts"),
    )  # fmt: skip
    return Grid(columns=columns, rows=rows, left=frozenset([0, 1, 2, 3, 4, 6]))


def _returns(lines: Sequence[RunLine], _: Phrases) -> list[Figure]:
    """The median return of each of the last runs, by instance, the oldest first."""
    ended = [line for line in reversed(lines) if line.roi is not None]
    if not ended:
        return []
    values = [line.roi for line in ended if line.roi is not None]
    y = scale(min(0.0, *values), max(0.0, *values), 5)
    plot = Plot(
        title=_("Median return of each of the last runs, the oldest first"),
        x=scale(0.0, len(ended) + 1.0, 5, whole=True, wide=False), y=y, x_label=_("runs, the oldest first"),
        y_label=_("median return"), y_format=percents(y),
    )  # fmt: skip
    plot.level(0.0, "zr")
    names = sorted({line.instance for line in ended})
    for place, line in enumerate(ended, 1):
        css = f"c{names.index(line.instance) % 6 + 1}"
        hint = f"{line.run_id}: {percent(line.roi, 2)}"
        if line.collapses:
            plot.cross(place, line.roi or 0.0, "bad", f"{hint}, {line.collapses}")
        else:
            plot.dot(place, line.roi or 0.0, css, hint)
    legend = [(f"c{place % 6 + 1} full", name) for place, name in enumerate(names[:6])]
    if any(line.collapses for line in ended):
        legend.append(("bad line", _("with a collapse")))
    rows = [(line.run_id, line.instance, percent(line.roi, 2)) for line in ended[-20:]]
    grid = Grid(columns=(_("run"), _("instance"), _("median return")), rows=rows, left=frozenset([0, 1]))
    return [Figure(heading=_("Median return of each run"), svg=plot.svg(), legend=legend, numbers=grid)]
