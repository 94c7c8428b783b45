"""Which column of a table holds what, by the names in its header or by a named format."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import PRICE_COLUMNS
from prometheus.v10.market.sources.reading.named_formats import (
    FORMATS,
    Format,
    format_named,
    format_of_header,
    formats_of_width,
    orders_that_fit,
)
from prometheus.v10.market.sources.reading.volume_columns import Volumes, candidates
from prometheus.v10.market.sources.tables import Reading

OPEN_NAMES = (
    "open_time", "opentime", "time_open", "open_timestamp", "start_time", "starttime", "time_period_start",
    "candle_begin_time", "open_date",
)  # fmt: skip
STAMP_NAMES = (
    "unix", "timestamp", "time", "ts", "ts_event", "unix_timestamp", "unix_time", "timestamp_ms", "timestamp_s",
    "timestamp_us", "timestamp_ns", "t", "epoch", "unixtime",
)  # fmt: skip
CLOSE_NAMES = (
    "close_time",
    "closetime",
    "time_close",
    "close_timestamp",
    "end_time",
    "endtime",
    "time_period_end",
    "close_date",
)
DATE_NAMES = (
    "date",
    "datetime",
    "date_time",
    "date_utc",
    "datetime_utc",
    "time_utc",
    "utc",
    "gmt_time",
    "timestamp_utc",
)
SYMBOL_NAMES = ("symbol", "pair", "instrument_name", "instrument", "inst_id", "instid", "ticker")
SHORT_PRICES = {"o": "open", "h": "high", "l": "low", "c": "close"}
INDEX_NAMES = ("index", "__index_level_0__")


@frozen(kw_only=True)
class Roles:
    """Which column holds what.

    Attributes:
        where: the file, and the line of its header where it has one.
        names: of the columns, for a person; small letters.
        stamp: the column that names the bar; ``opens`` says that it is named as the time of the open.
        others: further stamps, which must agree.
        closes: a column that is named as the time of the close.
        date: a column of dates.
        time_of_day: a column that may hold the time of a date beside it.
        symbol: the instrument.
        prices: open, high, low, close.
        volumes: what may be base volume.
        confirm: 1 for a bar that has ended, else 0.
        form: the named format, where the file is of one.
        decisions: sentences.
    """

    where: str
    names: tuple[str, ...]
    stamp: int | None
    opens: bool
    others: tuple[int, ...]
    closes: int | None
    date: int | None
    time_of_day: int | None
    symbol: int | None
    prices: tuple[int, int, int, int]
    volumes: Volumes
    confirm: int | None
    form: Format | None
    decisions: list[str]

    @property
    def times(self) -> tuple[int, ...]:
        """Every column that holds a time."""
        found = (self.stamp, *self.others, self.closes, self.date, self.time_of_day)
        return tuple(dict.fromkeys(k for k in found if k is not None))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Every column that holds numbers which are asked for."""
        confirm = () if self.confirm is None else (self.confirm,)
        return tuple(dict.fromkeys((*self.prices, *self.volumes.columns, *confirm)))

    @property
    def texts(self) -> tuple[int, ...]:
        """Every column that holds text which is asked for."""
        return () if self.symbol is None else (self.symbol,)


