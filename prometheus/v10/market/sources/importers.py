"""Turns files into bars: content and columns tell the shape, every choice is written down, nothing wrong gets through.

Shapes: text (`csv_source`), JSON (`json_source`), feather and parquet (`arrow_source`), each plain or packed, and the
library's own ``bars.npy`` with its ``market.json`` (`library`). A file's suffix decides nothing but that last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs
import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import Bars, Floats, Ints, bar_time
from prometheus.v10.market.sources.funding import lay_funding
from prometheus.v10.market.sources.funding_series import funding_beside, is_funding, read_funding
from prometheus.v10.market.sources.joining import in_order, joined, require_digits, without_newest
from prometheus.v10.market.sources.native import BARS_FILE, SourceFile, read_market
from prometheus.v10.market.sources.reading.arrow_source import read_arrow
from prometheus.v10.market.sources.reading.csv_source import read_csv
from prometheus.v10.market.sources.reading.json_source import read_json
from prometheus.v10.market.sources.reading.openings import Kind, Source, file_identity, source_of
from prometheus.v10.market.sources.symbols import settled
from prometheus.v10.market.sources.tables import AS_IT_IS, RawTable, Reading, infer_timeframe, require_sane
from prometheus.v10.market.validate import DAY_S, Finding, gap_ranges, require_valid

SUFFIXES = frozenset({".csv", ".feather", ".npy"})
LONGEST_BAR_S = 366 * 86_400
NO_FUNDING = Path("none")
NO_SERIES = "no funding series was given for this market"
SILENT_SHARE = 0.01  # of bars without volume; more is said in words
READERS: dict[Kind, Callable[[Source, Reading], RawTable]] = {
    Kind.TEXT: read_csv,
    Kind.JSON: read_json,
    Kind.FEATHER: read_arrow,
    Kind.PARQUET: read_arrow,
}


@attrs.frozen(kw_only=True)
class Imported:
    """Bars that passed, and how they came to be.

    Attributes:
        bars: the market.
        decisions: what was decided in reading, in sentences.
        gaps: the gaps that were allowed; rows are those of the source.
        row_word: what a row of the source is called.
        files: the files that they came from.
        funding_source: the file the funding came from, None without one.
        place: where each bar stands.
    """

    bars: Bars
    decisions: list[str]
    gaps: list[Finding]
    row_word: str
    files: list[SourceFile]
    funding_source: Path | None
    table: RawTable | None = None


def read_source(source: Path, reading: Reading = AS_IT_IS) -> Imported:
    """Read one file; as `read_sources`."""
    return read_sources([source], reading)


def read_sources(sources: Sequence[Path], reading: Reading = AS_IT_IS) -> Imported:
    """Read files into one market and refuse it unless it is sound.

    Args:
        sources: files of one instrument and timeframe, in any order; or one ``bars.npy`` of a library.
        reading: what they do not say themselves.

    Raises:
        ConfigError: naming file, row, time and column of what is wrong.
        UsageError: for a feather or parquet file without pyarrow.
        HostError: when a file cannot be read.
    """
    if reading.timeframe_s is not None and not 1 <= reading.timeframe_s <= LONGEST_BAR_S:
        raise ConfigError(f"timeframe {reading.timeframe_s} s: expected 1 to {LONGEST_BAR_S} seconds")
    if any(source.suffix.lower() == ".npy" for source in sources):
        if len(sources) > 1:
            raise ConfigError(f"{sources[0]}: a stored market is imported by itself", hint="name one file")
        return _stored(sources[0], reading)
    tables = [_read(source, reading) for source in sources]
    files = [_file(source, table) for source, table in zip(sources, tables, strict=True)]
    table = joined(tables)
    tables.clear()
    table = without_newest(table) if reading.drop_last else table
    where = str(sources[0]) if len(sources) == 1 else f"{len(sources)} files"
    bars, said = _bars(table, reading, where)
    gaps = _require_valid(bars, table, reading)
    said += _gaps_said(bars, gaps, table) + _silent_said(bars, where)
    bars, said, series = _funded(bars, said, sources, reading)
    return Imported(
        bars=bars, decisions=said, gaps=gaps, row_word=table.row_word, files=files, funding_source=series, table=table
    )


def _read(path: Path, reading: Reading) -> RawTable:
    source = source_of(path)
    if is_funding(source):
        raise ConfigError(
            f"{path}: is a funding series, not bars", hint="name the bars, and the series with --funding FILE"
        )
    table = READERS[source.kind](source, reading)
    table = in_order(table, reading, str(path))
    _require_sane_times(str(path), table)
    return table


def _file(path: Path, table: RawTable) -> SourceFile:
    size, sha256 = file_identity(path)
    return SourceFile(
        file=printable(path.name), bytes=size, sha256=sha256, rows=len(table.rows),
        first_open_utc=bar_time(int(table.open_time[0])), last_open_utc=bar_time(int(table.open_time[-1])),
        decisions=table.decisions,
    )  # fmt: skip


def _stored(source: Path, reading: Reading) -> Imported:
    """A market of another library: taken as it is, after its own check."""
    for name in ("base_volume", "format", "timezone", "stamp"):
        if getattr(reading, name) is not None:
            raise ConfigError(
                f"{source}: a stored market brings its bars as they are: leave --{name.replace('_', '-')} out"
            )
    bars, meta = read_market(source.parent)
    if source.name != BARS_FILE or reading.funding not in {None, NO_FUNDING}:
        raise ConfigError(f"{source}: a stored market is {BARS_FILE} with its own record and brings its funding along")
    asked = (reading.symbol or bars.symbol, reading.timeframe_s or bars.timeframe_s)
    if asked != (bars.symbol, bars.timeframe_s):
        raise ConfigError(f"{source}: holds {bars.symbol} at {bars.timeframe_s} s, which an import does not change")
    size, sha256 = file_identity(source)
    file = SourceFile(
        file=BARS_FILE, bytes=size, sha256=sha256, rows=len(bars), first_open_utc=meta.first_open_utc,
        last_open_utc=meta.last_open_utc,
    )  # fmt: skip
    origin = meta.source_sha256 or f"of {meta.source_file}"
    said = [*meta.decisions, f"copied from stored market {meta.name!r} (source {origin})"]
    return Imported(
        bars=bars, decisions=said, gaps=meta.findings, row_word=meta.row_word, files=[file], funding_source=None
    )


def _require_sane_times(where: str, table: RawTable) -> None:
    """Refuse open times beyond the years that records can carry, and months as bars."""
    for at in (table.open_time.argmin(), table.open_time.argmax()) if len(table.open_time) else ():
        try:
            require_sane(int(table.open_time[at]))
        except ValueError as error:
            raise ConfigError(
                f"{where}: {table.place(int(at))}: {error}", hint="check the unit of the stamps"
            ) from None
    if len(table.open_time) > 1 and all(_begins_month(int(opened)) for opened in table.open_time[:50]):
        raise ConfigError(
            f"{where}: holds bars of calendar months, which have no fixed number of seconds", hint="bring daily bars"
        )


def _begins_month(opened: int) -> bool:
    moment = datetime.fromtimestamp(opened, tz=UTC)
    return (moment.day, moment.hour, moment.minute, moment.second) == (1, 0, 0, 0)


def _bars(table: RawTable, reading: Reading, where: str) -> tuple[Bars, list[str]]:
    """Bars without funding, and everything that was decided about them so far."""
    if not len(table.open_time):
        raise ConfigError(f"{where}: holds no bar")
    name, said = settled(reading.symbol, table.symbol, table.named, where)
    if not name:
        raise ConfigError(
            f"{where}: neither the file nor its name says which instrument it holds",
            hint="prometheus-quant market import FILE NAME --symbol SYMBOL; in a profile, [market] symbol",
        )
    step, told = _timeframe(table, reading, where)
    require_digits(table, step, where)
    times, shifted = _opens(table.open_time, step, reading)
    unknown: Floats = np.full(len(times), np.nan)
    for column in (times, *table.prices.values(), table.volume, unknown):
        column.flags.writeable = False  # `Bars` copies what somebody else could still write into
    bars = Bars(
        symbol=name, timeframe_s=step, open_time=times, **table.prices, volume=table.volume, funding=unknown,
        source=printable(where), null_reasons={"funding": NO_SERIES},
    )  # fmt: skip
    return bars, [*table.decisions, *said, *shifted, *_anchor(bars), *told]


def _timeframe(table: RawTable, reading: Reading, where: str) -> tuple[int, list[str]]:
    """Seconds per bar, and why."""
    if reading.timeframe_s is not None:
        return reading.timeframe_s, []
    if table.timeframe_s is None:
        step = infer_timeframe(table.open_time, where)
        return step, [f"timeframe: {step} s, the commonest step between rows"]
    if len(table.open_time) > 1:
        step = infer_timeframe(table.open_time, where)
        if step != table.timeframe_s and table.coarse <= 1:
            raise ConfigError(
                f"{where}: its name says bars of {table.timeframe_s} s, most rows lie {step} s apart",
                hint="say which is right: --timeframe SECONDS",
            )
    return table.timeframe_s, [f"timeframe: {table.timeframe_s} s, by the file's name"]


def _opens(times: Ints, step: int, reading: Reading) -> tuple[Ints, list[str]]:
    """Open times: where times name the close of a bar, the bar opened one step earlier."""
    if reading.stamp != "close":
        return times, []
    late = step >= 60 and bool((times % 60 == 59).all())
    said = "time: names the close of the bar, as asked for; it opened"
    return times + int(late) - step, [f"{said} {step} s earlier" + (", counted from the next second" if late else "")]


def _anchor(bars: Bars) -> list[str]:
    """What is to be said of bars of days and weeks that do not begin on the grid that counts from 1970."""
    offset = bars.first_open % bars.timeframe_s
    if offset == 0 or bars.timeframe_s < DAY_S:
        return []
    return [f"grid: every bar of {bars.timeframe_s} s begins {offset} s after the grid that counts from 1970-01-01"]


def _require_valid(bars: Bars, table: RawTable, reading: Reading) -> list[Finding]:
    """The gaps that were allowed; errors as `require_valid`, which name the file where there are several."""
    allowed = reading.allow_gaps or table.gaps_are_quiet
    if table.file_of is None:
        return require_valid(bars, allow_gaps=allowed, rows=table.rows, row_word=table.row_word)
    place = table.place
    return require_valid(bars, allow_gaps=allowed, row_word="bar", place=lambda found: place(found.row - 1))


def _gaps_said(bars: Bars, gaps: Sequence[Finding], table: RawTable) -> list[str]:
    if not gaps:
        return []
    why = "left out by the format" if table.gaps_are_quiet else "allowed"
    return [f"gaps: {len(gaps)} {why}; nothing was filled in", f"gaps: missing: {gap_ranges(bars)}"]


def _silent_said(bars: Bars, where: str) -> list[str]:
    """What is to be said of bars in which nobody traded."""
    silent = int((bars.volume == 0).sum())
    if silent == len(bars):
        raise ConfigError(
            f"{where}: every bar has volume 0: mark or index prices are no trades", hint="bring bars of trades"
        )
    share = silent / len(bars)
    much = ": more than 1 %; nobody traded in them" if share > SILENT_SHARE else ""
    return [f"volume: {silent} of {len(bars)} bars have volume 0 ({share:.2%}){much}"] if silent else []


def _funded(
    bars: Bars, said: list[str], sources: Sequence[Path], reading: Reading
) -> tuple[Bars, list[str], Path | None]:
    """The bars with their funding, where there is a series."""
    if reading.funding == NO_FUNDING:
        return bars, [*said, "funding: no series was read, as asked for"], None
    beside = sorted({found for source in sources if (found := funding_beside(source)) is not None})
    alone = beside[0] if len(beside) == 1 else None
    series = reading.funding if reading.funding is not None else alone
    if series is None:
        return bars, said, None
    read = read_funding(series, bars.symbol)
    funding, reason = lay_funding(bars.open_time, bars.timeframe_s, read.booked, read.rates, series)
    bars = bars.with_columns({"funding": funding}, null_reasons={"funding": reason} if reason else {})
    word = "" if reading.funding is not None else ", found beside the bars"
    return bars, [*said, f"funding: from {printable(series.name)}{word}", *read.decisions], series
