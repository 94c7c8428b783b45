"""``runs list|show|diff``: what ran, what one run came to, and what makes two runs different."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from prometheus import __version__
from prometheus.cli.names_of import existing, run_of
from prometheus.cli.options import DEFAULT_ROOT, RUN_HELP, AsCsv, AsJson, Root, examples, group
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.base.names import SEAL_FILES, Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import RunPlace, artifact_of, manifest_of, was_cut_off
from prometheus.v10.index.index_read import Asked, Wanted, find_runs, known_name, since, until, wanted
from prometheus.v10.index.index_rows import counts_of
from prometheus.v10.index.index_tables import RUNS
from prometheus.v10.ops.storage.sizes import sized
from prometheus.v10.report.experiment_figures import SHARES
from prometheus.v10.report.run_differences import differences, figures_of_both, kinds_of

COLUMNS = ("run", "instance", "status", "started", "experiments", "ROI", "alive", "deaths", "collapses")
OPTIONAL = ("experiments", "started", "instance")
"""Columns that a narrow terminal leaves out; a run's id has its time."""
REASONS = {"quarterly_review": "review", "capital_depleted": "depleted", "liquidation": "liquidated"}
"""Reasons of death as a person reads them; data keep their own words."""
SHORT = 12
"""Digits of a hash in text."""
HASH_LEAST = 40
SOURCES = ("promoted from", "snapshot judged", "founded on")
"""What is shown of a run only where it has it."""
LEADING = ("run_id", "instance", "status", "started")


def listed(layout: Layout, asked: Asked, columns: Sequence[str]) -> Report:
    """Runs as rows; errors as `find_runs`."""
    found = find_runs(layout, asked)
    data = {
        "root": str(layout.lib), "as_of": found.as_of, "indexed": found.indexed, "matching": found.matching,
        "runs": found.rows,
    }  # fmt: skip
    if not found.rows:
        return Report(data, [f"0 runs are as asked under {layout.lib}", found.as_of])
    said = [_count(len(found.rows), found.matching or 0), found.as_of]
    if columns:
        names = list(dict.fromkeys([*LEADING, *columns]))
        rows: list[list[object]] = [[row[name] for name in names] for row in found.rows]
        return Report(data, [table("runs", names, rows), *said])
    rows = [
        [row["run_id"], row["instance"], "deleted" if row["deleted"] else row["status"], _second(row["started"]),
         row["experiments"], percent(row["roi_median"]), row["alive_median"], row["deaths"], row["collapses"]]
        for row in found.rows
    ]  # fmt: skip
    broken = [f"{row['run_id']}: {row['problem']}" for row in found.rows if row["problem"]]
    return Report(data, [table("runs: medians over experiments", COLUMNS, rows, optional=OPTIONAL), *broken, *said])


def _count(shown: int, there: int) -> str:
    if shown < there:
        return f"{shown:,} of {there:,} runs are shown; --limit {there} shows all"
    return "1 run" if there == 1 else f"{there:,} runs"


def _second(moment: str | None) -> str | None:
    """A UTC text to the second."""
    return None if moment is None else f"{moment[:19]}Z"


def percent(share: float | None) -> str | None:
    """A fraction as a percentage, with its sign."""
    return None if share is None else f"{100.0 * share:+.2f} %"


# ---- one run ---------------------------------------------------------------------------------------------------------


