"""What a download is asked for, and the files that it is made of: whole months as months, every other day by itself.

All times are UTC. Days are whole: the first one is in, the last one is the day before ``end``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import frozen

from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.text import printable
from prometheus.v10.market.exchange_words import OKX_BARS, OKX_SITES

EARLIEST: Final = date(2010, 1, 1)
BARS: Final = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "4h": 14_400,
    "6h": 21_600, "8h": 28_800, "12h": 43_200, "1d": 86_400,
}  # fmt: skip
"""Bars by the names that files carry; seconds."""
_BAR = re.compile(r"([0-9]{1,2})(?:([smhd])|([HD])(?:utc)?)")
_OKX_NAME = re.compile(r"[A-Z0-9]{1,20}(?:-[A-Z0-9]{1,20}){1,2}")
_BINANCE_NAME = re.compile(r"[A-Z0-9]{2,30}(?:_[A-Z0-9]{1,12})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Exchange(StrEnum):
    """Whose history it is."""

    OKX = "okx"
    BINANCE = "binance"


class Product(StrEnum):
    """Which archive of Binance: spot, futures margined in USD (``um``), futures margined in coin (``cm``)."""

    SPOT = "spot"
    UM = "um"
    CM = "cm"


BASES: Final = {
    Exchange.OKX: OKX_SITES,
    Exchange.BINANCE: {"archive": "https://data.binance.vision"},
}
"""Where requests may go, by the name of the site; the first is meant where none is named. Beside it the loopback."""
TERMS: Final = {
    Exchange.OKX: "https://www.okx.com/help/okx-api-agreement",
    Exchange.BINANCE: "https://github.com/binance/binance-public-data",
}
"""Where the terms of use stand."""


@frozen(kw_only=True)
class Asked:
    """What is to be downloaded.

    Attributes:
        exchange: whose.
        product: ``spot``, ``um``, ``cm``; of OKX ``spot``, ``swap``, ``futures``, by the instrument's name.
        instrument: as the exchange names it.
        bar: a name of `BARS`.
        first: the first day.
        end: the day after the last one.
        allow_gaps: bars that the source does not have are recorded, and refused otherwise.
    """

    exchange: Exchange
    product: str
    instrument: str
    bar: str
    first: date
    end: date
    allow_gaps: bool = False

    @property
    def step_s(self) -> int:
        """Seconds a bar."""
        return BARS[self.bar]

    @property
    def name(self) -> str:
        """A name for what is asked for, without its days: of the folder that it goes to."""
        return f"{self.exchange}-{self.product}-{self.instrument}-{self.bar}"


@frozen(kw_only=True)
class Piece:
    """A whole month, or a day: what one file holds.

    Attributes:
        name: ``2024-01`` or ``2024-01-05``.
        first: its first day.
        end: the day after its last one.
    """

    name: str
    first: date
    end: date

    @property
    def begin_s(self) -> int:
        """Its first second, UTC."""
        return seconds_of(self.first)

    @property
    def end_s(self) -> int:
        """The second behind it, UTC."""
        return seconds_of(self.end)

    @property
    def is_month(self) -> bool:
        """Whether it is a whole month."""
        return len(self.name) == 7

    def days(self) -> list[Piece]:
        """Its days, each a piece."""
        return [day_piece(self.first + timedelta(days=k)) for k in range((self.end - self.first).days)]


def asked_for(
    exchange: Exchange, instrument: str, bar: str, *, first: str, end: str | None, product: Product | None,
    now: datetime, allow_gaps: bool = False,
) -> Asked:  # fmt: skip
    """Check what was typed.

    Raises:
        UsageError: for an instrument, a bar or days that cannot be.
    """
    step = _bar(exchange, bar, product)
    kind = _okx_product(instrument) if exchange is Exchange.OKX else (product or Product.SPOT).value
    if exchange is Exchange.OKX and product is not None:
        raise UsageError("--product is of binance", hint="an instrument of OKX says it itself: BTC-USDT-SWAP")
    if exchange is Exchange.BINANCE and not _BINANCE_NAME.fullmatch(instrument):
        raise UsageError(
            f"{printable(instrument, longest=40)!r} is no name of an instrument of Binance", hint="such as BTCUSDT"
        )
    today = now.astimezone(UTC).date()
    begins = _day("--from", first)
    ends = today if end is None else _day("--to", end)
    if ends > today:
        raise UsageError(
            f"--to {ends}: only whole days are downloaded, and {today} is not over", hint=f"--to {today} at most"
        )
    if begins >= ends:
        raise UsageError(
            f"--from {begins} --to {ends}: there is no whole day between", hint="the day of --to is not included"
        )
    if begins < EARLIEST:
        raise UsageError(f"--from {begins}: there were no such bars before {EARLIEST}", hint="begin later")
    return Asked(
        exchange=exchange, product=kind, instrument=instrument, bar=step, first=begins, end=ends, allow_gaps=allow_gaps
    )


def pieces_of(first: date, end: date) -> Iterator[Piece]:
    """Whole months as months, other days as days, in order."""
    day = first
    while day < end:
        following = _next_month(day)
        if day.day == 1 and following <= end:
            yield month_piece(day)
            day = following
        else:
            yield day_piece(day)
            day += timedelta(days=1)


def months_of(first: date, end: date) -> Iterator[Piece]:
    """Every month that has one of the days."""
    day = first.replace(day=1)
    while day < end:
        yield month_piece(day)
        day = _next_month(day)


def month_piece(day: date) -> Piece:
    """The month of a day."""
    first = day.replace(day=1)
    return Piece(name=f"{first:%Y-%m}", first=first, end=_next_month(first))


def day_piece(day: date) -> Piece:
    """One day."""
    return Piece(name=f"{day:%Y-%m-%d}", first=day, end=day + timedelta(days=1))


def seconds_of(day: date) -> int:
    """The first second of a day, UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def time_of(seconds: int) -> str:
    """A moment as people read it: ``2024-01-01 00:00:00Z``."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _day(option: str, text: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise UsageError(f"{option} {printable(text, longest=40)!r} is no day", hint="write it as 2024-01-31")


def _bar(exchange: Exchange, text: str, product: Product | None) -> str:
    found = _BAR.fullmatch(text)
    name = "" if found is None else f"{int(found[1])}{(found[2] or found[3]).lower()}"
    known = [one for one, step in BARS.items() if _has(exchange, step, product)]
    if name not in known:
        raise UsageError(f"{exchange} has no bars {printable(text, longest=20)!r}", hint=f"it has {', '.join(known)}")
    return name


def _has(exchange: Exchange, step: int, product: Product | None) -> bool:
    if exchange is Exchange.OKX:
        return step in OKX_BARS
    return step > 1 or product in {None, Product.SPOT}


def _okx_product(instrument: str) -> str:
    """Which market of OKX an instrument is of, by its name."""
    if not _OKX_NAME.fullmatch(instrument):
        raise UsageError(
            f"{printable(instrument, longest=40)!r} is no name of an instrument of OKX",
            hint="such as BTC-USDT-SWAP, or BTC-USDT for spot",
        )
    parts = instrument.split("-")
    if len(parts) == 2:
        return "spot"
    return "swap" if parts[2] == "SWAP" else "futures"
