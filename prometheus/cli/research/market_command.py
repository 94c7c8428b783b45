"""``market import|list|show``: the library of bars."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict

from prometheus.cli.names_of import existing
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples, group
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.paths import Layout
from prometheus.v10.market.sources.library import Reading, import_bars, list_markets, load_market, load_meta
from prometheus.v10.market.sources.native import MarketMeta

_COLUMNS = ("name", "symbol", "timeframe_s", "rows", "first_open_utc", "last_open_utc", "source_file")


def _plain(meta: MarketMeta) -> dict[str, Any]:
    return asdict(meta)


def _data(meta: MarketMeta) -> dict[str, Any]:
    """The record of one market; the schema of a command's output is another one than the record's."""
    plain = _plain(meta)
    return {**plain, "record_schema": plain["schema"]}


def _shown(meta: MarketMeta) -> dict[str, object]:
    hidden = {"decisions", "findings", "null_reasons", "bars_null_reasons"}
    return {name: value for name, value in _plain(meta).items() if name not in hidden}


def import_market(
    layout: Layout,
    source: Path,
    name: str,
    *,
    clock: Clock,
    reading: Reading,
) -> Report:
    """Check a file of bars and store it under ``name``; errors as `import_bars`."""
    meta = import_bars(
        source,
        name,
        layout.market,
        clock=clock,
        reading=reading,
    )
    return Report(_data(meta), [facts(f"imported {name}", _shown(meta)), *(f"- {said}" for said in meta.decisions)])


def list_all(layout: Layout) -> Report:
    """Every market of the library."""
    metas = list_markets(layout.market)
    rows = [[getattr(meta, column) for column in _COLUMNS] for meta in metas]
    if not metas:
        said = f"0 markets in {layout.market}: prometheus-quant market import FILE NAME adds one"
        return Report({"markets": []}, [said])
    return Report({"markets": [_plain(meta) for meta in metas]}, [table(f"markets in {layout.market}", _COLUMNS, rows)])


def show(layout: Layout, name: str) -> Report:
    """One market: its record, checked against its bars, and a few figures of them."""
    meta = load_meta(name, layout.market)
    bars = load_market(name, layout.market)
    figures = {
        "lowest": float(bars.low.min()),
        "highest": float(bars.high.max()),
        "first_close": float(bars.close[0]),
        "last_close": float(bars.close[-1]),
        "mean_volume": float(bars.volume.mean()),
    }
    return Report(
        {**_data(meta), "figures": figures},
        [facts(name, {**_shown(meta), **figures}), *(f"- {said}" for said in meta.decisions)],
    )


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("Imported markets: bars under a name.")
IMPORT_EXAMPLES = examples(
    "market import BTC_USD-Hourly.csv BTC-1h", "market import b.feather BTC-5m --funding f.feather"
)


@app.command("import", epilog=IMPORT_EXAMPLES)
def import_command(
    source: Annotated[Path, typer.Argument(help="A .csv or .feather file, or bars.npy of another installation.")],
    name: Annotated[str, typer.Argument(help="Name for profiles; an existing market is never replaced.")],
    *,
    root: Root = DEFAULT_ROOT,
    symbol: Annotated[str | None, typer.Option(help="Instrument, for a file that does not name it.")] = None,
    timeframe: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Seconds of one bar; by default the most frequent step.")
    ] = None,
    funding: Annotated[
        Path | None, typer.Option(help="File of funding rates, or none; by default the one beside the file.")
    ] = None,
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="Accept gaps; they are recorded.")] = False,
    base_volume: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="CSV column of the volume in base currency, for a file that does not name it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> Report:
    """Check a file of bars and store it under a name."""
    if not source.exists():
        raise UsageError(
            f"{source}: no such file", hint="name a CSV or feather file, or bars.npy of another installation"
        )
    reading = Reading(
        symbol=symbol, timeframe_s=timeframe, funding=funding, allow_gaps=allow_gaps, base_volume=base_volume
    )
    return import_market(Layout.under(root), source, name, clock=SystemClock(), reading=reading).asked(as_json=as_json)


@app.command("list", epilog=examples("market list --root var --json"))
def list_command(*, root: Root = DEFAULT_ROOT, as_json: AsJson = False, as_csv: AsCsv = False) -> Report:
    """List the imported markets."""
    return list_all(existing(Layout.under(root))).asked(as_json=as_json, as_csv=as_csv)


@app.command("show", epilog=examples("market show BTC-1h"))
def show_command(
    name: Annotated[str, typer.Argument(help="Name under which it was imported.")],
    *,
    root: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> Report:
    """Show a market's record and figures, checked against its bars."""
    return show(Layout.under(root), name).asked(as_json=as_json)