def key_of(name: str) -> str:
    """A column's name as it is looked up: small letters and digits, all else one underscore."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or ("index" if not name else "")


def names_of(cells: Sequence[str]) -> list[str]:
    """The names in a header line: small letters, without blanks and angle brackets."""
    return [cell.strip().strip("<>").lower() for cell in cells]


def is_header(cells: Sequence[str]) -> bool:
    """Whether a line names the columns of bars."""
    keys = [SHORT_PRICES.get(key, key) for key in map(key_of, cells)]
    return "open" in keys and "close" in keys


def roles_of_header(where: str, cells: Sequence[str], reading: Reading) -> Roles:
    """Find the columns of a bar among the names of a header.

    Raises:
        ConfigError: naming what is missing, what stands twice, or that the header is none of the format asked for.
    """
    names = names_of(cells)
    keys = [key_of(name) for name in names]
    if {"o", "h", "l", "c"} <= set(keys):
        keys = [SHORT_PRICES.get(key, key) for key in keys]
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled:
        raise ConfigError(f"{where}: the header names {', '.join(map(repr, doubled))} more than once")
    volumes = candidates(where, names, reading.base_volume)
    asked, form = format_named(reading.format), format_of_header(keys)
    if asked is not None and form is not asked and not (asked.header == () and _holds(keys, asked)):
        said = f"it is of {form.name}" if form else f"expected {', '.join(sorted(_expected(asked)))}"
        raise ConfigError(f"{where}: the header is none of --format {asked.name}: {said}", hint="leave --format out")
    form = form if asked is None else asked
    stamps = [keys.index(name) for name in (*OPEN_NAMES, *STAMP_NAMES) if name in keys]
    date = _first(keys, DATE_NAMES)
    closes = _first(keys, CLOSE_NAMES)
    if not stamps and date is None and closes is not None and reading.stamp is None:
        raise ConfigError(
            f"{where}: its only time, {names[closes]!r}, is named as the close of the bar",
            hint="say which end of the bar it names: --stamp close, or --stamp open",
        )
    if not stamps and date is None and closes is not None:
        stamps = [closes]
    missing = [name for name in PRICE_COLUMNS if name not in keys]
    missing += ["a time (unix or date)"] if not stamps and date is None else []
    missing += ["volume"] if not volumes.columns else []
    if missing:
        hint = "name the column of base volume with --base-volume COLUMN" if missing == ["volume"] else None
        raise ConfigError(f"{where}: the header lacks {', '.join(missing)}", hint=hint)
    opens = bool(stamps) and keys[stamps[0]] in OPEN_NAMES
    return Roles(
        where=where,
        names=tuple(names),
        stamp=stamps[0] if stamps else None,
        opens=opens,
        others=tuple(stamps[1:]),
        closes=closes if closes is not None and closes not in stamps else None,
        date=date,
        time_of_day=keys.index("time") if "time" in keys and date is not None else None,
        symbol=_first(keys, SYMBOL_NAMES),
        prices=_prices(keys),
        volumes=volumes,
        confirm=_first(keys, ("confirm",)),
        form=form,
        decisions=[f"format: {form.name}, by its header" if form else "format: columns by the names in the header"],
    )


def roles_without_header(
    where: str, width: int, rows: Sequence[Sequence[float]], reading: Reading, *, listed: bool = False
) -> Roles:
    """Find the columns of a bar by a named format, or by the one that the rows fit.

    Args:
        where: the file.
        width: number of columns.
        rows: all or the first rows as numbers.
        reading: what the operator says.
        listed: the rows are arrays of JSON.

    Raises:
        ConfigError: when no format fits, several do, or none that proves its volume.
    """
    asked = format_named(reading.format)
    if asked is not None:
        if len(asked.columns) != width:
            raise ConfigError(
                f"{where}: has {width} columns and no header; --format {asked.name} has {len(asked.columns) or 'one'}",
                hint=_known_widths(),
            )
        if not orders_that_fit([asked], rows):
            raise ConfigError(f"{where}: the prices are not in the order of --format {asked.name}", hint=_order(asked))
        return _by_format(where, asked, reading, "as asked for")
    wide = formats_of_width(width)
    found = orders_that_fit(wide, rows)
    sure = [one for one in found if one.proven or (listed and one.listed)]
    if len(sure) == 1 and all(one.columns[1:5] == sure[0].columns[1:5] for one in found):
        return _by_format(where, sure[0], reading, "by the number and the order of its columns")
    fits = " or ".join(f"--format {one.name}" for one in found)
    if not found:
        raise ConfigError(
            f"{where}: has {width} columns, no header that names open and close, and fits no format that is known",
            hint=f"give it a header such as unix,open,high,low,close,volume; {_known_widths()}",
        )
    raise ConfigError(
        f"{where}: has no header; {width} columns in this order may be of {' or '.join(one.name for one in found)}",
        hint=f"say which: {fits}",
    )


def _by_format(where: str, form: Format, reading: Reading, why: str) -> Roles:
    keys = list(form.columns)
    volumes = candidates(where, keys, reading.base_volume)
    if not volumes.asked and form.base is not None:
        volumes = Volumes(columns=(keys.index(form.base),), names=(form.base,), word=f"as the format {form.name} says")
    return Roles(
        where=where,
        names=tuple(keys),
        stamp=0,
        opens=keys[0] in OPEN_NAMES,
        others=(),
        closes=_first(keys, CLOSE_NAMES),
        date=None,
        time_of_day=None,
        symbol=None,
        prices=_prices(keys),
        volumes=volumes,
        confirm=_first(keys, ("confirm",)),
        form=form,
        decisions=[f"format: {form.name}, {why}; no header"],
    )


def _first(keys: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((list(keys).index(name) for name in wanted if name in keys), None)


def _prices(keys: Sequence[str]) -> tuple[int, int, int, int]:
    opened, high, low, closed = (list(keys).index(name) for name in PRICE_COLUMNS)
    return opened, high, low, closed


def _holds(keys: Sequence[str], form: Format) -> bool:
    """Whether a header names the columns of a format that is written without one, in its order."""
    return len(keys) == len(form.columns) and list(keys)[1:5] == list(form.columns)[1:5]


def _expected(form: Format) -> frozenset[str]:
    return form.header[0] if form.header else frozenset(form.columns)


def _order(form: Format) -> str:
    return f"its columns are {', '.join(form.columns)}"


def _known_widths() -> str:
    return "without a header: " + ", ".join(f"{one.name} ({len(one.columns)})" for one in FORMATS if one.columns)
