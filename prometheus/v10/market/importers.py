"""Turns a file into bars: suffix and columns tell the shape, every choice is written down, nothing wrong gets through.

Shapes: ``.csv`` (`csv_source`), ``.feather`` (`feather_source`, funding beside it included), and the library's own
``bars.npy`` with its ``market.json`` (`library`).
"""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import Bars, Floats
from prometheus.v10.market.csv_source import read_csv
from prometheus.v10.market.feather_source import funding_beside, read_feather, read_funding
from prometheus.v10.market.funding import lay_funding
from prometheus.v10.market.native import BARS_FILE, read_market
from prometheus.v10.market.tables import RawTable, infer_timeframe
from prometheus.v10.market.validate import Finding, require_valid

READERS = {".csv": read_csv, ".feather": read_feather}
SUFFIXES = frozenset({*READERS, ".npy"})
NO_SERIES = "no funding series was given for this market"


@attrs.frozen(kw_only=True)
class Imported:
    """Bars that passed, and how they came to be.

    Attributes:
        bars: the market.
        decisions: what was decided in reading, in sentences.
        gaps: the gaps that ``allow_gaps`` let pass; rows are those of the source.
        row_word: what a row of the source is called.
        funding_source: the file the funding came from, None without one.
    """

    bars: Bars
    decisions: list[str]
    gaps: list[Finding]
    row_word: str
    funding_source: Path | None


def read_source(
    source: Path,
    *,
    symbol: str | None = None,
    timeframe_s: int | None = None,
    funding: Path | None = None,
    allow_gaps: bool = False,
) -> Imported:
    """Read a market file and refuse it unless it is sound.

    Args:
        source: a ``.csv`` or ``.feather`` file.
        symbol: the instrument; needed only where neither the file nor its name says.
        timeframe_s: seconds per bar; by default the commonest step between rows.
        funding: a funding series in freqtrade's feather layout; by default the one that lies beside a feather file.
        allow_gaps: let missing bars pass, and list them.

    Raises:
        ConfigError: naming file, row, time and column of what is wrong.
        UsageError: for a suffix no reader knows, or a feather file without pyarrow.
    """
    if source.suffix.lower() == ".npy":
        return _stored(source, symbol, timeframe_s, funding)
    reader = READERS.get(source.suffix.lower())
    if reader is None:
        raise ConfigError(
            f"{source}: no reader for {source.suffix or 'a file without suffix'}",
            hint="known: .csv, .feather, and bars.npy of a stored market",
        )
    table = reader(source).oldest_first()
    step = timeframe_s if timeframe_s is not None else infer_timeframe(table.open_time, source)
    bars = _bare_bars(source, table, symbol, step)
    gaps = require_valid(bars, allow_gaps=allow_gaps, rows=table.rows, row_word=table.row_word)
    decisions = [*table.decisions]
    if timeframe_s is None:
        decisions.append(f"timeframe: {step} s, the commonest step between rows")
    if gaps:
        decisions.append(f"gaps: {len(gaps)} allowed; nothing was filled in")
    series = funding if funding is not None else funding_beside(source)
    if series is not None:
        bars = _with_funding(bars, series)
        decisions.append(f"funding: from {series.name}" + (", found beside the bars" if funding is None else ""))
    return Imported(bars=bars, decisions=decisions, gaps=gaps, row_word=table.row_word, funding_source=series)


def _stored(source: Path, symbol: str | None, timeframe_s: int | None, funding: Path | None) -> Imported:
    """A market of another library: taken as it is, after its own check."""
    bars, meta = read_market(source.parent)
    if source.name != BARS_FILE or funding is not None:
        raise ConfigError(f"{source}: a stored market is {BARS_FILE} with its own record and brings its funding along")
    if (symbol or bars.symbol, timeframe_s or bars.timeframe_s) != (bars.symbol, bars.timeframe_s):
        raise ConfigError(f"{source}: holds {bars.symbol} at {bars.timeframe_s} s, which an import does not change")
    said = [*meta.decisions, f"copied from stored market {meta.name!r} (source {meta.source_sha256})"]
    return Imported(bars=bars, decisions=said, gaps=meta.findings, row_word=meta.row_word, funding_source=None)


def _bare_bars(source: Path, table: RawTable, symbol: str | None, timeframe_s: int) -> Bars:
    """Bars without funding."""
    name = symbol or table.symbol
    if not name:
        raise ConfigError(
            f"{source}: neither the file nor its name says which instrument it holds", hint="name the symbol"
        )
    unknown: Floats = np.full(len(table.open_time), np.nan)
    return Bars(
        symbol=name,
        timeframe_s=timeframe_s,
        open_time=table.open_time,
        **table.prices,
        volume=table.volume,
        funding=unknown,
        source=str(source),
        null_reasons={"funding": NO_SERIES},
    )


def _with_funding(bars: Bars, series: Path) -> Bars:
    booked, rates = read_funding(series)
    funding, reason = lay_funding(bars.open_time, bars.timeframe_s, booked, rates, series)
    return bars.with_columns({"funding": funding}, null_reasons={"funding": reason} if reason else {})
