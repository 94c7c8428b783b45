"""One bar schema for every market: what a bar is, which bytes its hash covers, and how it lies in a file.

The rule: a bar is named by its **open time** in whole seconds UTC and covers ``[open_time, open_time + timeframe_s)``.
Prices are in quote currency, volume is in base currency. ``funding`` is the sum of the 8-hourly funding rates booked
at the boundaries (00, 08, 16 UTC) that lie inside the bar: 0.0 where the series is known and no boundary falls, NaN
where the series does not say. The hash covers the data and nothing that merely describes where it came from, so the
same bars imported twice have one name.
"""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from prometheus.v10.base.errors import ConfigError, EvidenceError

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

BARS_SCHEMA = "prometheus.bars/1"
FUNDING_INTERVAL_S = 8 * 3600  # exchange rule: funding at 00:00, 08:00 and 16:00 UTC (contracts, section 3)

# The canonical columns: their order and types are part of the hash.
COLUMNS: tuple[tuple[str, str], ...] = (
    ("open_time", "<i8"),
    ("open", "<f8"),
    ("high", "<f8"),
    ("low", "<f8"),
    ("close", "<f8"),
    ("volume", "<f8"),
    ("funding", "<f8"),
)
ROWS_AT_A_TIME = 1 << 16  # of a file that is written
PRICE_COLUMNS = ("open", "high", "low", "close")


def _floats(values: npt.ArrayLike) -> Floats:
    array: Floats = _sealed(np.asarray(values, dtype=np.float64), values)
    return array


def _ints(values: npt.ArrayLike) -> Ints:
    array: Ints = _sealed(np.asarray(values, dtype=np.int64), values)
    return array


def _sealed(array: Any, given: Any) -> Any:
    """A contiguous read-only array; copied only when the caller could still write into what was handed over."""
    if array is given and (array.flags.writeable or not array.flags.c_contiguous):
        array = array.copy()
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


@attrs.frozen(kw_only=True)
class MarketIdentity:
    """What a manifest says about the bars a run used; nothing in it is ever null.

    Attributes:
        symbol: the instrument.
        timeframe_s: seconds per bar.
        rows: number of bars.
        first_open_utc: open of the first bar.
        last_open_utc: open of the last bar.
        sha256: the name of the bars' bytes (`Bars.sha256`).
        source: where they came from, for a human.
        funding: ``known``, or how much is unknown and why.
    """

    symbol: str
    timeframe_s: int
    rows: int
    first_open_utc: str
    last_open_utc: str
    sha256: str
    source: str
    funding: str