def shown(layout: Layout, run: RunPlace) -> Report:
    """One run on one screen: how it ended, why they died, what it cost, where the evidence is.

    Raises:
        EvidenceError: when its manifest is gone or damaged.
        HostError: when it cannot be read.
    """
    manifest = manifest_of(run.path)
    if manifest is None:
        raise EvidenceError(f"{run.path} has no manifest", hint=f"prometheus-quant verify {run.path}")
    summary = artifact_of(run.path, Artifact.SUMMARY)
    rows: list[dict[str, Any]] = (summary or {}).get("all_stats") or []
    stats: dict[str, Any] = (summary or {}).get("summary_stats") or {}
    sealed = all((run.path / name).is_file() for name in SEAL_FILES)
    head = _head(run, manifest, sealed=sealed)
    deaths = _deaths(rows)
    money = {name: _total(rows, name) for name in ("fees", "slippage", "funding")}
    data = {
        "run": head,
        "sentence": _cut_off_sentence(run) if was_cut_off(run.path) else _sentence(rows, stats, manifest),
        "deaths_by_reason": deaths,
        "money": money,
        "sealed": sealed,
        "config_hash": manifest.get("config_hash"),
        "path": str(run.path),
    }
    seen = {name: value for name, value in head.items() if value is not None or name not in SOURCES}
    parts: list[RenderableType] = [str(data["sentence"]), facts("run", seen)]
    if deaths:
        total = sum(deaths.values())
        share = [
            (REASONS.get(reason, reason), count, f"{100.0 * count / total:.1f} %")
            for reason, count in deaths.items()
            if count
        ] or [("nobody died", 0, "0 %")]
        parts.append(table("why they died", ("reason", "deaths", "share"), share))
    if rows:
        parts.append(facts("money, USDT, all experiments together", {k: f"{v:,.2f}" for k, v in money.items()}))
    evidence = f"sealed in {run.path}" if sealed else f"warning: not sealed yet, in {run.path}"
    prove = f"prove it: prometheus-quant verify {run.run_id} --root {layout.lib}"
    return Report(data, [*parts, evidence, prove, f"more: prometheus-quant report {run.run_id}"])


def _head(run: RunPlace, manifest: Mapping[str, Any], *, sealed: bool) -> dict[str, Any]:
    market, window = (manifest.get(name) or {} for name in ("market", "window"))
    counts = counts_of(manifest)
    ended = "interrupted, cut off" if was_cut_off(run.path) else manifest.get("status")
    reason = f" ({manifest['stop_reason']})" if manifest.get("stop_reason") else ""
    return {
        "run": run.run_id,
        "status": f"{ended}{reason}" if sealed or ended != "completed" else f"{ended}, not sealed",
        "tier": run.tier.value,
        "instance": manifest.get("instance"),
        "stage": manifest.get("stage"),
        "arm": manifest.get("arm"),
        **_source(manifest),
        "started": manifest.get("start_time"),
        "seconds": manifest.get("duration_seconds"),
        "bars": f"{market.get('symbol')} {market.get('timeframe')}, {market.get('source')}",
        "bars sha256": str(market.get("sha256"))[:SHORT],
        "window": f"{window.get('name')}: {window.get('len')} bars from {window.get('start')}",
        "experiments": counts.get("experiments"),
        "deaths": counts.get("deaths"),
        "births": counts.get("births"),
        "collapses": counts.get("collapses"),
        "pool records": counts.get("pool_records"),
        "bytes": sized(manifest["evidence"]["bytes"]) if manifest.get("evidence") else None,
        "commit": str(manifest.get("git_commit"))[:SHORT],
        "core": str(manifest.get("core_hash"))[:SHORT],
        "config": str(manifest.get("config_hash"))[:SHORT],
        "image": (manifest.get("image_digest") or "none: not started from an image").removeprefix("sha256:")[:40],
    }


