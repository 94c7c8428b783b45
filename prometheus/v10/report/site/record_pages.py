"""Pages over what else an installation has on record: all runs, gates, markets, and the evidence as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.paths import Layout, newest_market_record
from prometheus.v10.base.reading import LARGE, SMALL, read_if_there
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.report.pages.figures_made import Cell, Grid, Page, Section, Tile
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.scales import bytes_text, number
from prometheus.v10.report.site.index_page import Words, run_grid
from prometheus.v10.report.site.run_lines import RunLine, site_menu

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
MOST_LISTED = 100
VERDICT_TONES = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "warn"}


def runs_page(lines: Sequence[RunLine], words: Words, as_of: str, _: Phrases) -> Page:
    """``runs/index.html``: every run that the site knows, the newest first."""
    part = Section(
        name="runs", title=_("Runs, the newest first"), grids=[run_grid(lines, words, "", _)] if lines else [],
        empty="" if lines else _("No run has ended yet."),
        notes=[_("A run without a link has no page yet: each build adds some, the newest first.")],
    )  # fmt: skip
    count = _("{count} runs, {pages} with a page.", count=number(len(lines)), pages=number(len(words)))
    return Page(title=_("Every run"), kicker=_("Runs"), verdict=[count], sections=[part], made_from=[as_of],
                home="../index.html", menu=site_menu(_, "../"))  # fmt: skip


# ---- gates -----------------------------------------------------------------------------------------------------------


def gates_page(layout: Layout, as_of: str, _: Phrases) -> Page:
    """``gates.html``: every gate with its verdict and the page that was sealed with it."""
    rows, pages = [], []
    for place in _folders(layout.gates):
        verdict = _object(place / "gate_verdict.json")
        said = str(verdict.get("verdict", "–"))
        sealed = _("sealed") if (place / "SHA256SUMS.txt").is_file() else _("not sealed")
        market = verdict.get("market")
        symbol = market.get("symbol") if isinstance(market, dict) else None
        reasons = verdict.get("reasons")
        why = "; ".join(map(str, reasons)) if isinstance(reasons, list) else "–"
        rows.append((
            Cell(place.name, f"#gate-{place.name}"), Cell(said, "", VERDICT_TONES.get(said.upper(), "")), sealed,
            str(symbol or "–"), number(_whole(verdict.get("experiments"))), why,
        ))  # fmt: skip
        page = _text(place / "gate_verdict.md")
        pages.append(
            Section(name=f"gate-{place.name}", title=place.name, code=page, empty="" if page else _("It has no page."))
        )
    columns = (_("gate"), _("verdict"), _("state"), _("market"), _("experiments"), _("reasons"))
    grid = [Grid(columns=columns, rows=rows, left=frozenset([0, 1, 2, 3, 5]))] if rows else []
    parts = [Section(name="gates", title=_("Gates"), grids=grid, empty="" if rows else _("No gate is on record."))]
    said = _("Gates on record: {count}.", count=len(rows)) if rows else _("No gate is on record.")
    return Page(title=_("Gates"), kicker=_("Gates"), verdict=[said], sections=[*parts, *pages], made_from=[as_of],
                home="index.html", menu=site_menu(_))  # fmt: skip


# ---- markets ---------------------------------------------------------------------------------------------------------


def markets_page(layout: Layout, as_of: str, _: Phrases) -> Page:
    """``markets.html``: the library of imported bars."""
    parts, rows = [], []
    for place in _folders(layout.market):
        meta = _object(newest_market_record(place))
        if not meta:
            continue
        rows.append((
            Cell(place.name, f"#market-{place.name}"), str(meta.get("symbol")),
            number(_whole(meta.get("timeframe_s"))), number(_whole(meta.get("rows"))),
            str(meta.get("first_open_utc")), str(meta.get("last_open_utc")), str(meta.get("bars_sha256"))[:16],
        ))  # fmt: skip
        pairs = [(name, _plain(value)) for name, value in sorted(meta.items())]
        grid = Grid(columns=(_("field"), _("value")), rows=pairs, left=frozenset([0, 1]))
        parts.append(Section(name=f"market-{place.name}", title=place.name, grids=[grid]))
    columns = (
        _("market"), _("symbol"), _("seconds a bar"), _("bars"), _("first open"), _("last open"), _("bars sha256"),
    )  # fmt: skip
    grids = [Grid(columns=columns, rows=rows, left=frozenset([0, 1, 4, 5, 6]))] if rows else []
    none = _("No market was imported; runs use the synthetic one.")
    head = Section(name="markets", title=_("Markets"), grids=grids, empty="" if rows else none)
    said = _("Markets on record: {count}.", count=len(rows)) if rows else none
    return Page(title=_("Markets"), kicker=_("Markets"), verdict=[said], sections=[head, *parts], made_from=[as_of],
                home="index.html", menu=site_menu(_))  # fmt: skip


def _plain(value: object) -> str:
    if isinstance(value, list):
        named = (one.get("file", one) if isinstance(one, dict) else one for one in value)
        return "; ".join(map(str, named)) or "–"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {one}" for name, one in sorted(value.items())) or "–"
    return "–" if value is None else str(value)


# ---- evidence --------------------------------------------------------------------------------------------------------


def evidence_page(
    layout: Layout, view: LedgerView, status: Mapping[str, Any], lines: Sequence[RunLine], words: Words, as_of: str,
    _: Phrases,
) -> Page:  # fmt: skip
    """``evidence.html``: the ledger, what does not verify, audits, checkpoints, snapshots, and what was deleted."""
    bad = [line for line in lines if words.get(line.run_id) in {"FAIL", "ERROR"}]
    checked = sum(line.run_id in words for line in lines)
    audit, kept = status.get("last_audit"), status.get("last_checkpoint")
    verdict = (
        _("{count} of {all} runs that were verified here do not pass.", count=len(bad), all=checked)
        if bad
        else _("All {count} runs that were verified here pass.", count=checked)
    )
    waiting = len(lines) - checked
    rest = [_("Not verified here yet: {count}; each build verifies some.", count=number(waiting))] if waiting else []
    passed = audit.get("passed") if isinstance(audit, dict) else None
    tiles = [
        Tile(words=_("entries of the ledger"), value=number(view.entries)),
        Tile(words=_("runs sealed"), value=number(len(view.seals))),
        Tile(words=_("last audit"), value="–" if passed is None else _("passed") if passed else _("FAILED"),
             tone="" if passed is None else "good" if passed else "bad"),
        Tile(words=_("last checkpoint"), value=number(_whole(kept.get("entries")) if isinstance(kept, dict) else None),
             beside=str(kept.get("taken_at"))[:16] if isinstance(kept, dict) else _("none kept")),
        Tile(words=_("files deleted"), value=number(len(view.tombstones))),
        Tile(words=_("files compressed"), value=number(sum(map(len, view.packed.values())))),
    ]  # fmt: skip
    open_runs = sorted(set(view.started) - set(view.seals))
    blind = status.get("cannot_see")
    parts = [
        Section(name="failing", title=_("What does not verify"),
                grids=[run_grid(bad, words, "runs/", _)] if bad else [],
                empty="" if bad else _("Nothing that was verified here fails.")),
        Section(name="open", title=_("Begun and not sealed"),
                grids=_list(_("run"), open_runs),
                empty="" if open_runs else _("Every run that was begun is sealed.")),
        Section(name="problems", title=_("Problems of the ledger"),
                grids=_list(_("entry"), view.problems),
                empty="" if view.problems else _("Every entry is one that the ledger allows.")),
        _snapshots(view, _),
        _deleted(view, _),
        Section(name="blind", title=_("What could not be seen"),
                grids=_list(_("what"), blind if isinstance(blind, list) else []),
                empty="" if blind else _("Everything could be seen.")),
        Section(name="prove", title=_("Prove it"), code=f"prometheus-quant audit --root {layout.lib}",
                lead=_("The audit reads every sealed run, the pools and the ledger again.")),
    ]  # fmt: skip
    return Page(title=_("Evidence"), kicker=_("Evidence"), verdict=[verdict, *rest], tiles=tiles, sections=parts,
                made_from=[as_of], home="index.html", menu=site_menu(_))  # fmt: skip


def _list(name: str, values: Sequence[object]) -> list[Grid]:
    """A table of one column, or none where there is nothing in it."""
    return [Grid(columns=(name,), rows=[(str(one),) for one in values[:MOST_LISTED]])] if values else []


def _snapshots(view: LedgerView, _: Phrases) -> Section:
    pairs = list(zip(view.snapshots_at, view.snapshots, strict=False))[-MOST_LISTED:]
    rows = [
        (str(one.get("id")), _stage_of(one), number(_whole(one.get("count"))), when[:19].replace("T", " "))
        for when, one in reversed(pairs)
    ]
    columns = (_("snapshot"), _("stage"), _("records"), _("taken, UTC"))
    grids = [Grid(columns=columns, rows=rows, left=frozenset([0, 1, 3]))] if rows else []
    return Section(name="snapshots", title=_("Snapshots"), grids=grids, empty="" if rows else _("None was taken."))


def _stage_of(snapshot: Mapping[str, Any]) -> str:
    """The stage of whose pool a snapshot is, which its pool's path tells."""
    return Path(str(snapshot.get("pool_path", ""))).parent.name or "–"