@attrs.frozen(eq=False, kw_only=True)
class Bars:
    """Bars of one instrument at one timeframe; T rows, oldest first. Arrays are read-only.

    Attributes:
        symbol: the instrument as the exchange writes it, e.g. ``BTC-USDT-SWAP``.
        timeframe_s: length of a bar in seconds.
        open_time: int64[T], seconds since 1970-01-01 UTC.
        open: float64[T], quote currency.
        high: float64[T], quote currency.
        low: float64[T], quote currency.
        close: float64[T], quote currency.
        volume: float64[T], base currency.
        funding: float64[T], sum of the funding rates booked inside the bar, as a fraction of notional; NaN where
            unknown.
        source: where the bars came from, for a human; not part of the hash.
        null_reasons: ``{"funding": why}`` exactly when some funding is NaN.
    """

    symbol: str
    timeframe_s: int
    open_time: Ints = attrs.field(converter=_ints)
    open: Floats = attrs.field(converter=_floats)
    high: Floats = attrs.field(converter=_floats)
    low: Floats = attrs.field(converter=_floats)
    close: Floats = attrs.field(converter=_floats)
    volume: Floats = attrs.field(converter=_floats)
    funding: Floats = attrs.field(converter=_floats)
    source: str
    null_reasons: dict[str, str] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Hold the shape rules; what the numbers say is the business of `validate`."""
        if self.timeframe_s <= 0:
            raise ConfigError(f"{self.symbol}: timeframe {self.timeframe_s} s is not positive")
        shapes = {name: getattr(self, name).shape for name, _ in COLUMNS}
        if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) != 1:
            raise ConfigError(f"{self.symbol}: the columns of a market have different shapes: {shapes}")
        unknown = bool(np.isnan(self.funding).any())
        if unknown != ("funding" in self.null_reasons):
            said = (
                "is unknown in places but no reason is given"
                if unknown
                else "is known everywhere yet a reason is given"
            )
            raise ConfigError(
                f"{self.symbol}: funding {said}", hint="null_reasons names a reason exactly when a value is null"
            )

    def __len__(self) -> int:
        """Number of bars."""
        return int(self.open_time.shape[0])

    def slice(self, start: int, length: int) -> Bars:
        """The ``length`` bars from row ``start`` on, as views.

        Raises:
            ConfigError: when the range does not lie inside the data.
        """
        if start < 0 or length < 0 or start + length > len(self):
            raise ConfigError(
                f"{self.symbol}: rows [{start}, {start + length}) lie outside the {len(self)} bars there are"
            )
        return self.with_columns({name: getattr(self, name)[start : start + length] for name, _ in COLUMNS})

    def with_columns(self, columns: dict[str, Any], **changes: Any) -> Bars:
        """These bars with some columns and fields replaced; the funding reason goes once no funding is null."""
        funding = columns.get("funding", self.funding)
        reasons = dict(changes.pop("null_reasons", self.null_reasons))
        if not np.isnan(np.asarray(funding)).any():
            reasons.pop("funding", None)
        return attrs.evolve(self, **columns, **changes, null_reasons=reasons)

    def identity(self) -> MarketIdentity:
        """Which bars these are, in the words of a manifest."""
        unknown = int(np.isnan(self.funding).sum())
        known = f"unknown in {unknown} of {len(self)} bars: {self.null_reasons['funding']}" if unknown else "known"
        return MarketIdentity(
            symbol=self.symbol,
            timeframe_s=self.timeframe_s,
            rows=len(self),
            first_open_utc=bar_time(self.first_open) if len(self) else "none",
            last_open_utc=bar_time(self.last_open) if len(self) else "none",
            sha256=self.sha256(),
            source=self.source,
            funding=known,
        )

    @property
    def first_open(self) -> int:
        """Open time of the first bar, seconds UTC."""
        return int(self.open_time[0])

    @property
    def last_open(self) -> int:
        """Open time of the last bar, seconds UTC."""
        return int(self.open_time[-1])

    def canonical_header(self) -> bytes:
        """The first bytes under the hash: a line of JSON that fixes symbol, timeframe, rows, columns and types."""
        header = {
            "columns": [list(column) for column in COLUMNS],
            "rows": len(self),
            "schema": BARS_SCHEMA,
            "symbol": self.symbol,
            "timeframe_s": self.timeframe_s,
        }
        return json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii") + b"\n"

    def sha256(self) -> str:
        """Hex digest that names these bars: the canonical header, then each column's little-endian bytes in order.

        A NaN counts as the one quiet NaN and -0.0 as 0.0, since different machines make different bits of them.
        """
        digest = hashlib.sha256(self.canonical_header())
        for name, dtype in COLUMNS:
            digest.update(_canonical_column(getattr(self, name), dtype).tobytes())
        return digest.hexdigest()

    def write_npy(self, handle: IO[bytes]) -> None:
        """Write the bars as one structured ``.npy`` file that any numpy opens without pickle, some rows at a time."""
        kind = np.dtype(list(COLUMNS))
        shape = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (len(self),)}
        np.lib.format.write_array_header_1_0(handle, shape)
        for start in range(0, len(self), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            table = np.empty(len(self.open_time[rows]), dtype=kind)
            for name, dtype in COLUMNS:
                table[name] = _canonical_column(getattr(self, name)[rows], dtype)
            handle.write(table.tobytes())

    def to_npy(self) -> bytes:
        """The bytes of `write_npy`."""
        out = io.BytesIO()
        self.write_npy(out)
        return out.getvalue()


def _canonical_column(values: Any, dtype: str) -> Any:
    """Little-endian copy with one NaN and one zero."""
    column = np.array(values, dtype=dtype)
    if dtype == "<f8":
        column += 0.0  # -0.0 + 0.0 is 0.0 under IEEE 754 round-to-nearest
        column[np.isnan(column)] = np.nan
    return column


def from_npy(*paths: Path, symbol: str, timeframe_s: int, source: str, null_reasons: dict[str, str]) -> Bars:
    """Read bars that `Bars.write_npy` wrote, into one file or several; what they cannot say is handed in.

    Raises:
        EvidenceError: when a file is not a structured array of the bar schema.
    """
    tables = [_table_of(path) for path in paths]
    columns = {name: np.concatenate([table[name] for table in tables]) for name, _ in COLUMNS}
    for column in columns.values():
        column.flags.writeable = False
    return Bars(symbol=symbol, timeframe_s=timeframe_s, source=source, null_reasons=dict(null_reasons), **columns)


def _table_of(path: Path) -> Any:
    try:
        with path.open("rb") as handle:
            table = np.load(handle, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise EvidenceError(f"cannot read bars from {path}: {error}", hint="import the market again") from error
    if not isinstance(table, np.ndarray) or table.dtype != np.dtype(list(COLUMNS)) or table.ndim != 1:
        raise EvidenceError(f"{path} does not hold bars of schema {BARS_SCHEMA}", hint="import the market again")
    return table


def bar_time(seconds: int) -> str:
    """``2022-03-01 00:00:00Z`` for an open time; the number itself where no calendar holds it."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return f"{seconds} s"


def funding_boundaries(open_time: Ints, timeframe_s: int) -> Ints:
    """How many funding boundaries lie in ``[open_time, open_time + timeframe_s)`` of each bar: int64[T].

    0 or 1 for bars up to 8 h, more for longer ones. A world that has no series books its default rate this many times.
    """
    before = -(-open_time // FUNDING_INTERVAL_S)  # index of the first boundary at or after the open
    after = -(-(open_time + timeframe_s) // FUNDING_INTERVAL_S)
    return np.asarray(after - before, dtype=np.int64)
