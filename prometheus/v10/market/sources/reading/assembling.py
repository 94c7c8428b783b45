"""From columns as a reader finds them to rows of bars: times, symbol, unfinished and empty rows, base volume.

The rule for time: a bar is named by its open; a column that is called so wins over every other stamp, and other time
columns must agree with each other. What is left out (unfinished bars, rows without a price) is counted and said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import PRICE_COLUMNS, Ints
from prometheus.v10.market.sources.reading.cell_times import FORMS, is_time_of_day
from prometheus.v10.market.sources.reading.column_roles import Roles
from prometheus.v10.market.sources.reading.file_names import Named
from prometheus.v10.market.sources.reading.openings import Source
from prometheus.v10.market.sources.reading.stamp_columns import (
    CellError,
    TimeTally,
    dates_to_seconds,
    read_times,
    require_one_zone,
    said_of_times,
    zone_of,
)
from prometheus.v10.market.sources.reading.volume_columns import settled_volume
from prometheus.v10.market.sources.tables import EARLIEST_STAMP, RawTable, Reading

SHORTEST_EARLY_STEP = 60  # seconds: day numbers and months counted as seconds lie closer together
MOST_ROWS = 50_000_000  # 95 years of minutes; a packed file of a few kB can stand for any number
DIGIT_FORM = "dates of digits alone"


@attrs.define(kw_only=True)
class Piece:
    """Some rows of a file.

    Attributes:
        columns: by their place: float64 of numbers (NaN where a cell is empty), and for times int64, float64, bytes or
            objects of text.
        rows: int64[N], where the rows stand.
        dates: columns of timestamps, int64 seconds, by their place: whether they are in UTC or have no zone.
    """

    columns: dict[int, Any]
    rows: Ints
    dates: dict[int, bool] = field(factory=dict)

    def only(self, chosen: Any) -> Piece:
        """The rows that a mask chooses."""
        columns = {k: column[chosen] for k, column in self.columns.items()}
        return attrs.evolve(self, columns=columns, rows=self.rows[chosen])


class Column:
    """A column of numbers that grows; what it holds lies in one place, so that parts leave no holes behind."""

    def __init__(self, dtype: str) -> None:
        self._data: npt.NDArray[Any] = np.empty(0, dtype=dtype)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def reserve(self, rows: int) -> None:
        """Make room, before the first values come."""
        if not self._used:
            self._data = np.empty(rows, dtype=self._data.dtype)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Put values behind what is there."""
        end = self._used + len(values)
        if end > len(self._data):
            self._data.resize(max(end, len(self._data) * 3 // 2), refcheck=False)  # realloc: no second copy
        self._data[self._used : end] = values
        self._used = end

    def taken(self) -> Any:
        """All of it, which this object gives away."""
        found, self._data = self._data, np.empty(0, dtype=self._data.dtype)
        found.resize(self._used, refcheck=False)
        return found


@attrs.define(kw_only=True)
class Assembly:
    """The rows of one file, put together piece by piece; ``expected`` is how many there may be."""

    source: Source
    roles: Roles
    reading: Reading
    row_word: str
    told: Named
    tally: TimeTally
    times: Column = field(factory=lambda: Column("i8"))
    prices: list[Column] = field(factory=lambda: [Column("f8") for _ in PRICE_COLUMNS])
    volumes: list[Column] = field(factory=list)
    rows: Column = field(factory=lambda: Column("i8"))
    symbols: set[str] = field(factory=set)
    overruled: dict[str, int] = field(factory=dict)
    expected: int = 0
    unfinished: int = 0
    empty: int = 0
    dates_agree: bool = False

    def add(self, piece: Piece) -> None:
        """Take some rows.

        Raises:
            ConfigError: naming the row and the column of what cannot be read.
        """
        roles = self.roles
        if roles.confirm is not None:
            open_ended = piece.columns[roles.confirm] == 0
            self.unfinished += int(open_ended.sum())
            piece = piece.only(~open_ended)
        if self.reading.drop_empty:
            void = np.logical_and.reduce([np.isnan(piece.columns[k]) for k in roles.prices])
            self.empty += int(void.sum())
            piece = piece.only(~void)
        if not len(piece.rows):
            return
        if len(self.times) + len(piece.rows) > MOST_ROWS:
            raise ConfigError(f"{self.source}: holds more than {MOST_ROWS:,} rows", hint="import it in parts")
        opens = self._opens(piece)
        if not len(self.times):
            self.volumes = [Column("f8") for _ in roles.volumes.columns]
            for column in (self.times, *self.prices, *self.volumes, self.rows):
                column.reserve(self.expected)
        self.times.add(opens)
        for mine, k in zip((*self.prices, *self.volumes), (*roles.prices, *roles.volumes.columns), strict=True):
            mine.add(piece.columns[k])
        self.rows.add(piece.rows)
        if roles.symbol is not None:
            found = piece.columns[roles.symbol]
            self.symbols.update(_text(cell) for cell in np.unique(found).tolist())
            if len(self.symbols) > 1:
                named = ", ".join(printable(name)[:40] for name in sorted(self.symbols)[:5])
                raise ConfigError(f"{self.source}: holds several instruments: {named}", hint="split it first")

    def table(self, *more: str) -> RawTable:
        """All rows.

        Raises:
            ConfigError: for what only the whole file shows.
        """
        if not len(self.times):
            what = "no row with a price" if self.empty else "a header and no row"
            raise ConfigError(f"{self.source}: holds {what}")
        times, rows = self.times.taken(), self.rows.taken()
        prices = {name: self.prices[k].taken() for k, name in enumerate(PRICE_COLUMNS)}
        require_one_zone(str(self.source), self.tally)
        self._check_forms(times, rows)
        symbol = next(iter(self.symbols), None)
        volume, said = settled_volume(
            self.roles.where,
            self.roles.volumes,
            [one.taken() for one in self.volumes],
            prices,
            lambda at: f"{self.source}: {self.row_word} {int(rows[at])}",
            self.reading.symbol or symbol or self.told.symbol,
        )
        form = self.roles.form
        return RawTable(
            open_time=times,
            prices=prices,
            volume=volume,
            rows=rows,
            row_word=self.row_word,
            files=(self.source.path.name,),
            symbol=symbol,
            named=self.told.symbol,
            timeframe_s=self.told.timeframe_s,
            gaps_are_quiet=form is not None and form.quiet,
            coarse=self.tally.coarse,
            decisions=[*self.source.decisions, *more, *self.roles.decisions, *self._said(), *said, *self._left_out()],
        )

    # ---- times -------------------------------------------------------------------------------------------------------

    def _opens(self, piece: Piece) -> Ints:
        """Seconds UTC of what names the bars; every other time in the rows is held against it."""
        roles, joined = self.roles, False
        dated: Ints | None = None
        clock = roles.time_of_day
        if clock is not None and len(piece.rows):
            joined = is_time_of_day(_text(piece.columns[clock][0]))
        columns = [k for k in (roles.stamp, *roles.others) if k is not None and not (joined and k == clock)]
        if roles.date is not None:
            dated = self._dates(piece, roles.date, clock if joined else None, main=not columns)
        if not columns:
            if dated is None:
                raise AssertionError("roles name a time")
            return self._before_close(piece, dated)
        chosen = self._seconds(piece, columns[0], main=True)
        for k in columns[1:]:
            differ = self._seconds(piece, k, main=False) != chosen
            if differ.any():
                if not roles.opens:
                    raise self._disagree(piece, int(np.flatnonzero(differ)[0]), columns[0], k)
                name = roles.names[k]
                self.overruled[name] = self.overruled.get(name, 0) + int(differ.sum())
        if dated is not None and roles.date is not None:
            differ = dated != chosen
            if differ.any():
                raise self._disagree(piece, int(np.flatnonzero(differ)[0]), columns[0], roles.date)
            self.dates_agree = True
        return self._before_close(piece, chosen)

    def _dates(self, piece: Piece, date: int, clock: int | None, *, main: bool) -> Ints:
        if clock is None:
            return self._seconds(piece, date, main=main)
        days = [_text(cell) for cell in piece.columns[date]]
        hours = [_text(cell).rjust(5, "0").zfill(5) for cell in piece.columns[clock]]
        cells = np.array([f"{day} {hour}" for day, hour in zip(days, hours, strict=True)], dtype=object)
        found = self._seconds(attrs.evolve(piece, columns={date: _bytes(cells)}), date, main=main)
        if main:
            self.tally.units["a date and a time column"] = self.tally.units.pop("dates", 0) + self.tally.units.pop(
                "a date and a time column", 0
            )
        return found

    def _seconds(self, piece: Piece, column: int, *, main: bool) -> Ints:
        tally = self.tally if main else self.tally.copy_for_checks()
        try:
            if column in piece.dates:
                found = dates_to_seconds(piece.columns[column], piece.rows, tally, utc=piece.dates[column])
            else:
                found = read_times(piece.columns[column], piece.rows, tally)
        except CellError as error:
            where = f"{self.source}: {self.row_word} {int(piece.rows[error.index])}, column {self.roles.names[column]}"
            plain = column == self.roles.date or "twice" in error.said
            said = error.said if plain else f"is no time: {error.said}"
            raise ConfigError(f"{where}: {printable(error.text)[:60]!r} {said}", hint=f"expected {FORMS}") from None
        if not main:
            self.tally.naive += tally.naive if self.tally.zone is not None else 0
        return found

    def _before_close(self, piece: Piece, opened: Ints) -> Ints:
        """``opened``, after it was found to lie before the bar's close where the file says when that was."""
        closes = self.roles.closes
        if closes is None or self.tally.closes:
            return opened
        try:
            closed = read_times(piece.columns[closes], piece.rows, TimeTally(zone=self.tally.zone, closes=True))
        except CellError:
            return opened  # closes of some other kind are not needed
        late = np.flatnonzero(closed <= opened)
        if len(late):
            where = f"{self.source}: {self.row_word} {int(piece.rows[late[0]])}"
            raise ConfigError(
                f"{where}: the bar's time is not before its {self.roles.names[closes]}",
                hint="a bar is named by its open time: give a column open_time",
            )
        return opened

    def _disagree(self, piece: Piece, at: int, first: int, second: int) -> ConfigError:
        one, other = self.roles.names[first], self.roles.names[second]
        word = "date" if second == self.roles.date else f"column {other}"
        said = f"unix stamp {_text(piece.columns[first][at])} and {word} {_text(piece.columns[second][at])} disagree"
        return ConfigError(
            f"{self.source}: {self.row_word} {int(piece.rows[at])}: {printable(said)}",
            hint=f"a bar is named by its open time: leave out {one} or {other}, or call the right one open_time",
        )

    # ---- the whole file ----------------------------------------------------------------------------------------------

    def _check_forms(self, times: Ints, rows: Ints) -> None:
        units = self.tally.units
        digits = next((unit for unit in units if unit.startswith(DIGIT_FORM)), None)
        if digits is not None and len(units) > 1:
            raise ConfigError(f"{self.source}: some times are {digits} and some are not: {', '.join(sorted(units))}")
        steps = np.abs(np.diff(times))
        early = units["seconds"] and int(times.max()) < EARLIEST_STAMP
        if early and (not len(steps) or int(steps.min()) < SHORTEST_EARLY_STEP):
            raise ConfigError(
                f"{self.source}: {self.row_word} {int(rows[0])}: the stamps are too small for unix seconds: they would "
                "lie before 1973",
                hint=f"expected {FORMS}",
            )

    def _said(self) -> Iterator[str]:
        roles = self.roles
        yield from said_of_times(self.tally, self.row_word)
        if self.dates_agree and roles.stamp is not None:
            yield "time: stamp and date agree in every row"
        if roles.stamp is not None and roles.opens and roles.others:
            differ = ", ".join(f"{name!r} says another time in {count} rows" for name, count in self.overruled.items())
            yield f"time: {roles.names[roles.stamp]!r} is the open{'; ' + differ if differ else ''}"
        elif not roles.opens and self.reading.stamp is None:
            at = roles.stamp if roles.stamp is not None else roles.date
            if at is not None:
                yield f"time: {roles.names[at]!r} is taken as the open of the bar (--stamp close says otherwise)"
        if roles.form is not None and roles.form.says is not None:
            yield roles.form.says

    def _left_out(self) -> Iterator[str]:
        if self.unfinished:
            yield f"dropped: bars that had not ended (confirm is 0): {self.unfinished}"
        if self.empty:
            yield f"dropped: rows without a price, as asked for: {self.empty}; nothing was filled in"


def assembly(source: Source, roles: Roles, reading: Reading, row_word: str, told: Named) -> Assembly:
    """An empty one.

    Raises:
        ConfigError: for a zone that does not exist, or a stamp that is said to be the close where the file says open.
    """
    if reading.stamp == "close" and roles.opens and roles.stamp is not None:
        raise ConfigError(
            f"{roles.where}: --stamp close, but {roles.names[roles.stamp]!r} is named as the open",
            hint="leave --stamp out",
        )
    zone = zone_of(reading.timezone) if reading.timezone is not None else None
    tally = TimeTally(zone=zone, closes=reading.stamp == "close")
    return Assembly(source=source, roles=roles, reading=reading, row_word=row_word, told=told, tally=tally)


def _text(cell: Any) -> str:
    return cell.decode("ascii").strip() if isinstance(cell, bytes) else str(cell).strip()


def _bytes(cells: Any) -> Any:
    """Texts as bytes where they are ASCII, which is read faster."""
    longest = max(map(len, cells.tolist()), default=0)
    try:
        return np.array([cell.encode("ascii") for cell in cells.tolist()], dtype=f"S{longest + 1}")
    except UnicodeEncodeError:
        return cells
