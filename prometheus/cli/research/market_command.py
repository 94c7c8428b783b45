"""``market import|add|list|show|download``: the library of bars, and what is fetched for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict

from prometheus.cli.names_of import existing
from prometheus.cli.operate.download_command import DOWNLOAD_EXAMPLES, download_command
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples, group
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.market.sources.library import add_bars, import_bars, list_markets, load_market, load_versions
from prometheus.v10.market.sources.native import MarketMeta
from prometheus.v10.market.sources.reading.named_formats import BY_NAME
from prometheus.v10.market.sources.reading.openings import is_data
from prometheus.v10.market.sources.tables import Reading

_COLUMNS = ("name", "symbol", "timeframe_s", "rows", "first_open_utc", "last_open_utc", "source_file")

_VERSION = ("version", "rows", "added_rows", "last_open_utc", "source_file", "bars_sha256", "imported_at")


def _plain(meta: MarketMeta) -> dict[str, Any]:
    return asdict(meta)


def _data(meta: MarketMeta) -> dict[str, Any]:
    """The record of one market; the schema of a command's output is another one than the record's."""
    plain = _plain(meta)
    return {**plain, "record_schema": plain["schema"]}


def _shown(meta: MarketMeta) -> dict[str, object]:
    hidden = {"decisions", "findings", "null_reasons", "bars_null_reasons", "sources"}
    return {name: value for name, value in _plain(meta).items() if name not in hidden}


def import_market(
    layout: Layout,
    sources: list[Path],
    name: str,
    *,
    clock: Clock,
    reading: Reading,
) -> Report:
    """Check files of bars and store them under ``name``; errors as `import_bars`."""
    meta = import_bars(files_of(sources), name, layout.market, clock=clock, reading=reading)
    return Report(_data(meta), [facts(f"imported {name}", _shown(meta)), *(f"- {said}" for said in meta.decisions)])


def add_to_market(layout: Layout, name: str, sources: list[Path], *, clock: Clock, reading: Reading) -> Report:
    """Add the later bars of files to a market; errors as `add_bars`."""
    meta, growth = add_bars(files_of(sources), name, layout.market, clock=clock, reading=reading)
    added = 0 if growth.added is None else len(growth.added)
    data = {**_data(meta), "added": added, "overlap": growth.overlap}
    if not added:
        said = f"{name}: 0 bars added: the files end at {meta.last_open_utc} or earlier, as the market does"
        return Report(data, [said, *(f"- {said}" for said in growth.decisions)])
    head = facts(f"{name}: {added} bars added, version {meta.version}", _shown(meta))
    return Report(data, [head, *(f"- {said}" for said in meta.decisions)])


def files_of(sources: list[Path]) -> list[Path]:
    """The files that were named: a folder stands for its files, and ``*`` for the names that fit.

    Raises:
        UsageError: for a name that is none, or stands for no file, or the same file named twice.
    """
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            inside = sorted(one for one in source.iterdir() if one.is_file() and is_data(one))
        elif not source.exists() and any(mark in source.name for mark in "*?["):
            inside = sorted(one for one in source.parent.glob(source.name) if is_data(one))
        elif source.exists():
            inside = [source]
        else:
            raise UsageError(
                f"{printable(str(source))}: no such file",
                hint="name a file of bars, a folder of them, or bars.npy of another installation",
            )
        if not inside:
            raise UsageError(f"{printable(str(source))}: stands for no file", hint="name files of bars")
        found += inside
    twice = sorted({str(one) for one in found if found.count(one) > 1})
    if twice:
        raise UsageError(f"{printable(twice[0])}: is named twice", hint="name each file once")
    return found


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
    metas = load_versions(name, layout.market)
    meta, bars = metas[-1], load_market(name, layout.market)
    figures = {
        "lowest": float(bars.low.min()),
        "highest": float(bars.high.max()),
        "first_close": float(bars.close[0]),
        "last_close": float(bars.close[-1]),
        "mean_volume": float(bars.volume.mean()),
    }
    versions = [{column: getattr(one, column) for column in _VERSION} for one in metas]
    grown = [table("versions", _VERSION, [list(one.values()) for one in versions])] if len(versions) > 1 else []
    return Report(
        {**_data(meta), "figures": figures, "versions": versions},
        [facts(name, {**_shown(meta), **figures}), *grown, *(f"- {said}" for said in meta.decisions)],
    )


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("Imported markets: bars under a name.")
IMPORT_EXAMPLES = examples(
    "market import BTC_USD-Hourly.csv BTC-1h",
    "market import BTCUSDT-1m-2024-*.zip BTC-1m",
    "market import XBTUSD_60.csv XBT-1h --format kraken",
    "market import b.feather BTC-5m --funding f.feather",
)
ADD_EXAMPLES = examples("market add BTC-1m BTCUSDT-1m-2025-01.zip")

Symbol = Annotated[str | None, typer.Option(help="Instrument, for a file that does not name it.")]
Timeframe = Annotated[
    int | None, typer.Option(metavar="SECONDS", help="Seconds of one bar; by default the most frequent step.")
]
Funding = Annotated[
    Path | None, typer.Option(help="File or folder of funding rates, or none; by default the one beside the file.")
]
AllowGaps = Annotated[bool, typer.Option("--allow-gaps", help="Accept gaps; they are recorded.")]
BaseVolume = Annotated[
    str | None,
    typer.Option(
        "--base-volume",
        "--volume",
        metavar="COLUMN",
        help="Column of the volume in base currency, for a file whose header and numbers do not tell.",
    ),
]
FORMAT = typer.Option(
    "--format", metavar="NAME", help=f"Format, for a file without a header: {', '.join(sorted(BY_NAME))}."
)
TimeZone = Annotated[
    str | None, typer.Option(metavar="ZONE", help="Time zone of dates that name none: +08:00 or Asia/Shanghai.")
]
Stamp = Annotated[
    str | None, typer.Option(metavar="open|close", help="End of its bar that a time names; by default the open.")
]
DropEmpty = Annotated[bool, typer.Option("--drop-empty", help="Leave out rows without a price; they are counted.")]
DropLast = Annotated[bool, typer.Option("--drop-last", help="Leave out the newest bar: it is unfinished.")]
Sort = Annotated[bool, typer.Option("--sort", help="Put the rows of a file in order of time.")]


@app.command("import", epilog=IMPORT_EXAMPLES)
def import_command(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Files of bars of one instrument: CSV, JSON, feather or parquet, packed or not; or one bars.npy.",
        ),
    ],
    name: Annotated[str, typer.Argument(help="Name for profiles; an existing market is never replaced.")],
    *,
    root: Root = DEFAULT_ROOT,
    symbol: Symbol = None,
    timeframe: Timeframe = None,
    funding: Funding = None,
    allow_gaps: AllowGaps = False,
    base_volume: BaseVolume = None,
    format_: Annotated[str | None, FORMAT] = None,
    timezone: TimeZone = None,
    stamp: Stamp = None,
    drop_empty: DropEmpty = False,
    drop_last: DropLast = False,
    sort: Sort = False,
    as_json: AsJson = False,
) -> Report:
    """Check files of bars and store them under a name."""
    reading = Reading(
        symbol=symbol, timeframe_s=timeframe, funding=funding, allow_gaps=allow_gaps, base_volume=base_volume,
        format=format_, timezone=timezone, stamp=_end(stamp), drop_empty=drop_empty, drop_last=drop_last, sort=sort,
    )  # fmt: skip
    found = import_market(Layout.under(root), sources, name, clock=SystemClock(), reading=reading)
    return found.asked(as_json=as_json)


@app.command("add", epilog=ADD_EXAMPLES)
def add_command(
    name: Annotated[str, typer.Argument(metavar="MARKET", help="Name under which the market was imported.")],
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files whose later bars are added; what overlaps must agree."),
    ],
    *,
    root: Root = DEFAULT_ROOT,
    symbol: Symbol = None,
    timeframe: Timeframe = None,
    funding: Funding = None,
    allow_gaps: AllowGaps = False,
    base_volume: BaseVolume = None,
    format_: Annotated[str | None, FORMAT] = None,
    timezone: TimeZone = None,
    stamp: Stamp = None,
    drop_empty: DropEmpty = False,
    drop_last: DropLast = False,
    sort: Sort = False,
    as_json: AsJson = False,
) -> Report:
    """Add later bars to a market. What is stored never changes; runs that had the shorter market can be replayed."""
    reading = Reading(
        symbol=symbol, timeframe_s=timeframe, funding=funding, allow_gaps=allow_gaps, base_volume=base_volume,
        format=format_, timezone=timezone, stamp=_end(stamp), drop_empty=drop_empty, drop_last=drop_last, sort=sort,
    )  # fmt: skip
    found = add_to_market(Layout.under(root), name, sources, clock=SystemClock(), reading=reading)
    return found.asked(as_json=as_json)


def _end(stamp: str | None) -> str | None:
    if stamp not in {None, "open", "close"}:
        raise UsageError(f"--stamp {printable(str(stamp))!r}: expected open or close")
    return stamp


app.command("download", epilog=DOWNLOAD_EXAMPLES)(download_command)


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
