"""``exchange.html``: every run at an exchange: how its trading ended and why, its orders, rounds, and faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import artifact_of, find_run, manifest_of
from prometheus.v10.report.pages.exchange_read import ExchangeRead, read_exchange
from prometheus.v10.report.pages.exchange_sections import sent_lots, state_cell
from prometheus.v10.report.pages.figures_made import Cell, Grid, Page, Section, Tile
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.scales import number
from prometheus.v10.report.site.run_lines import RunLine, site_menu, status_said

MOST_RUNS = 100
MOST_FAULTS = 100


def exchange_page(
    layout: Layout, lines: Sequence[RunLine], words: Mapping[str, str], as_of: str, _: Phrases
) -> Page:  # fmt: skip
    """The page.

    Args:
        layout: of the installation.
        lines: its runs, the newest first.
        words: what `verify` said of those that have a page.
        as_of: the ledger's entry that the site was built at.
        _: the page's language.
    """
    traded = [line for line in lines if line.mode not in {Mode.OFFLINE.value, "–"}]
    shown = list(islice(traded, MOST_RUNS))
    manifests = [_traded(layout, line) for line in shown]
    prints = [_print(layout, line) for line in shown]
    none = _("No instance has traded at an exchange here.")
    if not shown:
        part = Section(name="runs", title=_("Runs at an exchange"), empty=none)
        return Page(title=_("At the exchange"), kicker=_("Exchange"), verdict=[none], sections=[part],
                    made_from=[as_of], home="index.html", menu=site_menu(_))  # fmt: skip
    ended = [_table(one, "ended") for one in manifests]
    halted = [line.run_id for line, one in zip(shown, ended, strict=True) if one.get("trading_state") == "HALTED"]
    positions = [line.run_id for line, one in zip(shown, ended, strict=True) if one.get("position_lots")]
    said = [_("Runs at an exchange: {count}.", count=number(len(traded)))]
    if halted:
        said.insert(0, _("Trading was halted in: {names}.", names=", ".join(halted[:3])))
    if positions:
        said.append(_("A position was left open by: {names}.", names=", ".join(positions[:3])))
    faults = sum(_whole(one, "error_count") or 0 for one in prints)
    tiles = [
        Tile(words=_("orders"), value=number(sum(_whole(one, "orders") or 0 for one in ended))),
        Tile(words=_("rounds"), value=number(sum(_whole(one, "rounds") or 0 for one in ended))),
        Tile(words=_("calls that went wrong"), value=number(faults), tone="warn" if faults else "good",
             beside=_("of {count}", count=number(sum(_whole(one, "api_calls") or 0 for one in prints)))),
        Tile(words=_("runs halted"), value=number(len(halted)), tone="bad" if halted else "good"),
    ]  # fmt: skip
    parts = [
        Section(name="runs", title=_("Runs at an exchange"), grids=[_runs(shown, manifests, prints, words, _)]),
        _reasons(shown, ended, _),
        _faults(shown, prints, _),
    ]
    return Page(title=_("At the exchange"), kicker=_("Exchange"), verdict=said, tiles=tiles, sections=parts,
                made_from=[as_of], home="index.html", menu=site_menu(_))  # fmt: skip


def _runs(
    lines: Sequence[RunLine], tables: Sequence[Mapping[str, Any]], prints: Sequence[Mapping[str, Any]],
    words: Mapping[str, str], _: Phrases,
) -> Grid:  # fmt: skip
    rows = []
    for line, table, calls in zip(lines, tables, prints, strict=True):
        ended, opened = _table(table, "ended"), _table(table, "bootstrap")
        rows.append((
            Cell(line.run_id, f"runs/{line.run_id}.html") if line.run_id in words else line.run_id, line.instance,
            line.mode, str(table.get("site", "–")), status_said(line.status, _),
            state_cell(ended.get("trading_state")), number(_whole(ended, "orders")), number(_whole(ended, "fills")),
            number(_whole(ended, "rounds")), number(_whole(ended, "crossed_lots")), number(_whole(ended, "net_lots")),
            str(opened.get("equity", "–")), str(ended.get("equity_after", "–")), str(ended.get("fees", "–")),
            number(_whole(ended, "position_lots")), number(_whole(calls, "error_count")),
        ))  # fmt: skip
    columns = (
        _("run"), _("instance"), _("mode"), _("site"), _("status"), _("trading ended"), _("orders"), _("fills"),
        _("rounds"), _("lots crossed"), _("lots sent"), _("equity before, USDT"), _("equity after, USDT"),
        _("fees, USDT"), _("position, lots"), _("faults"),
    )  # fmt: skip
    return Grid(columns=columns, rows=rows, left=frozenset(range(6)))


def _reasons(lines: Sequence[RunLine], ended: Sequence[Mapping[str, Any]], _: Phrases) -> Section:
    rows = [
        (line.run_id, state_cell(one.get("trading_state")), str(reason))
        for line, one in zip(lines, ended, strict=True)
        for reason in _list(one, "reasons")
    ]
    grids = [Grid(columns=(_("run"), _("trading ended"), _("reason")), rows=rows, left=frozenset(range(3)))]
    return Section(
        name="reasons", title=_("Why trading ended as it did"), grids=grids if rows else [],
        empty="" if rows else _("No run gave a reason: each traded to its end."),
    )  # fmt: skip


def _faults(lines: Sequence[RunLine], prints: Sequence[Mapping[str, Any]], _: Phrases) -> Section:
    """The log of calls that went wrong, over all runs, the newest run first."""
    events = [
        (line.run_id, one)
        for line, calls in zip(lines, prints, strict=True)
        for one in _list(calls, "error_events")
        if isinstance(one, dict)
    ]
    rows = [
        (str(one.get("ts_utc", "–"))[:19].replace("T", " "), run_id, Cell(str(one.get("type", "–")), "", "warn"),
         str(one.get("where", "–")), str(one.get("message", "–")))
        for run_id, one in events[:MOST_FAULTS]
    ]  # fmt: skip
    columns = (_("when, UTC"), _("run"), _("what"), _("where"), _("what was said"))
    rest = len(events) - len(rows)
    notes = [_("{count} more are on the pages of the runs.", count=number(rest))] if rest else []
    return Section(
        name="faults", title=_("Fault log"), notes=notes,
        grids=[Grid(columns=columns, rows=rows, left=frozenset(range(5)))] if rows else [],
        empty="" if rows else _("No call went wrong."),
    )  # fmt: skip


def _traded(layout: Layout, line: RunLine) -> Mapping[str, Any]:
    """What a manifest says of the exchange; of a run that has not ended, what its files come to so far."""
    place = find_run(layout, line.run_id)
    try:
        manifest = (None if place is None else manifest_of(place.path)) or {}
    except PrometheusError:
        return {}
    table = _table(manifest, "exchange")
    if table.get("ended") or place is None:
        return table
    found = read_exchange(place.path, manifest, [])
    return {**table, "ended": so_far(found)} if found is not None else table


def so_far(found: ExchangeRead) -> Mapping[str, Any]:
    """What an unfinished run has done, under the names that a manifest has for it; positions are those last seen."""
    look = found.looks[-1] if found.looks else None
    return {
        "orders": len(found.orders), "fills": sum(one.fills for one in found.orders), "rounds": len(found.rounds),
        "crossed_lots": sum(one.crossed for one in found.rounds), "net_lots": sent_lots(found.rounds),
        "trading_state": found.states[-1].state if found.states else "ACTIVE",
        "reasons": list(found.states[-1].reasons) if found.states else [],
        "equity_after": "–" if look is None else number(look.equity, 8),
        "position_lots": None if look is None else look.position,
        "fees": number(sum(one.fees for one in found.orders), 6),
    }  # fmt: skip


def _print(layout: Layout, line: RunLine) -> Mapping[str, Any]:
    place = find_run(layout, line.run_id)
    try:
        return (None if place is None else artifact_of(place.path, Artifact.FINGERPRINT)) or {}
    except PrometheusError:
        return {}


def _table(tree: object, name: str) -> Mapping[str, Any]:
    found = tree.get(name) if isinstance(tree, dict) else None
    return found if isinstance(found, dict) else {}


def _list(tree: Mapping[str, Any], name: str) -> list[Any]:
    found = tree.get(name)
    return found if isinstance(found, list) else []


def _whole(tree: Mapping[str, Any], name: str) -> int | None:
    found = tree.get(name)
    return found if type(found) is int else None
