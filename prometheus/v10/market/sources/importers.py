"""Turns a file into bars: suffix and columns tell the shape, every choice is written down, nothing wrong gets through.

Shapes: ``.csv`` (`csv_source`), ``.feather`` (`feather_source`, funding beside it included), and the library's own
``bars.npy`` with its ``market.json`` (`library`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import attrs
import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import Bars, Floats
from prometheus.v10.market.sources.csv_source import read_csv
from prometheus.v10.market.sources.feather_source import funding_beside, read_feather, read_funding
from prometheus.v10.market.sources.funding import lay_funding
from prometheus.v10.market.sources.native import BARS_FILE, read_market
from prometheus.v10.market.sources.symbols import settled
from prometheus.v10.market.sources.tables import RawTable, infer_timeframe, require_sane
from prometheus.v10.market.validate import DAY_S, Finding, require_valid

SUFFIXES = frozenset({".csv", ".feather", ".npy"})
LONGEST_BAR_S = 366 * 86_400
NO_FUNDING = Path("none")
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
    base_volume: str | None = None,
) -> Imported:
    """Read a market file and refuse it unless it is sound.

    Args:
        source: a ``.csv`` or ``.feather`` file.
        symbol: the instrument; needed only where neither the file nor its name says.
        timeframe_s: seconds per bar; by default the commonest step between rows.
        funding: a funding series in freqtrade's feather layout; by default the one that lies beside a feather file;
            `NO_FUNDING` reads none.
        allow_gaps: let missing bars pass, and list them.
        base_volume: the column of a CSV file that holds base volume, where its header and numbers do not tell.

    Raises:
        ConfigError: naming file, row, time and column of what is wrong.
        UsageError: for a suffix no reader knows, or a feather file without pyarrow.
    """
    if timeframe_s is not None and not 1 <= timeframe_s <= LONGEST_BAR_S:
        raise ConfigError(f"timeframe {timeframe_s} s: expected 1 to {LONGEST_BAR_S} seconds")
    kind = source.suffix.lower()
    if kind != ".csv" and base_volume is not None:
        raise ConfigError(f"{source}: only a CSV file's column of base volume can be named")
    if kind == ".npy":
        return _stored(source, symbol, timeframe_s, funding)
    if kind not in SUFFIXES:
        raise ConfigError(
            f"{source}: no reader for {source.suffix or 'a file without suffix'}",
            hint="known: .csv, .feather, and bars.npy of a stored market",
        )
    table = read_csv(source, symbol=symbol, base_volume=base_volume) if kind == ".csv" else read_feather(source)
    table = table.oldest_first()
    _require_sane_times(source, table)
    step = timeframe_s if timeframe_s is not None else infer_timeframe(table.open_time, source)
    name, said = settled(symbol, table.symbol, str(source))
    bars = _bare_bars(source, table, name, step)
    gaps = require_valid(bars, allow_gaps=allow_gaps, rows=table.rows, row_word=table.row_word)
    decisions = [*table.decisions, *said, *_anchor(bars)]
    if timeframe_s is None:
        decisions.append(f"timeframe: {step} s, the commonest step between rows")
    if gaps:
        decisions.append(f"gaps: {len(gaps)} allowed; nothing was filled in")
    series = funding if funding is not None else funding_beside(source)
    if funding == NO_FUNDING:
        series = None
        decisions.append("funding: no series was read, as asked for")
    if series is not None:
        bars = _with_funding(bars, series)
        decisions.append(
            f"funding: from {printable(series.name)}" + (", found beside the bars" if funding is None else "")
        )
    return Imported(bars=bars, decisions=decisions, gaps=gaps, row_word=table.row_word, funding_source=series)


def _stored(source: Path, symbol: str | None, timeframe_s: int | None, funding: Path | None) -> Imported:
    """A market of another library: taken as it is, after its own check."""
    bars, meta = read_market(source.parent)
    if source.name != BARS_FILE or funding not in {None, NO_FUNDING}:
        raise ConfigError(f"{source}: a stored market is {BARS_FILE} with its own record and brings its funding along")
    if (symbol or bars.symbol, timeframe_s or bars.timeframe_s) != (bars.symbol, bars.timeframe_s):
        raise ConfigError(f"{source}: holds {bars.symbol} at {bars.timeframe_s} s, which an import does not change")
    said = [*meta.decisions, f"copied from stored market {meta.name!r} (source {meta.source_sha256})"]
    return Imported(bars=bars, decisions=said, gaps=meta.findings, row_word=meta.row_word, funding_source=None)


def _require_sane_times(source: Path, table: RawTable) -> None:
    """Refuse open times beyond the years that records can carry, and months as bars."""
    for at in (table.open_time.argmin(), table.open_time.argmax()) if len(table.open_time) else ():
        try:
            require_sane(int(table.open_time[at]))
        except ValueError as error:
            where = f"{source}: {table.row_word} {int(table.rows[at])}"
            raise ConfigError(f"{where}: {error}", hint="check the unit of the stamps") from None
    if len(table.open_time) > 1 and all(_begins_month(int(opened)) for opened in table.open_time[:50]):
        raise ConfigError(
            f"{source}: holds bars of calendar months, which have no fixed number of seconds", hint="bring daily bars"
        )


def _begins_month(opened: int) -> bool:
    moment = datetime.fromtimestamp(opened, tz=UTC)
    return (moment.day, moment.hour, moment.minute, moment.second) == (1, 0, 0, 0)


def _anchor(bars: Bars) -> list[str]:
    """What is to be said of bars of days and weeks that do not begin on the grid that counts from 1970."""
    offset = bars.first_open % bars.timeframe_s
    if offset == 0 or bars.timeframe_s < DAY_S:
        return []
    return [f"grid: every bar of {bars.timeframe_s} s begins {offset} s after the grid that counts from 1970-01-01"]


def _bare_bars(source: Path, table: RawTable, name: str | None, timeframe_s: int) -> Bars:
    """Bars without funding."""
    if not name:
        raise ConfigError(
            f"{source}: neither the file nor its name says which instrument it holds",
            hint="prometheus-quant market import FILE NAME --symbol SYMBOL; in a profile, [market] symbol",
        )
    unknown: Floats = np.full(len(table.open_time), np.nan)
    return Bars(
        symbol=name,
        timeframe_s=timeframe_s,
        open_time=table.open_time,
        **table.prices,
        volume=table.volume,
        funding=unknown,
        source=printable(str(source)),
        null_reasons={"funding": NO_SERIES},
    )


def _with_funding(bars: Bars, series: Path) -> Bars:
    booked, rates = read_funding(series)
    funding, reason = lay_funding(bars.open_time, bars.timeframe_s, booked, rates, series)
    return bars.with_columns({"funding": funding}, null_reasons={"funding": reason} if reason else {})