def _deleted(view: LedgerView, _: Phrases) -> Section:
    shown = list(reversed(view.tombstones))[:MOST_LISTED]
    rows = [
        (
            str(one.get("path")),
            bytes_text(_whole(one.get("bytes")) or 0),
            str(one.get("policy")),
            str(one.get("reason")),
        )
        for one in shown
    ]
    columns = (_("file"), _("size"), _("policy"), _("reason"))
    grids = [Grid(columns=columns, rows=rows, left=frozenset([0, 2, 3]))] if rows else []
    empty = "" if rows else _("Nothing was deleted.")
    return Section(name="deleted", title=_("What was deleted"), grids=grids, empty=empty)


# ---- small things ----------------------------------------------------------------------------------------------------


def _folders(place: Path) -> list[Path]:
    """Directories with plain names, in order; links are none."""
    try:
        return sorted(
            one for one in place.iterdir() if NAME.fullmatch(one.name) and one.is_dir() and not one.is_symlink()
        )
    except OSError:
        return []


def _object(place: Path) -> dict[str, Any]:
    try:
        data = read_if_there(place, at_most=LARGE)
        found = {} if data is None else strict_loads(data)
    except (PrometheusError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(place: Path) -> str:
    try:
        return (read_if_there(place, at_most=SMALL) or b"").decode("utf-8", "replace")
    except PrometheusError:
        return ""


def _whole(value: object) -> int | None:
    return value if type(value) is int else None