def _source(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Where its lives or founders come from, where that is another run or a snapshot."""
    promoted, judged, founding = (manifest.get(name) or {} for name in ("promotion", "stage2", "founding"))
    source = f"{promoted.get('from_run_id')}, experiment {promoted.get('experiment')}" if promoted else None
    return dict(zip(SOURCES, (source, judged.get("id"), founding.get("snapshot")), strict=True))


def _deaths(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        for reason, count in (row.get("deaths_by_reason") or {}).items():
            found[reason] = found.get(reason, 0) + count
    return found


def _total(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return float(sum((row.get("costs") or {}).get(name) or 0.0 for row in rows))


def _cut_off_sentence(run: RunPlace) -> str:
    """What the next start found of a run whose process had ended."""
    found = artifact_of(run.path, Artifact.INTERRUPTED) or {}
    missing = ", ".join(map(str, found.get("missing") or [])) or "nothing"
    return f"interrupted: {found.get('reason')}; closed at {found.get('detected_at')}; missing: {missing}"


def _sentence(rows: Sequence[Mapping[str, Any]], stats: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Does it live: one sentence, from the summary alone."""
    if not rows:
        return f"{manifest.get('status')}: the run has no summary"
    living = [row for row in rows if row.get("alive_agents")]
    roi, alive = (stats.get(name) or {} for name in ("system_roi", "alive_agents"))
    said = f"{len(living)} of {len(rows)} populations live at the end"
    if "median" in alive:
        said += f", median {alive['median']:g} agents"
    if "median" in roi:
        said += f"; system {percent(roi['median'])} (half between {percent(roi['q25'])} and {percent(roi['q75'])})"
    return said


# ---- two runs --------------------------------------------------------------------------------------------------------


def compared(first: RunPlace, second: RunPlace) -> Report:
    """What differs between two runs: what was asked for, then what came out; errors as `manifest_of`."""
    manifests, rows = [], []
    for run in (first, second):
        found = manifest_of(run.path)
        if found is None:
            raise EvidenceError(f"{run.path} has no manifest", hint=f"prometheus-quant verify {run.path}")
        manifests.append(found)
        rows.append((artifact_of(run.path, Artifact.SUMMARY) or {}).get("all_stats") or [])
    asked = differences(*manifests)
    compared, why = figures_of_both(*rows)
    figures = [
        (one.name, _short(one.first["median"]), _short(one.second["median"]), round(one.delta, 3)) for one in compared
    ]
    names = (f"first: {first.run_id[-4:]}", f"second: {second.run_id[-4:]}")
    data = {
        "first": first.run_id,
        "second": second.run_id,
        "differences": [{"what": what, "key": key, "first": one, "second": other} for what, key, one, other in asked],
        "figures": [
            {"figure": name, "first": one, "second": other, "cliffs_delta": delta}
            for name, one, other, delta in figures
        ],
        "figures_null_reason": why,
    }
    parts: list[RenderableType] = [facts("", {"first": first.run_id, "second": second.run_id})]
    kinds = kinds_of(asked)
    parts.append(f"different {', '.join(kinds)}" if kinds else "identical in config, core, image and bars")
    if "bars" in kinds and compared:
        parts.append("warning: they ran on different bars, so that their figures say little of each other")
    if asked:
        rows_shown = [(what, key, _seen(one), _seen(other)) for what, key, one, other in asked]
        parts.append(table("what differs", ("what", "key", *names), rows_shown))
    if figures:
        said = [(name, _figure(name, one), _figure(name, other), delta) for name, one, other, delta in figures]
        parts.append(table("medians over experiments", ("figure", *names, "Cliff's delta"), said))
    else:
        parts.append(f"no figures: {why}")
    return Report(data, parts)


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _figure(name: str, value: float) -> object:
    """A figure as the table has it: a fraction as a percentage; the data have it as it is."""
    return f"{100.0 * value:.2f} %" if name in SHARES else value


def _seen(value: str) -> str:
    """A value as the table has it; of a hash the first digits, the data have it whole."""
    digits = value.removeprefix("sha256:")
    is_hash = len(digits) >= HASH_LEAST and set(digits) <= set("0123456789abcdef")
    return digits[:SHORT] if is_hash else value


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("Runs: list and find them, look at one, compare two.")
LIST_EXAMPLES = examples(
    "runs list", "runs list --since 2026-03 --until 2026-03", "runs list --status interrupted --since 7d",
    "runs list --market BTC --sort roi_median --limit 10",
    "runs list --where 'collapses>0' --column config_hash --csv",
)  # fmt: skip


@app.callback()
def _group() -> None:
    """Runs: list and find them, look at one, compare two."""


@app.command("list", epilog=LIST_EXAMPLES)
def list_command(
    *,
    root: Root = DEFAULT_ROOT,
    status: Annotated[str | None, typer.Option(help="Status: completed, interrupted, failed or running.")] = None,
    instance: Annotated[str | None, typer.Option(help="Instance that did the run.")] = None,
    commit: Annotated[str | None, typer.Option(metavar="HEX", help="Beginning of the commit.")] = None,
    core: Annotated[str | None, typer.Option(metavar="HEX", help="Beginning of the core's hash.")] = None,
    config: Annotated[str | None, typer.Option("--config-hash", metavar="HEX", help="Beginning of the hash.")] = None,
    market: Annotated[str | None, typer.Option(help="Part of the market's source or symbol, or its SHA-256.")] = None,
    tier: Annotated[str | None, typer.Option(help="Tier: tier1_hf or tier2_full.")] = None,
    newer: Annotated[
        str | None, typer.Option("--since", metavar="SPAN|DATE", help="Earliest start: 7d, 12h, 2026-03, 2026-03-01.")
    ] = None,
    older: Annotated[
        str | None, typer.Option("--until", metavar="SPAN|DATE", help="Latest start; a month or a day to its end.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Condition; = may also be != ^= ~ >= <= > <.")
    ] = None,
    sort: Annotated[str, typer.Option(metavar="NAME", help="Column to sort by, the largest first.")] = "started",
    ascending: Annotated[bool, typer.Option("--ascending", help="Sort the smallest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Number of runs.")] = 20,
    column: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Column to show; may be repeated.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """List runs, the newest first; conditions by what they are."""
    layout = existing(Layout.under(root))
    conditions = wanted(where or [], RUNS.names)
    given = {
        "status": ("=", status), "instance": ("=", instance), "git_commit": ("^=", commit), "core_hash": ("^=", core),
        "config_hash": ("^=", config), "tier": ("=", tier),
    }  # fmt: skip
    conditions += [Wanted(name, sign, value) for name, (sign, value) in given.items() if value is not None]
    if newer is not None:
        conditions.append(Wanted("started", ">=", since(newer, SystemClock().now())))
    if older is not None:
        conditions.append(Wanted("started", "<=", until(older, SystemClock().now())))
    if market is not None:
        conditions.append(Wanted("market_text", "~", market))
    for name in column or []:
        known_name(name, RUNS.names, "--column")
    asked = Asked(conditions, known_name(sort, RUNS.names, "--sort"), ascending, limit)
    return listed(layout, asked, column or []).asked(as_json=as_json, as_csv=as_csv)


@app.command("show", epilog=examples("runs show latest", "runs show HF/latest~1 --json"))
def show_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    *,
    root: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> Report:
    """Show one run on one screen: whether it lives, why they died, what it cost, where the evidence is."""
    layout = Layout.under(root)
    return shown(layout, run_of(run, layout)).asked(as_json=as_json)


def diff_file(first: RunPlace, second: RunPlace, page: Path, lang: str, *, check: bool) -> Report:
    """Write the page of two runs, or compare it with the one that lies there; errors as `page_report`."""
    from prometheus.cli.operate.page_files import language_of, page_report  # noqa: PLC0415  (an extra's)
    from prometheus.v10.report.pages.diff_page import diff_bytes  # noqa: PLC0415

    language = language_of(lang)
    of = {**compared(first, second).data, "language": language.value}
    return page_report(page, lambda: diff_bytes(first.path, second.path, language, __version__), of, check=check)


DIFF_EXAMPLES = examples(
    "runs diff latest~1 latest", "runs diff 94a9 6d56 --json", "runs diff HF/latest~1 HF/latest --html diff.html"
)


@app.command("diff", epilog=DIFF_EXAMPLES)
def diff_command(
    first: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    second: Annotated[str, typer.Argument(metavar="OTHER", help="Run to compare it with.")],
    *,
    root: Root = DEFAULT_ROOT,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a self-contained page into this new file.")
    ] = None,
    lang: Annotated[str | None, typer.Option(metavar="en|zh", help="Language of the page; en by default.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Build the page again and compare it with the file.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """Say what differs between two runs: config, core, image and bars first, then the figures."""
    layout = Layout.under(root)
    one, other = run_of(first, layout), run_of(second, layout)
    if one.path.resolve() == other.path.resolve():
        raise UsageError(f"{first} and {second} are the same run, {one.run_id}", hint="name two runs")
    if html is None and (check or lang is not None):
        raise UsageError("--check and --lang are of a page", hint="name it: --html FILE")
    if html is not None:
        return diff_file(one, other, html, lang or "en", check=check).asked(as_json=as_json, as_csv=as_csv)
    return compared(one, other).asked(as_json=as_json, as_csv=as_csv)
